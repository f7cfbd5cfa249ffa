package twiliosim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConversationUpdates(t *testing.T) {
	for name, tc := range map[string]struct {
		closed bool
		pairs  []string
		status int
		code   int
	}{
		"a minute is the shortest inactive timer":      {false, []string{"Timers.Inactive=PT1M"}, 200, 0},
		"less than a minute is refused":                {false, []string{"Timers.Inactive=PT59S"}, 400, 50375},
		"ten minutes are the shortest closed timer":    {false, []string{"Timers.Closed=PT10M"}, 200, 0},
		"less than ten minutes are refused":            {false, []string{"Timers.Closed=PT9M59S"}, 400, 50376},
		"an inactive timer that is no duration":        {false, []string{"Timers.Inactive=15m"}, 400, 50379},
		"an empty inactive timer":                      {false, []string{"Timers.Inactive="}, 400, 50379},
		"a closed timer that is no duration":           {false, []string{"Timers.Closed=PT"}, 400, 50380},
		"PT0S disables":                                {false, []string{"Timers.Inactive=PT0S", "Timers.Closed=PT0S"}, 200, 0},
		"a state that does not exist":                  {false, []string{"State=done"}, 400, 50374},
		"initializing cannot be set":                   {false, []string{"State=initializing"}, 400, 50374},
		"closed is final for the state":                {true, []string{"State=active"}, 400, 50377},
		"closed is final for attributes":               {true, []string{"Attributes={}"}, 400, 50377},
		"closed is final for closing":                  {true, []string{"State=closed"}, 400, 50377},
		"attributes that are no JSON":                  {false, []string{"Attributes={"}, 400, 20001},
		"attributes over 16 KB":                        {false, []string{`Attributes={"a":"` + strings.Repeat("x", 16<<10) + `"}`}, 400, 20001},
		"a unique name that another conversation has":  {false, []string{"UniqueName=taken"}, 409, 50353},
		"names, attributes and service are taken over": {false, []string{"FriendlyName=f", "UniqueName=u", `Attributes={"a":1}`, "MessagingServiceSid=MG1"}, 200, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.must("/v1/Conversations", "UniqueName=taken")
			s := w.accepted("+1")
			if tc.closed {
				w.must(conversationPath(s), "State=closed")
			}
			before := w.get(conversationPath(s))
			a := w.post(conversationPath(s), tc.pairs...)
			if a.status != tc.status || a.code() != tc.code {
				t.Fatalf("got status %d, code %d, want %d, %d: %v", a.status, a.code(), tc.status, tc.code, a.body)
			}
			if tc.status != 200 {
				if diff := cmp.Diff(before.body, w.get(conversationPath(s)).body); diff != "" {
					t.Errorf("a refused update changed the conversation: %s", diff)
				}
			}
		})
	}
}

func TestCreateConversation(t *testing.T) {
	for name, tc := range map[string]struct {
		pairs  []string
		status int
		code   int
	}{
		"nothing needs to be said":                {nil, 201, 0},
		"a state and a timer":                     {[]string{"State=active", "Timers.Inactive=PT5M"}, 201, 0},
		"it can start inactive":                   {[]string{"State=inactive", "Timers.Closed=PT10M"}, 201, 0},
		"it cannot start closed":                  {[]string{"State=closed"}, 400, 50384},
		"a timer needs a state":                   {[]string{"Timers.Inactive=PT5M"}, 400, 50382},
		"a state that does not exist":             {[]string{"State=open"}, 400, 50374},
		"a timer that is too short":               {[]string{"State=active", "Timers.Inactive=PT1S"}, 400, 50375},
		"attributes that are no JSON are refused": {[]string{"Attributes=no"}, 400, 20001},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.post("/v1/Conversations", tc.pairs...)
			if a.status != tc.status || a.code() != tc.code {
				t.Fatalf("got status %d, code %d, want %d, %d", a.status, a.code(), tc.status, tc.code)
			}
			if n := len(w.State().Conversations); (n == 1) != (tc.status == 201) {
				t.Errorf("%d conversations", n)
			}
		})
	}
}

