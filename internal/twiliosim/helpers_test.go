package twiliosim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// start is when every test's clock starts: not on a full second, because the wire has none.
var start = time.Date(2026, 3, 1, 12, 0, 0, 250e6, time.UTC)

// world is a simulator behind HTTP, on a virtual clock.
type world struct {
	*Simulator
	t      *testing.T
	clock  *clocktesting.FakeClock
	server *httptest.Server
}

func newWorld(t *testing.T, change ...func(*Options)) *world {
	t.Helper()
	clock := clocktesting.NewFakeClock(start)
	opts := Options{Clock: clock, AuthToken: "12345", APIKeySID: "SKkey", APIKeySecret: "secret"}
	for _, f := range change {
		f(&opts)
	}
	w := &world{Simulator: New(opts), t: t, clock: clock}
	w.server = httptest.NewServer(w.Handler())
	t.Cleanup(func() {
		w.server.Close()
		w.Close()
	})
	return w
}

// answer is what a REST request got.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (a answer) code() int { n, _ := a.body["code"].(float64); return int(n) }
func (a answer) text(path ...string) string {
	s, _ := follow(a.body, path).(string)
	return s
}
func (a answer) items(key string) []map[string]any {
	var items []map[string]any
	list, _ := a.body[key].([]any)
	for _, item := range list {
		items = append(items, item.(map[string]any))
	}
	return items
}

// form makes a form of name=value pairs; a name may repeat.
func form(pairs ...string) url.Values {
	v := url.Values{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		v.Add(name, value)
	}
	return v
}

// do makes a REST request; headers are "Name: value".
func (w *world) do(method, path string, f url.Values, headers ...string) answer {
	w.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = w.server.URL + path
	}
	var body io.Reader
	if f != nil {
		body = strings.NewReader(f.Encode())
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	r.SetBasicAuth(w.AccountSID(), w.AuthToken())
	if f != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &a.body); err != nil {
			w.t.Fatalf("%s %s: answer %q: %v", method, path, raw, err)
		}
	}
	return a
}

func (w *world) get(path string) answer { w.t.Helper(); return w.do("GET", path, nil) }
func (w *world) post(path string, pairs ...string) answer {
	w.t.Helper()
	return w.do("POST", path, form(pairs...))
}

// must is post that has to be accepted.
func (w *world) must(path string, pairs ...string) answer {
	w.t.Helper()
	a := w.post(path, pairs...)
	if a.status >= 300 {
		w.t.Fatalf("POST %s %v: status %d: %v", path, pairs, a.status, a.body)
	}
	return a
}

// step moves the clock and waits until everything it caused was done and delivered.
func (w *world) step(d time.Duration) {
	w.t.Helper()
	w.clock.Step(d)
	w.settled()
}

func (w *world) settled() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	if err := w.WaitIdle(ctx); err != nil {
		w.t.Fatalf("the simulator does not come to rest: %v", err)
	}
}

// sms starts an SMS conversation; accepted also has it accepted.
func (w *world) sms(from string) Started {
	w.t.Helper()
	started, err := w.StartConversation("sms", from, "Hello")
	w.ok(err)
	return started
}

func (w *world) accepted(from string) Started {
	w.t.Helper()
	started := w.sms(from)
	w.ok(w.Accept(started.ReservationSID))
	return started
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func taskPath(s Started) string         { return "/v1/Workspaces/" + s.WorkspaceSID + "/Tasks/" + s.TaskSID }
func conversationPath(s Started) string { return "/v1/Conversations/" + s.ConversationSID }
func channelPath(s Started) string {
	return "/v1/Interactions/" + s.InteractionSID + "/Channels/" + s.ChannelSID
}

func (w *world) conversationState(s Started) string {
	w.t.Helper()
	c, known := w.State().Conversation(s.ConversationSID)
	if !known {
		return "gone"
	}
	return c.State
}

func (w *world) taskStatus(sid string) string {
	w.t.Helper()
	t, known := w.State().Task(sid)
	if !known {
		return "gone"
	}
	return t.Status
}

// callback is one that an endpoint received.
type callback struct {
	method, path, signature, idempotency string
	form                                 url.Values
}

// endpoint is somebody's callback endpoint.
type endpoint struct {
	*httptest.Server
	mu       sync.Mutex
	received []callback
	answers  []int // statuses of the next answers; 204 when there are none
}

func newEndpoint(t *testing.T, answers ...int) *endpoint {
	t.Helper()
	e := &endpoint{answers: answers}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Errorf("callback: %v", err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.received = append(e.received, callback{
			method: r.Method, path: r.URL.RequestURI(), form: r.PostForm,
			signature: r.Header.Get("X-Twilio-Signature"), idempotency: r.Header.Get("I-Twilio-Idempotency-Token"),
		})
		status := http.StatusNoContent
		if len(e.answers) > 0 {
			status, e.answers = e.answers[0], e.answers[1:]
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) callbacks() []callback {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]callback(nil), e.received...)
}

// events are the types of what was received, in order.
func (e *endpoint) events() []string {
	var names []string
	for _, c := range e.callbacks() {
		names = append(names, c.form.Get("EventType"))
	}
	return names
}

func jsonOf(pairs ...any) string {
	m := map[string]any{}
	for pair := range slices.Chunk(pairs, 2) {
		m[fmt.Sprint(pair[0])] = pair[1]
	}
	return encode(m)
}
