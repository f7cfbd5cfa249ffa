// Package simulation runs the whole operator against the Twilio simulator for virtual days, under every fault that one
// seed after the other draws, and has a checker that knows nothing of the operator's code judge what it did.
//
// Each seed is one world in a synctest bubble: replicas of the operator with their real parts (receiver, reconcilers with
// controller-runtime's queues, sweeper, credentials, Twilio client), customers, agents and admins, all on one virtual
// clock. Whatever takes time takes a length of its own that the seed draws by what it is for, to the nanosecond: so at any
// moment one thing happens, and a seed gives the same history every time.
package simulation

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// failed is set when a seed has failed.
var failed atomic.Bool

var (
	stop  = flag.Bool("stop", false, "end at the first violation")
	seeds = flag.Int("seeds", 5, "how many seeds to run")
	first = flag.Uint64("first", 1, "the first seed")
	hours = flag.Int("hours", 24, "virtual hours of each seed")
	show  = flag.Bool("show", false, "show the whole history of each seed")
)

// TestMain leaves the garbage for longer than usual: simulations make much of it.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// TestSimulation runs seeds. One that fails prints itself: run it again with -first=N -seeds=1.
func TestSimulation(t *testing.T) {
	for i := range *seeds {
		seed := *first + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			if *stop && failed.Load() {
				return
			}
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(seed, time.Duration(*hours)*time.Hour)
				w.run()
				if *show {
					t.Log("\n" + w.report())
				}
				if len(w.problems) > 0 {
					failed.Store(true)
				}
				for _, problem := range w.problems {
					t.Errorf("seed %d: %s", seed, problem)
				}
			})
		})
	}
}

// TestASeedGivesTheSameHistoryEveryTime is what makes a failure worth anything.
func TestASeedGivesTheSameHistoryEveryTime(t *testing.T) {
	const seed, length = 3, 8 * time.Hour
	var first string
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(seed, length)
			w.run()
			switch history := w.report(); {
			case first == "":
				first = history
			case history != first:
				t.Errorf("the histories of seed %d differ:\n%s", seed, gocmp.Diff(strings.Split(first, "\n"), strings.Split(history, "\n")))
			}
		})
	}
	if len(strings.Split(first, "\n")) < 100 {
		t.Errorf("hardly anything happened:\n%s", first)
	}
}
