package simulation

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/test/marker"
)

// terms are what a policy promises, read from the design and not by the operator's own code.
type terms struct {
	name                           string
	timeout                        time.Duration
	warnings                       []time.Duration
	silent                         bool
	author                         string            // of what is said; "" leaves it to Twilio
	texts                          map[string]string // what is said, by step; of a warning also by how long before the end
	onlyCustomers, firstUnanswered bool
	existing                       v1alpha1.Existing
	action                         v1alpha1.TimeoutAction
	acts                           bool // in force, neither suspended nor observing
	since                          time.Time
	hours                          *opening // nil: always open
	openTime                       bool     // only open time counts
	closedHours                    v1alpha1.ClosedHours
	unanswered                     time.Duration // 0: no text for who waits
	limited                        bool
}

func termsOf(policy *v1alpha1.InactivityPolicy) terms {
	spec := policy.Spec
	length := func(d v1alpha1.Duration) time.Duration {
		parsed, err := time.ParseDuration(string(d))
		if err != nil {
			panic(err)
		}
		return parsed
	}
	t := terms{
		name: policy.Namespace + "/" + policy.Name, timeout: length(spec.Timeout), silent: spec.Message == "", author: spec.Author,
		onlyCustomers: spec.WaitingOn == v1alpha1.WaitingOnCustomer, firstUnanswered: spec.Anchor == v1alpha1.AnchorFirstUnanswered,
		existing: cmp.Or(spec.Existing, v1alpha1.ExistingGrace), action: v1alpha1.ActionClose,
		texts: map[string]string{"notice": spec.Message},
	}
	for _, warning := range spec.Warnings {
		before := length(warning.Before)
		t.warnings = append(t.warnings, before)
		t.texts["warning "+before.String()] = string(warning.Message)
	}
	if spec.Hours != nil {
		t.hours, t.openTime = openingOf(spec.Hours), spec.Hours.Clock == v1alpha1.ClockOpenHours
		t.closedHours = cmp.Or(spec.Hours.ClosedHours, v1alpha1.ClosedAct)
	}
	if spec.Unanswered != nil {
		t.unanswered, t.texts["unanswered"] = length(spec.Unanswered.After), string(spec.Unanswered.Message)
	}
	t.limited = spec.Limits != nil
	if spec.OnTimeout != nil {
		t.action = cmp.Or(spec.OnTimeout.Action, t.action)
	}
	if since := policy.Status.EffectiveSince; since != nil {
		t.since = since.Time
	}
	t.acts = !spec.Suspend && spec.Mode != v1alpha1.ModeObserve && !t.since.IsZero() && policy.DeletionTimestamp.IsZero()
	return t
}

// says is what the policy says in a step.
func (t terms) says(own marker.Entry) string {
	if own.Step == "warning" {
		return t.texts["warning "+own.Before().String()]
	}
	return t.texts[own.Step]
}

// after is when so much time has passed since then as the policy counts it.
func (t terms) after(then time.Time, length time.Duration) time.Time {
	if t.openTime {
		return t.hours.after(then, length)
	}
	return then.Add(length)
}

// hasBeenClosed reports whether it is closed, and was so when what happens now began at the earliest.
func (t terms) hasBeenClosed() bool {
	now := time.Now()
	return !t.hours.isOpen(now) && !t.hours.isOpen(now.Add(-stale))
}

// owner is the policy that a conversation belongs to: of those that select it the one with the highest priority, then the
// oldest, then the first by name.
func owner(policies []*v1alpha1.InactivityPolicy, workspace, channel, queue string) *v1alpha1.InactivityPolicy {
	var chosen *v1alpha1.InactivityPolicy
	for _, policy := range policies {
		observed := policy.Status.Workspace
		if policy.DeletionTimestamp.IsZero() && observed != nil && observed.SID == workspace && selects(policy.Spec.Selector, channel, queue) &&
			(chosen == nil || precedes(policy, chosen)) {
			chosen = policy
		}
	}
	return chosen
}

func selects(selector *v1alpha1.Selector, channel, queue string) bool {
	if selector == nil {
		return true
	}
	return (len(selector.Channels) == 0 || slices.Contains(selector.Channels, channel)) &&
		(len(selector.TaskQueues) == 0 || slices.Contains(selector.TaskQueues, queue))
}

func precedes(a, b *v1alpha1.InactivityPolicy) bool {
	return cmp.Or(
		cmp.Compare(b.Spec.Priority, a.Spec.Priority),
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name),
	) < 0
}

// foreign are the attributes without the operator's entry.
func foreign(attributes string) string {
	var all map[string]any
	if json.Unmarshal([]byte(attributes), &all) != nil {
		return attributes
	}
	delete(all, "inactivityPolicy")
	text, err := json.Marshal(all)
	if err != nil {
		return attributes
	}
	return string(text)
}

func hasHold(attributes string) bool {
	var all map[string]any
	return json.Unmarshal([]byte(attributes), &all) == nil && all[holdAttribute] == true
}
