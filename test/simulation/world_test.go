package simulation

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
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
	secretName = "twilio"

	// settling is how long before the end faults cease: from then on what is due has to end on time. Callbacks may go on
	// being lost.
	settling = 6 * time.Hour

	// silence is how long before the end people stop: what is due by then has to end.
	silence = 110 * time.Minute

	// resting is the last part of a simulation, in which nothing may be written.
	resting = 20 * time.Minute

	// recovering is how long after the faults ceased something may still be late because of them.
	recovering = 15 * time.Minute

	// calmAdmins is how much earlier than the faults edits cease.
	calmAdmins = 20 * time.Minute
)

// teams are the namespaces.
var teams = []string{"north", "south", "west"}

// world is a contact centre with its people, its Twilio account and the replicas of the operator that look after it.
// Goroutines play them; every one of their acts has a virtual moment of its own, which the seed draws.
type world struct {
	play
	dice   *dice
	logger logr.Logger

	twilio        *twiliosim.Simulator
	twilioHandler http.Handler
	workspaces    []*workspace
	dialect       twiliosim.Dialect
	cluster       *cluster
	publicURL     *url.URL
	weather       weather
	outages       []outage
	others        others

	sweepInterval, syncInterval time.Duration
	maxConcurrent               int

	begun, calm, silent, over time.Time

	mu       sync.Mutex
	signed   []string // the tokens that Twilio has signed callbacks with
	parts    map[string]bool
	replicas []*replica
	started  int
	talks    map[string]*talk // by conversation
	tasks    map[string]string
	lines    []string
	problems []string
	tally    tally

	// ended says that the first violation has ended the simulation.
	ended   atomic.Bool
	checker *checker
	busy    sync.WaitGroup
}

// workspace is one of the account's.
type workspace struct{ sid, name string }

type period struct{ from, to time.Time }

func (p period) has(at time.Time) bool { return !at.Before(p.from) && at.Before(p.to) }

// outage is when Twilio answers everything with an error: it is down, or has suspended the account.
type outage struct {
	period
	status, code int
}

// ofThisRun is what a log line has that no two runs have in common.
var ofThisRun = regexp.MustCompile(` "(reconcileID|source)"="[^"]*"`)

// newWorld draws a world. Its time is that of the bubble it is made in.
func newWorld(p play) *world {
	publicURL, err := callback.ParsePublicURL("https://inactivity.example.com")
	if err != nil {
		panic(err)
	}
	w := &world{
		play: p, dice: newDice(p.seed), logger: logr.Discard(), cluster: newCluster(), publicURL: publicURL,
		begun: time.Now(), talks: map[string]*talk{}, tasks: map[string]string{}, parts: map[string]bool{},
	}
	if p.shows {
		w.logger = funcr.New(func(prefix, args string) { w.tell("%s: %s", prefix, ofThisRun.ReplaceAllString(args, "")) }, funcr.Options{Verbosity: 1})
	}
	w.over = w.begun.Add(p.length)
	w.calm, w.silent = w.over.Add(-settling), w.over.Add(-silence)
	draw := w.dice.roll("world")
	w.weather = w.drawWeather(draw)
	w.sweepInterval = oneOf(draw, time.Minute, 3*time.Minute, 5*time.Minute, 5*time.Minute, 10*time.Minute, 10*time.Minute, 10*time.Minute)
	w.syncInterval = oneOf(draw, 10*time.Minute, 30*time.Minute)
	w.maxConcurrent = oneOf(draw, 1, 2, 20)
	w.drawOutages(draw)
	w.others = w.drawOthers(w.dice.roll("others"))
	if dialect := drawDialect(draw); w.plays("an odd dialect") {
		w.dialect = dialect
	}
	w.twilio = twiliosim.New(twiliosim.Options{
		Clock: clock.RealClock{}, CallbackClient: &http.Client{Transport: callbackLink{w: w}}, Dialect: w.dialect,
	})
	w.twilioHandler = w.twilio.Handler()
	w.checker = newChecker(w)
	w.setUpWorkspaces(draw)
	w.cluster.told = w.checker.policyWritten
	w.signed = []string{w.twilio.AuthToken()}
	w.setSecrets(draw, w.twilio.AuthToken(), "", 0)
	return w
}

// plays says whether a part of the world is played, or left out to see whether a violation needs it.
func (w *world) plays(part string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.parts[part] = true
	return w.script == nil && !w.without[part]
}

