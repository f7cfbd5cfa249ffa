package twilio

import (
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The calls of the table in operations.go, by how they may be repeated.
var (
	callRead = func(ctx context.Context, c *Client) error {
		_, err := c.GetTask(ctx, workspaceSID, taskSID)
		return err
	}

	callsIdempotent = map[string]func(context.Context, *Client) error{
		"UpdateWorkspaceCallback": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateWorkspaceCallback(ctx, workspaceSID, "u", "f")
			return err
		},
		"UpdateConversation that arms": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateConversation(ctx, conversation, ConversationUpdate{State: "active", InactiveTimer: "PT1M"})
			return err
		},
	}
	callsOnce = map[string]func(context.Context, *Client) error{
		"UpdateConversation that closes": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateConversation(ctx, conversation, ConversationUpdate{State: "closed"})
			return err
		},
		"UpdateTaskAttributes": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateTaskAttributes(ctx, workspaceSID, taskSID, `"1"`, "{}")
			return err
		},
		"UpdateTaskStatus": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateTaskStatus(ctx, workspaceSID, taskSID, "completed", "")
			return err
		},
		"CreateMessage": func(ctx context.Context, c *Client) error {
			_, err := c.CreateMessage(ctx, conversation, NewMessage{Body: "b"})
			return err
		},
		"CreateWebhook": func(ctx context.Context, c *Client) error {
			_, err := c.CreateWebhook(ctx, conversation, NewWebhook{URL: "u", Filters: []string{"f"}})
			return err
		},
		"CloseInteractionChannel": func(ctx context.Context, c *Client) error {
			return c.CloseInteractionChannel(ctx, interaction, channel, true)
		},
	}
)

// good answers any call of these tests with the resource it asks for.
func good(r *http.Request) reply {
	parts := strings.Split(r.URL.Path, "/")
	sid := parts[len(parts)-1]
	if len(sid) != 34 { // a list that something is created in
		sid = "XX" + hex32
	}
	return reply{body: `{"sid":"` + sid + `"}`}
}

// failFirst fails n requests and answers the others well.
func failFirst(t *testing.T, n int64, fail func(http.ResponseWriter)) (url string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if requests.Add(1) <= n {
			fail(w)
			return
		}
		good(r).write(w)
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.Close()
}

// cutShort promises more than it sends.
func cutShort(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "500")
	_, _ = io.WriteString(w, `{"sid":`)
	panic(http.ErrAbortHandler)
}

func answerWith(r reply) func(http.ResponseWriter) { return func(w http.ResponseWriter) { r.write(w) } }

func TestEveryCallIsRepeatedAfter429(t *testing.T) {
	t.Parallel()
	calls := map[string]func(context.Context, *Client) error{"GetTask": callRead}
	maps.Copy(calls, callsIdempotent)
	maps.Copy(calls, callsOnce)
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, requests := failFirst(t, 2, answerWith(refusalJSON(429, 20429, "Too Many Requests")))
			if err := call(t.Context(), testClient(t, url)); err != nil {
				t.Errorf("call: %v", err)
			}
			if requests.Load() != 3 {
				t.Errorf("%d requests, want 3", requests.Load())
			}
		})
	}
}

func TestOnlyReadsAndIdempotentWritesAreRepeatedAfterAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	failures := map[string]func(http.ResponseWriter){
		"500":                    answerWith(refusalJSON(500, 20500, "Internal Server Error")),
		"503 of a proxy":         answerWith(reply{status: 503, body: "<html>"}),
		"a closed connection":    hangUp,
		"an answer cut short":    cutShort,
		"an answer with no body": func(w http.ResponseWriter) { w.Header().Set("Content-Length", "9"); panic(http.ErrAbortHandler) },
	}
	for failure, fail := range failures {
		t.Run(failure, func(t *testing.T) {
			t.Parallel()
			run := func(name string, call func(context.Context, *Client) error, repeated bool) {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					url, requests := failFirst(t, 1, fail)
					err := call(t.Context(), testClient(t, url))
					if repeated {
						if err != nil || requests.Load() != 2 {
							t.Errorf("%v after %d requests; want success at the second", err, requests.Load())
						}
						return
					}
					if !OutcomeUnknown(err) || IsRefused(err) || requests.Load() != 1 {
						t.Errorf("%v after %d requests; want an unknown outcome after one", err, requests.Load())
					}
				})
			}
			run("GetTask", callRead, true)
			for name, call := range callsIdempotent {
				run(name, call, true)
			}
			for name, call := range callsOnce {
				run(name, call, false)
			}
		})
	}
}

