package inactivity

import (
	"cmp"
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
	return snapshot.Now.Add(max(p.firstDelay(), MinTimer))
}

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
func decideArming(policy Policy, snapshot Snapshot, newest Task, live []Task, due time.Time, reason Reason) Decision {
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
	early := due.Sub(snapshot.Now) <= maxTimer && conversation.DateInactive.Before(due.Add(-timerTolerance))
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

// decideEnding ends a conversation that is due, one act at a time: the notice under a claim, then the tasks, then the
// conversation (which is decided once no task is live any more). A customer who was told under Notify is not told again
// when the policy has come to end conversations since.
func decideEnding(s situation, live []Task, notice *Marker, end step) Decision {
	policy, snapshot := s.policy, s.snapshot
	again := policy.Again(snapshot)
	onlyNotify := policy.Action == v1alpha1.ActionNotify
	notified := notice != nil && notice.Action == v1alpha1.ActionNotify
	claim := s.newest.Attributes.Claim
	mine := claim != nil && claim.Episode == s.episode.id
	refused := s.refused(step{kind: StepNotice, episode: s.episode})
	switch {
	case onlyNotify && (notified || policy.Notice.IsEmpty()):
		return Decision{Act: ActNone, Reason: ReasonNotified, Next: again}
	case notice != nil && !notified:
		return finish(policy, snapshot, live, ReasonNoticeSent)
	case s.endsSilently():
		return finish(policy, snapshot, live, ReasonTimedOut)
	case onlyNotify && refused:
		return Decision{Act: ActNone, Reason: ReasonNoticeRefused, Next: again}
	}
	if blocked := blocker(snapshot, live, again); blocked != nil {
		return *blocked
	}
	message, kept := s.notice(notified || refused, end.at)
	switch {
	case kept != "" && (onlyNotify || kept == ReasonOutsideReplyWindow && policy.Window.Outside == v1alpha1.OutsideSkip):
		return Decision{Act: ActNone, Reason: kept, Next: again}
	case onlyNotify && message.IsEmpty():
		// Conditions in the text leave nothing to say to this customer.
		return Decision{Act: ActNone, Reason: ReasonNotified, Next: again}
	case s.newest.ETag == "":
		return lookAtTask(s.newest)
	}
	first := Decision{Act: ActNotice, Reason: ReasonTimedOut, Due: true, TaskSID: s.newest.SID, StepDue: end.at,
		Message: message, Claim: s.claim(StepNotice, s.episode, 0)}
	if waiting := s.underway(); waiting != nil {
		return *waiting
	}
	first.TakeOver = mine && claim.Step == StepNotice && !notified && !refused
	switch {
	case message.IsEmpty():
		first.Act, first.TakeOver, first.Claim.Step = ActClaim, false, StepFinish
		first.Reason = cmp.Or(kept, ReasonTimedOut)
	case onlyNotify && policy.WebhookURL != "":
		first.Timer = timerFor(policy.firstDelay(), policy.Timeout)
	}
	return first
}

// notice is what the customer is told at the end, and if that is nothing although the policy has a notice, why. told says
// that there is no need to. Under Notify a notice that was kept back when it became due is not sent in the morning.
func (s situation) notice(told bool, due time.Time) (message Outgoing, kept Reason) {
	switch {
	case !s.insideWindow() && s.policy.Window.Outside == v1alpha1.OutsideSkip:
		return Outgoing{}, ReasonOutsideReplyWindow
	case told:
		return Outgoing{}, ""
	case !s.insideWindow() && s.policy.Window.Outside == v1alpha1.OutsideSendTemplate && !s.quiet(s.snapshot.Now):
		return s.template(), ""
	case s.policy.Notice.IsEmpty():
		return Outgoing{}, ""
	case !s.insideWindow():
		return Outgoing{}, ReasonOutsideReplyWindow
	case s.quiet(s.snapshot.Now) || s.policy.Action == v1alpha1.ActionNotify && s.quiet(due):
		return Outgoing{}, ReasonClosedHours
	}
	return s.message(s.policy.Notice, 0), ""
}

// noticeOf returns the marker of the notice that was sent in the episode, nil if none was.
func noticeOf(s situation) *Marker {
	if sent := s.sent(StepNotice, s.episode); len(sent) > 0 {
		return sent[0].Marker
	}
	return nil
}

// finish ends the live tasks of an ending that has begun. A channel that is closed already was closed by this ending;
// tasks that it left behind are completed one by one.
func finish(policy Policy, snapshot Snapshot, live []Task, reason Reason) Decision {
	if !channelsSeen(snapshot, channelsOf(live)) {
		return look(NeedChannels)
	}
	decision := Decision{Act: ActFinish, Reason: reason, Due: true, WrapUp: policy.Action == v1alpha1.ActionWrapUp}
	for _, task := range live {
		ref := task.Attributes.Channel
		switch status := snapshot.Channels[ref]; {
		case ref == ChannelRef{} || status == ChannelGone || status == ChannelClosed:
			decision.TaskSIDs = append(decision.TaskSIDs, task.SID)
		case status != ChannelActive:
			return Decision{Act: ActNone, Reason: ReasonChannelNotActive, Held: true, Due: true, Next: policy.Again(snapshot)}
		case !slices.Contains(decision.Channels, ref):
			decision.Channels = append(decision.Channels, ref)
		}
	}
	return decision
}

// decideWithoutLiveTask leaves the conversation alone unless an ending of the operator's was cut off.
func decideWithoutLiveTask(policy Policy, snapshot Snapshot) Decision {
	if snapshot.Messages == nil {
		return look(NeedMessages)
	}
	begun, need := policy.endingBegun(snapshot)
	switch {
	case need != 0:
		return look(need)
	case !begun:
		return none(ReasonNoLiveTask)
	}
	held, need := policy.holdOf(snapshot, nil)
	if held.held {
		return decideHeld(held, policy.Again(snapshot))
	}
	if snapshot.Conversation == nil {
		need |= NeedConversation
	}
	refs := policy.ChannelsOf(snapshot)
	if !channelsSeen(snapshot, refs) {
		need |= NeedChannels
	}
	switch {
	case need != 0:
		return look(need)
	case snapshot.Conversation.State == ConversationClosed:
		return none(ReasonAlreadyClosed)
	}
	// Tasks that an agent is wrapping up are left to the agent.
	decision := Decision{Act: ActCloseConversation, Reason: ReasonEndingBegun, Due: true, WrapUp: true}
	for _, ref := range refs {
		switch snapshot.Channels[ref] {
		case ChannelActive:
			decision.Channels = append(decision.Channels, ref)
		case ChannelClosed, ChannelGone:
		default:
			return Decision{Act: ActNone, Reason: ReasonChannelNotActive, Held: true}
		}
	}
	if len(decision.Channels) > 0 {
		decision.Act = ActFinish
	}
	return decision
}

// endingBegun reports whether an ending of the operator's is under way: it has sent its notice, or, where the ending is
// silent, claimed a task that has been ended, and nobody has written since the silence that this was about began. A task
// that was made afterwards brought the conversation to somebody anew. need is what has to be read to tell.
func (p Policy) endingBegun(snapshot Snapshot) (begun bool, need Need) {
	silence := p.silenceOf(snapshot)
	if silence.need != 0 {
		return false, silence.need
	}
	written := silence.anchor
	answered := func(episode string, since time.Time) bool {
		return written != nil && written.SID != episode && written.At.After(since)
	}
	newestTask := time.Time{}
	for _, task := range snapshot.Tasks {
		newestTask = later(newestTask, task.Created)
	}
	for _, message := range snapshot.Messages.Newest {
		if p.Wrote(message) && message.Marker.Step == StepNotice {
			ends := message.Marker.Action != v1alpha1.ActionNotify && !newestTask.After(message.At)
			if ends && !answered(message.Marker.Episode, message.Marker.IdleSince) {
				return true, 0
			}
			break
		}
	}
	return slices.ContainsFunc(snapshot.Tasks, func(task Task) bool {
		claim := task.Attributes.Claim
		return claim != nil && claim.Step == StepFinish && task.Status != TaskCanceled &&
			!newestTask.After(claim.At) && !answered(claim.Episode, claim.IdleSince())
	}), 0
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

// channelsOf returns the distinct interaction channels of the tasks.
func channelsOf(tasks []Task) []ChannelRef {
	var refs []ChannelRef
	for _, task := range tasks {
		if ref := task.Attributes.Channel; ref != (ChannelRef{}) && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	return refs
}

// ChannelsOf returns the distinct interaction channels of the conversation: those of its tasks, and those that the
// operator's notices remember of tasks that may be deleted.
func (p Policy) ChannelsOf(snapshot Snapshot) []ChannelRef {
	refs := channelsOf(snapshot.Tasks)
	if snapshot.Messages == nil {
		return refs
	}
	for _, message := range snapshot.Messages.Newest {
		if !p.Wrote(message) {
			continue
		}
		for _, ref := range message.Marker.Channels {
			if !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
	}
	return refs
}

func channelsSeen(snapshot Snapshot, refs []ChannelRef) bool {
	return !slices.ContainsFunc(refs, func(ref ChannelRef) bool {
		_, seen := snapshot.Channels[ref]
		return !seen
	})
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
