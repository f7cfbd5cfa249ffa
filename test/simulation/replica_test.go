package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/recorder"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/controllers"
	"github.com/flexops-dev/inactivity-operator/internal/metrics"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
)

// drainDelay and drainPatience are how long a replica that is asked to stop goes on serving, and when it is killed.
const (
	drainDelay    = 5 * time.Second
	drainPatience = 60 * time.Second

	// leaseDuration is how long nobody else leads when a leader is heard of no more, and renewDeadline for how long a leader
	// that cannot renew its lease goes on (controller-runtime's defaults).
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second

	// standstill is the longest for which a process stands still.
	standstill = 40 * time.Second
)

// scheme is what the operator's own is.
var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	return s
}()

// replica is one process of the operator: all its parts, wired as in production, with a manager that the simulation plays.
type replica struct {
	manager.Manager // what is not used panics
	w               *world
	name            string
	skew            time.Duration
	cache           *replicaCache

	runnables []manager.Runnable
	receiver  http.Handler
	elected   chan struct{}
	leads     atomic.Bool
	led       atomic.Pointer[time.Time] // since when it leads

	// ready is how long after its start a probe found the process ready, and when; nil: none has.
	ready atomic.Pointer[readiness]

	// frozen is when the process stands still; nil: it never has.
	frozen atomic.Pointer[period]

	down     chan struct{} // closed when the process is gone
	replaced atomic.Bool
	ctx      context.Context
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// newReplica makes and starts a replica.
func newReplica(w *world, name string, skew time.Duration) *replica {
	r := &replica{w: w, name: name, skew: skew, elected: make(chan struct{}), down: make(chan struct{})}
	r.cache = newReplicaCache(r)
	r.ctx, r.stop = context.WithCancel(context.Background())
	collectors, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		panic(err)
	}
	checks, err := operator.AddToManager(r.ctx, r, operator.Config{
		PublicURL:          w.publicURL,
		ReceiverListener:   newSilentListener(),
		ReceiverDrainDelay: drainDelay,
		TwilioAPIURL:       "http://twilio.simulated",
		TwilioTransport:    twilioLink{replica: r},
		ForwardTransport:   othersLink{replica: r},
		SweepInterval:      w.sweepInterval,
		SyncInterval:       w.syncInterval,
		MaxConcurrent:      w.maxConcurrent,
		Metrics:            collectors,
		Clock:              skewedClock{skew: skew},
		Random: func(part string) float64 {
			return w.dice.roll(name + " " + part + " waits " + time.Now().String()).Float64()
		},

		NewConversationQueue: newQueue[controllers.ConversationKey],
		NewPolicyQueue:       newQueue[reconcile.Request],
	})
	if err != nil {
		panic(err)
	}
	r.runThose(func(runnable manager.Runnable) bool { return !needsLeader(runnable) })
	r.running.Go(func() { r.probe(checks.Ready) })
	return r
}

func needsLeader(runnable manager.Runnable) bool {
	elected, ok := runnable.(manager.LeaderElectionRunnable)
	return !ok || elected.NeedLeaderElection()
}

// runThose starts some of the parts, one after the other: what they do first must not happen at one moment.
func (r *replica) runThose(chosen func(manager.Runnable) bool) {
	for _, runnable := range r.runnables {
		if chosen(runnable) {
			r.run(runnable)
			time.Sleep(time.Nanosecond)
		}
	}
}

func (r *replica) run(runnable manager.Runnable) {
	r.running.Go(func() {
		if err := runnable.Start(r.ctx); err != nil && r.ctx.Err() == nil {
			r.w.wrong("%s: %T has ended: %v", r.name, runnable, err)
		}
	})
}

// lead makes the replica the leader.
func (r *replica) lead() {
	r.leads.Store(true)
	r.led.Store(new(time.Now()))
	close(r.elected)
	r.runThose(needsLeader)
}

// crash ends the process at once: whatever it is doing is never finished.
func (r *replica) crash() {
	if !r.crashed() {
		close(r.down)
		r.stop()
	}
}

// crashesAtWrite has the process crash, as often as the weather has it, just before a write takes effect or just after it, and
// reports whether it has. Another one starts some time later.
func (r *replica) crashesAtWrite(draw *rand.Rand, writes bool, takeEffect func()) bool {
	w := r.w
	if !writes || r.crashed() {
		return false
	}
	crashes, late := !w.isCalm() && chance(draw, w.weather.crash), chance(draw, 0.5)
	if w.script != nil {
		crashes, late = w.script.crashesNow()
	}
	if !crashes {
		return false
	}
	if late {
		takeEffect()
	}
	w.tell("%s crashes at a write", r.name)
	w.tally.count("crashes at a write", 1)
	r.crash()
	w.busy.Go(func() { w.replace(r) })
	return true
}

func (r *replica) crashed() bool {
	select {
	case <-r.down:
		return true
	default:
		return false
	}
}

// terminate asks the process to stop, as SIGTERM does: it drains, and is killed when that takes too long.
func (r *replica) terminate() {
	r.stop()
	ended := make(chan struct{})
	go func() {
		r.running.Wait()
		close(ended)
	}()
	timer := time.NewTimer(drainPatience)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
	case <-r.down:
	}
	r.crash()
}

