package controllers_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/metrics"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// observed makes and waits for a policy that only observes.
func (w *world) observed(change ...edit) *v1alpha1.InactivityPolicy {
	w.t.Helper()
	w.createSecret()
	policy := w.policy("plain", append(change, observing)...)
	w.create(policy)
	w.eventuallyCondition(policy, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonObserving)
	return policy
}

// counted lets an operator count in a registry of the story's own.
func counted(t *testing.T) (registry *prometheus.Registry, counting func(*operator.Config)) {
	t.Helper()
	registry = prometheus.NewRegistry()
	collectors, err := metrics.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	return registry, func(c *operator.Config) { c.Metrics = collectors }
}

// acts are the acts that were counted, by act and outcome; nil when the registry cannot be read.
func acts(registry *prometheus.Registry) map[string]int {
	families, err := registry.Gather()
	if err != nil {
		return nil
	}
	counts := map[string]int{}
	for _, family := range families {
		if family.GetName() != "inactivity_operator_acts_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			var labels []string // by name: act, outcome
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			counts[strings.Join(labels, "/")] = int(metric.GetCounter().GetValue())
		}
	}
	return counts
}

// eventuallyCounted waits until these are the acts that were counted.
func (w *world) eventuallyCounted(registry *prometheus.Registry, want map[string]int) {
	w.t.Helper()
	w.Eventually(func() map[string]int { return acts(registry) }).Should(gomega.Equal(want))
}

// wouldAct are the notes of the events on what would have been done.
func (w *world) wouldAct(policy *v1alpha1.InactivityPolicy) []string {
	w.t.Helper()
	var notes []string
	for _, event := range (policyWorld{world: w}).events(policy, "WouldAct") {
		notes = append(notes, event.Note)
	}
	return notes
}

// nothingWritten shows that nothing at all was written to Twilio.
func (w *world) nothingWritten() {
	w.t.Helper()
	w.Expect(w.twilio.Writes()).To(gomega.BeEmpty())
}

func TestAPolicyThatOnlyObservesCountsEveryStepOnceAndWritesNothing(t *testing.T) {
	for name, change := range map[string]func(*operator.Config){
		"with a public URL":    func(*operator.Config) {},
		"without a public URL": func(c *operator.Config) { c.PublicURL = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			registry, counting := counted(t)
			w.startOperator(counting, change)
			policy := w.observed(warned, holdingText("2m"))
			w.Expect(w.condition(policy, v1alpha1.ConditionCallbackConfigured)).To(gomega.Equal("False/" + v1alpha1.ReasonObserving))
			w.Expect(w.get(policy).Status.Workspace.CallbackURL).To(gomega.BeEmpty())
			workspace, _ := w.twilio.State().Workspace(w.twilio.WorkspaceSID())
			w.Expect(workspace.EventCallbackURL).To(gomega.BeEmpty())

			started := w.accepted(twiliosim.Start{})
			w.passSweeping(time.Minute)
			w.Expect(acts(registry)).To(gomega.BeEmpty())
			w.passSweeping(4 * time.Minute)
			w.eventuallyCounted(registry, map[string]int{"HoldingText/observed": 1})
			w.passSweeping(3 * time.Minute)
			w.eventuallyCounted(registry, map[string]int{"HoldingText/observed": 1, "Warn/observed": 1})
			w.talk(started, twiliosim.Agent, "I am here now.")
			w.passSweeping(5 * time.Minute)
			w.eventuallyCounted(registry, map[string]int{"HoldingText/observed": 1, "Warn/observed": 1})
			w.passSweeping(timeout)
			whole := map[string]int{"HoldingText/observed": 1, "Warn/observed": 3, "Notice/observed": 1}
			w.eventuallyCounted(registry, whole)
			w.goesOnFor(3*timeout, started)
			w.eventuallyCounted(registry, whole)
			w.nothingWritten()
			w.Expect(w.condition(policy, v1alpha1.ConditionReady)).To(gomega.Equal("True/" + v1alpha1.ReasonObserving))
			w.Expect(w.get(policy).Status.Conversations).To(gomega.HaveValue(gomega.HaveField("Open", int32(1))))
		})
	}
}

