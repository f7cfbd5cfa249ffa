package twiliosim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wire is callback endpoints without a network. One that hangs has to give up with the request's context.
type wire func(*http.Request) (status int)

func (f wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	status := f(r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	recorder := httptest.NewRecorder()
	recorder.WriteHeader(status)
	return recorder.Result(), nil
}

// bubble is a simulator on the real clock, in a synctest bubble.
type bubble struct {
	*Simulator
	t *testing.T
}

// inBubble runs a test in a bubble, with callbacks received by the endpoint.
func inBubble(t *testing.T, dialect Dialect, endpoint wire, play func(b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{CallbackClient: &http.Client{Transport: endpoint}, Dialect: dialect})
		defer s.Close()
		play(&bubble{Simulator: s, t: t})
	})
}

// call makes a request of the simulator's handler, without a network.
func (b *bubble) call(method, path, contentType, body string) map[string]any {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), method, path, strings.NewReader(body))
	r.SetBasicAuth(b.AccountSID(), b.AuthToken())
	r.Header.Set("Content-Type", contentType)
	recorder := httptest.NewRecorder()
	b.Handler().ServeHTTP(recorder, r)
	var answer map[string]any
	if recorder.Body.Len() > 0 {
		if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
			b.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	if recorder.Code >= 300 {
		b.t.Fatalf("%s %s: status %d: %v", method, path, recorder.Code, answer)
	}
	return answer
}

func (b *bubble) post(path string, pairs ...string) {
	b.t.Helper()
	b.call("POST", path, "application/x-www-form-urlencoded", form(pairs...).Encode())
}

// begins lets a customer write and an agent accept, by the control API.
func (b *bubble) begins(from string) (conversationSID string) {
	b.t.Helper()
	started := b.call("POST", "/simulator/conversations", "application/json", jsonOf("channel", "sms", "from", from, "body", "Hello"))
	b.call("POST", "/simulator/reservations/"+started["reservationSid"].(string)+"/accept", "application/json", "")
	return started["conversationSid"].(string)
}

// observed is a conversation whose timer calls back.
func (b *bubble) observed(from, timer string) (conversationSID string) {
	b.t.Helper()
	sid := b.begins(from)
	b.post("/v1/Conversations/"+sid+"/Webhooks", "Target=webhook", "Configuration.Url=https://operator.example/hooks",
		"Configuration.Method=post", "Configuration.Filters=onConversationStateUpdated")
	b.post("/v1/Conversations/"+sid, "Timers.Inactive="+timer)
	return sid
}

func TestAVirtualHour(t *testing.T) {
	type arrival struct {
		at   time.Time
		form url.Values
	}
	var mu sync.Mutex
	var arrivals []arrival
	received := func() []arrival {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return arrivals
	}
	inBubble(t, Dialect{}, func(r *http.Request) int {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		arrivals = append(arrivals, arrival{time.Now(), r.PostForm})
		return 204
	}, func(b *bubble) {
		began := time.Now()
		sid := b.observed("+15005550001", "PT40M")
		time.Sleep(20 * time.Minute)
		b.call("POST", "/simulator/conversations/"+sid+"/messages", "application/json", jsonOf("from", "customer", "body", "Anybody there?"))
		time.Sleep(40*time.Minute - time.Nanosecond)
		if got := received(); len(got) != 0 {
			t.Fatalf("before the hour is over: %v", got)
		}
		time.Sleep(time.Nanosecond)
		got := received()
		if len(got) != 1 {
			t.Fatalf("%d callbacks after an hour", len(got))
		}
		for name, want := range map[string]string{
			"EventType": "onConversationStateUpdated", "ConversationSid": sid, "StateTo": "inactive", "Reason": "TIMER",
			"StateUpdated": wireTime(began.Add(time.Hour)),
		} {
			if value := got[0].form.Get(name); value != want {
				t.Errorf("%s is %q, want %q", name, value, want)
			}
		}
		if took := got[0].at.Sub(began); took != time.Hour {
			t.Errorf("it came after %v", took)
		}
		if state := b.call("GET", "/v1/Conversations/"+sid, "", "")["state"]; state != "inactive" {
			t.Errorf("the conversation is %v", state)
		}
	})
}

