// Command manager is the inactivity operator.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/metrics"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
	"github.com/flexops-dev/inactivity-operator/internal/version"
)

const (
	name      = "inactivity-operator"
	leaseName = "inactivity-operator.contactcenter.flexops.dev"

	// shutdownTimeout covers a drain: 5 s until load balancers have noticed, 16 s for the requests under way, 25 s for a
	// whole pass over a conversation, and some slack. The pod's terminationGracePeriodSeconds has to be longer.
	shutdownTimeout = 50 * time.Second
)

func main() {
	var opts options
	opts.bind(flag.CommandLine)
	flag.Parse()
	opts.stray = flag.Args()
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&opts.zap)))
	if err := run(ctrl.SetupSignalHandler(), &opts); err != nil {
		ctrl.Log.Error(err, "The operator stops")
		os.Exit(1)
	}
}

// run runs the operator until the context ends.
func run(ctx context.Context, opts *options) error {
	if err := opts.validate(); err != nil {
		return err
	}
	ctrl.Log.Info("Starting", "version", version.String())
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	mgr, err := newManager(config, managerOptions(opts))
	if err != nil {
		return err
	}
	collectors, err := metrics.New(ctrlmetrics.Registry)
	if err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	checks, err := operator.AddToManager(ctx, mgr, operator.Config{
		PublicURL:       opts.public,
		ReceiverAddress: opts.receiverAddress,
		TwilioAPIURL:    opts.twilioAPIURL,

		ForwardToPrivateAddresses: opts.forwardToPrivate,

		UserAgent:     name + "/" + version.String(),
		SweepInterval: opts.sweepInterval,
		SyncInterval:  opts.syncInterval,
		MaxConcurrent: opts.maxConcurrent,
		Metrics:       collectors,
		Clock:         clock.RealClock{},
	})
	if err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("queues", checks.Alive); err != nil {
		return fmt.Errorf("adding the health probe: %w", err)
	}
	if err := mgr.AddReadyzCheck("receiver", checks.Ready); err != nil {
		return fmt.Errorf("adding the readiness probe: %w", err)
	}
	return start(ctx, mgr)
}

// managerOptions are the manager's: policies are cached, Secrets never are. The times of leader election are the library's:
// whoever has not renewed the lease for 10 of its 15 seconds ends with an error.
func managerOptions(opts *options) ctrl.Options {
	watched := cache.Options{}
	for _, namespace := range opts.namespaces() {
		if watched.DefaultNamespaces == nil {
			watched.DefaultNamespaces = map[string]cache.Config{}
		}
		watched.DefaultNamespaces[namespace] = cache.Config{}
	}
	return ctrl.Options{
		Cache:                         watched,
		Client:                        client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
		Metrics:                       metricsserver.Options{BindAddress: opts.metricsAddress, SecureServing: true, FilterProvider: filters.WithAuthenticationAndAuthorization},
		HealthProbeBindAddress:        opts.probeAddress,
		LeaderElection:                opts.leaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       opts.leaderElectionNamespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       new(shutdownTimeout),
	}
}

// newManager makes the manager for the cluster.
func newManager(config *rest.Config, options ctrl.Options) (ctrl.Manager, error) {
	options.Scheme = runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(options.Scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	mgr, err := ctrl.NewManager(config, options)
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	return mgr, nil
}
