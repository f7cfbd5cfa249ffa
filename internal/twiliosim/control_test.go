package twiliosim

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// control makes a control request, without credentials.
func (w *world) control(method, path, body string) (status int, out map[string]any) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+"/simulator/"+path, strings.NewReader(body))
	w.ok(err)
	resp, err := http.DefaultClient.Do(r)
	w.ok(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		w.ok(json.NewDecoder(resp.Body).Decode(&out))
	}
	return resp.StatusCode, out
}

func TestControlAPIPlaysAStory(t *testing.T) {
	w := newWorld(t)
	must := func(method, path, body string) map[string]any {
		t.Helper()
		status, out := w.control(method, path, body)
		if status >= 300 {
			t.Fatalf("%s %s: %d %v", method, path, status, out)
		}
		return out
	}
	s := must("POST", "conversations", `{"channel":"sms","from":"+15005550001","body":"Hello"}`)
	for _, key := range []string{"conversationSid", "taskSid", "reservationSid", "interactionSid", "channelSid", "workspaceSid"} {
		if v, _ := s[key].(string); !isFullSID.MatchString(v) {
			t.Errorf("%s is %q", key, v)
		}
	}
	conversation := "conversations/" + s["conversationSid"].(string)
	must("POST", "reservations/"+s["reservationSid"].(string)+"/accept", "")
	must("POST", conversation+"/messages", `{"from":"agent","body":"Hi"}`)
	must("POST", conversation+"/messages", `{"from":"customer","body":"Thanks"}`)
	moved := must("POST", conversation+"/transfer", "{}")
	must("POST", "reservations/"+moved["reservationSid"].(string)+"/accept", "")
	must("POST", conversation+"/pause", "")
	must("POST", conversation+"/resume", "")
	must("POST", conversation+"/leave", "")
	state := w.State()
	if c := state.Conversations[0]; len(c.Messages) != 3 || c.ChannelStatus != "inactive" || len(state.Tasks) != 3 {
		t.Errorf("state %+v", state)
	}
	must("POST", "tasks/"+state.Tasks[2].SID+"/complete", "")
	plain := must("POST", "conversations", `{"channel":"web","from":"v","body":"x","plain":true}`)
	if plain["channelSid"] != nil {
		t.Errorf("plain %v", plain)
	}
	must("POST", "reservations/"+plain["reservationSid"].(string)+"/reject", "")
	offered := must("POST", "tasks/"+plain["taskSid"].(string)+"/offer", "")
	must("POST", "reservations/"+offered["reservationSid"].(string)+"/accept", "")
	must("POST", "tasks/"+plain["taskSid"].(string)+"/wrapup", "")
	if voice := must("POST", "conversations", `{"channel":"voice"}`); voice["conversationSid"] != nil {
		t.Errorf("voice %v", voice)
	}
	other := must("POST", "workspaces", `{"friendlyName":"Other"}`)["workspaceSid"].(string)
	there := must("POST", "conversations", `{"channel":"sms","from":"+9","body":"x","workspaceSid":"`+other+`"}`)
	if there["workspaceSid"] != other {
		t.Errorf("elsewhere: %v", there)
	}
	if got := must("GET", "state", "")["conversations"].([]any); len(got) != 3 {
		t.Errorf("%d conversations", len(got))
	}
	must("POST", "faults", `{"status":503,"times":1}`)
	if a := w.get("/v1/Workspaces"); a.status != 503 {
		t.Errorf("fault: %d", a.status)
	}
	must("POST", "faults", `{"status":503}`)
	must("DELETE", "faults", "")
	if a := w.get("/v1/Workspaces"); a.status != 200 {
		t.Errorf("cleared: %d", a.status)
	}
}

