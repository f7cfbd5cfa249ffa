package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/index"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

const (
	// eventReservationAccepted is the one TaskRouter event the operator needs
	// (https://www.twilio.com/docs/taskrouter/api/event/reference).
	eventReservationAccepted = "reservation.accepted"

	actionCallback         = "ConfigureCallback"
	eventCallbackSet       = "CallbackSet"
	eventCallbackRepaired  = "CallbackRepaired"
	eventCallbackRestored  = "CallbackRestored"
	eventCallbackLeft      = "CallbackLeft"
	eventCallbackAbandoned = "CallbackNotRestored"
)

// previousCallback is what a workspace's callback was before the operator took it over. It is kept in an annotation of
// every policy of the workspace, because status may be wiped and the first policy may go before the others.
type previousCallback struct {
	WorkspaceSID string `json:"workspaceSid"`
	URL          string `json:"url"`
	Filter       string `json:"filter"`
	// Applied is the URL that the operator has set, by which it is recognised after the public URL has changed.
	Applied string `json:"applied"`
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

// writePrevious writes a policy's record, or removes it when record is nil.
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
	if err := r.Client.Patch(ctx, changed, client.MergeFrom(policy)); err != nil {
		return fmt.Errorf("recording the previous callback on policy %s/%s: %w", policy.Namespace, policy.Name, err)
	}
	*policy = *changed
	policy.Status = status
	return nil
}

// configureCallback makes the workspace call the operator: observe, compare, and write on a difference.
func (r *InactivityPolicyReconciler) configureCallback(ctx context.Context, scope *scope) *problem {
	policy, workspace := scope.policy, scope.workspace
	record := readPrevious(policy)
	if record != nil && (record.WorkspaceSID != workspace.SID || !policy.ManagesCallback()) {
		// The policy has moved to another workspace, or has given up callbacks: what it took it gives back.
		if problem := r.giveBack(ctx, scope, record); problem != nil {
			return problem
		}
		record = nil
	}
	if !policy.ManagesCallback() {
		scope.callback = callbackState{reason: v1alpha1.ReasonCallbackDisabled,
			message: "spec.callback.mode is Disabled: idle conversations are found by the sweep alone"}
		return nil
	}

	wanted := callback.WorkspaceCallbackURL(r.PublicURL, workspace.SID)
	ours := isOurs(workspace.EventCallbackURL, wanted, record)
	if !ours && workspace.EventCallbackURL != "" && !policy.ReplacesCallback() {
		return &problem{class: terminal, reason: v1alpha1.ReasonCallbackInUse, cause: fmt.Errorf("callback of workspace %s in use", workspace.SID),
			message: fmt.Sprintf("Workspace %s already calls %s: remove that callback in TaskRouter, or set spec.callback.onConflict to Replace", workspace.SID, shownURL(workspace.EventCallbackURL))}
	}
	record, err := r.recordFor(ctx, scope, record, ours)
	if err == nil {
		record.Applied = wanted
		err = r.writePrevious(ctx, policy, record)
	}
	if err != nil {
		return &problem{class: transient, reason: v1alpha1.ReasonProgressing, cause: err,
			message: "The previous callback could not be recorded; it is tried again"}
	}
	if problem := r.writeCallback(ctx, scope, wanted, ours); problem != nil {
		return problem
	}
	scope.callback = callbackState{url: wanted, reason: v1alpha1.ReasonSucceeded,
		message: fmt.Sprintf("Workspace %s calls %s", workspace.SID, shownURL(wanted))}
	return nil
}

// recordFor returns the record of what the workspace's callback was. A slot that is the operator's already was recorded
// by another policy of the workspace; if none has the record, it is lost, and the slot counts as having been empty.
func (r *InactivityPolicyReconciler) recordFor(ctx context.Context, scope *scope, record *previousCallback, ours bool) (*previousCallback, error) {
	workspace := scope.workspace
	observed := &previousCallback{WorkspaceSID: workspace.SID, URL: workspace.EventCallbackURL, Filter: workspace.EventsFilter}
	switch {
	case ours && record != nil, record != nil && workspace.EventCallbackURL == "":
		return record, nil
	}
	siblings, err := r.siblings(ctx, scope.policy, workspace.SID)
	if err != nil {
		return nil, err
	}
	for i := range siblings {
		kept := readPrevious(&siblings[i])
		switch {
		case kept == nil || kept.WorkspaceSID != workspace.SID:
		case !ours && workspace.EventCallbackURL != "":
			// Somebody has put another callback in the place of the operator's: that is what has to come back now.
			if err := r.writePrevious(ctx, &siblings[i], observed); err != nil {
				return nil, err
			}
		default:
			return kept, nil
		}
	}
	if ours {
		return &previousCallback{WorkspaceSID: workspace.SID}, nil
	}
	return observed, nil
}

