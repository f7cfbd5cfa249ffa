// Package receiver serves the endpoints that Twilio calls: the event callback of TaskRouter workspaces and the webhook of
// conversations.
//
// A request is limited, authenticated, decoded and put into the work queue as the name of a conversation; nothing is
// decided here and neither Twilio nor the Kubernetes API is called. An event is a wake-up: to receive it twice, late or
// in another order does no harm, because whoever takes it from the queue looks at the conversation itself. So a replayed
// request is answered like the original.
package receiver

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/net/netutil"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/flexops-dev/inactivity-operator/internal/credentials"
	"github.com/flexops-dev/inactivity-operator/internal/forward"
	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
	"github.com/flexops-dev/inactivity-operator/internal/metrics"
)

// Enqueuer takes the conversations that something happened to.
type Enqueuer interface {
	// Enqueue puts the conversation's key into the work queue. accepted is what the event said of the reservation, and
	// nil if it said nothing of use. It reports false when the queue cannot take the key now, and never blocks.
	Enqueue(workspaceSID, conversationSID string, accepted *inactivity.Acceptance) bool
}

// Forwarder takes the events that somebody else got before the operator took the workspace's callback over.
type Forwarder interface {
	// Forward takes an event, and never blocks. What becomes of it has no part in the receiver's answer.
	Forward(event forward.Event)
}

// Secrets gives the credentials of policies from memory. *credentials.Store implements it.
type Secrets interface {
	// Get returns the credentials of a Secret, and false if there are none.
	Get(secret types.NamespacedName) (credentials.Credentials, bool)
	// RefreshSoon asks for the Secret to be read again, and returns at once.
	RefreshSoon(secret types.NamespacedName)
	// Loaded reports whether the Secrets of all policies have been read.
	Loaded() bool
}

// Options are what a [Receiver] is made of. All are needed but Listener, DrainDelay and Clock.
type Options struct {
	// PublicURL is the address under which Twilio reaches the receiver, from callback.ParsePublicURL. Requests must
	// arrive with its path as prefix, and their signatures are checked against it; their Host header has no meaning.
	PublicURL *url.URL
	// BindAddress is what to listen on, such as ":8082". It is not used when there is a Listener.
	BindAddress string
	// Listener is what to accept connections from. The receiver closes it. Nil: listen on BindAddress.
	Listener net.Listener
	// Policies reads InactivityPolicies, by the indexes of package index, from the manager's cache.
	Policies client.Reader
	// Secrets are the credentials of the policies.
	Secrets Secrets
	// Queue takes the conversations.
	Queue Enqueuer
	// Forwarder takes the events of others.
	Forwarder Forwarder
	// Metrics counts what is received.
	Metrics *metrics.Metrics
	// DrainDelay is how long to go on serving once the receiver is told to stop. Negative: not at all; zero:
	// [DefaultDrainDelay].
	DrainDelay time.Duration
	// Clock measures the drain delay. Nil: the wall clock.
	Clock clock.Clock
}

// Receiver is a manager.Runnable that serves on every replica, from when the manager's cache has synced.
type Receiver struct {
	options Options
	handler *handler

	bound    atomic.Bool
	draining atomic.Bool
}

// New returns a receiver that is not listening yet. It fails if an option that is needed is missing.
func New(options Options) (*Receiver, error) {
	switch {
	case options.PublicURL == nil:
		return nil, errors.New("making the receiver: no public URL")
	case options.BindAddress == "" && options.Listener == nil:
		return nil, errors.New("making the receiver: neither a bind address nor a listener")
	case options.Policies == nil, options.Secrets == nil, options.Queue == nil, options.Forwarder == nil, options.Metrics == nil:
		return nil, errors.New("making the receiver: policies, secrets, queue, forwarder and metrics are all needed")
	}
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	if options.DrainDelay == 0 {
		options.DrainDelay = DefaultDrainDelay
	}
	return &Receiver{options: options, handler: newHandler(options)}, nil
}

// NeedLeaderElection is false: every replica receives callbacks.
func (r *Receiver) NeedLeaderElection() bool { return false }

// ServeHTTP answers one request. It is what the receiver serves, for tests and for servers of other kinds.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.handler.ServeHTTP(w, request)
}

// Ready is a healthz.Checker. It returns nil when callbacks can be handled, and else what is missing.
func (r *Receiver) Ready(request *http.Request) error {
	switch {
	case r.draining.Load():
		return errors.New("the receiver is draining")
	case !r.bound.Load():
		return errors.New("the receiver is not listening yet")
	case !r.options.Secrets.Loaded():
		return errors.New("the Secrets of the policies have not been read yet")
	}
	// A workspace that nobody has: what counts is that the cache answers.
	if _, err := r.handler.lookup(request.Context(), ""); err != nil {
		return fmt.Errorf("the policies cannot be read yet: %w", err)
	}
	return nil
}

// Start listens and serves until ctx is done. From then on it is not ready, goes on serving for the drain delay, so that
// load balancers can learn of it, and then waits for the requests under way. The error is nil after an orderly end.
func (r *Receiver) Start(ctx context.Context) error {
	logger := log.FromContext(ctx)
	listener := r.options.Listener
	if listener == nil {
		var err error
		if listener, err = new(net.ListenConfig).Listen(ctx, "tcp", r.options.BindAddress); err != nil {
			return fmt.Errorf("listening for callbacks on %s: %w", r.options.BindAddress, err)
		}
	}
	listener = netutil.LimitListener(listener, maxConnections)
	server := &http.Server{
		Handler:           r.handler,
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		// Requests outlive ctx: they are served while the receiver drains.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ErrorLog:    stdlog.New(serverLog{logger}, "", 0),
	}

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	r.bound.Store(true)
	defer r.bound.Store(false)
	logger.Info("Receiving callbacks", "address", listener.Addr().String())

	select {
	case err := <-served:
		return fmt.Errorf("serving callbacks: %w", err)
	case <-ctx.Done():
	}

	r.draining.Store(true)
	logger.Info("Draining callbacks", "delay", r.options.DrainDelay.String())
	if delay := r.options.DrainDelay; delay > 0 {
		timer := r.options.Clock.NewTimer(delay)
		select {
		case err := <-served:
			timer.Stop()
			return fmt.Errorf("serving callbacks while draining: %w", err)
		case <-timer.C():
		}
	}

	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		_ = server.Close() // The requests that are left are past every time-out.
		return fmt.Errorf("waiting for callbacks under way: %w", err)
	}
	return nil
}

// serverLog keeps the complaints of net/http about connections out of the log unless it is at debug level: anybody can
// cause them.
type serverLog struct{ logger logr.Logger }

func (s serverLog) Write(line []byte) (int, error) {
	s.logger.V(1).Info("Serving a connection failed", "cause", string(line))
	return len(line), nil
}
