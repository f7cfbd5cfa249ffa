package simulation

import (
	"hash/fnv"
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

// dice draw what is random in a simulation. A draw depends on the seed and on what it is for, and not on what was drawn
// before: goroutines that draw at the same moment draw the same in whatever order they run, so that a seed gives the same
// simulation every time.
type dice struct {
	seed uint64

	mu    sync.Mutex
	drawn map[uint64]uint64 // how often, by the hash of the purpose
}

func newDice(seed uint64) *dice { return &dice{seed: seed, drawn: map[uint64]uint64{}} }

// roll is a source for a purpose. A purpose that comes again gives another source.
func (d *dice) roll(purpose string) *rand.Rand {
	hash := fnv.New64a()
	_, _ = io.WriteString(hash, purpose)
	key := hash.Sum64()
	d.mu.Lock()
	count := d.drawn[key]
	d.drawn[key] = count + 1
	d.mu.Unlock()
	return rand.New(rand.NewPCG(d.seed, key+count*0x9e3779b97f4a7c15))
}

// chance is true with the probability.
func chance(r *rand.Rand, probability float64) bool { return r.Float64() < probability }

// between is a length from least to most, to the nanosecond, so that hardly ever two things happen at the same moment.
func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)+1))
}

// oneOf is one of the values.
func oneOf[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }
