package twiliosim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// readings are the two readings of one sentence: play tells what comes of it, by default and under the dialect.
type readings struct {
	dialect          Dialect
	play             func(w *world) string
	byDefault, under string
}

func checkReadings(t *testing.T, table map[string]readings) {
	t.Helper()
	for sentence, tc := range table {
		for _, reading := range []struct {
			name    string
			dialect Dialect
			want    string
		}{{"by default", Dialect{}, tc.byDefault}, {"under the dialect", tc.dialect, tc.under}} {
			t.Run(sentence+"/"+reading.name, func(t *testing.T) {
				w := newWorld(t, func(o *Options) { o.Dialect = reading.dialect })
				if got := tc.play(w); got != reading.want {
					t.Errorf("got %q, want %q", got, reading.want)
				}
			})
		}
	}
}

// stateAfter lets time pass and tells what became of the conversation.
func (w *world) stateAfter(s Started, d time.Duration) string {
	w.t.Helper()
	w.step(d)
	return w.conversationState(s)
}

const minute = time.Minute

// inactive is a conversation that has been inactive for six minutes and will be closed after twenty.
func (w *world) inactive() Started {
	w.t.Helper()
	s := w.accepted("+1")
	w.must(conversationPath(s), "State=inactive", "Timers.Closed=PT20M")
	w.step(6 * minute)
	return s
}

func TestDialectOfMessagesByREST(t *testing.T) {
	keepsTimer := Dialect{RESTMessageKeepsTimer: true}
	keepsInactive := Dialect{RESTMessageKeepsInactive: true}
	checkReadings(t, map[string]readings{
		"a message by REST restarts the inactive timer": {keepsTimer, func(w *world) string {
			s := w.accepted("+1")
			w.must(conversationPath(s), "Timers.Inactive=PT10M")
			w.step(6 * minute)
			w.must(conversationPath(s)+"/Messages", "Body=Are you there?")
			return w.stateAfter(s, 4*minute)
		}, "active", "inactive"},
		"a program's message restarts it as well": {keepsTimer, func(w *world) string {
			s := w.accepted("+1")
			w.must(conversationPath(s), "Timers.Inactive=PT10M")
			w.step(6 * minute)
			_, err := w.Post(s.ConversationSID, "bot", "Are you there?")
			w.ok(err)
			return w.stateAfter(s, 4*minute)
		}, "active", "inactive"},
		"an agent's message restarts it in either case": {keepsTimer, func(w *world) string {
			s := w.accepted("+1")
			w.must(conversationPath(s), "Timers.Inactive=PT10M")
			w.step(6 * minute)
			w.ok(w.Say(s.ConversationSID, Agent, "Are you there?"))
			return w.stateAfter(s, 4*minute)
		}, "active", "active"},

		"a message by REST makes an inactive conversation active": {keepsInactive, func(w *world) string {
			s := w.inactive()
			w.must(conversationPath(s)+"/Messages", "Body=Are you there?")
			return w.conversationState(s)
		}, "active", "inactive"},
		"and stops its closed timer": {keepsInactive, func(w *world) string {
			s := w.inactive()
			w.must(conversationPath(s)+"/Messages", "Body=Are you there?")
			return w.stateAfter(s, 14*minute)
		}, "active", "closed"},
		"a customer's message makes it active in either case": {keepsInactive, func(w *world) string {
			s := w.inactive()
			w.ok(w.Say(s.ConversationSID, Customer, "Yes"))
			return w.conversationState(s)
		}, "active", "active"},
	})
}