// TestAnEndpointThatHangs shows that in a bubble the limits and pauses of a delivery take the time that they say, and that
// other callbacks are not kept waiting.
func TestAnEndpointThatHangs(t *testing.T) {
	for name, tc := range map[string]struct {
		dialect Dialect
		others  string
	}{
		"others do not wait":                         {Dialect{}, "0s"},
		"nor, when they follow each other, for long": {Dialect{Deliveries: func(int, string) []time.Duration { return []time.Duration{0} }}, patience.String()},
	} {
		t.Run(name, func(t *testing.T) {
			var began time.Time
			var tries, others []string
			inBubble(t, tc.dialect, func(r *http.Request) int {
				passed := time.Since(began).String()
				if r.URL.Path == "/hooks" {
					others = append(others, passed)
					return 204
				}
				tries = append(tries, passed)
				<-r.Context().Done()
				return 0
			}, func(b *bubble) {
				sid := b.observed("+1", "PT10M")
				b.post("/v1/Workspaces/"+b.WorkspaceSID(), "EventCallbackUrl=https://operator.example/events#rc=5&rp=all&rt=5000",
					"EventsFilter=task.updated")
				time.Sleep(time.Minute)
				began = time.Now()
				if err := b.SetTaskAttribute(b.State().Tasks[0].SID, "vip", true); err != nil {
					t.Error(err)
				}
				b.post("/v1/Conversations/"+sid, "State=inactive")
				if err := b.Say(sid, Customer, "Here"); err != nil { // it makes the conversation active
					t.Error(err)
				}
				time.Sleep(time.Minute)
			})
			// The third retry would come after tt, 15 seconds.
			if want := []string{"0s", "5.25s", "10.75s"}; !slices.Equal(tries, want) {
				t.Errorf("tried after %v, want %v", tries, want)
			}
			if want := []string{tc.others}; !slices.Equal(others, want) {
				t.Errorf("the other came after %v, want %v", others, want)
			}
		})
	}
}

// TestARunCanBeRepeated: the same calls at the same moments lead to the same journal, also where much happens at once.
func TestARunCanBeRepeated(t *testing.T) {
	run := func() (journal []string, arrived []string) {
		answers := 0
		inBubble(t, Dialect{Deliveries: func(n int, _ string) []time.Duration {
			return []time.Duration{time.Duration(n%3) * time.Second, time.Duration(n%2) * time.Second}[:1+n%2]
		}}, func(r *http.Request) int {
			if err := r.ParseForm(); err != nil {
				t.Error(err)
			}
			arrived = append(arrived, r.PostForm.Get("EventType")+" "+r.PostForm.Get("ConversationSid")+r.PostForm.Get("TaskSid"))
			answers++
			return []int{204, 500, 204, 503}[answers%4]
		}, func(b *bubble) {
			b.post("/v1/Workspaces/"+b.WorkspaceSID(), "EventCallbackUrl=https://operator.example/events#rc=3&rp=all")
			for i := range 20 {
				b.observed(fmt.Sprint("+1", i), "PT10M")
			}
			time.Sleep(10 * time.Minute)
			last := b.begins("+2")
			time.Sleep(time.Hour)
			b.post("/v1/Conversations/"+last+"/Messages", "Body=Bye")
			// Nobody has waited for callbacks between two calls, so which of them is journaled between the two is open.
			for _, callbacks := range []bool{false, true} {
				for _, e := range b.Journal() {
					if e.Seq = 0; callbacks == (e.Kind == KindCallback) {
						journal = append(journal, fmt.Sprint(e))
					}
				}
			}
		})
		return journal, arrived
	}
	journal, arrived := run()
	if len(arrived) < 150 {
		t.Fatalf("%d callbacks only", len(arrived))
	}
	for range 5 {
		again, arrivedAgain := run()
		if !slices.Equal(arrivedAgain, arrived) {
			t.Fatal("callbacks arrived otherwise the second time")
		}
		if !slices.Equal(again, journal) {
			t.Fatal("the journal is another one the second time")
		}
	}
}