func TestEveryStepThatAPolicyWouldDoIsAnEventThatSaysWhatAndWhen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startOperator()
	policy := w.observed(warned)
	started := w.accepted(twiliosim.Start{})
	begun := w.clock.Now().UTC().Truncate(time.Second)
	w.passSweeping(timeout + 5*time.Minute)
	for what, mentions := range map[string][]string{
		"the first warning": {"540s before the end", begun.Add(firstWarningAfter).Format(time.RFC3339)},
		"the last warning":  {"240s before the end"},
		"the notice":        {"has been told"},
	} {
		w.Eventually(func() []string { return w.wouldAct(policy) }).WithTimeout(5*time.Second).Should(
			gomega.ContainElement(containsAll(append(mentions, started.ConversationSID, "spec.mode")...)), what)
	}
	for _, note := range w.wouldAct(policy) {
		w.Expect(note).NotTo(gomega.Or(gomega.ContainSubstring(firstWarning), gomega.ContainSubstring(notice), gomega.ContainSubstring(customer)))
	}
	w.nothingWritten()
}

func TestAPolicyThatOnlyObservesNotesASilentEndAndAnEndByNotify(t *testing.T) {
	for how, test := range map[string]struct {
		change edit
		want   map[string]int
	}{
		"silent": {saying(""), map[string]int{"Claim/observed": 1}},
		"Notify": {func(spec *v1alpha1.InactivityPolicySpec) {
			spec.OnTimeout = &v1alpha1.OnTimeout{Action: v1alpha1.ActionNotify}
		}, map[string]int{"Notice/observed": 1}},
		"WrapUp": {func(spec *v1alpha1.InactivityPolicySpec) {
			spec.OnTimeout = &v1alpha1.OnTimeout{Action: v1alpha1.ActionWrapUp}
		}, map[string]int{"Notice/observed": 1}},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			registry, counting := counted(t)
			w.startOperator(counting)
			w.observed(test.change)
			started := w.accepted(twiliosim.Start{})
			w.passSweeping(timeout - sweepEvery)
			w.Expect(acts(registry)).To(gomega.BeEmpty())
			w.passSweeping(4 * time.Minute)
			w.eventuallyCounted(registry, test.want)
			w.goesOnFor(3*timeout, started)
			w.eventuallyCounted(registry, test.want)
			w.nothingWritten()
		})
	}
}

func TestAPolicyThatOnlyObservesNotesNothingOfACustomerWhoIsOwedTheReply(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	registry, counting := counted(t)
	w.startOperator(counting)
	w.observed(warned, waitingOnCustomer)
	started := w.accepted(twiliosim.Start{})
	w.goesOnFor(3*timeout, started)
	w.Expect(acts(registry)).To(gomega.BeEmpty())
	w.talk(started, twiliosim.Agent, "How can I help?")
	w.passSweeping(timeout + 5*time.Minute)
	w.eventuallyCounted(registry, map[string]int{"Warn/observed": 2, "Notice/observed": 1})
	w.nothingWritten()
}

func TestWhatWasOnlyObservedIsDoneOnceThePolicyIsEnforced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startOperator()
	policy := w.observed(warned, existing(v1alpha1.ExistingImmediate))
	started := w.accepted(twiliosim.Start{})
	begun := w.clock.Now()
	w.passSweeping(12 * time.Minute)
	w.nothingWritten()
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Mode = v1alpha1.ModeEnforce })
	w.eventuallyReady(policy)
	enforced := w.clock.Since(begun)
	w.eventually(promised, func() bool { return len(w.said(started)) == 1 }, "the customer is warned")
	w.awake(started)
	w.passAwake(started, lastBefore+grain)
	w.eventuallyClosed(started)
	w.sentInTurn(promised, begun, enforced, started, lastWarning, notice)
	w.Expect(w.condition(policy, v1alpha1.ConditionCallbackConfigured)).To(gomega.Equal("True/" + v1alpha1.ReasonSucceeded))
}