// writeCallback writes the callback URL and filter when they differ from what is wanted.
func (r *InactivityPolicyReconciler) writeCallback(ctx context.Context, scope *scope, wanted string, ours bool) *problem {
	workspace := scope.workspace
	filter := eventReservationAccepted
	if ours {
		filter = withEvent(workspace.EventsFilter, eventReservationAccepted)
	}
	if workspace.EventCallbackURL == wanted && filter == workspace.EventsFilter {
		return nil
	}
	updated, err := scope.client.UpdateWorkspaceCallback(ctx, workspace.SID, wanted, filter)
	switch {
	case twilio.IsRefused(err) && !twilio.IsUnauthorized(err) && !twilio.IsThrottled(err) && !twilio.IsNotFound(err):
		return &problem{class: terminal, reason: v1alpha1.ReasonCallbackRejected, cause: err,
			message: fmt.Sprintf("Twilio refused %s as the callback of workspace %s: check --public-url", shownURL(wanted), workspace.SID)}
	case err != nil:
		return twilioProblem("setting the callback of workspace "+workspace.SID, err)
	}
	reason := eventCallbackSet
	if before := scope.policy.Status.Workspace; before != nil && before.SID == workspace.SID && before.CallbackURL == wanted {
		reason = eventCallbackRepaired
		r.DriftRepaired()
	}
	r.Recorder.Eventf(scope.policy, nil, corev1.EventTypeNormal, reason, actionCallback,
		"Workspace %s: callback set to %s", workspace.SID, shownURL(wanted))
	scope.workspace = &updated
	return nil
}

// giveBack gives up a workspace that the policy no longer manages.
func (r *InactivityPolicyReconciler) giveBack(ctx context.Context, scope *scope, record *previousCallback) *problem {
	if err := r.release(ctx, scope.policy, record, func() (TwilioClient, error) { return scope.client, nil }); err != nil {
		return twilioProblem("putting back the callback of workspace "+record.WorkspaceSID, err)
	}
	if err := r.writePrevious(ctx, scope.policy, nil); err != nil {
		return &problem{class: transient, reason: v1alpha1.ReasonProgressing, cause: err,
			message: "The record of the previous callback could not be removed; it is tried again"}
	}
	return nil
}

// release takes the policy off the workspace of its record. While other policies of the workspace remain, they are left
// the record; the last one puts back what was there before, unless somebody else has taken the slot meanwhile.
func (r *InactivityPolicyReconciler) release(ctx context.Context, policy *v1alpha1.InactivityPolicy, record *previousCallback,
	connect func() (TwilioClient, error)) error {
	siblings, err := r.siblings(ctx, policy, record.WorkspaceSID)
	if err != nil {
		return err
	}
	remaining := slices.DeleteFunc(siblings, func(sibling v1alpha1.InactivityPolicy) bool {
		return !sibling.DeletionTimestamp.IsZero() || !sibling.ManagesCallback()
	})
	if len(remaining) > 0 {
		for i := range remaining {
			if readPrevious(&remaining[i]) == nil {
				if err := r.writePrevious(ctx, &remaining[i], record); err != nil {
					return err
				}
			}
		}
		return nil
	}
	twilioClient, err := connect()
	if err != nil {
		return err
	}
	workspace, err := twilioClient.GetWorkspace(ctx, record.WorkspaceSID)
	if twilio.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	wanted := record.Applied
	if r.PublicURL != nil {
		wanted = callback.WorkspaceCallbackURL(r.PublicURL, record.WorkspaceSID)
	}
	if !isOurs(workspace.EventCallbackURL, wanted, record) {
		r.Recorder.Eventf(policy, nil, corev1.EventTypeNormal, eventCallbackLeft, actionCallback,
			"Workspace %s: the callback is not the operator's any more, and is left as it is", record.WorkspaceSID)
		return nil
	}
	if _, err := twilioClient.UpdateWorkspaceCallback(ctx, record.WorkspaceSID, record.URL, record.Filter); err != nil {
		return err
	}
	r.Recorder.Eventf(policy, nil, corev1.EventTypeNormal, eventCallbackRestored, actionCallback,
		"Workspace %s: callback put back to %s", record.WorkspaceSID, shownURL(record.URL))
	return nil
}

// siblings are the other policies of the workspace.
func (r *InactivityPolicyReconciler) siblings(ctx context.Context, policy *v1alpha1.InactivityPolicy, workspaceSID string) ([]v1alpha1.InactivityPolicy, error) {
	all, err := index.PoliciesForWorkspace(ctx, r.Client, workspaceSID)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(other v1alpha1.InactivityPolicy) bool { return other.UID == policy.UID }), nil
}

// isOurs reports whether the operator has set the URL: it is the wanted endpoint, or the one that was applied last.
func isOurs(observed, wanted string, record *previousCallback) bool {
	return callback.SameEndpoint(observed, wanted) || record != nil && callback.SameEndpoint(observed, record.Applied)
}

// withEvent returns the filter with the event in it, and as it was when it has the event already.
func withEvent(filter, event string) string {
	names := strings.Split(filter, ",")
	if slices.ContainsFunc(names, func(name string) bool { return strings.TrimSpace(name) == event }) {
		return filter
	}
	if strings.TrimSpace(filter) == "" {
		return event
	}
	return filter + "," + event
}

// shownURL is a callback URL as it may be shown: a password may be in its user information, a token in its query.
func shownURL(raw string) string {
	if raw == "" {
		return "nothing"
	}
	parsed, err := url.Parse(raw)
	if err != nil || parsed.Host == "" {
		return "an address that cannot be shown"
	}
	return parsed.Scheme + "://" + parsed.Host + parsed.EscapedPath()
}
