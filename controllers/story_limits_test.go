package controllers_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

func limited(closesPerMinute int32) edit {
	return func(spec *v1alpha1.InactivityPolicySpec) {
		spec.Limits = &v1alpha1.Limits{ClosesPerMinute: closesPerMinute}
	}
}

// looksEvery is how often the leader sweeps in these stories: often enough that each conversation is looked at when its turn
// has come. (Outside of tests the leader's own later looks see to it. They are timed by a real clock, which stands still here.)
const looksEvery = 10 * time.Second

func sweepingOften(c *operator.Config) { c.SweepInterval = looksEvery }

// step lets a few seconds pass: until the leader has swept, and nothing more is asked of Twilio.
func (w *world) step() {
	w.t.Helper()
	swept := w.sweeps()
	w.clock.Step(looksEvery)
	w.settle()
	w.Eventually(w.sweeps).Should(gomega.BeNumerically(">", swept), "the leader sweeps")
	w.quiet()
}

// sweeps is how often the leader has swept.
func (w *world) sweeps() int {
	count := 0
	for _, entry := range w.twilio.Journal() {
		if entry.Kind == twiliosim.KindRequest && strings.HasSuffix(entry.Path, "/Tasks") && !entry.Query.Has("EvaluateTaskAttributes") {
			count++
		}
	}
	return count
}

// beginning is the first write of an ending: the claim on the task.
type beginning struct {
	taskSID string
	at      time.Time
}

// beginnings are the endings that were begun, in order.
func (w *world) beginnings() []beginning {
	var begun []beginning
	for _, entry := range w.writesTo("/Tasks/") {
		claim := entry.Form.Get("Attributes")
		if entry.Effect && (strings.Contains(claim, `"step":"notice"`) || strings.Contains(claim, `"step":"finish"`)) {
			begun = append(begun, beginning{taskSID: entry.Path[strings.LastIndexByte(entry.Path, '/')+1:], at: entry.Time})
		}
	}
	return begun
}

// withinLimit shows that in no minute more endings were begun than the limit.
func (w *world) withinLimit(limit int) {
	w.t.Helper()
	begun := w.beginnings()
	for i := limit; i < len(begun); i++ {
		w.Expect(begun[i].at.Sub(begun[i-limit].at)).To(gomega.BeNumerically(">=", time.Minute),
			func() string { return fmt.Sprintf("the endings begun: %v", begun) })
	}
}

func (w *world) allClosed(all []twiliosim.Started) bool {
	w.t.Helper()
	return !slices.ContainsFunc(all, func(started twiliosim.Started) bool { return w.seen(started).State != "closed" })
}

func TestOfManyConversationsThatAreDueAtOnceTheLongestDueEndFirstAndNeverMoreInAMinuteThanTheLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const count, limit = 14, 2 // seven minutes: longer than a task is kept that has ended
	all := make([]twiliosim.Started, 0, count)
	for range count {
		all = append(all, w.waiting(twiliosim.Start{}))
	}
	// They are accepted in another order than they were started in, and become due in that order.
	rand.New(rand.NewPCG(1, 2)).Shuffle(count, func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, started := range all {
		w.clock.Step(10 * time.Second)
		w.accept(started)
	}
	w.leap(timeout)
	w.startOperator(sweepingOften)
	policy := w.inForce(limited(limit), func(spec *v1alpha1.InactivityPolicySpec) { spec.Existing = v1alpha1.ExistingImmediate })
	reached := false
	for within := 12 * time.Minute; within > 0 && !w.allClosed(all); within -= looksEvery {
		w.step()
		reached = reached || w.condition(policy, v1alpha1.ConditionThrottled) == "True/LimitReached"
		w.withinLimit(limit)
	}
	w.Expect(w.allClosed(all)).To(gomega.BeTrue(), "all are ended in the end")
	w.Expect(reached).To(gomega.BeTrue(), "the policy says that conversations wait")

	begun := w.beginnings()
	w.Expect(begun).To(gomega.HaveLen(count))
	for i := 0; i < count; i += limit {
		var due, ended []string
		for j := i; j < i+limit; j++ {
			due, ended = append(due, all[j].TaskSID), append(ended, begun[j].taskSID)
		}
		w.Expect(ended).To(gomega.ConsistOf(due), "the longest due come first")
	}
	for _, started := range all {
		w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}))
	}
	w.eventually(2*time.Minute, func() bool { return w.condition(policy, v1alpha1.ConditionThrottled) == "False/WithinLimit" }, "no conversation waits")
}

