package inactivity

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// ErrExpressionFailed says that a selector's expression cannot be evaluated for a task, so that nobody can say whose the
// conversation is. It is left alone.
var ErrExpressionFailed = errors.New("the selector's expression cannot be evaluated for the task")

// Compare orders policies by precedence: the highest priority first, then the oldest, then by namespace and name.
func Compare(a, b Policy) int {
	return cmp.Or(
		cmp.Compare(b.Priority, a.Priority),
		a.Created.Compare(b.Created),
		strings.Compare(a.Name, b.Name),
	)
}

// Owner returns the index of the one policy that owns the conversation of the tasks, -1 if none does. policies are all
// policies of the workspace, in their order of precedence. A policy that is suspended, that only observes or that is not
// in force owns too: what it selects must not be handed to another one. With ErrExpressionFailed the index is that of
// the policy whose expression cannot tell.
func Owner(policies []Policy, tasks []Task, now time.Time) (int, error) {
	decider, found := deciderOf(tasks)
	if !found {
		return -1, nil
	}
	subject := Subject{
		SID:      decider.SID,
		Queue:    decider.Queue,
		QueueSID: decider.QueueSID,
		Channel:  decider.Attributes.ChannelType,
		Priority: decider.Priority,
		Age:      max(now.Sub(decider.Created), 0),
	}
	if slices.ContainsFunc(policies, func(policy Policy) bool { return policy.selection.Expression != "" }) {
		subject.Attributes = decider.Attributes.Values()
	}
	for i := range policies {
		matches, err := policies[i].Selector.Matches(subject)
		if err != nil {
			return i, fmt.Errorf("policy %s, task %s: %w", policies[i].Name, subject.SID, ErrExpressionFailed)
		}
		if matches {
			return i, nil
		}
	}
	return -1, nil
}

// deciderOf is the task that decides whose a conversation is: the newest that an agent has, else the newest.
func deciderOf(tasks []Task) (Task, bool) {
	candidates := withStatus(tasks, TaskAssigned)
	if len(candidates) == 0 {
		candidates = tasks
	}
	if len(candidates) == 0 {
		return Task{}, false
	}
	return slices.MaxFunc(candidates, func(a, b Task) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.SID, b.SID))
	}), true
}

// Relation is how another policy of the same workspace stands to one.
type Relation struct {
	// Overlaps says that both may select the same conversations.
	Overlaps bool
	// Precedes says that the other one takes precedence, and Why.
	Precedes bool
	Why      string
	// Covers says that the other one selects all that the one does.
	Covers bool
}

// Relate says how other stands to p.
func (p Policy) Relate(other Policy) Relation {
	relation := Relation{
		Overlaps: mayMeet(p.selection.Channels, other.selection.Channels, strings.EqualFold) &&
			mayMeet(p.selection.TaskQueues, other.selection.TaskQueues, maySameQueue),
		Precedes: Compare(other, p) < 0,
		Covers: includes(other.selection.Channels, p.selection.Channels, strings.EqualFold) &&
			includes(other.selection.TaskQueues, p.selection.TaskQueues, func(a, b string) bool { return a == b }) &&
			(other.selection.Expression == "" || other.selection.Expression == p.selection.Expression),
	}
	first, second := other, p
	if !relation.Precedes {
		first, second = p, other
	}
	switch {
	case first.Priority != second.Priority:
		relation.Why = fmt.Sprintf("priority %d over %d", first.Priority, second.Priority)
	case !first.Created.Equal(second.Created):
		relation.Why = "older"
	default:
		relation.Why = "first by name"
	}
	return relation
}

// mayMeet reports whether something can be in both lists; an empty list has everything.
func mayMeet(a, b []string, same func(a, b string) bool) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(one string) bool {
		return slices.ContainsFunc(b, func(other string) bool { return same(one, other) })
	})
}

// includes reports whether all that is in b is in a; an empty list has everything.
func includes(a, b []string, same func(a, b string) bool) bool {
	return len(a) == 0 || len(b) > 0 && !slices.ContainsFunc(b, func(one string) bool {
		return !slices.ContainsFunc(a, func(other string) bool { return same(one, other) })
	})
}

// maySameQueue reports whether both may name one task queue: what is a SID to the one can be a name to the other.
func maySameQueue(a, b string) bool {
	isSID := func(queue string) bool { return len(queue) == 34 && strings.HasPrefix(queue, "WQ") }
	return a == b || isSID(a) != isSID(b)
}

// fingerprint records what clocks and ownership depend on.
func (p *Policy) fingerprint(policy *v1alpha1.InactivityPolicy) error {
	spec := &policy.Spec
	clock, err := json.Marshal([]any{
		spec.Timeout, spec.Mode, spec.WaitingOn, spec.Anchor, spec.Existing, spec.Hold, spec.Hours, spec.Selector, spec.Priority,
	})
	if err != nil {
		return fmt.Errorf("recording what the policy's clocks depend on: %w", err)
	}
	scope, err := json.Marshal([]any{policy.UID, spec.Selector, spec.Priority})
	if err != nil {
		return fmt.Errorf("recording what the policy selects: %w", err)
	}
	p.clock, p.scope = string(clock), string(scope)
	return nil
}

// Revision stands for what the policy's clocks and its set of conversations depend on: its own fields, and the policies
// that take precedence for some of them. While it stays the same, so does the time since when the policy has been in
// effect. others are the other policies of the workspace, in their order of precedence.
func (p Policy) Revision(others []Policy) string {
	sum := sha256.New()
	sum.Write([]byte(p.clock))
	for _, other := range others {
		if relation := p.Relate(other); relation.Precedes && relation.Overlaps {
			sum.Write([]byte{0})
			sum.Write([]byte(other.scope))
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// TakeEffect returns the policy as it is in force according to its status. What has been edited, also in a policy that
// takes precedence, takes effect when the policy has been reconciled, and not before: until then nobody has said since
// when it counts.
func (p Policy) TakeEffect(policy *v1alpha1.InactivityPolicy, others []Policy) Policy {
	p.EffectiveSince = time.Time{}
	if since := policy.Status.EffectiveSince; since != nil && policy.Spec.Workspace.Names(policy.Status.Workspace) &&
		policy.Status.EffectiveRevision == p.Revision(others) {
		p.EffectiveSince = since.Time
	}
	return p
}
