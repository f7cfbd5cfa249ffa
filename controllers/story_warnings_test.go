package controllers_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// wholeLadder is what a customer is told who never answers.
func wholeLadder() []any {
	return []any{dueAt(firstWarningAfter, firstWarning), dueAt(lastWarningAfter, lastWarning), dueAt(timeout, notice)}
}

func TestASilentCustomerIsWarnedTwiceAndThenTheConversationEnds(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, warned)
	started := w.acceptedConversation()
	begun := w.clock.Now()
	w.passAwake(started, firstWarningAfter-time.Second)
	w.eventuallySent(begun, started)
	w.passAwake(started, time.Second+grain)
	w.eventuallySent(begun, started, wholeLadder()[:1]...)
	w.passAwake(started, lastWarningAfter-firstWarningAfter)
	w.eventuallySent(begun, started, wholeLadder()[:2]...)
	w.goesOnFor(0, started)
	w.passAwake(started, timeout-lastWarningAfter)
	w.eventuallyClosed(started)
	w.pass(2 * timeout)
	w.eventuallySent(begun, started, wholeLadder()...)
	w.Expect(w.taskStatus(started)).To(gomega.BeElementOf("completed", "deleted"))
}

func TestAWarnedCustomerWhoAnswersIsNotEndedAndIsWarnedAnewInTheNextSilence(t *testing.T) {
	for _, who := range []string{twiliosim.Customer, twiliosim.Agent} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			w, _, _ := start(t, warned)
			started := w.acceptedConversation()
			begun := w.clock.Now()
			w.passAwake(started, 8*time.Minute)
			first := w.talk(started, who, "I was looking for the number.").Sub(begun)
			w.passAwake(started, 13*time.Minute)
			second := w.talk(started, who, "Here it is.").Sub(begun)
			w.passAwake(started, timeout+grain)
			w.eventuallyClosed(started)
			w.eventuallySent(begun, started,
				dueAt(firstWarningAfter, firstWarning),
				dueAt(first+firstWarningAfter, firstWarning), dueAt(first+lastWarningAfter, lastWarning),
				dueAt(second+firstWarningAfter, firstWarning), dueAt(second+lastWarningAfter, lastWarning), dueAt(second+timeout, notice))
		})
	}
}

func TestAWarningThatCrossesAnAnswerDoesNotCountForTheNextSilence(t *testing.T) {
	for when, moment := range map[string]write{"before the claim": claimWrite, "between claim and warning": noticeWrite} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			w, _, _ := start(t, warned)
			started := w.acceptedConversation()
			begun := w.clock.Now()
			var once sync.Once
			answer := func(r *http.Request, form url.Values) bool {
				if moment.is(r, form) {
					once.Do(func() { w.do(w.twilio.Say(started.ConversationSID, twiliosim.Customer, "Yes!")) })
				}
				return true
			}
			w.onRequest.Store(&answer)
			w.passAwake(started, firstWarningAfter+grain)
			w.Eventually(func() int { return len(w.seen(started).Messages) }).Should(gomega.Equal(3), "answer and warning are there")
			w.awake(started)
			answered := w.seen(started).Messages[1].Created.Sub(begun)
			w.passAwake(started, timeout+grain)
			w.eventuallyClosed(started)
			w.eventuallySent(begun, started, dueAt(firstWarningAfter, firstWarning),
				dueAt(answered+firstWarningAfter, firstWarning), dueAt(answered+lastWarningAfter, lastWarning), dueAt(answered+timeout, notice))
		})
	}
}

func TestAfterAnOutageOnlyTheLatestWarningIsSentAndItsWholeTimeIsLeftBeforeTheEnd(t *testing.T) {
	for when, test := range map[string]struct {
		back time.Duration
		want []string
	}{
		"before the first": {5 * time.Minute, []string{firstWarning, lastWarning, notice}},
		"when the first is due, which puts off the second": {8 * time.Minute, []string{firstWarning, lastWarning, notice}},
		"when both are due":  {12 * time.Minute, []string{lastWarning, notice}},
		"long after the end": {2 * time.Hour, []string{lastWarning, notice}},
	} {
		t.Run("the operator is back "+when, func(t *testing.T) {
			t.Parallel()
			w, r, _ := start(t, warned)
			started := w.acceptedConversation()
			begun := w.clock.Now()
			w.pass(3 * time.Minute)
			r.stop()
			w.passUntil(begun.Add(test.back))
			w.standInFor(r)
			w.passUntil(begun.Add(max(test.back, firstWarningAfter)))
			w.eventually(promised, func() bool { return len(w.said(started)) > 0 }, "the customer is warned")
			w.awake(started)
			w.passAwake(started, timeout)
			w.eventuallyClosed(started)
			w.sentInTurn(promised, begun, test.back, started, test.want...)
		})
	}
}

