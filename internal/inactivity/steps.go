package inactivity

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// replyWindowLength is how long after the customer's last message WhatsApp and Messenger deliver texts that are no templates
// (https://www.twilio.com/docs/whatsapp/key-concepts, error 63016).
const replyWindowLength = 24 * time.Hour

// isWindowed reports whether the conversation is on a channel with a reply window.
func isWindowed(tasks []Task) bool {
	return slices.ContainsFunc(tasks, func(task Task) bool {
		return strings.EqualFold(task.Attributes.ChannelType, "whatsapp") || strings.EqualFold(task.Attributes.ChannelType, "messenger")
	})
}

// situation is a live conversation as far as steps depend on it.
type situation struct {
	policy   Policy
	snapshot Snapshot
	// newest is the live task with the latest accept, the one that steps are claimed on.
	newest  Task
	silence silence
	episode episode
	// start is when the clock of the episode started.
	start time.Time
	// waiting is the customer's wait for a reply, and waitStart when its clock started; zero: nobody waits.
	waiting   episode
	waitStart time.Time
}

// step is a step of an episode. The zero step is none.
type step struct {
	kind Step
	// at is when it is due, or when it will be done if it is deferred.
	at       time.Time
	deferred bool
	text     Text
	episode  episode
	before   time.Duration
}

// read says where the clocks of the conversation stand.
func (p Policy) read(snapshot Snapshot, newest Task, silence silence, held hold) situation {
	s := situation{policy: p, snapshot: snapshot, newest: newest, silence: silence, episode: episodeOf(newest, silence.anchor)}
	s.start = p.startOf(s.episode, held)
	if silence.waits != nil {
		s.waiting = episodeOf(newest, silence.waits)
		s.waitStart = p.startOf(s.waiting, held)
	}
	return s
}

// startOf is when the clock of an episode starts: not before the policy took effect, unless it says otherwise, nor before
// a hold was over.
func (p Policy) startOf(e episode, held hold) time.Time {
	start := later(e.at, held.ended)
	if p.Existing != v1alpha1.ExistingImmediate {
		start = later(start, p.EffectiveSince)
	}
	return start
}

// next is the next step: of the steps that are due the one to do now, otherwise the first that will be. After the notice of
// a policy that only notified there is no step but the end.
func (s situation) next(notified bool) step {
	next := s.ending()
	if next.kind != "" && !notified {
		if warning := s.warning(next.at); warning.kind != "" {
			next = warning
		}
	}
	// A text for who waits is not sent together with a warning or the end.
	if text := s.holdingText(); text.kind != "" && !notified && (next.kind == "" || s.snapshot.Now.Before(next.at) && text.at.Before(next.at)) {
		next = text
	}
	if next.kind != "" && s.policy.Closed == v1alpha1.ClosedDefer && !s.endsSilently() && !s.snapshot.Now.Before(next.at) && !s.policy.Hours.IsOpen(s.snapshot.Now) {
		next.at, next.deferred = s.policy.Hours.NextOpening(s.snapshot.Now), true
	}
	return next
}

// endsSilently reports whether an ending without a text has begun in this silence. Once begun it is carried through.
func (s situation) endsSilently() bool {
	claim := s.newest.Attributes.Claim
	return claim != nil && claim.Step == StepFinish && claim.Episode == s.episode.id
}

// ending is the end of the conversation: when the timeout has passed, and each warning that was sent has had its time.
// There is none while the policy waits for customers only and the customer waits for an agent.
func (s situation) ending() step {
	if s.policy.OnlyCustomers && s.silence.owes != TurnCustomer {
		return step{}
	}
	end := step{kind: StepNotice, at: s.policy.add(s.start, s.policy.Timeout), text: s.policy.Notice, episode: s.episode}
	for _, message := range s.sent(StepWarning, s.episode) {
		end.at = later(end.at, s.policy.add(message.At, seconds(message.Marker.BeforeSeconds)))
	}
	return end
}

// warning is the next warning before the end: the latest of those that are overdue, else the first to come. A warning is
// done with when it or one nearer to the end was sent or refused.
func (s situation) warning(end time.Time) step {
	nearest := s.policy.Timeout
	var nearestSent time.Time
	for _, message := range s.sent(StepWarning, s.episode) {
		if before := seconds(message.Marker.BeforeSeconds); before < nearest {
			nearest, nearestSent = before, message.At
		}
	}
	done := nearest
	for _, warning := range s.policy.Warnings {
		if s.refused(step{kind: StepWarning, episode: s.episode, before: warning.Before}) {
			done = min(done, warning.Before)
		}
	}
	var next step
	for _, warning := range s.policy.Warnings {
		if warning.Before >= done {
			continue
		}
		candidate := step{kind: StepWarning, text: warning.Text, episode: s.episode, before: warning.Before}
		candidate.at = s.policy.add(s.start, s.policy.Timeout-warning.Before)
		if !nearestSent.IsZero() {
			// An earlier warning that came late has put off the end, and with it the warnings that follow.
			candidate.at = later(candidate.at, s.policy.add(nearestSent, nearest-warning.Before))
		}
		overdue := !s.snapshot.Now.Before(candidate.at)
		switch {
		case overdue && !s.sends(candidate):
		case overdue:
			next = candidate
		case next.kind == "" && candidate.at.Before(end):
			return candidate
		}
	}
	return next
}

