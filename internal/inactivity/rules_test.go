package inactivity

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// The tables of the rules tell of one conversation where nothing else is said: an agent accepts it in minute 1, the
// customer writes in minute 2, and somebody in minute 10. The timeout is 15 minutes, so it is due in minute 25. A message is
// named after its minute: IM10.

// rule says what a policy makes of a conversation as it was seen at a moment.
type rule struct {
	policy   Policy
	snapshot Snapshot
	want     Decision
}

// check compares whole decisions: also what is said, since when it was due, and what is recorded of it.
func check(t *testing.T, rules map[string]rule) {
	t.Helper()
	for sentence, rule := range rules {
		t.Run(sentence, func(t *testing.T) {
			if diff := gocmp.Diff(rule.want, Decide(rule.policy, rule.snapshot)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", sentence, diff)
			}
		})
	}
}

// Policies.

// swept is a policy that works without callbacks, so that its rules are seen without timers and webhooks.
func swept(change ...func(*Policy)) Policy { return policy(append(change, sweepOnly)...) }

func waitsForCustomer(p *Policy)    { p.OnlyCustomers = true }
func fromFirstUnanswered(p *Policy) { p.FirstUnanswered = true }

// warning is sent that many minutes before the end.
func warning(before float64, text string) func(*Policy) {
	return func(p *Policy) {
		p.Warnings = append(slices.Clone(p.Warnings), Warning{Before: minutes(before), Text: says(text)})
		slices.SortFunc(p.Warnings, func(a, b Warning) int { return cmp.Compare(b.Before, a.Before) })
	}
}

// ladder is two warnings: in minutes 20 and 23 of the usual conversation.
func ladder(p *Policy) {
	warning(5, "Still there?")(p)
	warning(2, "Last call.")(p)
}

// unanswered is sent to customers who have waited for so many minutes.
func unanswered(after float64) func(*Policy) {
	return func(p *Policy) { p.Unanswered = &Unanswered{After: minutes(after), Text: says("Sorry.")} }
}

func inForceSince(minute float64, existing v1alpha1.Existing) func(*Policy) {
	return func(p *Policy) { p.EffectiveSince, p.Existing = at(minute), existing }
}

func holdable(p *Policy) { p.HoldAttribute = "hold" }

// window is the reply window of the channel.
func window(outside v1alpha1.OutsideReplyWindow) func(*Policy) {
	return func(p *Policy) {
		p.Window = &ReplyWindow{Outside: outside}
		if outside == v1alpha1.OutsideSendTemplate {
			p.Window.ContentSID = "HX1"
		}
	}
}

// opening are the hours of a contact centre in Madrid, which is an hour ahead of the minutes of these tests in winter.
func opening(clock v1alpha1.HoursClock, closed v1alpha1.ClosedHours, weekly ...v1alpha1.Opening) func(*Policy) {
	return func(p *Policy) {
		hours := &v1alpha1.Hours{TimeZone: "Europe/Madrid", Weekly: weekly, Clock: clock, ClosedHours: closed}
		if err := p.compileHours(hours); err != nil {
			panic(err)
		}
	}
}

func daily(from, to v1alpha1.TimeOfDay) v1alpha1.Opening {
	return v1alpha1.Opening{Days: []v1alpha1.Weekday{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}, From: from, To: to}
}

// Conversations.

func minutes(count float64) time.Duration { return time.Duration(count * float64(time.Minute)) }

// talk is the usual conversation at a moment, with its messages, the newest first, and everything else known.
func talk(now float64, messages ...Message) Snapshot {
	return seen(now, one(task("WT1", TaskAssigned, acceptedAt(1))), newestFirst(messages...), among(customerByAddress, agentByIdentity))
}

// with changes a snapshot.
func with(s Snapshot, change ...func(*Snapshot)) Snapshot {
	for _, c := range change {
		c(&s)
	}
	return s
}

// tasks are the conversation's tasks instead of the usual one.
func tasks(tasks ...Task) func(*Snapshot) { return func(s *Snapshot) { s.Tasks = tasks } }

// attributes are the task's, as JSON text; what the operator does not read of them is as usual.
func attributes(raw string) func(*Task) {
	return func(t *Task) {
		parsed, err := ParseTaskAttributes(raw)
		if err != nil {
			panic(err)
		}
		t.Attributes = parsed
		t.Attributes.Channel = channel
		if len(t.Attributes.CustomerAddresses) == 0 {
			t.Attributes.CustomerAddresses = []string{customer}
		}
	}
}

func onChannel(channelType string) func(*Task) {
	return func(t *Task) { t.Attributes.ChannelType = channelType }
}

// member is a participant and its SID.
type member struct {
	sid string
	Participant
}

var (
	customerByAddress = member{"MB-customer", Participant{Address: customer, Joined: at(0)}}
	agentByIdentity   = member{"MB-agent", Participant{Identity: "agent", Joined: at(1)}}
)

// among are the participants of the conversation.
func among(members ...member) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Participants = &Participants{BySID: map[string]Participant{}}
		for _, m := range members {
			s.Participants.BySID[m.sid] = m.Participant
		}
	}
}

func participantsUnseen(s *Snapshot) { s.Participants = nil }

func more(s *Snapshot) { s.Messages = &Messages{Newest: s.Messages.Newest, More: true} }

// message of a participant.
func message(minute float64, author, participant string) Message {
	return Message{SID: fmt.Sprintf("IM%g", minute), Author: author, ParticipantSID: participant, At: at(minute)}
}

func customerAt(minute float64) Message { return message(minute, customer, "MB-customer") }
func agentAt(minute float64) Message    { return message(minute, "agent", "MB-agent") }
func botAt(minute float64) Message      { return message(minute, "bot", "") }

