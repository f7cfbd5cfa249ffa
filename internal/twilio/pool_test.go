package twilio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestAPoolRefusesOptionsThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]Options{
		"no scheme":               {BaseURL: "127.0.0.1:8080"},
		"a host only":             {BaseURL: "simulator"},
		"another scheme":          {BaseURL: "ftp://x.test"},
		"no host":                 {BaseURL: "http:///v1"},
		"a port without a host":   {BaseURL: "http://:8080"},
		"credentials":             {BaseURL: "https://user:" + token + "@x.test"},
		"a query":                 {BaseURL: "https://x.test?a=" + token},
		"an empty query":          {BaseURL: "https://x.test?"},
		"a fragment":              {BaseURL: "https://x.test#" + token},
		"no url at all":           {BaseURL: "http://x.test/%zz" + token},
		"a negative rate":         {RequestsPerSecond: -1},
		"a rate that is none":     {RequestsPerSecond: math.NaN()},
		"a negative burst":        {Burst: -1},
		"a negative concurrency":  {MaxConcurrent: -1},
		"a negative time-out":     {RequestTimeout: -1},
		"a user agent of 2 lines": {UserAgent: "a\nb"},
	} {
		_, err := NewPool(opts)
		if err == nil || !strings.HasPrefix(err.Error(), "check twilio ") || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v; want a refusal that does not repeat the value", name, err)
		}
	}
}

func TestTheHostsFollowRegionEdgeAndBaseURL(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		base, region, edge string
		taskrouter, flex   string
	}{
		"the default":             {"", "", "", "https://taskrouter.twilio.com", "https://flex-api.twilio.com"},
		"a region":                {"", "ie1", "", "https://taskrouter.ie1.twilio.com", "https://flex-api.ie1.twilio.com"},
		"region and edge":         {"", "ie1", "dublin", "https://taskrouter.dublin.ie1.twilio.com", "https://flex-api.dublin.ie1.twilio.com"},
		"an edge is in us1":       {"", "", "ashburn", "https://taskrouter.ashburn.us1.twilio.com", "https://flex-api.ashburn.us1.twilio.com"},
		"a base url":              {"http://127.0.0.1:8080", "ie1", "dublin", "http://127.0.0.1:8080", "http://127.0.0.1:8080"},
		"a base url with a slash": {"http://[::1]:8080/", "", "", "http://[::1]:8080", "http://[::1]:8080"},
		"a base url with a path":  {"https://a.b.c.d.example/twilio/", "", "", "https://a.b.c.d.example/twilio", "https://a.b.c.d.example/twilio"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			creds := testCredentials()
			creds.Region, creds.Edge = tc.region, tc.edge
			c := clientFor(t, Options{BaseURL: tc.base, Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
				if r.Method != http.MethodGet || r.URL.RawQuery != "" {
					t.Errorf("request %s %s", r.Method, r.URL)
				}
				got = append(got, r.URL.String())
				return nil, errors.New("stop")
			})}, creds)
			_, _ = c.GetWorkspace(t.Context(), workspaceSID)
			_, _ = c.GetInteractionChannel(t.Context(), interaction, channel)
			for i, want := range map[int]string{0: tc.taskrouter + "/v1/Workspaces/" + workspaceSID, 3: tc.flex + "/v1/Interactions/" + interaction + "/Channels/" + channel} {
				if len(got) != 6 || got[i] != want {
					t.Errorf("requests %v; want number %d to be %s", got, i, want)
				}
			}
		})
	}
}

func TestCredentialsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	pool, err := NewPool(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, creds := range map[string]Credentials{
		"no account":            {AuthToken: token},
		"no secret":             {AccountSID: accountSID},
		"half a key":            {AccountSID: accountSID, APIKeySID: keySID},
		"a line end":            {AccountSID: accountSID, AuthToken: token + "\n"},
		"a line end in the sid": {AccountSID: accountSID + "\n", AuthToken: token},
		"a colon in the sid":    {AccountSID: "AC:1", AuthToken: token},
		"a region with a host":  {AccountSID: accountSID, AuthToken: token, Region: "evil.example/"},
		"an edge with a hyphen": {AccountSID: accountSID, AuthToken: token, Edge: "-x"},
		"an edge in capitals":   {AccountSID: accountSID, AuthToken: token, Edge: "Dublin"},
		"a long region":         {AccountSID: accountSID, AuthToken: token, Region: strings.Repeat("a", 64)},
	} {
		_, err := pool.Client(creds)
		if err == nil || !strings.HasPrefix(err.Error(), "check credentials: ") || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "evil") {
			t.Errorf("%s: %v; want a refusal that does not repeat the value", name, err)
		}
	}
}

