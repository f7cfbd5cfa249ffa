package twiliosim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

const (
	// conversationsTimeout is how long Conversations waits for a webhook's answer
	// (https://www.twilio.com/docs/conversations-classic/conversations-webhooks).
	conversationsTimeout = 5 * time.Second
	// firstRetryDelay is the pause before the first retry; it doubles with each. Twilio documents the number of retries
	// and the total time, not the pauses.
	firstRetryDelay = 250 * time.Millisecond
	// patience is how long a callback waits for the one before it when Dialect.Deliveries makes the order: enough for every
	// endpoint that answers at all, so that a run can be repeated exactly, and little to those behind one that hangs. Like
	// the other limits of an exchange it is real time.
	patience = 200 * time.Millisecond
	// maxCallbackAnswer bounds what is read of an endpoint's answer.
	maxCallbackAnswer = 64 << 10
)

var (
	errConnectTimeout = errors.New("the connection was not made in time")
	errReadTimeout    = errors.New("the answer did not come in time")
)

// delivery is a callback on its way.
type delivery struct {
	key    string // callbacks with one key are first tried in order
	event  string
	url    string // without fragment
	method string
	form   url.Values
	token  string // idempotency token, the same in every attempt
	limits overrides
	// sequence is the callback's place among those of its moment. Retries keep it: their order, and the SIDs made after
	// them, must not depend on which of several exchanges ends first.
	sequence int64
	attempt  int
	first    time.Time // of the first attempt, by the simulator's clock
	due      time.Time // of this attempt
}

func newCallbackClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DialContext: (&net.Dialer{}).DialContext, MaxIdleConnsPerHost: 8},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// send puts a callback on its way: once, or as the dialect says. The caller holds the state.
func (s *Simulator) send(d *delivery) {
	if s.closed {
		return
	}
	s.sequence++
	d.url, _, _ = strings.Cut(d.url, "#")
	d.token = digest(fmt.Sprint(s.accountSID, "delivery", s.sequence))
	d.sequence = s.sequence
	d.first, d.due = s.now, s.now
	if s.opts.Dialect.Deliveries == nil {
		s.dispatch(d)
		return
	}
	s.callbacks++
	delays := s.opts.Dialect.Deliveries(s.callbacks, d.event)
	if len(delays) == 0 {
		s.logf("callback %d %s lost", s.callbacks, d.event)
	}
	for i, delay := range delays {
		repeated := *d
		repeated.key = fmt.Sprint(d.token, i) // in no order with others
		if delay <= 0 {
			s.dispatch(&repeated)
			continue
		}
		repeated.first = s.now.Add(delay)
		repeated.due = repeated.first
		s.schedule(repeated.due, repeated.sequence, func() { s.dispatch(&repeated) })
	}
}

// dispatch queues an attempt behind those with the same key. The caller holds the state.
func (s *Simulator) dispatch(d *delivery) {
	if s.closed {
		return
	}
	d.attempt++
	s.inFlight++
	waiting, busy := s.outbox[d.key]
	s.outbox[d.key] = append(waiting, d)
	if !busy {
		before, started := s.started, make(chan struct{})
		s.started = started
		s.wg.Go(func() { s.drain(d.key, before, sync.OnceFunc(func() { close(started) })) })
	}
}

// drain delivers what is queued under a key, one after the other. Keys start in the order in which they were queued:
// each when before is done, and it calls next for the following one. They run side by side, so how they end is up to the
// endpoints; those of Dialect.Deliveries follow one upon the other's end.
func (s *Simulator) drain(key string, before <-chan struct{}, next func()) {
	<-before
	defer next()
	started := next
	if s.opts.Dialect.Deliveries != nil {
		started = func() { time.AfterFunc(patience, next) }
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.outbox[key]) > 0 {
		d := s.outbox[key][0]
		s.outbox[key] = s.outbox[key][1:]
		token := s.authToken
		s.mu.Unlock()
		began := s.clock.Now()
		status, err := s.attempt(d, token, started)
		took := s.exchangeTime(began)
		s.mu.Lock()
		s.settle()
		s.delivered(d, took, status, err)
		s.inFlight--
		s.idle.Broadcast()
	}
	delete(s.outbox, key)
}

// exchangeTime is how long ago an exchange began. On a fake clock it takes no time, also when that is stepped meanwhile:
// it has not waited for the step.
func (s *Simulator) exchangeTime(began time.Time) time.Duration {
	if _, passes := s.clock.(clock.RealClock); passes {
		return s.clock.Since(began)
	}
	return 0
}

// delivered journals an attempt and schedules the next one when the overrides ask for it. The caller holds the state.
func (s *Simulator) delivered(d *delivery, took time.Duration, status int, err error) {
	entry := Entry{
		Kind: KindCallback, Method: d.method, URL: d.url, Form: d.form, Event: d.event, Status: status, Attempt: d.attempt,
	}
	if err != nil {
		entry.Error = err.Error()
	}
	s.record(&entry)
	failure := classify(status, err)
	if failure == "" || d.attempt > d.limits.retries || !d.limits.retry(failure) {
		return
	}
	next := *d
	next.due = d.due.Add(took + firstRetryDelay<<(d.attempt-1))
	if next.due.Sub(d.first) > d.limits.total {
		return
	}
	s.schedule(next.due, next.sequence, func() { s.dispatch(&next) })
}

// classify names a failure as the retry policy does; "" is success.
func classify(status int, err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, errConnectTimeout):
		return failConnect
	case errors.Is(err, errReadTimeout), errors.As(err, &timeout) && timeout.Timeout():
		return failRead
	case err != nil:
		return failConnect
	case status >= 500:
		return fail5xx
	case status >= 400:
		return fail4xx
	}
	return ""
}

// attempt makes one HTTP exchange, signed with the token, and calls started right before it.
func (s *Simulator) attempt(d *delivery, token string, started func()) (status int, err error) {
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	stop := watch(&ctx, cancel, d.limits)
	defer stop()

	address, body := d.url, d.form.Encode()
	signed := d.form
	if d.method == http.MethodGet {
		separator := "?"
		if strings.Contains(address, "?") {
			separator = "&"
		}
		address, body, signed = address+separator+body, "", nil
	}
	req, err := http.NewRequestWithContext(ctx, d.method, address, strings.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("make the request: %w", err)
	}
	if d.method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	}
	req.Header.Set("User-Agent", "TwilioProxy/1.1")
	req.Header.Set("X-Twilio-Signature", Signature(token, address, signed))
	req.Header.Set("I-Twilio-Idempotency-Token", d.token)
	started()
	resp, err := s.client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return 0, fmt.Errorf("deliver to %s: %w", d.url, err)
	}
	defer resp.Body.Close()
	// The answer's body means nothing to Twilio; it is read so that the connection can be used again.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxCallbackAnswer))
	return resp.StatusCode, nil
}

// watch bounds an exchange: first the connecting, then the answering. It replaces ctx by one that notices when the
// connection stands; stop ends the watching.
func watch(ctx *context.Context, cancel context.CancelCauseFunc, limits overrides) (stop func()) {
	var mu sync.Mutex
	timer := time.AfterFunc(limits.connect, func() { cancel(errConnectTimeout) })
	*ctx = httptrace.WithClientTrace(*ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		mu.Lock()
		defer mu.Unlock()
		if timer.Stop() {
			timer = time.AfterFunc(limits.read, func() { cancel(errReadTimeout) })
		}
	}})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		timer.Stop()
	}
}