// drawOutages draws when Twilio is out.
func (w *world) drawOutages(draw *rand.Rand) {
	for i := range draw.IntN(3) {
		from := w.begun.Add(between(draw, 0, w.calm.Sub(w.begun)))
		out := outage{period{from, from.Add(between(draw, time.Minute, time.Hour))}, 0, 0}
		suspended := chance(draw, 0.25)
		out.status, out.code = http.StatusServiceUnavailable, 20503
		if suspended {
			out.status, out.code = oneOf(draw, http.StatusUnauthorized, http.StatusForbidden), 20003
		}
		if w.plays(fmt.Sprintf("outage %d", i)) {
			w.outages = append(w.outages, out)
		}
	}
}

func (w *world) isCalm() bool { return w.ended.Load() || !time.Now().Before(w.calm) }

// isSilent says that people have stopped.
func (w *world) isSilent() bool { return w.ended.Load() || !time.Now().Before(w.silent) }

func (w *world) isOver() bool { return !time.Now().Before(w.over) }

// out is the outage that there is now; nil if there is none.
func (w *world) out() *outage {
	now := time.Now()
	for i := range w.outages {
		if w.outages[i].has(now) {
			return &w.outages[i]
		}
	}
	return nil
}

// watchLag is how long the API server takes to tell a replica of a change.
func (w *world) watchLag(r *replica) time.Duration {
	draw := w.dice.roll(r.name + " hears of a change at " + time.Now().String())
	if !w.isCalm() && chance(draw, 0.05) && w.plays("lagging watches") {
		return between(draw, time.Second, maxWatchLag)
	}
	return between(draw, time.Millisecond, 100*time.Millisecond)
}

// maxWatchLag is how far behind a replica's cache may be.
const maxWatchLag = 5 * time.Second

