package inactivity

import (
	"testing"
	"time"
)

func TestWarnings(t *testing.T) {
	warned5, warned2 := warned(20, 5), warned(23, 2)
	warning5 := EpisodeText{Step: StepWarning, Episode: "IM10", BeforeSeconds: 300}
	claimedTask := func(change ...func(*Task)) func(*Snapshot) {
		return tasks(task("WT1", TaskAssigned, append([]func(*Task){acceptedAt(1)}, change...)...))
	}

	check(t, map[string]rule{
		// The ladder.
		"nothing is sent before the first warning": {
			swept(ladder), talk(19.99, agentAt(10)), waits(ReasonNotDue, 20)},
		"the first warning is sent when its time has come, to the second": {
			swept(ladder), talk(20, agentAt(10)), warns(20, 5, "Still there?")},
		"after the first warning the second is waited for": {
			swept(ladder), talk(20, warned5, agentAt(10)), waits(ReasonNotDue, 23)},
		"the second warning follows": {
			swept(ladder), talk(23, warned5, agentAt(10)), warns(23, 2, "Last call.", afterWarnings(2))},
		"after the last warning the end is waited for": {
			swept(ladder), talk(24.99, warned2, warned5, agentAt(10)), waits(ReasonNotDue, 25)},
		"after the last warning comes the end": {
			swept(ladder), talk(25, warned2, warned5, agentAt(10)), tells(25, "Bye.", afterWarnings(2))},
		"a warning can be sent as soon as a minute after the message": {
			swept(warning(14, "Hello?")), talk(11, agentAt(10)), warns(11, 14, "Hello?")},
		"under Any a customer is warned too whom nobody answers": {
			swept(ladder), talk(20, customerAt(10)), warns(20, 5, "Still there?", owedBy(TurnAgent))},
		"under Customer a customer whom nobody answers is not warned": {
			swept(ladder, waitsForCustomer), talk(20, customerAt(10)), waits(ReasonAgentOwesReply, 30)},
		"where nobody has written, warnings count from the accept": {
			swept(ladder), talk(11), warns(11, 5, "Still there?", inSilence("WR-WT1", 1), owedBy(TurnAgent))},

		// Once for each silence.
		"an answer cancels the warnings and starts the ladder anew": {
			swept(ladder), talk(22, customerAt(21), warned5, agentAt(10)), waits(ReasonNotDue, 31)},
		"in the next silence the warning is sent again": {
			swept(ladder), talk(31, customerAt(21), warned5, agentAt(10)), warns(31, 5, "Still there?", inSilence("IM21", 21), owedBy(TurnAgent))},
		"an agent's message starts the ladder anew": {
			swept(ladder), talk(25, agentAt(21), warned5, agentAt(10)), waits(ReasonNotDue, 31)},
		"a bot's message changes nothing": {
			swept(ladder), talk(23, botAt(22), warned5, agentAt(10)), warns(23, 2, "Last call.", afterWarnings(2))},
		"an answer that crossed with the warning cancels it all the same": {
			swept(ladder), talk(25, warned5, customerAt(19.9), agentAt(10)), waits(ReasonNotDue, 29.9)},
		"a warning stands although the task whose accept it names has ended": {
			swept(ladder), with(talk(30, warned(27, 5, about("WR-WT2", 12)), agentAt(10)), tasks(task("WT1", TaskAssigned, acceptedAt(1)), task("WT2", TaskCompleted))),
			warns(30, 2, "Last call.", afterWarnings(2))},
		"a warning that a customer forges is none, whatever silence it claims to be about": {
			swept(ladder), talk(30, func() Message {
				m := warned(20, 5, about("IM20", 9999))
				m.SID, m.Author, m.ParticipantSID = "IM20", customer, "MB-customer"
				return m
			}(), agentAt(10)), warns(30, 5, "Still there?", inSilence("IM20", 20), owedBy(TurnAgent))},

		// Late.
		"of several warnings that are late only the latest is sent": {
			swept(ladder), talk(24, agentAt(10)), warns(24, 2, "Last call.", dueSince(23))},
		"after a late warning the customer has its whole time": {
			swept(ladder), talk(25.9, warned(24, 2), agentAt(10)), waits(ReasonNotDue, 26)},
		"after a late warning's whole time comes the end": {
			swept(ladder), talk(26, warned(24, 2), agentAt(10)), tells(26, "Bye.", afterWarnings(1))},
		"the warning that was passed over is never sent": {
			swept(ladder), talk(24.5, warned(24, 2), agentAt(10)), waits(ReasonNotDue, 26)},
		"a warning that comes late puts off the warnings that follow": {
			swept(ladder), talk(23, warned(22, 5), agentAt(10)), waits(ReasonNotDue, 25)},
		"a warning that was put off keeps its distance from the end": {
			swept(ladder), talk(25, warned(22, 5), agentAt(10)), warns(25, 2, "Last call.", afterWarnings(2))},
		"after both have come late the end is as far as the last one says": {
			swept(ladder), talk(26.9, warned(25, 2), warned(22, 5), agentAt(10)), waits(ReasonNotDue, 27)},
		"a conversation that is due is warned first when no warning was sent": {
			swept(ladder), talk(25, agentAt(10)), warns(25, 2, "Last call.", dueSince(23))},
		"also hours after the timeout the latest warning comes before the end": {
			swept(ladder), talk(500, agentAt(10)), warns(500, 2, "Last call.", dueSince(23))},
		"hours after the timeout the customer still has the warning's whole time": {
			swept(ladder), talk(501.9, warned(500, 2), agentAt(10)), waits(ReasonNotDue, 502)},
		"an operator that was away after a warning sends the next one before the end": {
			swept(ladder), talk(500, warned5, agentAt(10)), warns(500, 2, "Last call.", dueSince(23), afterWarnings(2))},
		"an operator that was away after the last warning ends": {
			swept(ladder), talk(500, warned2, warned5, agentAt(10)), tells(500, "Bye.", dueSince(25), afterWarnings(2))},

		// Never after the notice.
		"after the notice comes the end, and no warning": {
			swept(ladder), talk(26, own(StepNotice, 25), agentAt(10)), finishes(ReasonNoticeSent)},
		"a warning that was added after the notice is not sent": {
			swept(ladder, warning(1, "Now!")), talk(26, own(StepNotice, 25), warned2, warned5, agentAt(10)), finishes(ReasonNoticeSent)},

		// Claims.
		"a warning that another replica has just claimed is waited for": {
			swept(ladder), with(talk(20.2, agentAt(10)), claimedTask(claimIn(20, StepWarning, ofWarning(5)))),
			waits(ReasonClaimedElsewhere, 20.5, isDue)},
		"a warning that was claimed and not sent is sent when the lease is over": {
			swept(ladder), with(talk(20.5, agentAt(10)), claimedTask(claimIn(20, StepWarning, ofWarning(5)))),
			warns(20.5, 5, "Still there?", dueSince(20), takesOver)},
		"the claim of one warning is not in the way of the next": {
			swept(ladder), with(talk(23, warned5, agentAt(10)), claimedTask(claimIn(22.9, StepWarning, ofWarning(5)))),
			warns(23, 2, "Last call.", afterWarnings(2))},
		"the claim of a warning in an earlier silence is not in the way": {
			swept(ladder), with(talk(20, agentAt(10)), claimedTask(claimIn(19.5, StepWarning, ofWarning(5), func(c *Claim) { c.Episode = "IM5" }))),
			warns(20, 5, "Still there?")},
		"the claim of a warning is not in the way of the end": {
			swept(ladder), with(talk(25, warned2, agentAt(10)), claimedTask(claimIn(24.9, StepWarning, ofWarning(2)))),
			tells(25, "Bye.", afterWarnings(1))},
		"the end waits while a late warning is under way": {
			swept(ladder), with(talk(25, agentAt(10)), claimedTask(claimIn(24.9, StepWarning, ofWarning(2)))),
			waits(ReasonClaimedElsewhere, 25.4, isDue)},
		"the task is read with its version before a warning is claimed": {
			swept(ladder), with(talk(20, agentAt(10)), claimedTask(unread)),
			Decision{Act: ActLook, Reason: ReasonIncomplete, Need: NeedTask, TaskSID: "WT1"}},
		"of several tasks the one with the latest accept is claimed on": {
			swept(ladder), with(talk(22, agentAt(10)), tasks(task("WT1", TaskAssigned, acceptedAt(1)), task("WT2", TaskAssigned, acceptedAt(12)))),
			warns(22, 5, "Still there?", onTask("WT2"), inSilence("WR-WT2", 12))},

		// Refused by Twilio.
		"a warning that was refused is skipped": {
			swept(ladder), with(talk(21, agentAt(10)), claimedTask(claimIn(20, StepWarning, ofWarning(5), refused(StepWarning, 5)))),
			waits(ReasonNotDue, 23)},
		"after a refused warning the next one is tried": {
			swept(ladder), with(talk(23, agentAt(10)), claimedTask(claimIn(20, StepWarning, ofWarning(5), refused(StepWarning, 5)))),
			warns(23, 2, "Last call.", keeping(warning5))},
		"after a refused warning and one that was sent the end is waited for": {
			swept(ladder), with(talk(24, warned2, agentAt(10)), claimedTask(claimIn(23, StepWarning, ofWarning(2), refused(StepWarning, 5)))),
			waits(ReasonNotDue, 25)},
		"refused warnings do not put off the end": {
			swept(ladder), with(talk(25, agentAt(10)), claimedTask(claimIn(24.9, StepWarning, ofWarning(2), refused(StepWarning, 5), refused(StepWarning, 2)))),
			tells(25, "Bye.", keeping(warning5, EpisodeText{Step: StepWarning, Episode: "IM10", BeforeSeconds: 120}))},
		"a refusal in an earlier silence is forgotten": {
			swept(ladder), with(talk(31, customerAt(21), agentAt(10)), claimedTask(claimIn(20, StepWarning, ofWarning(5), refused(StepWarning, 5)))),
			warns(31, 5, "Still there?", inSilence("IM21", 21), owedBy(TurnAgent))},
		"the refusal of a late warning does not bring back the one that was passed over": {
			swept(ladder), with(talk(24.1, agentAt(10)), claimedTask(claimIn(24, StepWarning, ofWarning(2), refused(StepWarning, 2)))),
			waits(ReasonNotDue, 25)},

		// The ladder is edited in the middle of a silence, which does not start the clock anew.
		"a warning that was added for a time that has passed already is passed over, when one nearer to the end was sent": {
			swept(warning(8, "Hm?"), ladder), talk(21, warned5, agentAt(10)), waits(ReasonNotDue, 23)},
		"a warning that was moved is not sent again at its new time further from the end": {
			swept(warning(7, "Still there?")), talk(21, warned5, agentAt(10)), waits(ReasonNotDue, 25)},
		"a warning that was moved nearer to the end is another one": {
			swept(warning(3, "Still there?")), talk(22, warned5, agentAt(10)), warns(22, 3, "Still there?", afterWarnings(2))},
		"a warning that was sent and taken out of the policy still has its whole time": {
			swept(), talk(26, warned(22, 5), agentAt(10)), waits(ReasonNotDue, 27)},
		"a warning that was added after the timeout has its whole time too": {
			swept(warning(3, "Still there?")), talk(30, agentAt(10)), warns(30, 3, "Still there?", dueSince(22))},

		// Conditions may leave nothing to say.
		"a warning that has nothing to say is skipped, and does not put off the end": {
			swept(warning(5, `{{if eq .Channel "web"}}Still there?{{end}}`)), talk(20, agentAt(10)), waits(ReasonNotDue, 25)},

		// What ends the silence.
		"with Notify the customer is warned and then told": {
			swept(ladder, notify), talk(25, warned2, warned5, agentAt(10)), tells(25, "Bye.", afterWarnings(2))},
		"with Notify nothing is sent after the notice": {
			swept(ladder, notify), talk(60, own(StepNotice, 25, toNotify), agentAt(10)), waits(ReasonNotified, 70)},
		"with Notify the next silence has its warnings again": {
			swept(ladder, notify), talk(40, customerAt(30), own(StepNotice, 25, toNotify), warned2, warned5, agentAt(10)),
			warns(40, 5, "Still there?", inSilence("IM30", 30), owedBy(TurnAgent))},
		"with WrapUp the customer is warned": {
			swept(ladder, wrapUp), talk(20, agentAt(10)), warns(20, 5, "Still there?")},
		"with WrapUp the tasks are left wrapping after the warnings and the notice": {
			swept(ladder, wrapUp), talk(25, own(StepNotice, 25), warned2, warned5, agentAt(10)),
			finishes(ReasonNoticeSent, func(d *Decision) { d.WrapUp = true })},
		"a policy without a message warns, and ends silently": {
			swept(ladder, silent), talk(25, warned2, warned5, agentAt(10)), endsSilently(25, afterWarnings(2))},
	})
}