func TestControlAPIExplainsRefusals(t *testing.T) {
	w := newWorld(t)
	s := w.sms("+1")
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		says               string
	}{
		"no channel":           {"POST", "conversations", `{}`, 409, `"channel": "sms"`},
		"an unknown channel":   {"POST", "conversations", `{"channel":"fax","from":"+1","body":"x"}`, 409, "say sms, whatsapp"},
		"no JSON":              {"POST", "conversations", `channel=sms`, 400, "must be a JSON object"},
		"somebody else":        {"POST", "conversations/" + s.ConversationSID + "/messages", `{"from":"me","body":"x"}`, 409, "say customer, agent or the identity"},
		"unknown reservation":  {"POST", "reservations/WRno/accept", ``, 409, "there is no reservation WRno"},
		"a path that is not":   {"POST", "party", ``, 404, "not part of the control API"},
		"a nameless workspace": {"POST", "workspaces", `{}`, 409, "friendlyName"},
		"a nameless queue":     {"POST", "taskqueues", `{}`, 409, `send {"friendlyName"`},
		"a queue nowhere":      {"POST", "taskqueues", `{"friendlyName":"x","workspaceSid":"WSno"}`, 409, "no workspace WSno"},
		"no attributes":        {"POST", "tasks/" + s.TaskSID + "/attributes", `{}`, 409, "say which to set or to remove"},
		"a list of attributes": {"POST", "tasks/" + s.TaskSID + "/attributes", `{"attributes":[]}`, 400, "JSON object"},
		"a silent program":     {"POST", "conversations/" + s.ConversationSID + "/posts", `{}`, 409, "needs Body"},
		"nobody who joins":     {"POST", "conversations/" + s.ConversationSID + "/participants", `{}`, 409, "needs Identity"},
		"a nonsense fault":     {"POST", "faults", `{"drop":"maybe"}`, 400, "before"},
		"a journal since when": {"GET", "journal?since=noon", ``, 400, "seq"},
		"a broken fault":       {"POST", "faults", `[`, 400, "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			status, out := w.control(tc.method, tc.path, tc.body)
			if said, _ := out["error"].(string); status != tc.status || !strings.Contains(said, tc.says) {
				t.Errorf("%d %q", status, said)
			}
		})
	}
}

func TestJournalIsServedAsJSONLines(t *testing.T) {
	w := newWorld(t)
	s := w.accepted("+1")
	w.must(conversationPath(s), "Timers.Inactive=PT1M")
	const known = 2
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/simulator/journal?since=2", nil)
	w.ok(err)
	resp, err := http.DefaultClient.Do(r)
	w.ok(err)
	defer resp.Body.Close()
	var entries []Entry
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		var e Entry
		w.ok(json.Unmarshal(lines.Bytes(), &e))
		entries = append(entries, e)
	}
	last := entries[len(entries)-1]
	if entries[0].Seq != known+1 || len(entries) != len(w.Journal())-known || !last.Write || last.Form.Get("Timers.Inactive") != "PT1M" || last.Status != 200 {
		t.Errorf("%d entries, the last %+v", len(entries), last)
	}
}

func TestControlAPIPlaysPrograms(t *testing.T) {
	w := newWorld(t)
	must := func(path, body string) map[string]any {
		t.Helper()
		status, out := w.control("POST", path, body)
		if status >= 300 {
			t.Fatalf("%s %s: %d %v", path, body, status, out)
		}
		return out
	}
	sales := must("taskqueues", `{"friendlyName":"Sales"}`)["queueSid"].(string)
	must("taskqueues", `{"friendlyName":"Support"}`)
	s := must("conversations", `{"channel":"web","from":"visitor","body":"Hi","queue":"Sales","priority":4,"anonymous":true,
		"attributes":{"language":"es","vip":true},"participantAttributes":{"member_type":"guest"}}`)
	task, conversation := "tasks/"+s["taskSid"].(string), "conversations/"+s["conversationSid"].(string)
	must(task+"/attributes", `{"attributes":{"inactivityHold":null},"remove":["vip"]}`)
	must(conversation+"/attributes", `{"attributes":{"inactivityHold":true}}`)
	bot := must(conversation+"/participants", `{"identity":"bot"}`)["participantSid"].(string)
	must(conversation+"/messages", `{"from":"bot","body":"Hello"}`)
	posted := must(conversation+"/posts", `{"author":"CRM","body":"Your ticket is 4711"}`)["messageSid"].(string)

	state := w.State()
	got, _ := state.Task(s["taskSid"].(string))
	if got.QueueSID != sales || got.Priority != 4 || strings.Contains(got.Attributes, "visitor") || strings.Contains(got.Attributes, "vip") ||
		!strings.Contains(got.Attributes, `"inactivityHold":null`) || !strings.Contains(got.Attributes, `"language":"es"`) {
		t.Errorf("task %+v", got)
	}
	c, _ := state.Conversation(s["conversationSid"].(string))
	if c.Attributes != `{"inactivityHold":true}` || c.Messages[1].ParticipantSID != bot || c.Messages[2].SID != posted || c.Messages[2].Author != "CRM" {
		t.Errorf("conversation %+v", c)
	}
	must("reservations/"+s["reservationSid"].(string)+"/accept", "")
	moved := must(conversation+"/transfer", `{"queue":"Support","attributes":{"language":"es"}}`)
	if to, _ := w.State().Task(moved["taskSid"].(string)); to.Queue != "Support" || to.Priority != 4 || !strings.Contains(to.Attributes, `"language":"es"`) {
		t.Errorf("transferred to %+v", to)
	}
	begun := must("conversations", `{"channel":"whatsapp","from":"+1","body":"Hi","outbound":true}`)
	if to, _ := w.State().Task(begun["taskSid"].(string)); to.Status != "assigned" {
		t.Errorf("an agent began %+v", to)
	}
}