// holdingText is the text for a customer who waits for an agent: once for each wait, and not after a warning.
func (s situation) holdingText() step {
	if s.policy.Unanswered == nil || s.silence.waits == nil ||
		len(s.sent(StepUnanswered, s.waiting)) > 0 || len(s.sent(StepWarning, s.episode)) > 0 {
		return step{}
	}
	text := step{kind: StepUnanswered, text: s.policy.Unanswered.Text, episode: s.waiting}
	text.at = s.policy.add(s.waitStart, s.policy.Unanswered.After)
	if s.refused(text) || !s.snapshot.Now.Before(text.at) && !s.sends(text) {
		return step{}
	}
	return text
}

// sent are the operator's messages of a step in an episode.
func (s situation) sent(kind Step, e episode) []Message {
	var sent []Message
	for _, message := range s.snapshot.Messages.Newest {
		if s.policy.Wrote(message) && message.Marker.Step == kind && e.has(message.Marker) {
			sent = append(sent, message)
		}
	}
	return sent
}

// refused reports whether Twilio has refused the text of a step for good.
func (s situation) refused(candidate step) bool {
	claim := s.newest.Attributes.Claim
	return claim != nil && slices.Contains(claim.Refused,
		EpisodeText{Step: candidate.kind, Episode: candidate.episode.id, BeforeSeconds: int64(candidate.before / time.Second)})
}

// sends reports whether the text of an overdue step would be sent now, and is one: conditions in it may leave nothing to
// say. What was kept back when it became due is not sent in the morning.
func (s situation) sends(candidate step) bool {
	return !s.quiet(s.snapshot.Now) && !s.quiet(candidate.at) && s.insideWindow() && !s.message(candidate.text, candidate.before).IsEmpty()
}

// quiet reports whether texts are kept back because the contact centre is closed at that moment.
func (s situation) quiet(at time.Time) bool {
	return s.policy.Closed == v1alpha1.ClosedCloseSilently && !s.policy.Hours.IsOpen(at)
}

// insideWindow reports whether the channel delivers texts that are no templates now. Where the customer never wrote, it
// has not yet begun to.
func (s situation) insideWindow() bool {
	if s.policy.Window == nil || !isWindowed(s.snapshot.Tasks) {
		return true
	}
	return s.silence.inbound != nil && s.snapshot.Now.Before(s.silence.inbound.At.Add(replyWindowLength))
}

// message renders the text of a step. remaining is the time that is left after it.
func (s situation) message(text Text, remaining time.Duration) Outgoing {
	attributes := s.newest.Attributes
	body, shortened := text.In(attributes.Text(s.policy.LanguageAttribute), s.values(remaining))
	return Outgoing{Body: body, Shortened: shortened}
}

// template is the content template that takes the place of the notice outside the reply window.
func (s situation) template() Outgoing {
	out := Outgoing{ContentSID: s.policy.Window.ContentSID}
	if len(s.policy.Window.Variables) == 0 {
		return out
	}
	values := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(s.policy.Window.Variables)) {
		values[name] = s.policy.Window.Variables[name].With(s.values(0))
	}
	if encoded, err := json.Marshal(values); err == nil { // strings always are
		out.ContentVariables = string(encoded)
	}
	return out
}

func (s situation) values(remaining time.Duration) Values {
	attributes := s.newest.Attributes
	return Values{
		CustomerName: attributes.CustomerName(),
		Channel:      attributes.ChannelType,
		Timeout:      s.policy.Timeout,
		Remaining:    remaining,
		Attributes:   attributes.Texts(),
	}
}

// after is how long after a text of the step, sent now, the next step is due, or the first of what may begin then.
func (s situation) after(done step) time.Duration {
	marker := &Marker{Step: done.kind, Episode: done.episode.id, IdleSince: done.episode.at, BeforeSeconds: int64(done.before / time.Second)}
	messages := *s.snapshot.Messages
	messages.Newest = append([]Message{{At: s.snapshot.Now, Author: s.policy.Author, Marker: marker}}, messages.Newest...)
	s.snapshot.Messages = &messages
	first := s.policy.firstStep(s.snapshot.Now)
	if next := s.next(false); next.kind != "" && next.at.Before(first) {
		first = next.at
	}
	return first.Sub(s.snapshot.Now)
}

// claim is the operator's entry on the task for a step.
func (s situation) claim(kind Step, e episode, before time.Duration) Claim {
	claim := Claim{
		Policy:        s.policy.Name,
		Step:          kind,
		Episode:       e.id,
		At:            s.snapshot.Now,
		IdleSeconds:   int64(s.snapshot.Now.Sub(e.at) / time.Second),
		BeforeSeconds: int64(before / time.Second),
		WaitingOn:     s.silence.owes,
		Warnings:      len(s.sent(StepWarning, s.episode)),
		Reason:        s.policy.Reason,
	}
	if earlier := s.newest.Attributes.Claim; earlier != nil {
		for _, text := range earlier.Refused {
			if text.Episode == s.episode.id || text.Episode == s.waiting.id {
				claim.Refused = append(claim.Refused, text)
			}
		}
	}
	return claim
}

func seconds(count int64) time.Duration { return time.Duration(count) * time.Second }
