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
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/flexops-dev/inactivity-operator/test/marker"
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
	throttled, fails, unavailable, reset, lost, slow, late float64
	// mischief: somebody does something just before or after a write of the operator's.
	mischief float64
	// callbacks.
	callbackLost, callbackFails, callbackLate, callbackRepeated float64
	// callbacksStayLost: also when the faults cease.
	callbacksStayLost bool
	apiServer         float64
	// crash: the process crashes just before or just after a write of its own takes effect.
	crash float64
}

// drawWeather draws a weather: most seeds have a little of some faults, a few have much of one.
func (w *world) drawWeather(r *rand.Rand) weather {
	little := func() float64 { return oneOf(r, 0, 0, 0.01, 0.03, 0.1) }
	drawn := weather{
		throttled: little(), fails: little(), unavailable: little(), reset: little(), lost: oneOf(r, 0, 0.02, 0.05, 0.2),
		slow: little(), late: oneOf(r, 0, 0, 0.01, 0.05, 0.2), mischief: oneOf(r, 0, 0.1, 0.3),
		callbackLost: oneOf(r, 0, 0, 0.1, 0.5, 1), callbackFails: little(), callbackLate: oneOf(r, 0, 0.05, 0.3), callbackRepeated: oneOf(r, 0, 0.05, 0.3),
		apiServer: oneOf(r, 0, 0, 0.02, 0.1), callbacksStayLost: chance(r, 0.5),
		crash: oneOf(r, 0, 0.01, 0.05, 0.2),
	}
	for part, probability := range map[string]*float64{
		"429": &drawn.throttled, "500": &drawn.fails, "503": &drawn.unavailable, "resets": &drawn.reset, "lost answers": &drawn.lost,
		"slow answers": &drawn.slow, "late requests": &drawn.late, "mischief": &drawn.mischief,
		"lost callbacks": &drawn.callbackLost, "refused callbacks": &drawn.callbackFails, "late callbacks": &drawn.callbackLate,
		"repeated callbacks": &drawn.callbackRepeated, "failures of the API server": &drawn.apiServer,
		"crashes at writes": &drawn.crash,
	} {
		if !w.plays(part) {
			*probability = 0
		}
	}
	return drawn
}

// lateShare is how often a request is late, as a probability. Texts are few, and are what must not come twice: where requests are
// late at all, many of them are.
func (p weather) lateShare(request *http.Request) float64 {
	if p.late > 0 && request.Method == http.MethodPost && strings.HasSuffix(request.URL.Path, "/Messages") {
		return max(p.late, 0.3)
	}
	return p.late
}

// twilioLink carries a replica's requests to Twilio.
type twilioLink struct{ replica *replica }

// RoundTrip carries a request. Requests that were sent at one moment and get no answer are given up at moments of their own.
func (l twilioLink) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := l.carry(request)
	if err != nil || answer.StatusCode >= http.StatusBadRequest {
		l.replica.w.checker.fails(l.replica, request.URL.Path)
	}
	if err != nil && request.Context().Err() != nil {
		draw := l.replica.w.dice.roll(l.replica.name + " gives up " + request.Method + " " + request.URL.String())
		time.Sleep(between(draw, time.Nanosecond, time.Millisecond))
	}
	return answer, err
}

// carry lets a request take its time, and go wrong as the weather has it. Everything takes effect at a moment of its own.
func (l twilioLink) carry(request *http.Request) (*http.Response, error) {
	r, w := l.replica, l.replica.w
	ctx := request.Context()
	body, err := readAll(request)
	if err != nil {
		return nil, err
	}
	draw := w.dice.roll(r.name + " " + request.Method + " " + request.URL.String() + " " + string(body))
	if !r.thaw(draw) {
		return nil, errCrashed
	}
	asked := newAttempt(r, request, body)
	w.tally.count("requests to Twilio", 1)
	there, back := between(draw, 5*time.Millisecond, 150*time.Millisecond), between(draw, 5*time.Millisecond, 150*time.Millisecond)
	if err := r.pause(ctx, there); err != nil {
		return nil, err
	}
	answer, failed := w.failure(draw, request)
	switch failed {
	case "":
	case "lost", "late":
		w.tally.count("answers lost", 1)
		return nil, l.getsNoAnswer(ctx, draw, failed, asked)
	case "slow":
		if err := r.pause(ctx, between(draw, time.Second, farOff)); err != nil {
			return nil, err
		}
	default:
		w.tally.count("requests that failed", 1)
		w.tell("%s: %s %s: %s", r.name, request.Method, request.URL.Path, failed)
		if answer == nil {
			return nil, errReset
		}
		return answer, nil
	}
	if r.crashesAtWrite(draw, request.Method != http.MethodGet, func() { w.execute(draw, asked) }) {
		return nil, errCrashed
	}
	done := w.execute(draw, asked)
	learnt := w.checker.learns(asked)
	if err := r.hears(ctx, draw, back); err != nil {
		return nil, err
	}
	learnt()
	return done, nil
}

// getsNoAnswer has a request take effect whose answer the replica never sees: at once, or after it has given up.
func (l twilioLink) getsNoAnswer(ctx context.Context, draw *rand.Rand, how string, asked *attempt) error {
	r, w := l.replica, l.replica.w
	if how == "lost" {
		w.execute(draw, asked)
		w.tell("%s: the answer is lost", r.name)
		return errReset
	}
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return errReset
	}
	delay := time.Until(deadline) + between(draw, oneOf(draw, 0, lateness*3/4), lateness) // one that is hardly too late does no harm
	later := w.dice.roll("late " + asked.request.URL.String() + " " + string(asked.body))
	time.AfterFunc(max(delay, 0), func() {
		if !w.isOver() {
			w.execute(later, asked)
		}
	})
	return r.hears(ctx, draw, farOff)
}

