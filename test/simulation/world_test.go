package simulation

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

const (
	namespace  = "team"
	secretName = "twilio"

	// settling is how long before the end nobody does anything any more and nothing fails: what is due by then has to end.
	settling = 3 * time.Hour

	// calmAdmins is how much earlier policies are left alone, so that what an edit starts is over.
	calmAdmins = 20 * time.Minute

	// resting is the last part of a simulation, in which nothing may be written.
	resting = 20 * time.Minute
)

// world is a contact centre with its people, its Twilio account and the replicas of the operator that look after it.
// Goroutines play them; every one of their acts has a virtual moment of its own, which the seed draws.
type world struct {
	seed   uint64
	dice   *dice
	logger logr.Logger

	twilio        *twiliosim.Simulator
	twilioHandler http.Handler
	dialect       twiliosim.Dialect
	cluster       *cluster
	publicURL     *url.URL
	weather       weather
	outages       []period

	sweepInterval, syncInterval time.Duration
	maxConcurrent               int

	begun, calm, over time.Time

	mu       sync.Mutex
	replicas []*replica
	started  int
	talks    map[string]*talk // by conversation
	tasks    map[string]string
	lines    []string
	problems []string

	// ended says that the first violation has ended the simulation.
	ended   atomic.Bool
	checker *checker
	busy    sync.WaitGroup
}

type period struct{ from, to time.Time }

// newWorld draws a world. Its time is that of the bubble it is made in.
func newWorld(seed uint64, length time.Duration) *world {
	publicURL, err := callback.ParsePublicURL("https://inactivity.example.com")
	if err != nil {
		panic(err)
	}
	w := &world{
		seed: seed, dice: newDice(seed), logger: logr.Discard(), cluster: newCluster(), publicURL: publicURL,
		begun: time.Now(), talks: map[string]*talk{}, tasks: map[string]string{},
	}
	if *show {
		w.logger = funcr.New(func(prefix, args string) { w.tell("%s: %s", prefix, args) }, funcr.Options{Verbosity: 1})
	}
	w.over = w.begun.Add(length)
	w.calm = w.over.Add(-settling)
	draw := w.dice.roll("world")
	w.weather = drawWeather(draw)
	w.sweepInterval = oneOf(draw, time.Minute, 3*time.Minute, 5*time.Minute, 10*time.Minute, 10*time.Minute)
	w.syncInterval = oneOf(draw, 10*time.Minute, 30*time.Minute)
	w.maxConcurrent = oneOf(draw, 1, 2, 20)
	for range draw.IntN(3) {
		from := w.begun.Add(between(draw, 0, w.calm.Sub(w.begun)))
		w.outages = append(w.outages, period{from, from.Add(between(draw, time.Minute, 40*time.Minute))})
	}
	w.dialect = drawDialect(draw)
	w.twilio = twiliosim.New(twiliosim.Options{
		Clock: clock.RealClock{}, CallbackClient: &http.Client{Transport: callbackLink{w: w}}, Dialect: w.dialect,
	})
	w.twilioHandler = w.twilio.Handler()
	w.twilio.AddTaskQueue("Sales")
	w.checker = newChecker(w)
	w.cluster.told = w.checker.policyWritten
	w.cluster.setSecret(types.NamespacedName{Namespace: namespace, Name: secretName}, map[string][]byte{
		"accountSid": []byte(w.twilio.AccountSID()), "authToken": []byte(w.twilio.AuthToken()),
	})
	return w
}

func (w *world) isCalm() bool { return w.ended.Load() || !time.Now().Before(w.calm) }

func (w *world) isOver() bool { return !time.Now().Before(w.over) }

// isOut says whether Twilio has an outage.
func (w *world) isOut() bool {
	now := time.Now()
	return slices.ContainsFunc(w.outages, func(p period) bool { return !now.Before(p.from) && now.Before(p.to) })
}

// watchLag is how long the API server takes to tell a replica of a change.
func (w *world) watchLag(r *replica) time.Duration {
	draw := w.dice.roll(r.name + " hears of a change at " + time.Now().String())
	if !w.isCalm() && chance(draw, 0.05) {
		return between(draw, time.Second, maxWatchLag)
	}
	return between(draw, time.Millisecond, 100*time.Millisecond)
}

// maxWatchLag is how far behind a replica's cache may be.
const maxWatchLag = 5 * time.Second