func TestTheLimitCountsEveryKindOfEnding(t *testing.T) {
	for name, change := range map[string]edit{
		"silent": saying(""),
		"Notify": func(spec *v1alpha1.InactivityPolicySpec) {
			spec.OnTimeout = &v1alpha1.OnTimeout{Action: v1alpha1.ActionNotify}
		},
		"with WrapUp": func(spec *v1alpha1.InactivityPolicySpec) {
			spec.OnTimeout = &v1alpha1.OnTimeout{Action: v1alpha1.ActionWrapUp}
		},
		"with warning": warning("5m", "Still there?"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.startOperator(sweepingOften)
			w.inForce(limited(1), change)
			const count = 3
			for range count {
				w.armed(twiliosim.Start{})
			}
			w.keepUp(timeout)
			for within := 8 * time.Minute; within > 0 && len(w.beginnings()) < count; within -= looksEvery {
				w.step()
			}
			w.Expect(w.beginnings()).To(gomega.HaveLen(count))
			w.withinLimit(1)
		})
	}
}

func TestAConversationThatIsAnsweredWhileItWaitsForTheLimitIsNotEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startOperator(sweepingOften)
	w.inForce(limited(1))
	first := w.armed(twiliosim.Start{})
	w.clock.Step(10 * time.Second)
	second := w.armed(twiliosim.Start{})
	w.keepUp(timeout)
	for within := 2 * time.Minute; within > 0 && w.seen(first).State != "closed"; within -= looksEvery {
		w.step()
	}
	w.Expect(w.seen(first).State).To(gomega.Equal("closed"))
	w.Expect(w.beginnings()).To(gomega.HaveLen(1), "the second waits")
	w.says(second, twiliosim.Customer, "Wait, I am here!")
	answered := w.clock.Now()
	w.keepUp(timeout - 2*time.Second)
	w.Expect(w.notices(second)).To(gomega.BeEmpty())
	w.keepUp(2 * time.Second)
	w.ends(second)
	w.Expect(w.said(second)[0].Created).To(gomega.BeTemporally(">=", answered.Add(timeout).Truncate(time.Second)))
}

func TestTheLimitHoldsForTwoReplicasAlsoWhenTheFollowerHearsOfEveryConversation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	leader := w.startOperator(sweepingOften)
	w.inForce(limited(2))
	w.followLeader()
	follower := w.startOperator(func(c *operator.Config) { c.PublicURL = leader.publicURL })
	const count = 6
	all := make([]twiliosim.Started, 0, count)
	for range count {
		all = append(all, w.armed(twiliosim.Start{}))
	}
	// Every wake-up reaches the follower, and none the leader, whose own look comes half a minute later.
	w.loseCallbacks.Store(true)
	w.clock.Step(timeout)
	w.settle()
	looked := len(w.twilio.Journal())
	w.deliverAllAgain("onConversationStateUpdated", follower)
	for _, started := range all {
		w.Eventually(func() []string { return about(w, looked, started) }).ShouldNot(gomega.BeEmpty(), "the follower looks")
	}
	w.quiet()
	w.Expect(w.beginnings()).To(gomega.BeEmpty(), "the follower leaves them to the leader")
	for within := 8 * time.Minute; within > 0 && !w.allClosed(all); within -= looksEvery {
		w.step()
		w.deliverAllAgain("onConversationStateUpdated", follower)
		w.withinLimit(2)
	}
	w.Expect(w.allClosed(all)).To(gomega.BeTrue())
	for _, started := range all {
		w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}))
	}
}

func TestWithoutALimitAllThatAreDueEndAtOnceAndThereIsNoCondition(t *testing.T) {
	t.Parallel()
	w, _, policy := start(t)
	all := make([]twiliosim.Started, 0, 6)
	for range cap(all) {
		all = append(all, w.armed(twiliosim.Start{}))
	}
	w.clock.Step(timeout)
	w.settle()
	w.Eventually(func() bool { return w.allClosed(all) }).Should(gomega.BeTrue())
	w.keepUp(2 * time.Minute)
	w.Expect(w.conditionTypes(policy)).NotTo(gomega.ContainElement(v1alpha1.ConditionThrottled))
}

func TestTheConditionGoesWithTheLimit(t *testing.T) {
	t.Parallel()
	w, _, policy := start(t, limited(10))
	w.eventually(3*time.Minute, func() bool { return w.condition(policy, v1alpha1.ConditionThrottled) == "False/WithinLimit" }, "no conversation waits")
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Limits = nil })
	w.eventuallyReady(policy)
	w.keepUp(2 * time.Minute)
	w.Expect(w.conditionTypes(policy)).NotTo(gomega.ContainElement(v1alpha1.ConditionThrottled))
}
