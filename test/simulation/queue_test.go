package simulation

import (
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

// queue is the work queue that controllers have anyway, for simulations: what is added at one moment is added just after it,
// one after the other, a nanosecond apart, so that it does not depend on the machine which of it a worker gets first, nor
// whether one that asks for work at that moment gets any of it. It has no metrics, which would be updated twice a second.
type queue[request comparable] struct {
	priorityqueue.PriorityQueue[request]

	mu     sync.Mutex
	latest time.Time
}

func newQueue[request comparable](_ string, limiter workqueue.TypedRateLimiter[request]) workqueue.TypedRateLimitingInterface[request] {
	return &queue[request]{PriorityQueue: priorityqueue.New("", func(options *priorityqueue.Opts[request]) { options.RateLimiter = limiter })}
}

// AddWithOpts adds the items, each in its turn.
func (q *queue[request]) AddWithOpts(options priorityqueue.AddOpts, items ...request) {
	for _, item := range items {
		q.inTurn(func() { q.PriorityQueue.AddWithOpts(options, item) })
	}
}

// Add adds an item.
func (q *queue[request]) Add(item request) { q.AddWithOpts(priorityqueue.AddOpts{}, item) }

// AddAfter adds an item after a while.
func (q *queue[request]) AddAfter(item request, after time.Duration) {
	q.AddWithOpts(priorityqueue.AddOpts{After: after}, item)
}

// AddRateLimited adds an item after as long as the limiter says.
func (q *queue[request]) AddRateLimited(item request) {
	q.AddWithOpts(priorityqueue.AddOpts{RateLimited: true}, item)
}

// inTurn calls a function at the first moment after this one at which none was called yet.
func (q *queue[request]) inTurn(add func()) {
	q.mu.Lock()
	now := time.Now()
	q.latest = later(q.latest, now).Add(1)
	wait := q.latest.Sub(now)
	q.mu.Unlock()
	time.AfterFunc(wait, add)
}
