package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/health"
	"github.com/flexops-dev/inactivity-operator/internal/index"
)

// +kubebuilder:rbac:groups=contactcenter.flexops.dev,resources=inactivitypolicies,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=contactcenter.flexops.dev,resources=inactivitypolicies/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

const (
	// conflictRetry is when a policy is looked at again that somebody else has written meanwhile. By then the cache has it.
	conflictRetry = time.Second

	// maxPolicyBackOff is how long a policy that keeps failing waits at most.
	maxPolicyBackOff = 5 * time.Minute

	// policyTimeout bounds one look at a policy. The first request that Twilio does not answer ends a look, after half a
	// minute; a look whose requests all take as long as they may without failing is cut off. The API server is given no
	// other bound.
	policyTimeout = 2 * time.Minute
)

// InactivityPolicyReconciler makes the callback settings of a TaskRouter workspace what its policies ask for, and says
// in each policy's status whether the policy is in force. It runs on the leader.
type InactivityPolicyReconciler struct {
	// Client reads policies from the cache and patches them.
	Client client.Client
	// Compiled keeps policies compiled.
	Compiled *CompiledPolicies
	// Credentials of the policies.
	Credentials Credentials
	// Twilio gives clients for credentials.
	Twilio TwilioClients
	// Outages are what Twilio fails to do.
	Outages *Outages
	// PublicURL is where Twilio reaches the receiver; nil when the operator has no public address.
	PublicURL *url.URL
	// Recorder records what happened on the policy.
	Recorder events.EventRecorder
	// DriftRepaired counts repairs of a workspace's callback settings.
	DriftRepaired func()
	// Clock is the replica's clock.
	Clock clock.PassiveClock
	// SyncInterval is how often a policy that is in force is checked.
	SyncInterval time.Duration
	// SecretChanged announces Secrets that have appeared or changed.
	SecretChanged <-chan event.GenericEvent
	// Random spreads the waits between attempts and looks.
	Random Random
	// NewQueue makes the work queue.
	NewQueue NewQueue[reconcile.Request]

	queue    atomic.Pointer[workqueue.TypedRateLimitingInterface[reconcile.Request]]
	watchdog *health.Watchdog[reconcile.Request]
	// deletions is when each deletion was first tried in vain, by the policy's UID.
	deletions sync.Map
}

// SetupWithManager adds the controller to the manager.
func (r *InactivityPolicyReconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil || r.Compiled == nil || r.Credentials == nil || r.Twilio == nil || r.Outages == nil || r.Recorder == nil || r.DriftRepaired == nil ||
		r.Clock == nil || r.SecretChanged == nil || r.SyncInterval <= 0 {
		return errors.New("setting up the policy controller: a dependency is missing")
	}
	options := controller.Options{RateLimiter: backOff[reconcile.Request](r.Random, maxPolicyBackOff), ReconciliationTimeout: policyTimeout, NewQueue: r.NewQueue}
	// Who asks for a look, or has taken the policy's record away because somebody else has the workspace's callback.
	asked := predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetAnnotations()[v1alpha1.AnnotationReconcileAt] != e.ObjectNew.GetAnnotations()[v1alpha1.AnnotationReconcileAt] ||
			hasRecord(e.ObjectOld) && !hasRecord(e.ObjectNew)
	}}
	r.watchdog = health.NewWatchdog[reconcile.Request]("inactivitypolicy", r.Clock, r)
	err := ctrl.NewControllerManagedBy(mgr).
		Named("inactivitypolicy").
		For(&v1alpha1.InactivityPolicy{}, builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, asked))).
		WithOptions(options).
		Watches(&v1alpha1.InactivityPolicy{}, handler.EnqueueRequestsFromMapFunc(r.othersOfWorkspace), builder.WithPredicates(comesOrGoes)).
		WatchesRawSource(source.Channel(r.SecretChanged, handler.EnqueueRequestsFromMapFunc(r.policiesOfSecret))).
		WatchesRawSource(source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			r.queue.Store(&queue)
			r.watchdog.Serves(queue)
			return nil
		})).
		Complete(r.watchdog)
	if err != nil {
		return fmt.Errorf("setting up the policy controller: %w", err)
	}
	return nil
}

// Alive is a healthz.Checker. It fails when looking at policies has come to a standstill here. To be called after
// SetupWithManager.
func (r *InactivityPolicyReconciler) Alive(request *http.Request) error {
	return r.watchdog.Check(request)
}

// Look has a policy looked at now, whatever it was waiting for.
func (r *InactivityPolicyReconciler) Look(policy types.NamespacedName) {
	if queue := r.queue.Load(); queue != nil {
		(*queue).Add(reconcile.Request{NamespacedName: policy})
	}
}

// comesOrGoes lets pass what may make a conversation another policy's, or changes what the workspace's policies want of its
// callback, or whether the operator has it: a policy may wait for that which may not take it from somebody else itself.
var comesOrGoes = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, beforeOK := e.ObjectOld.(*v1alpha1.InactivityPolicy)
		after, afterOK := e.ObjectNew.(*v1alpha1.InactivityPolicy)
		return beforeOK && afterOK && (!slices.Equal(index.ExtractWorkspaceSID(before), index.ExtractWorkspaceSID(after)) ||
			(before.Status.Workspace == nil) != (after.Status.Workspace == nil) ||
			before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero() ||
			before.Spec.Priority != after.Spec.Priority || hasRecord(before) != hasRecord(after) ||
			before.ManagesCallback() != after.ManagesCallback() || before.OnConflict() != after.OnConflict() ||
			!equality.Semantic.DeepEqual(before.Spec.Selector, after.Spec.Selector))
	},
}

// hasRecord reports whether a policy has a record of what its workspace called before.
func hasRecord(policy client.Object) bool {
	return policy.GetAnnotations()[v1alpha1.AnnotationPreviousCallback] != ""
}

// othersOfWorkspace names the other policies of a policy's workspace.
func (r *InactivityPolicyReconciler) othersOfWorkspace(ctx context.Context, policy client.Object) []reconcile.Request {
	var requests []reconcile.Request
	for _, workspaceSID := range index.ExtractWorkspaceSID(policy) {
		others, err := index.PoliciesForWorkspace(ctx, r.Client, workspaceSID)
		if err != nil {
			log.FromContext(ctx).Error(err, "Finding the other policies of a workspace failed", "workspace", workspaceSID)
			return nil
		}
		for i := range others {
			if others[i].UID != policy.GetUID() {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&others[i])})
			}
		}
	}
	return requests
}

// policiesOfSecret names the policies to look at when a Secret has changed.
func (r *InactivityPolicyReconciler) policiesOfSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	policies, err := index.PoliciesForSecret(ctx, r.Client, client.ObjectKeyFromObject(secret))
	if err != nil {
		log.FromContext(ctx).Error(err, "Finding the policies of a changed Secret failed")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(policies))
	for i := range policies {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&policies[i])})
	}
	return requests
}

// Reconcile brings a policy into force, or says what stands in the way.
func (r *InactivityPolicyReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	policy := &v1alpha1.InactivityPolicy{}
	if err := r.Client.Get(ctx, request.NamespacedName, policy); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	result, err := r.reconcile(ctx, policy)
	if apierrors.IsConflict(err) {
		// Somebody else has written the policy meanwhile.
		return ctrl.Result{RequeueAfter: conflictRetry}, nil
	}
	return result, err
}