func TestDialectOfResentTimers(t *testing.T) {
	keepsRunning := Dialect{ResentTimerKeepsRunning: true}
	// resent sets a timer of ten minutes, lets six pass and sends another value.
	resent := func(w *world, value string) Started {
		s := w.accepted("+1")
		w.must(conversationPath(s), "Timers.Inactive=PT10M", "Timers.Closed=PT30M")
		w.step(6 * minute)
		w.must(conversationPath(s), "Timers.Inactive="+value)
		return s
	}
	checkReadings(t, map[string]readings{
		"the same timer, sent again, starts anew": {keepsRunning, func(w *world) string {
			return w.stateAfter(resent(w, "PT10M"), 4*minute)
		}, "active", "inactive"},
		"a longer timer counts from when it is sent": {keepsRunning, func(w *world) string {
			s := resent(w, "PT20M")
			return w.stateAfter(s, 14*minute-1) + "," + w.stateAfter(s, 1)
		}, "active,active", "active,inactive"},
		"so does a shorter one": {keepsRunning, func(w *world) string {
			return w.stateAfter(resent(w, "PT8M"), 2*minute)
		}, "active", "inactive"},
		"and one that is over since the last message": {keepsRunning, func(w *world) string {
			return w.stateAfter(resent(w, "PT5M"), 0)
		}, "active", "inactive"},
		"a timer that is sent again shows when it will fire, and close": {keepsRunning, func(w *world) string {
			s := resent(w, "PT20M")
			a := w.get(conversationPath(s))
			return a.text("timers", "date_inactive") + " " + a.text("timers", "date_closed")
		}, "2026-03-01T12:26:00Z 2026-03-01T12:56:00Z", "2026-03-01T12:20:00Z 2026-03-01T12:50:00Z"},
		"a timer counts from the message since it was set": {keepsRunning, func(w *world) string {
			s := resent(w, "PT10M")
			w.ok(w.Say(s.ConversationSID, Customer, "Here"))
			w.step(3 * minute)
			w.must(conversationPath(s), "Timers.Inactive=PT15M")
			return w.stateAfter(s, 12*minute)
		}, "active", "inactive"},
		"PT0S stops a timer in either case": {keepsRunning, func(w *world) string {
			return w.stateAfter(resent(w, "PT0S"), time.Hour)
		}, "active", "active"},
		"a timer that was stopped starts when it is set, in either case": {keepsRunning, func(w *world) string {
			s := resent(w, "PT0S")
			w.must(conversationPath(s), "Timers.Inactive=PT10M")
			return w.stateAfter(s, 10*minute-1) + "," + w.stateAfter(s, 1)
		}, "active,inactive", "active,inactive"},
		"one that is set with the state starts then, in either case": {keepsRunning, func(w *world) string {
			s := w.inactive()
			w.must(conversationPath(s), "State=active", "Timers.Inactive=PT10M")
			return w.stateAfter(s, 10*minute-1) + "," + w.stateAfter(s, 1)
		}, "active,inactive", "active,inactive"},
	})
}

func TestDialectOfClosing(t *testing.T) {
	keeps := Dialect{ClosedChannelKeepsConversation: true}
	ends := Dialect{ClosedConversationEndsChannel: true}
	all := func(w *world, s Started) string {
		return strings.Join([]string{w.get(channelPath(s)).text("status"), w.taskStatus(s.TaskSID), w.conversationState(s)}, " ")
	}
	checkReadings(t, map[string]readings{
		"closing the channel closes the conversation": {keeps, func(w *world) string {
			s := w.accepted("+1")
			w.must(channelPath(s), "Status=closed", `Routing={"status":"closed"}`)
			return all(w, s)
		}, "closed completed closed", "closed completed active"},
		"closing the conversation leaves channel and task alone": {ends, func(w *world) string {
			s := w.accepted("+1")
			w.must(conversationPath(s), "State=closed")
			return all(w, s)
		}, "active assigned closed", "closed completed closed"},
		"so does its timer": {ends, func(w *world) string {
			s := w.accepted("+1")
			w.must(conversationPath(s), "State=inactive", "Timers.Closed=PT10M")
			w.step(10 * time.Minute)
			return all(w, s)
		}, "active assigned closed", "closed completed closed"},
		"the channel can be closed after the conversation": {ends, func(w *world) string {
			s := w.accepted("+1")
			w.must(conversationPath(s), "State=closed")
			a := w.post(channelPath(s), "Status=closed")
			return fmt.Sprint(a.status, " ", a.code())
		}, "200 0", "400 80906"},
		"a task that is wrapping up stays so": {ends, func(w *world) string {
			s := w.accepted("+1")
			w.ok(w.AgentWrapsUp(s.TaskSID))
			w.must(conversationPath(s), "State=closed")
			return all(w, s)
		}, "active wrapping closed", "closed completed closed"},
		"so does one that nobody accepted": {ends, func(w *world) string {
			s := w.sms("+1")
			w.must(conversationPath(s), "State=closed")
			return all(w, s)
		}, "active reserved closed", "closed canceled closed"},
		"one without Interactions stays in either case": {ends, func(w *world) string {
			s, err := w.StartPlainConversation("sms", "+1", "Hello")
			w.ok(err)
			w.ok(w.Accept(s.ReservationSID))
			w.must(conversationPath(s), "State=closed")
			return w.taskStatus(s.TaskSID)
		}, "assigned", "assigned"},
		"closing the channel wraps its task up in either case": {ends, func(w *world) string {
			s := w.accepted("+1")
			w.must(channelPath(s), "Status=closed")
			return all(w, s)
		}, "closed wrapping closed", "closed wrapping closed"},
	})
}

