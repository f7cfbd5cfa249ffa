package inactivity

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// dice chooses by fuzzed bytes. When they have run out it chooses the first.
type dice struct{ rolls []byte }

func (d *dice) roll(sides int) int {
	if len(d.rolls) == 0 {
		return 0
	}
	rolled := int(d.rolls[0]) % sides
	d.rolls = d.rolls[1:]
	return rolled
}

// often and rarely are such that most conversations are known well enough for something to be done.
func (d *dice) often() bool  { return d.roll(32) != 31 }
func (d *dice) rarely() bool { return d.roll(16) == 15 }

func oneOf[T any](d *dice, choices ...T) T { return choices[d.roll(len(choices))] }

// someOf are up to most things, each made by the dice.
func someOf[T any](d *dice, most int, next func(d *dice) T) []T {
	var some []T
	for range d.roll(most + 1) {
		some = append(some, next(d))
	}
	return some
}

// instant is a moment of the tests, or the zero time.
func (d *dice) instant() time.Time {
	if d.rarely() {
		return oneOf(d, time.Time{}, at(-10000), at(100000), at(10.001))
	}
	return at(float64(d.roll(60)))
}

// What takes a while to make is made once.
var (
	someTexts = []Text{says("Hi."), {}, says(`{{if eq .Channel "web"}}Hi.{{end}}`), says("{{.Customer.Name}} {{.Remaining}}")}
	someHours = []*Calendar{
		swept(opening("", "", daily("09:00", "10:20"))).Hours, swept(opening("", "", daily("00:00", "24:00"))).Hours,
		swept(opening("", "", v1alpha1.Opening{Days: []v1alpha1.Weekday{"Sun"}, From: "02:10", To: "02:20"})).Hours,
	}
)

func (d *dice) text() Text { return oneOf(d, someTexts...) }

// length is one that a policy may have, and rarely one that it may not.
func (d *dice) length() time.Duration {
	if d.rarely() {
		return oneOf(d, 0, time.Second, minutes(24*60))
	}
	return oneOf(d, minutes(15), minutes(5), minutes(2), minutes(1), minutes(3), minutes(10))
}

func (d *dice) policy() Policy {
	p := Policy{
		Name: "team/plain", Timeout: d.length() + minutes(float64(d.roll(30))), Notice: d.text(), Reason: DefaultReason, LanguageAttribute: "language",
		Author: oneOf(d, "", "Support"), Action: oneOf(d, v1alpha1.ActionClose, v1alpha1.ActionWrapUp, v1alpha1.ActionNotify),
		OnlyCustomers: d.roll(4) == 3, FirstUnanswered: d.roll(4) == 3,
		Existing:       oneOf(d, v1alpha1.ExistingGrace, v1alpha1.ExistingImmediate, v1alpha1.ExistingIgnore),
		HoldAttribute:  oneOf(d, "", "", "", "hold"),
		Closed:         oneOf(d, v1alpha1.ClosedAct, v1alpha1.ClosedCloseSilently, v1alpha1.ClosedDefer),
		EffectiveSince: oneOf(d, at(0), at(-10), at(12), at(0)), WebhookURL: oneOf(d, webhookURL, ""), Suspended: d.rarely(),
	}
	if d.rarely() {
		p.EffectiveSince = time.Time{}
	}
	for _, text := range someOf(d, 3, (*dice).text) {
		p.Warnings = append(p.Warnings, Warning{Before: d.length(), Text: text})
	}
	slices.SortFunc(p.Warnings, func(a, b Warning) int { return int(b.Before - a.Before) })
	if d.roll(3) == 2 {
		p.Unanswered = &Unanswered{After: d.length(), Text: d.text()}
	}
	if d.rarely() {
		p.Window = &ReplyWindow{ContentSID: oneOf(d, "HX1", ""), Outside: oneOf(d, v1alpha1.OutsideCloseSilently, v1alpha1.OutsideSendTemplate, v1alpha1.OutsideSkip)}
	}
	if d.rarely() {
		p.Hours, p.AccrueOpen = oneOf(d, someHours...), d.roll(2) == 1
	}
	return p
}

