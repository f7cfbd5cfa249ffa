package inactivity

import (
	"cmp"
	"slices"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

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
	for _, ref := range refs {
		switch snapshot.Channels[ref] {
		case ChannelClosed, ChannelGone:
		case ChannelActive:
			// Endings close a channel and end its tasks in one step. This one is somebody else's, or a task that brings the
			// conversation back to an agent does not show in lists yet.
			return none(ReasonNoLiveTask)
		default:
			return Decision{Act: ActNone, Reason: ReasonChannelNotActive, Held: true}
		}
	}
	return Decision{Act: ActCloseConversation, Reason: ReasonEndingBegun, Due: true}
}

// endingBegun reports whether an ending of the operator's is under way: it has sent its notice, or, where the ending is
// silent, claimed a task that has been ended, and nobody has written since the silence that this was about began. A task
// that was made since brings the conversation to somebody anew: an agent who had accepted it before the notice would have
// begun another silence. One that was canceled counts only if it was made after the notice. need is what has to be read to tell.
func (p Policy) endingBegun(snapshot Snapshot) (begun bool, need Need) {
	silence := p.silenceOf(snapshot)
	if silence.need != 0 {
		return false, silence.need
	}
	written := silence.anchor
	answered := func(episode string, since time.Time) bool {
		return written != nil && written.SID != episode && written.At.After(since)
	}
	broughtAnew := func(begun, said time.Time) bool {
		return slices.ContainsFunc(snapshot.Tasks, func(task Task) bool {
			return task.Created.After(said) || task.Created.After(begun) && task.Status != TaskCanceled
		})
	}
	for _, message := range snapshot.Messages.Newest {
		if p.Wrote(message) && message.Marker.Step == StepNotice {
			ends := message.Marker.Action != v1alpha1.ActionNotify && !broughtAnew(message.Marker.IdleSince, message.At)
			if ends && !answered(message.Marker.Episode, message.Marker.IdleSince) {
				return true, 0
			}
			break
		}
	}
	return slices.ContainsFunc(snapshot.Tasks, func(task Task) bool {
		claim := task.Attributes.Claim
		return claim != nil && claim.Step == StepFinish && task.Status != TaskCanceled &&
			!broughtAnew(claim.IdleSince(), claim.At) && !answered(claim.Episode, claim.IdleSince())
	}), 0
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
