package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/index"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

// readPrevious reads a policy's record; nil when it has none, or one that cannot be read.
func readPrevious(policy *v1alpha1.InactivityPolicy) *callback.Previous {
	return callback.ParsePrevious(policy.Annotations[v1alpha1.AnnotationPreviousCallback])
}

// writePrevious writes a policy's record, or removes it when record is nil. It is refused when the policy is not the newest
// any more: a record that another reconcile has just written must not be lost to a guess.
func (r *InactivityPolicyReconciler) writePrevious(ctx context.Context, policy *v1alpha1.InactivityPolicy, record *callback.Previous) error {
	changed := policy.DeepCopy()
	delete(changed.Annotations, v1alpha1.AnnotationPreviousCallback)
	if record != nil {
		text, err := json.Marshal(record)
		if err != nil {
			return fmt.Errorf("encoding the previous callback of workspace %s: %w", record.WorkspaceSID, err)
		}
		if changed.Annotations == nil {
			changed.Annotations = map[string]string{}
		}
		changed.Annotations[v1alpha1.AnnotationPreviousCallback] = string(text)
	}
	if changed.Annotations[v1alpha1.AnnotationPreviousCallback] == policy.Annotations[v1alpha1.AnnotationPreviousCallback] {
		return nil
	}
	status := policy.Status
	if err := r.Client.Patch(ctx, changed, client.MergeFromWithOptions(policy, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("recording the previous callback on policy %s/%s: %w", policy.Namespace, policy.Name, err)
	}
	*policy = *changed
	policy.Status = status
	return nil
}

// isOurs reports whether the operator has set the URL: it is the wanted endpoint, or a record of the workspace knows it.
func isOurs(observed, wanted, workspaceSID string, own *callback.Previous, holders []v1alpha1.InactivityPolicy) bool {
	return callback.SameEndpoint(observed, wanted) || own.Knows(observed) ||
		slices.ContainsFunc(holders, func(holder v1alpha1.InactivityPolicy) bool {
			kept := readPrevious(&holder)
			return kept != nil && kept.WorkspaceSID == workspaceSID && kept.Knows(observed)
		})
}

// bestRecord is the record of a workspace that is believed: the policy's own, unless another policy of the workspace has one
// that knows more. Nil when nobody has any.
func bestRecord(workspaceSID string, own *callback.Previous, holders []v1alpha1.InactivityPolicy) *callback.Previous {
	best := own
	for i := range holders {
		if kept := readPrevious(&holders[i]); kept != nil && kept.WorkspaceSID == workspaceSID && kept.KnowsMoreThan(best) {
			best = kept
		}
	}
	return best
}

// recordFor returns the record to keep of what the workspace's callback was, now that the wanted URL is about to be set.
func recordFor(scope *scope, own *callback.Previous, holders []v1alpha1.InactivityPolicy, wanted string, ours bool) *callback.Previous {
	workspace := scope.workspace
	if !ours && workspace.EventCallbackURL != "" {
		return &callback.Previous{WorkspaceSID: workspace.SID, AccountSID: scope.accountSID, URL: workspace.EventCallbackURL, Filter: workspace.EventsFilter, Applied: wanted}
	}
	record := bestRecord(workspace.SID, own, holders)
	switch {
	case record != nil:
	case ours:
		record = &callback.Previous{WorkspaceSID: workspace.SID, AccountSID: scope.accountSID, Guessed: true}
	default:
		record = &callback.Previous{WorkspaceSID: workspace.SID, AccountSID: scope.accountSID, Filter: workspace.EventsFilter}
	}
	record.Applied, record.Replaced, record.Set = wanted, "", record.Set || ours
	if ours && !callback.SameEndpoint(workspace.EventCallbackURL, wanted) {
		record.Replaced = workspace.EventCallbackURL
	}
	return record
}

// forwards reports whether the events of the workspace's previous callback are to be forwarded: yes if one of its policies
// says Forward, no if none does and one says Replace. If all refuse, or nobody manages the callback now, it is as before:
// that is about callbacks to come, and cuts nobody off.
func forwards(policy *v1alpha1.InactivityPolicy, siblings []v1alpha1.InactivityPolicy, before bool) bool {
	replaced := false
	for _, one := range append([]v1alpha1.InactivityPolicy{*policy}, siblings...) {
		switch {
		case !one.ManagesCallback() || !one.DeletionTimestamp.IsZero():
		case one.OnConflict() == v1alpha1.ConflictForward:
			return true
		case one.OnConflict() == v1alpha1.ConflictReplace:
			replaced = true
		}
	}
	return before && !replaced
}

// keep writes the record of the workspace onto the policy, and onto the other holders of one of the workspace what it
// says anew: a policy that is suspended or only observes would not do that itself, and all have to say the same. taken says
// that another callback has been found in the slot, which is then what has to come back for all of them. The policy's own
// record is written last, so that a reconcile that was cut off is begun again.
func (r *InactivityPolicyReconciler) keep(ctx context.Context, policy *v1alpha1.InactivityPolicy, holders []v1alpha1.InactivityPolicy,
	record *callback.Previous, taken bool) error {
	if taken {
		isOf := func(other *callback.Previous) bool { return other.Is(record.URL, record.Filter) }
		if err := r.forgetUnknown(ctx, policy, record.WorkspaceSID, record.AccountSID, isOf); err != nil {
			return err
		}
	}
	for i := range holders {
		kept := readPrevious(&holders[i])
		switch {
		case kept == nil || kept.WorkspaceSID != record.WorkspaceSID:
			continue
		case taken:
			kept = record
		default:
			kept.Forward, kept.Set = record.Forward, record.Set
		}
		if err := r.writePrevious(ctx, &holders[i], kept); err != nil {
			return err
		}
	}
	return r.writePrevious(ctx, policy, record)
}

// forget removes the records of a workspace whose callback somebody else has set since: what was there before the operator
// is out of date, and must not come back if that callback is removed and the operator takes the free slot again. A record of
// the very callback that is there is kept while a write of the operator's may still be on its way.
func (r *InactivityPolicyReconciler) forget(ctx context.Context, policy *v1alpha1.InactivityPolicy, holders []v1alpha1.InactivityPolicy,
	workspace *twilio.Workspace, accountSID string) error {
	if err := r.forgetOfOthers(ctx, policy, holders, workspace, accountSID); err != nil {
		return err
	}
	if isOutdated(policy, workspace) {
		return r.writePrevious(ctx, policy, nil)
	}
	return nil
}

// forgetOfOthers removes such records from all policies but the given one.
func (r *InactivityPolicyReconciler) forgetOfOthers(ctx context.Context, policy *v1alpha1.InactivityPolicy, holders []v1alpha1.InactivityPolicy,
	workspace *twilio.Workspace, accountSID string) error {
	isValid := func(record *callback.Previous) bool { return mayBeOnItsWay(record, workspace) }
	if err := r.forgetUnknown(ctx, policy, workspace.SID, accountSID, isValid); err != nil {
		return err
	}
	for i := range holders {
		if isOutdated(&holders[i], workspace) {
			if err := r.writePrevious(ctx, &holders[i], nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// isOutdated reports whether a policy's record is of the workspace and must not come back, now that somebody else has it.
func isOutdated(policy *v1alpha1.InactivityPolicy, workspace *twilio.Workspace) bool {
	record := readPrevious(policy)
	return record != nil && record.WorkspaceSID == workspace.SID && !mayBeOnItsWay(record, workspace)
}

// mayBeOnItsWay reports whether the record is of the very callback that the workspace has, and the write that replaces it may
// take effect yet.
func mayBeOnItsWay(record *callback.Previous, workspace *twilio.Workspace) bool {
	return record.Is(workspace.EventCallbackURL, workspace.EventsFilter) && !record.Set
}

// forgetUnknown removes the records of a workspace that are not valid any more from policies of which it is not known where
// they belong: their status was wiped, and they were not looked at since. They are not told what is there, because any team
// could write a policy with such a record, but what they have must not come back once they are known again.
func (r *InactivityPolicyReconciler) forgetUnknown(ctx context.Context, policy *v1alpha1.InactivityPolicy, workspaceSID, accountSID string,
	isValid func(*callback.Previous) bool) error {
	recorded, err := index.PoliciesWithRecord(ctx, r.Client, workspaceSID)
	if err != nil {
		return err
	}
	for i := range recorded {
		one := &recorded[i]
		record := readPrevious(one)
		if one.UID == policy.UID || one.Status.Workspace != nil || record == nil || isValid(record) ||
			record.AccountSID != "" && record.AccountSID != accountSID {
			continue
		}
		if err := r.writePrevious(ctx, one, nil); err != nil {
			return err
		}
	}
	return nil
}

// handOver leaves the record of a policy that goes to those that remain in the workspace.
func (r *InactivityPolicyReconciler) handOver(ctx context.Context, remaining []v1alpha1.InactivityPolicy, record *callback.Previous) error {
	for i := range remaining {
		if kept := readPrevious(&remaining[i]); record.KnowsMoreThan(kept) {
			if err := r.writePrevious(ctx, &remaining[i], record); err != nil {
				return err
			}
		}
	}
	return nil
}

// siblings are the other policies of the workspace: those whose credentials have found it. What another policy merely
// names, or has in its annotations, is believed by nobody, because any team could write it.
func (r *InactivityPolicyReconciler) siblings(ctx context.Context, policy *v1alpha1.InactivityPolicy, workspaceSID string) ([]v1alpha1.InactivityPolicy, error) {
	all, err := index.PoliciesForWorkspace(ctx, r.Client, workspaceSID)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(other v1alpha1.InactivityPolicy) bool {
		return other.UID == policy.UID || other.Status.Workspace == nil
	}), nil
}

// holders are the siblings, and the policies that have moved to another workspace of the account and still keep the record
// of this one: one that is suspended, or only observes, gives back nothing until it is resumed.
func (r *InactivityPolicyReconciler) holders(ctx context.Context, policy *v1alpha1.InactivityPolicy, siblings []v1alpha1.InactivityPolicy,
	workspaceSID, accountSID string) ([]v1alpha1.InactivityPolicy, error) {
	recorded, err := index.PoliciesWithRecord(ctx, r.Client, workspaceSID)
	if err != nil {
		return nil, err
	}
	moved := slices.DeleteFunc(recorded, func(other v1alpha1.InactivityPolicy) bool {
		return other.UID == policy.UID || other.Status.Workspace == nil || other.Status.Workspace.AccountSID != accountSID ||
			other.Status.Workspace.SID == workspaceSID
	})
	return slices.Concat(siblings, moved), nil
}

// heirs are the siblings that keep the workspace's callback when a policy goes: those that stay and want it. One whose
// record is of another workspace is still on its way here; it takes the callback over itself when it has arrived.
func heirs(workspaceSID string, siblings []v1alpha1.InactivityPolicy) []v1alpha1.InactivityPolicy {
	return slices.DeleteFunc(slices.Clone(siblings), func(sibling v1alpha1.InactivityPolicy) bool {
		kept := readPrevious(&sibling)
		return !sibling.DeletionTimestamp.IsZero() || !sibling.ManagesCallback() || kept != nil && kept.WorkspaceSID != workspaceSID
	})
}