func TestAReadWhoseAnswersAreLostHasNoUnknownOutcome(t *testing.T) {
	t.Parallel()
	url, requests := failFirst(t, 99, hangUp)
	err := callRead(t.Context(), testClient(t, url))
	e := asError(t, err)
	if OutcomeUnknown(err) || e.Status != 0 || e.Attempts != maxAttempts || requests.Load() != maxAttempts || !errors.Is(err, io.EOF) {
		t.Errorf("%+v after %d requests; want no answer after %d attempts", *e, requests.Load(), maxAttempts)
	}
}

func TestEveryCallIsRepeatedWhenThereWasNoConnection(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for name, cause := range map[string]error{"refused": refused, "unknown host": &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}} {
		for call, do := range callsOnce {
			t.Run(name+" "+call, func(t *testing.T) {
				t.Parallel()
				n := 0
				c := clientFor(t, Options{BaseURL: "http://x.test", Transport: roundTripFunc(func(*http.Request) (*http.Response, error) {
					n++
					return nil, cause
				})}, testCredentials())
				err := do(t.Context(), c)
				if OutcomeUnknown(err) || n != maxAttempts || !errors.Is(err, cause) {
					t.Errorf("%v after %d attempts; want a known failure after %d", err, n, maxAttempts)
				}
			})
		}
	}
}

// The same over a real transport: it says itself that it never got a connection, here because of TLS.
func TestAWriteThatFailedInTheHandshakeIsKnownNotToBeDone(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the request was sent") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	err := callsOnce["CreateMessage"](t.Context(), testClient(t, server.URL))
	e := asError(t, err)
	if e.Unknown || e.Attempts != maxAttempts || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%+v (%v); want an untrusted certificate and a known outcome", *e, err)
	}
}

func TestARefusalIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 400, 401, 403, 404, 409, 412, 422} {
		url, requests := failFirst(t, 1, answerWith(refusalJSON(status, 20001, "no")))
		if err := callRead(t.Context(), testClient(t, url)); err == nil || requests.Load() != 1 {
			t.Errorf("status %d: %v after %d requests; want an error after one", status, err, requests.Load())
		}
	}
}

func TestARefusalAfterALostAnswerDoesNotMeanThatNothingWasDone(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 1 {
			hangUp(w)
			return
		}
		refusalJSON(400, 50377, "closed").write(w)
	}))
	t.Cleanup(server.Close)
	err := callsIdempotent["UpdateConversation that arms"](t.Context(), testClient(t, server.URL))
	if !HasCode(err, 50377) || !OutcomeUnknown(err) || IsRefused(err) {
		t.Errorf("%v: unknown %t, refused %t; want code 50377 of unknown outcome", err, OutcomeUnknown(err), IsRefused(err))
	}
}

func TestWaitsDoubleWithJitterAndKeepRetryAfter(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		retryAfter string
		requests   int64
		low, high  []time.Duration
		after      time.Duration
	}{
		"no header":                       {"", 3, []time.Duration{100 * time.Millisecond, 200 * time.Millisecond}, []time.Duration{200 * time.Millisecond, 400 * time.Millisecond}, 0},
		"two seconds are waited":          {"2", 3, []time.Duration{2 * time.Second, 2 * time.Second}, []time.Duration{2 * time.Second, 2 * time.Second}, 2 * time.Second},
		"three seconds are the caller's":  {"3", 1, nil, nil, 3 * time.Second},
		"a date is compared with Date":    {"Sun, 01 Mar 2026 09:00:05 GMT", 1, nil, nil, 5 * time.Second},
		"a date in the past asks nothing": {"Sun, 01 Mar 2026 08:00:00 GMT", 3, []time.Duration{100 * time.Millisecond, 200 * time.Millisecond}, []time.Duration{200 * time.Millisecond, 400 * time.Millisecond}, 0},
		"a year is an hour":               {"31536000", 1, nil, nil, time.Hour},
		"nonsense asks nothing":           {"soon", 3, []time.Duration{100 * time.Millisecond, 200 * time.Millisecond}, []time.Duration{200 * time.Millisecond, 400 * time.Millisecond}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refusal := refusalJSON(429, 20429, "Too Many Requests")
			refusal.header["Retry-After"] = tc.retryAfter
			refusal.header["Date"] = "Sun, 01 Mar 2026 09:00:00 GMT"
			url, requests := failFirst(t, 99, answerWith(refusal))
			clock := newFakeClock()
			err := callRead(t.Context(), clientFor(t, Options{BaseURL: url, Clock: clock}, testCredentials()))
			if !IsThrottled(err) || requests.Load() != tc.requests || len(clock.slept) != len(tc.low) {
				t.Fatalf("%v after %d requests and waits %v; want %d requests", err, requests.Load(), clock.slept, tc.requests)
			}
			for i, d := range clock.slept {
				if d < tc.low[i] || d > tc.high[i] {
					t.Errorf("wait %d is %s, want %s to %s", i, d, tc.low[i], tc.high[i])
				}
			}
			after, ok := RetryAfter(err)
			if after != tc.after || ok != (tc.after > 0) {
				t.Errorf("RetryAfter = %s, %t; want %s", after, ok, tc.after)
			}
		})
	}
}

