package controllers

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// reconcileAtLength is how much of the annotation reconcileAt the status holds; an annotation may be far longer.
const reconcileAtLength = 256

// markProgressing says that a new generation is being worked on, before anybody outside is asked.
func markProgressing(policy *v1alpha1.InactivityPolicy) {
	const message = "The policy is being brought into force"
	setCondition(policy, v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonProgressing, message)
	setCondition(policy, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonProgressing, message)
	meta.RemoveStatusCondition(&policy.Status.Conditions, v1alpha1.ConditionStalled)
}

// markDeleting says what the deletion of a policy waits for. The texts of the causes are stable.
func markDeleting(policy *v1alpha1.InactivityPolicy, workspaceSID string, cause error) {
	message := fmt.Sprintf("Being deleted: putting back the callback of workspace %s failed, and is tried again for %s at most: %s", workspaceSID, deletionPatience, cause)
	policy.Status.ObservedGeneration = policy.Generation
	policy.Status.LastHandledReconcileAt = handledReconcileAt(policy)
	setCondition(policy, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting, message)
	setCondition(policy, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonDeleting, message)
	meta.RemoveStatusCondition(&policy.Status.Conditions, v1alpha1.ConditionStalled)
}

// summarize writes what a reconcile has found out into the policy's status. The same findings give the same status.
func summarize(policy *v1alpha1.InactivityPolicy, scope *scope, problem *problem, now time.Time) {
	status := &policy.Status
	status.ObservedGeneration = policy.Generation
	status.LastHandledReconcileAt = handledReconcileAt(policy)
	observeWorkspace(policy, scope)
	markOverlap(policy, scope.overlap)
	if policy.Spec.Suspend {
		summarizeSuspended(policy)
		return
	}
	if problem != nil {
		if scope.overlap.revision != "" && scope.overlap.revision != status.EffectiveRevision {
			// Edited since it took effect: it is not in force until it takes effect anew.
			outOfForce(status)
		}
		summarizeProblem(policy, problem)
		return
	}
	if policy.Spec.Limits == nil || policy.Spec.Limits.ClosesPerMinute == 0 {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionThrottled)
	}
	configured := metav1.ConditionTrue
	if scope.callback.url == "" {
		configured = metav1.ConditionFalse
	}
	setCondition(policy, v1alpha1.ConditionCallbackConfigured, configured, scope.callback.reason, scope.callback.message)
	reason, message := takeEffect(policy, scope, now)
	if scope.degraded != nil {
		// In force all the same: conversations are ended as soon as Twilio lets them be.
		markFailing(policy, scope.degraded)
		return
	}
	setCondition(policy, v1alpha1.ConditionReady, metav1.ConditionTrue, reason, message)
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionReconciling)
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionStalled)
}

// takeEffect brings the policy into force, and says since when: anew when anything has changed that its clocks or its set of
// conversations depend on. It returns what the condition Ready says of it.
func takeEffect(policy *v1alpha1.InactivityPolicy, scope *scope, now time.Time) (reason, message string) {
	status := &policy.Status
	if scope.overlap.coveredBy != "" {
		outOfForce(status)
		return v1alpha1.ReasonStandby, scope.withHint(
			fmt.Sprintf("Standing by: all conversations of workspace %s that this policy selects are those of %s", scope.workspace.SID, scope.overlap.coveredBy))
	}
	if status.EffectiveSince == nil || status.EffectiveRevision != scope.overlap.revision {
		status.EffectiveSince = &metav1.Time{Time: now.Truncate(time.Second)}
		status.EffectiveRevision = scope.overlap.revision
	}
	reason, message = v1alpha1.ReasonSucceeded,
		fmt.Sprintf("In force: conversations of workspace %s that are idle for %s are acted on", scope.workspace.SID, policy.Spec.Timeout)
	if policy.Observes() {
		reason, message = v1alpha1.ReasonObserving,
			fmt.Sprintf("Observing: what would be done about conversations of workspace %s that are idle for %s is logged and counted, and not done", scope.workspace.SID, policy.Spec.Timeout)
	}
	return reason, scope.withHint(message)
}

// markFailing says that the policy does not do what it should, and that the operator goes on trying or that somebody has to
// change something.
func markFailing(policy *v1alpha1.InactivityPolicy, problem *problem) {
	goesOn, over := v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled
	if problem.class == terminal {
		goesOn, over = over, goesOn
	}
	setCondition(policy, v1alpha1.ConditionReady, metav1.ConditionFalse, problem.reason, problem.message)
	setCondition(policy, goesOn, metav1.ConditionTrue, problem.reason, problem.message)
	meta.RemoveStatusCondition(&policy.Status.Conditions, over)
}

// withHint is what the condition Ready says, with what somebody should mend although the policy works.
func (s *scope) withHint(message string) string {
	if s.unknownQueues == "" {
		return message
	}
	return message + "; " + s.unknownQueues
}

