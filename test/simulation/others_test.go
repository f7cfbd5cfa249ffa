package simulation

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/http"
	"time"
)

// others is the party that workspaces called before the operator: how often what goes wrong with it, as probabilities, and
// when it is down.
type others struct {
	fails, throttled, refuses, reset, lost, slow, silent float64
	outages                                              []period
}

// drawOthers draws how the other party is. Nothing is wrong with it once the faults have ceased.
func (w *world) drawOthers(draw *rand.Rand) others {
	little := func() float64 { return oneOf(draw, 0, 0, 0.05, 0.2, 0.4) }
	drawn := others{
		fails: little(), throttled: little(), refuses: oneOf(draw, 0, 0, 0.05), reset: little(), lost: little(), slow: little(),
		silent: oneOf(draw, 0, 0, 0.05, 0.2),
	}
	for part, probability := range map[string]*float64{
		"500 of others": &drawn.fails, "429 of others": &drawn.throttled, "404 of others": &drawn.refuses, "resets by others": &drawn.reset,
		"lost answers of others": &drawn.lost, "slow others": &drawn.slow, "silent others": &drawn.silent,
	} {
		if !w.plays(part) {
			*probability = 0
		}
	}
	for range draw.IntN(20) {
		from := w.begun.Add(between(draw, 0, w.calm.Sub(w.begun)))
		down := period{from, from.Add(between(draw, time.Minute, 10*time.Minute))}
		if w.plays("outages of others") {
			drawn.outages = append(drawn.outages, down)
		}
	}
	return drawn
}

// fault is what goes wrong with an event that comes to the other party now; nothing if all is well.
func (o others) fault(draw *rand.Rand) string {
	for _, down := range o.outages {
		if down.has(time.Now()) {
			return oneOf(draw, "reset", "500", "silent")
		}
	}
	for _, fault := range []struct {
		probability float64
		what        string
	}{
		{o.fails, "500"}, {o.throttled, "429"}, {o.refuses, "404"}, {o.reset, "reset"}, {o.lost, "lost"}, {o.slow, "slow"}, {o.silent, "silent"},
	} {
		if chance(draw, fault.probability) {
			return fault.what
		}
	}
	return ""
}

// othersLink carries the events that a replica forwards.
type othersLink struct{ replica *replica }

// RoundTrip takes an event to the other party, unless the replica has crashed.
func (l othersLink) RoundTrip(request *http.Request) (*http.Response, error) {
	r, w := l.replica, l.replica.w
	body, err := readAll(request)
	if err != nil {
		return nil, err
	}
	if r.crashed() {
		return nil, errCrashed
	}
	draw := w.dice.roll(r.name + " forwards to " + request.URL.String() + " " + string(body))
	tried := w.checker.forwards(r, request, body)
	status, err := l.exchange(request.Context(), draw)
	if r.crashed() {
		return nil, errCrashed // whoever waited for the answer is gone
	}
	w.checker.forwarded(tried, status)
	if err != nil {
		return nil, err
	}
	return answerOf(request, status, 0, ""), nil
}

// exchange lets the request take its time, and go wrong as the other party has it. The status is 0 when there is no answer.
func (l othersLink) exchange(ctx context.Context, draw *rand.Rand) (status int, err error) {
	r, w := l.replica, l.replica.w
	if !r.thaw(draw) {
		return 0, errCrashed
	}
	if err := r.pause(ctx, between(draw, 5*time.Millisecond, 150*time.Millisecond)); err != nil {
		return 0, err
	}
	status = http.StatusNoContent
	if !w.isCalm() {
		switch w.others.fault(draw) {
		case "500":
			status = oneOf(draw, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable)
		case "429":
			status = http.StatusTooManyRequests
		case "404":
			status = http.StatusNotFound
		case "reset":
			return 0, errReset
		case "lost": // the other party has taken the event, which whoever sent it cannot know
			err = r.hears(ctx, draw, between(draw, 5*time.Millisecond, 150*time.Millisecond))
			return 0, cmp.Or(err, errReset)
		case "slow":
			err = r.hears(ctx, draw, between(draw, time.Second, farOff))
		case "silent":
			err = r.hears(ctx, draw, time.Hour)
		}
	}
	if err == nil {
		err = r.hears(ctx, draw, between(draw, 5*time.Millisecond, 150*time.Millisecond))
	}
	if err != nil {
		return 0, err
	}
	return status, nil
}

// phone has customers call now and then, whom agents answer: events that the operator has nothing to do about but to
// forward them.
func (w *world) phone(draw *rand.Rand) {
	every := oneOf(draw, 10*time.Minute, time.Hour)
	for {
		time.Sleep(between(draw, time.Second, every))
		if w.isSilent() {
			return
		}
		called, err := w.twilio.StartVoiceTask()
		if err != nil {
			panic(err)
		}
		w.tally.count("calls", 1)
		w.tell("somebody calls: task %s", called.TaskSID)
		time.Sleep(between(draw, 10*time.Millisecond, 5*time.Second))
		if err := w.twilio.Accept(called.ReservationSID); err != nil {
			panic(err)
		}
		time.Sleep(between(draw, 10*time.Millisecond, oneOf(draw, time.Second, 3*time.Minute)))
		if err := w.twilio.AgentCompletes(called.TaskSID); err != nil {
			panic(err)
		}
	}
}
