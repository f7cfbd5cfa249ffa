package twiliosim

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// begin starts a conversation with choices.
func (w *world) begin(start Start) Started {
	w.t.Helper()
	started, err := w.StartConversationWith(start)
	w.ok(err)
	return started
}

// taskState and conversation are what the snapshot shows of a started conversation.
func (w *world) taskState(s Started) TaskState {
	w.t.Helper()
	task, known := w.State().Task(s.TaskSID)
	if !known {
		w.t.Fatalf("there is no task %s", s.TaskSID)
	}
	return task
}

func (w *world) seen(s Started) ConversationState {
	w.t.Helper()
	c, known := w.State().Conversation(s.ConversationSID)
	if !known {
		w.t.Fatalf("there is no conversation %s", s.ConversationSID)
	}
	return c
}

// attributes are those of a started conversation's task.
func (w *world) attributes(s Started) map[string]any {
	w.t.Helper()
	var attributes map[string]any
	w.ok(json.Unmarshal([]byte(w.taskState(s).Attributes), &attributes))
	return attributes
}

func TestTaskQueues(t *testing.T) {
	t.Run("a conversation goes to Everyone, or to the queue that is named", func(t *testing.T) {
		w := newWorld(t)
		sales := w.AddTaskQueue("Sales")
		for name, tc := range map[string]struct{ queue, want string }{
			"none":     {"", "Everyone"},
			"its name": {"Sales", "Sales"},
			"its SID":  {sales, "Sales"},
		} {
			s := w.begin(Start{Channel: "web", From: "v", Body: "Hi", Queue: tc.queue, Priority: 7})
			task := w.taskState(s)
			if task.Queue != tc.want || (task.QueueSID == sales) != (tc.want == "Sales") || task.Priority != 7 {
				t.Errorf("%s: task %+v", name, task)
			}
			a := w.get(taskPath(s))
			if a.text("task_queue_friendly_name") != tc.want || a.text("task_queue_sid") != task.QueueSID || a.body["priority"] != 7.0 {
				t.Errorf("%s: answer %v", name, a.body)
			}
		}
		list := w.get("/v1/Workspaces/" + w.WorkspaceSID() + "/Tasks?TaskQueueName=Sales").items("tasks")
		if len(list) != 2 {
			t.Errorf("%d tasks in Sales", len(list))
		}
	})
	t.Run("the accept event names queue, priority and age", func(t *testing.T) {
		w := newWorld(t)
		e := newEndpoint(t)
		w.must("/v1/Workspaces/"+w.WorkspaceSID(), "EventCallbackUrl="+e.URL, "EventsFilter=reservation.accepted")
		w.AddTaskQueue("VIP")
		s := w.begin(Start{Channel: "sms", From: "+1", Body: "Hi", Queue: "VIP", Priority: 9})
		w.step(90e9)
		w.ok(w.Accept(s.ReservationSID))
		w.settled()
		got := e.callbacks()[0].form
		want := map[string]string{"TaskQueueName": "VIP", "TaskQueueSid": w.taskState(s).QueueSID, "TaskPriority": "9", "TaskAge": "90"}
		for name, value := range want {
			if got.Get(name) != value {
				t.Errorf("%s is %q, want %q", name, got.Get(name), value)
			}
		}
	})
	t.Run("a queue is there once, and belongs to its workspace", func(t *testing.T) {
		w := newWorld(t)
		other := w.AddWorkspace("Other")
		sales := w.AddTaskQueue("Sales")
		if again := w.AddTaskQueue("Sales"); again != sales {
			t.Errorf("twice: %s and %s", sales, again)
		}
		if _, err := w.StartConversationWith(Start{Channel: "web", From: "v", Body: "x", WorkspaceSID: other, Queue: "Sales"}); err == nil {
			t.Error("started into another workspace's queue")
		}
		there, err := w.AddTaskQueueIn(other, "Sales")
		w.ok(err)
		if there == sales {
			t.Error("two workspaces share a queue")
		}
		if s := w.begin(Start{Channel: "web", From: "v", Body: "x", WorkspaceSID: other, Queue: "Sales"}); w.taskState(s).QueueSID != there {
			t.Errorf("task %+v", w.taskState(s))
		}
	})
	t.Run("a task made by REST goes to the queue with its SID", func(t *testing.T) {
		w := newWorld(t)
		sales := w.AddTaskQueue("Sales")
		tasks := "/v1/Workspaces/" + w.WorkspaceSID() + "/Tasks"
		if a := w.must(tasks, "TaskQueueSid="+sales); a.text("task_queue_friendly_name") != "Sales" {
			t.Errorf("task %v", a.body)
		}
		if a := w.post(tasks, "TaskQueueSid=Sales"); a.status != 400 {
			t.Errorf("by name: %d", a.status)
		}
	})
}

