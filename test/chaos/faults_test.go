//go:build chaos

package chaos

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// What goes wrong.
const (
	faultKill      = "kill -9"
	faultTerm      = "SIGTERM"
	faultStop      = "SIGSTOP" // of the leader, for longer than its lease lasts, and then SIGCONT
	faultAPIServer = "restart of the API server"
	faultCut       = "Twilio cut off"
	faultLost      = "answers lost after the write"
	faultErrors    = "errors of Twilio"
)

// The replicas that a fault may meet.
const (
	slotA    = "A"
	slotB    = "B"
	slotAll  = "both"
	slotLead = "the leader"
)

const (
	// faultsBegin leaves some conversations time to begin, and faultsEnd is when all faults have ended, but for replicas that
	// are still draining.
	faultsBegin = 10 * time.Second
	faultsEnd   = 90 * time.Second
	// beliefAfterStop is how long a leader that was stopped goes on believing that it leads: client-go gives the renewal of the
	// lease ten seconds.
	beliefAfterStop = 11 * time.Second
	// apiServerMargin is how long after the API server is back its absence explains that a replica ends.
	apiServerMargin = 30 * time.Second
)

// fault is one thing that goes wrong, at a moment after the start.
type fault struct {
	at     time.Duration
	what   string
	whom   string
	length time.Duration
	how    string // in which a gate is cut
}

func (f fault) String() string {
	words := []string{f.what}
	if f.whom != "" {
		words = append(words, "of "+f.whom)
	}
	if f.length > 0 {
		words = append(words, "for "+f.length.String())
	}
	if f.how != "" {
		words = append(words, "("+f.how+")")
	}
	return strings.Join(words, " ")
}

// schedule is what goes wrong when, by the seed alone: everything once, and then some of it again. The stop of the leader comes
// first, and no process is ended and no API server restarted until it has come to something: the other replica has taken the
// lead over, and the stopped one has found out, up to ten seconds after it goes on.
func schedule(seed uint64) []fault {
	draw := roll(seed, "faults")
	stop := fault{what: faultStop, whom: slotLead, length: between(draw, 17*time.Second, 22*time.Second)}
	stop.at = faultsBegin + between(draw, 0, 5*time.Second)
	stopOver := stop.at + stop.length + beliefAfterStop
	restart := fault{what: faultAPIServer, length: between(draw, 0, 14*time.Second)}
	restart.at = between(draw, stopOver, stopOver+15*time.Second) // it takes seconds more than its length
	all := []fault{stop, restart}

	whats := []string{faultKill, faultTerm, faultCut, faultLost, faultErrors}
	for range 14 {
		whats = append(whats, oneOf(draw, faultKill, faultKill, faultKill, faultTerm, faultTerm, faultCut, faultCut, faultLost, faultErrors))
	}
	for _, what := range whats {
		f := fault{what: what}
		switch what {
		case faultKill:
			f.whom = oneOf(draw, slotA, slotB, slotLead, slotLead, slotAll)
		case faultTerm:
			f.whom = oneOf(draw, slotA, slotB, slotLead)
		case faultCut:
			f.whom, f.how = oneOf(draw, slotA, slotB, slotAll, slotAll), oneOf(draw, cutRefuse, cutReset, cutHang)
			f.length = between(draw, time.Second, 12*time.Second)
		default:
			f.length = between(draw, 3*time.Second, 10*time.Second)
		}
		f.at = between(draw, faultsBegin, faultsEnd-f.length)
		if what == faultKill || what == faultTerm {
			f.at = between(draw, stopOver, faultsEnd)
		}
		all = append(all, f)
	}
	slices.SortStableFunc(all, func(a, b fault) int { return cmp.Compare(a.at, b.at) })
	return all
}

// play has everything of the schedule go wrong, and returns when all of it has ended.
func (w *world) play(ctx context.Context, faults []fault) {
	var group sync.WaitGroup
	for i, f := range faults {
		if !until(ctx, w.begun.Add(f.at)) {
			break
		}
		w.tell("%s", f)
		w.counts.add(f.what, 1)
		group.Go(func() {
			if err := w.perform(ctx, f, roll(w.seed, fmt.Sprint("fault ", i))); err != nil {
				w.wrong("%s: %v", f, err)
			}
		})
	}
	group.Wait()
	w.twilio.ClearFaults()
	w.loser.set(0)
}

// victims are the replicas that a fault meets.
func (w *world) victims(whom string) (found []*replica) {
	if whom == slotLead {
		if leader := w.leader(); leader != nil {
			return []*replica{leader}
		}
		whom = slotA
	}
	for _, slot := range []string{slotA, slotB} {
		if r := w.in(slot); r != nil && (whom == slot || whom == slotAll) {
			found = append(found, r)
		}
	}
	return found
}

func (w *world) perform(ctx context.Context, f fault, draw *rand.Rand) error {
	end := time.Now().Add(f.length)
	switch f.what {
	case faultKill, faultTerm:
		signal := syscall.SIGKILL
		if f.what == faultTerm {
			signal = syscall.SIGTERM
		}
		for _, r := range w.victims(f.whom) {
			if signal == syscall.SIGTERM && r.wasSent(signal) {
				continue // a second one ends it at once, and nobody sends that
			}
			if err := r.signal(signal); err != nil {
				return err
			}
		}
	case faultStop:
		for _, r := range w.victims(f.whom) {
			if err := r.signal(syscall.SIGSTOP); err != nil {
				return err
			}
			until(ctx, end)
			if err := r.signal(syscall.SIGCONT); err != nil {
				return err
			}
		}
	case faultAPIServer:
		return w.restartAPIServer(ctx, f.length)
	case faultCut:
		return w.cutOff(ctx, f)
	case faultLost:
		w.loser.set(0.3)
		until(ctx, end)
		w.loser.set(0)
	case faultErrors:
		var mu sync.Mutex
		sometimes := func(r *http.Request, _ url.Values) bool {
			mu.Lock()
			defer mu.Unlock()
			return r.Header.Get(sourceHeader) != others && chance(draw, 0.1)
		}
		for _, status := range []int{http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable} {
			defer w.twilio.Fail(twiliosim.Fault{Match: sometimes, Status: status})()
		}
		until(ctx, end)
	}
	return nil
}

// cutOff cuts the victims off from Twilio, and whoever takes their place meanwhile is not.
func (w *world) cutOff(ctx context.Context, f fault) error {
	end := time.Now().Add(f.length)
	victims := w.victims(f.whom)
	for _, r := range victims {
		r.gate.cut(f.how)
	}
	until(ctx, end)
	w.counts.add("seconds of replicas cut off", int(f.length.Seconds())*len(victims))
	for _, r := range victims {
		if err := r.gate.mend(); err != nil {
			return err
		}
	}
	return nil
}

// restartAPIServer stops the API server and starts it again, on the same port and with the same data.
func (w *world) restartAPIServer(ctx context.Context, length time.Duration) error {
	w.mu.Lock()
	w.downUntil = time.Now().Add(time.Hour)
	w.mu.Unlock()
	stopped := time.Now()
	if err := w.cluster.control.StopAPIServer(); err != nil {
		return err
	}
	until(ctx, time.Now().Add(length))
	if err := w.cluster.control.StartAPIServer(); err != nil {
		return err
	}
	w.counts.add("seconds without an API server", int(time.Since(stopped).Seconds()))
	w.tell("the API server is back after %s", time.Since(stopped).Round(time.Second))
	w.mu.Lock()
	w.downUntil = time.Now().Add(apiServerMargin)
	w.mu.Unlock()
	return nil
}