func (d *dice) snapshot() Snapshot {
	s := Snapshot{Now: d.instant().Add(minutes(20)), JustAccepted: d.rarely(), Announced: d.rarely(), Tasks: someOf(d, 3, (*dice).task)}
	if d.often() {
		s.Conversation = &Conversation{State: oneOf(d, ConversationActive, ConversationActive, ConversationInactive),
			Attributes: oneOf(d, "", `{"hold":true}`, `{"hold":"2026-03-02T09:30:00Z"}`, "[")}
		if d.rarely() {
			s.Conversation.State = oneOf(d, ConversationClosed, "")
		}
		if d.often() {
			inactive := d.instant()
			s.Conversation.DateInactive = &inactive
		}
	}
	if d.often() {
		s.Messages = &Messages{Newest: someOf(d, 5, (*dice).sent), More: d.rarely()}
		if d.often() {
			slices.SortFunc(s.Messages.Newest, func(a, b Message) int { return b.At.Compare(a.At) })
		}
	}
	if d.often() {
		s.Channels = map[ChannelRef]ChannelStatus{channel: ChannelActive}
		if d.rarely() {
			s.Channels[channel] = oneOf(d, ChannelClosed, ChannelGone, "pause", "")
		}
	}
	if d.often() {
		s.Webhooks = &Webhooks{URLs: someOf(d, MaxWebhooks, func(d *dice) string { return oneOf(d, webhookURL, "", "https://a/") })}
	}
	if d.often() {
		s.Participants = &Participants{BySID: map[string]Participant{}}
		for range d.roll(4) {
			s.Participants.BySID[oneOf(d, "MB-customer", "MB-agent", "MB-guest", "")] = Participant{
				Identity: oneOf(d, "", "agent"), Address: oneOf(d, "", customer), Attributes: oneOf(d, "", `{"member_type":"guest"}`, "["), Joined: d.instant()}
		}
	}
	return s
}

func (d *dice) task() Task {
	t := Task{SID: oneOf(d, "WT1", "WT2", "WT3", ""), Status: oneOf(d, TaskAssigned, TaskAssigned, TaskAssigned, TaskCompleted),
		ETag: oneOf(d, `"1"`, `"1"`, ""), Created: d.instant(), ReservationsSeen: d.often()}
	t.Attributes = TaskAttributes{
		Raw:         oneOf(d, `{}`, `{"hold":true}`, `{"hold":"2026-03-02T09:20:00Z"}`, `{"hold":7,"language":"es"}`, "", "[", "null"),
		Channel:     oneOf(d, channel, channel, channel, ChannelRef{}),
		ChannelType: oneOf(d, "sms", "whatsapp", "web", ""), CustomerAddresses: oneOf(d, []string{customer}, nil, []string{""}),
	}
	if d.rarely() {
		t.Attributes.Channel = ChannelRef{InteractionSID: "KD2", ChannelSID: "UO2"}
	}
	if d.rarely() {
		t.Status = oneOf(d, TaskWrapping, TaskPending, TaskCanceled, "")
	}
	if d.often() {
		t.Accepted = &Reservation{SID: oneOf(d, "WR1", "WR2", ""), At: d.instant()}
	}
	if d.roll(4) == 3 {
		t.Attributes.Claim = &Claim{Policy: "team/plain", Step: d.step(), Episode: d.episode(), At: d.instant(), IdleSeconds: int64(d.roll(2000)),
			BeforeSeconds: int64(d.length() / time.Second), Refused: someOf(d, 3, func(d *dice) EpisodeText {
				return EpisodeText{Step: d.step(), Episode: d.episode(), BeforeSeconds: int64(d.length() / time.Second)}
			})}
	}
	return t
}

func (d *dice) step() Step {
	return oneOf(d, StepNotice, StepWarning, StepUnanswered, StepFinish, "")
}

func (d *dice) episode() string { return oneOf(d, "IM1", "IM2", "IM3", "WR1", "") }

func (d *dice) sent() Message {
	m := Message{SID: oneOf(d, "IM1", "IM2", "IM3", ""), Author: oneOf(d, customer, "agent", "system", "Support", ""),
		ParticipantSID: oneOf(d, "MB-customer", "MB-agent", "", "MB-left"), At: d.instant()}
	if d.roll(4) == 3 {
		m.Marker = &Marker{Policy: "team/plain", Step: d.step(), Episode: d.episode(), IdleSince: d.instant(),
			BeforeSeconds: int64(d.length() / time.Second), Action: oneOf(d, v1alpha1.ActionClose, v1alpha1.ActionNotify, "")}
	}
	return m
}

// FuzzDecide holds that Decide is total and deterministic, and that its answers are whole, whatever it is shown.
// The corpus began with one throw of the dice for each pair of act and reason.
func FuzzDecide(f *testing.F) {
	f.Fuzz(func(t *testing.T, rolls []byte) { judge(t, rolls) })
}

// TestDecideIsTotal is the same over more cases than a corpus has, and sees to it that none of the acts is missing.
func TestDecideIsTotal(t *testing.T) {
	source := rand.NewChaCha8([32]byte{4})
	seen := map[Act]int{}
	for range 10_000 {
		rolls := make([]byte, 256)
		if _, err := source.Read(rolls); err != nil {
			t.Fatal(err)
		}
		seen[judge(t, rolls)]++
		if t.Failed() {
			t.Fatalf("by %q", rolls)
		}
	}
	for _, act := range []Act{ActLook, ActNone, ActArm, ActRearm, ActWarn, ActHoldingText, ActNotice, ActClaim, ActFinish, ActCloseConversation} {
		if seen[act] < 10 {
			t.Errorf("%s was decided %d times: the dice do not lead there", act, seen[act])
		}
	}
}

