package twiliosim

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// configure points a workspace's events at an address.
func (w *world) configure(address, filter string) {
	w.t.Helper()
	w.must("/v1/Workspaces/"+w.WorkspaceSID(), "EventCallbackUrl="+address, "EventsFilter="+filter)
}

func TestRouterEvents(t *testing.T) {
	t.Run("one that was accepted carries every field, and Twilio's own validator accepts its signature", func(t *testing.T) {
		w := newWorld(t)
		e := newEndpoint(t)
		w.configure(e.URL+"/cb?tenant=1#rc=5&rp=all", "reservation.accepted")
		s := w.accepted("+1")
		w.settled()
		got := e.callbacks()
		if len(got) != 1 {
			t.Fatalf("%d callbacks: %v", len(got), e.events())
		}
		c := got[0]
		if c.method != "POST" || c.path != "/cb?tenant=1" {
			t.Errorf("%s %s", c.method, c.path)
		}
		if !signedByTwilio("12345", e.URL+"/cb?tenant=1", c.form, c.signature) {
			t.Error("the signature is not valid")
		}
		if signedByTwilio("wrong", e.URL+"/cb?tenant=1", c.form, c.signature) {
			t.Error("the signature is valid for any token")
		}
		fields := strings.Fields(`EventType Sid AccountSid WorkspaceSid WorkspaceName OperatingUnitSid ResourceType ResourceSid
			EventDescription Timestamp TimestampMs ReservationSid ReservationVersion TaskSid TaskAttributes TaskVersion TaskAge
			TaskPriority TaskAssignmentStatus TaskDateCreated TaskVirtualStartTime TaskIgnoreCapacity TaskChannelSid
			TaskChannelUniqueName TaskQueueSid TaskQueueName TaskQueueEnteredDate TaskQueueTargetExpression WorkflowSid WorkflowName
			WorkerSid WorkerName WorkerAttributes WorkerActivitySid WorkerActivityName WorkerVersion WorkerChannelCapacity
			WorkerChannelConsumedCapacity`)
		slices.Sort(fields)
		if diff := cmp.Diff(fields, slices.Sorted(maps.Keys(c.form))); diff != "" {
			t.Errorf("fields: %s", diff)
		}
		for name, want := range map[string]string{
			"ReservationSid": s.ReservationSID, "TaskSid": s.TaskSID, "WorkspaceSid": s.WorkspaceSID, "AccountSid": w.AccountSID(),
			"TaskAssignmentStatus": "assigned", "ResourceType": "reservation", "ResourceSid": s.ReservationSID,
			"TimestampMs": "1772366400250", "Timestamp": "1772366400", "TaskAttributes": w.get(taskPath(s)).text("attributes"),
		} {
			if got := c.form.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	})
	for name, tc := range map[string]struct {
		filter string
		want   string
	}{
		"an empty filter lets everything through": {"", "workspace.updated task.created task-queue.entered reservation.created " +
			"reservation.accepted task.updated task.wrapup reservation.wrapup task.completed reservation.completed"},
		"a filter with spaces":                   {"reservation.accepted, task.completed", "reservation.accepted task.completed"},
		"a filter that names nothing that comes": {"worker.created", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := newEndpoint(t)
			w.configure(e.URL, tc.filter)
			w.settled() // events of the workspace and of a task are not ordered among each other
			s := w.accepted("+1")
			w.must(taskPath(s), "Attributes={}")
			w.ok(w.AgentWrapsUp(s.TaskSID))
			w.must(taskPath(s), "AssignmentStatus=completed", "Reason=done")
			w.settled()
			if got := strings.Join(e.events(), " "); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
	t.Run("a canceled task's event says why", func(t *testing.T) {
		w := newWorld(t)
		e := newEndpoint(t)
		w.configure(e.URL, "task.canceled,reservation.canceled")
		s := w.sms("+1")
		w.must(taskPath(s), "AssignmentStatus=canceled", "Reason=left")
		w.settled()
		if got := e.callbacks(); len(got) != 2 || got[0].form.Get("TaskCanceledReason") != "left" {
			t.Errorf("callbacks %v", got)
		}
	})
	t.Run("nobody is called without a URL", func(t *testing.T) {
		w := newWorld(t)
		w.accepted("+1")
		w.settled()
		for _, entry := range w.Journal() {
			if entry.Kind == KindCallback {
				t.Errorf("callback %+v", entry)
			}
		}
	})
	t.Run("a rotated token signs from then on", func(t *testing.T) {
		w := newWorld(t)
		e := newEndpoint(t)
		w.configure(e.URL, "reservation.accepted")
		w.SetAuthToken("new")
		w.accepted("+1")
		w.settled()
		c := e.callbacks()[0]
		if !signedByTwilio("new", e.URL, c.form, c.signature) || signedByTwilio("12345", e.URL, c.form, c.signature) {
			t.Error("signed with the old token")
		}
	})
}

func TestRetriesByConnectionOverrides(t *testing.T) {
	const much = 500
	for name, tc := range map[string]struct {
		overrides string
		answers   []int
		want      int // attempts
	}{
		"an answer below 400 is final":            {"#rc=5&rp=all", []int{200}, 1},
		"by default a 500 is not retried":         {"", []int{much}, 1},
		"rp=5xx retries a 500 until it works":     {"#rc=5&rp=ct,rt,5xx", []int{much, 503, 204}, 3},
		"rc bounds the retries":                   {"#rc=2&rp=5xx", []int{much, much, much, much}, 3},
		"rp=5xx does not retry a 403":             {"#rc=5&rp=5xx", []int{403, 204}, 1},
		"rp=4xx does":                             {"#rc=5&rp=4xx", []int{403, 204}, 2},
		"rp=all retries both":                     {"#rc=5&rp=all", []int{403, much, 204}, 3},
		"rc=0 retries nothing":                    {"#rc=0&rp=all", []int{much}, 1},
		"tt bounds the time":                      {"#rc=5&rp=all&tt=800", []int{much, much, much, much}, 3}, // at 0, 250 and 750 ms
		"a value out of bounds keeps the default": {"#rc=9&rp=all", []int{much, much, much}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := newEndpoint(t, tc.answers...)
			w.configure(e.URL+tc.overrides, "reservation.accepted")
			w.accepted("+1")
			w.settled()
			if n := len(e.callbacks()); n != 1 {
				t.Fatalf("%d attempts before the clock moved", n)
			}
			for range 6 {
				w.step(4 * time.Second)
			}
			got := e.callbacks()
			if len(got) != tc.want {
				t.Fatalf("%d attempts, want %d", len(got), tc.want)
			}
			for i, c := range got {
				if c.idempotency == "" || c.idempotency != got[0].idempotency || !cmp.Equal(c.form, got[0].form) {
					t.Errorf("attempt %d is another callback", i+1)
				}
			}
			var attempts []int
			for _, entry := range w.Journal() {
				if entry.Kind == KindCallback {
					attempts = append(attempts, entry.Attempt)
				}
			}
			if len(attempts) != tc.want || attempts[len(attempts)-1] != tc.want {
				t.Errorf("journaled attempts %v", attempts)
			}
		})
	}
	t.Run("a connection that is refused is retried by default, once", func(t *testing.T) {
		w := newWorld(t)
		dead := httptest.NewServer(nil)
		dead.Close()
		w.configure(dead.URL, "reservation.accepted")
		w.accepted("+1")
		for range 4 {
			w.step(time.Second)
		}
		var failed []string
		for _, entry := range w.Journal() {
			if entry.Kind == KindCallback {
				failed = append(failed, entry.Error)
			}
		}
		if len(failed) != 2 || failed[0] == "" {
			t.Errorf("attempts %q", failed)
		}
	})
	t.Run("an answer that takes longer than rt is given up", func(t *testing.T) {
		w := newWorld(t)
		release := make(chan struct{})
		slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}))
		defer slow.Close()
		defer close(release)
		w.configure(slow.URL+"#rt=100&rc=1&rp=rt", "reservation.accepted")
		w.accepted("+1")
		w.settled()
		w.step(time.Second)
		var failed []string
		for _, entry := range w.Journal() {
			if entry.Kind == KindCallback {
				failed = append(failed, entry.Error)
			}
		}
		if len(failed) != 2 || !strings.Contains(failed[0], errReadTimeout.Error()) {
			t.Errorf("attempts %q", failed)
		}
	})
}

