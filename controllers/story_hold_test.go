package controllers_test

import (
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

const holdAttribute = "inactivityHold"

// holdable lets an attribute keep conversations from being touched.
func holdable(spec *v1alpha1.InactivityPolicySpec) {
	spec.Hold = &v1alpha1.Hold{Attribute: holdAttribute}
}

// place is where a hold is set. A hold on the task shows to the sweep; one on the conversation shows only when the
// operator looks at the conversation, which is so much later at most.
type place struct {
	dialect   twiliosim.Dialect
	set       func(w *world, started twiliosim.Started, value any) error
	remove    func(w *world, started twiliosim.Started) error
	seenAfter time.Duration
}

var places = map[string]place{
	"the task": {set: holdTask, remove: releaseTask},
	"the task, whose attributes no list shows": {set: holdTask, remove: releaseTask, dialect: twiliosim.Dialect{TaskListsHaveNullAttributes: true}},
	"the conversation": {
		set: func(w *world, s twiliosim.Started, value any) error {
			return w.twilio.SetConversationAttribute(s.ConversationSID, holdAttribute, value)
		},
		remove: func(w *world, s twiliosim.Started) error {
			return w.twilio.RemoveConversationAttribute(s.ConversationSID, holdAttribute)
		},
		seenAfter: timeout,
	},
}

func holdTask(w *world, s twiliosim.Started, value any) error {
	return w.twilio.SetTaskAttribute(s.TaskSID, holdAttribute, value)
}

func releaseTask(w *world, s twiliosim.Started) error {
	return w.twilio.RemoveTaskAttribute(s.TaskSID, holdAttribute)
}

// start starts an operator with a policy in such a world.
func (p place) start(t *testing.T, change ...func(*v1alpha1.InactivityPolicySpec)) (*world, *v1alpha1.InactivityPolicy) {
	t.Helper()
	w := newWorldOf(t, p.dialect)
	w.startOperator()
	return w, w.inForce(change...)
}

// eventuallyCounts waits until the status counts the policy's conversations so.
func (w *world) eventuallyCounts(policy *v1alpha1.InactivityPolicy, want v1alpha1.ConversationCounts) {
	w.t.Helper()
	w.eventually(timeout+promised, func() bool {
		counts := w.get(policy).Status.Conversations
		return counts != nil && *counts == want
	}, "the status counts the conversations")
}

// untouchedWhileHeld shows that nothing is written to a conversation for hours, and that the status counts it as held.
func (w *world) untouchedWhileHeld(policy *v1alpha1.InactivityPolicy, started twiliosim.Started) {
	w.t.Helper()
	w.quiet()
	written := len(w.twilio.Writes())
	w.eventuallyCounts(policy, v1alpha1.ConversationCounts{Open: 1, Held: 1})
	w.goesOnFor(2*timeout, started)
	w.Expect(w.writesAbout(started, written)).To(gomega.BeEmpty())
}

func TestAConversationThatIsHeldIsUntouchedUntilTheHoldIsRemovedAndIsDueThen(t *testing.T) {
	for where, at := range places {
		t.Run("on "+where, func(t *testing.T) {
			t.Parallel()
			w, policy := at.start(t, holdable)
			started := w.acceptedConversation()
			w.pass(time.Minute)
			w.do(at.set(w, started, true))
			w.untouchedWhileHeld(policy, started)
			w.do(at.remove(w, started))
			removed := w.clock.Now()
			w.eventually(at.seenAfter+promised, func() bool { return w.seen(started).State == "closed" }, "the conversation is closed")
			w.eventuallySent(removed, started, dueWithin(at.seenAfter+promised, 0, notice))
		})
	}
}

func TestAHoldAfterTheFirstWarningStopsTheRestAndItsRemovalTakesUpWhatIsDue(t *testing.T) {
	for where, at := range places {
		t.Run("on "+where, func(t *testing.T) {
			t.Parallel()
			w, policy := at.start(t, warned, holdable)
			started := w.acceptedConversation()
			begun := w.clock.Now()
			w.passAwake(started, firstWarningAfter+grain)
			w.do(at.set(w, started, true))
			w.untouchedWhileHeld(policy, started)
			w.do(at.remove(w, started))
			removed := w.clock.Since(begun)
			w.eventually(at.seenAfter+promised, func() bool { return len(w.said(started)) == 2 }, "the last warning is sent")
			w.awake(started)
			w.passAwake(started, lastBefore+grain)
			w.eventuallyClosed(started)
			sent := w.sentSince(begun, started)
			w.eventuallySent(begun, started, dueAt(firstWarningAfter, firstWarning),
				dueWithin(at.seenAfter+promised, removed, lastWarning), dueAt(sent[1].After+lastBefore, notice))
		})
	}
}

func TestAHoldUntilATimeKeepsTheConversationUntilThenAndTheClockStartsThen(t *testing.T) {
	for where, at := range places {
		t.Run("on "+where, func(t *testing.T) {
			t.Parallel()
			w, policy := at.start(t, warned, holdable)
			started := w.acceptedConversation()
			w.pass(time.Minute)
			until := w.clock.Now().Add(2 * time.Hour).Truncate(time.Second)
			w.do(at.set(w, started, until.Format(time.RFC3339)))
			w.untouchedWhileHeld(policy, started)
			w.passUntil(until.Add(firstWarningAfter - time.Second))
			w.quiet()
			w.eventuallySent(until, started)
			w.pass(time.Second)
			w.eventually(promised, func() bool { return len(w.said(started)) == 1 }, "the customer is warned")
			w.awake(started)
			w.passAwake(started, timeout)
			w.eventuallyClosed(started)
			w.sentInTurn(promised, until, 0, started, firstWarning, lastWarning, notice)
		})
	}
}

func TestAHoldUntilATimeMayBePutOffOrBroughtForward(t *testing.T) {
	for change, length := range map[string]time.Duration{"put off": time.Hour, "brought forward": 10 * time.Hour} {
		for where, at := range places {
			t.Run(change+" on "+where, func(t *testing.T) {
				t.Parallel()
				w, policy := at.start(t, holdable)
				started := w.acceptedConversation()
				w.do(at.set(w, started, w.clock.Now().Add(length).Format(time.RFC3339)))
				w.untouchedWhileHeld(policy, started)
				until := w.clock.Now().Add(time.Hour).Truncate(time.Second)
				w.do(at.set(w, started, until.Format(time.RFC3339)))
				for w.clock.Now().Before(until) {
					w.passSweeping(sweepEvery)
				}
				w.passUntil(until.Add(timeout - time.Second))
				w.quiet()
				w.eventuallySent(until, started)
				w.pass(time.Second)
				w.eventuallyFound(until, started, dueWithin(promised, timeout, notice))
				w.eventuallyClosed(started)
			})
		}
	}
}

func TestAValueThatHoldsNothingChangesNothing(t *testing.T) {
	for name, value := range map[string]any{"false": false, "null": nil, "the empty string": ""} {
		for where, at := range places {
			t.Run(name+" on "+where, func(t *testing.T) {
				t.Parallel()
				w, _ := at.start(t, warned, holdable)
				started := w.acceptedConversation()
				begun := w.clock.Now()
				w.do(at.set(w, started, value))
				w.passAwake(started, timeout+grain)
				w.eventuallyClosed(started)
				w.eventuallySent(begun, started, wholeLadder()...)
			})
		}
	}
}

func TestAValueThatCannotBeReadHoldsAndAnEventNamesTheAttributeAndNotTheValue(t *testing.T) {
	const canary = "anna-calls-back-on-15550001"
	for name, test := range map[string]struct {
		value any
		at    place
	}{
		"a text on the task":         {canary, places["the task"]},
		"a text on the conversation": {canary, places["the conversation"]},
		"a time without a zone":      {"2026-03-01 15:00 " + canary, places["the task"]},
		"a number":                   {15550001, places["the task"]},
		"an object":                  {map[string]any{"until": canary}, places["the task"]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _, policy := start(t, holdable)
			started := w.acceptedConversation()
			w.do(test.at.set(w, started, test.value))
			w.untouchedWhileHeld(policy, started)
			event := policyWorld{world: w}.eventuallyEvent(policy, corev1.EventTypeWarning, "HoldUnreadable")
			w.Expect(event.Note).To(containsAll(holdAttribute, started.ConversationSID))
			w.Expect(event.Note).NotTo(gomega.ContainSubstring("15550001"))
			w.do(test.at.set(w, started, false))
			w.eventually(test.at.seenAfter+promised, func() bool { return w.seen(started).State == "closed" }, "the conversation is closed")
			w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}))
		})
	}
}

