package simulation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// lateness is how much later than the caller has given up a request may still take effect. The operator's lease of a
	// claim counts on it (docs/reliability.md).
	lateness = 4 * time.Second

	// farOff is longer than the operator waits for an answer.
	farOff = 15 * time.Second
)

var errReset = errors.New("connection reset by peer")

// weather is how often what goes wrong, as probabilities.
type weather struct {
	throttled, fails, unavailable, refused, reset, lost, slow, late float64
	// mischief: somebody does something just before or after a write of the operator's.
	mischief float64
	// callbacks.
	callbackLost, callbackFails, callbackLate, callbackRepeated float64
	apiServer                                                   float64
}

// drawWeather draws a weather: most seeds have a little of some faults, a few have much of one.
func drawWeather(r *rand.Rand) weather {
	little := func() float64 { return oneOf(r, 0, 0, 0.01, 0.03, 0.1) }
	return weather{
		throttled: little(), fails: little(), unavailable: little(), refused: little(), reset: little(), lost: oneOf(r, 0, 0.02, 0.05, 0.2),
		slow: little(), late: oneOf(r, 0, 0, 0.01, 0.05), mischief: oneOf(r, 0, 0.1, 0.3),
		callbackLost: oneOf(r, 0, 0, 0.1, 0.5, 1), callbackFails: little(), callbackLate: oneOf(r, 0, 0.05, 0.3), callbackRepeated: oneOf(r, 0, 0.05, 0.3),
		apiServer: oneOf(r, 0, 0, 0.02, 0.1),
	}
}

// twilioLink carries a replica's requests to Twilio.
type twilioLink struct{ replica *replica }

// RoundTrip lets a request take its time, and go wrong as the weather has it. Everything takes effect at a moment of its
// own.
func (l twilioLink) RoundTrip(request *http.Request) (*http.Response, error) {
	r, w := l.replica, l.replica.w
	ctx := request.Context()
	body, err := readAll(request)
	if err != nil {
		return nil, err
	}
	draw := w.dice.roll(r.name + " " + request.Method + " " + request.URL.String() + " " + string(body))
	known := w.checker.known(r, request)
	there, back := between(draw, 5*time.Millisecond, 150*time.Millisecond), between(draw, 5*time.Millisecond, 150*time.Millisecond)
	if err := r.pause(ctx, there); err != nil {
		return nil, err
	}
	answer, failed := w.failure(draw, request)
	switch failed {
	case "":
	case "lost", "late":
		return nil, l.getsNoAnswer(ctx, draw, failed, request, body, known)
	case "slow":
		if err := r.pause(ctx, between(draw, time.Second, farOff)); err != nil {
			return nil, err
		}
	default:
		w.tell("%s: %s %s: %s", r.name, request.Method, request.URL.Path, failed)
		if answer == nil {
			return nil, errReset
		}
		return answer, nil
	}
	done := w.execute(r, draw, request, body, known)
	if err := r.pause(ctx, back); err != nil {
		return nil, err
	}
	return done, nil
}

// getsNoAnswer has a request take effect whose answer the replica never sees: at once, or after it has given up.
func (l twilioLink) getsNoAnswer(ctx context.Context, draw *rand.Rand, how string, request *http.Request, body []byte, known reading) error {
	r, w := l.replica, l.replica.w
	if how == "lost" {
		w.execute(r, draw, request, body, known)
		w.tell("%s: the answer is lost", r.name)
		return errReset
	}
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return errReset
	}
	delay := time.Until(deadline) + between(draw, 0, lateness)
	later := w.dice.roll("late " + request.URL.String() + " " + string(body))
	time.AfterFunc(max(delay, 0), func() {
		if !w.isOver() {
			w.execute(r, later, request, body, known)
		}
	})
	return r.pause(ctx, farOff)
}

// failure says what goes wrong with a request, with Twilio's answer if there is one.
func (w *world) failure(draw *rand.Rand, request *http.Request) (*http.Response, string) {
	if w.isCalm() {
		return nil, ""
	}
	if w.isOut() {
		return answerOf(request, http.StatusServiceUnavailable, 20503, ""), "an outage"
	}
	for _, fault := range []struct {
		probability float64
		what        string
		answer      func() *http.Response
	}{
		{w.weather.throttled, "429", func() *http.Response { return answerOf(request, 429, 20429, oneOf(draw, "", "1", "7", "45")) }},
		{w.weather.fails, "500", func() *http.Response { return answerOf(request, 500, 20500, "") }},
		{w.weather.unavailable, "503", func() *http.Response { return answerOf(request, 503, 20503, oneOf(draw, "", "3")) }},
		{w.weather.reset, "reset before it took effect", func() *http.Response { return nil }},
		{w.weather.lost, "lost", func() *http.Response { return nil }},
		{w.weather.late, "late", func() *http.Response { return nil }},
		{w.weather.slow, "slow", func() *http.Response { return nil }},
	} {
		if chance(draw, fault.probability) {
			return fault.answer(), fault.what
		}
	}
	return nil, ""
}

