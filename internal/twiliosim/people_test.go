package twiliosim

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCustomersWrite(t *testing.T) {
	t.Run("by SMS: Flex's task attributes, a binding for the customer, an identity for the agent", func(t *testing.T) {
		w := newWorld(t)
		s := w.accepted("+15005550001")
		var got map[string]any
		w.ok(json.Unmarshal([]byte(w.get(taskPath(s)).text("attributes")), &got))
		for key, want := range map[string]any{
			"channelType": "sms", "customerAddress": "+15005550001", "from": "+15005550001", "name": "+15005550001",
			"direction": "inbound", "initiatedBy": "customer", "conversationSid": s.ConversationSID,
			"flexInteractionSid": s.InteractionSID, "flexInteractionChannelSid": s.ChannelSID,
		} {
			if diff := cmp.Diff(want, got[key]); diff != "" {
				t.Errorf("%s: %s", key, diff)
			}
		}
		if sid, _ := got["flexChannelInviteSid"].(string); sid == "" {
			t.Error("flexChannelInviteSid is missing")
		}
		c, _ := w.State().Conversation(s.ConversationSID)
		want := []ParticipantState{{Address: "+15005550001"}, {Identity: "agent_1"}}
		for i := range c.Participants {
			c.Participants[i].SID = ""
		}
		if diff := cmp.Diff(want, c.Participants); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("by web chat: both have an identity", func(t *testing.T) {
		w := newWorld(t)
		s, err := w.StartConversation("web", "visitor", "Hello")
		w.ok(err)
		w.ok(w.Accept(s.ReservationSID))
		for _, p := range w.get(conversationPath(s) + "/Participants").items("participants") {
			if p["identity"] == nil || p["messaging_binding"] != nil {
				t.Errorf("participant %v", p)
			}
		}
	})
	t.Run("by WhatsApp: addresses carry the channel", func(t *testing.T) {
		w := newWorld(t)
		s, err := w.StartConversation("whatsapp", "+15005550001", "Hello")
		w.ok(err)
		again, err := w.StartConversation("whatsapp", "whatsapp:+15005550001", "Hello?")
		w.ok(err)
		p := w.get(conversationPath(s) + "/Participants").items("participants")[0]["messaging_binding"].(map[string]any)
		if p["type"] != "whatsapp" || p["address"] != "whatsapp:+15005550001" || again.ConversationSID != s.ConversationSID {
			t.Errorf("binding %v", p)
		}
	})
	t.Run("from the same number again: the same conversation until it is closed", func(t *testing.T) {
		w := newWorld(t)
		s := w.sms("+1")
		w.must(conversationPath(s), "State=inactive")
		if again := w.sms("+1"); again != s {
			t.Errorf("again: %+v, want %+v", again, s)
		}
		if got := w.conversationState(s); got != "active" {
			t.Errorf("writing made it %s", got)
		}
		w.must(conversationPath(s), "State=closed")
		if fresh := w.sms("+1"); fresh.ConversationSID == s.ConversationSID {
			t.Error("a closed conversation was taken up again")
		}
	})
	t.Run("without Interactions: no interaction in the task", func(t *testing.T) {
		w := newWorld(t)
		s, err := w.StartPlainConversation("sms", "+1", "Hello")
		w.ok(err)
		w.ok(w.Accept(s.ReservationSID))
		var got map[string]any
		w.ok(json.Unmarshal([]byte(w.get(taskPath(s)).text("attributes")), &got))
		if _, there := got["flexInteractionSid"]; there || s.ChannelSID != "" || got["conversationSid"] != s.ConversationSID {
			t.Errorf("attributes %v, started %+v", got, s)
		}
		if err := w.Leave(s.ConversationSID); err == nil {
			t.Error("an agent left a channel that does not exist")
		}
	})
	t.Run("by telephone: a task without a conversation", func(t *testing.T) {
		w := newWorld(t)
		s, err := w.StartVoiceTask()
		w.ok(err)
		w.ok(w.Accept(s.ReservationSID))
		if a := w.get(taskPath(s)); a.text("task_channel_unique_name") != "voice" || len(w.State().Conversations) != 0 {
			t.Errorf("task %v", a.body)
		}
	})
}

func TestTransfer(t *testing.T) {
	w := newWorld(t)
	first := w.accepted("+1")
	second, err := w.Transfer(first.ConversationSID)
	w.ok(err)
	if second.ConversationSID != first.ConversationSID || second.ChannelSID != first.ChannelSID || second.TaskSID == first.TaskSID {
		t.Fatalf("transferred to %+v", second)
	}
	if got := w.get(channelPath(first)).text("status"); got != "transfer" {
		t.Errorf("before the accept the channel is %s", got)
	}
	if got := w.taskStatus(first.TaskSID); got != "assigned" {
		t.Errorf("before the accept the first task is %s", got)
	}
	w.ok(w.Accept(second.ReservationSID))
	if got := w.get(channelPath(first)).text("status"); got != "active" {
		t.Errorf("after the accept the channel is %s", got)
	}
	if a, b := w.taskStatus(first.TaskSID), w.taskStatus(second.TaskSID); a != "completed" || b != "assigned" {
		t.Errorf("after the accept the tasks are %s and %s", a, b)
	}
	w.ok(w.Say(first.ConversationSID, Agent, "Hi, I took over"))
	c, _ := w.State().Conversation(first.ConversationSID)
	if len(c.Participants) != 2 || c.Participants[1].Identity != "agent_2" || c.Messages[1].Author != "agent_2" {
		t.Errorf("participants %+v, messages %+v", c.Participants, c.Messages)
	}
}

func TestLeavePauseResume(t *testing.T) {
	t.Run("leave: the task wraps up, the channel is inactive; the customer's reply makes a new task", func(t *testing.T) {
		w := newWorld(t)
		s := w.accepted("+1")
		w.ok(w.Leave(s.ConversationSID))
		if got := w.get(channelPath(s)).text("status"); got != "inactive" || w.taskStatus(s.TaskSID) != "wrapping" ||
			w.conversationState(s) != "active" {
			t.Errorf("channel %s, task %s, conversation %s", got, w.taskStatus(s.TaskSID), w.conversationState(s))
		}
		if err := w.Say(s.ConversationSID, Agent, "still here"); err == nil {
			t.Error("an agent who left wrote")
		}
		w.ok(w.Say(s.ConversationSID, Customer, "back"))
		tasks := w.State().Tasks
		if len(tasks) != 2 || tasks[1].ConversationSID != s.ConversationSID || tasks[1].Status != "reserved" {
			t.Fatalf("tasks %+v", tasks)
		}
		w.ok(w.Accept(tasks[1].Reservations[0].SID))
		if got := w.get(channelPath(s)).text("status"); got != "active" {
			t.Errorf("channel %s", got)
		}
		if got := w.taskStatus(s.TaskSID); got != "wrapping" {
			t.Errorf("the first task is %s: only a transfer ends it", got)
		}
	})
	t.Run("pause: the task is completed; resume makes a new one that is accepted", func(t *testing.T) {
		w := newWorld(t)
		s := w.accepted("+1")
		w.ok(w.Pause(s.ConversationSID))
		if got := w.get(channelPath(s)).text("status"); got != "pause" || w.taskStatus(s.TaskSID) != "completed" {
			t.Errorf("channel %s, task %s", got, w.taskStatus(s.TaskSID))
		}
		w.ok(w.Say(s.ConversationSID, Customer, "hello?"))
		if n := len(w.State().Tasks); n != 1 {
			t.Errorf("%d tasks", n)
		}
		again, err := w.Resume(s.ConversationSID)
		w.ok(err)
		if w.taskStatus(again.TaskSID) != "assigned" || again.TaskSID == s.TaskSID {
			t.Errorf("resumed %+v", again)
		}
		if _, err := w.Resume(s.ConversationSID); err == nil {
			t.Error("resumed twice")
		}
	})
}

func TestPeopleWhoCannot(t *testing.T) {
	w := newWorld(t)
	reserved := w.sms("+1")
	closed := w.accepted("+2")
	w.must(conversationPath(closed), "State=closed")
	plain := w.must("/v1/Conversations").text("sid")
	start := func(channel, from, body string) error { _, err := w.StartConversation(channel, from, body); return err }
	transfer := func(sid string) error { _, err := w.Transfer(sid); return err }
	for name, err := range map[string]error{
		"an unknown channel":                     start("fax", "+1", "x"),
		"no sender":                              start("sms", "", "x"),
		"no text":                                start("sms", "+1", ""),
		"accepting what does not exist":          w.Accept("WRno"),
		"accepting twice":                        w.Accept(closed.ReservationSID),
		"rejecting what was accepted":            w.Reject(closed.ReservationSID),
		"an agent before the accept":             w.Say(reserved.ConversationSID, Agent, "x"),
		"somebody else":                          w.Say(reserved.ConversationSID, "bot", "x"),
		"silence":                                w.Say(reserved.ConversationSID, Customer, ""),
		"into a closed conversation":             w.Say(closed.ConversationSID, Customer, "x"),
		"into an unknown conversation":           w.Say("CHno", Customer, "x"),
		"a customer who is not there":            w.Say(plain, Customer, "x"),
		"an agent of a conversation without one": w.Say(plain, Agent, "x"),
		"transferring what nobody serves":        transfer(reserved.ConversationSID),
		"transferring what does not exist":       transfer("CHno"),
		"leaving what nobody serves":             w.Leave(reserved.ConversationSID),
		"completing what is reserved":            w.AgentCompletes(reserved.TaskSID),
		"completing what does not exist":         w.AgentCompletes("WTno"),
		"offering what is reserved":              func() error { _, err := w.Offer(reserved.TaskSID); return err }(),
		"resuming what does not exist":           func() error { _, err := w.Resume("CHno"); return err }(),
		"a webhook where there is nothing":       func() error { _, err := w.AddWebhook("CHno", "https://e", "onMessageAdded"); return err }(),
		"a webhook without a filter":             func() error { _, err := w.AddWebhook(reserved.ConversationSID, "https://e"); return err }(),
		"a workspace that is not there":          func() error { _, err := w.StartConversationIn("WSno", "sms", "+9", "x"); return err }(),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAgentsTakeTurns(t *testing.T) {
	w := newWorld(t)
	other := w.AddWorkspace("Other")
	s, err := w.StartConversationIn(other, "sms", "+77", "Hello")
	w.ok(err)
	if s.WorkspaceSID != other {
		t.Errorf("in %s", s.WorkspaceSID)
	}
	var workers []string
	for _, from := range []string{"+1", "+2", "+3", "+4"} {
		started := w.sms(from)
		task, _ := w.State().Task(started.TaskSID)
		workers = append(workers, task.Reservations[0].Worker)
	}
	if diff := cmp.Diff([]string{"agent_1", "agent_2", "agent_3", "agent_1"}, workers); diff != "" {
		t.Error(diff)
	}
}

func TestRealClock(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	before := time.Now()
	started, err := s.StartConversation("sms", "+1", "Hello")
	if err != nil {
		t.Fatal(err)
	}
	c, _ := s.State().Conversation(started.ConversationSID)
	if c.Created.Before(before.Add(-time.Second)) || c.Created.After(time.Now()) {
		t.Errorf("created %s, now %s", c.Created, before)
	}
}
