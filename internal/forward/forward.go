// Package forward passes TaskRouter events on to the endpoint that a workspace called before the operator took its
// callback over: unchanged, signed for that endpoint as Twilio would sign them, in the order of arrival for each task, and
// tried again for a bounded time.
//
// Whoever hands an event over never waits: events are queued in memory, within bounds. What is queued when the process
// dies is lost, as an event is that Twilio cannot deliver.
package forward

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"

	"github.com/flexops-dev/inactivity-operator/internal/metrics"
	"github.com/flexops-dev/inactivity-operator/internal/signature"
)

// Event is an authentic TaskRouter event for another party.
type Event struct {
	// WorkspaceSID is the workspace that the event is of.
	WorkspaceSID string
	// Policy is an InactivityPolicy of the workspace, for the Kubernetes events about it.
	Policy corev1.ObjectReference
	// Target is the URL that the workspace called before, as it was set in Twilio: it may have user information, a query
	// and a fragment.
	Target string
	// Token is the auth token that the event was signed with, which signs it for the target too. It is not kept.
	Token string
	// Header is that of the request in which the event arrived. It is not kept.
	Header http.Header
	// Body is the event as it arrived, and Form is the same, decoded. Body must not be changed any more; Form is not kept.
	Body []byte
	Form url.Values
}

// Options are what a [Forwarder] is made of. All are needed but Transport, ToPrivate and Random.
type Options struct {
	// Identity tells this operator from others that events may pass through. All replicas have the same; it is hashed.
	Identity string
	// Metrics counts what becomes of events.
	Metrics *metrics.Metrics
	// Recorder records that events cannot be passed on.
	Recorder events.EventRecorder
	// Logger takes the lines about it.
	Logger logr.Logger
	// Drained is closed when no more events come.
	Drained <-chan struct{}
	// ToPrivate allows targets at addresses that only the cluster's own network knows.
	ToPrivate bool
	// Transport carries the requests. Nil: a transport of the forwarder's own, which ToPrivate is about.
	Transport http.RoundTripper
	// Random gives numbers in [0, 1) that spread waits. Nil: those of math/rand. It must be safe for concurrent use.
	Random func() float64
}

// Forwarder passes events on. It is a manager.Runnable that works on every replica, because every replica receives
// callbacks. All methods are safe for concurrent use. Its times are those of the network, so that they are always real
// time.
type Forwarder struct {
	options   Options
	transport http.RoundTripper
	via       string
	troubles  *troubles

	// requests is done when everything under way has to end.
	requests context.Context
	abort    context.CancelFunc
	workers  sync.WaitGroup

	mu      sync.Mutex
	queue   *queue
	repeats *repeats
	stopped bool
	// emptied tells Start that nothing is queued any more.
	emptied chan struct{}
}

// New returns a forwarder that takes events at once. It fails if an option that is needed is missing.
func New(options Options) (*Forwarder, error) {
	if options.Identity == "" || options.Metrics == nil || options.Recorder == nil || options.Drained == nil {
		return nil, errors.New("making the forwarder: identity, metrics, recorder and drained are all needed")
	}
	if options.Random == nil {
		options.Random = rand.Float64
	}
	if options.Transport == nil {
		options.Transport = newTransport(options.ToPrivate)
	}
	f := &Forwarder{
		options:   options,
		transport: options.Transport,
		via:       pseudonym(options.Identity),
		troubles:  newTroubles(),
		queue:     newQueue(),
		repeats:   newRepeats(),
		emptied:   make(chan struct{}, 1),
	}
	f.requests, f.abort = context.WithCancel(context.Background())
	return f, nil
}

// NeedLeaderElection is false: every replica receives callbacks.
func (f *Forwarder) NeedLeaderElection() bool { return false }

// Forward takes an event and returns at once. What becomes of it is counted.
func (f *Forwarder) Forward(event Event) {
	via, circling := f.nextVia(event.Header.Values(headerVia))
	if circling {
		f.options.Metrics.Forwarded(metrics.ForwardLooped)
		f.troubles.lost(event.WorkspaceSID, event.Policy, hostOf(event.Target), troubleLoop)
		return
	}
	to, err := parseDestination(event.Target)
	if err != nil {
		f.options.Metrics.Forwarded(metrics.ForwardRefused)
		f.troubles.lost(event.WorkspaceSID, event.Policy, hostOf(event.Target), troubleAddress)
		return
	}
	taken := &item{
		workspaceSID: event.WorkspaceSID,
		policy:       event.Policy,
		to:           to,
		body:         event.Body,
		arrived:      time.Now(),
		header:       newHeader(event, via, signature.Compute(event.Token, to.signed, event.Form)),
	}
	outcome := f.enqueue(taken, laneOf(event.Form), sidOf(event.Form))
	switch outcome {
	case metrics.ForwardRepeated:
		f.options.Metrics.Forwarded(outcome)
	case metrics.ForwardDropped:
		f.options.Metrics.Forwarded(outcome)
		f.troubles.lost(event.WorkspaceSID, event.Policy, to.host, troubleFull)
	}
}