// reconcile does the work on the policy as it was read. An error may be a conflict with another writer.
func (r *InactivityPolicyReconciler) reconcile(ctx context.Context, policy *v1alpha1.InactivityPolicy) (ctrl.Result, error) {
	if !policy.DeletionTimestamp.IsZero() {
		return r.reconcileDelete(ctx, policy)
	}
	announced, degraded := readyMessage(policy), readyReason(policy) == v1alpha1.ReasonDegraded
	if !controllerutil.ContainsFinalizer(policy, v1alpha1.Finalizer) {
		// Before anything is written to Twilio, so that what is written will also be taken back.
		if err := r.setFinalizer(ctx, policy, true); err != nil {
			return ctrl.Result{}, err
		}
	}
	if policy.Status.ObservedGeneration != policy.Generation && !policy.Spec.Suspend {
		if err := r.patchStatus(ctx, policy, markProgressing); err != nil {
			return ctrl.Result{}, err
		}
	}

	scope, problem := r.bringIntoForce(ctx, policy)
	r.observe(policy, problem)
	problem = r.degrade(policy, scope, problem)
	if err := r.patchStatus(ctx, policy, func(policy *v1alpha1.InactivityPolicy) { summarize(policy, scope, problem, r.now(scope)) }); err != nil {
		return ctrl.Result{}, err
	}
	stays := degraded && readyReason(policy) == v1alpha1.ReasonDegraded // other work may be what fails by now
	if readyMessage(policy) != announced && !stays {
		r.announceFindings(policy, scope, problem)
	}
	if degraded && problem == nil && scope.degraded == nil {
		r.announce(policy, corev1.EventTypeNormal, eventTwilioAnswers, "Reconcile", "Twilio answers again: idle conversations are ended")
	}
	return r.next(problem)
}

// readyMessage is what the condition Ready says of the policy's generation; nothing if it says nothing of it. The same
// problem is announced once for each generation, and not at each look.
func readyMessage(policy *v1alpha1.InactivityPolicy) string {
	ready := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.ObservedGeneration != policy.Generation {
		return ""
	}
	return ready.Message
}

// readyReason is the reason of the condition Ready; nothing if there is none.
func readyReason(policy *v1alpha1.InactivityPolicy) string {
	if ready := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		return ready.Reason
	}
	return ""
}

// observe notes whether Twilio has done what the policy asks of it.
func (r *InactivityPolicyReconciler) observe(policy *v1alpha1.InactivityPolicy, problem *problem) {
	own := configuringOf(client.ObjectKeyFromObject(policy))
	switch {
	case problem == nil:
		r.Outages.observe(own, r.Clock.Now(), nil)
	case problem.reason != v1alpha1.ReasonUnauthorized: // which says enough
		r.Outages.observe(own, r.Clock.Now(), problem.cause)
	}
}

// setFinalizer adds or removes the finalizer. The patch holds the version it was computed from, because a list is
// replaced as a whole and another controller's finalizer must not be lost.
func (r *InactivityPolicyReconciler) setFinalizer(ctx context.Context, policy *v1alpha1.InactivityPolicy, present bool) error {
	before := policy.DeepCopy()
	if present {
		controllerutil.AddFinalizer(policy, v1alpha1.Finalizer)
	} else {
		controllerutil.RemoveFinalizer(policy, v1alpha1.Finalizer)
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, policy, patch); err != nil {
		return fmt.Errorf("patching the finalizer of policy %s/%s: %w", policy.Namespace, policy.Name, err)
	}
	return nil
}

// patchStatus applies change to the policy's status and writes it if it differs. The patch holds the version it was computed
// from, because conditions are replaced as a whole and those that the sweeper has written meanwhile must not be lost.
func (r *InactivityPolicyReconciler) patchStatus(ctx context.Context, policy *v1alpha1.InactivityPolicy, change func(*v1alpha1.InactivityPolicy)) error {
	before := policy.DeepCopy()
	change(policy)
	if equality.Semantic.DeepEqual(before.Status, policy.Status) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, policy, patch); err != nil {
		policy.Status = before.Status // what was not written is in the next patch
		return fmt.Errorf("patching the status of policy %s/%s: %w", policy.Namespace, policy.Name, err)
	}
	return nil
}
