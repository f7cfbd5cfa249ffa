package main

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/flexops-dev/inactivity-operator/internal/callback"
)

// options are the operator's flags.
type options struct {
	publicURL               string
	receiverAddress         string
	metricsAddress          string
	probeAddress            string
	leaderElect             bool
	leaderElectionNamespace string
	watchNamespaces         string
	sweepInterval           time.Duration
	syncInterval            time.Duration
	maxConcurrent           int
	twilioAPIURL            string
	forwardToPrivate        bool
	zap                     zap.Options
	public                  *url.URL
	// stray are the arguments that are no flags. What stands behind one was not read.
	stray []string
}

// bind declares the flags.
func (o *options) bind(flags *flag.FlagSet) {
	flags.StringVar(&o.publicURL, "public-url", "",
		"Address under which Twilio reaches the receiver, such as https://callbacks.example.com: https, or http on loopback. Without it only policies with callback.mode Disabled can be in force.")
	flags.StringVar(&o.receiverAddress, "receiver-bind-address", ":8082", "Address the receiver of Twilio's callbacks listens on.")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "Address of the metrics endpoint: HTTPS, for authenticated and authorized clients. 0 switches it off.")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address of the health probes /healthz and /readyz.")
	flags.BoolVar(&o.leaderElect, "leader-elect", false, "Elect a leader among the replicas. Needed when there is more than one.")
	flags.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", "", "Namespace of the leader's lease. In a cluster the default is the operator's own.")
	flags.StringVar(&o.watchNamespaces, "watch-namespaces", "", "Comma-separated namespaces whose policies are looked at. Default: all.")
	flags.DurationVar(&o.sweepInterval, "sweep-interval", time.Minute, "How often open tasks are listed to find conversations whose events were lost.")
	flags.DurationVar(&o.syncInterval, "sync-interval", 10*time.Minute, "How often a workspace's callback is compared with what it should be.")
	flags.IntVar(&o.maxConcurrent, "max-concurrent-conversations", 20, "How many conversations are looked at at once.")
	flags.StringVar(&o.twilioAPIURL, "twilio-api-url", "", "One base URL for all of Twilio's products, for a simulator. Default: Twilio itself.")
	flags.BoolVar(&o.forwardToPrivate, "forward-to-private-addresses", false,
		"Forward events (callback.onConflict Forward) also to addresses that are not public, and by way of the environment's proxy. Needed when the other party's name resolves to a private address in the cluster.")
	o.zap.BindFlags(flags)
}

// validate checks the flags and reads the public URL.
func (o *options) validate() error {
	if len(o.stray) > 0 {
		return fmt.Errorf("unexpected argument %q: there are flags only, and a switch is written --flag or --flag=false", o.stray[0])
	}
	for _, namespace := range o.namespaces() {
		if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
			return fmt.Errorf("--watch-namespaces: %q is not the name of a namespace: %s", namespace, problems[0])
		}
	}
	if o.watchNamespaces != "" && len(o.namespaces()) == 0 {
		return errors.New("--watch-namespaces: names no namespace; leave it out to watch all")
	}
	if o.publicURL != "" {
		public, err := callback.ParsePublicURL(o.publicURL)
		if err != nil {
			return fmt.Errorf("--public-url: %w", err)
		}
		o.public = public
	}
	switch {
	case o.sweepInterval < time.Second:
		return errors.New("--sweep-interval: must be at least 1s")
	case o.syncInterval < time.Second:
		return errors.New("--sync-interval: must be at least 1s")
	case o.maxConcurrent < 1:
		return errors.New("--max-concurrent-conversations: must be at least 1")
	}
	return nil
}

// namespaces are the namespaces to watch; none means all.
func (o *options) namespaces() []string {
	var names []string
	for name := range strings.SplitSeq(o.watchNamespaces, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}
