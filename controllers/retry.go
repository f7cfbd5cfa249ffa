package controllers

import (
	"math/rand/v2"
	"time"

	"k8s.io/client-go/util/workqueue"
)

// jitterShare is how much longer than asked a wait may be, as a share of it, so that what failed together is not
// retried together.
const jitterShare = 0.1

// Random gives numbers in [0, 1) to spread waits by. Nil: those of math/rand. It must be safe for concurrent use.
type Random func() float64

// lengthened is a wait lengthened by a random share of it.
func (r Random) lengthened(wait time.Duration) time.Duration {
	share := rand.Float64
	if r != nil {
		share = r
	}
	return wait + time.Duration(share()*jitterShare*float64(wait))
}

// jittered spreads the waits of a rate limiter.
type jittered[request comparable] struct {
	workqueue.TypedRateLimiter[request]
	random Random
}

// When returns how long the item has to wait.
func (j jittered[request]) When(item request) time.Duration {
	return j.random.lengthened(j.TypedRateLimiter.When(item))
}

// backOff is the rate limiter of a work queue: from a second, doubling up to longest.
func backOff[request comparable](random Random, longest time.Duration) workqueue.TypedRateLimiter[request] {
	return jittered[request]{workqueue.NewTypedItemExponentialFailureRateLimiter[request](time.Second, longest), random}
}

// NewQueue makes the work queue of a controller. Nil: controller-runtime's own.
type NewQueue[request comparable] func(name string, limiter workqueue.TypedRateLimiter[request]) workqueue.TypedRateLimitingInterface[request]
