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
	again := snapshot.Now.Add(policy.Timeout)
	switch {
	case len(withStatus(snapshot.Tasks, TaskPending, TaskReserved)) > 0:
		return Decision{Act: ActNone, Reason: ReasonAwaitingAccept, Next: again}
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

	start := later(newest.Accepted.At, policy.EffectiveSince)
	if snapshot.Messages == nil {
		if due := start.Add(policy.Timeout); snapshot.Now.Before(due) {
			return decideArming(policy, snapshot, newest, live, due)
		}
		return look(NeedMessages)
	}
	written, complete := policy.newestHuman(snapshot.Messages, live)
	if !complete {
		return look(NeedAllMessages)
	}
	episode := episodeOf(newest, written)
	start = later(episode.at, policy.EffectiveSince)
	notice := policy.noticeOf(snapshot.Messages, episode)
	if due := start.Add(policy.Timeout); notice == nil && snapshot.Now.Before(due) {
		return decideArming(policy, snapshot, newest, live, due)
	}
	return decideEnding(policy, snapshot, live, newest, episode, notice)
}

// decideArming makes sure that something wakes the operator when the conversation becomes due. While the messages are
// not known, due is the earliest that it can be.
func decideArming(policy Policy, snapshot Snapshot, newest Task, live []Task, due time.Time) Decision {
	if blocked := blocker(snapshot, live, due); blocked != nil {
		return *blocked
	}
	waiting := Decision{Act: ActNone, Reason: ReasonNotDue, Next: due}
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
	}
	early := conversation.DateInactive.Before(due.Add(-timerTolerance))
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
	if !channelsSeen(snapshot, live) {
		need |= NeedChannels
	}
	switch {
	case need != 0:
		blocked := look(need)
		return &blocked
	case snapshot.Conversation.State == ConversationClosed:
		return &Decision{Act: ActNone, Reason: ReasonAlreadyClosed, Next: next}
	}
	for _, ref := range channelsOf(live) {
		if status := snapshot.Channels[ref]; status != ChannelActive && status != ChannelGone {
			return &Decision{Act: ActNone, Reason: ReasonChannelNotActive, Held: true, Next: next}
		}
	}
	return nil
}

// decideEnding ends a conversation that is due, one act at a time: the notice under a claim, then the tasks, then the
// conversation (which is decided once no task is live any more). A customer who was told under Notify is not told again
// when the policy has come to end conversations since.
func decideEnding(policy Policy, snapshot Snapshot, live []Task, newest Task, episode episode, notice *Marker) Decision {
	again := snapshot.Now.Add(policy.Timeout)
	notified := notice != nil && notice.Action == v1alpha1.ActionNotify
	claim := newest.Attributes.Claim
	mine := claim != nil && claim.Episode == episode.id
	switch {
	case policy.Action == v1alpha1.ActionNotify && (notified || policy.Message == ""):
		return Decision{Act: ActNone, Reason: ReasonNotified, Next: again}
	case notice != nil && !notified:
		return finish(policy, snapshot, live, ReasonNoticeSent)
	case mine && claim.Step == StepFinish:
		return finish(policy, snapshot, live, ReasonTimedOut)
	case mine && claim.Step == StepRefused && policy.Action == v1alpha1.ActionNotify:
		return Decision{Act: ActNone, Reason: ReasonNoticeRefused, Next: again}
	}
	if blocked := blocker(snapshot, live, again); blocked != nil {
		return *blocked
	}
	if newest.ETag == "" {
		return Decision{Act: ActLook, Reason: ReasonIncomplete, Need: NeedTask, TaskSID: newest.SID}
	}
	underway := mine && claim.Step == StepNotice && !notified
	silent := policy.Message == "" || notified || mine && claim.Step == StepRefused
	return decideFirstStep(policy, snapshot, newest, episode, underway, silent)
}

// decideFirstStep decides the step that must not happen twice: it is done under a claim. underway says that the notice was
// claimed before: by somebody who is still at it, or who did not come to the end.
func decideFirstStep(policy Policy, snapshot Snapshot, newest Task, episode episode, underway, silent bool) Decision {
	if underway {
		if until := newest.Attributes.Claim.At.Add(ClaimLease); snapshot.Now.Before(until) {
			return Decision{Act: ActNone, Reason: ReasonClaimedElsewhere, Due: true, Next: until}
		}
	}
	first := Decision{Act: ActNotice, Reason: ReasonTimedOut, Due: true, TakeOver: underway, TaskSID: newest.SID, Claim: Claim{
		Policy:      policy.Name,
		Step:        StepNotice,
		Episode:     episode.id,
		At:          snapshot.Now,
		IdleSeconds: int64(snapshot.Now.Sub(episode.at) / time.Second),
		Reason:      policy.Reason,
	}}
	if silent {
		first.Act, first.TakeOver, first.Claim.Step = ActClaim, false, StepFinish
	}
	return first
}