func TestTaskAttributesOfAStart(t *testing.T) {
	t.Run("further ones are laid over Flex's", func(t *testing.T) {
		w := newWorld(t)
		s := w.begin(Start{Channel: "sms", From: "+1", Body: "Hi", Attributes: map[string]any{
			"language": "pt-BR", "vip": true, "customerName": "Ana", "gone": nil,
		}})
		got := w.attributes(s)
		for key, want := range map[string]any{
			"language": "pt-BR", "vip": true, "customerName": "Ana", "gone": nil, "from": "+1", "conversationSid": s.ConversationSID,
		} {
			if value, there := got[key]; !there || value != want {
				t.Errorf("%s is %v, %t, want %v", key, value, there, want)
			}
		}
	})
	t.Run("an anonymous one does not say who the customer is", func(t *testing.T) {
		w := newWorld(t)
		s := w.begin(Start{Channel: "web", From: "visitor", Body: "Hi", Anonymous: true, Attributes: map[string]any{"customerName": "Ana"}})
		w.ok(w.Accept(s.ReservationSID))
		if text := w.taskState(s).Attributes; strings.Contains(text, "visitor") {
			t.Errorf("attributes %s", text)
		}
		if got := w.attributes(s); got["customerName"] != "Ana" || got["conversationSid"] != s.ConversationSID || got["channelType"] != "web" {
			t.Errorf("attributes %v", got)
		}
		if c := w.seen(s); c.Messages[0].Author != "visitor" || c.Participants[0].Identity != "visitor" {
			t.Errorf("conversation %+v", c)
		}
		moved, err := w.Transfer(s.ConversationSID)
		w.ok(err)
		if text := w.taskState(moved).Attributes; strings.Contains(text, "visitor") {
			t.Errorf("attributes after a transfer %s", text)
		}
	})
	t.Run("those of the customer's participant are the customer's alone", func(t *testing.T) {
		w := newWorld(t)
		s := w.begin(Start{Channel: "web", From: "visitor", Body: "Hi", ParticipantAttributes: map[string]any{"member_type": "guest"}})
		w.ok(w.Accept(s.ReservationSID))
		var got []any
		for _, p := range w.get(conversationPath(s) + "/Participants").items("participants") {
			got = append(got, p["attributes"])
		}
		if diff := cmp.Diff([]any{`{"member_type":"guest"}`, "{}"}, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("too long ones leave nothing behind", func(t *testing.T) {
		w := newWorld(t)
		start := Start{Channel: "sms", From: "+1", Body: "Hi", Attributes: map[string]any{"long": strings.Repeat("x", maxTaskAttributes)}}
		if _, err := w.StartConversationWith(start); err == nil || !strings.Contains(err.Error(), "4096") {
			t.Errorf("error %v", err)
		}
		if state := w.State(); len(state.Conversations)+len(state.Tasks) != 0 || len(w.interactions) != 0 {
			t.Errorf("left behind: %+v", state)
		}
		start.Attributes = nil
		w.begin(start)
	})
}

func TestStartsThatMakeNoSense(t *testing.T) {
	w := newWorld(t)
	w.sms("+1")
	valid := Start{Channel: "sms", From: "+9", Body: "Hi"}
	for name, tc := range map[string]struct {
		change func(*Start)
		says   string
	}{
		"an unknown channel":                {func(s *Start) { s.Channel = "fax" }, "say sms, whatsapp, messenger, web or chat"},
		"an unknown workspace":              {func(s *Start) { s.WorkspaceSID = "WSno" }, "no workspace WSno"},
		"an unknown queue":                  {func(s *Start) { s.Queue = "Nobody" }, `no task queue "Nobody"`},
		"a negative priority":               {func(s *Start) { s.Priority = -1 }, "priority is -1"},
		"attributes that are no JSON":       {func(s *Start) { s.Attributes = map[string]any{"f": func() {}} }, "attributes: json"},
		"a participant's that are none":     {func(s *Start) { s.ParticipantAttributes = map[string]any{"f": func() {}} }, "participantAttributes: json"},
		"an agent who begins on web chat":   {func(s *Start) { s.Outbound, s.Channel = true, "web" }, "an agent begins by sms"},
		"an agent who begins a second time": {func(s *Start) { s.Outbound, s.From = true, "+1" }, "in conversation CH"},
		"a customer who says nothing":       {func(s *Start) { s.Body = "" }, "body is empty"},
	} {
		start := valid
		tc.change(&start)
		if _, err := w.StartConversationWith(start); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: error %v, want one that says %q", name, err, tc.says)
		}
	}
	if n := len(w.State().Conversations); n != 1 {
		t.Errorf("%d conversations, want the first alone", n)
	}
	if _, err := w.AddTaskQueueIn("WSno", "x"); err == nil {
		t.Error("a queue in a workspace that is not there")
	}
	if _, err := w.AddTaskQueueIn(w.WorkspaceSID(), ""); err == nil {
		t.Error("a queue without a name")
	}
}

func TestAnAgentBegins(t *testing.T) {
	for channel, address := range map[string]string{
		"sms": "+15005550001", "whatsapp": "whatsapp:+15005550001", "messenger": "messenger:+15005550001",
	} {
		t.Run("by "+channel, func(t *testing.T) {
			w := newWorld(t)
			e := newEndpoint(t)
			w.must("/v1/Workspaces/"+w.WorkspaceSID(), "EventCallbackUrl="+e.URL)
			s := w.begin(Start{Channel: channel, From: "+15005550001", Body: "Your parcel is here", Outbound: true})
			w.settled()
			got := w.attributes(s)
			for key, want := range map[string]any{"direction": "outbound", "initiatedBy": "agent", "customerAddress": address, "from": address} {
				if got[key] != want {
					t.Errorf("%s is %v, want %v", key, got[key], want)
				}
			}
			if task := w.taskState(s); task.Status != "assigned" || task.Reservations[0].Worker != "agent_1" {
				t.Errorf("task %+v", task)
			}
			if target := w.get(taskPath(s)).text("routing_target"); !strings.HasPrefix(target, "WK") {
				t.Errorf("routed to %q", target)
			}
			c := w.seen(s)
			if len(c.Participants) != 2 || c.Participants[0].Address != address || c.Participants[1].Identity != "agent_1" {
				t.Errorf("participants %+v", c.Participants)
			}
			if len(c.Messages) != 1 || c.Messages[0].Author != "agent_1" || c.Messages[0].ParticipantSID != c.Participants[1].SID {
				t.Errorf("messages %+v", c.Messages)
			}
			if !slices.Contains(e.events(), "reservation.accepted") {
				t.Errorf("events %v", e.events())
			}
			w.ok(w.Say(s.ConversationSID, Customer, "Thanks"))
			again, err := w.StartConversation(channel, "+15005550001", "Still there?")
			w.ok(err)
			if again.ConversationSID != s.ConversationSID || len(w.seen(s).Messages) != 3 {
				t.Errorf("the customer's answer went to %+v", again)
			}
		})
	}
	t.Run("and has not written yet", func(t *testing.T) {
		w := newWorld(t)
		if c := w.seen(w.begin(Start{Channel: "sms", From: "+1", Outbound: true})); len(c.Messages) != 0 {
			t.Errorf("messages %+v", c.Messages)
		}
	})
}

func TestTransferToSomewhereElse(t *testing.T) {
	w := newWorld(t)
	w.AddTaskQueue("Sales")
	w.AddTaskQueue("Support")
	first := w.begin(Start{Channel: "sms", From: "+1", Body: "Hi", Queue: "Sales", Priority: 3, Attributes: map[string]any{"language": "es"}})
	w.ok(w.Accept(first.ReservationSID))
	for name, to := range map[string]Destination{
		"an unknown queue": {Queue: "Nobody"}, "a negative priority": {Priority: -1},
		"long attributes": {Attributes: map[string]any{"long": strings.Repeat("x", maxTaskAttributes)}},
	} {
		if _, err := w.TransferTo(first.ConversationSID, to); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got := w.get(channelPath(first)).text("status"); got != "active" || len(w.State().Tasks) != 1 {
		t.Errorf("transfers that failed left the channel %s and %d tasks", got, len(w.State().Tasks))
	}

	same, err := w.Transfer(first.ConversationSID)
	w.ok(err)
	if task := w.taskState(same); task.Queue != "Sales" || task.Priority != 3 || w.attributes(same)["language"] != nil {
		t.Errorf("transferred to %+v", task)
	}
	w.ok(w.Accept(same.ReservationSID))
	other, err := w.TransferTo(first.ConversationSID, Destination{Queue: "Support", Priority: 5, Attributes: map[string]any{"vip": true}})
	w.ok(err)
	if task := w.taskState(other); task.Queue != "Support" || task.Priority != 5 || w.attributes(other)["vip"] != true {
		t.Errorf("transferred to %+v", task)
	}
	w.ok(w.Accept(other.ReservationSID))
	w.ok(w.Pause(first.ConversationSID))
	resumed, err := w.Resume(first.ConversationSID)
	w.ok(err)
	if task := w.taskState(resumed); task.Queue != "Support" || task.Priority != 5 {
		t.Errorf("resumed as %+v", task)
	}
}

func TestTheStateOfOneConversation(t *testing.T) {
	w := newWorld(t)
	first, second := w.begin(Start{Channel: "web", From: "v", Body: "Hi"}), w.begin(Start{Channel: "sms", From: "+15550100", Body: "Hi"})
	seen, tasks, known := w.StateOf(second.ConversationSID)
	if !known || seen.SID != second.ConversationSID || len(seen.Messages) != 0 || len(tasks) != 1 || tasks[0].SID != second.TaskSID {
		t.Errorf("StateOf(%s) = %+v, %+v, %t", second.ConversationSID, seen, tasks, known)
	}
	if _, _, known := w.StateOf(first.TaskSID); known {
		t.Error("a task is taken for a conversation")
	}
}
