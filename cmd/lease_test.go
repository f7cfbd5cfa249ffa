package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/flexops-dev/inactivity-operator/test/apiserver"
)

// The leader's times, shorter than those of production, which are the library's: 15, 10 and 2 seconds.
const (
	leaseDuration = 3 * time.Second
	renewDeadline = 2 * time.Second
	retryPeriod   = 200 * time.Millisecond
)

// front is a way to the API server that can be cut.
type front struct {
	*httptest.Server
	// meets, when set, is what a request about leases meets instead of the API server.
	meets atomic.Pointer[http.HandlerFunc]
}

func newFront(t *testing.T, to *rest.Config) *front {
	t.Helper()
	transport, err := rest.TransportFor(to)
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(to.Host)
	if err != nil {
		t.Fatal(err)
	}
	if address.Scheme == "" {
		address = &url.URL{Scheme: "https", Host: to.Host}
	}
	proxy := httputil.NewSingleHostReverseProxy(address)
	proxy.Transport = transport
	f := &front{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if instead := f.meets.Load(); instead != nil && strings.Contains(r.URL.Path, "/leases") {
			(*instead)(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// TestAReplicaThatHasLostItsLeaseEnds shows what the liveness probe need not watch: the manager ends with an error, and the
// program with it, when its lease could not be renewed.
func TestAReplicaThatHasLostItsLeaseEnds(t *testing.T) {
	ctrl.SetLogger(logr.Discard())
	config, stop, err := apiserver.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	for how, lose := range map[string]func(*testing.T, *front, string){
		"the API server does not answer": func(_ *testing.T, f *front, _ string) {
			hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				// The server notices that a client has gone only once it has read what it was sent.
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			})
			f.meets.Store(&hang)
		},
		"the API server fails": func(_ *testing.T, f *front, _ string) {
			fail := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
			f.meets.Store(&fail)
		},
		"somebody else has taken it": func(t *testing.T, _ *front, lease string) { takeLease(t, config, lease) },
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			f := newFront(t, config)
			lease := strings.ReplaceAll(strings.ToLower(how), " ", "-")
			ended := lead(t, f, lease)
			lost := time.Now()
			lose(t, f, lease)
			// The lease may be renewed once more just before; afterwards the leader gives up, and tries to give it back.
			const patience = retryPeriod + 2*renewDeadline + time.Second
			select {
			case err := <-ended:
				if err == nil || !strings.Contains(err.Error(), "leader election lost") {
					t.Errorf("ended with %v, want an error that says why", err)
				}
			case <-time.After(patience):
				t.Fatalf("still running %s after the lease was lost", patience)
			}
			t.Logf("ended after %s", time.Since(lost).Round(time.Millisecond))
		})
	}
}

// lead runs a manager with the program's own options until it leads.
func lead(t *testing.T, f *front, lease string) (ended <-chan error) {
	t.Helper()
	opts, err := parse(t, "--leader-elect", "--leader-election-namespace=default", "--metrics-bind-address=0", "--health-probe-bind-address=0")
	if err != nil {
		t.Fatal(err)
	}
	options := managerOptions(opts)
	if options.LeaseDuration != nil || options.RenewDeadline != nil || options.RetryPeriod != nil {
		t.Fatal("the program sets times of its own: this test and docs/operations.md go by the library's")
	}
	options.LeaderElectionID = lease
	options.LeaseDuration, options.RenewDeadline, options.RetryPeriod = new(leaseDuration), new(renewDeadline), new(retryPeriod)
	mgr, err := newManager(&rest.Config{Host: f.URL}, options)
	if err != nil {
		t.Fatal(err)
	}
	leads := make(chan struct{})
	err = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		close(leads)
		<-ctx.Done()
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	result := make(chan error, 1)
	go func() { result <- mgr.Start(ctx) }()
	select {
	case <-leads:
	case err := <-result:
		t.Fatalf("ended before it led: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("never led")
	}
	return result
}

// takeLease makes somebody else the holder of the lease, for good.
func takeLease(t *testing.T, config *rest.Config, name string) {
	t.Helper()
	cluster, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var lease coordinationv1.Lease
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: name}, &lease); err != nil {
		t.Fatal(err)
	}
	before := lease.DeepCopy()
	now := metav1.NowMicro()
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds = new("somebody"), new(int32(3600))
	lease.Spec.AcquireTime, lease.Spec.RenewTime = &now, &now
	if err := cluster.Patch(t.Context(), &lease, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}
