package inactivity

import (
	"slices"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

const (
	// ClaimLease is how long a claimed step may be under way before another attempt takes it over. It must be longer
	// than a claim and a message take with all time-outs, so that a message whose answer was lost shows up before the
	// next attempt looks for it.
	ClaimLease = 30 * time.Second

	// armPatience is how long a look that no event has led to leaves the first webhook to the replica that has the event.
	// Two that looked at once would both find none, and both add one.
	armPatience = 10 * time.Second

	// timerTolerance is how early or late Twilio's timer may be against the computed time before it is set anew.
	timerTolerance = 30 * time.Second
)

// Decide says what to do next with the conversation that the snapshot shows.
func Decide(policy Policy, snapshot Snapshot) Decision {
	switch {
	case policy.Suspended:
		return none(ReasonSuspended)
	case policy.EffectiveSince.IsZero():
		return none(ReasonNotInForce)
	}
	live := withStatus(snapshot.Tasks, TaskAssigned)
	again := policy.Again(snapshot)
	switch {
	case len(withStatus(snapshot.Tasks, TaskPending, TaskReserved)) > 0:
		return Decision{Act: ActNone, Reason: ReasonAwaitingAccept, Held: len(live) > 0, Next: again}
	case len(live) == 0:
		return decideWithoutLiveTask(policy, snapshot)
	}
	if slices.ContainsFunc(live, func(task Task) bool { return !task.ReservationsSeen }) {
		return look(NeedReservations)
	}
	newest, found := latestAccepted(live)
	if !found {
		return Decision{Act: ActNone, Reason: ReasonAwaitingAccept, Next: again}
	}
	held, need := policy.holdOf(snapshot, live)
	if held.held {
		return decideHeld(held, again)
	}
	if need != 0 {
		return look(need)
	}

	if snapshot.Messages == nil {
		start := policy.startOf(episode{at: newest.Accepted.At}, held)
		if due := policy.add(start, policy.firstDelay()); snapshot.Now.Before(due) && !policy.dependsOnMessages(newest) {
			return decideArming(policy, snapshot, newest, live, due, ReasonNotDue)
		}
		return look(NeedMessages)
	}
	silence := policy.silenceOf(snapshot)
	if silence.need != 0 {
		return look(silence.need)
	}
	return decideSilence(policy.read(snapshot, newest, silence, held), live)
}

// dependsOnMessages reports whether the messages decide about a conversation in which nothing can be due yet: an ending
// that was claimed may be under way, and a silence from before the policy may have to be left alone.
func (p Policy) dependsOnMessages(newest Task) bool {
	claim := newest.Attributes.Claim
	return claim != nil && (claim.Step == StepNotice || claim.Step == StepFinish) ||
		p.Existing == v1alpha1.ExistingIgnore && newest.Accepted.At.Before(p.EffectiveSince)
}

// Again is when a conversation is looked at again that nothing is known to be due for: soon enough for whatever may begin
// right after this look.
func (p Policy) Again(snapshot Snapshot) time.Time {
	return snapshot.Now.Add(p.firstTimer())
}

// firstStep is the earliest that a step of a silence or a wait that begins now is due, as far as Twilio's timers can tell.
func (p Policy) firstStep(now time.Time) time.Time { return p.add(now, p.firstTimer()) }

// firstTimer is the timer for the first step of whatever may begin.
func (p Policy) firstTimer() time.Duration { return max(p.firstDelay(), MinTimer) }

// decideHeld leaves a held conversation alone.
func decideHeld(held hold, again time.Time) Decision {
	decision := Decision{Act: ActNone, Reason: ReasonHeld, Held: true, Next: again}
	if held.unreadable {
		decision.Reason = ReasonHoldUnreadable
	}
	if !held.until.IsZero() && (held.until.Before(again) || !held.onConversation) {
		decision.Next = held.until
	}
	return decision
}

// decideSilence decides about a conversation whose messages are known.
func decideSilence(s situation, live []Task) Decision {
	policy, snapshot := s.policy, s.snapshot
	notice := noticeOf(s)
	if notice != nil && notice.Action != v1alpha1.ActionNotify {
		return decideEnding(s, live, notice, s.ending())
	}
	if policy.Existing == v1alpha1.ExistingIgnore && s.episode.at.Before(policy.EffectiveSince) {
		return Decision{Act: ActNone, Reason: ReasonBeforePolicy, Next: policy.Again(snapshot)}
	}
	next := s.next(notice != nil)
	switch {
	case next.kind == "":
		return decideArming(policy, snapshot, s.newest, live, policy.Again(snapshot), ReasonAgentOwesReply)
	case next.deferred:
		return decideArming(policy, snapshot, s.newest, live, next.at, ReasonClosedHours)
	case snapshot.Now.Before(next.at):
		return decideArming(policy, snapshot, s.newest, live, next.at, ReasonNotDue)
	case next.kind == StepNotice:
		return decideEnding(s, live, notice, next)
	default:
		return decideText(s, live, next)
	}
}

// decideText decides about a text after which the conversation goes on.
func decideText(s situation, live []Task, next step) Decision {
	if blocked := blocker(s.snapshot, live, s.policy.Again(s.snapshot)); blocked != nil {
		return *blocked
	}
	if s.newest.ETag == "" {
		return lookAtTask(s.newest)
	}
	claim := s.claim(next.kind, next.episode, next.before)
	decision := Decision{Act: ActWarn, Reason: ReasonWarningDue}
	if next.kind == StepUnanswered {
		decision.Act, decision.Reason = ActHoldingText, ReasonUnanswered
	}
	if waiting := s.underway(); waiting != nil {
		return *waiting
	}
	decision.TakeOver = s.claimed(claim)
	if next.kind == StepWarning {
		claim.Warnings++
	}
	decision.Due, decision.TaskSID, decision.Claim, decision.StepDue = true, s.newest.SID, claim, next.at
	decision.Message = s.message(next.text, next.before)
	if s.policy.WebhookURL != "" {
		decision.Timer = timerFor(s.after(next), s.policy.Timeout)
	}
	return decision
}

// claimed reports whether the text that the claim would be for was claimed before: by somebody who is still at it, or who
// did not come to the end.
func (s situation) claimed(claim Claim) bool {
	earlier := s.newest.Attributes.Claim
	return earlier != nil && earlier.text() == claim.text()
}

// underway is the decision to wait for the one who has claimed a text and may still be sending it, also if by now another
// text would be due; nil when the text is out or refused, or the claim has run out.
func (s situation) underway() *Decision {
	claim := s.newest.Attributes.Claim
	if claim == nil || claim.Step == StepFinish || slices.Contains(claim.Refused, claim.text()) {
		return nil
	}
	until := claim.At.Add(ClaimLease)
	isOut := slices.ContainsFunc(s.snapshot.Messages.Newest, func(message Message) bool {
		return s.policy.Wrote(message) && message.Marker.text() == claim.text()
	})
	if isOut || !s.snapshot.Now.Before(until) {
		return nil
	}
	return &Decision{Act: ActNone, Reason: ReasonClaimedElsewhere, Due: true, Next: until}
}

// StillWants reports whether the policy, had nobody claimed anything just now, would decide on the same text again: what
// somebody else has sent may have come to light only after the claim.
func (p Policy) StillWants(text Decision, snapshot Snapshot) bool {
	snapshot.Tasks = slices.Clone(snapshot.Tasks)
	for i := range snapshot.Tasks {
		if claim := snapshot.Tasks[i].Attributes.Claim; claim != nil {
			expired := *claim
			expired.At = expired.At.Add(-ClaimLease)
			snapshot.Tasks[i].Attributes.Claim = &expired
		}
	}
	again := Decide(p, snapshot)
	return again.Act == text.Act && again.Claim.text() == text.Claim.text()
}

// decideArming makes sure that something wakes the operator when a step becomes due. While the messages are not known, due
// is the earliest that it can be. reason says why nothing is due yet. While an agent owes the reply any timer will do: the
// agent's message will restart it.
//
// A person who writes restarts the timer, and begins a silence or a wait of which a step may be due sooner than what the
// timer was set for. So no timer is longer than until the first step of whatever may begin now.
func decideArming(policy Policy, snapshot Snapshot, newest Task, live []Task, due time.Time, reason Reason) Decision {
	bounded := false
	if first := policy.firstStep(snapshot.Now); reason == ReasonNotDue && first.Before(due) {
		due, bounded = first, true
	}
	if blocked := blocker(snapshot, live, due); blocked != nil {
		return *blocked
	}
	waiting := Decision{Act: ActNone, Reason: reason, Next: due}
	if policy.WebhookURL == "" {
		return waiting
	}
	if snapshot.Webhooks == nil {
		return look(NeedWebhooks)
	}
	conversation := snapshot.Conversation
	arm := Decision{Act: ActArm, Next: due, Timer: timerFor(due.Sub(snapshot.Now), policy.Timeout)}
	arm.Activate = conversation != nil && conversation.State == ConversationInactive
	if !slices.Contains(snapshot.Webhooks.URLs, policy.WebhookURL) {
		settled := newest.Accepted.At.Add(armPatience)
		switch {
		case len(snapshot.Webhooks.URLs) >= MaxWebhooks:
			waiting.Reason = ReasonNoWebhookSlot
			return waiting
		case !snapshot.JustAccepted && !snapshot.Announced && snapshot.Now.Before(settled):
			return Decision{Act: ActNone, Reason: ReasonAccepted, Next: settled}
		}
		arm.Reason, arm.CreateWebhook = ReasonWebhookMissing, true
		return arm
	}
	switch {
	case conversation == nil:
		// Not the first accept: before anything is written, the conversation is looked at, because the event may be a
		// repetition of one whose conversation has been put aside since.
		return look(NeedConversation)
	case conversation.State == ConversationInactive:
		arm.Act, arm.Reason = ActRearm, ReasonWokenEarly
		return arm
	case conversation.DateInactive == nil:
		arm.Reason = ReasonTimerMissing
		return arm
	case reason == ReasonAgentOwesReply:
		return waiting
	}
	// Where the clock stops at night a step can be further off than the longest timer: then any timer will do.
	early := !bounded && due.Sub(snapshot.Now) <= maxTimer && conversation.DateInactive.Before(due.Add(-timerTolerance))
	late := conversation.DateInactive.After(due.Add(timerTolerance)) && conversation.DateInactive.After(snapshot.Now.Add(MinTimer+timerTolerance))
	switch {
	case late && snapshot.Messages == nil:
		// A message that nobody has looked at yet may have moved the timer, and with it what is due.
		return look(NeedMessages)
	case early || late:
		arm.Reason = ReasonTimerOff
		return arm
	}
	return waiting
}

// blocker returns the decision that stands in the way of writing to the conversation, nil when there is none. A fresh
// accept needs no look: the event says that an agent has the conversation now.
func blocker(snapshot Snapshot, live []Task, next time.Time) *Decision {
	if snapshot.JustAccepted && snapshot.Conversation == nil {
		return nil
	}
	var need Need
	if snapshot.Conversation == nil {
		need |= NeedConversation
	}
	refs := channelsOf(live)
	if !channelsSeen(snapshot, refs) {
		need |= NeedChannels
	}
	switch {
	case need != 0:
		blocked := look(need)
		return &blocked
	case snapshot.Conversation.State == ConversationClosed:
		return &Decision{Act: ActNone, Reason: ReasonAlreadyClosed, Next: next}
	}
	for _, ref := range refs {
		if status := snapshot.Channels[ref]; status != ChannelActive && status != ChannelGone {
			return &Decision{Act: ActNone, Reason: ReasonChannelNotActive, Held: true, Next: next}
		}
	}
	return nil
}

// withStatus returns the tasks with one of the statuses.
func withStatus(tasks []Task, statuses ...TaskStatus) []Task {
	var found []Task
	for _, task := range tasks {
		if slices.Contains(statuses, task.Status) {
			found = append(found, task)
		}
	}
	return found
}

// latestAccepted returns the task with the newest accepted reservation; of two at once the one with the higher SID, so
// that every replica claims on the same task.
func latestAccepted(live []Task) (Task, bool) {
	var newest Task
	for _, task := range live {
		switch {
		case task.Accepted == nil:
		case newest.Accepted == nil || task.Accepted.At.After(newest.Accepted.At),
			task.Accepted.At.Equal(newest.Accepted.At) && task.SID > newest.SID:
			newest = task
		}
	}
	return newest, newest.Accepted != nil
}

func lookAtTask(task Task) Decision {
	return Decision{Act: ActLook, Reason: ReasonIncomplete, Need: NeedTask, TaskSID: task.SID}
}

func look(need Need) Decision { return Decision{Act: ActLook, Reason: ReasonIncomplete, Need: need} }

func none(reason Reason) Decision { return Decision{Act: ActNone, Reason: reason} }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
