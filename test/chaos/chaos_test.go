//go:build chaos

// Package chaos runs processes of the operator against a real API server and the Twilio simulator, while those processes are
// killed, terminated and stopped, the API server restarts and Twilio is cut off, and then judges the simulator's journal by
// the words of the design. `make chaos` runs it; docs/reliability.md says what it shows.
//
// What goes wrong when, and what people do, is drawn from a seed, which is printed. Which request meets which fault is up to
// the processes: a seed repeats the schedule, and not the run.
package chaos

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
	"github.com/flexops-dev/inactivity-operator/test/marker"
)

var (
	seed          = flag.Uint64("seed", 0, "the seed of the schedule; 0: one that is drawn and printed")
	conversations = flag.Int("conversations", 300, "how many customers begin a conversation")
	manager       = flag.String("manager", "", "the operator's program; bin/manager when empty")
)

// TestMain draws the seed.
func TestMain(m *testing.M) {
	flag.Parse()
	ctrl.SetLogger(logr.Discard())
	if *seed == 0 {
		*seed = rand.Uint64N(1_000_000) + 1
	}
	fmt.Printf("seed %d\n", *seed)
	os.Exit(m.Run())
}

const (
	// arrivals is how long customers come, and peopleStop when everybody stops.
	arrivals   = 75 * time.Second
	peopleStop = faultsEnd
	// restTime is how long nothing may be written at rest.
	restTime = time.Minute
)

// TestChaos has everything go wrong, and then checks the promises.
func TestChaos(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	t.Cleanup(w.verdict)
	t.Cleanup(func() { t.Log(w.table()) })

	running, stop := context.WithCancel(t.Context())
	var keepers sync.WaitGroup
	t.Cleanup(func() {
		stop()
		keepers.Wait()
		w.stopAll()
		w.checkLogs()
	})
	for _, slot := range []string{slotA, slotB} {
		keepers.Go(func() { w.keep(running, slot) })
	}
	w.applyPolicies(t.Context())
	w.waitServing(t.Context(), 2)

	faults := schedule(w.seed)
	for _, f := range faults {
		t.Logf("at %5.1fs  %s", f.at.Seconds(), f)
	}
	w.begun = time.Now()
	effective := w.effectiveSince(t.Context())
	people, calm := context.WithDeadline(t.Context(), w.begun.Add(peopleStop))
	defer calm()
	var acting sync.WaitGroup
	for _, s := range scripts(w.seed, *conversations, arrivals) {
		acting.Go(func() { w.live(people, s) })
	}
	acting.Go(func() { w.estrange(people) })
	w.play(t.Context(), faults)
	acting.Wait()
	w.eventually(soon, w.unsettled)
	calmAt := time.Now()
	w.tell("calm: every fault has ended, people have stopped, and both replicas are ready")

	// A limit that is never reached by what keeps its promise: how late each end came is judged by the journal.
	w.eventually(policies[1].timeout+3*lateLimit, w.stillDue)
	w.tell("what was due has ended")
	w.rest(t.Context())
	if w.counts.get("processes "+endedWithoutLease) == 0 {
		w.wrong("the leader that was stopped has not lost the lead")
	}
	if diff := cmp.Diff(effective, w.effectiveSince(t.Context())); diff != "" {
		w.wrong("a restart made a policy take effect anew: %s", diff)
	}
	w.judge(calmAt)
	w.retire(t.Context())
}

// unsettled says which replica does not serve, or is about to end; nothing when all are there to stay.
func (w *world) unsettled() string {
	for _, slot := range []string{slotA, slotB} {
		if r := w.in(slot); !r.alive() || r.wasSent(syscall.SIGKILL) || r.wasSent(syscall.SIGTERM) || !r.backend.ready.Load() {
			return r.name + " does not serve or is about to end"
		}
	}
	return ""
}

// lateLimit is how late an ending may come once faults have ceased: at the leader's look, or at the first sweep of a new
// leader. What is over by then in any case is the time that a claim of a killed replica holds for others, 30 s, and the
// waits between the attempts that failed while Twilio was cut off, which are no longer than it was.
const lateLimit = lookSlack + sweepInterval + takeOver

