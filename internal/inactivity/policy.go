package inactivity

import (
	"fmt"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// DefaultReason is the Reason of a completed task when the policy gives none.
const DefaultReason = "Inactivity timeout"

// Policy is the part of an InactivityPolicy that decisions depend on, with the meaning of absent fields filled in.
type Policy struct {
	// Name is the policy's namespace/name, as it is recorded in claims and markers.
	Name string
	// Timeout is how long a conversation may be idle.
	Timeout time.Duration
	// Message is the notice to the customer; empty: end silently.
	Message string
	// Author of the notice; empty: Twilio's "system".
	Author string
	// Action says how an idle conversation is ended.
	Action v1alpha1.TimeoutAction
	// Reason is recorded on completed tasks.
	Reason string
	// Suspended stops every act.
	Suspended bool
	// EffectiveSince is when the timeout took effect: no conversation's clock starts before it. Zero: the policy is not in
	// force, and nothing is done.
	EffectiveSince time.Time
	// WebhookURL is the webhook that a conversation must carry so that Twilio's timer wakes the operator. Empty: the
	// policy works without callbacks, and neither webhook nor timer is touched.
	WebhookURL string
}

// FromAPI reads a policy. webhookURL is the operator's endpoint for the conversations of the policy's workspace; it is
// left out when the policy disables callbacks. An error names the field that cannot be used.
func FromAPI(policy *v1alpha1.InactivityPolicy, webhookURL string) (Policy, error) {
	timeout, err := policy.Spec.Timeout.Parse()
	if err != nil {
		return Policy{}, fmt.Errorf("spec.timeout: %w", err)
	}
	read := Policy{
		Name:      policy.Namespace + "/" + policy.Name,
		Timeout:   timeout,
		Message:   policy.Spec.Message,
		Author:    policy.Spec.Author,
		Action:    v1alpha1.ActionClose,
		Reason:    DefaultReason,
		Suspended: policy.Spec.Suspend,
	}
	// A timeout or workspace that has been edited takes effect when the policy has been reconciled, and not before: until
	// then nobody has said since when it counts.
	if since := policy.Status.EffectiveSince; since != nil && policy.Status.EffectiveTimeout == policy.Spec.Timeout &&
		policy.Spec.Workspace.Names(policy.Status.Workspace) {
		read.EffectiveSince = since.Time
	}
	if on := policy.Spec.OnTimeout; on != nil {
		if on.Action != "" {
			read.Action = on.Action
		}
		if on.Reason != "" {
			read.Reason = on.Reason
		}
	}
	if policy.ManagesCallback() {
		read.WebhookURL = webhookURL
	}
	return read, nil
}

// Owner returns the one policy that owns the conversations of a workspace: the oldest, then the first by namespace and
// name. A policy that is being deleted owns nothing. A suspended policy, or one that is not in force yet, still owns:
// suspending a policy must not hand its conversations to another one.
func Owner(policies []v1alpha1.InactivityPolicy) *v1alpha1.InactivityPolicy {
	var owner *v1alpha1.InactivityPolicy
	for i := range policies {
		candidate := &policies[i]
		if !candidate.DeletionTimestamp.IsZero() {
			continue
		}
		if owner == nil || precedes(candidate, owner) {
			owner = candidate
		}
	}
	return owner
}

func precedes(a, b *v1alpha1.InactivityPolicy) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	if a.Namespace != b.Namespace {
		return a.Namespace < b.Namespace
	}
	return a.Name < b.Name
}
