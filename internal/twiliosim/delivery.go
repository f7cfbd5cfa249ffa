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
)

const (
	// conversationsTimeout is how long Conversations waits for a webhook's answer
	// (https://www.twilio.com/docs/conversations-classic/conversations-webhooks).
	conversationsTimeout = 5 * time.Second
	// firstRetryDelay is the pause before the first retry; it doubles with each. Twilio documents the number of retries
	// and the total time, not the pauses.
	firstRetryDelay = 250 * time.Millisecond
	// maxCallbackAnswer bounds what is read of an endpoint's answer.
	maxCallbackAnswer = 64 << 10
)

var (
	errConnectTimeout = errors.New("the connection was not made in time")
	errReadTimeout    = errors.New("the answer did not come in time")
)

// delivery is a callback on its way.
type delivery struct {
	key     string // callbacks with one key are first tried in order
	event   string
	url     string // without fragment
	method  string
	form    url.Values
	token   string // idempotency token, the same in every attempt
	limits  overrides
	attempt int
	first   time.Time // of the first attempt, by the simulator's clock
	due     time.Time // of this attempt
}

func newCallbackClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DialContext: (&net.Dialer{}).DialContext, MaxIdleConnsPerHost: 8},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// send puts a callback on its way. The caller holds the state.
func (s *Simulator) send(d *delivery) {
	if s.closed {
		return
	}
	s.sequence++
	d.url, _, _ = strings.Cut(d.url, "#")
	d.token = digest(fmt.Sprint(s.accountSID, "delivery", s.sequence))
	d.first, d.due = s.now, s.now
	s.dispatch(d)
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
		s.wg.Go(func() { s.drain(d.key) })
	}
}

// drain delivers what is queued under a key, one after the other.
func (s *Simulator) drain(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.outbox[key]) > 0 {
		d := s.outbox[key][0]
		s.outbox[key] = s.outbox[key][1:]
		token := s.authToken
		s.mu.Unlock()
		status, err := s.attempt(d, token)
		s.mu.Lock()
		s.settle()
		s.delivered(d, status, err)
		s.inFlight--
		s.idle.Broadcast()
	}
	delete(s.outbox, key)
}

// delivered journals an attempt and schedules the next one when the overrides ask for it. The caller holds the state.
func (s *Simulator) delivered(d *delivery, status int, err error) {
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
	next.due = d.due.Add(firstRetryDelay << (d.attempt - 1))
	if next.due.Sub(d.first) > d.limits.total {
		return
	}
	s.at(next.due, func() { s.dispatch(&next) })
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

// attempt makes one HTTP exchange, signed with the token.
func (s *Simulator) attempt(d *delivery, token string) (status int, err error) {
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
