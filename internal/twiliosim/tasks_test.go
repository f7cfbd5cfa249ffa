package twiliosim

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTaskStatusByREST(t *testing.T) {
	reserved := func(w *world) Started { return w.sms("+1") }
	assigned := func(w *world) Started { return w.accepted("+1") }
	pending := func(w *world) Started {
		s := w.sms("+1")
		w.ok(w.Reject(s.ReservationSID))
		return s
	}
	wrapping := func(w *world) Started {
		s := w.accepted("+1")
		w.ok(w.AgentWrapsUp(s.TaskSID))
		return s
	}
	completed := func(w *world) Started {
		s := w.accepted("+1")
		w.ok(w.AgentCompletes(s.TaskSID))
		return s
	}
	for name, tc := range map[string]struct {
		from   func(*world) Started
		to     string
		status int
		code   int
		after  string
	}{
		"a pending task can be canceled":          {pending, "canceled", 200, 0, "canceled"},
		"a reserved task can be canceled":         {reserved, "canceled", 200, 0, "canceled"},
		"an assigned task cannot be canceled":     {assigned, "canceled", 400, 20001, "assigned"},
		"a reserved task cannot be completed":     {reserved, "completed", 400, 20001, "reserved"},
		"an assigned task can be completed":       {assigned, "completed", 200, 0, "completed"},
		"a wrapping task can be completed":        {wrapping, "completed", 200, 0, "completed"},
		"a completed task cannot be completed":    {completed, "completed", 400, 20001, "completed"},
		"an assigned task can wrap up":            {assigned, "wrapping", 200, 0, "wrapping"},
		"a wrapping task cannot wrap up again":    {wrapping, "wrapping", 400, 20001, "wrapping"},
		"a reserved task cannot wrap up":          {reserved, "wrapping", 400, 20001, "reserved"},
		"nobody can assign a task by REST":        {reserved, "assigned", 400, 20001, "reserved"},
		"a status that does not exist is refused": {assigned, "done", 400, 20001, "assigned"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := tc.from(w)
			before := w.get(taskPath(s)).header.Get("ETag")
			a := w.post(taskPath(s), "AssignmentStatus="+tc.to, "Reason=because")
			if a.status != tc.status || a.code() != tc.code {
				t.Fatalf("got status %d, code %d, want %d, %d: %v", a.status, a.code(), tc.status, tc.code, a.body)
			}
			now := w.get(taskPath(s))
			if got := now.text("assignment_status"); got != tc.after {
				t.Errorf("the task is %s, want %s", got, tc.after)
			}
			changed := now.header.Get("ETag") != before
			if accepted := tc.status == 200; changed != accepted {
				t.Errorf("ETag changed: %v, accepted: %v", changed, accepted)
			}
			if tc.status == 200 && now.text("reason") != "because" {
				t.Errorf("reason %q", now.text("reason"))
			}
		})
	}
}

func TestTaskUpdateRules(t *testing.T) {
	for name, tc := range map[string]struct {
		form   url.Values
		status int
		code   int
	}{
		"attributes and status in one request are refused": {form("Attributes={}", "AssignmentStatus=completed"), 400, 20001},
		"4096 characters of attributes are accepted":       {form("Attributes=" + attributesOf(4096)), 200, 0},
		"4097 characters of attributes are refused":        {form("Attributes=" + attributesOf(4097)), 400, 20001},
		"attributes that are no JSON are refused":          {form("Attributes={"), 400, 20001},
		"attributes that are no object are refused":        {form("Attributes=[1]"), 400, 20001},
		"a priority that is no number is refused":          {form("Priority=high"), 400, 20001},
		"an unknown task channel is refused":               {form("TaskChannel=fax"), 400, 20001},
		"a parameter that does not exist is ignored":       {form("Unknown=1"), 200, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.accepted("+1")
			before := w.get(taskPath(s))
			a := w.do("POST", taskPath(s), tc.form)
			if a.status != tc.status || a.code() != tc.code {
				t.Fatalf("got status %d, code %d, want %d, %d", a.status, a.code(), tc.status, tc.code)
			}
			if tc.status != 200 {
				if diff := cmp.Diff(before.body, w.get(taskPath(s)).body); diff != "" {
					t.Errorf("a refused update changed the task: %s", diff)
				}
			}
		})
	}
}

