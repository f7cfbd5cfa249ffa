package controllers

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

const (
	// deletionPatience is how long the deletion of a policy waits for credentials or for Twilio before it lets go and
	// says what is left to do by hand. A namespace must not hang on it for longer. It counts from the leader's own first
	// attempt: no attempt was made while nobody led, and the API server's clock may be ahead of the leader's.
	deletionPatience = 2 * time.Minute

	// deletionLimit is how old a deletion may be that is tried more than once: a leader that crashes again and again would
	// begin its patience anew each time.
	deletionLimit = 30 * time.Minute

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
		err := r.release(ctx, policy, record, func() (TwilioClient, string, error) { return r.connect(ctx, policy) })
		if err != nil && !errors.Is(err, errOtherAccount) && r.keepsTrying(policy) {
			return r.retryDelete(ctx, policy, record, err)
		}
		if err != nil {
			log.FromContext(ctx).Error(err, "Giving up putting the callback back", "workspace", record.WorkspaceSID)
			r.abandon(policy, record, err)
		}
	}
	if err := r.setFinalizer(ctx, policy, false); err != nil {
		return ctrl.Result{}, err
	}
	r.deletions.Delete(policy.UID)
	return ctrl.Result{}, nil
}

// keepsTrying reports whether the deletion of a policy is tried again, and takes note of when it was first tried.
func (r *InactivityPolicyReconciler) keepsTrying(policy *v1alpha1.InactivityPolicy) bool {
	first, _ := r.deletions.LoadOrStore(policy.UID, r.Clock.Now())
	return r.Clock.Since(first.(time.Time)) < deletionPatience && r.Clock.Since(policy.DeletionTimestamp.Time) < deletionLimit
}

// retryDelete says what the deletion waits for, and when it is tried again.
func (r *InactivityPolicyReconciler) retryDelete(ctx context.Context, policy *v1alpha1.InactivityPolicy, record *callback.Previous, cause error) (ctrl.Result, error) {
	log.FromContext(ctx).Info("Putting the callback back failed, and is tried again", "workspace", record.WorkspaceSID, "reason", cause.Error())
	err := r.patchStatus(ctx, policy, func(policy *v1alpha1.InactivityPolicy) { markDeleting(policy, record.WorkspaceSID, cause) })
	if err != nil {
		return ctrl.Result{}, err
	}
	wait := deletionRetry
	if asked, told := twilio.RetryAfter(cause); told {
		wait = min(asked, deletionPatience)
	}
	return ctrl.Result{RequeueAfter: r.Random.lengthened(wait)}, nil
}

// takenOver returns the record of the workspace whose callback the policy has taken over, nil when it has taken none. A
// policy that has lost its record but has configured a callback uses the record of another policy of the workspace.
func (r *InactivityPolicyReconciler) takenOver(ctx context.Context, policy *v1alpha1.InactivityPolicy) (*callback.Previous, error) {
	record := readPrevious(policy)
	if record == nil {
		workspace := policy.Status.Workspace
		if workspace == nil || workspace.CallbackURL == "" {
			return nil, nil
		}
		record = &callback.Previous{WorkspaceSID: workspace.SID, Applied: workspace.CallbackURL, Guessed: true}
	}
	siblings, err := r.siblings(ctx, policy, record.WorkspaceSID)
	if err != nil {
		return nil, err
	}
	holders := siblings
	if policy.Status.Workspace != nil {
		if holders, err = r.holders(ctx, policy, siblings, record.WorkspaceSID, policy.Status.Workspace.AccountSID); err != nil {
			return nil, err
		}
	}
	return bestRecord(record.WorkspaceSID, record, holders), nil
}

// connect makes a client from what is known of the Secret, because it may be on its way out as well: reading one that is
// gone would make it forgotten. A token that has been rotated meanwhile is found within the deletion's patience.
func (r *InactivityPolicyReconciler) connect(ctx context.Context, policy *v1alpha1.InactivityPolicy) (TwilioClient, string, error) {
	name := types.NamespacedName{Namespace: policy.Namespace, Name: policy.Spec.CredentialsSecretRef.Name}
	found, known := r.Credentials.Get(name)
	if !known {
		var err error
		if found, err = r.Credentials.Refresh(ctx, name); err != nil {
			return nil, "", err
		}
	}
	twilioClient, err := r.Twilio(found.Twilio)
	return twilioClient, found.AccountSID(), err
}
