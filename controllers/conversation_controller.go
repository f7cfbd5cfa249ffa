package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/health"
	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
	"github.com/flexops-dev/inactivity-operator/internal/index"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

const (
	// maxQueued is how many conversations may wait in the queue before events are turned away, so that Twilio sends them
	// again later. At a hundred bytes a key it bounds the queue to some ten megabytes.
	maxQueued = 100_000

	// passTimeout bounds one look at a conversation with all its acts. A pass that has begun is finished on shutdown, so
	// the bound is also part of the drain time.
	passTimeout = 25 * time.Second

	// maxSteps bounds the looks and acts of one pass; a whole ending takes about ten.
	maxSteps = 24

	// soon is how near a next look has to be for every replica to ask for it; later ones are the leader's to ask for.
	soon = time.Minute

	// maxBackOff is how long a conversation that keeps failing waits at most.
	maxBackOff = 2 * time.Minute

	// sweepPriority lets events overtake what the sweep has found.
	sweepPriority = -100
)

// ConversationKey names a conversation in the work queue.
type ConversationKey struct {
	WorkspaceSID    string
	ConversationSID string
}

// ConversationReconciler looks at a conversation, decides, does one act, and looks again, until there is nothing more to
// do now. It runs on every replica; what must happen once is claimed on the task itself.
type ConversationReconciler struct {
	// Client reads policies from the cache.
	Client client.Client
	// Compiled keeps policies compiled.
	Compiled *CompiledPolicies
	// Credentials of the policies.
	Credentials Credentials
	// Twilio gives clients for credentials.
	Twilio TwilioClients
	// Outages are what Twilio fails to do.
	Outages *Outages
	// PublicURL is where Twilio reaches the receiver; nil when there is none, and then no conversation is armed.
	PublicURL *url.URL
	// Recorder records one event for each act, on the policy.
	Recorder events.EventRecorder
	// Acts counts acts by kind and outcome.
	Acts func(act, outcome string)
	// Clock is the replica's clock.
	Clock clock.PassiveClock
	// Elected is closed when this replica becomes the leader.
	Elected <-chan struct{}
	// Slack is how much later than the computed time the leader looks, so that Twilio's timer normally comes first.
	Slack time.Duration
	// MaxConcurrent is how many conversations are looked at at once.
	MaxConcurrent int
	// Drained is closed when no more events will arrive. Until then the controller goes on, also on shutdown, so that no
	// event is accepted and then dropped.
	Drained <-chan struct{}
	// Random spreads the waits between attempts.
	Random Random
	// NewQueue makes the work queue, which has to be a priority queue.
	NewQueue NewQueue[ConversationKey]

	queue        atomic.Pointer[priorityqueue.PriorityQueue[ConversationKey]]
	watchdog     *health.Watchdog[ConversationKey]
	acceptances  acceptances
	plans        plans
	throttles    throttles
	observations observations
}

// SetupWithManager adds the controller to the manager, on every replica.
func (r *ConversationReconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil || r.Compiled == nil || r.Credentials == nil || r.Twilio == nil || r.Outages == nil || r.Recorder == nil || r.Acts == nil || r.Clock == nil ||
		r.Elected == nil || r.Drained == nil || r.MaxConcurrent < 1 {
		return errors.New("setting up the conversation controller: a dependency is missing")
	}
	r.watchdog = health.NewWatchdog("conversation", r.Clock, r)
	options := controller.TypedOptions[ConversationKey]{
		Reconciler:              r.watchdog,
		NeedLeaderElection:      new(false),
		MaxConcurrentReconciles: r.MaxConcurrent,
		UsePriorityQueue:        new(true),
		RateLimiter:             backOff[ConversationKey](r.Random, maxBackOff),
		NewQueue:                r.NewQueue,
	}
	options.DefaultFromConfig(mgr.GetControllerOptions())
	options.Logger = mgr.GetLogger()
	conversations, err := controller.NewTypedUnmanaged("conversation", options)
	if err != nil {
		return fmt.Errorf("setting up the conversation controller: %w", err)
	}
	if err := mgr.Add(drainedLast{controller: conversations, drained: r.Drained}); err != nil {
		return fmt.Errorf("setting up the conversation controller: %w", err)
	}
	return conversations.Watch(source.TypedFunc[ConversationKey](
		func(_ context.Context, queue workqueue.TypedRateLimitingInterface[ConversationKey]) error {
			prioritised, ok := queue.(priorityqueue.PriorityQueue[ConversationKey])
			if !ok {
				return fmt.Errorf("the conversation queue is a %T, not a priority queue", queue)
			}
			r.queue.Store(&prioritised)
			r.watchdog.Serves(queue)
			return nil
		}))
}

