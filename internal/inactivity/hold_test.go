package inactivity

import (
	"testing"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// holdOnTask and holdOnConversation write the attribute, as an agent or a program does.
func holdOnTask(value string) func(*Snapshot) {
	return tasks(task("WT1", TaskAssigned, acceptedAt(1), attributes(`{"hold":`+value+`}`)))
}

func holdOnConversation(value string) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Conversation = &Conversation{State: ConversationActive, Attributes: `{"hold":` + value + `}`}
	}
}

// In these tables it is minute 40, and the conversation has been due since minute 25. Minute 0 is 09:00 in UTC.
func TestHoldValues(t *testing.T) {
	goesOn := tells(40, "Bye.", dueSince(25))
	held := waits(ReasonHeld, 55, isHeld)
	unreadable := waits(ReasonHoldUnreadable, 55, isHeld)
	rules := map[string]rule{}
	for value, test := range map[string]struct {
		sentence string
		want     Decision
	}{
		`true`:                                {"holds until it is gone", held},
		`false`:                               {"holds nothing", goesOn},
		`null`:                                {"holds nothing", goesOn},
		`""`:                                  {"holds nothing", goesOn},
		`"2026-03-02T10:00:00Z"`:              {"holds until that time", waits(ReasonHeld, 60, isHeld)},
		`"2026-03-02T11:00:00+01:00"`:         {"holds until that time, in its own time zone", waits(ReasonHeld, 60, isHeld)},
		`"2026-03-02T09:40:01.5Z"`:            {"holds until that fraction of a second", waits(ReasonHeld, 40+1.5/60, isHeld)},
		`"2026-03-02T09:40:00Z"`:              {"is over at that time, from which the clock starts", waits(ReasonNotDue, 55)},
		`"2026-03-02T09:30:00Z"`:              {"is over, and the clock started at its end", waits(ReasonNotDue, 45)},
		`"2026-03-02T09:25:00Z"`:              {"is over for a timeout", tells(40, "Bye.")},
		`"2026-03-02T09:05:00Z"`:              {"was over before the silence began", goesOn},
		`"1970-01-01T00:00:00Z"`:              {"was over long ago", goesOn},
		`"2026-03-02"`:                        {"cannot be read, and holds", unreadable},
		`"2026-03-02 10:00:00"`:               {"cannot be read, and holds", unreadable},
		`"2026-03-02T10:00:00"`:               {"cannot be read without a time zone, and holds", unreadable},
		`"tomorrow"`:                          {"cannot be read, and holds", unreadable},
		`"true"`:                              {"is no truth value, and holds", unreadable},
		`"false"`:                             {"is no truth value, and holds", unreadable},
		`" "`:                                 {"cannot be read, and holds", unreadable},
		`1`:                                   {"cannot be read, and holds", unreadable},
		`0`:                                   {"cannot be read, and holds", unreadable},
		`1772445600`:                          {"is no time, and holds", unreadable},
		`{}`:                                  {"cannot be read, and holds", unreadable},
		`{"until":"2026-03-02T09:05:00Z"}`:    {"cannot be read, and holds", unreadable},
		`[]`:                                  {"cannot be read, and holds", unreadable},
		`false,"Hold":true,"other":true`:      {"counts alone, whatever others say", goesOn},
		`true,"inactivityPolicy":{"step":""}`: {"holds beside the operator's own entry", held},
	} {
		rules[value+" on the task "+test.sentence] = rule{swept(holdable), with(talk(40, agentAt(10)), holdOnTask(value)), test.want}
		if test.want.Next.After(at(55)) {
			test.want.Next = at(55) // a change of it is not heard of
		}
		rules[value+" on the conversation "+test.sentence] = rule{swept(holdable), with(talk(40, agentAt(10)), holdOnConversation(value)), test.want}
	}
	check(t, rules)
}