func TestWithoutHoldInThePolicyTheAttributeMeansNothing(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t)
	started := w.acceptedConversation()
	begun := w.clock.Now()
	for _, at := range places {
		w.do(at.set(w, started, true))
	}
	w.passAwake(started, timeout)
	w.eventuallyClosed(started)
	w.eventuallySent(begun, started, dueAt(timeout, notice))
}

func TestAHoldStopsAnEndingWhoseNoticeIsOutUntilItIsRemoved(t *testing.T) {
	t.Parallel()
	w, _, policy := start(t, holdable)
	started := w.acceptedConversation()
	mend := w.twilio.Fail(twiliosim.Fault{Match: channelWrite.is, Status: 503})
	w.pass(timeout)
	w.Eventually(func() []string { return w.notices(started) }).Should(gomega.Equal([]string{notice}))
	w.do(w.twilio.SetTaskAttribute(started.TaskSID, holdAttribute, true))
	w.quiet()
	mend()
	w.untouchedWhileHeld(policy, started)
	w.do(w.twilio.RemoveTaskAttribute(started.TaskSID, holdAttribute))
	w.eventuallyClosed(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}))
}

// aside are the ways in which agents put a conversation aside, or hand it on.
var aside = map[string]func(*world, twiliosim.Started) error{
	"left":     func(w *world, s twiliosim.Started) error { return w.twilio.Leave(s.ConversationSID) },
	"paused":   func(w *world, s twiliosim.Started) error { return w.twilio.Pause(s.ConversationSID) },
	"wrapping": func(w *world, s twiliosim.Started) error { return w.twilio.AgentWrapsUp(s.TaskSID) },
	"in transfer": func(w *world, s twiliosim.Started) error {
		_, err := w.twilio.Transfer(s.ConversationSID)
		return err
	},
}

