package controllers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/metrics"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
	"github.com/flexops-dev/inactivity-operator/test/apiserver"
)

const (
	timeout     = 15 * time.Minute
	notice      = "Your session has timed out."
	customer    = "+15005550001"
	secretName  = "twilio"
	eventually  = 20 * time.Second
	polling     = 20 * time.Millisecond
	sweepEvery  = time.Minute
	foreignURL  = "https://someone.example.com/events"
	flexName    = "Flex Task Assignment"
	acceptEvent = "reservation.accepted"
	leaseName   = "leader"
)

var (
	apiServer *rest.Config
	scheme    = runtime.NewScheme()
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		ctrl.SetLogger(logr.Discard())
		for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
			if err := add(scheme); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		started, stop, err := apiserver.Start()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() {
			if err := stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
		apiServer = started
		return m.Run()
	}())
}

// world is a Twilio account, a namespace of a real API server and a virtual clock, with any number of operators at work.
type world struct {
	*gomega.WithT
	t         *testing.T
	clock     *clocktesting.FakeClock
	twilio    *twiliosim.Simulator
	twilioURL string
	cluster   client.Client
	namespace string
	replicas  []*replica

	// onRequest, when set, sees every request to Twilio before Twilio does, at whatever moment that is; false drops the
	// connection.
	onRequest atomic.Pointer[func(r *http.Request, form url.Values) bool]
	// loseCallbacks makes every callback of Twilio's get lost.
	loseCallbacks atomic.Bool
	// follow makes operators that are started follow a leader that somebody else is.
	follow bool
}

// newWorld makes a world without an operator.
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, twiliosim.Dialect{})
}

// newWorldOf makes a world without an operator, in which Twilio behaves so.
func newWorldOf(t *testing.T, dialect twiliosim.Dialect) *world {
	t.Helper()
	// The fraction of a second makes it show when Twilio's dates, which have none, are compared carelessly.
	clock := clocktesting.NewFakeClock(time.Now().Truncate(time.Second).Add(400 * time.Millisecond))
	w := &world{WithT: gomega.NewWithT(t), t: t, clock: clock}
	w.twilio = twiliosim.New(twiliosim.Options{Clock: clock, CallbackClient: &http.Client{Transport: w}, Dialect: dialect})
	server := httptest.NewServer(w.intercept(w.twilio.Handler()))
	t.Cleanup(func() {
		w.twilio.Close()
		server.Close()
	})
	cluster, err := client.New(apiServer, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "world-"}}
	if err := cluster.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	w.twilioURL, w.cluster, w.namespace = server.URL, cluster, namespace.Name
	w.SetDefaultEventuallyTimeout(eventually)
	w.SetDefaultEventuallyPollingInterval(polling)
	return w
}

// RoundTrip carries Twilio's callbacks, or loses them.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.loseCallbacks.Load() {
		return nil, errors.New("lost")
	}
	return http.DefaultTransport.RoundTrip(r)
}