// own is a message of the operator's.
func own(step Step, minute float64, change ...func(*Marker)) Message {
	m := program("IM-own", minute)
	m.Marker = &Marker{Policy: "team/plain", Step: step, Episode: "IM10", IdleSince: at(10)}
	if step == StepNotice {
		m.Marker.Action = v1alpha1.ActionClose
	}
	for _, c := range change {
		c(m.Marker)
	}
	return m
}

// warned is the warning of the usual conversation that was sent in a minute.
func warned(minute, before float64, change ...func(*Marker)) Message {
	return own(StepWarning, minute, append([]func(*Marker){func(m *Marker) { m.BeforeSeconds = int64(before * 60) }}, change...)...)
}

// about says which silence a message of the operator's was about.
func about(episode string, since float64) func(*Marker) {
	return func(m *Marker) { m.Episode, m.IdleSince = episode, at(since) }
}

func toNotify(m *Marker) { m.Action = v1alpha1.ActionNotify }

// claimIn is the operator's entry on the task: a step of the usual conversation, claimed in a minute.
func claimIn(minute float64, step Step, change ...func(*Claim)) func(*Task) {
	return func(t *Task) {
		claim := Claim{Policy: "team/plain", Step: step, Episode: "IM10", At: at(minute), IdleSeconds: int64((minute - 10) * 60)}
		for _, c := range change {
			c(&claim)
		}
		t.Attributes.Claim = &claim
	}
}

func ofWarning(before float64) func(*Claim) {
	return func(c *Claim) { c.BeforeSeconds = int64(before * 60) }
}

// refused notes that a text of the usual conversation was refused for good.
func refused(step Step, before float64) func(*Claim) {
	return func(c *Claim) {
		c.Refused = append(c.Refused, EpisodeText{Step: step, Episode: "IM10", BeforeSeconds: int64(before * 60)})
	}
}

// Decisions.

// waits leaves the conversation alone until a minute.
func waits(reason Reason, until float64, change ...func(*Decision)) Decision {
	return changed(Decision{Act: ActNone, Reason: reason, Next: at(until)}, change)
}

func asks(need Need) Decision { return Decision{Act: ActLook, Reason: ReasonIncomplete, Need: need} }

// warns sends a warning that has become due in this minute.
func warns(now, before float64, body string, change ...func(*Decision)) Decision {
	d := does(now, ActWarn, ReasonWarningDue, StepWarning, body)
	d.Claim.BeforeSeconds, d.Claim.Warnings = int64(before*60), 1
	return changed(d, change)
}

// consoles sends the text for a customer who waits for an agent, and has since minute 10.
func consoles(now float64, change ...func(*Decision)) Decision {
	return changed(does(now, ActHoldingText, ReasonUnanswered, StepUnanswered, "Sorry."), append([]func(*Decision){owedBy(TurnAgent)}, change...))
}

// tells sends the notice, which has become due in this minute.
func tells(now float64, body string, change ...func(*Decision)) Decision {
	return changed(does(now, ActNotice, ReasonTimedOut, StepNotice, body), change)
}

// endsSilently claims an ending that has become due in this minute.
func endsSilently(now float64, change ...func(*Decision)) Decision {
	return changed(does(now, ActClaim, ReasonTimedOut, StepFinish, ""), change)
}

// finishes ends the tasks.
func finishes(reason Reason, change ...func(*Decision)) Decision {
	return changed(Decision{Act: ActFinish, Reason: reason, Due: true, Channels: []ChannelRef{channel}}, change)
}

// does is a step in the silence since the agent wrote in minute 10.
func does(now float64, act Act, reason Reason, step Step, body string) Decision {
	return Decision{
		Act: act, Reason: reason, Due: true, TaskSID: "WT1", StepDue: at(now), Message: Outgoing{Body: body},
		Claim: Claim{
			Policy: "team/plain", Step: step, Episode: "IM10", At: at(now), IdleSeconds: int64(at(now).Sub(at(10)) / time.Second),
			WaitingOn: TurnCustomer, Reason: DefaultReason,
		},
	}
}

func changed(d Decision, change []func(*Decision)) Decision {
	for _, c := range change {
		c(&d)
	}
	return d
}

// dueSince is for a step that is done later than in the minute in which it became due.
func dueSince(minute float64) func(*Decision) {
	return func(d *Decision) { d.StepDue = at(minute) }
}

// inSilence is for another silence than the one since minute 10.
func inSilence(episode string, since float64) func(*Decision) {
	return func(d *Decision) {
		d.Claim.Episode, d.Claim.IdleSeconds = episode, int64(d.Claim.At.Sub(at(since))/time.Second)
	}
}

func owedBy(turn Turn) func(*Decision) { return func(d *Decision) { d.Claim.WaitingOn = turn } }

// afterWarnings says how many warnings the customer has been sent, with the one that the decision is about.
func afterWarnings(count int) func(*Decision) {
	return func(d *Decision) { d.Claim.Warnings = count }
}

// keeping says which refusals the claim keeps.
func keeping(texts ...EpisodeText) func(*Decision) {
	return func(d *Decision) { d.Claim.Refused = texts }
}

func withTimer(timer float64) func(*Decision) { return func(d *Decision) { d.Timer = minutes(timer) } }

func onTask(sid string) func(*Decision) { return func(d *Decision) { d.TaskSID = sid } }

// because is for an ending that is silent for that reason.
func because(reason Reason) func(*Decision) { return func(d *Decision) { d.Reason = reason } }

func takesOver(d *Decision) { d.TakeOver = true }

func isHeld(d *Decision) { d.Held = true }

func isDue(d *Decision) { d.Due = true }
