// Package operator puts the operator's parts together. The program and the tests use the same wiring, so that what is
// tested is what runs.
package operator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/flexops-dev/inactivity-operator/controllers"
	"github.com/flexops-dev/inactivity-operator/internal/credentials"
	"github.com/flexops-dev/inactivity-operator/internal/forward"
	"github.com/flexops-dev/inactivity-operator/internal/index"
	"github.com/flexops-dev/inactivity-operator/internal/metrics"
	"github.com/flexops-dev/inactivity-operator/internal/receiver"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

// lookSlack is how much later than the computed time the leader looks at a conversation: Twilio's timer and its
// callback normally come first, and spare the leader the look.
const lookSlack = 30 * time.Second

// eventSource is the reporting controller of the operator's Kubernetes events.
const eventSource = "inactivity-operator"

// Config is what differs between installations.
type Config struct {
	// PublicURL is where Twilio reaches the receiver; nil: there is no receiver, and policies work by sweep alone.
	PublicURL *url.URL
	// ReceiverAddress is what the receiver listens on.
	ReceiverAddress string
	// ReceiverListener replaces ReceiverAddress when it is set.
	ReceiverListener net.Listener
	// ReceiverDrainDelay is how long the receiver goes on serving once it is told to stop; 0: its default.
	ReceiverDrainDelay time.Duration
	// TwilioAPIURL replaces Twilio's own addresses when it is not empty.
	TwilioAPIURL string
	// TwilioTransport carries requests to Twilio; nil: the default.
	TwilioTransport http.RoundTripper
	// ForwardToPrivateAddresses lets events be forwarded to addresses that are not public.
	ForwardToPrivateAddresses bool
	// ForwardTransport carries the events that are forwarded; nil: the default.
	ForwardTransport http.RoundTripper
	// UserAgent of requests to Twilio.
	UserAgent string
	// SweepInterval and SyncInterval are how often tasks are listed and workspaces are checked.
	SweepInterval, SyncInterval time.Duration
	// MaxConcurrent is how many conversations are looked at at once.
	MaxConcurrent int
	// Metrics are the operator's series.
	Metrics *metrics.Metrics
	// Clock is the replica's clock. It times sweeps, refreshes and the drain; Twilio's own clock decides about
	// conversations.
	Clock clock.WithTicker
	// Random spreads the waits of the named part of the operator, and the others make work queues: for simulations, which
	// must be repeatable and quick. Nil: as in production.
	Random               func(part string) float64
	NewConversationQueue controllers.NewQueue[controllers.ConversationKey]
	NewPolicyQueue       controllers.NewQueue[reconcile.Request]
}

// randomOf is the source of a part of the operator; nil: as in production.
func (c Config) randomOf(part string) func() float64 {
	if c.Random == nil {
		return nil
	}
	return func() float64 { return c.Random(part) }
}

// Checks are what the probes of a replica ask.
type Checks struct {
	// Ready fails while the replica is not to be sent callbacks: until its cache has synced, the Secrets of the policies have
	// been read and the receiver listens, and from when it is told to stop.
	Ready healthz.Checker
	// Alive fails when a work queue has come to a standstill, which only a restart cures. A replica that has lost its lease
	// need not fail: its manager ends, and the program with it.
	Alive healthz.Checker
}

