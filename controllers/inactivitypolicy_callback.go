package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	corev1 "k8s.io/api/core/v1"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

const (
	// eventReservationAccepted is the one TaskRouter event the operator needs
	// (https://www.twilio.com/docs/taskrouter/api/event/reference).
	eventReservationAccepted = "reservation.accepted"

	// shownURLLength is how much of an address a message shows: two of them, and what there is to say about them, fit
	// into an event.
	shownURLLength = 256

	actionCallback         = "ConfigureCallback"
	eventCallbackSet       = "CallbackSet"
	eventCallbackRepaired  = "CallbackRepaired"
	eventCallbackRestored  = "CallbackRestored"
	eventCallbackLeft      = "CallbackLeft"
	eventCallbackAbandoned = "CallbackNotRestored"
)

// configureCallback makes the workspace call the operator: observe, compare, and write on a difference.
func (r *InactivityPolicyReconciler) configureCallback(ctx context.Context, scope *scope) *problem {
	policy, workspace := scope.policy, scope.workspace
	record := readPrevious(policy)
	if policy.Observes() {
		scope.callback = callbackState{reason: v1alpha1.ReasonObserving,
			message: "spec.mode is Observe: the workspace's callback is left as it is, and idle conversations are found by the sweep alone"}
		return nil
	}
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
	siblings, err := r.siblings(ctx, policy, workspace.SID)
	if err != nil {
		return unrecorded(err)
	}
	holders, err := r.holders(ctx, policy, siblings, workspace.SID, scope.accountSID)
	if err != nil {
		return unrecorded(err)
	}
	ours := isOurs(workspace.EventCallbackURL, wanted, workspace.SID, record, holders)
	taken := !ours && workspace.EventCallbackURL != ""
	if taken && policy.OnConflict() == v1alpha1.ConflictRefuse {
		return r.refuse(ctx, scope, holders)
	}
	record = recordFor(scope, record, holders, wanted, ours)
	forward := forwards(policy, siblings, record.Forward)
	ending := record.Forward && !forward
	filter := eventReservationAccepted
	switch {
	case forward && record.URL != "":
		observed := record.Filter
		if ours {
			observed = workspace.EventsFilter
		}
		filter = record.ForwardingFilter(observed, eventReservationAccepted)
	case ours && !ending:
		filter = callback.WithEvents(workspace.EventsFilter, eventReservationAccepted)
	}
	record.Forward = forward || ending
	if err := r.keep(ctx, policy, holders, record, taken); err != nil {
		return unrecorded(err)
	}
	if problem := r.writeCallback(ctx, scope, wanted, filter); problem != nil {
		return problem
	}
	if ending || !record.Set {
		// Only now: until they were written, the callback may not be set, and the filter is still the other party's, too.
		record.Forward, record.Set = forward, true
		if err := r.keep(ctx, policy, holders, record, taken); err != nil {
			return unrecorded(err)
		}
	}
	scope.callback = callbackState{url: wanted, reason: v1alpha1.ReasonSucceeded, message: configured(policy, record)}
	return nil
}

// refuse leaves a workspace to somebody else whom it calls.
func (r *InactivityPolicyReconciler) refuse(ctx context.Context, scope *scope, holders []v1alpha1.InactivityPolicy) *problem {
	workspace := scope.workspace
	if err := r.forget(ctx, scope.policy, holders, workspace, scope.accountSID); err != nil {
		return unrecorded(err)
	}
	return &problem{class: terminal, reason: v1alpha1.ReasonCallbackInUse, cause: fmt.Errorf("callback of workspace %s in use", workspace.SID),
		message: fmt.Sprintf("Workspace %s already calls %s: remove that callback in TaskRouter, or set spec.callback.onConflict to Replace, or to Forward to pass its events on",
			workspace.SID, shownURL(workspace.EventCallbackURL))}
}

// configured says whom the workspace calls, and who else hears of it. The text is stable.
func configured(policy *v1alpha1.InactivityPolicy, record *callback.Previous) string {
	message := fmt.Sprintf("Workspace %s calls %s", record.WorkspaceSID, shownURL(record.Applied))
	switch {
	case record.Forwards():
		return fmt.Sprintf("%s; its events go on to %s", message, shownURL(record.URL))
	case policy.OnConflict() == v1alpha1.ConflictForward:
		return message + "; there is nobody to forward its events to: no other callback is recorded"
	default:
		return message
	}
}

// unrecorded is the problem that the record of the previous callback could not be read or written. Without it nothing is
// written to Twilio.
func unrecorded(err error) *problem {
	return &problem{class: transient, reason: v1alpha1.ReasonProgressing, cause: err,
		message: "The previous callback could not be recorded; it is tried again"}
}