func TestTheBackoffIsCappedAndSpread(t *testing.T) {
	t.Parallel()
	distinct := map[time.Duration]bool{}
	for i := range 100 {
		d := backoff(10, float64(i)/100)
		if d < backoffCap/2 || d > backoffCap {
			t.Fatalf("backoff(10, …) = %s, want between %s and %s", d, backoffCap/2, backoffCap)
		}
		distinct[d] = true
	}
	if len(distinct) < 50 {
		t.Errorf("100 waits have %d values", len(distinct))
	}
}

func TestCancellingBetweenAttemptsEndsTheCall(t *testing.T) {
	t.Parallel()
	url, requests := failFirst(t, 99, answerWith(refusalJSON(503, 20503, "Service Unavailable")))
	ctx, cancel := context.WithCancel(t.Context())
	clock := newFakeClock()
	clock.onSleep = cancel
	err := callRead(ctx, clientFor(t, Options{BaseURL: url, Clock: clock}, testCredentials()))
	if !errors.Is(err, context.Canceled) || !IsServerError(err) || requests.Load() != 1 {
		t.Errorf("%v after %d requests; want a 503 that was canceled after one", err, requests.Load())
	}
}

func TestACanceledContextSendsNothing(t *testing.T) {
	t.Parallel()
	server := serve(t, reply{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := callsOnce["CreateMessage"](ctx, testClient(t, server.URL))
	if !errors.Is(err, context.Canceled) || OutcomeUnknown(err) || IsRefused(err) || len(server.seen()) != 0 {
		t.Errorf("%v, %d requests; want a canceled call that was not sent", err, len(server.seen()))
	}
}

func TestTheCauseOfACanceledCallIsItsContextWhateverTheTransportSays(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := clientFor(t, Options{BaseURL: "http://x.test", Transport: roundTripFunc(func(*http.Request) (*http.Response, error) {
		cancel()
		return nil, errors.New("stream 7 was reset")
	})}, testCredentials())
	err := callsOnce["CreateMessage"](ctx, c)
	if !errors.Is(err, context.Canceled) || !OutcomeUnknown(err) {
		t.Errorf("%v; want a canceled call of unknown outcome", err)
	}
}

// In a bubble with its own time and a transport that never answers: nothing waits for real.
func TestAnAttemptEndsWithItsTimeOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		hang := roundTripFunc(func(r *http.Request) (*http.Response, error) {
			attempts++
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		pool, err := NewPool(Options{BaseURL: "http://x.test", Transport: hang, RequestTimeout: 3 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		c, err := pool.Client(testCredentials())
		if err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		err = callsOnce["CreateMessage"](t.Context(), c)
		if !errors.Is(err, context.DeadlineExceeded) || !OutcomeUnknown(err) || attempts != 1 || time.Since(started) != 3*time.Second {
			t.Errorf("write: %v after %d attempts and %s; want one of 3s", err, attempts, time.Since(started))
		}
		if want := "twilio CreateMessage: no answer: none within 3s: context deadline exceeded"; err.Error() != want {
			t.Errorf("text %q, want %q", err, want)
		}

		attempts, started = 0, time.Now()
		err = callRead(t.Context(), c)
		elapsed := time.Since(started)
		if !errors.Is(err, context.DeadlineExceeded) || attempts != 3 || elapsed < 9*time.Second || elapsed > 10*time.Second {
			t.Errorf("read: %v after %d attempts and %s; want three of 3s", err, attempts, elapsed)
		}

		attempts, started = 0, time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = callRead(ctx, c)
		if !errors.Is(err, context.DeadlineExceeded) || attempts != 1 || time.Since(started) != time.Second {
			t.Errorf("the caller's deadline: %v after %d attempts and %s; want one of 1s", err, attempts, time.Since(started))
		}
	})
}

func TestTheObserverHearsOfEveryAttempt(t *testing.T) {
	t.Parallel()
	type heard struct {
		Operation string
		Status    int
	}
	var got []heard
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) {
		case 1:
			hangUp(w)
		case 2:
			reply{status: 502}.write(w)
		default:
			good(r).write(w)
		}
	}))
	t.Cleanup(server.Close)
	clock := newFakeClock()
	observer := func(operation string, status int, elapsed time.Duration) {
		if elapsed != 0 { // the clock moves only between attempts
			t.Errorf("attempt took %s: the wait was counted", elapsed)
		}
		got = append(got, heard{operation, status})
	}
	if err := callRead(t.Context(), clientFor(t, Options{BaseURL: server.URL, Clock: clock, Observer: observer}, testCredentials())); err != nil {
		t.Fatal(err)
	}
	want := []heard{{"GetTask", 0}, {"GetTask", 502}, {"GetTask", 200}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
}