func TestDialectOfTasks(t *testing.T) {
	stale := Dialect{StaleIfMatchIsIgnored: true}
	lags := Dialect{TaskIndexLag: 10 * time.Second}
	list := func(s Started) string { return "/v1/Workspaces/" + s.WorkspaceSID + "/Tasks" }
	// finds tells whether the index knows a task of the conversation.
	finds := func(w *world, s Started, expression string) string {
		return fmt.Sprint(len(w.get(list(s) + "?" + evaluate(expression)).items("tasks")))
	}
	bySID := func(s Started) string { return fmt.Sprintf("conversationSid == %q", s.ConversationSID) }
	checkReadings(t, map[string]readings{
		"a stale If-Match is refused": {stale, func(w *world) string {
			s := w.accepted("+1")
			tag := w.get(taskPath(s)).header.Get("ETag")
			w.must(taskPath(s), `Attributes={"by":"first"}`)
			a := w.do("POST", taskPath(s), form(`Attributes={"by":"second"}`), "If-Match: "+tag)
			return fmt.Sprint(a.status, " ", w.get(taskPath(s)).text("attributes"))
		}, `412 {"by":"first"}`, `200 {"by":"second"}`},
		"so is that of a reservation and of a delete": {stale, func(w *world) string {
			s := w.accepted("+1")
			reservation := w.do("POST", taskPath(s)+"/Reservations/"+s.ReservationSID, form("ReservationStatus=wrapping"), `If-Match: "99"`)
			return fmt.Sprint(reservation.status, " ", w.do("DELETE", taskPath(s), nil, `If-Match: "99"`).status)
		}, "412 412", "200 204"},
		"task lists show attributes": {Dialect{TaskListsHaveNullAttributes: true}, func(w *world) string {
			s := w.accepted("+1")
			shown := w.get(list(s)).items("tasks")[0]["attributes"]
			return fmt.Sprint(shown != nil, ",", w.get(taskPath(s)).body["attributes"] != nil, ",", finds(w, s, bySID(s)))
		}, "true,true,1", "false,true,1"},
		"EvaluateTaskAttributes finds a new task at once": {lags, func(w *world) string {
			s := w.accepted("+1")
			seen := finds(w, s, bySID(s))
			w.step(10*time.Second - 1)
			seen += finds(w, s, bySID(s))
			w.step(1)
			return seen + finds(w, s, bySID(s))
		}, "111", "001"},
		"a task that it does not find is in the list": {lags, func(w *world) string {
			s := w.accepted("+1")
			return fmt.Sprint(len(w.get(list(s) + "?AssignmentStatus=assigned").items("tasks")))
		}, "1", "1"},
		"what it does not know of is not found by its absence": {lags, func(w *world) string {
			return finds(w, w.accepted("+1"), `vip != "yes"`)
		}, "1", "0"},
		"it sees a change of attributes at once": {lags, func(w *world) string {
			s := w.accepted("+1")
			w.step(time.Minute)
			w.ok(w.SetTaskAttribute(s.TaskSID, "vip", "yes"))
			w.step(5 * time.Second)
			w.must(taskPath(s), `Attributes={"vip":"no"}`)
			var seen []string
			for range 4 {
				seen = append(seen, finds(w, s, `vip == "yes"`)+finds(w, s, `vip == "no"`))
				w.step(5 * time.Second)
			}
			return strings.Join(seen, " ")
		}, "01 01 01 01", "00 10 01 01"},
		"a status and an end are seen at once in either case": {lags, func(w *world) string {
			s := w.accepted("+1")
			w.step(time.Minute)
			w.ok(w.AgentWrapsUp(s.TaskSID))
			seen := fmt.Sprint(len(w.get(list(s) + "?AssignmentStatus=wrapping&" + evaluate(bySID(s))).items("tasks")))
			w.do("DELETE", taskPath(s), nil)
			return seen + finds(w, s, bySID(s))
		}, "10", "10"},
		"an assigned task lives 24 hours from when it was accepted": {Dialect{AssignedTaskCountsFromCreation: true}, func(w *world) string {
			s := w.sms("+1")
			w.step(time.Hour)
			w.ok(w.Accept(s.ReservationSID))
			w.step(23*time.Hour - 1)
			seen := w.taskStatus(s.TaskSID)
			w.step(1)
			seen += "," + w.taskStatus(s.TaskSID)
			w.step(time.Hour)
			return seen + "," + w.taskStatus(s.TaskSID)
		}, "assigned,assigned,gone", "assigned,gone,gone"},
	})
}