// tell writes a line of the history.
func (w *world) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, time.Now().UTC().Format("02 15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// wrong records a violation.
func (w *world) wrong(format string, args ...any) {
	w.tell("!!! "+format, args...)
	w.mu.Lock()
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
	w.mu.Unlock()
	if *stop && !w.ended.Swap(true) {
		for _, r := range w.alive() {
			r.crash()
		}
	}
}

// run plays the world to its end.
func (w *world) run() {
	draw := w.dice.roll("run")
	w.tell("%+v", w.weather)
	w.tell("sweeps every %s; dialect %+v", w.sweepInterval, w.dialect)
	replicas := 1 + draw.IntN(3)
	w.busy.Go(func() { w.administer(w.dice.roll("admins")) })
	for range replicas {
		w.startReplica()
	}
	w.busy.Go(func() { w.elect(w.dice.roll("elections")) })
	w.busy.Go(func() { w.disturb(w.dice.roll("disturbances")) })
	w.busy.Go(func() { w.forge(w.dice.roll("forgers")) })
	for i := range 4 + draw.IntN(7) {
		t := &talk{w: w, draw: w.dice.roll(fmt.Sprintf("talk %d", i)), name: fmt.Sprintf("+1500555%04d", i)}
		w.busy.Go(t.live)
	}
	time.Sleep(time.Until(w.over.Add(-resting)))
	w.checker.rests()
	time.Sleep(time.Until(w.over))
	w.checker.finally()
	w.retire()
	for _, r := range w.alive() {
		r.crash()
	}
	w.busy.Wait()
	for _, r := range w.alive() {
		r.running.Wait()
	}
	w.twilio.Close()
}

// startReplica starts a process.
func (w *world) startReplica() {
	w.mu.Lock()
	w.started++
	name := fmt.Sprintf("replica %d", w.started)
	w.mu.Unlock()
	draw := w.dice.roll(name)
	r := newReplica(w, name, between(draw, -2*time.Minute, 2*time.Minute))
	w.mu.Lock()
	w.replicas = append(w.replicas, r)
	w.mu.Unlock()
	w.tell("%s starts", name)
}

// alive are the replicas that run.
func (w *world) alive() []*replica {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.replicas)
}

// forget takes a replica that is gone off the list once its goroutines have ended.
func (w *world) forget(r *replica) {
	r.running.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replicas = slices.DeleteFunc(w.replicas, func(other *replica) bool { return other == r })
}

// elect keeps one of the replicas the leader: another one some time after the leader is gone.
func (w *world) elect(draw *rand.Rand) {
	for !w.isOver() && !w.ended.Load() {
		candidates := slices.DeleteFunc(w.alive(), func(r *replica) bool { return r.crashed() || r.ctx.Err() != nil })
		led := slices.ContainsFunc(candidates, func(r *replica) bool { return r.leads })
		if !led && len(candidates) > 0 {
			r := oneOf(draw, candidates...)
			w.tell("%s leads", r.name)
			r.lead()
		}
		time.Sleep(between(draw, 4*time.Second, 20*time.Second))
	}
}

// disturb has processes crash, stop and start.
func (w *world) disturb(draw *rand.Rand) {
	rate := oneOf(draw, 0, 20*time.Minute, 2*time.Hour, 8*time.Hour)
	for rate > 0 {
		time.Sleep(between(draw, rate/4, rate))
		if w.isCalm() {
			return
		}
		candidates := slices.DeleteFunc(w.alive(), func(r *replica) bool { return r.crashed() || r.ctx.Err() != nil })
		if len(candidates) == 0 {
			continue
		}
		r := oneOf(draw, candidates...)
		how := oneOf(draw, "crashes", "crashes", "is terminated")
		w.tell("%s %s", r.name, how)
		if how == "crashes" {
			r.crash()
		} else {
			w.busy.Go(r.terminate)
		}
		w.busy.Go(func() {
			<-r.down
			w.forget(r)
		})
		after := between(draw, time.Second, oneOf(draw, 10*time.Second, 5*time.Minute))
		w.busy.Go(func() {
			time.Sleep(after)
			w.startReplica()
		})
	}
}

// forge has strangers send callbacks.
func (w *world) forge(draw *rand.Rand) {
	for {
		time.Sleep(between(draw, 10*time.Minute, 3*time.Hour))
		if w.isCalm() {
			return
		}
		for _, r := range w.alive() {
			if r.serves() {
				w.checker.forged(r, draw)
				break
			}
		}
	}
}

// retire deletes all policies and lets the operator clean up.
func (w *world) retire() {
	draw := w.dice.roll("retirement")
	for _, policy := range w.cluster.all() {
		time.Sleep(between(draw, time.Millisecond, 10*time.Second))
		w.cluster.remove(types.NamespacedName{Namespace: policy.Namespace, Name: policy.Name})
	}
	time.Sleep(5 * time.Minute)
	w.checker.retired()
}

// report is the history, for a reader.
func (w *world) report() string {
	return strings.Join(w.lines, "\n")
}
