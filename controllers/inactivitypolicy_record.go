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
)

// previousCallback is what a workspace's callback was before the operator took it over. It is kept in an annotation of
// every policy of the workspace, because status may be wiped and the first policy may go before the others.
type previousCallback struct {
	WorkspaceSID string `json:"workspaceSid"`
	// AccountSID owns the workspace: to another account's credentials it does not exist, which is no proof that it is gone.
	AccountSID string `json:"accountSid,omitempty"`
	URL        string `json:"url"`
	Filter     string `json:"filter"`
	// Applied is the URL that the operator sets, by which it is recognised after the public URL has changed.
	Applied string `json:"applied"`
	// Replaced is the operator's own earlier URL while that is still in the slot: setting Applied may fail, and the next
	// attempt must not take it for somebody else's.
	Replaced string `json:"replaced,omitempty"`
	// Guessed says that the operator's URL was in the slot already and no record was found. A record that another policy
	// of the workspace turns out to have is believed instead.
	Guessed bool `json:"guessed,omitempty"`
}

// readPrevious reads a policy's record; nil when it has none, or one that cannot be read.
func readPrevious(policy *v1alpha1.InactivityPolicy) *previousCallback {
	var record previousCallback
	text, found := policy.Annotations[v1alpha1.AnnotationPreviousCallback]
	if !found || json.Unmarshal([]byte(text), &record) != nil || record.WorkspaceSID == "" {
		return nil
	}
	return &record
}

// writePrevious writes a policy's record, or removes it when record is nil. It is refused when the policy is not the newest
// any more: a record that another reconcile has just written must not be lost to a guess.
func (r *InactivityPolicyReconciler) writePrevious(ctx context.Context, policy *v1alpha1.InactivityPolicy, record *previousCallback) error {
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

// knows reports whether the operator has set the URL, as far as the record tells.
func (p *previousCallback) knows(observed string) bool {
	return p != nil && (callback.SameEndpoint(observed, p.Applied) || callback.SameEndpoint(observed, p.Replaced))
}

// isOurs reports whether the operator has set the URL: it is the wanted endpoint, or a record of the workspace knows it.
func isOurs(observed, wanted, workspaceSID string, own *previousCallback, siblings []v1alpha1.InactivityPolicy) bool {
	return callback.SameEndpoint(observed, wanted) || own.knows(observed) ||
		slices.ContainsFunc(siblings, func(sibling v1alpha1.InactivityPolicy) bool {
			kept := readPrevious(&sibling)
			return kept != nil && kept.WorkspaceSID == workspaceSID && kept.knows(observed)
		})
}

// bestRecord is the record of a workspace that is believed: the policy's own, unless there is none or it is a guess and
// another policy of the workspace has one. Nil when nobody has any.
func bestRecord(workspaceSID string, own *previousCallback, siblings []v1alpha1.InactivityPolicy) *previousCallback {
	best := own
	for i := range siblings {
		if best != nil && !best.Guessed {
			break
		}
		kept := readPrevious(&siblings[i])
		if kept != nil && kept.WorkspaceSID == workspaceSID && (best == nil || !kept.Guessed) {
			best = kept
		}
	}
	return best
}

// recordFor returns the record to keep of what the workspace's callback was, now that the wanted URL is about to be set.
func (r *InactivityPolicyReconciler) recordFor(ctx context.Context, scope *scope, own *previousCallback, siblings []v1alpha1.InactivityPolicy,
	wanted string, ours bool) (*previousCallback, error) {
	workspace := scope.workspace
	if !ours && workspace.EventCallbackURL != "" {
		observed := &previousCallback{WorkspaceSID: workspace.SID, AccountSID: scope.accountSID, URL: workspace.EventCallbackURL, Filter: workspace.EventsFilter, Applied: wanted}
		for i := range siblings {
			// If somebody has put another callback in the place of the operator's, that is what has to come back now.
			if kept := readPrevious(&siblings[i]); kept != nil && kept.WorkspaceSID == workspace.SID {
				if err := r.writePrevious(ctx, &siblings[i], observed); err != nil {
					return nil, err
				}
			}
		}
		return observed, nil
	}
	record := bestRecord(workspace.SID, own, siblings)
	switch {
	case record != nil:
	case ours:
		record = &previousCallback{WorkspaceSID: workspace.SID, AccountSID: scope.accountSID, Guessed: true}
	default:
		record = &previousCallback{WorkspaceSID: workspace.SID, AccountSID: scope.accountSID, Filter: workspace.EventsFilter}
	}
	record.Applied, record.Replaced = wanted, ""
	if ours && !callback.SameEndpoint(workspace.EventCallbackURL, wanted) {
		record.Replaced = workspace.EventCallbackURL
	}
	return record, nil
}

// handOver leaves the record of a policy that goes to those that remain in the workspace.
func (r *InactivityPolicyReconciler) handOver(ctx context.Context, remaining []v1alpha1.InactivityPolicy, record *previousCallback) error {
	for i := range remaining {
		if kept := readPrevious(&remaining[i]); kept == nil || kept.Guessed && !record.Guessed {
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

// heirs are the siblings that keep the workspace's callback when a policy goes: those that stay and want it. One whose
// record is of another workspace is still on its way here; it takes the callback over itself when it has arrived.
func heirs(workspaceSID string, siblings []v1alpha1.InactivityPolicy) []v1alpha1.InactivityPolicy {
	return slices.DeleteFunc(siblings, func(sibling v1alpha1.InactivityPolicy) bool {
		kept := readPrevious(&sibling)
		return !sibling.DeletionTimestamp.IsZero() || !sibling.ManagesCallback() || kept != nil && kept.WorkspaceSID != workspaceSID
	})
}
