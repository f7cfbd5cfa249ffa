package inactivity

import "testing"

// In these tables the customer writes in minute 10 and waits for an agent's reply; the text is due in minute 15, and the end
// in minute 25. Whatever is due next, the operator looks again after five minutes at the latest: by then a wait that has
// begun meanwhile has to be heard of.
func TestUnanswered(t *testing.T) {
	plain, customers := swept(unanswered(5)), swept(unanswered(5), waitsForCustomer)
	text := own(StepUnanswered, 15)
	claimedTask := func(change ...func(*Task)) func(*Snapshot) {
		return tasks(task("WT1", TaskAssigned, append([]func(*Task){acceptedAt(1)}, change...)...))
	}
	refusedText := EpisodeText{Step: StepUnanswered, Episode: "IM10"}

	check(t, map[string]rule{
		// Once for each wait.
		"nothing is sent before the customer has waited": {
			plain, talk(14.99, customerAt(10), agentAt(5)), waits(ReasonNotDue, 15)},
		"a customer who has waited is sent the text, to the second": {
			plain, talk(15, customerAt(10), agentAt(5)), consoles(15)},
		"the text is sent once": {
			plain, talk(16, text, customerAt(10)), waits(ReasonNotDue, 21)},
		"several messages of the customer are one wait, which began with the first": {
			plain, talk(15, customerAt(14), customerAt(12), customerAt(10), agentAt(5)), consoles(15)},
		"another message of the customer does not bring the text again": {
			plain, talk(30, customerAt(20), text, customerAt(10)), waits(ReasonNotDue, 35)},
		"a text that comes late still names when the wait began": {
			plain, talk(27, customerAt(20), customerAt(10)), consoles(27, dueSince(15))},
		"an agent's answer ends the wait": {
			plain, talk(15, agentAt(12), customerAt(10)), waits(ReasonNotDue, 20)},
		"an agent's answer that crossed with the text ends the wait": {
			plain, talk(16, text, agentAt(14.9), customerAt(10)), waits(ReasonNotDue, 21)},
		"a bot's answer does not end the wait": {
			plain, talk(15, botAt(12), customerAt(10)), consoles(15)},
		"in a new wait the text is sent again": {
			plain, talk(25, customerAt(20), agentAt(17), text, customerAt(10)), consoles(25, inSilence("IM20", 20))},
		"a text that the customer forges is none": {
			plain, talk(15, func() Message {
				m := own(StepUnanswered, 14)
				m.SID, m.Author, m.ParticipantSID = "IM14", customer, "MB-customer"
				return m
			}(), customerAt(10)), consoles(15)},

		"a customer who writes after Notify's notice begins a new wait": {
			swept(unanswered(5), notify), talk(33, customerAt(30), own(StepNotice, 25, toNotify), customerAt(10)), waits(ReasonNotDue, 35)},

		// Whose wait.
		"a customer who has waited in the queue waits for the agent from the accept on": {
			plain, talk(5.99, customerAt(-30)), waits(ReasonNotDue, 6)},
		"the wait since the accept is named after the accept": {
			plain, talk(6, customerAt(4), customerAt(-30)), consoles(6, inSilence("WR-WT1", 1))},
		"the next agent of a transfer has the whole time to answer": {
			plain, with(talk(16.99, customerAt(10)), tasks(task("WT1", TaskAssigned, acceptedAt(1)), task("WT2", TaskAssigned, acceptedAt(12)))), waits(ReasonNotDue, 17)},
		"the wait for the next agent of a transfer is a wait of its own": {
			plain, with(talk(17, text, customerAt(10)), tasks(task("WT1", TaskAssigned, acceptedAt(1)), task("WT2", TaskAssigned, acceptedAt(12)))),
			consoles(17, onTask("WT2"), inSilence("WR-WT2", 12))},
		"a customer who never wrote does not wait": {
			plain, talk(20, agentAt(10)), waits(ReasonNotDue, 25)},
		"where nobody wrote nobody waits": {
			plain, talk(10), waits(ReasonNotDue, 15)},
		"in the queue nothing is sent": {
			plain, with(talk(500, customerAt(10)), tasks(task("WT1", TaskPending))), waits(ReasonAwaitingAccept, 505)},

		// The end.
		"a text that is late is sent as long as the conversation is not due": {
			plain, talk(24.5, customerAt(10)), consoles(24.5, dueSince(15))},
		"the text does not put off the end": {
			plain, talk(25, own(StepUnanswered, 24.5), customerAt(10)), tells(25, "Bye.", owedBy(TurnAgent))},
		"a conversation that is due is not sent the text": {
			plain, talk(25, customerAt(10)), tells(25, "Bye.", owedBy(TurnAgent))},
		"after the notice there is no text": {
			plain, talk(26, own(StepNotice, 25), customerAt(10)), finishes(ReasonNoticeSent)},
		"after Notify's notice there is no text": {
			swept(unanswered(5), notify), talk(60, own(StepNotice, 25, toNotify), customerAt(10)), waits(ReasonNotified, 65)},
		"who was told under Notify is not sent the text in the same silence": {
			customers, talk(500, own(StepNotice, 25, toNotify), customerAt(10)), waits(ReasonAgentOwesReply, 505)},
		"under Customer the text is sent however late, because there is no end": {
			customers, talk(500, customerAt(10)), consoles(500, dueSince(15))},
		"under Customer nothing follows the text": {
			customers, talk(500, text, customerAt(10)), waits(ReasonAgentOwesReply, 505)},
		"under Customer the text may come later than the timeout": {
			swept(unanswered(60), waitsForCustomer), talk(69.9, customerAt(10)), waits(ReasonNotDue, 70)},
		"under Customer the text comes later than the timeout when it says so": {
			swept(unanswered(60), waitsForCustomer), talk(70, customerAt(10)), consoles(70)},

		// Warnings.
		"the text is sent before the first warning": {
			swept(unanswered(5), ladder), talk(15, customerAt(10)), consoles(15)},
		"after the text the warnings follow": {
			swept(unanswered(5), ladder), talk(20, text, customerAt(10)), warns(20, 5, "Still there?", owedBy(TurnAgent))},
		"the text is not sent together with a warning": {
			swept(unanswered(5), ladder), talk(20, customerAt(10)), warns(20, 5, "Still there?", owedBy(TurnAgent))},
		"the text is not sent after a warning": {
			swept(unanswered(5), ladder), talk(21, warned(20, 5), customerAt(10)), waits(ReasonNotDue, 23)},
		"a text that would come after the first warning does not come": {
			swept(unanswered(12), ladder), talk(19, customerAt(10)), waits(ReasonNotDue, 20)},
		"a customer who answers the warning and still waits is sent the text": {
			swept(unanswered(12), ladder), talk(22, customerAt(21), warned(20, 5), customerAt(10)), consoles(22)},
		"a warning that was refused is no reason to withhold the text": {
			swept(unanswered(12), warning(5, "Still there?")), with(talk(22, customerAt(10)), claimedTask(claimIn(20, StepWarning, ofWarning(5), refused(StepWarning, 5)))),
			consoles(22, keeping(EpisodeText{Step: StepWarning, Episode: "IM10", BeforeSeconds: 300}))},

		// Claims.
		"a text that another replica has just claimed is waited for": {
			plain, with(talk(15.2, customerAt(10)), claimedTask(claimIn(15, StepUnanswered))), waits(ReasonClaimedElsewhere, 15.5, isDue)},
		"a text that was claimed and not sent is sent when the lease is over": {
			plain, with(talk(15.5, customerAt(10)), claimedTask(claimIn(15, StepUnanswered))), consoles(15.5, dueSince(15), takesOver)},
		"a text that was refused is not tried again in the same wait": {
			plain, with(talk(16, customerAt(10)), claimedTask(claimIn(15, StepUnanswered, refused(StepUnanswered, 0)))), waits(ReasonNotDue, 21)},
		"a text that was refused is not tried again because the customer writes another message": {
			plain, with(talk(26, customerAt(20), customerAt(10)), claimedTask(claimIn(15, StepUnanswered, refused(StepUnanswered, 0)))), waits(ReasonNotDue, 31)},
		"a refused text is remembered when the conversation ends": {
			plain, with(talk(25, customerAt(10)), claimedTask(claimIn(15, StepUnanswered, refused(StepUnanswered, 0)))),
			tells(25, "Bye.", owedBy(TurnAgent), keeping(refusedText))},
		"a text that was refused is tried again in the next wait": {
			plain, with(talk(25, customerAt(20), agentAt(17), customerAt(10)), claimedTask(claimIn(15, StepUnanswered, refused(StepUnanswered, 0)))),
			consoles(25, inSilence("IM20", 20))},
		"the task is read with its version before the text is claimed": {
			plain, with(talk(15, customerAt(10)), claimedTask(unread)),
			Decision{Act: ActLook, Reason: ReasonIncomplete, Need: NeedTask, TaskSID: "WT1"}},
		"a text that has nothing to say is not sent": {
			swept(func(p *Policy) {
				p.Unanswered = &Unanswered{After: minutes(5), Text: says(`{{if eq .Channel "web"}}Sorry.{{end}}`)}
			}), talk(16, customerAt(10)), waits(ReasonNotDue, 21)},

		// The timer.
		"an accepted conversation is armed for the text": {
			policy(unanswered(5)), Snapshot{Now: at(1), JustAccepted: true, Tasks: one(task("WT1", TaskAssigned, acceptedAt(1))), Webhooks: &Webhooks{}},
			Decision{Act: ActArm, Reason: ReasonWebhookMissing, CreateWebhook: true, Timer: minutes(5), Next: at(6)}},
		"the text sets the timer for a wait that may begin": {
			policy(unanswered(5)), talk(15, customerAt(10)), consoles(15, withTimer(5))},
		"the text sets the timer for the first warning": {
			policy(unanswered(5), ladder), talk(15, customerAt(10)), consoles(15, withTimer(5))},
		"where there is no end the text sets the timer for whatever may begin": {
			policy(unanswered(5), waitsForCustomer), talk(15, customerAt(10)), consoles(15, withTimer(5))},
	})
}