func TestLostCallbacksCostNoWarning(t *testing.T) {
	for how, test := range map[string]struct {
		change edit
		lose   bool
	}{
		"all are lost":                          {func(*v1alpha1.InactivityPolicySpec) {}, true},
		"all are lost, waiting on the customer": {waitingOnCustomer, true},
		"all are lost, under FirstUnanswered":   {func(spec *v1alpha1.InactivityPolicySpec) { spec.Anchor = v1alpha1.AnchorFirstUnanswered }, true},
		"the policy works without callbacks":    {withoutCallbacks, false},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w, _, _ := start(t, warned, test.change)
			w.loseCallbacks.Store(test.lose)
			started := w.accepted(twiliosim.Start{})
			w.warnedAndEndedBySweep(w.talk(started, twiliosim.Agent, "How can I help?"), started)
		})
	}
}

func withoutCallbacks(spec *v1alpha1.InactivityPolicySpec) {
	spec.Callback = &v1alpha1.Callback{Mode: v1alpha1.CallbackDisabled}
}

// warnedAndEndedBySweep tells the rest of the life of a silent conversation of which no event tells: every step comes within
// the time that is promised for that, and every warning has its whole time.
func (w *world) warnedAndEndedBySweep(begun time.Time, started twiliosim.Started) {
	w.t.Helper()
	var want []any
	end := timeout
	for _, step := range []struct {
		left time.Duration
		text string
	}{{firstBefore, firstWarning}, {lastBefore, lastWarning}, {0, notice}} {
		due := end - step.left
		w.passUntil(begun.Add(due - time.Second))
		w.quiet()
		w.eventuallySent(begun, started, want...)
		w.pass(time.Second)
		want = append(want, dueWithin(promised, due, step.text))
		w.eventuallyFound(begun, started, want...)
		sent := w.sentSince(begun, started)
		end = max(end, sent[len(sent)-1].After+step.left)
	}
	w.eventuallyClosed(started)
}

func TestReplicasThatHearOfTheSameConversationsWarnEachCustomerOnce(t *testing.T) {
	t.Parallel()
	w, follower := twins(t)
	policy := w.policy("plain")
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { warned(&p.Spec) })
	w.eventuallyReady(policy)
	var conversations []twiliosim.Started
	for range 5 {
		conversations = append(conversations, w.armed(twiliosim.Start{}))
	}
	begun := w.clock.Now()
	for step, after := range []time.Duration{firstWarningAfter + grain, lastWarningAfter - firstWarningAfter, timeout - lastWarningAfter} {
		// In one leap, so that nothing comes between: the wake-ups reach both replicas.
		heard := len(w.twilio.Journal())
		w.clock.Step(after)
		w.settle()
		for _, entry := range w.twilio.JournalSince(heard) {
			if entry.Kind == twiliosim.KindCallback && entry.Event == "onConversationStateUpdated" {
				w.deliverAgain(entry, follower)
			}
		}
		for _, started := range conversations {
			w.eventuallySent(begun, started, wholeLadder()[:step+1]...)
			w.awake(started)
		}
		w.quiet()
	}
	for _, started := range conversations {
		w.eventuallyClosed(started)
		w.eventuallySent(begun, started, wholeLadder()...)
	}
}

func TestATextWhoseAnswerIsLostOrThatFailsOnceIsSentOnceAndKeepsItsTime(t *testing.T) {
	for how, fault := range map[string]twiliosim.Fault{
		"the answer is lost":            {Drop: twiliosim.DropAfter},
		"the connection is reset first": {Drop: twiliosim.DropBefore},
		"Twilio answers 503 after it":   {Status: http.StatusServiceUnavailable, After: true},
		"Twilio answers 500 without it": {Status: http.StatusInternalServerError},
	} {
		for text, which := range []string{"the first warning", "the last warning", "the notice"} {
			t.Run(which+": "+how, func(t *testing.T) {
				t.Parallel()
				w, _, _ := start(t, warned)
				fault := fault
				fault.Match, fault.Skip, fault.Times = noticeWrite.is, text, 1
				w.twilio.Fail(fault)
				started := w.acceptedConversation()
				begun := w.clock.Now()
				w.passUntil(begun.Add(time.Minute))
				met := w.untilMet(begun.Add(timeout + promised))
				w.Eventually(func() []string { return about(w, met, started) }).ShouldNot(gomega.BeEmpty(), "the operator tries again")
				w.eventually(promised, func() bool { return len(w.said(started)) > text }, "the text is sent")
				w.awake(started)
				w.passAwake(started, timeout)
				w.eventuallyClosed(started)
				w.sentInTurn(2*promised, begun, 0, started, firstWarning, lastWarning, notice)
			})
		}
	}
}

// untilMet lets time pass until a fault has met a request, and returns how long the journal was then.
func (w *world) untilMet(latest time.Time) int {
	w.t.Helper()
	for w.clock.Now().Before(latest) {
		w.keepUp(30 * time.Second)
		for at, entry := range w.twilio.Journal() {
			if entry.Fault != "" {
				return at + 1
			}
		}
	}
	w.t.Fatal("the fault has met no request")
	return 0
}

