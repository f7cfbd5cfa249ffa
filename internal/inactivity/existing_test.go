package inactivity

import (
	"testing"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// In these tables the policy takes effect in minute 20. A silence since minute 10 began before, one since minute 22 after it.
func TestExisting(t *testing.T) {
	grace := inForceSince(20, v1alpha1.ExistingGrace)
	ignore := inForceSince(20, v1alpha1.ExistingIgnore)
	immediate := inForceSince(20, v1alpha1.ExistingImmediate)
	messagesUnread := func(s *Snapshot) { s.Messages = nil }
	nextAgent := tasks(task("WT1", TaskAssigned, acceptedAt(1)), task("WT2", TaskAssigned, acceptedAt(25)))

	check(t, map[string]rule{
		// Grace
		"Grace: the clock of a silence from before starts when the policy takes effect": {
			swept(grace), talk(34.99, agentAt(10)), waits(ReasonNotDue, 35)},
		"Grace: a silence from before is ended a timeout after the policy took effect": {
			swept(grace), talk(35, agentAt(10)), tells(35, "Bye.")},
		"Grace: a silence from after counts from its message": {
			swept(grace), talk(36.99, agentAt(22)), waits(ReasonNotDue, 37)},
		"Grace: an accept from before counts from when the policy took effect": {
			swept(grace), talk(35), tells(35, "Bye.", inSilence("WR-WT1", 1), owedBy(TurnAgent))},
		"Grace: messages are not read before a timeout after the policy took effect": {
			swept(grace), with(talk(34.9), messagesUnread), waits(ReasonNotDue, 35)},
		"Grace: a timeout that was shortened ends nobody at once": {
			swept(grace, func(p *Policy) { p.Timeout = minutes(1) }), talk(20, agentAt(10)), waits(ReasonNotDue, 21)},
		"Grace: a resumed policy ends nobody at once": {
			swept(inForceSince(400, v1alpha1.ExistingGrace)), talk(400, agentAt(10)), waits(ReasonNotDue, 415)},
		"Grace: a timeout that was made longer counts anew too": {
			swept(grace, func(p *Policy) { p.Timeout = minutes(30) }), talk(45, agentAt(10)), waits(ReasonNotDue, 50)},

		// Ignore
		"Ignore: a silence from before is left alone": {
			swept(ignore), talk(500, agentAt(10)), waits(ReasonBeforePolicy, 515)},
		"Ignore: an accept from before is left alone where nobody writes": {
			swept(ignore), talk(500), waits(ReasonBeforePolicy, 515)},
		"Ignore: messages are read although nothing can be due, to see whether the silence is left alone": {
			swept(ignore), with(talk(21), messagesUnread), asks(NeedMessages)},
		"Ignore: messages are not read while the accept is younger than the policy and the timeout": {
			swept(ignore), with(talk(30), messagesUnread, tasks(task("WT1", TaskAssigned, acceptedAt(20)))), waits(ReasonNotDue, 35)},
		"Ignore: it counts again when somebody has written": {
			swept(ignore), talk(37, agentAt(22), customerAt(10)), tells(37, "Bye.", inSilence("IM22", 22))},
		"Ignore: it counts again when an agent has accepted": {
			swept(ignore), with(talk(40, agentAt(10)), nextAgent), tells(40, "Bye.", onTask("WT2"), inSilence("WR-WT2", 25))},
		"Ignore: a bot's message does not make it count": {
			swept(ignore), talk(500, botAt(22), agentAt(10)), waits(ReasonBeforePolicy, 515)},
		"Ignore: a silence from the very moment counts": {
			swept(ignore), talk(35, agentAt(20)), tells(35, "Bye.", inSilence("IM20", 20))},

		// Immediate
		"Immediate: a silence from before counts in full": {
			swept(immediate), talk(24.99, agentAt(10)), waits(ReasonNotDue, 25)},
		"Immediate: a silence from before is ended when it is due": {
			swept(immediate), talk(25, agentAt(10)), tells(25, "Bye.")},
		"Immediate: a silence that was due before the policy took effect is ended at once": {
			swept(inForceSince(100, v1alpha1.ExistingImmediate)), talk(100, agentAt(10)), tells(100, "Bye.", dueSince(25))},
		"Immediate: messages are read as soon as the accept is as old as the timeout": {
			swept(immediate), with(talk(20), messagesUnread), asks(NeedMessages)},

		// Warnings and the text for who waits.
		"Grace: warnings count from when the policy took effect": {
			swept(grace, ladder), talk(30, agentAt(10)), warns(30, 5, "Still there?")},
		"Grace: a warning that was sent before is not sent again in the same silence": {
			swept(grace, ladder), talk(31, warned(19, 5), agentAt(10)), waits(ReasonNotDue, 33)},
		"Grace: a customer who was warned before still gets the whole timeout": {
			swept(grace, ladder), talk(34.9, warned(33, 2), warned(19, 5), agentAt(10)), waits(ReasonNotDue, 35)},
		"Ignore: nobody is warned": {
			swept(ignore, ladder), talk(500, agentAt(10)), waits(ReasonBeforePolicy, 510)},
		"Ignore: a warning from before does not make the silence count": {
			swept(ignore, ladder), talk(500, warned(19, 5), agentAt(10)), waits(ReasonBeforePolicy, 510)},
		"Immediate: also who is overdue is warned first": {
			swept(inForceSince(100, v1alpha1.ExistingImmediate), ladder), talk(100, agentAt(10)), warns(100, 2, "Last call.", dueSince(23))},
		"Grace: a wait from before counts from when the policy took effect": {
			swept(grace, unanswered(5)), talk(24.99, customerAt(10)), waits(ReasonNotDue, 25)},
		"Grace: a wait from before is answered for then": {
			swept(grace, unanswered(5)), talk(25, customerAt(10)), consoles(25)},
		"Ignore: who waits from before is sent nothing": {
			swept(ignore, unanswered(5)), talk(30, customerAt(10)), waits(ReasonBeforePolicy, 35)},
		"Ignore: a wait from before that the customer writes into does not begin before the policy": {
			swept(ignore, unanswered(5)), talk(24, customerAt(22), customerAt(10)), waits(ReasonNotDue, 25)},
		"Immediate: a wait from before counts in full": {
			swept(immediate, unanswered(5)), talk(20, customerAt(10)), consoles(20, dueSince(15))},

		// Endings from before the policy took effect as it is now.
		"Grace: an ending whose notice is out is carried through": {
			swept(inForceSince(26, v1alpha1.ExistingGrace)), talk(27, own(StepNotice, 25), agentAt(10)), finishes(ReasonNoticeSent)},
		"Ignore: an ending whose notice is out is carried through": {
			swept(inForceSince(26, v1alpha1.ExistingIgnore)), talk(27, own(StepNotice, 25), agentAt(10)), finishes(ReasonNoticeSent)},
		"Immediate: an ending whose notice is out is carried through": {
			swept(inForceSince(26, v1alpha1.ExistingImmediate)), talk(27, own(StepNotice, 25), agentAt(10)), finishes(ReasonNoticeSent)},
		"an answer to a notice from before is an answer": {
			swept(inForceSince(26, v1alpha1.ExistingGrace)), talk(27, customerAt(26.5), own(StepNotice, 25), agentAt(10)), waits(ReasonNotDue, 41.5)},
		"messages are read when the task says that a notice was claimed, because it may be out": {
			swept(inForceSince(26, v1alpha1.ExistingGrace)),
			with(talk(27), messagesUnread, tasks(task("WT1", TaskAssigned, acceptedAt(1), claimIn(25, StepNotice)))), asks(NeedMessages)},

		// Notify's notice ends nothing, so it is no ending to be carried through when the policy comes to end conversations.
		"Grace: who was told under Notify still gets the whole timeout": {
			swept(inForceSince(26, v1alpha1.ExistingGrace)), talk(27, own(StepNotice, 25, toNotify), agentAt(10)), waits(ReasonNotDue, 41)},
		"Grace: who was told under Notify is not told again at the end": {
			swept(inForceSince(26, v1alpha1.ExistingGrace)), talk(41, own(StepNotice, 25, toNotify), agentAt(10)), endsSilently(41)},
		"Ignore: who was told under Notify is left alone": {
			swept(inForceSince(26, v1alpha1.ExistingIgnore)), talk(500, own(StepNotice, 25, toNotify), agentAt(10)), waits(ReasonBeforePolicy, 515)},
		"a customer who was told under Notify and is owed the reply is not ended by a policy that waits for customers": {
			swept(waitsForCustomer), talk(500, own(StepNotice, 25, toNotify), customerAt(10)), waits(ReasonAgentOwesReply, 515)},
		"who was told under Notify and then held has the whole timeout after the hold": {
			swept(holdable), with(talk(41, own(StepNotice, 25, toNotify), agentAt(10)), holdOnTask(`"2026-03-02T09:40:00Z"`)), waits(ReasonNotDue, 55)},
	})
}

// A policy that is made, edited or resumed while conversations are silent ends none of them before a timeout has passed.
func TestUnderGraceNobodyIsEndedBeforeATimeoutHasPassed(t *testing.T) {
	for name, policy := range everyPolicy(inForceSince(300, v1alpha1.ExistingGrace)) {
		for what, messages := range map[string][]Message{
			"nobody wrote": nil, "the agent wrote": {agentAt(10)}, "the customer wrote": {customerAt(200), agentAt(10)},
			"a warning is out": {warned(20, 5), agentAt(10)}, "the text is out": {own(StepUnanswered, 15), customerAt(10)},
		} {
			for now := at(300); now.Before(at(315)); now = now.Add(time.Minute) {
				snapshot := talk(0, messages...)
				snapshot.Now = now
				if decision := Decide(policy, snapshot); ends(decision) || decision.Act == ActWarn && now.Before(at(310)) {
					t.Fatalf("%s, %s: %s (%s) at %s", name, what, decision.Act, decision.Reason, now)
				}
			}
		}
	}
}