// failure says what goes wrong with a request, with Twilio's answer if there is one.
func (w *world) failure(draw *rand.Rand, request *http.Request) (*http.Response, string) {
	if w.isCalm() {
		return nil, ""
	}
	if out := w.out(); out != nil {
		return answerOf(request, out.status, out.code, ""), "an outage"
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
		{w.weather.lateShare(request), "late", func() *http.Response { return nil }},
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
func (w *world) execute(draw *rand.Rand, asked *attempt) *http.Response {
	write := asked.method != http.MethodGet
	mischief := write && !w.isCalm() && chance(draw, w.weather.mischief)
	before := chance(draw, 0.5)
	if mischief && before {
		w.mischief(draw, asked.request)
	}
	w.checker.before(asked)
	copied := asked.request.Clone(context.Background())
	copied.Body = io.NopCloser(bytes.NewReader(asked.body))
	recorder := httptest.NewRecorder()
	w.twilioHandler.ServeHTTP(recorder, copied)
	asked.status = recorder.Code
	w.checker.after(asked)
	if write || strings.HasSuffix(asked.path, "/Messages") {
		w.tell("%s: %s %s %s: %d", asked.replica.name, asked.method, asked.path, readable(asked.form), recorder.Code)
	}
	if mischief && !before {
		w.mischief(draw, asked.request)
	}
	response := recorder.Result()
	response.Request = asked.request
	return response
}

// readable is a form for a reader: the attributes without what Flex has put there.
func readable(form url.Values) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(form)) {
		value := form.Get(name)
		if own, found := marker.In(value); name == "Attributes" && found {
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
	if request.URL.Host != w.publicURL.Host {
		return answerOf(request, http.StatusNoContent, 0, ""), nil // somebody else's
	}
	w.tally.count("callbacks", 1)
	draw := w.dice.roll("callback " + request.URL.String() + " " + string(body))
	timer := time.NewTimer(between(draw, 10*time.Millisecond, 300*time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-request.Context().Done():
		return nil, request.Context().Err()
	}
	if w.isCalm() && !w.weather.callbacksStayLost {
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
		w.lost(body)
		return nil, errReset
	case w.isCalm():
	case chance(draw, w.weather.callbackFails):
		return answerOf(request, http.StatusBadGateway, 0, ""), nil
	case chance(draw, w.weather.callbackLate):
		again(oneOf(draw, 10*time.Second, 5*time.Minute, time.Hour))
		w.lost(body)
		return answerOf(request, http.StatusNoContent, 0, ""), nil
	case chance(draw, w.weather.callbackRepeated):
		again(oneOf(draw, 300*time.Millisecond, 300*time.Millisecond, 2*time.Second, 10*time.Minute, 3*time.Hour))
	}
	return w.deliver(draw, request, body)
}

// lost takes note of a callback that did not come when it should.
func (w *world) lost(body []byte) {
	w.tally.count("callbacks lost", 1)
	form, _ := w.reads(body)
	w.tell("a callback is lost: %s %s", form.Get("EventType"), form.Get("ConversationSid"))
}

// reads is a callback's form, and the talk whose conversation it names; nil if it names none.
func (w *world) reads(body []byte) (url.Values, *talk) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		panic(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return form, w.talks[form.Get("ConversationSid")]
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
	came := w.checker.comes(r, request, body)
	r.receiver.ServeHTTP(recorder, copied)
	w.checker.answered(r, request, body, recorder.Code)
	if recorder.Code < 300 {
		w.checker.tookAccept(body)
	}
	w.checker.cameAndWent(came, recorder.Code)
	if form, t := w.reads(body); t != nil && form.Get("StateTo") == "inactive" && recorder.Code < 300 {
		t.mu.Lock()
		t.calledAt = time.Now()
		t.mu.Unlock()
	}
	return recorder.Result(), nil
}

// attempt is one request of a replica.
type attempt struct {
	replica      *replica
	request      *http.Request
	body         []byte
	method, path string
	form         url.Values // of a write
	status       int        // once it has taken effect
	// sent is when the replica sent the request, and known what it had read by then of what the request is about.
	sent  time.Time
	known reading
}

// newAttempt is a request that a replica sends now.
func newAttempt(r *replica, request *http.Request, body []byte) *attempt {
	a := &attempt{replica: r, request: request, body: body, method: request.Method, path: request.URL.Path, sent: time.Now()}
	if a.method != http.MethodGet {
		a.form, _ = url.ParseQuery(string(body))
	}
	a.known = r.w.checker.known(a)
	return a
}

// byConversation is how the tasks of a conversation are asked for.
var byConversation = regexp.MustCompile(`^conversationSid == "(CH[0-9a-f]{32})"$`)

// conversation is the conversation that the request is about; empty if it names none.
func (a *attempt) conversation(tasks map[string]string) string {
	parts := strings.Split(a.path, "/")
	for i, part := range parts {
		switch {
		case part == "Conversations" && i+1 < len(parts):
			return parts[i+1]
		case part == "Tasks" && i+1 < len(parts):
			return tasks[parts[i+1]]
		case part == "Tasks":
			if match := byConversation.FindStringSubmatch(a.request.URL.Query().Get("EvaluateTaskAttributes")); match != nil {
				return match[1]
			}
		}
	}
	return ""
}