func TestNoWarningFollowsTheNoticeOfAnEndingThatACrashCutOff(t *testing.T) {
	t.Parallel()
	w, crashing, policy := start(t, func(spec *v1alpha1.InactivityPolicySpec) { spec.Timeout = "5m" })
	started := w.acceptedConversation()
	begun := w.clock.Now()
	// From the end of the channel on, nothing of the operator's reaches Twilio any more.
	mend := w.twilio.Fail(twiliosim.Fault{Match: channelWrite.is, Drop: twiliosim.DropBefore})
	w.pass(5 * time.Minute)
	w.eventuallySent(begun, started, dueAt(5*time.Minute, notice))
	w.quiet()
	crashing.stop()
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { warning("1m", lastWarning)(&p.Spec) })
	w.pass(2 * time.Minute)
	mend()
	w.standInFor(crashing)
	w.eventuallyClosed(started)
	w.eventuallySent(begun, started, dueAt(5*time.Minute, notice))
}

func TestWarningsComeBeforeEveryKindOfEnd(t *testing.T) {
	for end, test := range map[string]struct {
		change edit
		status string
		said   []any
	}{
		"Close":           {func(*v1alpha1.InactivityPolicySpec) {}, "completed", wholeLadder()},
		"Close, silently": {saying(""), "completed", wholeLadder()[:2]},
		"WrapUp": {func(spec *v1alpha1.InactivityPolicySpec) {
			spec.OnTimeout = &v1alpha1.OnTimeout{Action: v1alpha1.ActionWrapUp}
		}, "wrapping", wholeLadder()},
		"Close, waiting on the customer": {waitingOnCustomer, "completed", wholeLadder()},
	} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			w, _, _ := start(t, warned, test.change)
			started := w.acceptedConversation()
			begun := w.talk(started, twiliosim.Agent, "How can I help?")
			w.passAwake(started, timeout+grain)
			w.eventuallyClosed(started)
			w.quiet()
			w.eventuallySent(begun, started, test.said...)
			w.Expect(w.taskStatus(started)).To(gomega.Equal(test.status))
		})
	}
}

func TestUnderNotifyEverySilenceHasItsWarningsAndItsNoticeOnce(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, warned, func(spec *v1alpha1.InactivityPolicySpec) {
		spec.OnTimeout = &v1alpha1.OnTimeout{Action: v1alpha1.ActionNotify}
	})
	started := w.acceptedConversation()
	begun := w.clock.Now()
	w.passAwake(started, timeout+grain)
	w.eventuallySent(begun, started, wholeLadder()...)
	w.goesOnFor(3*timeout, started)

	again := w.talk(started, twiliosim.Customer, "I am back.").Sub(begun)
	w.passAwake(started, timeout+grain)
	want := append(wholeLadder(), dueAt(again+firstWarningAfter, firstWarning), dueAt(again+lastWarningAfter, lastWarning), dueAt(again+timeout, notice))
	w.eventuallySent(begun, started, want...)
	w.goesOnFor(3*timeout, started)
}

// clockOff is a clock of a pod that is off against Twilio's.
type clockOff struct {
	*clocktesting.FakeClock
	by time.Duration
}

// Now is what the pod takes for the time.
func (c clockOff) Now() time.Time { return c.FakeClock.Now().Add(c.by) }

// Since is how long ago something was, by the pod's clock.
func (c clockOff) Since(moment time.Time) time.Duration { return c.Now().Sub(moment) }

func TestWarningsAndEndComeAtTwiliosTimeHoweverFarThePodsClockIsOff(t *testing.T) {
	for how, by := range map[string]time.Duration{"fast": 2 * time.Minute, "slow": -2 * time.Minute} {
		t.Run("two minutes "+how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.startOperator(func(c *operator.Config) { c.Clock = clockOff{w.clock, by} })
			policy := w.inForce(warned)
			w.Expect(w.get(policy).Status.EffectiveSince.Time).To(gomega.BeTemporally("==", w.clock.Now().Truncate(time.Second)))
			started := w.acceptedConversation()
			begun := w.clock.Now()
			w.passAwake(started, firstWarningAfter+grain)
			w.eventuallySent(begun, started, wholeLadder()[:1]...)
			w.passAwake(started, timeout-firstWarningAfter)
			w.eventuallyClosed(started)
			w.eventuallySent(begun, started, wholeLadder()...)
		})
		t.Run("two minutes "+how+", by the sweep alone", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.startOperator(func(c *operator.Config) { c.Clock, c.PublicURL = clockOff{w.clock, by}, nil })
			w.inForce(warned, withoutCallbacks)
			w.warnedAndEndedBySweep(w.clock.Now(), w.accepted(twiliosim.Start{}))
		})
	}
}

func TestASilenceFromBeforeThePolicyIsCountedByTwiliosClockHoweverFarThePodsClockIsOff(t *testing.T) {
	for how, by := range map[string]time.Duration{"fast": 2 * time.Minute, "slow": -2 * time.Minute} {
		t.Run("two minutes "+how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			started := w.accepted(twiliosim.Start{})
			w.pass(time.Hour)
			w.startOperator(func(c *operator.Config) { c.Clock = clockOff{w.clock, by} })
			w.inForce()
			begun := w.clock.Now()
			w.pass(timeout - time.Second)
			w.quiet()
			w.eventuallySent(begun, started)
			w.pass(time.Second)
			w.eventuallyFound(begun, started, dueWithin(promised, timeout, notice))
		})
	}
}