func TestInactiveTimer(t *testing.T) {
	arm := func(w *world, s Started) { w.must(conversationPath(s), "Timers.Inactive=PT1M") }
	for name, tc := range map[string]struct {
		after func(w *world, s Started) // half a minute after the timer was set
		want  time.Duration             // when it fires, from the start; 0 = never
	}{
		"it runs from when it was set": {func(*world, Started) {}, time.Minute},
		"a customer's message restarts it": {func(w *world, s Started) {
			w.ok(w.Say(s.ConversationSID, Customer, "yes?"))
		}, 90 * time.Second},
		"an agent's message restarts it": {func(w *world, s Started) {
			w.ok(w.Say(s.ConversationSID, Agent, "yes?"))
		}, 90 * time.Second},
		"a message by REST restarts it": {func(w *world, s Started) {
			w.must(conversationPath(s)+"/Messages", "Body=wait")
		}, 90 * time.Second},
		"sending it again restarts it":           {arm, 90 * time.Second},
		"PT0S stops it":                          {func(w *world, s Started) { w.must(conversationPath(s), "Timers.Inactive=PT0S") }, 0},
		"another change does not touch it":       {func(w *world, s Started) { w.must(conversationPath(s), `Attributes={"a":1}`) }, time.Minute},
		"setting active again does not touch it": {func(w *world, s Started) { w.must(conversationPath(s), "State=active") }, time.Minute},
		"a new participant does not touch it": {func(w *world, s Started) {
			w.must(conversationPath(s)+"/Participants", "Identity=supervisor")
		}, time.Minute},
		"closing stops it":  {func(w *world, s Started) { w.must(conversationPath(s), "State=closed") }, 0},
		"deleting stops it": {func(w *world, s Started) { w.do("DELETE", conversationPath(s), nil) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.accepted("+1")
			arm(w, s)
			w.step(30 * time.Second)
			tc.after(w, s)
			if tc.want == 0 {
				w.step(24 * time.Hour)
				if got := w.conversationState(s); got == "inactive" {
					t.Error("the timer fired")
				}
				return
			}
			shown := w.get(conversationPath(s)).text("timers", "date_inactive")
			if want := wireTime(start.Add(tc.want)); shown != want {
				t.Errorf("date_inactive is %s, want %s", shown, want)
			}
			w.step(tc.want - 30*time.Second - time.Millisecond)
			if got := w.conversationState(s); got != "active" {
				t.Fatalf("a millisecond before: %s", got)
			}
			w.step(time.Millisecond)
			if got := w.conversationState(s); got != "inactive" {
				t.Fatalf("when due: %s", got)
			}
			if timers := w.get(conversationPath(s)).body["timers"].(map[string]any); len(timers) != 0 {
				t.Errorf("timers after it fired: %v", timers)
			}
		})
	}
}

func TestInactiveConversationBecomesActive(t *testing.T) {
	for name, act := range map[string]func(w *world, s Started){
		"when the customer writes":   func(w *world, s Started) { w.ok(w.Say(s.ConversationSID, Customer, "back")) },
		"when a message is posted":   func(w *world, s Started) { w.must(conversationPath(s)+"/Messages", "Body=back") },
		"when REST says so":          func(w *world, s Started) { w.must(conversationPath(s), "State=active") },
		"when REST sets both things": func(w *world, s Started) { w.must(conversationPath(s), "State=active", "Timers.Inactive=PT1M") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.accepted("+1")
			w.must(conversationPath(s), "Timers.Inactive=PT1M")
			w.step(time.Minute)
			act(w, s)
			if got := w.conversationState(s); got != "active" {
				t.Fatalf("it is %s", got)
			}
			w.step(time.Minute)
			if got := w.conversationState(s); got != "inactive" {
				t.Errorf("its timer did not start anew: it is %s", got)
			}
		})
	}
}

func TestClosedTimerRunsFromInactive(t *testing.T) {
	w := newWorld(t)
	s := w.accepted("+1")
	a := w.must(conversationPath(s), "Timers.Inactive=PT1M", "Timers.Closed=PT10M")
	if got, want := a.text("timers", "date_closed"), wireTime(start.Add(11*time.Minute)); got != want {
		t.Errorf("date_closed %s, want %s", got, want)
	}
	// One step over both deadlines fires both, each at its own time.
	w.step(11*time.Minute - time.Millisecond)
	if got := w.conversationState(s); got != "inactive" {
		t.Fatalf("a millisecond before: %s", got)
	}
	w.step(time.Millisecond)
	c, _ := w.State().Conversation(s.ConversationSID)
	if c.State != "closed" || !c.Updated.Equal(start.Add(11*time.Minute)) {
		t.Fatalf("it is %s since %s", c.State, c.Updated)
	}
	if err := w.Say(s.ConversationSID, Customer, "hello?"); err == nil {
		t.Error("a message got into a closed conversation")
	}
}

