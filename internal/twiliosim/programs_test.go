package twiliosim

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProgramsWriteAttributes(t *testing.T) {
	t.Run("of a task: merged, with a new version and an event", func(t *testing.T) {
		w := newWorld(t)
		e := newEndpoint(t)
		s := w.accepted("+1")
		w.must("/v1/Workspaces/"+w.WorkspaceSID(), "EventCallbackUrl="+e.URL, "EventsFilter=task.updated")
		before, etag := w.attributes(s), w.get(taskPath(s)).header.Get("ETag")
		w.step(time.Second)
		w.ok(w.SetTaskAttribute(s.TaskSID, "inactivityHold", true))
		w.settled()
		want := before
		want["inactivityHold"] = true
		if diff := cmp.Diff(want, w.attributes(s)); diff != "" {
			t.Error(diff)
		}
		a := w.get(taskPath(s))
		if a.header.Get("ETag") == etag || a.text("date_updated") != wireTime(start.Add(time.Second)) {
			t.Errorf("ETag %s after %s, updated %s", a.header.Get("ETag"), etag, a.text("date_updated"))
		}
		if got := w.do("POST", taskPath(s), form("Attributes={}"), "If-Match: "+etag); got.status != 412 {
			t.Errorf("an update with the earlier version: %d", got.status)
		}
		if diff := cmp.Diff([]string{"task.updated"}, e.events()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("of a conversation: merged, and the timer goes on", func(t *testing.T) {
		w := newWorld(t)
		s := w.accepted("+1")
		w.must(conversationPath(s), `Attributes={"parked":{"a":1}}`, "Timers.Inactive=PT5M")
		w.step(time.Minute)
		w.ok(w.SetConversationAttribute(s.ConversationSID, "hold", "2026-03-01T13:00:00Z"))
		c := w.seen(s)
		if c.Attributes != `{"hold":"2026-03-01T13:00:00Z","parked":{"a":1}}` || !c.DateInactive.Equal(start.Add(5*time.Minute)) {
			t.Errorf("attributes %s, timer %s", c.Attributes, c.DateInactive)
		}
	})
	t.Run("null is a value, removing takes the key away", func(t *testing.T) {
		w := newWorld(t)
		s := w.accepted("+1")
		kinds := map[string]struct {
			set    func(key string, value any) error
			remove func(key string) error
			text   func() string
		}{
			"task": {
				func(key string, value any) error { return w.SetTaskAttribute(s.TaskSID, key, value) },
				func(key string) error { return w.RemoveTaskAttribute(s.TaskSID, key) },
				func() string { return w.taskState(s).Attributes },
			},
			"conversation": {
				func(key string, value any) error { return w.SetConversationAttribute(s.ConversationSID, key, value) },
				func(key string) error { return w.RemoveConversationAttribute(s.ConversationSID, key) },
				func() string { return w.seen(s).Attributes },
			},
		}
		for name, kind := range kinds {
			for value, want := range map[any]string{nil: `"hold":null`, false: `"hold":false`, "": `"hold":""`, 1.5: `"hold":1.5`} {
				w.ok(kind.set("hold", value))
				if got := kind.text(); !strings.Contains(got, want) {
					t.Errorf("%s: attributes %s, want %s", name, got, want)
				}
			}
			w.ok(kind.set("hold", json.RawMessage(`{"a": [1]}`)))
			if got := kind.text(); !strings.Contains(got, `"hold":{"a":[1]}`) {
				t.Errorf("%s: attributes %s", name, got)
			}
			w.ok(kind.remove("hold"))
			if got := kind.text(); strings.Contains(got, "hold") {
				t.Errorf("%s: attributes %s after removing", name, got)
			}
		}
		w.must(conversationPath(s), "Attributes=null")
		w.ok(w.SetConversationAttribute(s.ConversationSID, "a", 1))
		if got := w.seen(s).Attributes; got != `{"a":1}` {
			t.Errorf("attributes that were null are %s", got)
		}
	})
	t.Run("none of it is a write of the program under test", func(t *testing.T) {
		w := newWorld(t)
		s := w.accepted("+1")
		w.ok(w.SetTaskAttribute(s.TaskSID, "a", 1))
		w.ok(w.SetConversationAttribute(s.ConversationSID, "a", 1))
		_, err := w.Post(s.ConversationSID, "bot", "Hello")
		w.ok(err)
		_, err = w.Join(s.ConversationSID, "bot")
		w.ok(err)
		if writes := w.Writes(); len(writes) != 0 {
			t.Errorf("writes %+v", writes)
		}
	})
}

func TestProgramsThatCannotWriteAttributes(t *testing.T) {
	w := newWorld(t)
	s := w.accepted("+1")
	closed := w.accepted("+2")
	w.must(conversationPath(closed), "State=closed")
	list := w.accepted("+3")
	w.must(conversationPath(list), "Attributes=[]")
	for name, err := range map[string]error{
		"no such task":               w.SetTaskAttribute("WTno", "a", 1),
		"no such conversation":       w.SetConversationAttribute("CHno", "a", 1),
		"a task's too long":          w.SetTaskAttribute(s.TaskSID, "a", strings.Repeat("x", 4096)),
		"a conversation's too long":  w.SetConversationAttribute(s.ConversationSID, "a", strings.Repeat("x", 16<<10)),
		"a closed conversation":      w.SetConversationAttribute(closed.ConversationSID, "a", 1),
		"attributes that are a list": w.SetConversationAttribute(list.ConversationSID, "a", 1),
		"a value that is no JSON":    w.SetTaskAttribute(s.TaskSID, "a", func() {}),
		"broken JSON":                w.SetTaskAttribute(s.TaskSID, "a", json.RawMessage("{")),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, there := w.attributes(s)["a"]; there || w.seen(s).Attributes != "{}" {
		t.Errorf("what was refused was written: %v, %s", w.attributes(s), w.seen(s).Attributes)
	}
}

func TestBots(t *testing.T) {
	t.Run("one that writes by REST is no participant", func(t *testing.T) {
		w := newWorld(t)
		s := w.accepted("+1")
		w.must(conversationPath(s), "Timers.Inactive=PT5M")
		w.step(time.Minute)
		for author, want := range map[string]string{"Helper": "Helper", "": "system"} {
			sid, err := w.Post(s.ConversationSID, author, "One moment")
			w.ok(err)
			m := w.seen(s).Messages
			if got := m[len(m)-1]; got.SID != sid || got.Author != want || got.ParticipantSID != "" || got.Body != "One moment" {
				t.Errorf("message %+v", got)
			}
		}
		c := w.seen(s)
		if len(c.Participants) != 2 || !c.DateInactive.Equal(start.Add(6*time.Minute)) {
			t.Errorf("participants %+v, timer %s", c.Participants, c.DateInactive)
		}
	})
	t.Run("one that takes part by chat writes under its identity", func(t *testing.T) {
		w := newWorld(t)
		s := w.sms("+1")
		e := newEndpoint(t)
		w.must(conversationPath(s)+"/Webhooks", "Target=webhook", "Configuration.Url="+e.URL, "Configuration.Filters=onMessageAdded")
		participant, err := w.Join(s.ConversationSID, "helper-bot")
		w.ok(err)
		w.ok(w.Say(s.ConversationSID, "helper-bot", "How can I help?"))
		w.settled()
		m := w.seen(s).Messages[1]
		if m.Author != "helper-bot" || m.ParticipantSID != participant {
			t.Errorf("message %+v", m)
		}
		if got := e.callbacks(); len(got) != 1 || got[0].form.Get("Source") != "SDK" || got[0].form.Get("Author") != "helper-bot" {
			t.Errorf("callbacks %+v", got)
		}
		if err := w.Say(s.ConversationSID, Agent, "x"); err == nil {
			t.Error("a bot passes for an agent")
		}
		w.ok(w.Accept(s.ReservationSID))
		w.ok(w.Say(s.ConversationSID, Agent, "I take over"))
		if m := w.seen(s).Messages; m[2].Author != "agent_1" {
			t.Errorf("messages %+v", m)
		}
		posted, err := w.Post(s.ConversationSID, "helper-bot", "By REST, under the identity")
		w.ok(err)
		i := slices.IndexFunc(w.seen(s).Messages, func(m MessageState) bool { return m.SID == posted })
		if got := w.seen(s).Messages[i]; got.ParticipantSID != participant {
			t.Errorf("message %+v", got)
		}
	})
	t.Run("they keep to the rules", func(t *testing.T) {
		w := newWorld(t)
		s := w.accepted("+1")
		post := func(sid, body string) error { _, err := w.Post(sid, "bot", body); return err }
		join := func(sid, identity string) error { _, err := w.Join(sid, identity); return err }
		for name, err := range map[string]error{
			"posting nowhere": post("CHno", "x"), "posting nothing": post(s.ConversationSID, ""), "posting too much": post(s.ConversationSID, strings.Repeat("x", 1601)),
			"joining nowhere": join("CHno", "bot"), "joining as nobody": join(s.ConversationSID, ""), "joining as somebody else": join(s.ConversationSID, "agent_1"),
			"saying something from outside": w.Say(s.ConversationSID, "bot", "x"),
		} {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		w.must(conversationPath(s), "State=closed")
		if post(s.ConversationSID, "x") == nil || join(s.ConversationSID, "bot") == nil {
			t.Error("something got into a closed conversation")
		}
	})
}

func TestParticipantsOfAGroupMMS(t *testing.T) {
	w := newWorld(t)
	s := w.sms("+1")
	a := w.must(conversationPath(s)+"/Participants", "Identity=agent_9", "MessagingBinding.ProjectedAddress=+15005550006")
	want := map[string]any{"type": "sms", "projected_address": "+15005550006"}
	if diff := cmp.Diff(want, a.body["messaging_binding"]); diff != "" {
		t.Errorf("who takes part from a chat client: %s", diff)
	}
	customer := w.get(conversationPath(s) + "/Participants").items("participants")[0]["messaging_binding"]
	if diff := cmp.Diff(map[string]any{"type": "sms", "address": "+1", "proxy_address": "+15005550006"}, customer); diff != "" {
		t.Errorf("the customer: %s", diff)
	}
}