// finish ends the live tasks of an ending that has begun. A channel that is closed already was closed by this ending;
// tasks that it left behind are completed one by one.
func finish(policy Policy, snapshot Snapshot, live []Task, reason Reason) Decision {
	if !channelsSeen(snapshot, live) {
		return look(NeedChannels)
	}
	decision := Decision{Act: ActFinish, Reason: reason, Due: true, WrapUp: policy.Action == v1alpha1.ActionWrapUp}
	for _, task := range live {
		ref := task.Attributes.Channel
		switch status := snapshot.Channels[ref]; {
		case ref == ChannelRef{} || status == ChannelGone || status == ChannelClosed:
			decision.TaskSIDs = append(decision.TaskSIDs, task.SID)
		case status != ChannelActive:
			return Decision{Act: ActNone, Reason: ReasonChannelNotActive, Held: true, Due: true, Next: snapshot.Now.Add(policy.Timeout)}
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
	begun, complete := policy.endingBegun(snapshot)
	switch {
	case !complete:
		return look(NeedAllMessages)
	case !begun:
		return none(ReasonNoLiveTask)
	}
	var need Need
	if snapshot.Conversation == nil {
		need |= NeedConversation
	}
	if !channelsSeen(snapshot, snapshot.Tasks) {
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
	for _, ref := range channelsOf(snapshot.Tasks) {
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
// that was made afterwards brought the conversation to somebody anew. complete is false when more messages have to be
// read to tell.
func (p Policy) endingBegun(snapshot Snapshot) (begun, complete bool) {
	written, complete := p.newestHuman(snapshot.Messages, snapshot.Tasks)
	if !complete {
		return false, false
	}
	answered := func(episode string, since time.Time) bool {
		return written != nil && written.SID != episode && !written.At.Before(since)
	}
	newestTask := time.Time{}
	for _, task := range snapshot.Tasks {
		newestTask = later(newestTask, task.Created)
	}
	for _, message := range snapshot.Messages.Newest {
		if p.wrote(message) && message.Marker.Step == StepNotice {
			ends := message.Marker.Action != v1alpha1.ActionNotify && !newestTask.After(message.At)
			if ends && !answered(message.Marker.Episode, message.Marker.IdleSince) {
				return true, true
			}
			break
		}
	}
	return slices.ContainsFunc(snapshot.Tasks, func(task Task) bool {
		claim := task.Attributes.Claim
		return claim != nil && claim.Step == StepFinish && task.Status != TaskCanceled &&
			!newestTask.After(claim.At) && !answered(claim.Episode, claim.IdleSince())
	}), true
}

// episode is one silence: it begins with the last message of a person or with the latest accept, whichever is later.
type episode struct {
	id string
	at time.Time
}

func episodeOf(newest Task, written *Message) episode {
	if written != nil && !written.At.Before(newest.Accepted.At) {
		return episode{id: written.SID, at: written.At}
	}
	return episode{id: newest.Accepted.SID, at: newest.Accepted.At}
}

// newestHuman returns the last message of a person, nil if there is none. complete is false when it may be among the
// messages that were not read.
func (p Policy) newestHuman(messages *Messages, tasks []Task) (written *Message, complete bool) {
	for i := range messages.Newest {
		if message := &messages.Newest[i]; !p.wrote(*message) && message.isHuman(tasks) {
			return message, true
		}
	}
	return nil, !messages.More
}

// noticeOf returns the marker of the notice that was sent in the episode, nil if none was. A notice of an episode that
// began later counts too: the task whose accept it began with may have ended meanwhile.
func (p Policy) noticeOf(messages *Messages, current episode) *Marker {
	for _, message := range messages.Newest {
		if p.wrote(message) && message.Marker.Step == StepNotice &&
			(message.Marker.Episode == current.id || current.at.Before(message.Marker.IdleSince)) {
			return message.Marker
		}
	}
	return nil
}

// wrote reports whether the operator wrote the message. A marker alone does not show it: a web chat client can give its
// messages any attributes, but it cannot write without being a participant, nor under the policy's author.
func (p Policy) wrote(message Message) bool {
	return message.Marker != nil && (!message.FromParticipant || p.Author != "" && message.Author == p.Author)
}

// isHuman reports whether a person wrote a message that the operator did not. What no participant wrote comes from a
// program, except where the author is the customer's own address.
func (m Message) isHuman(tasks []Task) bool {
	return m.FromParticipant || slices.ContainsFunc(tasks, func(task Task) bool {
		return slices.Contains(task.Attributes.CustomerAddresses, m.Author)
	})
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

func channelsSeen(snapshot Snapshot, tasks []Task) bool {
	return !slices.ContainsFunc(channelsOf(tasks), func(ref ChannelRef) bool {
		_, seen := snapshot.Channels[ref]
		return !seen
	})
}

func look(need Need) Decision { return Decision{Act: ActLook, Reason: ReasonIncomplete, Need: need} }

func none(reason Reason) Decision { return Decision{Act: ActNone, Reason: reason} }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
