//go:build chaos

package chaos

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// roll is a source of randomness for a purpose: what one purpose draws does not depend on what others have drawn.
func roll(seed uint64, purpose string) *rand.Rand {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(purpose))
	return rand.New(rand.NewPCG(seed, hash.Sum64()))
}

// chance is true with the probability.
func chance(r *rand.Rand, probability float64) bool { return r.Float64() < probability }

// between is a length from least to most, in whole milliseconds.
func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return (least + time.Duration(r.Int64N(int64(most-least)+1))).Truncate(time.Millisecond)
}

// oneOf is one of the values.
func oneOf[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// until waits for a moment of the schedule; false: ctx has ended before.
func until(ctx context.Context, moment time.Time) bool {
	timer := time.NewTimer(time.Until(moment))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
