package controllers

import (
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

// class says what has to happen before a problem can go away.
type class int

const (
	// transient problems go away by themselves: they are retried with back-off. What is unknown is transient.
	transient class = iota
	// waiting problems go away when something appears that is expected to: they are retried at a fixed interval.
	waiting
	// terminal problems need somebody to change something: they are only looked at again at the sync interval, or when
	// the policy or its Secret changes; refused credentials a little more often.
	terminal
)

// secretRetry is how often a Secret that is missing is looked for.
const secretRetry = 15 * time.Second

// eventTwilioAnswers is the reason of the event that ends a time of ReasonDegraded.
const eventTwilioAnswers = "TwilioAnswers"

// refusedRetry is how often credentials that Twilio has refused are tried again. An account that was suspended may be active
// again, and nothing in the cluster changes then.
const refusedRetry = time.Minute

// noteLength is how long the note of an event may be: the API server refuses a longer one, and the event is lost.
const noteLength = 1024

// reasonTaskQueueNotFound is the reason of the event on a selector that names a task queue the workspace does not have.
const reasonTaskQueueNotFound = "TaskQueueNotFound"

// problem is why a policy is not in force. Reason and message go into conditions, so they are stable: the same problem
// has the same words every time. The cause goes to the log.
type problem struct {
	class   class
	reason  string
	message string
	cause   error
}

// twilioProblem classes an error of Twilio's to a policy's request. doing says what was tried, on what.
func twilioProblem(policy *v1alpha1.InactivityPolicy, doing string, err error) *problem {
	var refused *twilio.Error
	switch {
	case twilio.IsUnauthorized(err):
		return &problem{class: terminal, reason: v1alpha1.ReasonUnauthorized, cause: err,
			message: fmt.Sprintf("Twilio refused the credentials of Secret %s/%s while %s: check accountSid and authToken (or apiKeySid and apiKeySecret) in it, and that the account is active",
				policy.Namespace, policy.Spec.CredentialsSecretRef.Name, doing)}
	case errors.As(err, &refused) && refused.Status >= 400 && refused.Status < 500 && !twilio.IsThrottled(err):
		return &problem{class: transient, reason: v1alpha1.ReasonTwilioUnavailable, cause: err,
			message: fmt.Sprintf("Twilio refused %s with status %d and code %d", doing, refused.Status, refused.Code)}
	default:
		return &problem{class: transient, reason: v1alpha1.ReasonTwilioUnavailable, cause: err,
			message: fmt.Sprintf("Twilio is not available for %s; it is tried again", doing)}
	}
}

// next says when the policy is looked at again.
func (r *InactivityPolicyReconciler) next(problem *problem) (ctrl.Result, error) {
	if problem == nil {
		return ctrl.Result{RequeueAfter: r.Random.lengthened(r.SyncInterval)}, nil
	}
	switch problem.class {
	case waiting:
		return ctrl.Result{RequeueAfter: r.Random.lengthened(secretRetry)}, nil
	case terminal:
		if problem.reason == v1alpha1.ReasonUnauthorized {
			return ctrl.Result{RequeueAfter: r.Random.lengthened(min(refusedRetry, r.SyncInterval))}, nil
		}
		return ctrl.Result{RequeueAfter: r.Random.lengthened(r.SyncInterval)}, nil
	case transient:
	}
	if wait, told := twilio.RetryAfter(problem.cause); told {
		return ctrl.Result{RequeueAfter: r.Random.lengthened(wait)}, nil
	}
	return ctrl.Result{}, fmt.Errorf("%s: %w", problem.message, problem.cause)
}

// announceFindings records an event on what somebody has to mend.
func (r *InactivityPolicyReconciler) announceFindings(policy *v1alpha1.InactivityPolicy, scope *scope, problem *problem) {
	switch {
	case problem != nil:
		r.announce(policy, corev1.EventTypeWarning, problem.reason, "Reconcile", "%s", problem.message)
	case scope.degraded != nil:
		r.announce(policy, corev1.EventTypeWarning, scope.degraded.reason, "Reconcile", "%s", scope.degraded.message)
	case scope.unknownQueues != "" && !policy.Spec.Suspend:
		r.announce(policy, corev1.EventTypeWarning, reasonTaskQueueNotFound, "Reconcile", "%s", sentence(errors.New(scope.unknownQueues)))
	}
}

// announce records an event on the policy.
func (r *InactivityPolicyReconciler) announce(policy *v1alpha1.InactivityPolicy, kind, reason, action, note string, args ...any) {
	r.Recorder.Eventf(policy, nil, kind, reason, action, "%s", shortened(fmt.Sprintf(note, args...), noteLength))
}

// shortened is a text of at most limit bytes, with an ellipsis in the place of what was left out.
func shortened(text string, limit int) string {
	const ellipsis = "…"
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(ellipsis)], "") + ellipsis
}
