package inactivity

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// What happens where two rules meet. Each sentence begins with the two.
func TestPairsOfRules(t *testing.T) {
	transferred := tasks(task("WT1", TaskAssigned, acceptedAt(1)), task("WT2", TaskAssigned, acceptedAt(21)))
	whatsApp := tasks(task("WT1", TaskAssigned, acceptedAt(1), onChannel("whatsapp")))
	yesterday := func(closes float64) Message { return customerAt(closes - 24*60) }
	morning := daily("09:00", "10:20") // until minute 20, and from minute 1380 on
	silently, template, skip := window(v1alpha1.OutsideCloseSilently), window(v1alpha1.OutsideSendTemplate), window(v1alpha1.OutsideSkip)
	quiet := opening("", v1alpha1.ClosedCloseSilently, morning)
	deferred := opening("", v1alpha1.ClosedDefer, morning)
	openHours := opening(v1alpha1.ClockOpenHours, v1alpha1.ClosedAct, morning)
	nine30 := holdOnTask(`"2026-03-02T09:30:00Z"`) // minute 30
	outside := because(ReasonOutsideReplyWindow)

	check(t, map[string]rule{
		// warnings
		"warning × hold: a held conversation is not warned": {
			swept(ladder, holdable), with(talk(20, agentAt(10)), holdOnTask("true")), waits(ReasonHeld, 30, isHeld)},
		"warning × hold: the ladder starts anew after a timed hold": {
			swept(ladder, holdable), with(talk(30, agentAt(10)), nine30), waits(ReasonNotDue, 40)},
		"warning × hold: a warning from before the hold is not sent again in the same silence": {
			swept(ladder, holdable), with(talk(40, warned(20, 5), agentAt(10)), nine30), waits(ReasonNotDue, 43)},
		"warning × hold: after a hold without a time the warning that is overdue comes first": {
			swept(ladder, holdable), with(talk(60, agentAt(10)), holdOnTask("false")), warns(60, 2, "Last call.", dueSince(23))},
		"warning × transfer: the next agent's accept cancels the warnings": {
			swept(ladder), with(talk(22, warned(20, 5), agentAt(10)), transferred), waits(ReasonNotDue, 31)},
		"warning × transfer: in the silence since the accept the customer is warned again": {
			swept(ladder), with(talk(31, warned(20, 5), agentAt(10)), transferred), warns(31, 5, "Still there?", onTask("WT2"), inSilence("WR-WT2", 21))},
		"warning × transfer: while the next agent has not accepted nothing is sent": {
			swept(ladder), with(talk(23, agentAt(10)), tasks(task("WT1", TaskAssigned, acceptedAt(1)), task("WT2", TaskReserved))), waits(ReasonAwaitingAccept, 33, isHeld)},
		"warning × transfer: while the channel is handed over nothing is sent": {
			swept(ladder), with(talk(20, agentAt(10)), channelIs("transfer")), waits(ReasonChannelNotActive, 30, isHeld)},
		"warning × leave: who has left the conversation for later warns nobody": {
			swept(ladder), with(talk(20, agentAt(10)), channelIs("inactive")), waits(ReasonChannelNotActive, 30, isHeld)},
		"warning × wrap-up: who is wrapping up warns nobody": {
			swept(ladder), with(talk(20, agentAt(10)), tasks(task("WT1", TaskWrapping, acceptedAt(1)))), Decision{Act: ActNone, Reason: ReasonNoLiveTask}},
		"warning × replyWindow: the window closes on the ladder, and the end comes at its time": {
			swept(ladder, silently), with(talk(25, warned(20, 5), agentAt(10), yesterday(21)), whatsApp), endsSilently(25, afterWarnings(1), outside)},
		"warning × replyWindow: a warning that was sent late inside still has its whole time outside": {
			swept(ladder, silently), with(talk(25, warned(22, 5), agentAt(10), yesterday(23)), whatsApp), waits(ReasonNotDue, 27)},
		"warning × Act: also in closed hours the ladder is sent": {
			swept(ladder, opening("", v1alpha1.ClosedAct, morning)), talk(23, warned(20, 5), agentAt(10)), warns(23, 2, "Last call.", afterWarnings(2))},
		"warning × CloseSilently: a late warning of open hours has its whole time in closed hours": {
			swept(ladder, quiet), talk(24, warned(19.5, 5), agentAt(9)), waits(ReasonNotDue, 24.5)},
		"warning × Defer: the end of a conversation that was warned in the evening waits for the morning": {
			swept(ladder, deferred), talk(25, warned(23, 2), warned(20, 5), agentAt(10)), waits(ReasonClosedHours, 1380)},
		"warning × Defer: only the latest of the night's warnings is sent in the morning": {
			swept(ladder, deferred), talk(1380, agentAt(10)), warns(1380, 2, "Last call.", dueSince(23))},
		"warning × OpenHours: what is left of the ladder in the evening is sent in the morning": {
			swept(ladder, openHours), talk(21, warned(20, 5), agentAt(10)), waits(ReasonNotDue, 1383)},
		"warning × existing: a warning sent before the policy was edited keeps its whole time": {
			swept(ladder, inForceSince(22, v1alpha1.ExistingImmediate)), talk(25, warned(22, 5), agentAt(10)), warns(25, 2, "Last call.", afterWarnings(2))},
		"warning × anchor: a second \"still there?\" of the agent does not cancel the warnings of FirstUnanswered": {
			swept(ladder, fromFirstUnanswered), talk(23, agentAt(21), warned(20, 5), agentAt(10)), warns(23, 2, "Last call.", afterWarnings(2))},
		"warning × waitingOn: an answer to the warning stops everything until the agent replies": {
			swept(ladder, waitsForCustomer), talk(500, customerAt(21), warned(20, 5), agentAt(10)), waits(ReasonAgentOwesReply, 510)},
		"warning × message: without a message the warnings are all that is said": {
			swept(ladder, silent), talk(20, agentAt(10)), warns(20, 5, "Still there?")},
		"warning × message: without a message the warning's whole time is kept": {
			swept(ladder, silent), talk(25, warned(24, 2), agentAt(10)), waits(ReasonNotDue, 26)},

		// replyWindow
		"replyWindow × closedHours: a template is a text, and is not sent in quiet hours": {
			swept(template, quiet), with(talk(25, agentAt(10), yesterday(25)), whatsApp), endsSilently(25, outside)},
		"replyWindow × closedHours: a template waits for the morning": {
			swept(template, deferred), with(talk(25, agentAt(10), yesterday(25)), whatsApp), waits(ReasonClosedHours, 1380)},
		"replyWindow × closedHours: in the morning the window may have closed": {
			swept(template, deferred), with(talk(1380, agentAt(10), yesterday(1380)), whatsApp),
			tells(1380, "", dueSince(25), func(d *Decision) { d.Message = Outgoing{ContentSID: "HX1"} })},
		"replyWindow × closedHours: Skip leaves it alone in quiet hours too": {
			swept(skip, quiet), with(talk(25, agentAt(10), yesterday(25)), whatsApp), waits(ReasonOutsideReplyWindow, 40)},
		"replyWindow × closedHours: inside the window quiet hours end it silently": {
			swept(skip, quiet), with(talk(25, agentAt(10), customerAt(5)), whatsApp), endsSilently(25, because(ReasonClosedHours))},
		"replyWindow × Notify: outside, nothing is said, and said when the customer has written again": {
			swept(silently, notify), with(talk(60, customerAt(45), agentAt(10), yesterday(25)), whatsApp), tells(60, "Bye.", inSilence("IM45", 45), owedBy(TurnAgent))},
		"replyWindow × hold: a hold may outlast the window": {
			swept(silently, holdable), with(talk(45, agentAt(10), yesterday(40)), tasks(task("WT1", TaskAssigned, acceptedAt(1),
				attributes(`{"channelType":"whatsapp","hold":"2026-03-02T09:30:00Z"}`)))), endsSilently(45, outside)},
		"replyWindow × hold: what Skip leaves alone is not held, and what is held is not looked at": {
			swept(skip, holdable), with(talk(25, agentAt(10), yesterday(25)), tasks(task("WT1", TaskAssigned, acceptedAt(1),
				attributes(`{"channelType":"whatsapp","hold":true}`)))), waits(ReasonHeld, 40, isHeld)},
		"replyWindow × warnings: Skip leaves the conversation alone although it was warned": {
			swept(skip, ladder), with(talk(25, warned(23, 2), warned(20, 5), agentAt(10), yesterday(24)), whatsApp), waits(ReasonOutsideReplyWindow, 35)},
		"replyWindow × warnings: a conversation that Skip leaves alone is not warned": {
			swept(skip, ladder), with(talk(20, agentAt(10), yesterday(20)), whatsApp), waits(ReasonNotDue, 23)},
		"replyWindow × anchor: the window counts from the customer's last message, whatever the clock counts from": {
			swept(silently, fromFirstUnanswered), with(talk(25, agentAt(20), agentAt(10), yesterday(25)), whatsApp), endsSilently(25, outside)},
		"replyWindow × transfer: the next agent's accept does not open the window": {
			swept(silently), with(talk(36, agentAt(10), yesterday(36)), tasks(task("WT1", TaskAssigned, acceptedAt(1), onChannel("whatsapp")),
				task("WT2", TaskAssigned, acceptedAt(21), onChannel("whatsapp")))), endsSilently(36, onTask("WT2"), inSilence("WR-WT2", 21), outside)},
		"replyWindow × waitingOn: who waits for the agent is not ended silently either": {
			swept(silently, waitsForCustomer), with(talk(500, yesterday(25)), whatsApp), waits(ReasonAgentOwesReply, 515)},

		// existing and hold
		"existing × hold: a hold that ended after the policy took effect counts": {
			swept(holdable, inForceSince(25, v1alpha1.ExistingGrace)), with(talk(44, agentAt(10)), nine30), waits(ReasonNotDue, 45)},
		"existing × hold: the end of a hold does not make a silence from before count under Ignore": {
			swept(holdable, inForceSince(25, v1alpha1.ExistingIgnore)), with(talk(60, agentAt(10)), nine30), waits(ReasonBeforePolicy, 75)},
		"existing × hold: under Immediate the clock still starts at the end of the hold": {
			swept(holdable, inForceSince(35, v1alpha1.ExistingImmediate)), with(talk(44, agentAt(10)), nine30), waits(ReasonNotDue, 45)},
		"existing × transfer: a transfer begins a silence that counts under Ignore": {
			swept(inForceSince(20, v1alpha1.ExistingIgnore)), with(talk(36, agentAt(10)), transferred), tells(36, "Bye.", onTask("WT2"), inSilence("WR-WT2", 21))},
		"existing × closedHours: a policy that takes effect at night ends nobody before the morning": {
			swept(deferred, inForceSince(600, v1alpha1.ExistingImmediate)), talk(600, agentAt(10)), waits(ReasonClosedHours, 1380)},
		"hold × transfer: the hold of a task that has ended is gone with it": {
			swept(holdable), with(talk(36, agentAt(10)), tasks(task("WT1", TaskCompleted, attributes(`{"hold":true}`)), task("WT2", TaskAssigned, acceptedAt(21)))),
			tells(36, "Bye.", onTask("WT2"), inSilence("WR-WT2", 21))},
		"hold × closedHours: a hold that ends at night waits for the morning": {
			swept(holdable, deferred), with(talk(45, agentAt(10)), nine30), waits(ReasonClosedHours, 1380)},
		"hold × unanswered: a held conversation is sent no text": {
			swept(holdable, unanswered(5)), with(talk(15, customerAt(10)), holdOnConversation("true")), waits(ReasonHeld, 20, isHeld)},
		"hold × unanswered: after a timed hold the wait counts anew": {
			swept(holdable, unanswered(5)), with(talk(34.9, customerAt(10)), nine30), waits(ReasonNotDue, 35)},
		"hold × unanswered: the text comes when the customer has waited since the hold": {
			swept(holdable, unanswered(5)), with(talk(35, customerAt(10)), nine30), consoles(35)},

		// turns
		"waitingOn × anchor: several messages of the agent, and none of the customer's since": {
			swept(waitsForCustomer, fromFirstUnanswered), talk(25, agentAt(20), agentAt(10), customerAt(2)), tells(25, "Bye.")},
		"waitingOn × anchor: the customer's last message stops the clock also of FirstUnanswered": {
			swept(waitsForCustomer, fromFirstUnanswered), talk(500, customerAt(24), agentAt(20), agentAt(10)), waits(ReasonAgentOwesReply, 515)},
		"waitingOn × unanswered × warnings: the agent's silence is answered for, the customer's is warned": {
			swept(waitsForCustomer, unanswered(5), ladder), talk(30, agentAt(20), own(StepUnanswered, 15), customerAt(10)),
			warns(30, 5, "Still there?", inSilence("IM20", 20))},
		"waitingOn × unanswered × warnings: the customer's silence brings no text for who waits": {
			swept(waitsForCustomer, unanswered(5), ladder), talk(18, agentAt(10)), waits(ReasonNotDue, 20)},
		"waitingOn × unanswered × warnings: the agent's silence brings no warning": {
			swept(waitsForCustomer, unanswered(5), ladder), talk(24, own(StepUnanswered, 15), customerAt(10)), waits(ReasonAgentOwesReply, 29)},
		"waitingOn × transfer: who owes the reply does not change with the agent": {
			swept(waitsForCustomer), with(talk(36, agentAt(10)), transferred), tells(36, "Bye.", onTask("WT2"), inSilence("WR-WT2", 21))},
		"waitingOn × Notify: a customer whom the agent owes the reply is told nothing": {
			swept(waitsForCustomer, notify), talk(500, customerAt(10)), waits(ReasonAgentOwesReply, 515)},
		"anchor × transfer: the accept between two messages of agents counts": {
			swept(fromFirstUnanswered), with(talk(30, agentAt(25), agentAt(10), customerAt(2)), transferred), waits(ReasonNotDue, 36)},
		"anchor × transfer: the next agent's message does not restart the clock": {
			swept(fromFirstUnanswered), with(talk(36, agentAt(25), agentAt(10), customerAt(2)), transferred), tells(36, "Bye.", onTask("WT2"), inSilence("WR-WT2", 21))},
		"anchor × transfer: when the next agent has gone the first one's silence counts again": {
			swept(fromFirstUnanswered), with(talk(36, agentAt(25), agentAt(10), customerAt(2)), tasks(task("WT1", TaskAssigned, acceptedAt(1)), task("WT2", TaskCompleted))),
			tells(36, "Bye.", dueSince(25))},
		"anchor × unanswered: the agent's messages are no wait of the customer's": {
			swept(fromFirstUnanswered, unanswered(5)), talk(24, agentAt(20), agentAt(10), customerAt(2)), waits(ReasonNotDue, 25)},

		// unanswered
		"unanswered × closedHours: at night nobody is told that an agent is coming": {
			swept(waitsForCustomer, unanswered(12), quiet), talk(22, customerAt(10)), waits(ReasonAgentOwesReply, 34)},
		"unanswered × closedHours: a warning in closed hours does not take the text's place": {
			swept(unanswered(5), ladder, quiet), talk(19, customerAt(10)), consoles(19, dueSince(15))},
		"unanswered × OpenHours: the customer's wait stops at night": {
			swept(waitsForCustomer, unanswered(12), openHours), talk(25, customerAt(10)), waits(ReasonNotDue, 1382)},
		"unanswered × leave: who was left for later is sent nothing": {
			swept(unanswered(5)), with(talk(15, customerAt(10)), channelIs("inactive")), waits(ReasonChannelNotActive, 20, isHeld)},

		// Notify and WrapUp
		"Notify × hold: a held conversation is told nothing": {
			swept(notify, holdable), with(talk(25, agentAt(10)), holdOnTask("true")), waits(ReasonHeld, 40, isHeld)},
		"Notify × transfer: in the silence since the next accept the customer is told again": {
			swept(notify), with(talk(41, own(StepNotice, 25, toNotify), agentAt(10)), tasks(task("WT1", TaskAssigned, acceptedAt(1)), task("WT2", TaskAssigned, acceptedAt(26)))),
			tells(41, "Bye.", onTask("WT2"), inSilence("WR-WT2", 26))},
		"Notify × existing: a customer who was told before the policy was edited is not told again": {
			swept(notify, inForceSince(30, v1alpha1.ExistingGrace)), talk(45, own(StepNotice, 25, toNotify), agentAt(10)), waits(ReasonNotified, 60)},
		"WrapUp × transfer: all tasks are left wrapping": {
			swept(wrapUp), with(talk(37, own(StepNotice, 36, about("WR-WT2", 21)), agentAt(10)), transferred), finishes(ReasonNoticeSent, func(d *Decision) { d.WrapUp = true })},
	})
}

