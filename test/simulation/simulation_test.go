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
	"slices"
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
	stop  = flag.Bool("stop", false, "end at the first violation, and do not look for its shortest timeline")
	seeds = flag.Int("seeds", 2, "how many seeds to run")
	first = flag.Uint64("first", 1, "the first seed")
	hours = flag.Int("hours", 24, "virtual hours of each seed, at least 8")
	show  = flag.Bool("show", false, "show the whole history of each seed, with the operator's log")
)

// garbage is how much memory may be in use before garbage is collected: simulations make much of it.
const garbage = 256 << 20

// TestMain reports what was simulated once all seeds have run.
func TestMain(m *testing.M) {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(garbage)
	code := m.Run()
	total.report(os.Stdout)
	os.Exit(code)
}

// TestSimulation runs contact centres. A seed that fails prints itself, and the shortest timeline that was found.
func TestSimulation(t *testing.T) { runSeeds(t, play{}) }

// TestCallbackLifeCycle runs seeds without customers who write, in which admins do all they can to policies and workspaces, with a
// restart between any two steps.
func TestCallbackLifeCycle(t *testing.T) { runSeeds(t, play{callbacksOnly: true}) }

// play is what is to be simulated.
type play struct {
	seed   uint64
	length time.Duration
	// callbacksOnly: policies and workspaces, and no customers but some who call by phone.
	callbacksOnly bool
	// tells: the history is kept; shows: with the operator's log.
	tells, shows bool
	// script, if there is one, is played instead of what the seed draws.
	script *script
	// stops at the first violation.
	stops bool
	// without are the parts that are left out.
	without map[string]bool
}

// world plays it, in a bubble of its own.
func (p play) world(t *testing.T) *world {
	var w *world
	synctest.Test(t, func(*testing.T) {
		// A bubble begins in 2000, and Twilio's events of that time are not believed.
		time.Sleep(time.Until(oneOf(newDice(p.seed).roll("date"), dates...)))
		w = newWorld(p)
		if p.script != nil {
			w.follow(p.script)
			return
		}
		w.run()
	})
	return w
}

func runSeeds(t *testing.T, p play) {
	if *hours < 8 {
		t.Fatalf("-hours=%d: say 8 or more, because nothing fails in the last hours", *hours)
	}
	if *seeds < 1 {
		t.Fatalf("-seeds=%d: say 1 or more, because no seed shows nothing", *seeds)
	}
	p.length = time.Duration(*hours) * time.Hour
	p.tells, p.shows, p.stops = *show, *show, *stop
	for i := range *seeds {
		p := p
		p.seed = *first + uint64(i)
		t.Run(fmt.Sprint(p.seed), func(t *testing.T) {
			t.Parallel()
			if *stop && failed.Load() {
				return
			}
			w := p.world(t)
			total.add(&w.tally)
			if p.tells {
				t.Log("\n" + strings.Join(w.lines, "\n"))
			}
			for _, problem := range w.problems {
				t.Errorf("seed %d: %s", p.seed, problem)
			}
			if len(w.problems) == 0 {
				return
			}
			t.Logf("play it again: make simulate FIRST=%d SEEDS=1 HOURS=%d ARGS='-show -v'", p.seed, *hours)
			if first := !failed.Swap(true); first && !*stop && !*show {
				t.Log(shortest(t, p, w))
			}
		})
	}
}

// TestASeedGivesTheSameHistoryEveryTime is what makes a failure worth anything.
func TestASeedGivesTheSameHistoryEveryTime(t *testing.T) {
	plays := []play{{seed: 3}, {seed: 4, callbacksOnly: true}, {seed: 41, callbacksOnly: true}, {seed: 44, callbacksOnly: true}}
	// Then life cycles until there is one in which events are forwarded.
	for seed := range uint64(50) {
		plays = append(plays, play{seed: 50 + seed, callbacksOnly: true})
	}
	forwards := false
	for i, p := range plays {
		if i >= 4 && forwards {
			return
		}
		p.length, p.tells = 8*time.Hour, true
		first := p.world(t).lines
		for range 2 {
			if again := p.world(t).lines; strings.Join(again, "\n") != strings.Join(first, "\n") {
				t.Errorf("the histories of %+v differ:\n%s", p, gocmp.Diff(first, again))
			}
		}
		if len(first) < 100 {
			t.Errorf("hardly anything happened:\n%s", strings.Join(first, "\n"))
		}
		forwards = forwards || slices.ContainsFunc(first, func(line string) bool { return strings.Contains(line, " forwards ") })
	}
	if !forwards {
		t.Error("in none of the histories are events forwarded")
	}
}