func TestDialectOfMessages(t *testing.T) {
	checkReadings(t, map[string]readings{
		"a text outside the reply window is accepted": {Dialect{OutsideWindowIsRefused: true}, func(w *world) string {
			s, err := w.StartConversation("whatsapp", "+1", "Hello")
			w.ok(err)
			w.step(24 * time.Hour)
			a := w.post(conversationPath(s)+"/Messages", "Body=Bye")
			return fmt.Sprint(a.status, " ", a.code(), " ", len(w.seen(s).Messages))
		}, "201 0 2", "400 63016 1"},
		"variables that WhatsApp cannot take are refused": {Dialect{UnusableVariablesAreAccepted: true}, func(w *world) string {
			s, err := w.StartConversation("whatsapp", "+1", "Hello")
			w.ok(err)
			a := w.post(conversationPath(s)+"/Messages", "ContentSid="+template, `ContentVariables={"1":""}`)
			return fmt.Sprint(a.status, " ", a.code())
		}, "400 50527", "201 0"},
	})
}

func TestDialectOfEvents(t *testing.T) {
	checkReadings(t, map[string]readings{
		"an empty filter lets every event through": {Dialect{EmptyFilterMeansNoEvents: true}, func(w *world) string {
			e := newEndpoint(w.t)
			w.configure(e.URL, "")
			w.accepted("+1")
			w.settled()
			return fmt.Sprint(slices.Contains(e.events(), "reservation.accepted"), ",", len(e.events()) > 0)
		}, "true,true", "false,false"},
		"an event is retried as the connection overrides ask": {Dialect{EventsAreNotRetried: true}, func(w *world) string {
			e := newEndpoint(w.t, 500, 500, 500)
			w.configure(e.URL+"#rc=5&rp=all", "reservation.accepted")
			w.accepted("+1")
			w.settled()
			for range 4 {
				w.step(4 * time.Second)
			}
			return fmt.Sprint(len(e.callbacks()))
		}, "4", "1"},
	})
}