func TestTheSameCredentialsShareAClientAndAnAccountItsLimits(t *testing.T) {
	t.Parallel()
	pool, err := NewPool(Options{})
	if err != nil {
		t.Fatal(err)
	}
	client := func(c Credentials) *Client {
		t.Helper()
		got, err := pool.Client(c)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := client(testCredentials())
	if client(testCredentials()) != first {
		t.Error("the same credentials got another client")
	}
	if first.AccountSID() != accountSID {
		t.Errorf("AccountSID = %s", first.AccountSID())
	}
	rotated := testCredentials()
	rotated.AuthToken = "another"
	second := client(rotated)
	if second == first || second.account != first.account {
		t.Error("another token of the account must be another client with the same limits")
	}
	other := testCredentials()
	other.AccountSID = "AC" + strings.Repeat("f", 32)
	if client(other).account == first.account {
		t.Error("another account shares the limits")
	}
	// Fields must not run into each other in what stands for them.
	a := client(Credentials{AccountSID: accountSID, AuthToken: "t", Region: "ab", Edge: "c"})
	if a == client(Credentials{AccountSID: accountSID, AuthToken: "t", Region: "a", Edge: "bc"}) {
		t.Error("different credentials share a client")
	}
}

func TestThePoolForgetsTheLeastRecentlyUsedClients(t *testing.T) {
	t.Parallel()
	pool, err := NewPool(Options{})
	if err != nil {
		t.Fatal(err)
	}
	creds := func(i int) Credentials {
		return Credentials{AccountSID: fmt.Sprintf("AC%d", i%2), AuthToken: fmt.Sprint("t", i)}
	}
	get := func(i int) *Client {
		c, err := pool.Client(creds(i))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	single, err := pool.Client(Credentials{AccountSID: "ACsingle", AuthToken: "t"})
	if err != nil {
		t.Fatal(err)
	}
	kept := get(0)
	for i := 1; i < maxClients+10; i++ {
		get(i)
		if get(0) != kept {
			t.Fatalf("the client in use was forgotten after %d others", i)
		}
	}
	pool.mu.Lock()
	clients, recent, accounts, count := len(pool.clients), pool.recent.Len(), len(pool.accounts), 0
	for _, a := range pool.accounts {
		count += a.clients
	}
	pool.mu.Unlock()
	if clients != maxClients || recent != maxClients || accounts != 2 || count != maxClients {
		t.Errorf("%d clients, %d in order, %d accounts with %d clients; want %d, %d, 2, %d", clients, recent, accounts, count, maxClients, maxClients, maxClients)
	}
	again, err := pool.Client(Credentials{AccountSID: "ACsingle", AuthToken: "t"})
	if err != nil || again == single || again.account == single.account {
		t.Error("the account of a forgotten client was not forgotten with it")
	}
}

func TestThePoolIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	server := serve(t, reply{body: taskJSON()})
	pool, err := NewPool(Options{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var served ServerTime
	for i := range 8 {
		wg.Go(func() {
			for j := range 5 {
				c, err := pool.Client(Credentials{AccountSID: accountSID, AuthToken: fmt.Sprint("t", (i+j)%3)})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := c.GetTask(WithServerTime(t.Context(), &served), workspaceSID, taskSID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if _, ok := served.Latest(); !ok {
		t.Error("no server time was seen")
	}
}

func TestTheTokenBucketSpacesTheCallsOfAnAccount(t *testing.T) {
	t.Parallel()
	server := serve(t, reply{body: taskJSON()})
	clock := newFakeClock()
	pool, err := NewPool(Options{BaseURL: server.URL, Clock: clock, RequestsPerSecond: 4, Burst: 2})
	if err != nil {
		t.Fatal(err)
	}
	call := func(ctx context.Context, creds Credentials) error {
		c, err := pool.Client(creds)
		if err != nil {
			return err
		}
		return callRead(ctx, c)
	}
	rotated := testCredentials()
	rotated.AuthToken = "another"
	started := clock.Now()
	for i, want := range []time.Duration{0, 0, 250, 500, 750} {
		creds := testCredentials()
		if i%2 == 1 {
			creds = rotated // another client, the same account
		}
		if err := call(t.Context(), creds); err != nil {
			t.Fatal(err)
		}
		if got := clock.Now().Sub(started); got != want*time.Millisecond {
			t.Errorf("call %d left at %s, want %s", i, got, want*time.Millisecond)
		}
	}
	other := testCredentials()
	other.AccountSID = "AC" + strings.Repeat("f", 32)
	if err := call(t.Context(), other); err != nil || clock.Now().Sub(started) != 750*time.Millisecond {
		t.Errorf("another account waited until %s, %v", clock.Now().Sub(started), err)
	}

	// A call that is canceled while it waits gives its token back, and was not sent.
	before := len(server.seen())
	ctx, cancel := context.WithCancel(t.Context())
	clock.onSleep = cancel
	err = call(ctx, testCredentials())
	if !errors.Is(err, context.Canceled) || OutcomeUnknown(err) || len(server.seen()) != before || asError(t, err).Attempts != 0 {
		t.Errorf("canceled while waiting: %v, %d more requests", err, len(server.seen())-before)
	}
	clock.onSleep = nil
	if err := call(t.Context(), testCredentials()); err != nil || clock.Now().Sub(started) != time.Second {
		t.Errorf("after the canceled call: left at %s, %v; want 1s", clock.Now().Sub(started), err)
	}
}

func TestNoMoreCallsThanAllowedAreInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		inFlight, most := 0, 0
		transport := roundTripFunc(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			inFlight++
			most = max(most, inFlight)
			mu.Unlock()
			err := realClock{}.Sleep(r.Context(), time.Second)
			mu.Lock()
			inFlight--
			mu.Unlock()
			if err != nil {
				return nil, err
			}
			return nil, errors.New("done")
		})
		pool, err := NewPool(Options{BaseURL: "http://x.test", Transport: transport, MaxConcurrent: 3})
		if err != nil {
			t.Fatal(err)
		}
		c, err := pool.Client(testCredentials())
		if err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		var wg sync.WaitGroup
		for range 9 {
			wg.Go(func() { _ = callsOnce["CreateMessage"](t.Context(), c) })
		}
		synctest.Wait()
		// The slots are taken: a caller that gives up while waiting for one has sent nothing.
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			err := callsOnce["CreateMessage"](ctx, c)
			if !errors.Is(err, context.Canceled) || OutcomeUnknown(err) {
				t.Errorf("waiting for a slot: %v; want canceled, and known", err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		if most != 3 || time.Since(started) != 3*time.Second {
			t.Errorf("%d calls at once, in %s; want 3 in 3s", most, time.Since(started))
		}
	})
}

func TestTheRealClockSleepsAndWakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := realClock{}
		started := clock.Now()
		if err := clock.Sleep(t.Context(), time.Minute); err != nil || clock.Now().Sub(started) != time.Minute {
			t.Errorf("slept %s, %v", clock.Now().Sub(started), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := clock.Sleep(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) || clock.Now().Sub(started) != 61*time.Second {
			t.Errorf("slept %s, %v", clock.Now().Sub(started), err)
		}
	})
}

func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	creds := Credentials{AccountSID: accountSID, AuthToken: token, APIKeySID: keySID, APIKeySecret: "key-secret-canary", Region: "ie1"}
	pool, err := NewPool(Options{})
	if err != nil {
		t.Fatal(err)
	}
	client, err := pool.Client(creds)
	if err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	for _, v := range []any{creds, &creds, struct{ C Credentials }{creds}, []Credentials{creds}, client, *client, pool, struct{ c *Client }{client}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
			fmt.Fprintf(&printed, verb+"\n", v)
		}
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&printed, nil), slog.NewJSONHandler(&printed, nil)} {
		slog.New(handler).Info("x", "creds", creds, "pointer", &creds, "client", client)
	}
	encoded, err := json.Marshal(map[string]any{"creds": creds, "log": creds.MarshalLog()})
	if err != nil {
		t.Fatal(err)
	}
	printed.Write(encoded)
	for _, secret := range []string{token, "key-secret-canary", fmt.Sprintf("%x", token), fmt.Sprintf("%X", token)} {
		if strings.Contains(printed.String(), secret) {
			t.Errorf("%q was printed", secret)
		}
	}
	if got, want := creds.String(), "credentials of "+accountSID+" (auth token, api key)"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
	if got, want := (Credentials{}).GoString(), "credentials of  (no secret)"; got != want {
		t.Errorf("GoString = %q, want %q", got, want)
	}
}

// Not parallel: it replaces http.DefaultTransport.
func TestTheTransportIsACloneThatSuitsTheLimits(t *testing.T) {
	tuned, ok := newTransport(7).(*http.Transport)
	if !ok || tuned == http.DefaultTransport || tuned.MaxIdleConnsPerHost != 7 || tuned.IdleConnTimeout != idleConnTimeout || tuned.Proxy == nil || tuned.HTTP2.SendPingTimeout == 0 {
		t.Errorf("transport %#v", tuned)
	}
	before := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = before })
	http.DefaultTransport = roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, errors.New("mine") })
	if _, ok := newTransport(7).(roundTripFunc); !ok {
		t.Error("a replaced default transport was not used")
	}
}