func TestConversationsOfAPolicyThatOnlyObservesAreNoOtherPolicys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startOperator()
	trial := w.observed(ranked(1), selecting(v1alpha1.Selector{Channels: []string{"web"}}))
	rest := w.also("rest", saying("Goodbye."), timingOut("5m"))
	w.eventuallyOverlaps(trial, rest)
	web := w.accepted(twiliosim.Start{Channel: "web", From: "anna"})
	sms := w.armed(twiliosim.Start{Channel: "sms"})
	w.passAwake(sms, 5*time.Minute)
	w.eventuallyClosed(sms)
	w.Expect(w.notices(sms)).To(gomega.Equal([]string{"Goodbye."}))
	w.goesOnFor(3*timeout, web)
	w.Expect(w.writesAbout(web, 0)).To(gomega.BeEmpty())
}

// callbacks are what a workspace may call when the first policy comes.
var callbacks = map[string]slot{"nothing": {}, "somebody else": somebodys()}

func TestAPolicyThatBeginsToObserveDuringASilenceStopsAndLeavesTheCallbackUntilItIsDeleted(t *testing.T) {
	for before, previous := range callbacks {
		t.Run("the workspace called "+before, func(t *testing.T) {
			w := newPolicyWorld(t)
			workspace := w.twilio.WorkspaceSID()
			w.setCallback(workspace, previous)
			r := w.startOperator()
			policy := w.inForce(warned, replace)
			w.eventuallySlot(workspace, ours(r, workspace))
			started := w.acceptedConversation()
			w.passAwake(started, firstWarningAfter+grain)
			w.Expect(w.notices(started)).To(gomega.Equal([]string{firstWarning}))

			w.quiet()
			written := len(w.twilio.Writes())
			w.patch(policy, observe)
			w.eventuallyCondition(policy, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonObserving)
			w.goesOnFor(3*timeout, started)
			w.Expect(w.twilio.Writes()[written:]).To(gomega.BeEmpty())
			w.Expect(w.slot(workspace)).To(gomega.Equal(ours(r, workspace)), "the callback is left as it is")
			w.Expect(w.condition(policy, v1alpha1.ConditionCallbackConfigured)).To(gomega.Equal("False/" + v1alpha1.ReasonObserving))

			w.delete(policy)
			w.eventuallyGone(policy)
			w.Expect(w.slot(workspace)).To(gomega.Equal(previous), "the callback is put back")
			w.goesOnFor(timeout, started)
		})
	}
}

func observe(p *v1alpha1.InactivityPolicy) { p.Spec.Mode = v1alpha1.ModeObserve }

func TestWhatAnObservingPolicyWouldDoWithACallbackThatDriftsIsNothing(t *testing.T) {
	w, r, policy := startPolicies(t)
	workspace := w.twilio.WorkspaceSID()
	w.eventuallySlot(workspace, ours(r, workspace))
	w.patch(policy, observe)
	w.eventuallyCondition(policy, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonObserving)
	w.setCallback(workspace, somebodys())
	w.look(policy)
	w.Expect(w.slot(workspace)).To(gomega.Equal(somebodys()))
	w.delete(policy)
	w.eventuallyGone(policy)
	w.Expect(w.slot(workspace)).To(gomega.Equal(somebodys()), "somebody else's callback is left alone")
}

func TestAnEndingWhoseNoticeIsOutIsNotCarriedThroughByAPolicyThatHasBegunToObserve(t *testing.T) {
	t.Parallel()
	w, _, policy := start(t)
	started := w.acceptedConversation()
	mend := w.twilio.Fail(twiliosim.Fault{Match: channelWrite.is, Status: http.StatusServiceUnavailable})
	w.pass(timeout)
	w.Eventually(func() []string { return w.notices(started) }).Should(gomega.Equal([]string{notice}))
	w.patch(policy, observe)
	w.eventuallyCondition(policy, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonObserving)
	w.quiet()
	mend()
	w.goesOnFor(2*timeout, started)
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Mode = "" })
	w.eventuallyReady(policy)
	w.eventuallyClosed(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}))
}