func TestHold(t *testing.T) {
	const soon, later = `"2026-03-02T10:00:00Z"`, `"2026-03-02T10:10:00Z"` // minutes 60 and 70
	due := talk(40, agentAt(10))
	unread := func(s *Snapshot) { s.Conversation = nil }
	twoTasks := func(first, second string, status TaskStatus) func(*Snapshot) {
		return tasks(task("WT1", TaskAssigned, acceptedAt(1), attributes(first)), task("WT2", status, acceptedAt(2), attributes(second)))
	}

	check(t, map[string]rule{
		// Where it is.
		"without the attribute nothing holds": {
			swept(holdable), due, tells(40, "Bye.", dueSince(25))},
		"a policy without hold does not look at the attribute": {
			swept(), with(due, holdOnTask("true")), tells(40, "Bye.", dueSince(25))},
		"the conversation holds although the task says false": {
			swept(holdable), with(due, holdOnTask("false"), holdOnConversation("true")), waits(ReasonHeld, 55, isHeld)},
		"the task holds although the conversation says false": {
			swept(holdable), with(due, holdOnTask("true"), holdOnConversation("false")), waits(ReasonHeld, 55, isHeld)},
		"of two times the later one counts": {
			swept(holdable), with(due, holdOnTask(soon), holdOnConversation(later)), waits(ReasonHeld, 55, isHeld)},
		"of two times the later one counts, wherever it is": {
			swept(holdable), with(due, holdOnTask(later), holdOnConversation(soon)), waits(ReasonHeld, 55, isHeld)},
		"true counts more than a time": {
			swept(holdable), with(due, holdOnTask(later), holdOnConversation("true")), waits(ReasonHeld, 55, isHeld)},
		"what cannot be read counts as true": {
			swept(holdable), with(due, holdOnTask(later), holdOnConversation("7")), waits(ReasonHoldUnreadable, 55, isHeld)},
		"what has passed on the one does not shorten the other": {
			swept(holdable), with(due, holdOnTask(`"2026-03-02T09:30:00Z"`), holdOnConversation(soon)), waits(ReasonHeld, 55, isHeld)},
		"a hold of the conversation that ends soon is looked at then": {
			swept(holdable), with(due, holdOnConversation(`"2026-03-02T09:50:00Z"`)), waits(ReasonHeld, 50, isHeld)},
		"a hold of the conversation is looked at now and then, because nobody hears of its change": {
			swept(holdable), with(due, holdOnConversation(later)), waits(ReasonHeld, 55, isHeld)},
		"a held conversation is looked at again no sooner than in a minute": {
			swept(holdable, warning(14.99, "Still there?")), with(due, holdOnTask("true")), waits(ReasonHeld, 41, isHeld)},
		"when both have passed the clock starts at the later end": {
			swept(holdable), with(due, holdOnTask(`"2026-03-02T09:30:00Z"`), holdOnConversation(`"2026-03-02T09:35:00Z"`)), waits(ReasonNotDue, 50)},
		"any task that an agent has holds": {
			swept(holdable), with(due, twoTasks(`{"hold":true}`, `{}`, TaskAssigned)), waits(ReasonHeld, 55, isHeld)},
		"of several tasks the longest hold counts": {
			swept(holdable), with(due, twoTasks(`{"hold":`+soon+`}`, `{"hold":`+later+`}`, TaskAssigned)), waits(ReasonHeld, 70, isHeld)},
		"a task that has ended does not hold": {
			swept(holdable), with(due, twoTasks(`{}`, `{"hold":true}`, TaskCompleted)), tells(40, "Bye.", dueSince(25))},
		"a task that is being wrapped up does not hold": {
			swept(holdable), with(due, twoTasks(`{}`, `{"hold":true}`, TaskWrapping)), tells(40, "Bye.", dueSince(25))},
		"attributes of the conversation that are no JSON hold nothing": {
			swept(holdable), with(due, func(s *Snapshot) { s.Conversation.Attributes = "hold" }), tells(40, "Bye.", dueSince(25))},

		// What has to be read.
		"the conversation is read when the task does not hold": {
			swept(holdable), with(due, unread), asks(NeedConversation)},
		"the conversation is read before the messages, because it may be held": {
			swept(holdable), with(due, unread, func(s *Snapshot) { s.Messages = nil }), asks(NeedConversation)},
		"the conversation is read at the accept, because it may be held": {
			policy(holdable), Snapshot{Now: at(1), JustAccepted: true, Tasks: one(task("WT1", TaskAssigned, acceptedAt(1))), Webhooks: &Webhooks{}},
			asks(NeedConversation)},
		"the conversation is not read when the task holds": {
			swept(holdable), with(due, holdOnTask("true"), unread), waits(ReasonHeld, 55, isHeld)},
		"the conversation is not read before the time on the task has come": {
			swept(holdable), with(due, holdOnTask(soon), unread), waits(ReasonHeld, 60, isHeld)},
		"the conversation is read when the time on the task has passed": {
			swept(holdable), with(due, holdOnTask(`"2026-03-02T09:30:00Z"`), unread), asks(NeedConversation)},
		"the messages are not read while it is held": {
			swept(holdable), with(due, holdOnTask("true"), func(s *Snapshot) { s.Messages = nil }), waits(ReasonHeld, 55, isHeld)},

		// What is held.
		"a held conversation is not armed": {
			policy(holdable), with(talk(5), holdOnTask("true"), webhooks()), waits(ReasonHeld, 20, isHeld)},
		"a conversation that is accepted while it is held is not armed": {
			policy(holdable), Snapshot{Now: at(1), JustAccepted: true, Tasks: one(task("WT1", TaskAssigned, acceptedAt(1), attributes(`{"hold":true}`)))},
			waits(ReasonHeld, 16, isHeld)},
		"a held conversation that Twilio's timer has made inactive stays so": {
			policy(holdable), with(due, holdOnTask("true"), func(s *Snapshot) { s.Conversation.State = ConversationInactive }), waits(ReasonHeld, 55, isHeld)},
		"a notice that is out is not carried through while it is held": {
			swept(holdable), with(talk(40, own(StepNotice, 39), agentAt(10)), holdOnTask("true")), waits(ReasonHeld, 55, isHeld)},
		"a notice that is out is carried through when the hold is gone": {
			swept(holdable), talk(40, own(StepNotice, 39), agentAt(10)), finishes(ReasonNoticeSent)},
		"an ending without a live task is not carried through while the conversation is held": {
			swept(holdable), with(talk(40, own(StepNotice, 39), agentAt(10)), tasks(task("WT1", TaskCompleted)), holdOnConversation("true")), waits(ReasonHeld, 55, isHeld)},
		"an ending without a live task is carried through although a task that no agent has any more says hold": {
			swept(holdable), with(talk(40, own(StepNotice, 39), agentAt(10)), tasks(task("WT1", TaskCompleted, attributes(`{"hold":true}`))), channelIs(ChannelClosed)),
			Decision{Act: ActCloseConversation, Reason: ReasonEndingBegun, Due: true}},
		"a customer in the queue is no matter of the hold": {
			swept(holdable), with(due, tasks(task("WT1", TaskPending, attributes(`{"hold":true}`)))), waits(ReasonAwaitingAccept, 55)},

		// The clock.
		"when true is removed the clock stands where the messages put it": {
			swept(holdable), with(talk(24, agentAt(10)), holdOnTask("null")), waits(ReasonNotDue, 25)},
		"when true is removed after the timeout the conversation is due": {
			swept(holdable), with(due, holdOnTask("false")), tells(40, "Bye.", dueSince(25))},
		"the present time instead of true starts the clock anew": {
			swept(holdable), with(due, holdOnTask(`"2026-03-02T09:40:00Z"`)), waits(ReasonNotDue, 55)},
		"a message after the end of the hold counts": {
			swept(holdable), with(talk(40, agentAt(35)), holdOnTask(`"2026-03-02T09:30:00Z"`)), waits(ReasonNotDue, 50)},
		"an accept after the end of the hold counts": {
			swept(holdable), with(talk(40, agentAt(10)), tasks(task("WT1", TaskAssigned, acceptedAt(33), attributes(`{"hold":"2026-03-02T09:30:00Z"}`)))), waits(ReasonNotDue, 48)},
		"a policy that took effect after the end of the hold counts": {
			swept(holdable, inForceSince(32, v1alpha1.ExistingGrace)), with(due, holdOnTask(`"2026-03-02T09:30:00Z"`)), waits(ReasonNotDue, 47)},
		"after a hold the messages are not read before the timeout has passed": {
			swept(holdable), with(due, holdOnTask(`"2026-03-02T09:30:00Z"`), func(s *Snapshot) { s.Messages = nil }), waits(ReasonNotDue, 45)},
	})
}