// Twilio's timer restarts with every message, ours too, so each text sets it to what is left until the next step.
func TestTheTimerWakesForTheNextWarning(t *testing.T) {
	accepted := task("WT1", TaskAssigned, acceptedAt(1))
	check(t, map[string]rule{
		"an accepted conversation is armed for the first warning": {
			policy(ladder), Snapshot{Now: at(1), JustAccepted: true, Tasks: one(accepted), Webhooks: &Webhooks{}},
			Decision{Act: ActArm, Reason: ReasonWebhookMissing, CreateWebhook: true, Timer: minutes(10), Next: at(11)}},
		"messages are not read before the first warning can be due": {
			swept(ladder), with(talk(10.9), func(s *Snapshot) { s.Messages = nil }), waits(ReasonNotDue, 11)},
		"messages are read as soon as the first warning can be due": {
			swept(ladder), with(talk(11), func(s *Snapshot) { s.Messages = nil }), asks(NeedMessages)},
		"a timer for the end is set anew for the warning": {
			policy(ladder), with(talk(12, agentAt(10)), timerAt(25)),
			Decision{Act: ActArm, Reason: ReasonTimerOff, Timer: minutes(8), Next: at(20)}},
		"a wake-up that comes early sets the timer to what is left until the warning": {
			policy(ladder), with(talk(16, agentAt(10)), state(ConversationInactive)),
			Decision{Act: ActRearm, Reason: ReasonWokenEarly, Activate: true, Timer: minutes(4), Next: at(20)}},
		"the first warning sets the timer for the second": {
			policy(ladder), talk(20, agentAt(10)), warns(20, 5, "Still there?", withTimer(3))},
		"the last warning sets the timer for the end": {
			policy(ladder), talk(23, warned(20, 5), agentAt(10)), warns(23, 2, "Last call.", afterWarnings(2), withTimer(2))},
		"a late warning sets the timer for the second one, which it has put off": {
			policy(ladder), talk(22, agentAt(10)), warns(22, 5, "Still there?", dueSince(20), withTimer(3))},
		"a warning that comes after the timeout sets the timer for its own whole time": {
			policy(ladder), talk(500, agentAt(10)), warns(500, 2, "Last call.", dueSince(23), withTimer(2))},
		"a next warning that is nearer than Twilio's shortest timer gets the shortest timer": {
			policy(warning(5, "Still there?"), warning(4.5, "Really?")), talk(20, agentAt(10)), warns(20, 5, "Still there?", withTimer(1))},
		"with Notify the notice sets the timer for the first step of a new silence": {
			policy(ladder, notify), talk(25, warned(23, 2), agentAt(10)), tells(25, "Bye.", afterWarnings(1), withTimer(10))},
		"an early warning sets the timer for the first step of a new silence, because a message restarts it": {
			policy(warning(10, "Still there?")), talk(15, agentAt(10)), warns(15, 10, "Still there?", withTimer(5))},
		"a timer that a message has restarted and that is longer than until the first step of a new silence is set anew": {
			policy(warning(10, "Still there?")), with(talk(16, warned(15, 10), agentAt(10)), timerAt(25)),
			Decision{Act: ActArm, Reason: ReasonTimerOff, Timer: minutes(5), Next: at(21)}},
		"a timer that is shorter than that is left": {
			policy(warning(10, "Still there?")), with(talk(16, warned(15, 10), agentAt(10)), timerAt(18)), waits(ReasonNotDue, 21)},
		"without callbacks no timer is set": {
			swept(ladder), talk(20, agentAt(10)), warns(20, 5, "Still there?")},
	})
}

