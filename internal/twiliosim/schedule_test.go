package twiliosim

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// TestTimersFireWhenNobodyLooks shows that stepping the clock is enough: the callback comes without any request.
func TestTimersFireWhenNobodyLooks(t *testing.T) {
	w := newWorld(t)
	came := make(chan string, 1)
	e := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		came <- r.FormValue("StateTo")
	}))
	defer e.Close()
	s := w.accepted("+1")
	_, err := w.AddWebhook(s.ConversationSID, e.URL, "onConversationStateUpdated")
	w.ok(err)
	w.must(conversationPath(s), "Timers.Inactive=PT1M")
	w.clock.Step(time.Minute)
	select {
	case state := <-came:
		if state != "inactive" {
			t.Errorf("state %s", state)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the timer did not fire")
	}
}

func TestWaitIdleGivesUpWithItsContext(t *testing.T) {
	w := newWorld(t)
	release, arrived := make(chan struct{}), make(chan struct{})
	e := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	}))
	defer e.Close()
	defer close(release)
	w.configure(e.URL, "reservation.accepted")
	w.accepted("+1")
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.WaitIdle(ctx) }()
	cancel()
	if err := <-done; err == nil {
		t.Error("idle although a callback is on its way")
	}
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	e := newEndpoint(t)
	w.configure(e.URL, "reservation.accepted")
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			s, err := w.StartConversation("sms", fmt.Sprintf("+1%d", i), "Hello")
			if err != nil {
				t.Error(err)
				return
			}
			if err := w.Accept(s.ReservationSID); err != nil {
				t.Error(err)
			}
			w.post(conversationPath(s), "Timers.Inactive=PT1M")
			w.get(conversationPath(s))
			w.State()
		})
	}
	group.Go(func() {
		for range 50 {
			w.clock.Step(time.Millisecond)
		}
	})
	group.Wait()
	w.step(2 * time.Minute)
	for _, c := range w.State().Conversations {
		if c.State != "inactive" {
			t.Errorf("conversation %s is %s", c.SID, c.State)
		}
	}
	if n := len(e.callbacks()); n != 20 {
		t.Errorf("%d callbacks", n)
	}
}

// TestSIDsAreRepeatable: the same history makes the same SIDs, so that a run can be replayed.
func TestSIDsAreRepeatable(t *testing.T) {
	a, b := newWorld(t).sms("+1"), newWorld(t).sms("+1")
	if a != b {
		t.Errorf("%+v and %+v", a, b)
	}
	if c := newWorld(t, func(o *Options) { o.AccountSID = "AC" + digest("other") }).sms("+1"); c.TaskSID == a.TaskSID {
		t.Error("another account has the same SIDs")
	}
}