// outOfForce takes back what only a policy in force has. When it comes into force again, every clock starts anew.
func outOfForce(status *v1alpha1.InactivityPolicyStatus) {
	status.EffectiveSince, status.EffectiveRevision, status.Conversations = nil, "", nil
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionThrottled)
}

// markOverlap names the policies that may select the same conversations, and says which takes precedence.
func markOverlap(policy *v1alpha1.InactivityPolicy, overlap overlap) {
	if len(overlap.precededBy)+len(overlap.precedes) == 0 {
		meta.RemoveStatusCondition(&policy.Status.Conditions, v1alpha1.ConditionOverlapping)
		return
	}
	var parts []string
	if len(overlap.precededBy) > 0 {
		parts = append(parts, "yields to "+joined(overlap.precededBy, namedPolicies))
	}
	if len(overlap.precedes) > 0 {
		parts = append(parts, "takes precedence over "+joined(overlap.precedes, namedPolicies))
	}
	setCondition(policy, v1alpha1.ConditionOverlapping, metav1.ConditionTrue, v1alpha1.ReasonSharedConversations,
		fmt.Sprintf("Other policies of the workspace may select the same conversations; this one %s: spec.priority decides, then age", strings.Join(parts, ", and ")))
}

// markThrottled says whether conversations wait for the policy's limit.
func markThrottled(policy *v1alpha1.InactivityPolicy, limit int, waiting bool) {
	if waiting {
		setCondition(policy, v1alpha1.ConditionThrottled, metav1.ConditionTrue, v1alpha1.ReasonLimitReached,
			fmt.Sprintf("More conversations are due than spec.limits.closesPerMinute %d lets end at once; the longest due are ended first", limit))
		return
	}
	setCondition(policy, v1alpha1.ConditionThrottled, metav1.ConditionFalse, v1alpha1.ReasonWithinLimit,
		fmt.Sprintf("No conversation waits for spec.limits.closesPerMinute %d", limit))
}

// summarizeSuspended says that the policy is what its spec asks for: out of force. When it is resumed, every clock
// starts anew, because nobody watched the conversations meanwhile.
func summarizeSuspended(policy *v1alpha1.InactivityPolicy) {
	outOfForce(&policy.Status)
	setCondition(policy, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended,
		"Suspended: nothing is acted on until spec.suspend is removed")
	meta.RemoveStatusCondition(&policy.Status.Conditions, v1alpha1.ConditionReconciling)
	meta.RemoveStatusCondition(&policy.Status.Conditions, v1alpha1.ConditionStalled)
}

// summarizeProblem says why the policy is not in force. A policy that was in force stays so while Twilio or its Secret
// cannot be reached; not when its spec is invalid, or its callback belongs to somebody else, who may be ending
// conversations too.
func summarizeProblem(policy *v1alpha1.InactivityPolicy, problem *problem) {
	conditions := &policy.Status.Conditions
	markFailing(policy, problem)
	switch problem.reason {
	case v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonCallbackInUse, v1alpha1.ReasonCallbackRejected:
		outOfForce(&policy.Status)
	}
	switch problem.reason {
	case v1alpha1.ReasonCallbackInUse, v1alpha1.ReasonCallbackRejected:
		if policy.Status.Workspace != nil {
			policy.Status.Workspace.CallbackURL = ""
		}
		setCondition(policy, v1alpha1.ConditionCallbackConfigured, metav1.ConditionFalse, problem.reason, problem.message)
	default:
		if meta.FindStatusCondition(*conditions, v1alpha1.ConditionCallbackConfigured) == nil {
			message := "The workspace's callback has not been looked at yet"
			if record := readPrevious(policy); record != nil {
				message = fmt.Sprintf("Workspace %s still calls the operator: its callback is put back once spec.workspace is found, or the policy is deleted", record.WorkspaceSID)
			}
			setCondition(policy, v1alpha1.ConditionCallbackConfigured, metav1.ConditionUnknown, problem.reason, message)
		}
	}
}

// observeWorkspace records the workspace that was found. One that spec does not mean any more is forgotten, so that the
// policy acts on none until the new one is found.
func observeWorkspace(policy *v1alpha1.InactivityPolicy, scope *scope) {
	status := &policy.Status
	before := status.Workspace
	if before != nil && !policy.Spec.Workspace.Names(before) || scope.workspace != nil && before != nil && before.SID != scope.workspace.SID {
		outOfForce(status)
		status.Workspace = nil
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

// handledReconcileAt is the value of the annotation that asks for a reconcile, as far as the status holds it.
func handledReconcileAt(policy *v1alpha1.InactivityPolicy) string {
	return shortened(policy.Annotations[v1alpha1.AnnotationReconcileAt], reconcileAtLength)
}

func setCondition(policy *v1alpha1.InactivityPolicy, kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&policy.Status.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: policy.Generation,
	})
}