// situations are conversations in which something would be done, by what.
func situations() map[string]Snapshot {
	whatsApp := tasks(task("WT1", TaskAssigned, acceptedAt(1), onChannel("whatsapp")))
	return map[string]Snapshot{
		"an accept":                         {Now: at(1), JustAccepted: true, Tasks: one(task("WT1", TaskAssigned, acceptedAt(1))), Webhooks: &Webhooks{}},
		"a lost timer":                      with(talk(12, agentAt(10)), noTimer),
		"an early wake-up":                  with(talk(12, agentAt(10)), state(ConversationInactive)),
		"a warning that is due":             talk(20, agentAt(10)),
		"a customer who waits":              talk(15, customerAt(10)),
		"an end that is due":                talk(25, warned(23, 2), agentAt(10)),
		"an end outside the window":         with(talk(25, warned(23, 2), agentAt(10)), whatsApp),
		"a notice that is out":              talk(26, own(StepNotice, 25), agentAt(10)),
		"a notice that is out, and no task": with(talk(26, own(StepNotice, 25), agentAt(10)), tasks()),
		"a claimed ending":                  with(talk(26, agentAt(10)), tasks(task("WT1", TaskAssigned, acceptedAt(1), claimIn(25, StepFinish)))),
		"nothing that was looked at":        {Now: at(25), Tasks: one(task("WT1", TaskAssigned))},
	}
}