// attributesOf makes attributes of exactly n characters, with some that take more than one byte.
func attributesOf(n int) string {
	const frame = `{"a":"é"}`
	return `{"a":"é` + strings.Repeat("x", n-len([]rune(frame))) + `"}`
}

func TestETagIsALock(t *testing.T) {
	w := newWorld(t)
	s := w.accepted("+1")
	tag := w.get(taskPath(s)).header.Get("ETag")
	if len(tag) < 3 || tag[0] != '"' || strings.Trim(tag, `"0123456789`) != "" {
		t.Fatalf("ETag is %q, want an integer in quotes", tag)
	}
	first := w.do("POST", taskPath(s), form(`Attributes={"by":"first"}`), "If-Match: "+tag)
	if first.status != 200 {
		t.Fatalf("first: %d %v", first.status, first.body)
	}
	second := w.do("POST", taskPath(s), form(`Attributes={"by":"second"}`), "If-Match: "+tag)
	if second.status != 412 || second.code() != 20412 {
		t.Fatalf("second: status %d, code %d, want 412, 20412", second.status, second.code())
	}
	if got := w.get(taskPath(s)); got.text("attributes") != `{"by":"first"}` {
		t.Errorf("attributes %s", got.text("attributes"))
	}
	// Public code sends the integer that it parsed out of the quotes.
	fresh := strings.Trim(first.header.Get("ETag"), `"`)
	if a := w.do("POST", taskPath(s), form(`Attributes={}`), "If-Match: "+fresh); a.status != 200 {
		t.Errorf("an unquoted ETag: status %d", a.status)
	}
	if a := w.do("DELETE", taskPath(s), nil, "If-Match: "+tag); a.status != 412 {
		t.Errorf("delete with a stale ETag: status %d", a.status)
	}
	if a := w.do("DELETE", taskPath(s), nil); a.status != 204 {
		t.Errorf("delete: status %d", a.status)
	}
	if a := w.get(taskPath(s)); a.status != 404 || a.code() != 20404 {
		t.Errorf("after the delete: status %d, code %d", a.status, a.code())
	}
}