// Alive is a healthz.Checker. It fails when looking at conversations has come to a standstill here. To be called after
// SetupWithManager.
func (r *ConversationReconciler) Alive(request *http.Request) error { return r.watchdog.Check(request) }

// drainedLast runs the conversation controller on every replica, and on shutdown until the receiver has drained.
type drainedLast struct {
	controller controller.TypedController[ConversationKey]
	drained    <-chan struct{}
}

// NeedLeaderElection is false: every replica acts on the events it receives.
func (d drainedLast) NeedLeaderElection() bool { return false }

// Start runs the controller until the context ends and no more events will arrive.
func (d drainedLast) Start(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go func() {
		<-ctx.Done()
		<-d.drained
		stop()
	}()
	return d.controller.Start(running)
}

// Enqueue puts a conversation into the work queue because of an event. accepted is what the event said of a reservation;
// nil for other events. It reports false when the queue has not started or is full.
func (r *ConversationReconciler) Enqueue(workspaceSID, conversationSID string, accepted *inactivity.Acceptance) bool {
	queue := r.queue.Load()
	if queue == nil || (*queue).Len() >= maxQueued {
		return false
	}
	key := ConversationKey{WorkspaceSID: workspaceSID, ConversationSID: conversationSID}
	if accepted != nil {
		r.acceptances.put(key, *accepted, r.Clock.Now())
	}
	(*queue).AddWithOpts(priorityqueue.AddOpts{}, key)
	return true
}

// enqueueFound puts a conversation into the work queue because the sweep has found it.
func (r *ConversationReconciler) enqueueFound(key ConversationKey) {
	if queue := r.queue.Load(); queue != nil {
		(*queue).AddWithOpts(priorityqueue.AddOpts{Priority: new(sweepPriority)}, key)
	}
}

// Reconcile looks, decides and acts until there is nothing more to do now.
func (r *ConversationReconciler) Reconcile(ctx context.Context, key ConversationKey) (reconcile.Result, error) {
	logger := log.FromContext(ctx).WithValues("workspace", key.WorkspaceSID, "conversation", key.ConversationSID)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), passTimeout)
	defer cancel()

	ctx = log.IntoContext(ctx, logger)
	pass, err := r.begin(ctx, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	if pass == nil {
		// What was kept for a pass is not kept for a policy that may never come into force.
		r.acceptances.take(key, r.Clock.Now())
		r.forget(key)
		return reconcile.Result{}, nil
	}
	decision, err := pass.run(ctx)
	r.observe(pass, err)
	if err != nil {
		return r.afterError(ctx, pass, err)
	}
	if decision.Reason != inactivity.ReasonThrottled {
		r.throttles.withdraw(key)
	}
	return r.plan(pass, decision), nil
}

// observe notes, on the leader, whether Twilio lets conversations of the workspace be looked at. A look that has not come to
// the conversation itself shows it only if it is the one that has failed before: much of it asks another product.
func (r *ConversationReconciler) observe(pass *pass, err error) {
	if !r.isLeader() {
		return
	}
	if err == nil && pass.snapshot.Conversation == nil {
		if before, _ := r.plans.get(pass.key); !before.failed {
			return
		}
	}
	r.Outages.observe(lookingAt(pass.key.WorkspaceSID), r.Clock.Now(), err)
}

// forget forgets what is known of a conversation.
func (r *ConversationReconciler) forget(key ConversationKey) {
	r.plans.forget(key)
	r.observations.forget(key)
	r.throttles.withdraw(key)
}