func TestASuspendedPolicyDoesNothing(t *testing.T) {
	for name, policy := range everyPolicy(suspended) {
		for what, snapshot := range situations() {
			if diff := cmp.Diff(Decision{Act: ActNone, Reason: ReasonSuspended}, Decide(policy, snapshot)); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, what, diff)
			}
		}
	}
}

func TestAPolicyThatIsNotInForceDoesNothing(t *testing.T) {
	for name, policy := range everyPolicy(func(p *Policy) { p.EffectiveSince = time.Time{} }) {
		for what, snapshot := range situations() {
			if diff := cmp.Diff(Decision{Act: ActNone, Reason: ReasonNotInForce}, Decide(policy, snapshot)); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, what, diff)
			}
		}
	}
}

// It is the controllers that keep a policy that observes from writing: it decides as one that acts.
func TestAPolicyThatObservesDecidesAsOneThatActs(t *testing.T) {
	observe := func(p *v1alpha1.InactivityPolicy) { p.Spec.Mode = v1alpha1.ModeObserve }
	if _, policy := inEffect(t, written(observe)); !policy.Observe {
		t.Error("mode: Observe does not make a policy observe")
	}
	for name, policy := range everyPolicy() {
		for what, snapshot := range situations() {
			observing := policy
			observing.Observe = true
			if diff := cmp.Diff(Decide(policy, snapshot), Decide(observing, snapshot)); diff != "" {
				t.Errorf("%s, %s (-acting +observing):\n%s", name, what, diff)
			}
		}
	}
}