// AddToManager adds all parts to the manager and returns what its probes ask.
func AddToManager(ctx context.Context, mgr ctrl.Manager, config Config) (Checks, error) {
	if err := index.Register(ctx, mgr.GetFieldIndexer()); err != nil {
		return Checks{}, err
	}
	pool, err := twilio.NewPool(twilio.Options{
		BaseURL:   config.TwilioAPIURL,
		Transport: config.TwilioTransport,
		UserAgent: config.UserAgent,
		Observer:  config.Metrics.TwilioRequest,
		Random:    config.randomOf("requests"),
	})
	if err != nil {
		return Checks{}, err
	}
	clients := func(account twilio.Credentials) (controllers.TwilioClient, error) { return pool.Client(account) }
	secrets := credentials.NewStore(credentials.Options{Secrets: mgr.GetAPIReader(), Policies: mgr.GetClient(), Clock: config.Clock})
	if err := mgr.Add(secrets); err != nil {
		return Checks{}, fmt.Errorf("adding the credentials store: %w", err)
	}

	compiled, outages := controllers.NewCompiledPolicies(), &controllers.Outages{}
	drained := make(chan struct{})
	conversations := &controllers.ConversationReconciler{
		Client:        mgr.GetClient(),
		Compiled:      compiled,
		Credentials:   secrets,
		Twilio:        clients,
		Outages:       outages,
		PublicURL:     config.PublicURL,
		Recorder:      mgr.GetEventRecorder(eventSource),
		Acts:          config.Metrics.Act,
		Clock:         config.Clock,
		Elected:       mgr.Elected(),
		Slack:         lookSlack,
		MaxConcurrent: config.MaxConcurrent,
		Drained:       drained,

		Random:   config.randomOf("conversations"),
		NewQueue: config.NewConversationQueue,
	}
	if err := conversations.SetupWithManager(mgr); err != nil {
		return Checks{}, err
	}
	policies := &controllers.InactivityPolicyReconciler{
		Client:        mgr.GetClient(),
		Compiled:      compiled,
		Credentials:   secrets,
		Twilio:        clients,
		Outages:       outages,
		PublicURL:     config.PublicURL,
		Recorder:      mgr.GetEventRecorder(eventSource),
		DriftRepaired: config.Metrics.CallbackDriftRepaired,
		Clock:         config.Clock,
		SyncInterval:  config.SyncInterval,
		SecretChanged: secrets.Changes(),

		Random:   config.randomOf("policies"),
		NewQueue: config.NewPolicyQueue,
	}
	if err := policies.SetupWithManager(mgr); err != nil {
		return Checks{}, err
	}
	if err := mgr.Add(&controllers.Sweeper{
		Client:        mgr.GetClient(),
		Conversations: conversations,
		Look:          policies.Look,
		Clock:         config.Clock,
		Interval:      config.SweepInterval,
		Swept:         config.Metrics.Sweep,
	}); err != nil {
		return Checks{}, fmt.Errorf("adding the sweeper: %w", err)
	}
	ready, err := addReceiver(mgr, config, secrets, conversations, drained)
	if err != nil {
		return Checks{}, err
	}
	alive := func(request *http.Request) error {
		return errors.Join(conversations.Alive(request), policies.Alive(request))
	}
	return Checks{Ready: ready, Alive: alive}, nil
}

// addReceiver adds the receiver and the forwarder, if there is an address to receive at. drained is closed when no more events come.
func addReceiver(mgr ctrl.Manager, config Config, secrets *credentials.Store, queue receiver.Enqueuer, drained chan struct{}) (healthz.Checker, error) {
	if config.PublicURL == nil {
		close(drained)
		instead := &withoutReceiver{loaded: secrets.Loaded}
		if err := mgr.Add(instead); err != nil {
			return nil, fmt.Errorf("adding the readiness of a replica without a receiver: %w", err)
		}
		return instead.Ready, nil
	}
	forwarder, err := forward.New(forward.Options{
		Identity:  config.PublicURL.String(),
		Metrics:   config.Metrics,
		Recorder:  mgr.GetEventRecorder(eventSource),
		Logger:    mgr.GetLogger().WithName("forward"),
		Drained:   drained,
		ToPrivate: config.ForwardToPrivateAddresses,
		Transport: config.ForwardTransport,
		Random:    config.randomOf("forwarding"),
	})
	if err != nil {
		return nil, err
	}
	if err := mgr.Add(forwarder); err != nil {
		return nil, fmt.Errorf("adding the forwarder: %w", err)
	}
	callbacks, err := receiver.New(receiver.Options{
		PublicURL:   config.PublicURL,
		BindAddress: config.ReceiverAddress,
		Listener:    config.ReceiverListener,
		Policies:    mgr.GetClient(),
		Secrets:     secrets,
		Queue:       queue,
		Forwarder:   forwarder,
		Metrics:     config.Metrics,
		DrainDelay:  config.ReceiverDrainDelay,
		Clock:       config.Clock,
	})
	if err != nil {
		return nil, err
	}
	if err := mgr.Add(announcing{Receiver: callbacks, drained: drained}); err != nil {
		return nil, fmt.Errorf("adding the receiver: %w", err)
	}
	return callbacks.Ready, nil
}

// withoutReceiver knows of a replica without a receiver whether it is ready. Nothing is sent to it, but a rolling update
// waits until it is, and whoever looks at a pod wants to know.
type withoutReceiver struct {
	// loaded reports whether the Secrets of the policies have been read, for which their cache has to be there.
	loaded   func() bool
	stopping atomic.Bool
}

// NeedLeaderElection is false: every replica is asked.
func (w *withoutReceiver) NeedLeaderElection() bool { return false }

// Start waits for the replica to be told to stop.
func (w *withoutReceiver) Start(ctx context.Context) error {
	<-ctx.Done()
	w.stopping.Store(true)
	return nil
}

// Ready is a healthz.Checker.
func (w *withoutReceiver) Ready(*http.Request) error {
	switch {
	case w.stopping.Load():
		return errors.New("the replica is stopping")
	case !w.loaded():
		return errors.New("the Secrets of the policies have not been read yet")
	}
	return nil
}

// announcing is a receiver that tells when it has drained.
type announcing struct {
	*receiver.Receiver
	drained chan<- struct{}
}

// Start serves callbacks until the context ends and the receiver has drained.
func (a announcing) Start(ctx context.Context) error {
	defer close(a.drained)
	return a.Receiver.Start(ctx)
}
