package twiliosim

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAuthentication(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		user, password string
		status         int
	}{
		"the account's token":        {w.AccountSID(), "12345", 200},
		"an API key":                 {"SKkey", "secret", 200},
		"a wrong token":              {w.AccountSID(), "wrong", 401},
		"no token":                   {w.AccountSID(), "", 401},
		"another account":            {"AC" + strings.Repeat("0", 32), "12345", 401},
		"the key with the token":     {"SKkey", "12345", 401},
		"the account with the key's": {w.AccountSID(), "secret", 401},
		"nobody":                     {"", "", 401},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/v1/Workspaces", nil)
			w.ok(err)
			if tc.user != "" {
				r.SetBasicAuth(tc.user, tc.password)
			}
			resp, err := http.DefaultClient.Do(r)
			w.ok(err)
			resp.Body.Close()
			if resp.StatusCode != tc.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tc.status)
			}
		})
	}
	t.Run("no API key exists unless one was made", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.APIKeySID, o.APIKeySecret = "", "" })
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/v1/Workspaces", nil)
		w.ok(err)
		r.SetBasicAuth("", "")
		resp, err := http.DefaultClient.Do(r)
		w.ok(err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
	t.Run("a rotated token", func(t *testing.T) {
		w := newWorld(t)
		w.SetAuthToken("new")
		if a := w.get("/v1/Workspaces"); a.status != 200 {
			t.Errorf("status %d", a.status)
		}
		if a := w.do("GET", "/v1/Workspaces", nil, "Authorization: Basic AAAA"); a.status != 401 || a.code() != 20003 {
			t.Errorf("status %d, code %d", a.status, a.code())
		}
	})
}

func TestErrorsHaveTwiliosForm(t *testing.T) {
	w := newWorld(t)
	a := w.get("/v1/Nothing")
	want := map[string]any{
		"code": 20404.0, "message": "The requested resource /v1/Nothing was not found",
		"more_info": "https://www.twilio.com/docs/errors/20404", "status": 404.0,
	}
	if diff := cmp.Diff(want, a.body); diff != "" || a.status != 404 {
		t.Errorf("status %d: %s", a.status, diff)
	}
	if a := w.do("PUT", "/v1/Workspaces", nil); a.status != 405 || a.code() != 20004 {
		t.Errorf("PUT: %d %d", a.status, a.code())
	}
	if a := w.do("DELETE", "/v1/Workspaces/"+w.WorkspaceSID(), nil); a.status != 405 {
		t.Errorf("DELETE of a workspace: %d", a.status)
	}
	if a := w.get("/v1/Workspaces?a=%zz"); a.status != 400 {
		t.Errorf("a broken query: %d", a.status)
	}
	if a := w.post("/v1/Conversations", "FriendlyName="+strings.Repeat("x", maxRequestBody)); a.status != 400 {
		t.Errorf("an endless form: %d", a.status)
	}
}

func TestAnswersCarryTheSimulatorsTime(t *testing.T) {
	w := newWorld(t)
	for _, want := range []string{"Sun, 01 Mar 2026 12:00:00 GMT", "Sun, 01 Mar 2026 13:00:00 GMT"} {
		for _, path := range []string{"/v1/Workspaces", "/v1/Nothing", "/simulator/state"} {
			if got := w.get(path).header.Get("Date"); got != want {
				t.Errorf("%s: Date is %s, want %s", path, got, want)
			}
		}
		w.step(time.Hour)
	}
	a := w.get("/v1/Workspaces")
	for _, name := range []string{"Twilio-Request-Id", "Twilio-Concurrent-Requests", "Twilio-Request-Duration"} {
		if a.header.Get(name) == "" {
			t.Errorf("header %s is missing", name)
		}
	}
}