// writeCallback writes the callback URL and filter when they differ from what is wanted.
func (r *InactivityPolicyReconciler) writeCallback(ctx context.Context, scope *scope, wanted, filter string) *problem {
	workspace := scope.workspace
	if workspace.EventCallbackURL == wanted && filter == workspace.EventsFilter {
		return nil
	}
	updated, err := scope.client.UpdateWorkspaceCallback(ctx, workspace.SID, wanted, filter)
	switch {
	case twilio.IsRefused(err) && !twilio.IsUnauthorized(err) && !twilio.IsThrottled(err) && !twilio.IsNotFound(err):
		return &problem{class: terminal, reason: v1alpha1.ReasonCallbackRejected, cause: err,
			message: fmt.Sprintf("Twilio refused %s as the callback of workspace %s: check --public-url", shownURL(wanted), workspace.SID)}
	case err != nil:
		return twilioProblem(scope.policy, "setting the callback of workspace "+workspace.SID, err)
	}
	reason := eventCallbackSet
	if before := scope.policy.Status.Workspace; before != nil && before.SID == workspace.SID && before.CallbackURL == wanted {
		reason = eventCallbackRepaired
		r.DriftRepaired()
	}
	r.announce(scope.policy, corev1.EventTypeNormal, reason, actionCallback,
		"Workspace %s: callback set to %s", workspace.SID, shownURL(wanted))
	scope.workspace = &updated
	return nil
}

// giveBack gives up a workspace that the policy no longer manages.
func (r *InactivityPolicyReconciler) giveBack(ctx context.Context, scope *scope, record *callback.Previous) *problem {
	err := r.release(ctx, scope.policy, record, func() (TwilioClient, string, error) { return scope.client, scope.accountSID, nil })
	switch {
	case errors.Is(err, errOtherAccount):
		r.abandon(scope.policy, record, err)
	case err != nil:
		return twilioProblem(scope.policy, "putting back the callback of workspace "+record.WorkspaceSID, err)
	}
	if err := r.writePrevious(ctx, scope.policy, nil); err != nil {
		return &problem{class: transient, reason: v1alpha1.ReasonProgressing, cause: err,
			message: "The record of the previous callback could not be removed; it is tried again"}
	}
	return nil
}

// errOtherAccount says that a callback cannot be put back because the credentials are of another account by now.
var errOtherAccount = errors.New("the credentials are of another account than the workspace")

// release takes the policy off the workspace of its record. While other policies of the workspace remain, they are left
// the record; the last one puts back what was there before, unless somebody else has taken the slot meanwhile, and takes the
// records away that others still have, such as one that is suspended: what is there now is its owner's business again. connect
// gives a client, and the account that it is of.
func (r *InactivityPolicyReconciler) release(ctx context.Context, policy *v1alpha1.InactivityPolicy, record *callback.Previous,
	connect func() (TwilioClient, string, error)) error {
	siblings, err := r.siblings(ctx, policy, record.WorkspaceSID)
	if err != nil {
		return err
	}
	if remaining := heirs(record.WorkspaceSID, siblings); len(remaining) > 0 {
		return r.handOver(ctx, remaining, record)
	}
	twilioClient, accountSID, err := connect()
	if err != nil {
		return err
	}
	if record.AccountSID != "" && record.AccountSID != accountSID {
		return errOtherAccount
	}
	workspace, err := twilioClient.GetWorkspace(ctx, record.WorkspaceSID)
	if twilio.IsNotFound(err) {
		r.announce(policy, corev1.EventTypeNormal, eventCallbackLeft, actionCallback,
			"Workspace %s does not exist in the account of the policy's credentials: there is no callback to put back", record.WorkspaceSID)
		return nil
	}
	if err != nil {
		return err
	}
	wanted := record.Applied
	if r.PublicURL != nil {
		wanted = callback.WorkspaceCallbackURL(r.PublicURL, record.WorkspaceSID)
	}
	if !isOurs(workspace.EventCallbackURL, wanted, record.WorkspaceSID, record, nil) {
		r.announce(policy, corev1.EventTypeNormal, eventCallbackLeft, actionCallback,
			"Workspace %s: the callback is not the operator's any more, and is left as it is", record.WorkspaceSID)
	} else {
		workspace.EventCallbackURL, workspace.EventsFilter = record.URL, record.Filter
		if _, err := twilioClient.UpdateWorkspaceCallback(ctx, record.WorkspaceSID, record.URL, record.Filter); err != nil {
			return err
		}
		r.announce(policy, corev1.EventTypeNormal, eventCallbackRestored, actionCallback,
			"Workspace %s: callback put back to %s", record.WorkspaceSID, shownURL(record.URL))
	}
	holders, err := r.holders(ctx, policy, siblings, record.WorkspaceSID, accountSID)
	if err != nil {
		return err
	}
	return r.forgetOfOthers(ctx, policy, holders, &workspace, accountSID)
}

// abandon says what is left to do by hand when a callback cannot be put back.
func (r *InactivityPolicyReconciler) abandon(policy *v1alpha1.InactivityPolicy, record *callback.Previous, cause error) {
	r.announce(policy, corev1.EventTypeWarning, eventCallbackAbandoned, actionCallback,
		"Workspace %s may still call %s: set its callback to %s and its events to %q by hand, because the operator could not: %s",
		record.WorkspaceSID, shownURL(record.Applied), shownURL(record.URL), record.Filter, cause)
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
	return shortened(parsed.Scheme+"://"+parsed.Host+parsed.EscapedPath(), shownURLLength)
}