// tell writes a line of the history.
func (w *world) tell(format string, args ...any) {
	if !w.tells {
		return
	}
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
	w.tally.count("violations", 1)
	if w.stops && !w.ended.Swap(true) {
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
	w.makePolicies(w.dice.roll("first policies"))
	w.busy.Go(func() { w.administer(w.dice.roll("admins")) })
	for i := range 1 + draw.IntN(3) {
		if i == 0 || w.plays(fmt.Sprintf("one more replica %d", i)) {
			w.startReplica()
		}
	}
	w.busy.Go(func() { w.elect(w.dice.roll("elections")) })
	for _, out := range w.outages {
		w.busy.Go(func() { w.tellsOf(out) })
	}
	for part, act := range map[string]func(*rand.Rand){
		"crashes and terminations": w.disturb, "forged callbacks": w.forge, "edits of workspaces": w.interfere, "rotations of the token": w.rotate, "deletions of Secrets": w.loseSecrets,
	} {
		if w.plays(part) {
			w.busy.Go(func() { act(w.dice.roll(part)) })
		}
	}
	if crowd := w.dice.roll("crowd"); !w.callbacksOnly && chance(crowd, 0.5) && w.plays("a crowd") {
		w.busy.Go(func() { w.gather(crowd) })
	}
	if w.callbacksOnly && w.plays("calls") {
		w.busy.Go(func() { w.phone(w.dice.roll("phone")) })
	}
	for i := range 1 + draw.IntN(5) {
		name := fmt.Sprintf("+1500555%04d", i)
		if !w.callbacksOnly && w.plays("customer "+name) {
			t := &talk{w: w, draw: w.dice.roll("talk " + name), name: name}
			w.busy.Go(t.live)
		}
	}
	w.wait(w.calm.Add(recovering))
	for look := w.dice.roll("looks"); !w.isSilent(); {
		w.checker.watched()
		time.Sleep(between(look, time.Second, 2*time.Minute))
	}
	w.wait(w.over.Add(-resting))
	w.checker.rests()
	w.wait(w.over)
	if !w.ended.Load() {
		w.checker.finally()
	}
	if !w.ended.Load() {
		w.retire()
	}
	w.end()
	w.tally.count("seeds", 1)
	w.tally.count("virtual hours", int(w.length.Hours()))
}

// end has everything end that still runs.
func (w *world) end() {
	for _, r := range w.alive() {
		r.crash()
	}
	w.busy.Wait()
	for _, r := range w.alive() {
		r.crash() // it may have been about to start when a violation ended everything
		r.running.Wait()
	}
	w.twilio.Close()
}

// wait lets the world go on until then, or until a violation has ended it.
func (w *world) wait(until time.Time) {
	for time.Now().Before(until) && !w.ended.Load() {
		time.Sleep(min(time.Until(until), 5*time.Minute))
	}
}

// startReplica starts a process.
func (w *world) startReplica() {
	w.mu.Lock()
	w.started++
	name := fmt.Sprintf("replica %d", w.started)
	w.mu.Unlock()
	draw := w.dice.roll(name)
	most := oneOf(draw, time.Second, 20*time.Second, 2*time.Minute)
	skew := between(draw, -most, most)
	if !w.plays("wrong clocks") {
		skew = 0
	}
	r := newReplica(w, name, skew)
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
	w.cluster.unwatch(r.cache)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replicas = slices.DeleteFunc(w.replicas, func(other *replica) bool { return other == r })
}

// elect keeps one of the replicas the leader: another one some time after the leader is gone, or has not been heard of for
// longer than its lease.
func (w *world) elect(draw *rand.Rand) {
	for !w.isOver() && !w.ended.Load() {
		leads := func(r *replica) bool {
			return r.leads.Load() && !r.crashed() && r.ctx.Err() == nil && !r.isFrozen(leaseDuration)
		}
		candidates := slices.DeleteFunc(w.alive(), func(r *replica) bool { return !r.moves() || r.leads.Load() })
		if len(candidates) > 0 && !slices.ContainsFunc(w.alive(), leads) {
			r := oneOf(draw, candidates...)
			w.tell("%s leads", r.name)
			w.tally.count("changes of leader", 1)
			r.lead()
		}
		time.Sleep(between(draw, 4*time.Second, 20*time.Second))
	}
}

// disturb has processes crash, stop, stand still and start.
func (w *world) disturb(draw *rand.Rand) {
	rate := oneOf(draw, 0, 20*time.Minute, 2*time.Hour, 8*time.Hour)
	if w.callbacksOnly {
		rate = oneOf(draw, 2*time.Minute, 10*time.Minute)
	}
	for i := 0; rate > 0; i++ {
		time.Sleep(between(draw, rate/4, rate))
		if w.isCalm() {
			return
		}
		part := fmt.Sprintf("crash %d", i)
		if !w.plays(part) {
			continue
		}
		draw := w.dice.roll(part)
		candidates := slices.DeleteFunc(w.alive(), func(r *replica) bool { return !r.moves() })
		if len(candidates) == 0 {
			continue
		}
		r := oneOf(draw, candidates...)
		how := oneOf(draw, "crashes", "crashes", "is terminated", "stands still")
		w.tell("%s %s", r.name, how)
		w.tally.count(happened[how], 1)
		switch how {
		case "crashes":
			r.crash()
		case "is terminated":
			w.busy.Go(r.terminate)
		case "stands still":
			length, findsOut := between(draw, time.Second, oneOf(draw, 5*time.Second, leaseDuration, standstill)), between(draw, 0, 3*time.Second)
			w.busy.Go(func() { r.freeze(length, findsOut) })
		}
		w.busy.Go(func() { w.replace(r) })
	}
}

// happened is as what is counted what happens to a process.
var happened = map[string]string{"crashes": "crashes", "is terminated": "terminations", "stands still": "standstills"}

// replace starts another replica some time after one has gone, however often that was seen to come. One that stands still may
// go on instead.
func (w *world) replace(r *replica) {
	gone := time.NewTimer(2 * standstill)
	defer gone.Stop()
	select {
	case <-r.down:
	case <-gone.C:
		if r.ctx.Err() == nil {
			return
		}
		<-r.down
	}
	if r.replaced.Swap(true) {
		return
	}
	w.busy.Go(func() { w.forget(r) })
	draw := w.dice.roll("after " + r.name)
	time.Sleep(between(draw, time.Second, oneOf(draw, 10*time.Second, 5*time.Minute)))
	w.startReplica()
}

// retire deletes all policies and lets the operator clean up.
func (w *world) retire() {
	draw := w.dice.roll("retirement")
	for _, policy := range w.cluster.all() {
		time.Sleep(between(draw, time.Millisecond, 10*time.Second))
		w.tell("an admin deletes %s", policy.Name)
		w.cluster.remove(types.NamespacedName{Namespace: policy.Namespace, Name: policy.Name})
	}
	time.Sleep(5 * time.Minute)
	w.checker.retired()
}

// names are those of all customers.
func (w *world) names() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for _, t := range w.talks {
		names = append(names, t.name)
	}
	return names
}
