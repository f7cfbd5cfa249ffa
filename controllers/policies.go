package controllers

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
)

// maxCompiled bounds how many policies are kept compiled. One takes some tens of kilobytes if it has an expression.
const maxCompiled = 2048

// CompiledPolicies keeps policies compiled, so that templates, expressions and opening hours are read once for each
// generation of a policy, and not for each conversation. It is safe for concurrent use.
type CompiledPolicies struct {
	known *lru.Cache
}

// NewCompiledPolicies makes an empty cache.
func NewCompiledPolicies() *CompiledPolicies { return &CompiledPolicies{known: lru.New(maxCompiled)} }

// compiledPolicy is what was read of one generation of a policy.
type compiledPolicy struct {
	generation int64
	policy     inactivity.Policy
	err        error
}

// compile reads the spec of a policy, or remembers it.
func (c *CompiledPolicies) compile(policy *v1alpha1.InactivityPolicy) (inactivity.Policy, error) {
	if known, found := c.known.Get(policy.UID); found {
		if compiled := known.(compiledPolicy); compiled.generation == policy.Generation { //nolint:forcetypeassert // nothing else is put in
			return compiled.policy, compiled.err
		}
	}
	read, err := inactivity.Compile(policy)
	c.known.Add(policy.UID, compiledPolicy{generation: policy.Generation, policy: read, err: err})
	return read, err
}

// workspacePolicies are the policies that share the conversations of a workspace, in their order of precedence.
type workspacePolicies struct {
	objects  []*v1alpha1.InactivityPolicy
	policies []inactivity.Policy
	invalid  []bool
	// revision stands for all of them as they are: another one means that a conversation may be another policy's, or due
	// at another time. Every plan keeps one, so it is short.
	revision [16]byte
}

// share orders the policies that share the conversations of a workspace. Naming a workspace in spec is no claim to it: only
// a policy whose credentials have found it counts, so that one team's policy cannot take another team's workspace out of
// force. One that is being deleted owns nothing.
func (c *CompiledPolicies) share(policies []v1alpha1.InactivityPolicy) workspacePolicies {
	type member struct {
		object  *v1alpha1.InactivityPolicy
		policy  inactivity.Policy
		invalid bool
	}
	members := make([]member, 0, len(policies))
	for i := range policies {
		if object := &policies[i]; object.Status.Workspace != nil && object.DeletionTimestamp.IsZero() {
			policy, err := c.compile(object)
			members = append(members, member{object: object, policy: policy, invalid: err != nil})
		}
	}
	slices.SortFunc(members, func(a, b member) int { return inactivity.Compare(a.policy, b.policy) })
	var shared workspacePolicies
	var revision strings.Builder
	for _, one := range members {
		shared.objects = append(shared.objects, one.object)
		shared.policies = append(shared.policies, one.policy)
		shared.invalid = append(shared.invalid, one.invalid)
		fmt.Fprintf(&revision, "%s/%d/%s/%v ", one.object.UID, one.object.Generation, one.object.Status.EffectiveRevision, one.object.Status.EffectiveSince)
	}
	digest := sha256.Sum256([]byte(revision.String()))
	shared.revision = [16]byte(digest[:16])
	return shared
}

// inForce is the policy at the index as it is in force: not at all if its spec is invalid, or has been edited and was not
// reconciled since.
func (w workspacePolicies) inForce(index int) inactivity.Policy {
	policy := w.policies[index]
	if w.invalid[index] {
		return policy
	}
	return policy.TakeEffect(w.objects[index], w.policies[:index])
}

// idle says why the policy at the index does nothing about the conversations that it owns; nothing if it acts.
func (w workspacePolicies) idle(index int) string {
	switch policy := w.policies[index]; {
	case policy.Suspended:
		return ", suspended"
	case w.invalid[index]:
		return ", cannot be used as it is written"
	case policy.Observe:
		return ", observing"
	}
	return ""
}

// anyInForce reports whether any of them may decide about conversations.
func (w workspacePolicies) anyInForce() bool {
	return slices.ContainsFunc(w.objects, func(object *v1alpha1.InactivityPolicy) bool {
		return !object.Spec.Suspend && object.Status.EffectiveSince != nil
	})
}

// name is the namespace and name of the policy at the index; nothing for -1.
func (w workspacePolicies) name(index int) types.NamespacedName {
	if index < 0 {
		return types.NamespacedName{}
	}
	return client.ObjectKeyFromObject(w.objects[index])
}

// reader is a client for the account of the workspace: that of the first policy whose credentials there are.
func (r *ConversationReconciler) reader(shared workspacePolicies) (TwilioClient, error) {
	var failures []error
	for _, object := range shared.objects {
		twilioClient, err := r.clientFor(object)
		if err == nil {
			return twilioClient, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}