// intercept shows every request to onRequest first.
func (w *world) intercept(next http.Handler) http.Handler {
	return http.HandlerFunc(func(response http.ResponseWriter, r *http.Request) {
		if watch := w.onRequest.Load(); watch != nil {
			body, err := io.ReadAll(r.Body)
			form, formErr := url.ParseQuery(string(body))
			if err != nil || formErr != nil || !(*watch)(r, form) {
				panic(http.ErrAbortHandler)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		next.ServeHTTP(response, r)
	})
}

// replica is an operator at work.
type replica struct {
	publicURL *url.URL
	// address is where it really listens.
	address string
	checks  operator.Checks
	manager ctrl.Manager
	// start starts it, tell tells it to stop, and stop waits until it has.
	start, tell, stop func()
}

// startOperator runs an operator in the world, wired as the program wires it, and waits until it is ready.
func (w *world) startOperator(change ...func(*operator.Config)) *replica {
	w.t.Helper()
	r := w.assembleOperator(change...)
	r.start()
	w.Eventually(r.isReady).Should(gomega.Succeed())
	return r
}

// assembleOperator is an operator that was not started yet.
func (w *world) assembleOperator(change ...func(*operator.Config)) *replica {
	w.t.Helper()
	listener, err := new(net.ListenConfig).Listen(w.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	public, err := callback.ParsePublicURL("http://" + listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	collectors, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		w.t.Fatal(err)
	}
	settings := operator.Config{
		PublicURL: public, ReceiverListener: listener, ReceiverDrainDelay: -1,
		TwilioAPIURL: w.twilioURL, UserAgent: "test",
		SweepInterval: sweepEvery, SyncInterval: 10 * time.Minute, MaxConcurrent: 4,
		Metrics: collectors, Clock: w.clock,
	}
	for _, c := range change {
		c(&settings)
	}
	if settings.PublicURL == nil {
		_ = listener.Close()
	}
	mgr, err := ctrl.NewManager(apiServer, ctrl.Options{
		LeaderElection:          w.follow,
		LeaderElectionID:        leaseName,
		LeaderElectionNamespace: w.namespace,
		Scheme:                  scheme,
		Cache:                   cache.Options{DefaultNamespaces: map[string]cache.Config{w.namespace: {}}},
		Client:                  client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:  "0",
		Controller:              config.Controller{SkipNameValidation: new(true)},
		GracefulShutdownTimeout: new(30 * time.Second),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	checks, err := operator.AddToManager(ctx, mgr, settings)
	if err != nil {
		cancel()
		w.t.Fatal(err)
	}
	r := &replica{publicURL: settings.PublicURL, address: "http://" + listener.Addr().String(), checks: checks, manager: mgr}
	stopped := make(chan error, 1)
	r.start = func() {
		go func() { stopped <- mgr.Start(ctx) }()
		w.t.Cleanup(r.stop)
		w.replicas = append(w.replicas, r)
	}
	r.tell = cancel
	r.stop = func() {
		cancel()
		if err, first := <-stopped; first {
			close(stopped)
			if err != nil {
				w.t.Errorf("the operator ended with: %v", err)
			}
		}
		w.replicas = slices.DeleteFunc(w.replicas, func(other *replica) bool { return other == r })
	}
	return r
}

// isReady and isAlive are what the probes of the replica are told.
func (r *replica) isReady() error { return r.checks.Ready(httptest.NewRequest("GET", "/readyz", nil)) }
func (r *replica) isAlive() error { return r.checks.Alive(httptest.NewRequest("GET", "/healthz", nil)) }

// followLeader makes every operator that is started from now on follow: somebody else holds the lease.
func (w *world) followLeader() {
	w.t.Helper()
	now := metav1.NowMicro()
	w.create(&coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: leaseName},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: new("somebody"), LeaseDurationSeconds: new(int32(3600)), AcquireTime: &now, RenewTime: &now,
		},
	})
	w.follow = true
}

// createSecret makes the Secret with the account's credentials.
func (w *world) createSecret() {
	w.t.Helper()
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: secretName},
		StringData: map[string]string{"accountSid": w.twilio.AccountSID(), "authToken": w.twilio.AuthToken()},
	})
}

// policy is the policy that most people write, with changes.
func (w *world) policy(name string, change ...func(*v1alpha1.InactivityPolicySpec)) *v1alpha1.InactivityPolicy {
	policy := &v1alpha1.InactivityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec: v1alpha1.InactivityPolicySpec{
			CredentialsSecretRef: v1alpha1.SecretReference{Name: secretName},
			Workspace:            v1alpha1.WorkspaceReference{FriendlyName: flexName},
			Timeout:              "15m",
			Message:              notice,
		},
	}
	for _, c := range change {
		c(&policy.Spec)
	}
	return policy
}

func (w *world) create(object client.Object) {
	w.t.Helper()
	if err := w.cluster.Create(w.t.Context(), object); err != nil {
		w.t.Fatal(err)
	}
}

// inForce makes Secret and policy and waits until the policy is in force.
func (w *world) inForce(change ...func(*v1alpha1.InactivityPolicySpec)) *v1alpha1.InactivityPolicy {
	w.t.Helper()
	w.createSecret()
	policy := w.policy("plain", change...)
	w.create(policy)
	w.eventuallyReady(policy)
	return policy
}

// start makes a world with one operator and one policy in force.
func start(t *testing.T, change ...func(*v1alpha1.InactivityPolicySpec)) (*world, *replica, *v1alpha1.InactivityPolicy) {
	t.Helper()
	w := newWorld(t)
	r := w.startOperator()
	return w, r, w.inForce(change...)
}

// get reads a policy.
func (w *world) get(policy *v1alpha1.InactivityPolicy) *v1alpha1.InactivityPolicy {
	w.t.Helper()
	read := &v1alpha1.InactivityPolicy{}
	if err := w.cluster.Get(w.t.Context(), client.ObjectKeyFromObject(policy), read); err != nil {
		w.t.Fatal(err)
	}
	return read
}

