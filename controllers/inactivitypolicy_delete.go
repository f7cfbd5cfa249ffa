package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

const (
	// deletionPatience is how long the deletion of a policy waits for credentials or for Twilio before it lets go and
	// says what is left to do by hand. A namespace must not hang on it for longer.
	deletionPatience = 2 * time.Minute

	// deletionRetry is how often it tries meanwhile.
	deletionRetry = 10 * time.Second
)

// reconcileDelete puts the workspace's callback back and lets the policy go. It needs less than bringing a policy into
// force does: neither a valid nor an active policy, and for a bounded time only its credentials.
func (r *InactivityPolicyReconciler) reconcileDelete(ctx context.Context, policy *v1alpha1.InactivityPolicy) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(policy, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil
	}
	record, err := r.takenOver(ctx, policy)
	if err != nil {
		return ctrl.Result{}, err
	}
	if record != nil {
		err := r.release(ctx, policy, record, func() (TwilioClient, error) { return r.connect(ctx, policy) })
		if err != nil && r.Clock.Since(policy.DeletionTimestamp.Time) < deletionPatience {
			log.FromContext(ctx).Info("Putting the callback back failed, and is tried again", "workspace", record.WorkspaceSID, "reason", err.Error())
			wait := deletionRetry
			if asked, told := twilio.RetryAfter(err); told {
				wait = min(asked, deletionPatience)
			}
			return ctrl.Result{RequeueAfter: withJitter(wait)}, nil
		}
		if err != nil {
			log.FromContext(ctx).Error(err, "Giving up putting the callback back", "workspace", record.WorkspaceSID)
			r.Recorder.Eventf(policy, nil, corev1.EventTypeWarning, eventCallbackAbandoned, actionCallback,
				"Workspace %s still calls %s, because Twilio could not be reached with the policy's credentials: set the callback to %s by hand",
				record.WorkspaceSID, shownURL(record.Applied), shownURL(record.URL))
		}
	}
	return ctrl.Result{}, r.setFinalizer(ctx, policy, false)
}

// takenOver returns the record of the workspace whose callback the policy has taken over, nil when it has taken none. A
// policy that has lost its record but has configured a callback uses the record of another policy of the workspace.
func (r *InactivityPolicyReconciler) takenOver(ctx context.Context, policy *v1alpha1.InactivityPolicy) (*previousCallback, error) {
	if record := readPrevious(policy); record != nil {
		return record, nil
	}
	workspace := policy.Status.Workspace
	if workspace == nil || workspace.CallbackURL == "" {
		return nil, nil
	}
	siblings, err := r.siblings(ctx, policy, workspace.SID)
	if err != nil {
		return nil, err
	}
	for i := range siblings {
		if record := readPrevious(&siblings[i]); record != nil && record.WorkspaceSID == workspace.SID {
			return record, nil
		}
	}
	return &previousCallback{WorkspaceSID: workspace.SID, Applied: workspace.CallbackURL}, nil
}

// connect makes a client from the Secret, or from what was last known of it when it is gone.
func (r *InactivityPolicyReconciler) connect(ctx context.Context, policy *v1alpha1.InactivityPolicy) (TwilioClient, error) {
	name := types.NamespacedName{Namespace: policy.Namespace, Name: policy.Spec.CredentialsSecretRef.Name}
	remembered, known := r.Credentials.Get(name)
	found, err := r.Credentials.Refresh(ctx, name)
	switch {
	case err == nil:
		remembered = found
	case !known:
		return nil, fmt.Errorf("reading Secret %s: %w", name, err)
	}
	return r.Twilio(remembered.Twilio)
}
