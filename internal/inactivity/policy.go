package inactivity

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

const (
	// DefaultReason is the Reason of a completed task when the policy gives none.
	DefaultReason = "Inactivity timeout"

	// defaultLanguageAttribute is the task attribute that holds the customer's language when the policy names none.
	defaultLanguageAttribute = "language"
)

// Policy is the part of an InactivityPolicy that decisions depend on, with the meaning of absent fields filled in.
type Policy struct {
	// Name is the policy's namespace/name, as it is recorded in claims and markers.
	Name string
	// UID, Priority and Created decide which policy takes precedence.
	UID      string
	Priority int32
	Created  time.Time
	// Selector chooses the policy's conversations.
	Selector Selector

	// Timeout is how long a conversation may be idle.
	Timeout time.Duration
	// Notice is what the customer is told at the end; empty: end silently.
	Notice Text
	// Warnings are sent before the end, the earliest first.
	Warnings []Warning
	// Unanswered is for customers who wait for an agent; nil: nothing is sent to them.
	Unanswered *Unanswered
	// LanguageAttribute is the task attribute that holds the customer's language.
	LanguageAttribute string
	// Author of the texts; empty: Twilio's "system".
	Author string
	// Action says how an idle conversation is ended.
	Action v1alpha1.TimeoutAction
	// Reason is recorded on completed tasks.
	Reason string

	// OnlyCustomers lets the clock run only while the customer owes the reply.
	OnlyCustomers bool
	// FirstUnanswered lets it run from the first of several messages of agents.
	FirstUnanswered bool
	// Existing says what happens to silences from before EffectiveSince.
	Existing v1alpha1.Existing
	// HoldAttribute of task or conversation keeps a conversation from being touched; empty: there is none.
	HoldAttribute string
	// Window is the channel's reply window; nil: it is not looked at.
	Window *ReplyWindow
	// Hours are the opening hours; nil: always open.
	Hours *Calendar
	// AccrueOpen lets the clock run in opening hours only.
	AccrueOpen bool
	// Closed says what happens to steps that are due outside them.
	Closed v1alpha1.ClosedHours
	// EndsPerMinute is how many conversations may be ended in a minute; 0: as many as are due.
	EndsPerMinute int

	// Observe decides and does nothing.
	Observe bool
	// Suspended stops every act.
	Suspended bool
	// EffectiveSince is when the policy took effect. Zero: it is not in force, and nothing is done.
	EffectiveSince time.Time
	// WebhookURL is the webhook that a conversation must carry so that Twilio's timer wakes the operator. Empty: the
	// policy works without callbacks, and neither webhook nor timer is touched.
	WebhookURL string

	// clock stands for the fields that decide what is idle for how long, scope for those that decide which conversations
	// are the policy's.
	clock, scope string
	// selection is what Selector was made from.
	selection v1alpha1.Selector
}

// Warning is a text before the end.
type Warning struct {
	Before time.Duration
	Text   Text
}

// Unanswered is a text for a customer who waits for an agent.
type Unanswered struct {
	After time.Duration
	Text  Text
}

// ReplyWindow says what to do where only templates are delivered.
type ReplyWindow struct {
	Outside    v1alpha1.OutsideReplyWindow
	ContentSID string
	Variables  map[string]Template
}

// Compile reads the spec of a policy, which is not in force until TakeEffect has said so. Of a policy with errors it
// returns what could be read, because that policy still owns the conversations that it selects; each error names the
// field that cannot be used.
func Compile(policy *v1alpha1.InactivityPolicy) (Policy, error) {
	spec := &policy.Spec
	compiled := Policy{
		Name:              policy.Namespace + "/" + policy.Name,
		UID:               string(policy.UID),
		Priority:          spec.Priority,
		Created:           policy.CreationTimestamp.Time,
		LanguageAttribute: cmp.Or(spec.LanguageAttribute, defaultLanguageAttribute),
		Author:            spec.Author,
		Action:            v1alpha1.ActionClose,
		Reason:            DefaultReason,
		OnlyCustomers:     spec.WaitingOn == v1alpha1.WaitingOnCustomer,
		FirstUnanswered:   spec.Anchor == v1alpha1.AnchorFirstUnanswered,
		Existing:          cmp.Or(spec.Existing, v1alpha1.ExistingGrace),
		Closed:            v1alpha1.ClosedAct,
		Observe:           policy.Observes(),
		Suspended:         spec.Suspend,
	}
	if on := spec.OnTimeout; on != nil {
		compiled.Action, compiled.Reason = cmp.Or(on.Action, compiled.Action), cmp.Or(on.Reason, compiled.Reason)
	}
	if spec.Hold != nil {
		compiled.HoldAttribute = spec.Hold.Attribute
	}
	if spec.Limits != nil {
		compiled.EndsPerMinute = int(spec.Limits.ClosesPerMinute)
	}
	err := errors.Join(
		compiled.compileScope(spec),
		compiled.compileTexts(spec),
		compiled.compileHours(spec.Hours),
		compiled.fingerprint(policy),
	)
	return compiled, err
}