func TestTasksExpire(t *testing.T) {
	t.Run("a completed task is gone after five minutes, without an event", func(t *testing.T) {
		w := newWorld(t)
		e := newEndpoint(t)
		s := w.accepted("+1")
		w.ok(w.AgentCompletes(s.TaskSID))
		w.must("/v1/Workspaces/"+s.WorkspaceSID, "EventCallbackUrl="+e.URL, "EventsFilter=task.deleted,task.system-deleted")
		w.step(5*time.Minute - time.Second)
		if got := w.taskStatus(s.TaskSID); got != "completed" {
			t.Fatalf("a second before: %s", got)
		}
		w.step(time.Second)
		if got := w.taskStatus(s.TaskSID); got != "gone" {
			t.Fatalf("after five minutes: %s", got)
		}
		if got := e.events(); len(got) != 0 {
			t.Errorf("events %v", got)
		}
	})
	t.Run("an assigned task is deleted by the system after 24 hours", func(t *testing.T) {
		w := newWorld(t)
		e := newEndpoint(t)
		w.must("/v1/Workspaces/"+w.WorkspaceSID(), "EventCallbackUrl="+e.URL, "EventsFilter=task.deleted,task.system-deleted")
		s := w.accepted("+1")
		w.step(24*time.Hour - time.Second)
		if got := w.taskStatus(s.TaskSID); got != "assigned" {
			t.Fatalf("a second before: %s", got)
		}
		w.step(time.Second)
		if got := w.taskStatus(s.TaskSID); got != "gone" {
			t.Fatalf("after 24 hours: %s", got)
		}
		if diff := cmp.Diff([]string{"task.system-deleted"}, e.events()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a task that nobody accepts in time is canceled with Twilio's reason", func(t *testing.T) {
		w := newWorld(t)
		a := w.must("/v1/Workspaces/"+w.WorkspaceSID()+"/Tasks", "Timeout=60", `Attributes={"x":1}`)
		w.step(time.Minute)
		task, _ := w.State().Task(a.text("sid"))
		if task.Status != "canceled" || task.Reason != reasonNobodyAccepted || task.Reservations[0].Status != "canceled" {
			t.Errorf("task %+v", task)
		}
	})
}

func TestTaskList(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.accepted("+1"), w.sms("+2"), w.accepted("+3")
	w.ok(w.AgentWrapsUp(c.TaskSID))
	voice, err := w.StartVoiceTask()
	w.ok(err)
	w.must(taskPath(b), "Priority=7")
	list := "/v1/Workspaces/" + w.WorkspaceSID() + "/Tasks"
	queue := w.get(taskPath(a)).text("task_queue_sid")
	names := map[string]string{a.TaskSID: "a", b.TaskSID: "b", c.TaskSID: "c", voice.TaskSID: "voice"}

	for name, tc := range map[string]struct {
		query string
		want  string
	}{
		"no filter lists all, oldest first":           {"", "a b c voice"},
		"one status":                                  {"AssignmentStatus=assigned", "a"},
		"a repeated status is a choice":               {"AssignmentStatus=assigned&AssignmentStatus=wrapping", "a c"},
		"so is a list with commas":                    {"AssignmentStatus=assigned,wrapping", "a c"},
		"the conversation, with ==":                   {evaluate(`conversationSid == "` + b.ConversationSID + `"`), "b"},
		"the conversation, with = and single quotes":  {evaluate(`conversationSid='` + b.ConversationSID + `'`), "b"},
		"a dotted path":                               {evaluate(`conversations.conversation_id == "` + c.InteractionSID + `"`), "c"},
		"an unknown conversation":                     {evaluate(`conversationSid == "CHnone"`), ""},
		"an attribute that is not there is not equal": {evaluate(`conversationSid != "x" AND channelType != "sms"`), "voice"},
		"both filters hold":                           {evaluate(`channelType == "sms"`) + "&AssignmentStatus=reserved", "b"},
		"the queue":                                   {"TaskQueueSid=" + queue, "a b c voice"},
		"another queue":                               {"TaskQueueSid=WQ" + strings.Repeat("0", 32), ""},
		"the workflow's name":                         {"WorkflowName=" + url.QueryEscape(workflowName), "a b c voice"},
		"the priority":                                {"Priority=7", "b"},
		"newest first":                                {"Ordering=DateCreated:desc", "voice c b a"},
		"by priority, then newest first":              {"Ordering=Priority:desc,DateCreated:desc", "b voice c a"},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.get(list + "?" + tc.query)
			var sids []string
			for _, item := range got.items("tasks") {
				sids = append(sids, names[item["sid"].(string)])
			}
			if strings.Join(sids, " ") != tc.want {
				t.Errorf("got %v, want %s (status %d %s)", sids, tc.want, got.status, got.text("message"))
			}
		})
	}
	for name, query := range map[string]string{
		"an expression with a hyphen in a name is refused": evaluate(`my-key == "x"`),
		"an unfinished expression is refused":              evaluate(`conversationSid ==`),
		"an unknown status is refused":                     "AssignmentStatus=done",
		"an unknown ordering is refused":                   "Ordering=Age",
	} {
		t.Run(name, func(t *testing.T) {
			if a := w.get(list + "?" + query); a.status != 400 || a.code() != 20001 {
				t.Errorf("status %d, code %d, want 400, 20001", a.status, a.code())
			}
		})
	}
}

func evaluate(expression string) string {
	return "EvaluateTaskAttributes=" + url.QueryEscape(expression)
}

