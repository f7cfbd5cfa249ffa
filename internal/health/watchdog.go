// Package health tells whether the work of a replica still gets on. It asks nobody: that Twilio or the API server fails is
// no reason to restart the operator, and a restart would cure neither.
package health

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Patience is how long one pass of a worker, or the wait of a queue that no worker takes anything from, may last before
// the queue counts as wedged. It is far beyond what bounds a pass, which is less than half of it for every controller, so
// that a slow Twilio, a throttled one or a busy node never looks like a wedge.
const Patience = 5 * time.Minute

// Queue is what the watchdog asks of a work queue.
type Queue interface {
	// Len is how many items wait for a worker now. Those that wait for their time, because of back-off or of a requeue
	// after some time, do not count.
	Len() int
}

// Watchdog stands between the workers of a controller and its reconciler, and knows whether they get on. All methods are
// safe for concurrent use.
type Watchdog[request comparable] struct {
	name       string
	clock      clock.PassiveClock
	reconciler reconcile.TypedReconciler[request]

	mu    sync.Mutex
	queue Queue
	// begun is when each pass that is under way began. A queue hands out no item twice at a time.
	begun map[request]time.Time
	// taken counts the passes that have begun.
	taken uint64
	// waiting is when the queue was last seen with items although it had not been since a pass began; waitingTaken is taken
	// at that moment. No item leaves the queue without a pass.
	waiting      time.Time
	waitingTaken uint64
}

// NewWatchdog watches the workers that call the reconciler through it. The name is the controller's.
func NewWatchdog[request comparable](name string, clock clock.PassiveClock, reconciler reconcile.TypedReconciler[request]) *Watchdog[request] {
	return &Watchdog[request]{name: name, clock: clock, reconciler: reconciler, begun: map[request]time.Time{}}
}

// Serves says which queue the workers serve. Until then, and so on a replica that does not lead and has no such workers,
// no item counts as waiting.
func (w *Watchdog[request]) Serves(queue Queue) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = queue
}

// Reconcile hands the item to the reconciler.
func (w *Watchdog[request]) Reconcile(ctx context.Context, item request) (reconcile.Result, error) {
	w.begin(item)
	defer w.end(item) // also when the reconciler panics, from which the controller recovers
	return w.reconciler.Reconcile(ctx, item)
}

func (w *Watchdog[request]) begin(item request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun[item] = w.clock.Now()
	w.taken++
}

func (w *Watchdog[request]) end(item request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.begun, item)
}

// Check is a healthz.Checker. It fails when a pass has lasted longer than [Patience], or when items have waited for longer
// than that and none was taken. How long they have waited is reckoned from the first check that saw them, so it has to be
// called now and then, as a probe is.
func (w *Watchdog[request]) Check(*http.Request) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.Now()
	for item, since := range w.begun {
		if lasted := now.Sub(since); lasted > Patience {
			return fmt.Errorf("the queue of controller %s is wedged: a worker has been at %v for %s", w.name, item, lasted.Round(time.Second))
		}
	}
	if w.queue == nil || w.queue.Len() == 0 {
		return nil
	}
	if w.waiting.IsZero() || w.waitingTaken != w.taken {
		w.waiting, w.waitingTaken = now, w.taken
	}
	if lasted := now.Sub(w.waiting); lasted > Patience {
		return fmt.Errorf("the queue of controller %s is wedged: %d items wait, and no worker has taken one for %s", w.name, w.queue.Len(), lasted.Round(time.Second))
	}
	return nil
}