func TestDialectOfDeliveries(t *testing.T) {
	// deliveries sends the nth callback as the nth list says, and those after as usual.
	deliveries := func(lists ...[]time.Duration) Dialect {
		return Dialect{Deliveries: func(n int, _ string) []time.Duration {
			if n > len(lists) {
				return []time.Duration{0}
			}
			return lists[n-1]
		}}
	}
	at := func(delays ...time.Duration) []time.Duration { return delays }
	const ms = time.Millisecond
	// events plays an accepted conversation and tells which events came before and after ten seconds.
	events := func(w *world) string {
		e := newEndpoint(w.t)
		w.configure(e.URL, "task.created,reservation.created,reservation.accepted")
		w.accepted("+1")
		w.settled()
		before := strings.Join(e.events(), ",")
		w.step(10 * time.Second)
		after := strings.Join(e.events(), ",")
		return before + "|" + strings.TrimPrefix(strings.TrimPrefix(after, before), ",")
	}
	const inOrder = "task.created,reservation.created,reservation.accepted|"
	checkReadings(t, map[string]readings{
		"nothing gets lost":                 {deliveries(at(0), nil), events, inOrder, "task.created,reservation.accepted|"},
		"nothing comes twice":               {deliveries(at(0, ms)), events, inOrder, inOrder + "task.created"},
		"nothing comes late":                {deliveries(at(ms), at(ms), at(ms)), events, inOrder, "|" + strings.TrimSuffix(inOrder, "|")},
		"everything comes in order":         {deliveries(at(3*ms), at(2*ms), at(ms)), events, inOrder, "|reservation.accepted,reservation.created,task.created"},
		"a delay that is negative is none":  {deliveries(at(-ms)), events, inOrder, inOrder},
		"those of one moment keep an order": {deliveries(at(0, 0), at(0), at(0)), events, inOrder, "task.created,task.created,reservation.created,reservation.accepted|"},
		"a webhook comes once": {Dialect{Deliveries: func(_ int, event string) []time.Duration {
			if event == "onConversationStateUpdated" {
				return at(0, time.Second)
			}
			return nil
		}}, func(w *world) string {
			e := newEndpoint(w.t)
			s := w.accepted("+1")
			_, err := w.AddWebhook(s.ConversationSID, e.URL, "onConversationStateUpdated", "onMessageAdded")
			w.ok(err)
			w.must(conversationPath(s), "Timers.Inactive=PT1M")
			w.ok(w.Say(s.ConversationSID, Customer, "Hello?"))
			w.step(time.Minute)
			w.step(time.Second)
			return strings.Join(e.events(), ",")
		}, "onMessageAdded,onConversationStateUpdated", "onConversationStateUpdated,onConversationStateUpdated"},
		"a callback that comes twice is two": {deliveries(at(0, time.Second)), func(w *world) string {
			e := newEndpoint(w.t)
			w.configure(e.URL, "reservation.accepted")
			w.accepted("+1")
			w.settled()
			if w.opts.Dialect.Deliveries == nil {
				w.accepted("+2")
			}
			w.step(time.Second)
			got := e.callbacks()
			same := got[0].idempotency == got[1].idempotency && got[0].form.Get("Sid") == got[1].form.Get("Sid")
			return fmt.Sprint(len(got), " the same: ", same)
		}, "2 the same: false", "2 the same: true"},
		"a retry counts from the first try": {deliveries(at(time.Minute)), func(w *world) string {
			e := newEndpoint(w.t, 500)
			w.configure(e.URL+"#rc=1&rp=all", "reservation.accepted")
			w.accepted("+1")
			w.settled()
			var tries []string
			for _, d := range []time.Duration{0, firstRetryDelay, time.Minute - firstRetryDelay, firstRetryDelay} {
				w.step(d)
				tries = append(tries, fmt.Sprint(len(e.callbacks())))
			}
			return strings.Join(tries, " ")
		}, "1 2 2 2", "0 0 1 2"},
		"callbacks are counted in the order of their events": {Dialect{Deliveries: func(n int, event string) []time.Duration {
			want := []string{"task.created", "reservation.created", "reservation.accepted"}
			if n > len(want) || want[n-1] != event {
				return nil
			}
			return at(0)
		}}, events, inOrder, inOrder},
	})
}
