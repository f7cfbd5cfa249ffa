package inactivity

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

const (
	timeout    = 15 * time.Minute
	webhookURL = "https://callbacks.example.com/v1/conversations/WS1"
	customer   = "+15550001111"
)

// at is a moment, in minutes after the policy took effect.
func at(minutes float64) time.Time {
	return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).Add(time.Duration(minutes * float64(time.Minute)))
}

var channel = ChannelRef{InteractionSID: "KD1", ChannelSID: "UO1"}

func policy(change ...func(*Policy)) Policy {
	p := Policy{
		Name: "team/plain", Timeout: timeout, Notice: says("Bye."), Action: v1alpha1.ActionClose, Reason: DefaultReason,
		Existing: v1alpha1.ExistingGrace, LanguageAttribute: "language",
		EffectiveSince: at(0), WebhookURL: webhookURL,
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

// says is a text.
func says(text string) Text {
	read, err := newText("text", v1alpha1.Text(text), nil, "")
	if err != nil {
		panic(err)
	}
	return read
}

func silent(p *Policy)    { p.Notice = Text{} }
func notify(p *Policy)    { p.Action = v1alpha1.ActionNotify }
func wrapUp(p *Policy)    { p.Action = v1alpha1.ActionWrapUp }
func sweepOnly(p *Policy) { p.WebhookURL = "" }
func suspended(p *Policy) { p.Suspended = true }

func task(sid string, status TaskStatus, change ...func(*Task)) Task {
	t := Task{SID: sid, Status: status, ETag: `"1"`, Attributes: TaskAttributes{Channel: channel, CustomerAddresses: []string{customer}}}
	for _, c := range change {
		c(&t)
	}
	return t
}

func acceptedAt(minutes float64) func(*Task) {
	return func(t *Task) {
		t.ReservationsSeen = true
		t.Accepted = &Reservation{SID: "WR-" + t.SID, At: at(minutes)}
	}
}

func createdAt(minutes float64) func(*Task) { return func(t *Task) { t.Created = at(minutes) } }

func withoutChannel(t *Task) { t.Attributes.Channel = ChannelRef{} }

func unread(t *Task) { t.ETag = "" }

func claimed(step Step, episode string, minutes float64, change ...func(*Claim)) func(*Task) {
	return func(t *Task) {
		claim := Claim{Policy: "team/plain", Step: step, Episode: episode, At: at(minutes), IdleSeconds: int64(timeout.Seconds())}
		for _, c := range change {
			c(&claim)
		}
		t.Attributes.Claim = &claim
	}
}

func refusedNotice(c *Claim) { *c = c.WithRefusal() }

func person(sid string, minutes float64) Message {
	return Message{SID: sid, Author: customer, ParticipantSID: "MB-customer", At: at(minutes)}
}

func program(sid string, minutes float64) Message {
	return Message{SID: sid, Author: "system", At: at(minutes)}
}

func notice(episode string, minutes float64, change ...func(*Message)) Message {
	m := program("IM-notice", minutes)
	m.Marker = &Marker{Policy: "team/plain", Step: StepNotice, Episode: episode, IdleSince: at(minutes).Add(-timeout), Action: v1alpha1.ActionClose}
	for _, c := range change {
		c(&m)
	}
	return m
}

func rememberingChannel(m *Message) { m.Marker.Channels = []ChannelRef{channel} }

func asNotify(m *Message) { m.Marker.Action = v1alpha1.ActionNotify }

// newestFirst are the messages of a conversation.
func newestFirst(messages ...Message) *Messages { return &Messages{Newest: messages} }

// seen is a snapshot in which everything is known: an active conversation and channel, the webhook, and a timer that
// fires when the last accept in these tests becomes due.
func seen(now float64, tasks []Task, messages *Messages, change ...func(*Snapshot)) Snapshot {
	due := at(1).Add(timeout)
	s := Snapshot{
		Now: at(now), Tasks: tasks, Messages: messages,
		Conversation: &Conversation{State: ConversationActive, DateInactive: &due},
		Channels:     map[ChannelRef]ChannelStatus{channel: ChannelActive},
		Webhooks:     &Webhooks{URLs: []string{"https://park.example.com/", webhookURL}},
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

func one(t Task) []Task { return []Task{t} }

func state(state ConversationState) func(*Snapshot) {
	return func(s *Snapshot) { s.Conversation = &Conversation{State: state} }
}

func noTimer(s *Snapshot) { s.Conversation.DateInactive = nil }

func timerAt(minutes float64) func(*Snapshot) {
	return func(s *Snapshot) { date := at(minutes); s.Conversation.DateInactive = &date }
}

func channelIs(status ChannelStatus) func(*Snapshot) {
	return func(s *Snapshot) { s.Channels[channel] = status }
}

func webhooks(urls ...string) func(*Snapshot) {
	return func(s *Snapshot) { s.Webhooks = &Webhooks{URLs: urls} }
}

func only(tasks ...Task) func(*Snapshot) {
	return func(s *Snapshot) { *s = Snapshot{Now: s.Now, Tasks: tasks} }
}

func TestDecide(t *testing.T) {
	accepted := task("WT1", TaskAssigned, acceptedAt(1))
	foreign := []string{"https://a/", "https://b/", "https://c/", "https://d/", "https://e/"}
	claim := func(step Step, episode string, now, since float64) Claim {
		return Claim{Policy: "team/plain", Step: step, Episode: episode, At: at(now), IdleSeconds: int64((now - since) * 60), Reason: DefaultReason}
	}

	for sentence, test := range map[string]struct {
		policy   Policy
		snapshot Snapshot
		want     Decision
	}{
		// Who is left alone.
		"a suspended policy does nothing, however idle": {
			policy(suspended), seen(60, one(accepted), newestFirst()),
			Decision{Act: ActNone, Reason: ReasonSuspended}},
		"a policy that has not taken effect does nothing": {
			policy(func(p *Policy) { p.EffectiveSince = time.Time{} }), seen(60, one(accepted), newestFirst()),
			Decision{Act: ActNone, Reason: ReasonNotInForce}},
		"a conversation without any task is left alone": {
			policy(), seen(60, nil, newestFirst(person("IM1", 1))),
			Decision{Act: ActNone, Reason: ReasonNoLiveTask}},
		"a conversation that its agent has completed is left alone": {
			policy(), seen(60, one(task("WT1", TaskCompleted)), newestFirst(person("IM1", 1))),
			Decision{Act: ActNone, Reason: ReasonNoLiveTask}},
		"a conversation that its agent is wrapping up is left alone": {
			policy(), seen(60, one(task("WT1", TaskWrapping)), newestFirst(person("IM1", 1))),
			Decision{Act: ActNone, Reason: ReasonNoLiveTask}},
		"a customer in the queue is left alone, and looked at again a timeout later": {
			policy(), seen(60, one(task("WT1", TaskPending)), newestFirst(person("IM1", 1))),
			Decision{Act: ActNone, Reason: ReasonAwaitingAccept, Next: at(75)}},
		"a customer who waits for the next agent of a transfer is left alone, although the first one still has the task": {
			policy(), seen(60, []Task{accepted, task("WT2", TaskReserved)}, newestFirst(person("IM1", 1))),
			Decision{Act: ActNone, Reason: ReasonAwaitingAccept, Held: true, Next: at(75)}},
		"an assigned task without an accepted reservation has no clock": {
			policy(), seen(60, one(task("WT1", TaskAssigned, func(t *Task) { t.ReservationsSeen = true })), newestFirst()),
			Decision{Act: ActNone, Reason: ReasonAwaitingAccept, Next: at(75)}},
		"a conversation whose agent has left it for later is held": {
			policy(), seen(60, one(accepted), newestFirst(person("IM1", 1)), channelIs("inactive")),
			Decision{Act: ActNone, Reason: ReasonChannelNotActive, Held: true, Next: at(75)}},
		"a conversation that is being transferred is held": {
			policy(), seen(60, one(accepted), newestFirst(person("IM1", 1)), channelIs("transfer")),
			Decision{Act: ActNone, Reason: ReasonChannelNotActive, Held: true, Next: at(75)}},
		"a paused conversation is not even armed": {
			policy(), seen(2, one(accepted), nil, channelIs("pause"), webhooks()),
			Decision{Act: ActNone, Reason: ReasonChannelNotActive, Held: true, Next: at(16)}},
		"a closed conversation is left alone, although a task is still assigned": {
			policy(), seen(60, one(accepted), newestFirst(person("IM1", 1)), state(ConversationClosed)),
			Decision{Act: ActNone, Reason: ReasonAlreadyClosed, Next: at(75)}},

		// What has to be known first.
		"reservations are looked at before anything else": {
			policy(), seen(60, nil, nil, only(task("WT1", TaskAssigned))),
			Decision{Act: ActLook, Reason: ReasonIncomplete, Need: NeedReservations}},
		"messages are not read while the accept is younger than the timeout": {
			policy(sweepOnly), seen(15.9, nil, nil, only(accepted), func(s *Snapshot) {
				s.Conversation = &Conversation{State: ConversationActive}
				s.Channels = map[ChannelRef]ChannelStatus{channel: ChannelActive}
			}),
			Decision{Act: ActNone, Reason: ReasonNotDue, Next: at(16)}},
		"messages are read once the accept is as old as the timeout": {
			policy(), seen(16, nil, nil, only(accepted)),
			Decision{Act: ActLook, Reason: ReasonIncomplete, Need: NeedMessages}},
		"more messages are read when programs wrote all the newest": {
			policy(), seen(16, one(accepted), &Messages{Newest: []Message{program("IM9", 15)}, More: true}),
			Decision{Act: ActLook, Reason: ReasonIncomplete, Need: NeedAllMessages}},
		"conversation and channels are read together": {
			policy(), seen(16, nil, nil, only(accepted), func(s *Snapshot) { s.Messages = newestFirst() }),
			Decision{Act: ActLook, Reason: ReasonIncomplete, Need: NeedConversation | NeedChannels}},
		"the task is read with its version before it is claimed": {
			policy(), seen(16, one(task("WT1", TaskAssigned, acceptedAt(1), unread)), newestFirst()),
			Decision{Act: ActLook, Reason: ReasonIncomplete, Need: NeedTask, TaskSID: "WT1"}},
		"webhooks are read to arm": {
			policy(), seen(2, one(accepted), nil, func(s *Snapshot) { s.Webhooks = nil }),
			Decision{Act: ActLook, Reason: ReasonIncomplete, Need: NeedWebhooks}},
		"an accept that has just been announced needs nothing but the webhooks": {
			policy(), Snapshot{Now: at(1), JustAccepted: true, Tasks: one(accepted)},
			Decision{Act: ActLook, Reason: ReasonIncomplete, Need: NeedWebhooks}},

		// Arming.
		"an accepted conversation gets the webhook and the whole timeout": {
			policy(), Snapshot{Now: at(1), JustAccepted: true, Tasks: one(accepted), Webhooks: &Webhooks{}},
			Decision{Act: ActArm, Reason: ReasonWebhookMissing, CreateWebhook: true, Timer: timeout, Next: at(16)}},
		"a conversation that has the webhook already is looked at before its timer is set": {
			policy(), Snapshot{Now: at(1), JustAccepted: true, Tasks: one(accepted), Webhooks: &Webhooks{URLs: []string{webhookURL}}},
			Decision{Act: ActLook, Reason: ReasonIncomplete, Need: NeedConversation}},
		"the first webhook is left to the replica that has the event": {
			policy(), seen(1.1, one(accepted), nil, webhooks()),
			Decision{Act: ActNone, Reason: ReasonAccepted, Next: at(1).Add(armPatience)}},
		"a look that an accept event has led to arms at once": {
			policy(), seen(1.1, one(accepted), nil, webhooks(), func(s *Snapshot) { s.Announced = true }),
			Decision{Act: ActArm, Reason: ReasonWebhookMissing, CreateWebhook: true, Timer: timeout - 5*time.Second, Next: at(16)}},
		"after the next agent's accept a timer that would come too early is set anew": {
			policy(), seen(1.1, one(accepted), nil, timerAt(10)),
			Decision{Act: ActArm, Reason: ReasonTimerOff, Timer: timeout - 5*time.Second, Next: at(16)}},
		"a timer that a message has moved is no reason to write": {
			policy(), seen(11, one(accepted), newestFirst(person("IM5", 10)), timerAt(25)),
			Decision{Act: ActNone, Reason: ReasonNotDue, Next: at(25)}},
		"a timer that comes late may have been moved by a message, so the messages are read": {
			policy(), seen(11, one(accepted), nil, timerAt(25)),
			Decision{Act: ActLook, Reason: ReasonIncomplete, Need: NeedMessages}},
		"a timer that comes a little late is not worth a write when the shortest timer would come no sooner": {
			policy(), seen(15.9, one(accepted), newestFirst(), timerAt(17.3)),
			Decision{Act: ActNone, Reason: ReasonNotDue, Next: at(16)}},
		"an armed conversation is left alone until it is due": {
			policy(), seen(2, one(accepted), nil),
			Decision{Act: ActNone, Reason: ReasonNotDue, Next: at(16)}},
		"a webhook of another workspace is not ours": {
			policy(), seen(2, one(accepted), nil, webhooks("https://callbacks.example.com/v1/conversations/WS2")),
			Decision{Act: ActArm, Reason: ReasonWebhookMissing, CreateWebhook: true, Timer: 14 * time.Minute, Next: at(16)}},
		"a conversation whose five webhooks are others' is left to the sweep": {
			policy(), seen(2, one(accepted), nil, webhooks(foreign...)),
			Decision{Act: ActNone, Reason: ReasonNoWebhookSlot, Next: at(16)}},
		"the fifth webhook is still taken": {
			policy(), seen(2, one(accepted), nil, webhooks(foreign[:4]...)),
			Decision{Act: ActArm, Reason: ReasonWebhookMissing, CreateWebhook: true, Timer: 14 * time.Minute, Next: at(16)}},
		"a lost timer is set to what is left": {
			policy(), seen(6, one(accepted), nil, noTimer),
			Decision{Act: ActArm, Reason: ReasonTimerMissing, Timer: 10 * time.Minute, Next: at(16)}},
		"a timer that would come much too late is set to what is left": {
			policy(), seen(6, one(accepted), newestFirst(), timerAt(66)),
			Decision{Act: ActArm, Reason: ReasonTimerOff, Timer: 10 * time.Minute, Next: at(16)}},
		"a timer that a moment's delay made late is left": {
			policy(), seen(6, one(accepted), nil, timerAt(16.4)),
			Decision{Act: ActNone, Reason: ReasonNotDue, Next: at(16)}},
		"a wake-up that comes early makes the conversation active and sets what is left": {
			policy(), seen(16, one(accepted), newestFirst(person("IM5", 10)), state(ConversationInactive)),
			Decision{Act: ActRearm, Reason: ReasonWokenEarly, Activate: true, Timer: 9 * time.Minute, Next: at(25)}},
		"less than Twilio's shortest timer is rounded up to it": {
			policy(), seen(16, one(accepted), newestFirst(person("IM5", 1.5)), state(ConversationInactive)),
			Decision{Act: ActRearm, Reason: ReasonWokenEarly, Activate: true, Timer: time.Minute, Next: at(16.5)}},
		"an inactive conversation without the webhook gets both, and becomes active": {
			policy(), seen(6, one(accepted), nil, state(ConversationInactive), webhooks()),
			Decision{Act: ActArm, Reason: ReasonWebhookMissing, CreateWebhook: true, Activate: true, Timer: 10 * time.Minute, Next: at(16)}},
		"without callbacks neither webhook nor timer is touched": {
			policy(sweepOnly), seen(6, one(accepted), nil, noTimer, webhooks()),
			Decision{Act: ActNone, Reason: ReasonNotDue, Next: at(16)}},

		// The clock.
		"a message of the customer restarts the clock": {
			policy(), seen(20, one(accepted), newestFirst(person("IM2", 10)), timerAt(25)),
			Decision{Act: ActNone, Reason: ReasonNotDue, Next: at(25)}},
		"a message of the agent restarts the clock": {
			policy(), seen(20, one(accepted), newestFirst(Message{SID: "IM2", Author: "agent", ParticipantSID: "MB-customer", At: at(10)}), timerAt(25)),
			Decision{Act: ActNone, Reason: ReasonNotDue, Next: at(25)}},
		"a customer's message that a program relayed restarts the clock": {
			policy(), seen(20, one(accepted), newestFirst(Message{SID: "IM2", Author: customer, At: at(10)}), timerAt(25)),
			Decision{Act: ActNone, Reason: ReasonNotDue, Next: at(25)}},
		"a program's message does not restart the clock": {
			policy(), seen(16, one(accepted), newestFirst(program("IM3", 10), person("IM2", 0.5))),
			Decision{Act: ActNotice, Reason: ReasonTimedOut, Due: true, TaskSID: "WT1", Claim: claim(StepNotice, "WR-WT1", 16, 1)}},
		"time in the queue does not count": {
			policy(), seen(70, one(task("WT1", TaskAssigned, acceptedAt(69))), newestFirst(person("IM1", 1)), timerAt(84)),
			Decision{Act: ActNone, Reason: ReasonNotDue, Next: at(84)}},
		"a transfer gives the next agent the whole timeout": {
			policy(), seen(20, []Task{accepted, task("WT2", TaskAssigned, acceptedAt(10))}, newestFirst(person("IM1", 2)), timerAt(25)),
			Decision{Act: ActNone, Reason: ReasonNotDue, Next: at(25)}},
		"time before the policy took effect does not count": {
			policy(), seen(14, one(task("WT1", TaskAssigned, acceptedAt(-300))), newestFirst(person("IM1", -200)), timerAt(15)),
			Decision{Act: ActNone, Reason: ReasonNotDue, Next: at(15)}},
		"a conversation from before the policy is due a timeout after it took effect": {
			policy(), seen(15, one(task("WT1", TaskAssigned, acceptedAt(-300))), newestFirst(person("IM1", -200))),
			Decision{Act: ActNotice, Reason: ReasonTimedOut, Due: true, TaskSID: "WT1", Claim: claim(StepNotice, "IM1", 15, -200)}},

		// Ending.
		"a conversation that has been idle for the timeout is due, to the second": {
			policy(), seen(25, one(accepted), newestFirst(person("IM2", 10))),
			Decision{Act: ActNotice, Reason: ReasonTimedOut, Due: true, TaskSID: "WT1", Claim: claim(StepNotice, "IM2", 25, 10)}},
		"a conversation that is due and inactive is ended all the same": {
			policy(), seen(25, one(accepted), newestFirst(person("IM2", 10)), state(ConversationInactive)),
			Decision{Act: ActNotice, Reason: ReasonTimedOut, Due: true, TaskSID: "WT1", Claim: claim(StepNotice, "IM2", 25, 10)}},
		"of many tasks the one with the latest accept is claimed on": {
			policy(), seen(30, []Task{task("WT2", TaskAssigned, acceptedAt(10)), accepted}, newestFirst(person("IM1", 2))),
			Decision{Act: ActNotice, Reason: ReasonTimedOut, Due: true, TaskSID: "WT2", Claim: claim(StepNotice, "WR-WT2", 30, 10)}},
		"of two accepts at once the task with the higher SID is claimed on": {
			policy(), seen(30, []Task{accepted, task("WT2", TaskAssigned, acceptedAt(1)), task("WT0", TaskAssigned, acceptedAt(1))}, newestFirst()),
			Decision{Act: ActNotice, Reason: ReasonTimedOut, Due: true, TaskSID: "WT2", Claim: claim(StepNotice, "WR-WT2", 30, 1)}},
		"a step that another replica has just claimed is waited for": {
			policy(), seen(30, one(task("WT1", TaskAssigned, acceptedAt(1), claimed(StepNotice, "WR-WT1", 29.9))), newestFirst()),
			Decision{Act: ActNone, Reason: ReasonClaimedElsewhere, Due: true, Next: at(29.9).Add(ClaimLease)}},
		"a step that was claimed and not done is claimed again when the lease is over": {
			policy(), seen(30, one(task("WT1", TaskAssigned, acceptedAt(1), claimed(StepNotice, "WR-WT1", 29.5))), newestFirst()),
			Decision{Act: ActNotice, Reason: ReasonTimedOut, Due: true, TakeOver: true, TaskSID: "WT1", Claim: claim(StepNotice, "WR-WT1", 30, 1)}},
		"a text that was claimed in an earlier episode is waited for while it may be under way": {
			policy(), seen(30, one(task("WT1", TaskAssigned, acceptedAt(1), claimed(StepNotice, "WR-WT1", 29.9))), newestFirst(person("IM2", 10))),
			Decision{Act: ActNone, Reason: ReasonClaimedElsewhere, Due: true, Next: at(29.9).Add(ClaimLease)}},
		"a claim of an earlier episode is no claim when the lease is over": {
			policy(), seen(30, one(task("WT1", TaskAssigned, acceptedAt(1), claimed(StepNotice, "WR-WT1", 29.5))), newestFirst(person("IM2", 10))),
			Decision{Act: ActNotice, Reason: ReasonTimedOut, Due: true, TaskSID: "WT1", Claim: claim(StepNotice, "IM2", 30, 10)}},
		"after the notice the channel is closed": {
			policy(), seen(16, one(accepted), newestFirst(notice("WR-WT1", 16))),
			Decision{Act: ActFinish, Reason: ReasonNoticeSent, Due: true, Channels: []ChannelRef{channel}}},
		"one channel of many tasks is closed once": {
			policy(), seen(30, []Task{accepted, task("WT2", TaskAssigned, acceptedAt(2))}, newestFirst(notice("WR-WT2", 30))),
			Decision{Act: ActFinish, Reason: ReasonNoticeSent, Due: true, Channels: []ChannelRef{channel}}},
		"tasks without an interaction are completed one by one": {
			policy(), seen(30, []Task{task("WT1", TaskAssigned, acceptedAt(1), withoutChannel), task("WT2", TaskAssigned, acceptedAt(2), withoutChannel)},
				newestFirst(notice("WR-WT2", 30))),
			Decision{Act: ActFinish, Reason: ReasonNoticeSent, Due: true, TaskSIDs: []string{"WT1", "WT2"}}},
		"tasks with and without an interaction are all ended": {
			policy(), seen(30, []Task{accepted, task("WT2", TaskAssigned, acceptedAt(2), withoutChannel)}, newestFirst(notice("WR-WT2", 30))),
			Decision{Act: ActFinish, Reason: ReasonNoticeSent, Due: true, Channels: []ChannelRef{channel}, TaskSIDs: []string{"WT2"}}},
		"a task whose channel Twilio has deleted is completed by itself": {
			policy(), seen(16, one(accepted), newestFirst(notice("WR-WT1", 16)), channelIs(ChannelGone)),
			Decision{Act: ActFinish, Reason: ReasonNoticeSent, Due: true, TaskSIDs: []string{"WT1"}}},
		"a task that the closed channel left behind is completed by itself": {
			policy(), seen(16, one(accepted), newestFirst(notice("WR-WT1", 16)), channelIs(ChannelClosed)),
			Decision{Act: ActFinish, Reason: ReasonNoticeSent, Due: true, TaskSIDs: []string{"WT1"}}},
		"with WrapUp the tasks are left wrapping": {
			policy(wrapUp), seen(16, one(accepted), newestFirst(notice("WR-WT1", 16))),
			Decision{Act: ActFinish, Reason: ReasonNoticeSent, Due: true, WrapUp: true, Channels: []ChannelRef{channel}}},
		"an answer to the notice stops the ending": {
			policy(), seen(16, one(accepted), newestFirst(person("IM9", 16), notice("WR-WT1", 16)), timerAt(31)),
			Decision{Act: ActNone, Reason: ReasonNotDue, Next: at(31)}},
		"an answer that came before the notice, but after the look it was decided on, stops the ending": {
			policy(), seen(16, one(accepted), newestFirst(notice("WR-WT1", 16), person("IM9", 15.5)), timerAt(30.5)),
			Decision{Act: ActNone, Reason: ReasonNotDue, Next: at(30.5)}},
		"an accept after the notice stops the ending": {
			policy(), seen(17, []Task{accepted, task("WT2", TaskAssigned, acceptedAt(16.5))}, newestFirst(notice("WR-WT1", 16)), timerAt(31.5)),
			Decision{Act: ActNone, Reason: ReasonNotDue, Next: at(31.5)}},
		"a notice stands although the task whose accept it names has ended": {
			policy(), seen(40, []Task{accepted, task("WT2", TaskCompleted)}, newestFirst(notice("WR-WT2", 39))),
			Decision{Act: ActFinish, Reason: ReasonNoticeSent, Due: true, Channels: []ChannelRef{channel}}},
		"a notice of an earlier episode does not stand for this one": {
			policy(), seen(60, one(accepted), newestFirst(person("IM9", 30), notice("WR-WT1", 16))),
			Decision{Act: ActNotice, Reason: ReasonTimedOut, Due: true, TaskSID: "WT1", Claim: claim(StepNotice, "IM9", 60, 30)}},
		"a web chat customer cannot pass for the operator": {
			policy(), seen(17, one(accepted), newestFirst(notice("WR-WT1", 16.5, func(m *Message) { m.ParticipantSID, m.Author = "MB-guest", "guest" })), timerAt(31.5)),
			Decision{Act: ActNone, Reason: ReasonNotDue, Next: at(31.5)}},
		"a notice is the operator's although its author is a participant": {
			policy(func(p *Policy) { p.Author = "Support" }),
			seen(16, one(accepted), newestFirst(notice("WR-WT1", 16, func(m *Message) { m.ParticipantSID, m.Author = "MB-agent", "Support" }))),
			Decision{Act: ActFinish, Reason: ReasonNoticeSent, Due: true, Channels: []ChannelRef{channel}}},

		// Silent endings.
		"without a message the ending is claimed, and nothing is said": {
			policy(silent), seen(16, one(accepted), newestFirst()),
			Decision{Act: ActClaim, Reason: ReasonTimedOut, Due: true, TaskSID: "WT1", Claim: claim(StepFinish, "WR-WT1", 16, 1)}},
		"a claimed silent ending goes on to the tasks": {
			policy(silent), seen(16, one(task("WT1", TaskAssigned, acceptedAt(1), claimed(StepFinish, "WR-WT1", 16))), newestFirst()),
			Decision{Act: ActFinish, Reason: ReasonTimedOut, Due: true, Channels: []ChannelRef{channel}}},
		"an ending whose notice Twilio refused goes on without it": {
			policy(), seen(16, one(task("WT1", TaskAssigned, acceptedAt(1), claimed(StepFinish, "WR-WT1", 16))), newestFirst()),
			Decision{Act: ActFinish, Reason: ReasonTimedOut, Due: true, Channels: []ChannelRef{channel}}},

		"a silent ending goes on to the tasks that are left although the conversation is closed already": {
			policy(silent), seen(16, []Task{task("WT0", TaskAssigned, acceptedAt(0.5), withoutChannel), task("WT1", TaskAssigned, acceptedAt(1), claimed(StepFinish, "WR-WT1", 16))},
				newestFirst(), state(ConversationClosed), channelIs(ChannelClosed)),
			Decision{Act: ActFinish, Reason: ReasonTimedOut, Due: true, TaskSIDs: []string{"WT0", "WT1"}}},
		"a conversation whose channel Twilio has deleted is ended all the same": {
			policy(), seen(16, one(accepted), newestFirst(), channelIs(ChannelGone)),
			Decision{Act: ActNotice, Reason: ReasonTimedOut, Due: true, TaskSID: "WT1", Claim: claim(StepNotice, "WR-WT1", 16, 1)}},
		"a message in the second of the accept begins the episode": {
			policy(), seen(16, one(accepted), newestFirst(person("IM1", 1))),
			Decision{Act: ActNotice, Reason: ReasonTimedOut, Due: true, TaskSID: "WT1", Claim: claim(StepNotice, "IM1", 16, 1)}},

		// Notify.
		"a customer who was told under Notify is not told again when the policy ends conversations": {
			policy(), seen(40, one(task("WT1", TaskAssigned, acceptedAt(1), claimed(StepNotice, "WR-WT1", 16))), newestFirst(notice("WR-WT1", 16, asNotify))),
			Decision{Act: ActClaim, Reason: ReasonTimedOut, Due: true, TaskSID: "WT1", Claim: claim(StepFinish, "WR-WT1", 40, 1)}},
		"a notice that was refused under Notify is not tried again when the policy ends conversations": {
			policy(), seen(40, one(task("WT1", TaskAssigned, acceptedAt(1), claimed(StepNotice, "WR-WT1", 16, refusedNotice))), newestFirst()),
			Decision{Act: ActClaim, Reason: ReasonTimedOut, Due: true, TaskSID: "WT1", Claim: claim(StepFinish, "WR-WT1", 40, 1)}},
		"with Notify the customer is told": {
			policy(notify), seen(16, one(accepted), newestFirst()),
			Decision{Act: ActNotice, Reason: ReasonTimedOut, Due: true, Timer: timeout, TaskSID: "WT1", Claim: claim(StepNotice, "WR-WT1", 16, 1)}},
		"with Notify the customer is told once, and nothing is ended": {
			policy(notify), seen(40, one(accepted), newestFirst(notice("WR-WT1", 16, asNotify))),
			Decision{Act: ActNone, Reason: ReasonNotified, Next: at(55)}},
		"with Notify a new silence is told of again": {
			policy(notify), seen(60, one(accepted), newestFirst(person("IM9", 40), notice("WR-WT1", 16, asNotify))),
			Decision{Act: ActNotice, Reason: ReasonTimedOut, Due: true, Timer: timeout, TaskSID: "WT1", Claim: claim(StepNotice, "IM9", 60, 40)}},
		"with Notify a refused notice is not tried again": {
			policy(notify), seen(40, one(task("WT1", TaskAssigned, acceptedAt(1), claimed(StepNotice, "WR-WT1", 16, refusedNotice))), newestFirst()),
			Decision{Act: ActNone, Reason: ReasonNoticeRefused, Next: at(55)}},
		"with Notify and no message there is nothing to do": {
			policy(notify, silent), seen(40, one(accepted), newestFirst()),
			Decision{Act: ActNone, Reason: ReasonNotified, Next: at(55)}},

		// Endings that were cut off.
		"an ending that was cut off after the tasks is carried through": {
			policy(), seen(20, one(task("WT1", TaskCompleted)), newestFirst(notice("WR-WT1", 16)), channelIs(ChannelClosed)),
			Decision{Act: ActCloseConversation, Reason: ReasonEndingBegun, Due: true}},
		"an ending that was cut off is carried through when its tasks are deleted already": {
			policy(), seen(40, nil, newestFirst(notice("WR-WT1", 16))),
			Decision{Act: ActCloseConversation, Reason: ReasonEndingBegun, Due: true}},
		"an ending whose tasks are deleted looks first at the channel that its notice remembers": {
			policy(), seen(40, nil, newestFirst(notice("WR-WT1", 16, rememberingChannel)), func(s *Snapshot) { s.Channels = nil }),
			Decision{Act: ActLook, Reason: ReasonIncomplete, Need: NeedChannels}},
		"an ending whose tasks are deleted is not carried through when the agent has left meanwhile": {
			policy(), seen(40, nil, newestFirst(notice("WR-WT1", 16, rememberingChannel)), channelIs("inactive")),
			Decision{Act: ActNone, Reason: ReasonChannelNotActive, Held: true}},
		"an ending whose tasks somebody else has ended leaves the channel open": {
			policy(), seen(20, one(task("WT1", TaskWrapping)), newestFirst(notice("WR-WT1", 16))),
			Decision{Act: ActNone, Reason: ReasonNoLiveTask}},
		"an ending is over when the conversation is closed": {
			policy(), seen(20, one(task("WT1", TaskCompleted)), newestFirst(notice("WR-WT1", 16)), channelIs(ChannelClosed), state(ConversationClosed)),
			Decision{Act: ActNone, Reason: ReasonAlreadyClosed}},
		"a silent ending that was cut off after the tasks is carried through": {
			policy(silent), seen(20, one(task("WT1", TaskCompleted, claimed(StepFinish, "WR-WT1", 16))), newestFirst(person("IM1", 0)), channelIs(ChannelClosed)),
			Decision{Act: ActCloseConversation, Reason: ReasonEndingBegun, Due: true}},
		"a silent ending of a conversation in which nobody wrote is carried through": {
			policy(silent), seen(20, one(task("WT1", TaskCompleted, claimed(StepFinish, "WR-WT1", 16))), newestFirst(), channelIs(ChannelClosed)),
			Decision{Act: ActCloseConversation, Reason: ReasonEndingBegun, Due: true}},
		"an answer stops an ending that was cut off": {
			policy(), seen(20, one(task("WT1", TaskCompleted)), newestFirst(person("IM9", 18), notice("WR-WT1", 16)), channelIs(ChannelClosed)),
			Decision{Act: ActNone, Reason: ReasonNoLiveTask}},
		"an answer that came before the notice stops an ending that was cut off": {
			policy(), seen(20, one(task("WT1", TaskCompleted)), newestFirst(notice("WR-WT1", 16), person("IM9", 15.5)), channelIs(ChannelClosed)),
			Decision{Act: ActNone, Reason: ReasonNoLiveTask}},
		"the message that an ending is about does not stop it": {
			policy(), seen(20, one(task("WT1", TaskCompleted)), newestFirst(notice("IM1", 16), person("IM1", 1)), channelIs(ChannelClosed)),
			Decision{Act: ActCloseConversation, Reason: ReasonEndingBegun, Due: true}},
		"an answer that came before the claim stops a silent ending that was cut off": {
			policy(silent), seen(20, one(task("WT1", TaskCompleted, claimed(StepFinish, "WR-WT1", 16))), newestFirst(person("IM9", 15.5))),
			Decision{Act: ActNone, Reason: ReasonNoLiveTask}},
		"an answer stops a silent ending that was cut off": {
			policy(silent), seen(20, one(task("WT1", TaskCompleted, claimed(StepFinish, "WR-WT1", 16))), newestFirst(person("IM1", 16))),
			Decision{Act: ActNone, Reason: ReasonNoLiveTask}},
		"a task that was made after the notice stops the ending, also when it has ended by now": {
			policy(), seen(30, []Task{task("WT1", TaskCompleted), task("WT2", TaskCompleted, createdAt(17))}, newestFirst(notice("WR-WT1", 16)), channelIs(ChannelClosed)),
			Decision{Act: ActNone, Reason: ReasonNoLiveTask}},
		"a task that a transfer has made in the silence stops the ending, also when it is wrapping by now": {
			policy(), seen(30, []Task{task("WT1", TaskCompleted), task("WT2", TaskWrapping, createdAt(15.9))}, newestFirst(notice("WR-WT1", 16)), channelIs(ChannelClosed)),
			Decision{Act: ActNone, Reason: ReasonNoLiveTask}},
		"a task that a transfer has made in the silence stops a silent ending": {
			policy(silent), seen(30, []Task{task("WT1", TaskCompleted, claimed(StepFinish, "WR-WT1", 16)), task("WT2", TaskCompleted, createdAt(15.9))}, newestFirst()),
			Decision{Act: ActNone, Reason: ReasonNoLiveTask}},
		"a transfer that was canceled in the silence does not stop the ending": {
			policy(), seen(30, []Task{task("WT1", TaskCompleted), task("WT2", TaskCanceled, createdAt(10))}, newestFirst(notice("WR-WT1", 16)), channelIs(ChannelClosed)),
			Decision{Act: ActCloseConversation, Reason: ReasonEndingBegun, Due: true}},
		"a task that was made after the notice stops the ending, also when it was canceled": {
			policy(), seen(30, []Task{task("WT1", TaskCompleted), task("WT2", TaskCanceled, createdAt(17))}, newestFirst(notice("WR-WT1", 16)), channelIs(ChannelClosed)),
			Decision{Act: ActNone, Reason: ReasonNoLiveTask}},
		"a task that was made after a silent claim stops the ending": {
			policy(silent), seen(30, []Task{task("WT1", TaskCompleted, claimed(StepFinish, "WR-WT1", 16)), task("WT2", TaskCompleted, createdAt(17))}, newestFirst()),
			Decision{Act: ActNone, Reason: ReasonNoLiveTask}},
		"a conversation that was parked after the notice is left alone": {
			policy(), seen(20, one(task("WT1", TaskCompleted)), newestFirst(notice("WR-WT1", 16)), channelIs("inactive")),
			Decision{Act: ActNone, Reason: ReasonChannelNotActive, Held: true}},
		"after Notify a conversation without a task is left alone": {
			policy(notify), seen(40, one(task("WT1", TaskCompleted)), newestFirst(notice("WR-WT1", 16, asNotify))),
			Decision{Act: ActNone, Reason: ReasonNoLiveTask}},
		"a claim on a canceled task is no ending": {
			policy(silent), seen(20, one(task("WT1", TaskCanceled, claimed(StepFinish, "WR-WT1", 16))), newestFirst()),
			Decision{Act: ActNone, Reason: ReasonNoLiveTask}},
	} {
		t.Run(sentence, func(t *testing.T) {
			// What is said, when it became due and who owed the reply is in the tables of those rules.
			if diff := cmp.Diff(test.want, Decide(test.policy, test.snapshot), cmpopts.IgnoreFields(Decision{}, "Message", "StepDue"),
				cmpopts.IgnoreFields(Claim{}, "WaitingOn", "Refused")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", sentence, diff)
			}
		})
	}
}