func TestJournal(t *testing.T) {
	w := newWorld(t)
	s := w.accepted("+1")
	w.get(conversationPath(s))
	w.post(conversationPath(s), "State=wrong", "Unknown=1")
	w.must(conversationPath(s), "Timers.Inactive=PT1M")
	type line struct {
		Method, Path, State string
		Status, Code        int
		Effect              bool
	}
	var got []line
	for _, e := range w.Writes() {
		got = append(got, line{e.Method, e.Path, e.Form.Get("State") + e.Form.Get("Unknown"), e.Status, e.Code, e.Effect})
	}
	want := []line{
		{"POST", conversationPath(s), "wrong1", 400, 50374, false},
		{"POST", conversationPath(s), "", 200, 0, true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for i, e := range w.Journal() {
		if e.Seq != i+1 || e.Time.IsZero() {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
}

func TestFaults(t *testing.T) {
	message := func(w *world, s Started) int {
		c, _ := w.State().Conversation(s.ConversationSID)
		return len(c.Messages) - 1 // without the customer's first
	}
	raw := func(w *world, s Started) (*http.Response, error) {
		r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.server.URL+conversationPath(s)+"/Messages", strings.NewReader("Body=x"))
		w.ok(err)
		r.SetBasicAuth(w.AccountSID(), w.AuthToken())
		return http.DefaultTransport.RoundTrip(r)
	}
	t.Run("a status, a Twilio code and Retry-After, once", func(t *testing.T) {
		w := newWorld(t)
		s := w.accepted("+1")
		w.Fail(Fault{Method: "POST", Path: "/Messages$", Times: 1, Status: 429, Header: http.Header{"Retry-After": {"7"}}})
		if a := w.get(conversationPath(s) + "/Messages"); a.status != 200 {
			t.Errorf("a request that does not match: %d", a.status)
		}
		a := w.post(conversationPath(s)+"/Messages", "Body=x")
		if a.status != 429 || a.code() != 20429 || a.header.Get("Retry-After") != "7" || message(w, s) != 0 {
			t.Errorf("status %d, code %d, %d messages", a.status, a.code(), message(w, s))
		}
		w.must(conversationPath(s)+"/Messages", "Body=x")
	})
	t.Run("the second and third request", func(t *testing.T) {
		w := newWorld(t)
		w.Fail(Fault{Skip: 1, Times: 2, Status: 503})
		var got []int
		for range 4 {
			got = append(got, w.get("/v1/Workspaces").status)
		}
		if diff := cmp.Diff([]int{200, 503, 503, 200}, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("until it is removed", func(t *testing.T) {
		w := newWorld(t)
		remove := w.Fail(Fault{Status: 500, Code: 50057, Message: "broken"})
		for range 3 {
			if a := w.get("/v1/Workspaces"); a.status != 500 || a.code() != 50057 || a.text("message") != "broken" {
				t.Errorf("%d %v", a.status, a.body)
			}
		}
		remove()
		if a := w.get("/v1/Workspaces"); a.status != 200 {
			t.Errorf("removed: %d", a.status)
		}
		w.Fail(Fault{Status: 500})
		w.ClearFaults()
		if a := w.get("/v1/Workspaces"); a.status != 200 {
			t.Errorf("cleared: %d", a.status)
		}
	})
	t.Run("a proxy's page", func(t *testing.T) {
		w := newWorld(t)
		s := w.accepted("+1")
		w.Fail(Fault{Status: 502, Body: "<html>Bad Gateway</html>"})
		resp, err := raw(w, s)
		w.ok(err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadGateway || resp.Header.Get("Content-Type") != "text/html" || message(w, s) != 0 {
			t.Errorf("status %d, %s", resp.StatusCode, resp.Header.Get("Content-Type"))
		}
	})
	t.Run("an answer that says failed although it was done", func(t *testing.T) {
		w := newWorld(t)
		s := w.accepted("+1")
		w.Fail(Fault{Status: 500, After: true})
		if a := w.post(conversationPath(s)+"/Messages", "Body=x"); a.status != 500 || message(w, s) != 1 {
			t.Errorf("status %d, %d messages", a.status, message(w, s))
		}
		if last := w.Writes()[len(w.Writes())-1]; !last.Effect || last.Status != 500 {
			t.Errorf("journal %+v", last)
		}
	})
	for drop, want := range map[string]int{DropBefore: 0, DropAfter: 1} {
		t.Run("the connection is dropped "+drop+" the effect", func(t *testing.T) {
			w := newWorld(t)
			s := w.accepted("+1")
			w.Fail(Fault{Method: "POST", Times: 1, Drop: drop})
			if resp, err := raw(w, s); err == nil {
				resp.Body.Close()
				t.Fatalf("an answer: %d", resp.StatusCode)
			}
			if got := message(w, s); got != want {
				t.Errorf("%d messages, want %d", got, want)
			}
			last := w.Writes()[len(w.Writes())-1]
			if last.Status != 0 || last.Effect != (want == 1) || last.Fault == "" {
				t.Errorf("journal %+v", last)
			}
		})
	}
	t.Run("a delay by the simulator's clock", func(t *testing.T) {
		w := newWorld(t)
		before := w.clock.Waiters()
		w.Fail(Fault{Times: 1, Delay: time.Minute})
		done := make(chan int)
		go func() { done <- w.get("/v1/Workspaces").status }()
		for w.clock.Waiters() == before { // the request has arrived when it waits
			select {
			case status := <-done:
				t.Fatalf("answered at once: %d", status)
			default:
			}
		}
		w.clock.Step(time.Minute)
		if status := <-done; status != 200 {
			t.Errorf("status %d", status)
		}
	})
	t.Run("matched by the form", func(t *testing.T) {
		w := newWorld(t)
		s := w.accepted("+1")
		w.Fail(Fault{Status: 500, Match: func(_ *http.Request, f url.Values) bool { return len(f["State"]) > 0 }})
		w.must(conversationPath(s), "Timers.Inactive=PT1M")
		if a := w.post(conversationPath(s), "State=closed"); a.status != 500 {
			t.Errorf("status %d", a.status)
		}
	})
	t.Run("a fault that makes no sense panics", func(t *testing.T) {
		w := newWorld(t)
		for _, f := range []Fault{{Path: "("}, {Drop: "sometimes"}} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%+v was taken", f)
					}
				}()
				w.Fail(f)
			}()
		}
	})
}

func TestClosedSimulatorAnswers503(t *testing.T) {
	w := newWorld(t)
	w.Close()
	w.Close()
	if a := w.get("/v1/Workspaces"); a.status != 503 {
		t.Errorf("status %d", a.status)
	}
}