func TestOneTimerDoesNotRestartTheOther(t *testing.T) {
	w := newWorld(t)
	s := w.accepted("+1")
	w.must(conversationPath(s), "Timers.Inactive=PT1M")
	w.step(30 * time.Second)
	a := w.must(conversationPath(s), "Timers.Closed=PT10M")
	if got, want := a.text("timers", "date_inactive"), wireTime(start.Add(time.Minute)); got != want {
		t.Errorf("setting the closed timer moved date_inactive to %s, want %s", got, want)
	}
	if got, want := a.text("timers", "date_closed"), wireTime(start.Add(11*time.Minute)); got != want {
		t.Errorf("date_closed is %s, want %s", got, want)
	}
	w.step(5 * time.Minute) // inactive for four and a half
	w.must(conversationPath(s), "Timers.Inactive=PT2M")
	w.step(5*time.Minute + 30*time.Second)
	if got := w.conversationState(s); got != "closed" {
		t.Errorf("setting the inactive timer of an inactive conversation moved its closing: it is %s", got)
	}
}

func TestStepOverManyDeadlinesKeepsTheirOrderAndTimes(t *testing.T) {
	w := newWorld(t)
	e := newEndpoint(t)
	w.must("/v1/Workspaces/"+w.WorkspaceSID(), "EventCallbackUrl="+e.URL, "EventsFilter=task.canceled")
	var want []string
	for i := range 5 {
		seconds := (7*i)%5 + 1 // 1, 3, 5, 2, 4
		w.must("/v1/Workspaces/"+w.WorkspaceSID()+"/Tasks", fmt.Sprintf("Timeout=%d", seconds))
		want = append(want, fmt.Sprint(start.Add(time.Duration(i+1)*time.Second).UnixMilli()))
	}
	w.step(time.Hour)
	var dated, order []string
	for _, entry := range w.Journal() {
		if entry.Event == "task timed out" {
			order = append(order, fmt.Sprint(entry.Time.UnixMilli()))
		}
		if entry.Kind == KindCallback {
			dated = append(dated, entry.Form.Get("TimestampMs"))
		}
	}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("timers: %s", diff)
	}
	if len(dated) != 5 {
		t.Errorf("callbacks dated %v", dated)
	}
}

func TestMessages(t *testing.T) {
	long := func(n int) string { return "Body=" + strings.Repeat("é", n) }
	for name, tc := range map[string]struct {
		channel string
		pairs   []string
		status  int
		code    int
	}{
		"1600 characters fit into SMS": {"sms", []string{long(1600)}, 201, 0},
		"1601 characters do not":       {"sms", []string{long(1601)}, 400, 50504},
		"32 KB fit into chat":          {"web", []string{long(16 << 10)}, 201, 0},
		"more than 32 KB do not":       {"web", []string{long(16<<10 + 1)}, 400, 50504},
		"a message says something":     {"sms", []string{"Author=me"}, 400, 20001},
		"a template needs no body":     {"whatsapp", []string{"ContentSid=" + template}, 201, 0},
		"attributes that are no JSON":  {"sms", []string{"Body=x", "Attributes={"}, 400, 20001},
		"attributes over 4 KB":         {"sms", []string{"Body=x", `Attributes={"a":"` + strings.Repeat("x", 4<<10) + `"}`}, 400, 20001},
		"media needs no body":          {"web", []string{"MediaSid=ME1"}, 201, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s, err := w.StartConversation(tc.channel, "+15005550001", "Hello")
			w.ok(err)
			a := w.post(conversationPath(s)+"/Messages", tc.pairs...)
			if a.status != tc.status || a.code() != tc.code {
				t.Fatalf("got status %d, code %d, want %d, %d: %v", a.status, a.code(), tc.status, tc.code, a.body)
			}
		})
	}
	t.Run("authors, participants, indices and order", func(t *testing.T) {
		w := newWorld(t)
		s := w.accepted("+1")
		w.ok(w.Say(s.ConversationSID, Agent, "Hi"))
		a := w.must(conversationPath(s)+"/Messages", "Body=bye", `Attributes={"m":1}`)
		if a.status != 201 || a.text("author") != "system" || a.body["participant_sid"] != nil || a.text("attributes") != `{"m":1}` {
			t.Errorf("by REST: %v", a.body)
		}
		var got [][3]any
		list := w.get(conversationPath(s) + "/Messages?Order=desc&PageSize=2")
		for _, m := range append(list.items("messages"), w.get(list.text("meta", "next_page_url")).items("messages")...) {
			got = append(got, [3]any{m["index"], m["author"], m["participant_sid"] != nil})
		}
		want := [][3]any{{2.0, "system", false}, {1.0, "agent_1", true}, {0.0, "+1", true}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		one := w.get(conversationPath(s) + "/Messages/" + a.text("sid"))
		a.body["delivery"] = one.body["delivery"] // which has moved on
		if diff := cmp.Diff(a.body, one.body); diff != "" {
			t.Error(diff)
		}
		for _, path := range []string{"/Messages/IMno", "/Participants/MBno", "/Webhooks/WHno", "/Export"} {
			if a := w.get(conversationPath(s) + path); a.status != 404 || a.code() != 20404 {
				t.Errorf("%s: %d %d", path, a.status, a.code())
			}
		}
		if a := w.get(conversationPath(s) + "/Messages?Order=random"); a.status != 400 {
			t.Errorf("order: %d", a.status)
		}
		w.must(conversationPath(s), "State=closed")
		if a := w.post(conversationPath(s)+"/Messages", "Body=x"); a.status != 400 || a.code() != 50377 {
			t.Errorf("into a closed one: %d %d", a.status, a.code())
		}
	})
}