// begin finds the policies that share the conversations of the workspace, and a client for its account. It returns nil
// when no policy is in force.
func (r *ConversationReconciler) begin(ctx context.Context, key ConversationKey) (*pass, error) {
	policies, err := index.PoliciesForWorkspace(ctx, r.Client, key.WorkspaceSID, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, err
	}
	shared := r.Compiled.share(policies)
	if !shared.anyInForce() {
		return nil, nil
	}
	twilioClient, err := r.reader(shared)
	if err != nil {
		return nil, err
	}
	return &pass{reconciler: r, key: key, shared: shared, client: twilioClient}, nil
}

// clientFor is a client with the policy's credentials, as they were last read. They must be those of the account that
// the workspace was found in.
func (r *ConversationReconciler) clientFor(policy *v1alpha1.InactivityPolicy) (TwilioClient, error) {
	name := types.NamespacedName{Namespace: policy.Namespace, Name: policy.Spec.CredentialsSecretRef.Name}
	known, found := r.Credentials.Get(name)
	switch {
	case !found:
		r.Credentials.RefreshSoon(name)
		return nil, fmt.Errorf("secret %s of policy %s/%s has no credentials", name, policy.Namespace, policy.Name)
	case known.AccountSID() != policy.Status.Workspace.AccountSID:
		return nil, fmt.Errorf("secret %s of policy %s/%s is of another account than its workspace", name, policy.Namespace, policy.Name)
	}
	twilioClient, err := r.Twilio(known.Twilio)
	if err != nil {
		return nil, fmt.Errorf("making a Twilio client for policy %s/%s: %w", policy.Namespace, policy.Name, err)
	}
	return twilioClient, nil
}

// plan says when the conversation is looked at again. The leader asks for every next look, a little later than Twilio's
// timer would wake it; the other replicas ask only for one that is near, because the leader would come too late. A look that
// came too early by less than Twilio's shortest timer is made up for without one.
func (r *ConversationReconciler) plan(pass *pass, decision inactivity.Decision) reconcile.Result {
	var lookAt time.Time
	if !decision.Next.IsZero() {
		lookAt = pass.seenAt.Add(decision.Next.Sub(pass.snapshot.Now))
	}
	onTime := decision.Due || decision.Act == inactivity.ActRearm && lookAt.Sub(pass.seenAt) < inactivity.MinTimer
	if !r.isLeader() {
		if onTime && !lookAt.IsZero() && lookAt.Sub(pass.seenAt) < soon {
			return reconcile.Result{RequeueAfter: r.until(lookAt)}
		}
		return reconcile.Result{}
	}
	if !lookAt.IsZero() && !onTime {
		lookAt = lookAt.Add(r.Slack)
	}
	next := pass.newPlan(lookAt)
	next.due, next.held = decision.Due, decision.Held
	r.plans.put(pass.key, next)
	if lookAt.IsZero() {
		return reconcile.Result{}
	}
	return reconcile.Result{RequeueAfter: r.until(lookAt)}
}

// until is how long it is until the moment, but at least a second, so that a clock that is off makes no hot loop.
func (r *ConversationReconciler) until(moment time.Time) time.Duration {
	return max(moment.Sub(r.Clock.Now()), time.Second)
}

// afterError decides about the next attempt: when Twilio has said when, then; otherwise with back-off. The plan keeps the
// sweep from looking before that.
func (r *ConversationReconciler) afterError(ctx context.Context, pass *pass, err error) (reconcile.Result, error) {
	if pass.announced != "" {
		r.acceptances.giveBack(pass.key, pass.accepted, pass.announced)
	}
	wait, told := twilio.RetryAfter(err)
	if !told {
		wait = maxBackOff
	}
	if r.isLeader() {
		next := pass.newPlan(r.Clock.Now().Add(wait + r.Slack))
		next.failed = true
		r.plans.put(pass.key, next)
	}
	if told {
		log.FromContext(ctx).Info("Waiting as long as Twilio has asked", "wait", wait.String(), "reason", err.Error())
		return reconcile.Result{RequeueAfter: r.Random.lengthened(wait)}, nil
	}
	return reconcile.Result{}, fmt.Errorf("conversation %s: %w", pass.key.ConversationSID, err)
}

func (r *ConversationReconciler) isLeader() bool {
	select {
	case <-r.Elected:
		return true
	default:
		return false
	}
}
