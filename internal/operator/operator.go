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
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/flexops-dev/inactivity-operator/controllers"
	"github.com/flexops-dev/inactivity-operator/internal/credentials"
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
	// Random spreads waits, and WithoutQueueMetrics leaves out the work queues' metrics: for simulations, which must be
	// repeatable and quick. Nil and false: as in production.
	Random              func() float64
	WithoutQueueMetrics bool
}

// AddToManager adds all parts to the manager and returns the readiness check.
func AddToManager(ctx context.Context, mgr ctrl.Manager, config Config) (healthz.Checker, error) {
	if err := index.Register(ctx, mgr.GetFieldIndexer()); err != nil {
		return nil, err
	}
	pool, err := twilio.NewPool(twilio.Options{
		BaseURL:   config.TwilioAPIURL,
		Transport: config.TwilioTransport,
		UserAgent: config.UserAgent,
		Observer:  config.Metrics.TwilioRequest,
		Random:    config.Random,
	})
	if err != nil {
		return nil, err
	}
	clients := func(account twilio.Credentials) (controllers.TwilioClient, error) { return pool.Client(account) }
	secrets := credentials.NewStore(credentials.Options{Secrets: mgr.GetAPIReader(), Policies: mgr.GetClient(), Clock: config.Clock})
	if err := mgr.Add(secrets); err != nil {
		return nil, fmt.Errorf("adding the credentials store: %w", err)
	}

	compiled := controllers.NewCompiledPolicies()
	drained := make(chan struct{})
	conversations := &controllers.ConversationReconciler{
		Client:        mgr.GetClient(),
		Compiled:      compiled,
		Credentials:   secrets,
		Twilio:        clients,
		PublicURL:     config.PublicURL,
		Recorder:      mgr.GetEventRecorder(eventSource),
		Acts:          config.Metrics.Act,
		Clock:         config.Clock,
		Elected:       mgr.Elected(),
		Slack:         lookSlack,
		MaxConcurrent: config.MaxConcurrent,
		Drained:       drained,

		Random:              config.Random,
		WithoutQueueMetrics: config.WithoutQueueMetrics,
	}
	if err := conversations.SetupWithManager(mgr); err != nil {
		return nil, err
	}
	if err := mgr.Add(&controllers.Sweeper{
		Client:        mgr.GetClient(),
		Conversations: conversations,
		Clock:         config.Clock,
		Interval:      config.SweepInterval,
		Swept:         config.Metrics.Sweep,
	}); err != nil {
		return nil, fmt.Errorf("adding the sweeper: %w", err)
	}
	policies := &controllers.InactivityPolicyReconciler{
		Client:        mgr.GetClient(),
		Compiled:      compiled,
		Credentials:   secrets,
		Twilio:        clients,
		PublicURL:     config.PublicURL,
		Recorder:      mgr.GetEventRecorder(eventSource),
		DriftRepaired: config.Metrics.CallbackDriftRepaired,
		Clock:         config.Clock,
		SyncInterval:  config.SyncInterval,
		SecretChanged: secrets.Changes(),

		Random:              config.Random,
		WithoutQueueMetrics: config.WithoutQueueMetrics,
	}
	if err := policies.SetupWithManager(mgr); err != nil {
		return nil, err
	}
	return addReceiver(mgr, config, secrets, conversations, drained)
}

// addReceiver adds the receiver, if there is an address to receive at. drained is closed when no more events come.
func addReceiver(mgr ctrl.Manager, config Config, secrets *credentials.Store, queue receiver.Enqueuer, drained chan struct{}) (healthz.Checker, error) {
	if config.PublicURL == nil {
		close(drained)
		return func(*http.Request) error {
			if !secrets.Loaded() {
				return errors.New("the Secrets of the policies have not been read yet")
			}
			return nil
		}, nil
	}
	callbacks, err := receiver.New(receiver.Options{
		PublicURL:   config.PublicURL,
		BindAddress: config.ReceiverAddress,
		Listener:    config.ReceiverListener,
		Policies:    mgr.GetClient(),
		Secrets:     secrets,
		Queue:       queue,
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