func answerOf(request *http.Request, status, code int, retryAfter string) *http.Response {
	body := fmt.Sprintf(`{"code":%d,"message":"simulated","status":%d}`, code, status)
	header := http.Header{"Content-Type": {"application/json"}}
	if retryAfter != "" {
		header.Set("Retry-After", retryAfter)
	}
	return &http.Response{
		StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: request,
	}
}

func readAll(request *http.Request) ([]byte, error) {
	if request.Body == nil {
		return nil, nil
	}
	defer func() { _ = request.Body.Close() }()
	return io.ReadAll(request.Body)
}

// execute has Twilio do what a request asks for, now, and has the checker judge it by what the replica knew when it sent it.
func (w *world) execute(r *replica, draw *rand.Rand, request *http.Request, body []byte, known reading) *http.Response {
	write := request.Method != http.MethodGet
	mischief := write && !w.isCalm() && chance(draw, w.weather.mischief)
	before := chance(draw, 0.5)
	if mischief && before {
		w.mischief(draw, request, body)
	}
	var form url.Values
	if write {
		form, _ = url.ParseQuery(string(body))
	}
	attempt := &attempt{replica: r, at: time.Now(), method: request.Method, path: request.URL.Path, query: request.URL.Query(), form: form, known: known}
	w.checker.before(attempt)
	copied := request.Clone(context.Background())
	copied.Body = io.NopCloser(bytes.NewReader(body))
	recorder := httptest.NewRecorder()
	w.twilioHandler.ServeHTTP(recorder, copied)
	attempt.status = recorder.Code
	w.checker.after(attempt)
	if write || strings.HasSuffix(request.URL.Path, "/Messages") {
		w.tell("%s: %s %s %s: %d", r.name, request.Method, request.URL.Path, readable(form), recorder.Code)
	}
	if mischief && !before {
		w.mischief(draw, request, body)
	}
	response := recorder.Result()
	response.Request = request
	return response
}

// readable is a form for a reader: the attributes without what Flex has put there.
func readable(form url.Values) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(form)) {
		value := form.Get(name)
		if own, found := entryIn(value); name == "Attributes" && found {
			value = fmt.Sprintf("%+v", own)
		}
		parts = append(parts, name+"="+value)
	}
	return strings.Join(parts, " ")
}

// callbackLink carries Twilio's callbacks to one of the replicas, as a load balancer does.
type callbackLink struct{ w *world }

// RoundTrip delivers a callback: once, or late, or again, or not at all.
func (l callbackLink) RoundTrip(request *http.Request) (*http.Response, error) {
	w := l.w
	body, err := readAll(request)
	if err != nil {
		return nil, err
	}
	draw := w.dice.roll("callback " + request.URL.String() + " " + string(body))
	timer := time.NewTimer(between(draw, 10*time.Millisecond, 300*time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-request.Context().Done():
		return nil, request.Context().Err()
	}
	if w.isCalm() {
		return w.deliver(draw, request, body)
	}
	again := func(most time.Duration) {
		later := w.dice.roll("again " + request.URL.String() + " " + string(body))
		time.AfterFunc(between(later, time.Millisecond, most), func() {
			if !w.isOver() {
				if answer, err := w.deliver(later, request, body); err == nil {
					_ = answer.Body.Close()
				}
			}
		})
	}
	switch {
	case chance(draw, w.weather.callbackLost):
		w.tell("a callback is lost")
		return nil, errReset
	case chance(draw, w.weather.callbackFails):
		return answerOf(request, http.StatusBadGateway, 0, ""), nil
	case chance(draw, w.weather.callbackLate):
		again(oneOf(draw, 10*time.Second, 5*time.Minute, time.Hour))
		return answerOf(request, http.StatusNoContent, 0, ""), nil
	case chance(draw, w.weather.callbackRepeated):
		again(oneOf(draw, 300*time.Millisecond, 300*time.Millisecond, 2*time.Second, 10*time.Minute, 3*time.Hour))
	}
	return w.deliver(draw, request, body)
}

// deliver hands a callback to a replica that serves.
func (w *world) deliver(draw *rand.Rand, request *http.Request, body []byte) (*http.Response, error) {
	serving := slices.DeleteFunc(w.alive(), func(r *replica) bool { return !r.serves() })
	if len(serving) == 0 {
		return nil, errReset
	}
	r := oneOf(draw, serving...)
	copied := request.Clone(context.Background())
	copied.Body = io.NopCloser(bytes.NewReader(body))
	recorder := httptest.NewRecorder()
	r.receiver.ServeHTTP(recorder, copied)
	w.checker.answered(r, recorder.Code)
	return recorder.Result(), nil
}

// attempt is one request of a replica as it takes effect.
type attempt struct {
	replica      *replica
	at           time.Time
	method, path string
	query, form  url.Values
	status       int
	// known is what the replica had read of the conversation when it sent the request.
	known reading
}

// conversation is the conversation that the request is about; empty if it names none.
func (a *attempt) conversation(tasks map[string]string) string {
	parts := strings.Split(a.path, "/")
	for i, part := range parts {
		switch {
		case part == "Conversations" && i+1 < len(parts):
			return parts[i+1]
		case part == "Tasks" && i+1 < len(parts):
			return tasks[parts[i+1]]
		}
	}
	return ""
}