// However late the operator comes, and whatever it has sent: between a warning and the end lies what the warning says.
func TestTheFullNoticeIsAlwaysKept(t *testing.T) {
	policy := swept(ladder, warning(1, "Now!"))
	befores := map[int64]time.Duration{300: minutes(5), 120: minutes(2), 60: minutes(1)}
	for first := 20.0; first < 40; first += 0.25 {
		snapshot := talk(first, agentAt(10))
		for steps := 0; ; steps++ {
			decision := Decide(policy, snapshot)
			switch {
			case steps > 100:
				t.Fatalf("looking from minute %g on: no end", first)
			case decision.Act == ActNone:
				snapshot.Now = decision.Next
				continue
			case decision.Act == ActWarn:
				sent := warned(0, 0, about("IM10", 10))
				sent.At, sent.Marker.BeforeSeconds = snapshot.Now, decision.Claim.BeforeSeconds
				snapshot.Messages = newestFirst(append([]Message{sent}, snapshot.Messages.Newest...)...)
				continue
			case decision.Act != ActNotice:
				t.Fatalf("looking from minute %g on: %s (%s)", first, decision.Act, decision.Reason)
			}
			last := minutes(60)
			for i := len(snapshot.Messages.Newest) - 2; i >= 0; i-- {
				sent := snapshot.Messages.Newest[i]
				before := befores[sent.Marker.BeforeSeconds]
				if got := snapshot.Now.Sub(sent.At); got < before || before >= last {
					t.Errorf("looking from minute %g on: the warning %s before the end was sent %s before it, after the one for %s", first, before, got, last)
				}
				last = before
			}
			break
		}
	}
}