// enqueue puts an item into its lane. It returns the outcome of one that is not taken, and nothing for one that is.
func (f *Forwarder) enqueue(it *item, lane, eventSID string) (outcome string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.stopped:
		return metrics.ForwardDropped
	case f.repeats.seen(eventSID, it.arrived):
		return metrics.ForwardRepeated
	case !f.queue.fits(it):
		return metrics.ForwardDropped
	}
	// Only what was taken is a repeat later: what was dropped may come again.
	f.repeats.remember(eventSID, it.arrived)
	if to := f.queue.add(it, lane); to != nil {
		f.startWorker(to)
	}
	f.options.Metrics.ForwardQueued(f.queue.events)
	return ""
}

// startWorker starts a worker for a target unless it has enough. The caller holds mu.
func (f *Forwarder) startWorker(to *target) {
	if f.stopped || to.workers == maxRequests {
		return
	}
	to.workers++
	f.workers.Go(func() { f.work(to) })
}

// work passes on what is ready for a target, until nothing is.
func (f *Forwarder) work(to *target) {
	for {
		f.mu.Lock()
		lane := to.next()
		if lane == nil || f.stopped {
			to.workers--
			f.queue.forget(to)
			f.mu.Unlock()
			return
		}
		it := lane.items[0]
		f.mu.Unlock()

		outcome, cause := f.try(it)

		f.mu.Lock()
		f.settle(to, lane, it, outcome, cause)
		f.mu.Unlock()
	}
}

// settle does what follows from an attempt: the next event of the lane, or a pause. The caller holds mu.
func (f *Forwarder) settle(to *target, lane *lane, it *item, outcome string, cause trouble) {
	if f.stopped {
		return // counted by whoever stopped it
	}
	if outcome == "" {
		pause := f.pause(it.attempts)
		it.attempts++
		if time.Since(it.arrived)+pause <= patience {
			f.troubles.failed(it.workspaceSID, it.policy, it.to.host, cause)
			time.AfterFunc(pause, func() {
				f.mu.Lock()
				defer f.mu.Unlock()
				to.ready(lane)
				f.startWorker(to)
			})
			return
		}
		outcome = metrics.ForwardExpired
	}
	f.options.Metrics.Forwarded(outcome)
	if outcome != metrics.ForwardDelivered {
		f.troubles.lost(it.workspaceSID, it.policy, it.to.host, cause)
	}
	f.queue.done(to, lane)
	f.options.Metrics.ForwardQueued(f.queue.events)
	if f.queue.events == 0 {
		select {
		case f.emptied <- struct{}{}:
		default: // told already
		}
	}
}

// pause is how long to wait after an attempt, given how many there were before: up to a quarter shorter, so that the lanes
// of a party that comes back do not all try at once.
func (f *Forwarder) pause(attempts int) time.Duration {
	pause := lastBackOff
	if attempts < 5 { // firstBackOff << 5 is more
		pause = min(firstBackOff<<attempts, lastBackOff)
	}
	return pause - time.Duration(f.options.Random()*float64(pause/4))
}

// try makes an attempt. The outcome is empty if another one should follow.
func (f *Forwarder) try(it *item) (outcome string, cause trouble) {
	if time.Since(it.arrived) > patience {
		return metrics.ForwardExpired, troubleLate
	}
	return f.deliver(it)
}

// Start tells of trouble until ctx is done and no more events come. Then what is queued is given another 15 seconds.
func (f *Forwarder) Start(ctx context.Context) error {
	defer f.abort()
	for drained := false; !drained; {
		select {
		case <-f.troubles.due:
			f.tell()
		case <-f.options.Drained:
			drained = true
		}
	}
	<-ctx.Done()

	timer := time.NewTimer(drainTimeout)
	defer timer.Stop()
	for waiting, timedOut := f.waiting(), false; waiting > 0 && !timedOut; waiting = f.waiting() {
		select {
		case <-f.emptied:
		case <-f.troubles.due:
			f.tell()
		case <-timer.C:
			timedOut = true
		}
	}
	f.stop()
	f.tell()
	return nil
}

func (f *Forwarder) waiting() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.queue.events
}

// stop drops what is queued, and waits for the requests under way to be cut off.
func (f *Forwarder) stop() {
	f.mu.Lock()
	f.stopped = true
	dropped := f.queue.events
	f.queue = newQueue()
	f.mu.Unlock()
	f.abort()
	f.workers.Wait()
	if dropped == 0 {
		return
	}
	for range dropped {
		f.options.Metrics.Forwarded(metrics.ForwardDropped)
	}
	f.options.Metrics.ForwardQueued(0)
	f.options.Logger.Info("Dropping events that could not be passed on before the operator stops", "events", dropped)
}

// laneOf returns what an event's order is kept by: its task, else whatever it is about.
func laneOf(form url.Values) string {
	if task := form.Get("TaskSid"); task != "" {
		return strings.Clone(task) // a part of the whole form, which should not be kept
	}
	return strings.Clone(form.Get("ResourceSid"))
}

// sidOf returns the event's own SID, and nothing if there is no single one that could be one.
func sidOf(form url.Values) string {
	if sids := form["Sid"]; len(sids) == 1 && len(sids[0]) <= maxSIDLength {
		return strings.Clone(sids[0])
	}
	return ""
}
