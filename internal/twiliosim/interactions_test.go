package twiliosim

import (
	"strings"
	"testing"
)

func TestInteractionChannelUpdate(t *testing.T) {
	const closed = `Routing={"status":"closed"}`
	for name, tc := range map[string]struct {
		prepare      func(w *world, s Started)
		pairs        []string
		status, code int
		channel      string
		task         string
		conversation string
	}{
		"closed with routing completes the tasks":   {nil, []string{"Status=closed", closed}, 200, 0, "closed", "completed", "closed"},
		"closed without routing wraps the tasks up": {nil, []string{"Status=closed"}, 200, 0, "closed", "wrapping", "closed"},
		"inactive completes and keeps it open":      {nil, []string{"Status=inactive", closed}, 200, 0, "inactive", "completed", "active"},
		"inactive needs routing":                    {nil, []string{"Status=inactive"}, 400, 20001, "active", "assigned", "active"},
		"routing has one value":                     {nil, []string{"Status=closed", `Routing={"status":"wrapup"}`}, 400, 20001, "active", "assigned", "active"},
		"status is needed":                          {nil, []string{closed}, 400, 20001, "active", "assigned", "active"},
		"closing twice is refused with 80906": {func(w *world, s Started) { w.must(channelPath(s), "Status=closed") },
			[]string{"Status=closed", closed}, 400, 80906, "closed", "wrapping", "closed"},
		"a conversation that is closed already": {func(w *world, s Started) { w.must(conversationPath(s), "State=closed") },
			[]string{"Status=closed", closed}, 200, 0, "closed", "completed", "closed"},
		"a task that is completed already": {func(w *world, s Started) { w.ok(w.AgentCompletes(s.TaskSID)) },
			[]string{"Status=closed", closed}, 200, 0, "closed", "completed", "closed"},
		"a task that nobody accepted is canceled": {func(w *world, s Started) {
			_, err := w.Transfer(s.ConversationSID)
			w.ok(err)
		}, []string{"Status=closed", closed}, 200, 0, "closed", "completed", "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.accepted("+1")
			if tc.prepare != nil {
				tc.prepare(w, s)
			}
			a := w.post(channelPath(s), tc.pairs...)
			if a.status != tc.status || a.code() != tc.code {
				t.Fatalf("got status %d, code %d, want %d, %d: %v", a.status, a.code(), tc.status, tc.code, a.body)
			}
			got := []string{w.get(channelPath(s)).text("status"), w.taskStatus(s.TaskSID), w.conversationState(s)}
			want := []string{tc.channel, tc.task, tc.conversation}
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("channel, task, conversation are %v, want %v", got, want)
			}
			for _, task := range w.State().Tasks {
				if tc.status == 200 && (task.Status == "reserved" || task.Status == "assigned") {
					t.Errorf("task %s is still %s", task.SID, task.Status)
				}
			}
		})
	}
}

func TestInteractionParticipants(t *testing.T) {
	w := newWorld(t)
	s := w.accepted("+1")
	list := w.get(channelPath(s) + "/Participants").items("participants")
	if len(list) != 2 || list[0]["type"] != "customer" || list[1]["type"] != "agent" || list[0]["routing_properties"] != nil {
		t.Fatalf("participants %v", list)
	}
	routing := list[1]["routing_properties"].(map[string]any)
	if routing["task_sid"] != s.TaskSID || routing["reservation_sid"] != s.ReservationSID {
		t.Errorf("routing %v", routing)
	}
	agent := channelPath(s) + "/Participants/" + list[1]["sid"].(string)
	customer := channelPath(s) + "/Participants/" + list[0]["sid"].(string)
	if a := w.post(agent, "Status=gone"); a.status != 400 {
		t.Errorf("an unknown status: %d", a.status)
	}
	if a := w.post(customer, "Status=closed"); a.status != 400 {
		t.Errorf("the customer: %d", a.status)
	}
	w.must(agent, "Status=wrapup")
	if got := w.taskStatus(s.TaskSID); got != "wrapping" {
		t.Errorf("wrapup: task %s", got)
	}
	if a := w.post(agent, "Status=wrapup"); a.status != 400 {
		t.Errorf("wrapup twice: %d", a.status)
	}
	w.must(agent, "Status=closed")
	if got := w.taskStatus(s.TaskSID); got != "completed" {
		t.Errorf("closed: task %s", got)
	}
	if got := w.get(channelPath(s)).text("status"); got != "active" || w.conversationState(s) != "active" {
		t.Errorf("channel %s, conversation %s: both stay active", got, w.conversationState(s))
	}
	w.must(channelPath(s), "Status=closed")
	if a := w.post(agent, "Status=closed"); a.code() != 80906 {
		t.Errorf("in a closed channel: %d", a.code())
	}
	for _, path := range []string{"/v1/Interactions/KDno", "/v1/Interactions/KDno/Channels",
		"/v1/Interactions/" + s.InteractionSID + "/Channels/UOno", channelPath(s) + "/Transfers"} {
		if a := w.get(path); a.status != 404 || a.code() != 20404 {
			t.Errorf("%s: %d %d", path, a.status, a.code())
		}
	}
	if a := w.post(channelPath(s)+"/Participants/UTno", "Status=closed"); a.status != 404 {
		t.Errorf("an unknown participant: %d", a.status)
	}
}

func TestInteractionDocuments(t *testing.T) {
	w := newWorld(t)
	s := w.accepted("+1")
	i := w.get("/v1/Interactions/" + s.InteractionSID)
	if i.text("channel", "sid") != s.ChannelSID || i.text("routing", "properties", "sid") != s.TaskSID {
		t.Errorf("interaction %v", i.body)
	}
	if got := w.get("/v1/Interactions/" + s.InteractionSID + "/Channels").items("channels"); len(got) != 1 {
		t.Errorf("channels %v", got)
	}
	if got := w.get(channelPath(s) + "/Invites").items("invites"); len(got) != 1 {
		t.Errorf("invites %v", got)
	}
	flex := w.do("GET", "/v1/Configuration", nil, "Host: flex-api.example.com")
	conversations := w.do("GET", "/v1/Configuration", nil, "Host: conversations.example.com")
	both := w.get("/v1/Configuration")
	if flex.text("chat_service_instance_sid") == "" || flex.body["default_chat_service_sid"] != nil {
		t.Errorf("Flex's: %v", flex.body)
	}
	if conversations.text("default_chat_service_sid") == "" || conversations.body["ui_version"] != nil {
		t.Errorf("Conversations': %v", conversations.body)
	}
	if both.text("default_chat_service_sid") != both.text("chat_service_instance_sid") || both.text("taskrouter_workspace_sid") != w.WorkspaceSID() {
		t.Errorf("both: %v", both.body)
	}
}