func judge(t *testing.T, rolls []byte) Act {
	t.Helper()
	thrown := func() (Policy, Snapshot) { d := &dice{rolls}; return d.policy(), d.snapshot() }
	policy, snapshot := thrown()
	decision := Decide(policy, snapshot)

	untouched, unseen := thrown()
	if !reflect.DeepEqual(unseen, snapshot) {
		t.Errorf("the snapshot was modified (-before +after):\n%s", cmp.Diff(unseen, snapshot))
	}
	if len(untouched.Warnings) != len(policy.Warnings) || !slices.EqualFunc(untouched.Warnings, policy.Warnings, func(a, b Warning) bool { return a.Before == b.Before }) {
		t.Error("the policy was modified")
	}
	if second := Decide(untouched, unseen); !reflect.DeepEqual(decision, second) {
		t.Errorf("the same input has two answers (-first +second):\n%s", cmp.Diff(decision, second))
	}
	for _, fault := range faultsOf(policy, snapshot, decision) {
		t.Errorf("%s (%s): %s", decision.Act, decision.Reason, fault)
	}
	return decision.Act
}

// faultsOf says what a decision lacks, or has without any reason.
func faultsOf(policy Policy, snapshot Snapshot, d Decision) []string {
	var faults []string
	must := func(holds bool, fault string) {
		if !holds {
			faults = append(faults, fault)
		}
	}
	must(d.Reason != "", "it has no reason")
	must(d.Act == ActNone || d.Act == ActLook || !policy.Suspended && !policy.EffectiveSince.IsZero(), "the policy is suspended or not in force")
	must(d.Timer == 0 || d.Timer >= MinTimer && d.Timer <= maxTimer, "its timer is too short or too long")
	must((d.Act == ActLook) == (d.Need != 0), "it needs what it does not look for, or looks for nothing")
	must(d.Next.IsZero() || d.Next.After(snapshot.Now) || policy.firstDelay() <= 0, "it does not look again later")

	text := d.Act == ActWarn || d.Act == ActHoldingText || d.Act == ActNotice
	switch d.Act {
	case ActWarn, ActHoldingText, ActNotice, ActClaim:
		at := slices.IndexFunc(snapshot.Tasks, func(task Task) bool { return task.SID == d.TaskSID && task.Status == TaskAssigned && task.ETag != "" })
		must(at >= 0, "it claims on no task, or on one that was not read")
		must(d.Claim.Policy == policy.Name && d.Claim.At.Equal(snapshot.Now) && d.Claim.Reason == policy.Reason, "its claim does not say who, when and why")
		step := map[Act]Step{ActWarn: StepWarning, ActHoldingText: StepUnanswered, ActNotice: StepNotice, ActClaim: StepFinish}[d.Act]
		must(d.Claim.Step == step, "its claim is for another step")
		must((d.Claim.BeforeSeconds != 0) == (d.Act == ActWarn) || d.Act == ActWarn, "its claim is for a warning")
		must(!d.StepDue.IsZero() && !d.StepDue.After(snapshot.Now), "it was not due yet")
		must(d.Due, "it does not say that it is due")
		must(text == !d.Message.IsEmpty(), "it sends nothing, or more than a claim")
		must(d.Message.Body == "" || d.Message.ContentSID == "", "it sends two messages")
		must(d.Timer == 0 || policy.WebhookURL != "", "it sets a timer without callbacks")
	case ActArm, ActRearm:
		must(policy.WebhookURL != "", "the policy works without callbacks")
		must(d.Timer != 0, "it has no timer")
		must(snapshot.Webhooks != nil, "the webhooks were not looked at")
		must(!d.CreateWebhook || len(snapshot.Webhooks.URLs) < MaxWebhooks && !slices.Contains(snapshot.Webhooks.URLs, policy.WebhookURL), "it makes a webhook too many")
		must(d.Act == ActArm || d.Activate, "it does not make the conversation active")
		again := Decide(policy, armed(policy, snapshot, d))
		must(again.Act != ActArm && again.Act != ActRearm, "it would be done again: "+string(again.Act)+" because "+string(again.Reason))
	case ActFinish:
		must(len(d.Channels)+len(d.TaskSIDs) > 0, "it ends nothing")
	case ActLook:
		must(!d.Need.Has(NeedTask) || slices.ContainsFunc(snapshot.Tasks, func(task Task) bool { return task.SID == d.TaskSID && task.Status == TaskAssigned }), "it looks at no task")
	case ActNone, ActCloseConversation:
	}
	must(text || d.Message.IsEmpty(), "it sends something")
	return faults
}

// armed is the conversation after it was armed.
func armed(policy Policy, snapshot Snapshot, d Decision) Snapshot {
	inactive := snapshot.Now.Add(d.Timer)
	conversation := Conversation{State: ConversationActive}
	if snapshot.Conversation != nil {
		conversation.Attributes = snapshot.Conversation.Attributes
	}
	conversation.DateInactive = &inactive
	snapshot.Conversation = &conversation
	snapshot.Webhooks = &Webhooks{URLs: append(slices.Clone(snapshot.Webhooks.URLs), policy.WebhookURL)}
	return snapshot
}