func TestConversationWebhooks(t *testing.T) {
	t.Run("a timer fires the one whose filter names the event, with every field", func(t *testing.T) {
		w := newWorld(t)
		wanted, other := newEndpoint(t), newEndpoint(t)
		s := w.accepted("+1")
		for address, filter := range map[string]string{wanted.URL + "/w": "onConversationStateUpdated", other.URL: "onMessageAdded"} {
			_, err := w.AddWebhook(s.ConversationSID, address, filter)
			w.ok(err)
		}
		w.must(conversationPath(s), "Timers.Inactive=PT1M")
		w.step(time.Minute)
		got := wanted.callbacks()
		if len(got) != 1 || len(other.callbacks()) != 0 {
			t.Fatalf("%d and %d callbacks", len(got), len(other.callbacks()))
		}
		want := form("AccountSid="+w.AccountSID(), "EventType=onConversationStateUpdated", "Source=API",
			"ConversationSid="+s.ConversationSID, "ChatServiceSid="+w.get("/v1/Configuration").text("default_chat_service_sid"),
			"MessagingServiceSid="+w.get(conversationPath(s)).text("messaging_service_sid"),
			"StateUpdated=2026-03-01T12:01:00Z", "StateFrom=active", "StateTo=inactive", "Reason=TIMER")
		if diff := cmp.Diff(want, got[0].form); diff != "" {
			t.Error(diff)
		}
		if !signedByTwilio("12345", wanted.URL+"/w", got[0].form, got[0].signature) {
			t.Error("the signature is not valid")
		}
	})
	t.Run("REST fires none unless it is asked to", func(t *testing.T) {
		w := newWorld(t)
		e := newEndpoint(t)
		s := w.accepted("+1")
		_, err := w.AddWebhook(s.ConversationSID, e.URL, "onConversationStateUpdated", "onMessageAdded", "onConversationUpdated",
			"onParticipantAdded", "onConversationRemoved")
		w.ok(err)
		do := func(headers ...string) {
			w.do("POST", conversationPath(s)+"/Messages", form("Body=x"), headers...)
			w.do("POST", conversationPath(s)+"/Participants", form("Identity="+headers[0]), headers...)
			w.do("POST", conversationPath(s), form("State=inactive"), headers...)
			w.do("POST", conversationPath(s)+"/Messages", form("Body=x"), headers...)
			w.settled()
		}
		do("X-Other: 1")
		if got := e.events(); len(got) != 0 {
			t.Fatalf("unasked: %v", got)
		}
		do("X-Twilio-Webhook-Enabled: true")
		w.do("DELETE", conversationPath(s), nil, "X-Twilio-Webhook-Enabled: true")
		w.settled()
		want := []string{"onMessageAdded", "onParticipantAdded", "onConversationStateUpdated", "onConversationUpdated",
			"onConversationStateUpdated", "onMessageAdded", "onConversationRemoved"}
		if diff := cmp.Diff(want, e.events()[:min(7, len(e.events()))]); diff != "" {
			t.Errorf("asked: %s", diff)
		}
	})
	t.Run("people fire them, and their messages say who", func(t *testing.T) {
		w := newWorld(t)
		e := newEndpoint(t)
		s := w.sms("+1")
		_, err := w.AddWebhook(s.ConversationSID, e.URL, "onMessageAdded", "onParticipantAdded", "onConversationStateUpdated")
		w.ok(err)
		w.ok(w.Accept(s.ReservationSID))
		w.must(conversationPath(s), "State=inactive")
		w.ok(w.Say(s.ConversationSID, Customer, "a"))
		w.ok(w.Say(s.ConversationSID, Agent, "b"))
		w.settled()
		var got [][3]string
		for _, c := range e.callbacks() {
			got = append(got, [3]string{c.form.Get("EventType"), c.form.Get("Source"), c.form.Get("Author") + c.form.Get("Identity") + c.form.Get("Reason")})
		}
		want := [][3]string{
			{"onParticipantAdded", "API", "agent_1"}, {"onConversationStateUpdated", "API", "EVENT"},
			{"onMessageAdded", "SMS", "+1"}, {"onMessageAdded", "SDK", "agent_1"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a lost one is not sent again", func(t *testing.T) {
		w := newWorld(t)
		e := newEndpoint(t, 503)
		s := w.accepted("+1")
		_, err := w.AddWebhook(s.ConversationSID, e.URL+"#rc=5&rp=all", "onConversationStateUpdated")
		w.ok(err)
		w.must(conversationPath(s), "Timers.Inactive=PT1M")
		w.step(time.Minute)
		w.step(time.Hour)
		if n := len(e.callbacks()); n != 1 {
			t.Errorf("%d attempts", n)
		}
	})
	t.Run("a GET webhook carries the event in a signed query", func(t *testing.T) {
		w := newWorld(t)
		e := newEndpoint(t)
		s := w.accepted("+1")
		w.must(conversationPath(s)+"/Webhooks", "Target=webhook", "Configuration.Url="+e.URL+"/g?a=1", "Configuration.Method=get",
			"Configuration.Filters=onMessageAdded")
		w.ok(w.Say(s.ConversationSID, Agent, "x"))
		w.settled()
		got := e.callbacks()
		if len(got) != 1 || got[0].method != "GET" || !strings.HasPrefix(got[0].path, "/g?a=1&") {
			t.Fatalf("callbacks %v", got)
		}
		if !signedByTwilio("12345", e.URL+got[0].path, nil, got[0].signature) {
			t.Error("the signature is not valid")
		}
	})
}