func TestParticipants(t *testing.T) {
	for name, tc := range map[string]struct {
		pairs  []string
		status int
		code   int
	}{
		"an identity":                        {[]string{"Identity=eve", `Attributes={"a":1}`}, 201, 0},
		"a messaging binding":                {[]string{"MessagingBinding.Address=+7", "MessagingBinding.ProxyAddress=+8"}, 201, 0},
		"both are refused":                   {[]string{"Identity=eve", "MessagingBinding.Address=+7"}, 400, 20001},
		"neither is refused":                 {[]string{`Attributes={"a":1}`}, 400, 20001},
		"an address needs a proxy address":   {[]string{"MessagingBinding.Address=+7"}, 400, 20001},
		"an identity that is there already":  {[]string{"Identity=agent_1"}, 409, 50433},
		"a pair of addresses in another one": {[]string{"MessagingBinding.Address=+2", "MessagingBinding.ProxyAddress=+15005550006"}, 409, 50416},
		"attributes that are no JSON":        {[]string{"Identity=eve", "Attributes=no"}, 400, 20001},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.accepted("+1")
			w.sms("+2")
			a := w.post(conversationPath(s)+"/Participants", tc.pairs...)
			if a.status != tc.status || a.code() != tc.code {
				t.Fatalf("got status %d, code %d, want %d, %d: %v", a.status, a.code(), tc.status, tc.code, a.body)
			}
			if a.status == 201 {
				if diff := cmp.Diff(a.body, w.get(conversationPath(s)+"/Participants/"+a.text("sid")).body); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestScopedWebhooks(t *testing.T) {
	valid := []string{"Target=webhook", "Configuration.Url=https://example.com/h", "Configuration.Method=post",
		"Configuration.Filters=onConversationStateUpdated", "Configuration.Filters=onMessageAdded"}
	for name, tc := range map[string]struct {
		pairs  []string
		status int
		code   int
	}{
		"a webhook with two filters":   {valid, 201, 0},
		"a studio flow":                {[]string{"Target=studio", "Configuration.FlowSid=FW1"}, 201, 0},
		"a trigger":                    {[]string{"Target=trigger", "Configuration.Url=https://example.com", "Configuration.Triggers=help"}, 201, 0},
		"no target":                    {valid[1:], 400, 20001},
		"a target that does not exist": {append([]string{"Target=lambda"}, valid[1:]...), 400, 20001},
		"no URL":                       {[]string{"Target=webhook", "Configuration.Filters=onMessageAdded"}, 400, 50369},
		"no filter":                    {valid[:3], 400, 50370},
		"an event that does not exist": {append([]string{"Configuration.Filters=onEverything"}, valid...), 400, 50365},
		"a pre-event":                  {append([]string{"Configuration.Filters=onMessageAdd"}, valid...), 400, 50365},
		"an upper-case method":         {[]string{valid[0], valid[1], "Configuration.Method=POST", valid[3]}, 201, 0},
		"a method that is none":        {[]string{valid[0], valid[1], "Configuration.Method=put", valid[3]}, 400, 20001},
		"a URL that is too long":       {[]string{valid[0], valid[1] + strings.Repeat("x", 2048), valid[3]}, 400, 50372},
		"a flow without its SID":       {[]string{"Target=studio"}, 400, 20001},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.accepted("+1")
			a := w.post(conversationPath(s)+"/Webhooks", tc.pairs...)
			if a.status != tc.status || a.code() != tc.code {
				t.Fatalf("got status %d, code %d, want %d, %d: %v", a.status, a.code(), tc.status, tc.code, a.body)
			}
			if n := len(w.get(conversationPath(s) + "/Webhooks").items("webhooks")); (n == 1) != (tc.status == 201) {
				t.Errorf("%d webhooks", n)
			}
		})
	}
	t.Run("five, not six; updated and deleted", func(t *testing.T) {
		w := newWorld(t)
		s := w.accepted("+1")
		path := conversationPath(s) + "/Webhooks"
		var last answer
		for range 5 {
			last = w.must(path, valid...)
		}
		if a := w.post(path, valid...); a.status != 400 || a.code() != 50361 {
			t.Errorf("the sixth: %d %d", a.status, a.code())
		}
		if n := len(w.get(path).items("webhooks")); n != 5 {
			t.Errorf("%d on one page", n)
		}
		if a := w.get(path + "?PageSize=6"); a.status != 400 {
			t.Errorf("a page of six: %d", a.status)
		}
		one := path + "/" + last.text("sid")
		w.must(one, "Configuration.Url=https://example.com/new")
		if a := w.get(one); a.text("configuration", "url") != "https://example.com/new" {
			t.Errorf("updated: %v", a.body)
		}
		if a := w.post(one, "Configuration.Filters=onNothing"); a.code() != 50365 {
			t.Errorf("a bad update: %v", a.body)
		}
		if a := w.get(one); len(a.body["configuration"].(map[string]any)["filters"].([]any)) != 2 {
			t.Errorf("a refused update changed the webhook: %v", a.body)
		}
		if a := w.do("DELETE", one, nil); a.status != 204 {
			t.Errorf("delete: %d", a.status)
		}
		if a := w.do("DELETE", one, nil); a.status != 404 {
			t.Errorf("delete again: %d", a.status)
		}
		w.must(path, valid...)
	})
}

func TestConversationLists(t *testing.T) {
	w := newWorld(t)
	first := w.accepted("+1")
	w.step(24 * time.Hour)
	second := w.sms("+2")
	w.must(conversationPath(second), "State=closed")
	for query, want := range map[string]int{
		"": 2, "?State=active": 1, "?State=closed": 1, "?State=inactive": 0, "?StartDate=2026-03-02": 1, "?EndDate=2026-03-01": 1,
		"?StartDate=2026-03-01T12:00:00Z&EndDate=2026-03-03": 2,
	} {
		if got := w.get("/v1/Conversations" + query).items("conversations"); len(got) != want {
			t.Errorf("%q lists %d, want %d", query, len(got), want)
		}
	}
	for query, code := range map[string]int{"?State=open": 50374, "?StartDate=yesterday": 20001, "?EndDate=soon": 20001} {
		if a := w.get("/v1/Conversations" + query); a.status != 400 || a.code() != code {
			t.Errorf("%q: %d %d", query, a.status, a.code())
		}
	}
	w.must(conversationPath(first), "UniqueName=first")
	if a := w.get("/v1/Conversations/first"); a.text("sid") != first.ConversationSID {
		t.Errorf("by unique name: %v", a.body)
	}
	service := w.get("/v1/Configuration").text("default_chat_service_sid")
	a := w.get("/v1/Services/" + service + "/Conversations/" + first.ConversationSID)
	if want := w.server.URL + "/v1/Services/" + service + conversationPath(first)[3:]; a.text("url") != want {
		t.Errorf("in its service: url %s, want %s", a.text("url"), want)
	}
	if a := w.get("/v1/Services/IS" + strings.Repeat("0", 32) + conversationPath(first)[3:]); a.status != 404 {
		t.Errorf("in another service: %d", a.status)
	}
	if a := w.do("DELETE", conversationPath(first), nil); a.status != 204 {
		t.Errorf("delete: %d", a.status)
	}
	if a := w.get(conversationPath(first)); a.status != 404 || a.code() != 20404 {
		t.Errorf("deleted: %d %d", a.status, a.code())
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"PT0S": 0, "PT1M": time.Minute, "PT90S": 90 * time.Second, "PT1H30M": 90 * time.Minute, "P1D": 24 * time.Hour,
		"P1DT1S": 24*time.Hour + time.Second, "P2W": 14 * 24 * time.Hour, "PT0.5S": 500 * time.Millisecond,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "P", "PT", "1M", "PT1X", "P1M", "-PT1M", "PT1M ", "P99999999999999999999W", "P1DT"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
