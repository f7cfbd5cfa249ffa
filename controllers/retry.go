package controllers

import (
	"math/rand/v2"
	"time"

	"k8s.io/client-go/util/workqueue"
)

// jitterShare is how much longer than asked a wait may be, as a share of it, so that what failed together is not
// retried together.
const jitterShare = 0.1

// withJitter lengthens a wait by a random share of it.
func withJitter(wait time.Duration) time.Duration {
	return wait + time.Duration(rand.Float64()*jitterShare*float64(wait)) //nolint:gosec // spreads retries; nobody gains by guessing it
}

// jittered spreads the waits of a rate limiter.
type jittered[request comparable] struct {
	workqueue.TypedRateLimiter[request]
}

// When returns how long the item has to wait.
func (j jittered[request]) When(item request) time.Duration {
	return withJitter(j.TypedRateLimiter.When(item))
}