func TestHeldByTasksChangesWithTheHoldOfALiveTask(t *testing.T) {
	policy := swept(holdable)
	held := func(status TaskStatus, raw string) string {
		return policy.HeldByTasks(one(task("WT1", status, attributes(raw))))
	}
	for sentence, wrong := range map[string]bool{
		"a hold that comes is seen":              held(TaskAssigned, `{}`) == held(TaskAssigned, `{"hold":true}`),
		"a hold that goes is seen":               held(TaskAssigned, `{"hold":null}`) == held(TaskAssigned, `{"hold":true}`),
		"another time is seen":                   held(TaskAssigned, `{"hold":"2026-03-02T09:30:00Z"}`) == held(TaskAssigned, `{"hold":"2026-03-02T09:31:00Z"}`),
		"another attribute is not seen":          held(TaskAssigned, `{"hold":true}`) != held(TaskAssigned, `{"hold":true,"other":1}`),
		"the hold of an ended task is not seen":  held(TaskCompleted, `{}`) != held(TaskCompleted, `{"hold":true}`),
		"a policy without hold sees nothing":     swept().HeldByTasks(one(task("WT1", TaskAssigned, attributes(`{"hold":true}`)))) != "",
		"attributes that are no JSON are absent": policy.HeldByTasks(one(task("WT1", TaskAssigned, func(t *Task) { t.Attributes.Raw = "[" }))) != "",
	} {
		if wrong {
			t.Errorf("%s: it is not so", sentence)
		}
	}
}

// Whatever the hold says, while it holds nothing is done, and what it says is decided without doubt.
func TestNothingIsDoneWhileItIsHeld(t *testing.T) {
	for name, policy := range everyPolicy(holdable) {
		for _, value := range []string{`true`, `7`, `"2099-01-01T00:00:00Z"`} {
			for _, hold := range []func(*Snapshot){holdOnTask(value), holdOnConversation(value)} {
				for now := at(1); now.Before(at(120)); now = now.Add(7 * time.Minute) {
					snapshot := with(talk(0, customerAt(10), agentAt(5)), hold)
					snapshot.Now = now
					if decision := Decide(policy, snapshot); decision.Act != ActNone || !decision.Held {
						t.Fatalf("%s, held by %s: %s (%s) at %s", name, value, decision.Act, decision.Reason, now)
					}
				}
			}
		}
	}
}