// effectiveSince is when each policy took effect.
func (w *world) effectiveSince(ctx context.Context) map[string]time.Time {
	w.t.Helper()
	since := map[string]time.Time{}
	for _, name := range objects() {
		policy, err := w.cluster.policy(ctx, name)
		if err != nil {
			w.t.Fatal(err)
		}
		since[name] = policy.Status.EffectiveSince.Time
	}
	return since
}

// TestRollingRestart replaces two replicas one after the other under load: no callback may be refused.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	const (
		customers   = 60
		perSecond   = 200
		arrivals    = 15 * time.Second
		rolloutFrom = 55 * time.Second // so that many are due while replicas are replaced
		loadBefore  = 5 * time.Second
		loadAfter   = 5 * time.Second
	)
	w := newWorld(t)
	t.Cleanup(w.verdict)
	t.Cleanup(func() { t.Log(w.table()) })
	t.Cleanup(func() {
		w.stopAll()
		w.checkLogs()
	})
	old := []*replica{w.mustStart(t, "old1"), w.mustStart(t, "old2")}
	w.applyPolicies(t.Context())
	w.waitServing(t.Context(), 2)
	w.begun = time.Now()
	w.eventually(soon, func() string {
		if w.leader() == nil {
			return "nobody leads"
		}
		return ""
	})
	first := w.leader()

	var acting sync.WaitGroup
	for _, s := range scripts(w.seed, customers, arrivals) {
		s.kind, s.queue, s.steps = "silent", queueEveryone, []step{{time.Second, actAccept}}
		acting.Go(func() { w.live(t.Context(), s) })
	}
	acting.Wait()
	until(t.Context(), w.begun.Add(rolloutFrom-loadBefore))
	loading, enough := context.WithCancel(t.Context())
	defer enough()
	sids := w.sids()
	before := w.balancer.seen(sourceTwilio) // the first callback after a policy was made may have come before its Secret was read
	var sending sync.WaitGroup
	sending.Go(func() {
		w.counts.add("callbacks of load sent", w.load(loading, perSecond, sids))
	})
	until(t.Context(), w.begun.Add(rolloutFrom))
	for i, leaving := range old {
		w.replace(t, leaving, fmt.Sprint("new", i+1))
	}
	until(t.Context(), time.Now().Add(loadAfter))
	enough()
	sending.Wait()

	calmAt := time.Now()
	w.eventually(policies[0].timeout+lateLimit, w.stillDue)
	if last := w.leader(); last == nil || last == first {
		w.wrong("the lead has not moved")
	}
	for _, source := range []string{sourceTwilio, sourceLoad} {
		for outcome, n := range w.balancer.seen(source) {
			if source == sourceTwilio {
				n -= before[outcome]
			}
			if outcome != "204" && n > 0 {
				w.wrong("%d callbacks of %s during the rolling restart: %s", n, source, outcome)
			}
		}
	}
	if sent := w.balancer.seen(sourceLoad)["204"]; sent < perSecond*int((loadBefore+loadAfter).Seconds()) {
		w.wrong("only %d callbacks were sent: that is no load", sent)
	}
	w.judge(calmAt)
	w.retire(t.Context())
}