// freeze has the process stand still for a while, as a paused machine does: it neither sends nor hears anything, and then
// goes on where it was. A leader that could not renew its lease for so long finds that out soon after, and ends.
func (r *replica) freeze(length, findsOut time.Duration) {
	r.frozen.Store(&period{time.Now(), time.Now().Add(length)})
	led := r.leads.Load()
	if r.thaw(nil) && led && length > renewDeadline {
		time.Sleep(findsOut)
		r.crash()
	}
}

// isFrozen says that the process has stood still for so long.
func (r *replica) isFrozen(length time.Duration) bool {
	frozen, now := r.frozen.Load(), time.Now()
	return frozen != nil && frozen.has(now) && now.Sub(frozen.from) >= length
}

// thaw waits while the process stands still, and reports whether it is alive then. What waited goes on at a moment of its own,
// which the draw decides; nil: at the very end.
func (r *replica) thaw(draw *rand.Rand) bool {
	for r.isFrozen(0) && !r.crashed() {
		wait := time.Until(r.frozen.Load().to)
		if draw != nil {
			wait += between(draw, time.Nanosecond, time.Millisecond)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-r.down:
		}
		timer.Stop()
	}
	return !r.crashed()
}

// serves says whether callbacks reach the replica: it is ready.
func (r *replica) serves() bool { return r.moves() && r.ready.Load() != nil }

// readiness is when a process was found to be ready, and how long that took.
type readiness struct {
	at   time.Time
	took time.Duration
}

// probe asks the process every second whether it is ready, until it is.
func (r *replica) probe(check healthz.Checker) {
	started, draw := time.Now(), r.w.dice.roll(r.name+" is probed")
	for r.pause(r.ctx, between(draw, time.Millisecond, time.Second)) == nil {
		if check(httptest.NewRequest(http.MethodGet, "/readyz", nil)) == nil {
			r.ready.Store(&readiness{time.Now(), time.Since(started)})
			return
		}
	}
}

// moves says whether the process is alive, has not been asked to stop, and does not stand still.
func (r *replica) moves() bool { return !r.crashed() && r.ctx.Err() == nil && !r.isFrozen(0) }

// Add takes a part of the operator.
func (r *replica) Add(runnable manager.Runnable) error {
	r.runnables = append(r.runnables, runnable)
	if handler, ok := runnable.(http.Handler); ok {
		r.receiver = handler
	}
	return nil
}

// Elected is closed when the replica becomes the leader.
func (r *replica) Elected() <-chan struct{} { return r.elected }

// GetScheme is the operator's.
func (r *replica) GetScheme() *runtime.Scheme { return scheme }

// GetCache is what the replica knows of the cluster.
func (r *replica) GetCache() cache.Cache { return r.cache }

// GetFieldIndexer registers the cache's indexes.
func (r *replica) GetFieldIndexer() client.FieldIndexer { return r.cache }

// GetClient reads from the cache and writes to the API server.
func (r *replica) GetClient() client.Client { return replicaClient{replica: r} }

// GetAPIReader reads from the API server.
func (r *replica) GetAPIReader() client.Reader { return secretReader{replica: r} }

// GetEventRecorder tells the checker of events.
func (r *replica) GetEventRecorder(string) recorder.EventRecorder { return eventRecorder{replica: r} }

// GetLogger drops lines, unless a seed is replayed.
func (r *replica) GetLogger() logr.Logger { return r.w.logger.WithName(r.name) }

// GetControllerOptions lets many replicas have controllers of the same name. A panic, of the operator or of the checker, ends the
// run: recovered, it would pass for one more error that is tried again.
func (r *replica) GetControllerOptions() config.Controller {
	return config.Controller{SkipNameValidation: new(true), RecoverPanic: new(false)}
}

// eventRecorder is what the operator records events with: what is not used of it panics.
type eventRecorder struct {
	recorder.EventRecorder
	replica *replica
}

// Eventf tells of an event. One has consequences: the operator says that it has given up putting a callback back.
func (e eventRecorder) Eventf(regarding, _ runtime.Object, _, reason, _, note string, args ...any) {
	said := fmt.Sprintf(note, args...)
	e.replica.w.tell("%s: event %s: %s", e.replica.name, reason, said)
	if e.replica.w.checker.rested() {
		e.replica.w.wrong("I8: %s records an event at rest: %s: %s", e.replica.name, reason, said)
	}
	if reason == "CallbackNotRestored" {
		e.replica.w.checker.abandoned(e.replica, regarding.(*v1alpha1.InactivityPolicy), said)
	}
}

// skewedClock is a replica's clock: it shows another time than Twilio's, and goes as fast.
type skewedClock struct {
	clock.RealClock
	skew time.Duration
}

// Now is the time that the clock shows.
func (c skewedClock) Now() time.Time { return time.Now().Add(c.skew) }

// Since is how long ago the clock showed that time.
func (c skewedClock) Since(at time.Time) time.Duration { return c.Now().Sub(at) }

// silentListener is what the receiver listens on. Nobody connects: callbacks are handed to it directly.
type silentListener struct {
	once   sync.Once
	closed chan struct{}
}

func newSilentListener() *silentListener { return &silentListener{closed: make(chan struct{})} }

// Accept waits until the listener is closed.
func (l *silentListener) Accept() (net.Conn, error) {
	<-l.closed
	return nil, net.ErrClosed
}

// Close ends Accept.
func (l *silentListener) Close() error {
	err := errors.New("closed already")
	l.once.Do(func() {
		close(l.closed)
		err = nil
	})
	return err
}

// Addr is nobody's.
func (l *silentListener) Addr() net.Addr { return &net.TCPAddr{} }