func TestConversationsThatAgentsPutAsideAreNeitherWarnedNorTold(t *testing.T) {
	for how, putAside := range aside {
		for after, when := range map[time.Duration]string{0: "before the first warning", firstWarningAfter + grain: "after the first warning"} {
			t.Run(how+" "+when, func(t *testing.T) {
				t.Parallel()
				w, _, _ := start(t, warned, holdingText("14m"))
				started := w.acceptedConversation()
				w.passAwake(started, after)
				w.quiet()
				w.do(putAside(w, started))
				written, said := len(w.twilio.Writes()), w.notices(started)

				// Another customer is warned and told meanwhile: the operator is at work.
				control := w.armed(twiliosim.Start{})
				begun := w.clock.Now()
				w.passAwake(control, timeout+grain)
				w.eventuallyClosed(control)
				w.eventuallySent(begun, control, wholeLadder()...)
				w.passSweeping(2 * time.Minute)
				w.Expect(w.writesAbout(started, written)).To(gomega.BeEmpty())
				w.Expect(w.notices(started)).To(gomega.Equal(said))
			})
		}
	}
}

func TestAnAgentWhoResumesAPausedConversationHasTheWholeLadderAnew(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, warned)
	started := w.acceptedConversation()
	w.passAwake(started, firstWarningAfter+grain)
	w.quiet()
	w.do(w.twilio.Pause(started.ConversationSID))
	w.pass(time.Hour)
	w.quiet()
	before := len(w.said(started))
	resumed := w.conversation(w.twilio.Resume(started.ConversationSID))
	begun := w.clock.Now()
	w.eventuallyArmed(resumed)
	w.quiet()
	w.passAwake(resumed, timeout+grain)
	w.eventuallyClosed(resumed)
	w.Expect(w.sentSince(begun, resumed)[before:]).To(gomega.HaveExactElements(wholeLadder()...))
}

func TestTheStatusCountsWhatIsHeld(t *testing.T) {
	for how, hold := range map[string]func(*world, twiliosim.Started) error{
		"by an attribute of the task":         func(w *world, s twiliosim.Started) error { return places["the task"].set(w, s, true) },
		"by an attribute of the conversation": func(w *world, s twiliosim.Started) error { return places["the conversation"].set(w, s, true) },
		"by a transfer":                       aside["in transfer"],
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w, _, policy := start(t, holdable)
			started := []twiliosim.Started{w.armed(twiliosim.Start{}), w.armed(twiliosim.Start{}), w.armed(twiliosim.Start{})}
			w.eventuallyCounts(policy, v1alpha1.ConversationCounts{Open: 3})
			w.do(hold(w, started[0]))
			// The others are kept in talk, so that nothing is due of them.
			for range int(timeout/sweepEvery) + 2 {
				w.passSweeping(sweepEvery)
				for _, other := range started[1:] {
					w.says(other, twiliosim.Agent, "One moment, please.")
				}
			}
			w.Eventually(func() *v1alpha1.ConversationCounts { return w.get(policy).Status.Conversations }).Should(
				gomega.HaveValue(gomega.Equal(v1alpha1.ConversationCounts{Open: 3, Held: 1})))
		})
	}
}
