package controllers_test

import (
	"testing"
	"time"

	"github.com/onsi/gomega"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

func existing(kind v1alpha1.Existing) edit {
	return func(spec *v1alpha1.InactivityPolicySpec) { spec.Existing = kind }
}

// longSilent are the ways in which a policy takes effect when a conversation has been silent for hours: each returns the
// conversation at the moment when the policy has taken effect.
var longSilent = map[string]func(w *world, change ...edit) twiliosim.Started{
	"the operator and the policy come later": func(w *world, change ...edit) twiliosim.Started {
		started := w.accepted(twiliosim.Start{})
		w.pass(2 * time.Hour)
		w.startOperator()
		w.inForce(change...)
		return started
	},
	"the policy comes later": func(w *world, change ...edit) twiliosim.Started {
		w.startOperator()
		started := w.accepted(twiliosim.Start{})
		w.pass(2 * time.Hour)
		w.inForce(change...)
		return started
	},
	"the timeout is shortened": func(w *world, change ...edit) twiliosim.Started {
		w.startOperator()
		policy := w.inForce(append(change, timingOut("5h"))...)
		started := w.armed(twiliosim.Start{})
		w.pass(2 * time.Hour)
		w.quiet()
		w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Timeout = "15m" })
		w.eventuallyReady(policy)
		return started
	},
	"the policy was suspended": func(w *world, change ...edit) twiliosim.Started {
		w.startOperator()
		policy := w.inForce(change...)
		started := w.armed(twiliosim.Start{})
		w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = true })
		w.eventuallyCondition(policy, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonSuspended)
		w.pass(2 * time.Hour)
		w.quiet()
		w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = false })
		w.eventuallyReady(policy)
		return started
	},
	"the policy only observed": func(w *world, change ...edit) twiliosim.Started {
		w.startOperator()
		w.createSecret()
		policy := w.policy("plain", append(change, observing)...)
		w.create(policy)
		w.eventuallyCondition(policy, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonObserving)
		started := w.accepted(twiliosim.Start{})
		w.pass(2 * time.Hour)
		w.quiet()
		w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Mode = v1alpha1.ModeEnforce })
		w.eventuallyReady(policy)
		return started
	},
	"the policy that had precedence is deleted": func(w *world, change ...edit) twiliosim.Started {
		w.startOperator()
		first := w.inForce(timingOut("5h"), ranked(1))
		second := w.policy("second", change...)
		w.create(second)
		w.eventuallyCondition(second, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonStandby)
		started := w.armed(twiliosim.Start{})
		w.pass(2 * time.Hour)
		w.quiet()
		w.withdraw(first)
		w.eventuallyCondition(second, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonSucceeded)
		return started
	},
}

func TestASilenceFromBeforeThePolicyTookEffect(t *testing.T) {
	for how, takesEffect := range longSilent {
		for name, kind := range map[string]v1alpha1.Existing{"existing Grace": v1alpha1.ExistingGrace, "existing is not set": ""} {
			t.Run(name+": it has a whole timeout from then on: "+how, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				started := takesEffect(w, existing(kind))
				since := w.clock.Now()
				w.goesOnFor(timeout-time.Second, started)
				w.pass(time.Second)
				w.eventuallyFound(since, started, dueWithin(promised, timeout, notice))
				w.eventuallyClosed(started)
			})
		}
		t.Run("existing Immediate: it counts in full: "+how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			started := takesEffect(w, existing(v1alpha1.ExistingImmediate))
			since := w.clock.Now()
			w.eventuallyFound(since, started, dueWithin(promised, 0, notice))
			w.eventuallyClosed(started)
		})
		t.Run("existing Ignore: it is left alone until somebody writes: "+how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			started := takesEffect(w, existing(v1alpha1.ExistingIgnore))
			w.goesOnFor(3*timeout, started)
			answered := w.talk(started, twiliosim.Customer, "I am back.")
			w.goesOnFor(timeout-time.Second, started)
			w.pass(time.Second)
			w.eventuallyFound(answered, started, dueWithin(promised, timeout, notice))
			w.eventuallyClosed(started)
		})
	}
}

func TestUnderIgnoreNothingIsWrittenToAConversationThatHasBeenSilentSinceBeforeThePolicy(t *testing.T) {
	for how, takesEffect := range longSilent {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			started := takesEffect(w, existing(v1alpha1.ExistingIgnore), warned)
			written := len(w.twilio.Writes())
			w.passSweeping(timeout + 2*time.Minute)
			w.Expect(w.writesAbout(started, written)).To(gomega.BeEmpty())
		})
	}
}

func TestUnderIgnoreAnAgentWhoAcceptsStartsTheClockOfASilenceFromBeforeThePolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := longSilent["the policy comes later"](w, existing(v1alpha1.ExistingIgnore), warned)
	w.goesOnFor(2*timeout, first)
	second := w.conversation(w.twilio.Transfer(first.ConversationSID))
	w.pass(timeout)
	w.quiet()
	w.eventuallySent(time.Time{}, second)
	w.accept(second)
	accepted := w.clock.Now()
	w.eventuallyArmed(second)
	w.passAwake(second, timeout+grain)
	w.eventuallyClosed(second)
	w.eventuallySent(accepted, second, wholeLadder()...)
}

func TestUnderGraceTheWarningsOfASilenceFromBeforeThePolicyAreCountedFromItsEffect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	started := longSilent["the policy comes later"](w, warned)
	w.warnedAndEndedBySweep(w.clock.Now(), started)
}

func TestUnderImmediateACustomerWhoHasBeenSilentForHoursIsWarnedFirst(t *testing.T) {
	for how, takesEffect := range longSilent {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			started := takesEffect(w, existing(v1alpha1.ExistingImmediate), warned)
			since := w.clock.Now()
			last := dueWithin(promised, 0, lastWarning)
			w.eventuallyFound(since, started, last)
			w.awake(started)
			w.passAwake(started, lastBefore+grain)
			w.eventuallyClosed(started)
			sent := w.sentSince(since, started)
			w.eventuallySent(since, started, last, dueWithin(promised, sent[0].After+lastBefore, notice))
		})
	}
}

func TestAConversationThatBeginsAfterThePolicyIsCountedWhateverExistingSays(t *testing.T) {
	for _, kind := range []v1alpha1.Existing{v1alpha1.ExistingGrace, v1alpha1.ExistingIgnore, v1alpha1.ExistingImmediate} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w, _, _ := start(t, existing(kind), warned)
			w.pass(time.Minute)
			started := w.acceptedConversation()
			begun := w.clock.Now()
			w.passAwake(started, timeout+grain)
			w.eventuallyClosed(started)
			w.eventuallySent(begun, started, wholeLadder()...)
		})
	}
}