func (p *Policy) compileScope(spec *v1alpha1.InactivityPolicySpec) (err error) {
	if spec.Selector != nil {
		p.selection = *spec.Selector
	}
	p.Selector, err = newSelector(spec.Selector)
	if err != nil {
		// Without the expression it selects, and keeps from others, all that its channels and queues match.
		p.selection.Expression = ""
	}
	return err
}

func (p *Policy) compileHours(hours *v1alpha1.Hours) (err error) {
	if hours == nil {
		return nil
	}
	p.AccrueOpen = hours.Clock == v1alpha1.ClockOpenHours
	p.Closed = cmp.Or(hours.ClosedHours, v1alpha1.ClosedAct)
	p.Hours, err = newCalendar(hours)
	return err
}

// compileTexts reads the timeout and the texts with their times.
func (p *Policy) compileTexts(spec *v1alpha1.InactivityPolicySpec) error {
	var failures []error
	length := func(field string, written v1alpha1.Duration) time.Duration {
		parsed, err := written.Parse()
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", field, err))
		}
		return parsed
	}
	text := func(field string, message v1alpha1.Text, translations v1alpha1.Translations, translationsField string) Text {
		parsed, err := newText(field, message, translations, translationsField)
		failures = append(failures, err)
		return parsed
	}
	p.Timeout = length("spec.timeout", spec.Timeout)
	p.Notice = text("spec.message", v1alpha1.Text(spec.Message), spec.Translations, "spec.translations")
	for i, warning := range spec.Warnings {
		field := fmt.Sprintf("spec.warnings[%d]", i)
		p.Warnings = append(p.Warnings, Warning{
			Before: length(field+".before", warning.Before),
			Text:   text(field+".message", warning.Message, warning.Translations, field+".translations"),
		})
	}
	slices.SortStableFunc(p.Warnings, func(a, b Warning) int { return cmp.Compare(b.Before, a.Before) })
	if waiting := spec.Unanswered; waiting != nil {
		p.Unanswered = &Unanswered{
			After: length("spec.unanswered.after", waiting.After),
			Text:  text("spec.unanswered.message", waiting.Message, waiting.Translations, "spec.unanswered.translations"),
		}
	}
	if window := spec.ReplyWindow; window != nil {
		p.Window = &ReplyWindow{
			Outside:    cmp.Or(window.Outside, v1alpha1.OutsideCloseSilently),
			ContentSID: window.ContentSID,
			Variables:  map[string]Template{},
		}
		for name, value := range window.ContentVariables {
			parsed, err := newTemplate(fmt.Sprintf("spec.replyWindow.contentVariables[%q]", name), string(value))
			failures = append(failures, err)
			p.Window.Variables[name] = parsed
		}
	}
	return errors.Join(failures...)
}

// add is the moment when a length of time has passed since start, as the policy counts time.
func (p Policy) add(start time.Time, length time.Duration) time.Time {
	if p.AccrueOpen {
		return p.Hours.Add(start, length)
	}
	return start.Add(length)
}

// firstDelay is how long a silence lasts at least before any step of it is due.
func (p Policy) firstDelay() time.Duration {
	first := p.Timeout
	if len(p.Warnings) > 0 {
		first -= p.Warnings[0].Before
	}
	if p.Unanswered != nil {
		first = min(first, p.Unanswered.After)
	}
	return first
}
