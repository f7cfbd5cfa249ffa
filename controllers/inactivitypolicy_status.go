package controllers

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// markProgressing says that a new generation is being worked on, before anybody outside is asked.
func markProgressing(policy *v1alpha1.InactivityPolicy) {
	const message = "The policy is being brought into force"
	setCondition(policy, v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonProgressing, message)
	setCondition(policy, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonProgressing, message)
	meta.RemoveStatusCondition(&policy.Status.Conditions, v1alpha1.ConditionStalled)
}

// markDeleting says what the deletion of a policy waits for.
func markDeleting(policy *v1alpha1.InactivityPolicy, workspaceSID string) {
	message := fmt.Sprintf("Being deleted: putting back the callback of workspace %s failed, and is tried again for %s at most", workspaceSID, deletionPatience)
	policy.Status.ObservedGeneration = policy.Generation
	policy.Status.LastHandledReconcileAt = policy.Annotations[v1alpha1.AnnotationReconcileAt]
	setCondition(policy, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting, message)
	setCondition(policy, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonDeleting, message)
	meta.RemoveStatusCondition(&policy.Status.Conditions, v1alpha1.ConditionStalled)
}

// summarize writes what a reconcile has found out into the policy's status. The same findings give the same status.
func summarize(policy *v1alpha1.InactivityPolicy, scope *scope, problem *problem, now time.Time) {
	status := &policy.Status
	status.ObservedGeneration = policy.Generation
	status.LastHandledReconcileAt = policy.Annotations[v1alpha1.AnnotationReconcileAt]
	if policy.Spec.Suspend {
		summarizeSuspended(policy)
		return
	}
	observeWorkspace(policy, scope)
	if problem != nil {
		summarizeProblem(policy, problem)
		return
	}
	if status.EffectiveSince == nil || status.EffectiveTimeout != policy.Spec.Timeout {
		status.EffectiveSince = &metav1.Time{Time: now.Truncate(time.Second)}
		status.EffectiveTimeout = policy.Spec.Timeout
	}
	configured := metav1.ConditionTrue
	if scope.callback.url == "" {
		configured = metav1.ConditionFalse
	}
	setCondition(policy, v1alpha1.ConditionCallbackConfigured, configured, scope.callback.reason, scope.callback.message)
	setCondition(policy, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded,
		fmt.Sprintf("In force: conversations of workspace %s that are idle for %s are acted on", scope.workspace.SID, policy.Spec.Timeout))
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionReconciling)
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionStalled)
}

// summarizeSuspended says that the policy is what its spec asks for: out of force. When it is resumed, every clock
// starts anew, because nobody watched the conversations meanwhile.
func summarizeSuspended(policy *v1alpha1.InactivityPolicy) {
	policy.Status.EffectiveSince, policy.Status.EffectiveTimeout = nil, ""
	policy.Status.Conversations = nil
	setCondition(policy, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended,
		"Suspended: nothing is acted on until spec.suspend is removed")
	meta.RemoveStatusCondition(&policy.Status.Conditions, v1alpha1.ConditionReconciling)
	meta.RemoveStatusCondition(&policy.Status.Conditions, v1alpha1.ConditionStalled)
}

// summarizeProblem says why the policy is not in force. A policy that was in force stays so while Twilio or its Secret
// cannot be reached; not when its callback belongs to somebody else, who may be ending conversations too.
func summarizeProblem(policy *v1alpha1.InactivityPolicy, problem *problem) {
	conditions := &policy.Status.Conditions
	setCondition(policy, v1alpha1.ConditionReady, metav1.ConditionFalse, problem.reason, problem.message)
	if problem.class == terminal {
		setCondition(policy, v1alpha1.ConditionStalled, metav1.ConditionTrue, problem.reason, problem.message)
		meta.RemoveStatusCondition(conditions, v1alpha1.ConditionReconciling)
	} else {
		setCondition(policy, v1alpha1.ConditionReconciling, metav1.ConditionTrue, problem.reason, problem.message)
		meta.RemoveStatusCondition(conditions, v1alpha1.ConditionStalled)
	}
	switch problem.reason {
	case v1alpha1.ReasonCallbackInUse, v1alpha1.ReasonCallbackRejected:
		policy.Status.EffectiveSince, policy.Status.EffectiveTimeout = nil, ""
		if policy.Status.Workspace != nil {
			policy.Status.Workspace.CallbackURL = ""
		}
		setCondition(policy, v1alpha1.ConditionCallbackConfigured, metav1.ConditionFalse, problem.reason, problem.message)
	default:
		if meta.FindStatusCondition(*conditions, v1alpha1.ConditionCallbackConfigured) == nil {
			setCondition(policy, v1alpha1.ConditionCallbackConfigured, metav1.ConditionUnknown, problem.reason,
				"The workspace's callback has not been looked at yet")
		}
	}
}

// observeWorkspace records the workspace that was found. One that spec does not mean any more is forgotten, so that the
// policy acts on none until the new one is found.
func observeWorkspace(policy *v1alpha1.InactivityPolicy, scope *scope) {
	status := &policy.Status
	before := status.Workspace
	if before != nil && !means(policy.Spec.Workspace, before) || scope.workspace != nil && before != nil && before.SID != scope.workspace.SID {
		status.Workspace, status.EffectiveSince, status.EffectiveTimeout, status.Conversations = nil, nil, "", nil
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionCallbackConfigured)
	}
	if scope.workspace == nil {
		return
	}
	observed := &v1alpha1.ObservedWorkspace{
		SID:          scope.workspace.SID,
		FriendlyName: scope.workspace.FriendlyName,
		AccountSID:   scope.workspace.AccountSID,
		CallbackURL:  scope.callback.url,
	}
	if scope.callback.reason == "" && status.Workspace != nil {
		// The callback was not looked at this time.
		observed.CallbackURL = status.Workspace.CallbackURL
	}
	status.Workspace = observed
}

// means reports whether the reference names the workspace.
func means(reference v1alpha1.WorkspaceReference, workspace *v1alpha1.ObservedWorkspace) bool {
	if reference.SID != "" {
		return reference.SID == workspace.SID
	}
	return reference.FriendlyName == workspace.FriendlyName
}

func setCondition(policy *v1alpha1.InactivityPolicy, kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&policy.Status.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: policy.Generation,
	})
}