func (w *world) mustStart(t *testing.T, name string) *replica {
	t.Helper()
	r, err := w.startReplica(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// replace terminates a replica, starts another one at once, and waits until that one is ready and the other has ended.
func (w *world) replace(t *testing.T, leaving *replica, name string) {
	t.Helper()
	begun := time.Now()
	if err := leaving.signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	coming := w.mustStart(t, name)
	w.eventually(soon, func() string {
		if !coming.backend.ready.Load() {
			return name + " is not ready"
		}
		if leaving.alive() {
			return leaving.name + " has not ended"
		}
		return ""
	})
	if how, _ := w.howItEnded(leaving); how != "terminated" {
		w.wrong("%s %s", leaving.name, how)
	}
	w.tell("%s was replaced by %s within %s", leaving.name, name, time.Since(begun).Round(100*time.Millisecond))
	w.counts.add("replicas replaced", 1)
}

// sids are the conversations.
func (w *world) sids() (sids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for sid := range w.talks {
		sids = append(sids, sid)
	}
	slices.Sort(sids)
	return sids
}

// stillDue says which conversation has to end and has not; nothing when all have.
func (w *world) stillDue() string {
	state := w.twilio.State()
	for _, seen := range state.Conversations {
		if why := w.stays(state, seen); why == "" && seen.State != "closed" {
			return seen.SID + " has not ended"
		}
	}
	return ""
}

// stays says why nobody may end a conversation as it is; nothing when it has to end.
func (w *world) stays(state twiliosim.State, seen twiliosim.ConversationState) string {
	w.mu.Lock()
	t := w.talks[seen.SID]
	w.mu.Unlock()
	if t == nil {
		return "it belongs to nobody"
	}
	if _, selected := termsOf(t.queue); !selected {
		return "no policy selects it"
	}
	if !t.plain && seen.ChannelStatus != "active" && seen.ChannelStatus != "closed" {
		return "its channel is " + seen.ChannelStatus
	}
	served := false
	for _, task := range state.Tasks {
		if task.ConversationSID != seen.SID {
			continue
		}
		switch task.Status {
		case "pending", "reserved":
			return "a task waits for an agent"
		case "assigned":
			if held(task.Attributes) {
				return "it is held"
			}
			served = true
		}
	}
	if !served && !w.endingBegun(seen) {
		return "no agent has it"
	}
	return ""
}

// endingBegun reports whether the newest message is the operator's notice: an ending that was cut off is carried through,
// also when no agent is left.
func (w *world) endingBegun(seen twiliosim.ConversationState) bool {
	if len(seen.Messages) == 0 {
		return false
	}
	own, marked := marker.In(seen.Messages[len(seen.Messages)-1].Attributes)
	return marked && own.Step == "notice"
}

// rest waits until the counts in the policies' status are up to date, which may take a minute, and then sees for a minute
// that nothing is written.
func (w *world) rest(ctx context.Context) {
	w.t.Helper()
	seq := len(w.twilio.Journal())
	twilioRests := time.Now()
	w.eventually(soon, func() string { return w.untold(ctx) })
	began := time.Now()
	until(ctx, began.Add(restTime))
	for _, entry := range w.twilio.JournalSince(seq) {
		if entry.Write {
			w.wrong("I8: a write to Twilio at rest: %s %s %v", entry.Method, entry.Path, entry.Form)
		}
	}
	writes, err := w.cluster.writes(began)
	if err != nil {
		w.wrong("I8: %v", err)
	}
	for _, one := range writes {
		w.wrong("I8: a write to Kubernetes at rest: %+v", one)
	}
	w.counts.add("seconds at rest, Twilio", int(time.Since(twilioRests).Seconds()))
	w.counts.add("seconds at rest, Kubernetes", int(time.Since(began).Seconds()))
	w.tell("nothing was written at rest")
}

// untold says which policy's status does not show yet what is left open.
func (w *world) untold(ctx context.Context) string {
	state := w.twilio.State()
	open := map[string]int{}
	for _, seen := range state.Conversations {
		t := w.talks[seen.SID]
		if slices.ContainsFunc(state.Tasks, func(task twiliosim.TaskState) bool {
			return task.ConversationSID == seen.SID && task.Status == "assigned"
		}) && t != nil {
			open[t.queue]++
		}
	}
	for _, one := range policies {
		policy, err := w.cluster.policy(ctx, one.object())
		if err != nil {
			return err.Error()
		}
		if told := policy.Status.Conversations; told == nil || int(told.Open) != open[one.queue] || told.Due != 0 {
			return fmt.Sprintf("policy %s says %+v, with %d open", one.object(), told, open[one.queue])
		}
	}
	return ""
}

// retire deletes the policies, and checks that the workspace calls whom it called before.
func (w *world) retire(ctx context.Context) {
	w.t.Helper()
	for _, name := range objects() {
		policy, err := w.cluster.policy(ctx, name)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := w.cluster.Delete(ctx, policy); err != nil {
			w.t.Fatal(err)
		}
	}
	w.eventually(soon, func() string { return w.cluster.left(ctx, objects()...) })
	workspace, _ := w.twilio.State().Workspace(w.twilio.WorkspaceSID())
	if workspace.EventCallbackURL != w.elsewhere.URL+foreignPath || workspace.EventsFilter != foreignFilter {
		w.wrong("I6: the workspace calls %s for %q", workspace.EventCallbackURL, workspace.EventsFilter)
	}
}