func TestExpressions(t *testing.T) {
	attributes := map[string]any{
		"name": "john.2@example.com", "age": 30.0, "vip": true, "nested": map[string]any{"key": "v"},
		"skills": []any{"sales", "support"}, "quoted": `say "hi"`,
	}
	for expression, want := range map[string]bool{
		`name == "john.2@example.com"`:              true,
		`age > 29 AND age <= 30`:                    true,
		`age > 30 OR vip == true`:                   true,
		`NOT (vip == true)`:                         false,
		`not vip == false and age >= 30`:            true,
		`skills HAS "sales"`:                        true,
		`skills HAS "tax"`:                          false,
		`"support" IN skills`:                       true,
		`nested.key IN ["u", "v"]`:                  true,
		`nested.key NOT IN ['u']`:                   true,
		`name CONTAINS "john"`:                      true,
		`missing == null`:                           true,
		`missing.deep == "x"`:                       false,
		`name < 5`:                                  false,
		`age < "5"`:                                 false,
		`quoted == "say \"hi\""`:                    true,
		`age == 30 AND (vip == false OR age != 1)`:  true,
		`age == 31 OR age == 30 AND vip == false`:   false,
		`skills == skills`:                          false, // lists are compared with HAS and IN only
		`name > "a" AND name < "z" AND age == 30.0`: true,
	} {
		t.Run(expression, func(t *testing.T) {
			p, err := parseExpression(expression)
			if err != nil {
				t.Fatal(err)
			}
			if got := p(attributes); got != want {
				t.Errorf("got %v", got)
			}
		})
	}
	for _, expression := range []string{
		``, `==`, `a`, `a ==`, `a == "x`, `(a == 1`, `a == 1)`, `a ~ 1`, `a NOT 1`, `a IN [1`, `a IN [1 2]`, `a == 1 b == 2`,
		`a == )`, `NOT`, `a == 1 AND`, `a == 1 OR`,
	} {
		t.Run("refused: "+expression, func(t *testing.T) {
			if _, err := parseExpression(expression); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestReservations(t *testing.T) {
	move := func(w *world, s Started, status string) answer {
		return w.post(taskPath(s)+"/Reservations/"+s.ReservationSID, "ReservationStatus="+status)
	}
	for name, tc := range map[string]struct {
		moves       []string
		status      int
		reservation string
		task        string
	}{
		"accepting assigns the task":              {[]string{"accepted"}, 200, "accepted", "assigned"},
		"accepting twice is refused":              {[]string{"accepted", "accepted"}, 400, "accepted", "assigned"},
		"rejecting makes the task pending":        {[]string{"rejected"}, 200, "rejected", "pending"},
		"an accepted one cannot be rejected":      {[]string{"accepted", "rejected"}, 400, "accepted", "assigned"},
		"wrapping wraps the task up":              {[]string{"accepted", "wrapping"}, 200, "wrapping", "wrapping"},
		"a pending one cannot wrap up":            {[]string{"wrapping"}, 400, "pending", "reserved"},
		"completing after wrapping":               {[]string{"accepted", "wrapping", "completed"}, 200, "completed", "completed"},
		"completing at once":                      {[]string{"accepted", "completed"}, 200, "completed", "completed"},
		"a pending one cannot be completed":       {[]string{"completed"}, 400, "pending", "reserved"},
		"only TaskRouter rescinds":                {[]string{"rescinded"}, 400, "pending", "reserved"},
		"a status that does not exist is refused": {[]string{"taken"}, 400, "pending", "reserved"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.sms("+1")
			var last answer
			for _, m := range tc.moves {
				last = move(w, s, m)
			}
			if last.status != tc.status {
				t.Fatalf("status %d: %v", last.status, last.body)
			}
			got := w.get(taskPath(s) + "/Reservations/" + s.ReservationSID).text("reservation_status")
			if task := w.taskStatus(s.TaskSID); got != tc.reservation || task != tc.task {
				t.Errorf("reservation %s, task %s", got, task)
			}
		})
	}
	t.Run("a rejected task can be offered again and the list filters by status", func(t *testing.T) {
		w := newWorld(t)
		s := w.sms("+1")
		w.ok(w.Reject(s.ReservationSID))
		again, err := w.Offer(s.TaskSID)
		w.ok(err)
		w.ok(w.Accept(again))
		for query, want := range map[string]int{"": 2, "?ReservationStatus=accepted": 1, "?ReservationStatus=pending": 0} {
			if got := w.get(taskPath(s) + "/Reservations" + query).items("reservations"); len(got) != want {
				t.Errorf("%q lists %d, want %d", query, len(got), want)
			}
		}
		if a := w.get(taskPath(s) + "/Reservations?ReservationStatus=odd"); a.status != 400 {
			t.Errorf("an unknown status: %d", a.status)
		}
		if a := w.get(taskPath(s) + "/Reservations/WRnone"); a.status != 404 {
			t.Errorf("an unknown reservation: %d", a.status)
		}
	})
}

func TestCreateTask(t *testing.T) {
	w := newWorld(t)
	s := w.sms("+1")
	list := "/v1/Workspaces/" + w.WorkspaceSID() + "/Tasks"
	first := w.get(taskPath(s))
	a := w.must(list, "Attributes="+jsonOf("conversationSid", s.ConversationSID), "TaskChannel=sms", "Priority=3",
		"WorkflowSid="+first.text("workflow_sid"), "RoutingTarget=WK1", "IgnoreCapacity=true")
	want := map[string]any{
		"assignment_status": "reserved", "priority": 3.0, "task_channel_unique_name": "sms", "routing_target": "WK1",
		"ignore_capacity": true, "age": 0.0, "date_created": "2026-03-01T12:00:00Z", "timeout": 86400.0,
	}
	for field, value := range want {
		if diff := cmp.Diff(value, a.body[field]); diff != "" {
			t.Errorf("%s: %s", field, diff)
		}
	}
	if a.status != 201 || a.header.Get("ETag") == "" {
		t.Errorf("status %d, ETag %q", a.status, a.header.Get("ETag"))
	}
	if task, _ := w.State().Task(a.text("sid")); task.ConversationSID != s.ConversationSID {
		t.Errorf("the task does not belong to its conversation: %+v", task)
	}
	for _, bad := range []string{"WorkflowSid=WWno", "TaskQueueSid=WQno", "TaskChannel=no", "Timeout=0", "Priority=-1",
		"Attributes=no", "VirtualStartTime=no"} {
		if a := w.post(list, bad); a.status != 400 || a.code() != 20001 {
			t.Errorf("%s: status %d, code %d", bad, a.status, a.code())
		}
	}
}

func TestWorkspaces(t *testing.T) {
	w := newWorld(t)
	other := w.AddWorkspace("Sales & Co")
	if got := w.get("/v1/Workspaces").items("workspaces"); len(got) != 2 {
		t.Fatalf("%d workspaces", len(got))
	}
	got := w.get("/v1/Workspaces?FriendlyName=" + url.QueryEscape("Sales & Co")).items("workspaces")
	if len(got) != 1 || got[0]["sid"] != other {
		t.Fatalf("by name: %v", got)
	}
	path := "/v1/Workspaces/" + other
	a := w.must(path, "EventCallbackUrl=https://example.com/cb#rc=5&rp=all", "EventsFilter=task.created, reservation.accepted")
	if a.text("event_callback_url") != "https://example.com/cb#rc=5&rp=all" ||
		a.text("events_filter") != "task.created, reservation.accepted" {
		t.Errorf("callback %v %v", a.body["event_callback_url"], a.body["events_filter"])
	}
	a = w.must(path, "EventCallbackUrl=", "EventsFilter=")
	if a.body["event_callback_url"] != "" || a.body["events_filter"] != nil {
		t.Errorf("cleared: %v %v", a.body["event_callback_url"], a.body["events_filter"])
	}
	w.must(path, "FriendlyName=Sales", "MultiTaskEnabled=False", "PrioritizeQueueOrder=LIFO")
	if a := w.get(path); a.text("friendly_name") != "Sales" || a.body["multi_task_enabled"] != false {
		t.Errorf("workspace %v", a.body)
	}
	for _, bad := range []string{"EventCallbackUrl=no url", "EventCallbackUrl=ftp://example.com", "FriendlyName=",
		"MultiTaskEnabled=maybe", "PrioritizeQueueOrder=RANDOM", "DefaultActivitySid=WAno"} {
		if a := w.post(path, bad); a.status != 400 || a.code() != 20001 {
			t.Errorf("%s: status %d, code %d", bad, a.status, a.code())
		}
	}
	if a := w.get("/v1/Workspaces/WSnone"); a.status != 404 || a.code() != 20404 {
		t.Errorf("unknown: %d %d", a.status, a.code())
	}
}
