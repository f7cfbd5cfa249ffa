//go:build chaos

package chaos

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestAScheduleIsTheSeeds: a seed gives the same schedule and the same people every time, and every schedule has everything.
func TestAScheduleIsTheSeeds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		faults := schedule(seed)
		if diff := cmp.Diff(faults, schedule(seed), cmp.AllowUnexported(fault{})); diff != "" {
			t.Fatalf("seed %d gives two schedules: %s", seed, diff)
		}
		count, stop := map[string]int{}, fault{}
		for _, f := range faults {
			if count[f.what]++; f.what == faultStop {
				stop = f
			}
			if f.at < faultsBegin || f.at+f.length > faultsEnd {
				t.Errorf("seed %d: %s at %s is out of bounds", seed, f, f.at)
			}
		}
		for _, what := range []string{faultKill, faultTerm, faultStop, faultAPIServer, faultCut, faultLost, faultErrors} {
			if count[what] == 0 {
				t.Errorf("seed %d has no %s", seed, what)
			}
		}
		for _, f := range faults {
			if ends := f.what == faultKill || f.what == faultTerm; ends && f.at < stop.at+stop.length+beliefAfterStop {
				t.Errorf("seed %d: %s at %s, before the stopped leader has found out that it does not lead", seed, f, f.at)
			}
		}
	}
	people := scripts(7, 300, time.Minute)
	if diff := cmp.Diff(people, scripts(7, 300, time.Minute), cmp.AllowUnexported(script{}, step{})); diff != "" {
		t.Errorf("a seed gives two kinds of people: %s", diff)
	}
	for _, s := range people[:100] {
		if s.begin < 0 || s.begin > time.Minute || s.kind == "" {
			t.Errorf("%+v is no customer", s)
		}
	}
}
