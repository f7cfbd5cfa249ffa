package twilio

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/twilio/twilio-go/client"
)

const (
	hex32        = "0123456789abcdef0123456789abcdef"
	accountSID   = "AC" + hex32
	keySID       = "SK" + hex32
	workspaceSID = "WS" + hex32
	taskSID      = "WT" + hex32
	conversation = "CH" + hex32
	interaction  = "KD" + hex32
	channel      = "UO" + hex32
	messageSID   = "IM" + hex32
	webhookSID   = "WH" + hex32
	contentSID   = "HX" + hex32
	token        = "5ecre7-t0ken-canary"
)

func testCredentials() Credentials {
	return Credentials{AccountSID: accountSID, AuthToken: token}
}

// fakeClock moves only when somebody sleeps, and remembers for how long.
type fakeClock struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
	// onSleep, when set, runs before each sleep.
	onSleep func()
}

func newFakeClock() *fakeClock {
	return &fakeClock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	if c.onSleep != nil {
		c.onSleep()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.slept = append(c.slept, d)
	return nil
}

// roundTripFunc is a transport without a network.
type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// received is what a server saw of a request.
type received struct {
	Method string
	Path   string
	Query  url.Values
	Form   url.Values
	Header http.Header
}

// recorder is a server that answers from a list, the last answer again and again, and keeps the requests.
type recorder struct {
	*httptest.Server
	mu       sync.Mutex
	requests []received
}

type reply struct {
	status int
	header map[string]string
	body   string
}

func (r reply) write(w http.ResponseWriter) {
	for name, v := range r.header {
		w.Header().Set(name, v)
	}
	if r.status == 0 {
		r.status = http.StatusOK
	}
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, r.body)
}

func serve(t *testing.T, replies ...reply) *recorder {
	t.Helper()
	r := &recorder{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		form, _ := url.ParseQuery(string(body))
		r.mu.Lock()
		r.requests = append(r.requests, received{req.Method, req.URL.Path, req.URL.Query(), form, req.Header})
		n := len(r.requests)
		r.mu.Unlock()
		replies[min(n, len(replies))-1].write(w)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) seen() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.requests...)
}

// clientFor returns a client whose base URL is the server, unless the options say otherwise.
func clientFor(t *testing.T, opts Options, creds Credentials) *Client {
	t.Helper()
	if opts.Clock == nil {
		opts.Clock = newFakeClock()
	}
	pool, err := NewPool(opts)
	if err != nil {
		t.Fatalf("NewPool: %v", err)
	}
	c, err := pool.Client(creds)
	if err != nil {
		t.Fatalf("Pool.Client: %v", err)
	}
	return c
}

func testClient(t *testing.T, baseURL string) *Client {
	t.Helper()
	return clientFor(t, Options{BaseURL: baseURL}, testCredentials())
}

// toServer sends every request to one server, whatever its host: the only way to get twilio-go's client there.
type toServer struct{ base string }

func (s toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	base, err := url.Parse(s.base)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = base.Scheme, base.Host
	return http.DefaultTransport.RoundTrip(r)
}

// plainSDK is twilio-go's own client, configured as its NewRestClient does, on a transport.
func plainSDK(transport http.RoundTripper, password string) *sdk.RequestHandler {
	c := &sdk.Client{
		Credentials: sdk.NewCredentials(accountSID, password),
		HTTPClient: &http.Client{
			Transport:     transport,
			Timeout:       10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	c.SetAccountSid(accountSID)
	return &sdk.RequestHandler{Client: c}
}

func taskJSON() string {
	return fmt.Sprintf(`{"sid":%q,"workspace_sid":%q,"assignment_status":"assigned","attributes":"{\"conversationSid\":\"%s\"}"}`, taskSID, workspaceSID, conversation)
}

func refusalJSON(status, code int, message string) reply {
	body, _ := json.Marshal(map[string]any{"status": status, "code": code, "message": message, "more_info": fmt.Sprintf("https://www.twilio.com/docs/errors/%d", code)})
	return reply{status: status, body: string(body), header: map[string]string{"Content-Type": "application/json"}}
}

// pageJSON is one page of a list.
func pageJSON(key, nextPageURL string, items ...string) string {
	next, _ := json.Marshal(nextPageURL)
	if nextPageURL == "" {
		next = []byte("null")
	}
	return fmt.Sprintf(`{%q:[%s],"meta":{"key":%q,"page":0,"page_size":50,"next_page_url":%s}}`, key, strings.Join(items, ","), key, next)
}

func asError(t *testing.T, err error) *Error {
	t.Helper()
	e, ok := err.(*Error) //nolint:errorlint // every error of the package is exactly this
	if !ok {
		t.Fatalf("error is %T (%v), want *Error", err, err)
	}
	return e
}