// patch changes a policy.
func (w *world) patch(policy *v1alpha1.InactivityPolicy, change func(*v1alpha1.InactivityPolicy)) {
	w.t.Helper()
	before := w.get(policy)
	after := before.DeepCopy()
	change(after)
	if err := w.cluster.Patch(w.t.Context(), after, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
}

// condition is "Status/Reason" of a condition of the policy's present generation, "" when there is none.
func (w *world) condition(policy *v1alpha1.InactivityPolicy, kind string) string {
	read := w.get(policy)
	if read.Status.ObservedGeneration != read.Generation {
		return ""
	}
	condition := meta.FindStatusCondition(read.Status.Conditions, kind)
	if condition == nil || condition.ObservedGeneration != read.Generation {
		return ""
	}
	return string(condition.Status) + "/" + condition.Reason
}

func (w *world) eventuallyReady(policy *v1alpha1.InactivityPolicy) {
	w.t.Helper()
	w.eventuallyCondition(policy, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonSucceeded, "True/"+v1alpha1.ReasonStandby)
}

// eventuallyCondition waits until a condition is one of those wanted, and every operator knows it.
func (w *world) eventuallyCondition(policy *v1alpha1.InactivityPolicy, kind string, want ...string) {
	w.t.Helper()
	w.Eventually(func() string { return w.condition(policy, kind) }).Should(gomega.BeElementOf(want),
		func() string { return fmt.Sprintf("%+v", w.get(policy).Status.Conditions) })
	version := w.get(policy).ResourceVersion
	for _, r := range w.replicas {
		w.Eventually(func() (string, error) {
			cached := &v1alpha1.InactivityPolicy{}
			err := r.manager.GetClient().Get(w.t.Context(), client.ObjectKeyFromObject(policy), cached)
			return cached.ResourceVersion, err
		}).Should(gomega.Equal(version), "an operator's cache has the policy as it is")
	}
}

// eventReasons are the reasons of the events on the policy.
func (w *world) eventReasons(policy *v1alpha1.InactivityPolicy) []string {
	w.t.Helper()
	var list eventsv1.EventList
	if err := w.cluster.List(w.t.Context(), &list, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	var reasons []string
	for _, event := range list.Items {
		if event.Regarding.Name == policy.Name {
			reasons = append(reasons, event.Reason)
		}
	}
	return reasons
}

// customerWrites starts a conversation that an agent accepts, and waits until it is armed.
func (w *world) acceptedConversation() twiliosim.Started {
	w.t.Helper()
	started := w.conversation(w.twilio.StartConversation("sms", customer, "Hello?"))
	w.accept(started)
	w.eventuallyArmed(started)
	return started
}

func (w *world) conversation(started twiliosim.Started, err error) twiliosim.Started {
	w.t.Helper()
	w.do(err)
	return started
}

func (w *world) do(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) accept(started twiliosim.Started) {
	w.t.Helper()
	w.do(w.twilio.Accept(started.ReservationSID))
}

// pass lets time pass for everybody, in steps that Twilio's timers and the sweep keep up with.
func (w *world) pass(length time.Duration) {
	w.t.Helper()
	for length > 0 {
		step := min(length, sweepEvery)
		w.clock.Step(step)
		w.settle()
		length -= step
	}
}

// settle waits until Twilio has delivered what it had to.
func (w *world) settle() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), eventually)
	defer cancel()
	w.do(w.twilio.WaitIdle(ctx))
}

// seen is the conversation as Twilio has it.
func (w *world) seen(started twiliosim.Started) twiliosim.ConversationState {
	w.t.Helper()
	conversation, found := w.twilio.State().Conversation(started.ConversationSID)
	if !found {
		w.t.Fatalf("Twilio has no conversation %s", started.ConversationSID)
	}
	return conversation
}

func (w *world) taskStatus(started twiliosim.Started) string {
	task, found := w.twilio.State().Task(started.TaskSID)
	if !found {
		return "deleted"
	}
	return task.Status
}

// notices are the texts that the operator has sent.
func (w *world) notices(started twiliosim.Started) []string {
	w.t.Helper()
	var texts []string
	for _, message := range w.seen(started).Messages {
		if strings.Contains(message.Attributes, "inactivityPolicy") {
			texts = append(texts, message.Body)
		}
	}
	return texts
}

func (w *world) eventuallyArmed(started twiliosim.Started) {
	w.t.Helper()
	w.Eventually(func() bool { return len(w.seen(started).Webhooks) > 0 && w.seen(started).DateInactive != nil }).Should(gomega.BeTrue(), "the conversation is armed")
}

// promised is how much later than due a conversation may be ended when an event was lost: one sweep and the slack that
// the leader leaves to Twilio's timer.
const promised = sweepEvery + 30*time.Second

// eventually waits until what is the case, and lets at most the given time pass meanwhile.
func (w *world) eventually(within time.Duration, what func() bool, description string) {
	w.t.Helper()
	const step = 5 * time.Second
	w.Eventually(func() bool {
		if what() {
			return true
		}
		if within >= step {
			w.clock.Step(step)
			within -= step
		}
		return false
	}).Should(gomega.BeTrue(), description)
}

// eventuallyClosed waits until a conversation that is due is closed, no later than promised.
func (w *world) eventuallyClosed(started twiliosim.Started) {
	w.t.Helper()
	w.eventually(promised, func() bool { return w.seen(started).State == "closed" }, "the conversation is closed")
}

// writesTo are the writes to paths that contain part, in order.
func (w *world) writesTo(part string) []twiliosim.Entry {
	return slices.DeleteFunc(w.twilio.Writes(), func(e twiliosim.Entry) bool { return !strings.Contains(e.Path, part) })
}

// requestsSince are the requests that Twilio was sent after the first count entries of its journal.
func (w *world) requestsSince(count int) []string {
	var requests []string
	for _, entry := range w.twilio.Journal()[count:] {
		if entry.Kind == twiliosim.KindRequest {
			requests = append(requests, entry.Method+" "+entry.Path)
		}
	}
	return requests
}
