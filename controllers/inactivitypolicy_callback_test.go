package controllers_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/metrics"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

func TestAnEmptyCallbackIsSet(t *testing.T) {
	w, r, policy := startPolicies(t)
	sid := w.twilio.WorkspaceSID()
	w.Expect(w.slot(sid)).To(gomega.Equal(slot{r.publicURL.String() + "/v1/taskrouter/" + sid + "#rc=5&rp=ct,rt,5xx", "reservation.accepted"}))
	w.Expect(w.get(policy).Status.Workspace).To(gomega.Equal(&v1alpha1.ObservedWorkspace{
		SID: sid, FriendlyName: flexName, AccountSID: w.twilio.AccountSID(), CallbackURL: ours(r, sid).URL,
	}))
	w.Expect(w.message(policy, v1alpha1.ConditionReady)).To(containsAll("In force", sid, "15m"))
	w.Expect(w.message(policy, v1alpha1.ConditionCallbackConfigured)).To(containsAll(sid, r.publicURL.String()))
	w.Expect(w.get(policy).Finalizers).To(gomega.ContainElement(v1alpha1.Finalizer))
	event := w.eventuallyEvent(policy, corev1.EventTypeNormal, "CallbackSet")
	w.Expect(event.Note).To(containsAll(sid, r.publicURL.String()))
}

func TestAWorkspaceIsFoundBySIDAndByName(t *testing.T) {
	w := newPolicyWorld(t)
	// Names that merely contain or begin with the wanted one are others.
	w.twilio.AddWorkspace(flexName + " 2")
	second := w.twilio.AddWorkspace("Second")
	w.createSecret()
	r := w.startOperator()
	byName := w.policy("by-name")
	bySID := w.policy("by-sid", func(spec *v1alpha1.InactivityPolicySpec) { spec.Workspace = v1alpha1.WorkspaceReference{SID: second} })
	w.create(byName)
	w.create(bySID)
	w.eventuallyInEffect(byName)
	w.eventuallyInEffect(bySID)
	w.Expect(w.get(byName).Status.Workspace.SID).To(gomega.Equal(w.twilio.WorkspaceSID()))
	w.Expect(w.get(bySID).Status.Workspace.FriendlyName).To(gomega.Equal("Second"))
	for _, workspace := range w.twilio.State().Workspaces {
		want := ours(r, workspace.SID)
		if workspace.FriendlyName == flexName+" 2" {
			want = slot{}
		}
		w.Expect(w.slot(workspace.SID)).To(gomega.Equal(want), workspace.FriendlyName)
	}
}

func TestTheFilterIsLeftAloneWhenItHasTheEventAndExtendedWhenNot(t *testing.T) {
	w, r, policy := startPolicies(t)
	sid := w.twilio.WorkspaceSID()
	url := ours(r, sid).URL
	for _, enough := range []string{"task.created, reservation.accepted", "reservation.accepted,task.created", " reservation.accepted "} {
		w.setCallback(sid, slot{url, enough})
		writes := w.writes()
		w.look(policy)
		w.Expect(writes()).To(gomega.BeEmpty(), enough)
		w.Expect(w.slot(sid)).To(gomega.Equal(slot{url, enough}))
	}
	for before, after := range map[string]string{
		"task.created":                             "task.created,reservation.accepted",
		"task.created, task.canceled":              "task.created, task.canceled,reservation.accepted",
		"reservation.accepted.not,not.reservation": "reservation.accepted.not,not.reservation,reservation.accepted",
		"": "reservation.accepted",
	} {
		w.setCallback(sid, slot{url, before})
		w.look(policy)
		w.Expect(w.slot(sid)).To(gomega.Equal(slot{url, after}))
	}
}

func TestSomebodyElsesCallbackIsRefusedAndNothingIsWritten(t *testing.T) {
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	w.setCallback(sid, somebodys())
	writes := w.writes()
	w.createSecret()
	w.startOperator()
	policy := w.policy("plain")
	w.create(policy)
	w.eventuallyIs(policy, stalled(v1alpha1.ReasonCallbackInUse, "False/CallbackInUse"))
	w.look(policy)
	w.Expect(writes()).To(gomega.BeEmpty())
	w.Expect(w.slot(sid)).To(gomega.Equal(somebodys()))
	w.Expect(w.record(policy)).To(gomega.BeEmpty(), "what was not taken over is not recorded")
	message := w.message(policy, v1alpha1.ConditionReady)
	w.Expect(message).NotTo(gomega.ContainSubstring("key=1"), "a query may hold somebody's token")
}

func TestSomebodyElsesCallbackIsRecordedBeforeItIsReplaced(t *testing.T) {
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	w.setCallback(sid, somebodys())
	w.twilio.Fail(twiliosim.Fault{Method: http.MethodPost, Path: "^/v1/Workspaces/", Status: http.StatusServiceUnavailable})
	w.createSecret()
	r := w.startOperator()
	policy := w.policy("plain", replace)
	w.create(policy)
	w.eventuallyMet(1)
	w.Expect(w.record(policy)).To(containsAll(`"url":"`+foreignURL+`?key=1#rc=2"`, `"filter":"`+foreignFilter+`"`, sid), "the record is there before the first write")
	w.Expect(w.slot(sid)).To(gomega.Equal(somebodys()))
	record := w.record(policy)

	w.twilio.ClearFaults()
	w.eventuallyInEffect(policy)
	w.Expect(w.slot(sid)).To(gomega.Equal(ours(r, sid)), "the filter is not the other party's any more")
	w.Eventually(func() string { return w.record(policy) }).Should(gomega.Equal(strings.TrimSuffix(record, "}") + `,"set":true}`))
}

func TestACallbackThatReplacesOursIsTheOneThatComesBack(t *testing.T) {
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	w.setCallback(sid, slot{"https://first.example.com/", ""})
	w.createSecret()
	r := w.startOperator()
	first, second := w.policy("first", replace), w.policy("second", replace)
	w.create(first)
	w.eventuallyInEffect(first)
	w.create(second)
	w.eventuallyInEffect(second)

	w.setCallback(sid, somebodys())
	w.ask(first)
	w.eventuallySlot(sid, ours(r, sid))
	w.delete(first)
	w.eventuallyGone(first)
	w.Expect(w.slot(sid)).To(gomega.Equal(ours(r, sid)))
	w.delete(second)
	w.eventuallyGone(second)
	w.Expect(w.slot(sid)).To(gomega.Equal(somebodys()))
}

func TestDriftIsRepairedCountedAndAnnounced(t *testing.T) {
	for name, drift := range map[string]func(slot) slot{
		"the URL was emptied":      func(slot) slot { return slot{} },
		"the event was taken away": func(s slot) slot { return slot{s.URL, "task.created"} },
		"the filter was emptied":   func(s slot) slot { return slot{s.URL, ""} },
		"the fragment was lost": func(s slot) slot {
			withoutFragment, _, _ := strings.Cut(s.URL, "#")
			return slot{withoutFragment, s.Filter}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPolicyWorld(t)
			registry := prometheus.NewRegistry()
			collectors, err := metrics.New(registry)
			w.do(err)
			r := w.startOperator(func(c *operator.Config) { c.Metrics = collectors })
			policy := w.inForce()
			sid := w.twilio.WorkspaceSID()
			w.Expect(driftRepairs(t, registry)).To(gomega.BeZero())

			w.setCallback(sid, drift(ours(r, sid)))
			w.look(policy)
			repaired := w.slot(sid)
			w.Expect(repaired.URL).To(gomega.Equal(ours(r, sid).URL))
			w.Expect(strings.Split(repaired.Filter, ",")).To(gomega.ContainElement(acceptEvent))
			w.Expect(driftRepairs(t, registry)).To(gomega.BeEquivalentTo(1))
			w.eventuallyEvent(policy, corev1.EventTypeNormal, "CallbackRepaired")

			writes := w.writes()
			w.look(policy)
			w.Expect(writes()).To(gomega.BeEmpty(), "what was repaired is not repaired again")
			w.Expect(driftRepairs(t, registry)).To(gomega.BeEquivalentTo(1))
		})
	}
}

// driftRepairs reads the operator's counter.
func driftRepairs(t *testing.T, registry *prometheus.Registry) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if strings.HasSuffix(family.GetName(), "callback_drift_repairs_total") {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("there is no counter of drift repairs")
	return 0
}

func TestDriftIsFoundAtTheSyncInterval(t *testing.T) {
	w := newPolicyWorld(t)
	r := w.startOperator(often)
	w.inForce()
	sid := w.twilio.WorkspaceSID()
	w.setCallback(sid, slot{})
	w.eventuallySlot(sid, ours(r, sid))
}

func TestASecondPolicyOfTheWorkspaceWritesNothingToTwilio(t *testing.T) {
	w, _, first := startPolicies(t)
	writes := w.writes()
	second := w.policy("second", func(spec *v1alpha1.InactivityPolicySpec) {
		spec.Workspace = v1alpha1.WorkspaceReference{SID: w.twilio.WorkspaceSID()}
	})
	w.create(second)
	w.eventuallyInEffect(second)
	w.look(first)
	w.Expect(writes()).To(gomega.BeEmpty())
	w.Expect(w.record(second)).To(gomega.Equal(w.record(first)))
}

func TestAtRestARestartedOperatorWritesNothing(t *testing.T) {
	w, r, policy := startPolicies(t)
	w.eventually(3*time.Minute, func() bool { return w.get(policy).Status.Conversations != nil }, "the counts are written")
	r.stop()
	version, writes, looked := w.get(policy).ResourceVersion, w.writes(), w.looks()
	w.startOperator(often, func(c *operator.Config) { c.PublicURL = r.publicURL })
	w.eventuallyLooked(3)
	w.Expect(w.looks()).To(gomega.BeNumerically(">", looked))
	w.Expect(writes()).To(gomega.BeEmpty())
	w.Expect(w.get(policy).ResourceVersion).To(gomega.Equal(version))
}

func TestAfterTheOperatorHasMovedItsOldCallbackIsRecognised(t *testing.T) {
	for name, betweenStarts := range map[string]func(policyWorld, *v1alpha1.InactivityPolicy){
		"at once": func(policyWorld, *v1alpha1.InactivityPolicy) {},
		"although the first attempt to replace it fails": func(w policyWorld, _ *v1alpha1.InactivityPolicy) {
			// One look's three attempts.
			w.twilio.Fail(twiliosim.Fault{Method: http.MethodPost, Path: "^/v1/Workspaces/WS", Times: 3, Status: http.StatusServiceUnavailable})
		},
		"although its status was wiped": func(w policyWorld, policy *v1alpha1.InactivityPolicy) { w.wipeStatus(policy) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newPolicyWorld(t)
			sid := w.twilio.WorkspaceSID()
			w.setCallback(sid, somebodys())
			before := w.startOperator()
			policy := w.inForce(replace)
			// Whoever may not replace others' callbacks may still replace the operator's own.
			w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Callback = nil })
			w.eventuallyInEffect(policy)
			before.stop()
			betweenStarts(w, policy)

			after := w.startOperator()
			w.Expect(after.publicURL).NotTo(gomega.Equal(before.publicURL))
			w.eventuallySlot(sid, ours(after, sid))
			w.eventuallyInEffect(policy)

			w.delete(policy)
			w.eventuallyGone(policy)
			w.Expect(w.slot(sid)).To(gomega.Equal(somebodys()), "what was there before the operator's first URL comes back")
		})
	}
}

func TestANewPolicyRecognisesTheCallbackOfTheOperatorsOldAddress(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.InactivityPolicySpec){
		"one that refuses others' callbacks":  func(*v1alpha1.InactivityPolicySpec) {},
		"one that replaces others' callbacks": replace,
	} {
		t.Run(name, func(t *testing.T) {
			w := newPolicyWorld(t)
			sid := w.twilio.WorkspaceSID()
			w.setCallback(sid, somebodys())
			before := w.startOperator()
			first := w.inForce(replace)
			// The first policy does not move the callback to the new address; it only knows the old one.
			w.patch(first, func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = true })
			w.eventuallyCondition(first, v1alpha1.ConditionReady, "True/Suspended")
			before.stop()

			after := w.startOperator()
			second := w.policy("second", change)
			w.create(second)
			w.eventuallyInEffect(second)
			w.Expect(w.slot(sid)).To(gomega.Equal(ours(after, sid)))
			for _, policy := range []*v1alpha1.InactivityPolicy{first, second} {
				w.delete(policy)
				w.eventuallyGone(policy)
			}
			w.Expect(w.slot(sid)).To(gomega.Equal(somebodys()))
		})
	}
}

func TestAPolicyThatMovesToAnotherWorkspaceGivesTheFirstOneBack(t *testing.T) {
	w := newPolicyWorld(t)
	first, second := w.twilio.WorkspaceSID(), w.twilio.AddWorkspace("Second")
	w.setCallback(first, somebodys())
	r := w.startOperator()
	policy := w.inForce(replace)
	w.clock.Step(time.Minute)
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Workspace = v1alpha1.WorkspaceReference{SID: second} })
	w.eventuallyInEffect(policy)
	w.Expect(w.slot(first)).To(gomega.Equal(somebodys()))
	w.Expect(w.slot(second)).To(gomega.Equal(ours(r, second)))
	w.Expect(w.get(policy).Status.Workspace.SID).To(gomega.Equal(second))
	w.Expect(w.get(policy).Status.EffectiveSince.Time).To(gomega.BeTemporally("==", w.clock.Now().Truncate(time.Second)),
		"nobody in the second workspace was watched before")

	w.delete(policy)
	w.eventuallyGone(policy)
	w.Expect(w.slot(second)).To(gomega.Equal(slot{}))
	w.Expect(w.slot(first)).To(gomega.Equal(somebodys()))
}

func TestAPolicyThatMovesActsInNeitherWorkspaceUntilTheFirstOneIsGivenBack(t *testing.T) {
	w, r, policy := startPolicies(t)
	first, second := w.twilio.WorkspaceSID(), w.twilio.AddWorkspace("Second")
	w.twilio.Fail(twiliosim.Fault{Method: http.MethodPost, Path: "^/v1/Workspaces/" + first, Status: http.StatusServiceUnavailable})
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Workspace = v1alpha1.WorkspaceReference{SID: second} })
	w.eventuallyIs(policy, reconciling(v1alpha1.ReasonTwilioUnavailable, "Unknown/TwilioUnavailable"))
	w.Expect(w.message(policy, v1alpha1.ConditionReady)).To(containsAll("putting back the callback", first))
	w.Expect(w.get(policy).Status.EffectiveSince).To(gomega.BeNil())
	w.Expect(w.slot(second)).To(gomega.Equal(slot{}))

	w.twilio.ClearFaults()
	w.eventuallyInEffect(policy)
	w.Expect(w.slot(first)).To(gomega.Equal(slot{}))
	w.Expect(w.slot(second)).To(gomega.Equal(ours(r, second)))
}

func TestAPolicyThatMovesToAnUnknownWorkspaceActsOnNoneAndGivesBackWhenItIsDeleted(t *testing.T) {
	w, r, policy := startPolicies(t)
	sid := w.twilio.WorkspaceSID()
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Workspace = v1alpha1.WorkspaceReference{SID: unknownSID} })
	w.eventuallyIs(policy, stalled(v1alpha1.ReasonWorkspaceNotFound, "Unknown/WorkspaceNotFound"))
	w.Expect(w.get(policy).Status.Workspace).To(gomega.BeNil())
	w.Expect(w.get(policy).Status.EffectiveSince).To(gomega.BeNil())
	w.Expect(w.slot(sid)).To(gomega.Equal(ours(r, sid)))
	w.delete(policy)
	w.eventuallyGone(policy)
	w.Expect(w.slot(sid)).To(gomega.Equal(slot{}))
}

func TestAPolicyThatGivesUpCallbacksGivesTheWorkspaceBack(t *testing.T) {
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	w.setCallback(sid, somebodys())
	w.startOperator()
	policy := w.inForce(replace)
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) {
		p.Spec.Callback = &v1alpha1.Callback{Mode: v1alpha1.CallbackDisabled}
	})
	w.eventuallyIs(policy, map[string]string{
		v1alpha1.ConditionReady: "True/Succeeded", v1alpha1.ConditionCallbackConfigured: "False/CallbackDisabled",
	})
	w.Expect(w.message(policy, v1alpha1.ConditionCallbackConfigured)).To(containsAll("spec.callback.mode", "sweep"))
	w.Expect(w.slot(sid)).To(gomega.Equal(somebodys()))
	w.Expect(w.record(policy)).To(gomega.BeEmpty())
	w.Expect(w.get(policy).Status.Workspace.CallbackURL).To(gomega.BeEmpty())
	w.eventuallyEvent(policy, corev1.EventTypeNormal, "CallbackRestored")

	writes := w.writes()
	w.delete(policy)
	w.eventuallyGone(policy)
	w.Expect(writes()).To(gomega.BeEmpty())
}

func TestAPolicyThatGivesUpCallbacksLeavesThemToTheOthersOfTheWorkspace(t *testing.T) {
	w, r, first := startPolicies(t)
	sid := w.twilio.WorkspaceSID()
	second := w.policy("second")
	w.create(second)
	w.eventuallyInEffect(second)
	w.patch(first, func(p *v1alpha1.InactivityPolicy) {
		p.Spec.Callback = &v1alpha1.Callback{Mode: v1alpha1.CallbackDisabled}
	})
	w.eventuallyCondition(first, v1alpha1.ConditionCallbackConfigured, "False/CallbackDisabled")
	w.Expect(w.slot(sid)).To(gomega.Equal(ours(r, sid)))
	w.delete(second)
	w.eventuallyGone(second)
	w.Expect(w.slot(sid)).To(gomega.Equal(slot{}), "a policy without callbacks does not keep the callback")
}

func TestAWipedStatusIsEstablishedAgainAndTheRecordKept(t *testing.T) {
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	w.setCallback(sid, somebodys())
	w.startOperator()
	policy := w.inForce(replace)
	before, record, writes := w.get(policy).Status, w.record(policy), w.writes()
	w.wipeStatus(policy)
	w.look(policy)
	after := w.get(policy).Status
	w.Expect(after.Workspace).To(gomega.Equal(before.Workspace))
	w.Expect(w.conditions(policy)).To(gomega.Equal(inEffect()))
	w.Expect(w.record(policy)).To(gomega.Equal(record))
	w.Expect(writes()).To(gomega.BeEmpty())
}

func TestALostRecordIsTakenFromAnotherPolicyOfTheWorkspace(t *testing.T) {
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	w.setCallback(sid, somebodys())
	r := w.startOperator()
	first := w.inForce(replace)
	second := w.policy("second")
	w.create(second)
	w.eventuallyInEffect(second)
	record := w.record(first)

	// While one is left, it is there for both.
	w.setRecord(first, "")
	w.Eventually(func() string { return w.record(first) }).Should(gomega.Equal(record))

	// While both are gone, what was there before can only be guessed at.
	r.stop()
	w.setRecord(first, "")
	w.setRecord(second, "")
	w.startOperator(func(c *operator.Config) { c.PublicURL = r.publicURL })
	w.look(second)
	w.Expect(w.record(second)).NotTo(gomega.Equal(record))
	// A backup brings one back: it is believed rather than the guess, by whichever policy goes last.
	w.setRecord(first, record)
	w.look(first)
	w.Expect(w.record(first)).To(gomega.Equal(record))
	w.delete(first)
	w.eventuallyGone(first)
	w.delete(second)
	w.eventuallyGone(second)
	w.Expect(w.slot(sid)).To(gomega.Equal(somebodys()))
}

// TestARecordOfSomebodysCallbackIsBelievedRatherThanThatOfAFreeSlot: the second policy came when the operator's callback had
// been removed by hand and the first one's status wiped.
func TestARecordOfSomebodysCallbackIsBelievedRatherThanThatOfAFreeSlot(t *testing.T) {
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	w.setCallback(sid, somebodys())
	r := w.startOperator()
	first := w.inForce(replace)
	second := w.policy("second")
	w.create(second)
	w.eventuallyInEffect(second)
	record := callback.ParsePrevious(w.record(second))
	r.stop()
	record.URL, record.Filter = "", ""
	free, err := json.Marshal(record)
	w.do(err)
	w.setRecord(second, string(free))

	w.startOperator(func(c *operator.Config) { c.PublicURL = r.publicURL })
	w.look(second)
	w.Expect(w.record(second)).To(gomega.Equal(w.record(first)))
	w.delete(first)
	w.eventuallyGone(first)
	w.delete(second)
	w.eventuallyGone(second)
	w.Expect(w.slot(sid)).To(gomega.Equal(somebodys()))
}

func TestOtherSettingsOfTheWorkspaceAreNotWritten(t *testing.T) {
	w, _, _ := startPolicies(t)
	writes := w.writesTo("/v1/Workspaces/")
	w.Expect(writes).To(gomega.HaveLen(1))
	w.Expect(writes[0].Form).To(gomega.Equal(url.Values{"EventCallbackUrl": writes[0].Form["EventCallbackUrl"], "EventsFilter": {acceptEvent}}))
}

func TestWhatSomebodyElseHasReplacedSinceDoesNotComeBack(t *testing.T) {
	t.Run("another URL", func(t *testing.T) { replacedSince(t, somebodys()) })
	t.Run("another filter", func(t *testing.T) {
		replacedSince(t, slot{"https://first.example.com/", "task.created,task.completed"})
	})
	t.Run("the same once more", func(t *testing.T) { replacedSince(t, slot{"https://first.example.com/", "task.created"}) })
}

// replacedSince has somebody put another callback into a slot that a policy had taken over, and take that one away again.
func replacedSince(t *testing.T, next slot) {
	t.Helper()
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	w.setCallback(sid, slot{"https://first.example.com/", "task.created"})
	r := w.startOperator()
	policy := w.inForce(replace)
	observing := w.policy("observing", replace)
	w.create(observing)
	w.eventuallyInEffect(observing)
	w.patch(observing, func(p *v1alpha1.InactivityPolicy) { p.Spec.Mode = v1alpha1.ModeObserve })
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Callback = nil })
	w.eventuallyInEffect(policy)

	w.setCallback(sid, next)
	w.ask(policy)
	w.eventuallyCondition(policy, v1alpha1.ConditionReady, "False/CallbackInUse")
	w.Expect(w.record(policy)).To(gomega.BeEmpty())
	w.Expect(w.record(observing)).To(gomega.BeEmpty(), "it may be asked what was there")
	w.setCallback(sid, slot{})
	w.ask(policy)
	w.eventuallySlot(sid, ours(r, sid))
	w.delete(observing)
	w.eventuallyGone(observing)
	w.delete(policy)
	w.eventuallyGone(policy)
	w.Expect(w.slot(sid)).To(gomega.Equal(slot{}), "the slot was free when it was taken")
}

// TestWhoMayReplaceACallbackDoesSoForAllPolicies has a policy that refuses find another callback first: it must not keep one
// that may replace it waiting for its next look, nor wait itself for half an hour when that one has.
func TestWhoMayReplaceACallbackDoesSoForAllPolicies(t *testing.T) {
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	r := w.startOperator()
	refusing := w.inForce()
	replacing := w.policy("replacing", replace)
	w.create(replacing)
	w.eventuallyInEffect(replacing)
	w.Eventually(func() string { return w.record(replacing) }).ShouldNot(gomega.BeEmpty())

	w.setCallback(sid, somebodys())
	w.ask(refusing)
	w.eventuallyEvent(refusing, corev1.EventTypeWarning, v1alpha1.ReasonCallbackInUse)
	w.eventuallySlot(sid, ours(r, sid))
	w.eventuallyInEffect(refusing)
	w.Eventually(func() string { return w.record(refusing) }).Should(gomega.ContainSubstring(somebodys().Filter))
}

func TestTheRecordOfAPolicyThatHasMovedIsFound(t *testing.T) {
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	w.setCallback(sid, somebodys())
	r := w.startOperator()
	moved := w.inForce(replace)
	other := w.twilio.AddWorkspace("Another")
	w.patch(moved, func(p *v1alpha1.InactivityPolicy) {
		p.Spec.Suspend, p.Spec.Workspace = true, v1alpha1.WorkspaceReference{SID: other}
	})
	w.Eventually(func() string { return w.get(moved).Status.Workspace.SID }).Should(gomega.Equal(other))

	second := w.policy("second")
	w.create(second)
	w.eventuallyInEffect(second)
	w.Expect(w.slot(sid)).To(gomega.Equal(ours(r, sid)))
	w.delete(second)
	w.eventuallyGone(second)
	w.Expect(w.slot(sid)).To(gomega.Equal(somebodys()), "the policy that has moved knows what was there")
}

func TestWhatWasPutBackIsForgottenByThePoliciesThatDoNotManageTheCallback(t *testing.T) {
	for what, edit := range map[string]func(other string) func(*v1alpha1.InactivityPolicy){
		"one that has moved while it was suspended": func(other string) func(*v1alpha1.InactivityPolicy) {
			return func(p *v1alpha1.InactivityPolicy) {
				p.Spec.Suspend, p.Spec.Workspace = true, v1alpha1.WorkspaceReference{SID: other}
			}
		},
		"one that only observes": func(string) func(*v1alpha1.InactivityPolicy) {
			return func(p *v1alpha1.InactivityPolicy) { p.Spec.Mode = v1alpha1.ModeObserve }
		},
	} {
		t.Run(what, func(t *testing.T) { testForgotten(t, edit) })
	}
}

func testForgotten(t *testing.T, edit func(other string) func(*v1alpha1.InactivityPolicy)) {
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	w.setCallback(sid, somebodys())
	r := w.startOperator()
	idle := w.inForce(replace)
	last := w.policy("last")
	w.create(last)
	w.eventuallyInEffect(last)
	w.patch(idle, edit(w.twilio.AddWorkspace("Another")))
	w.Eventually(func() bool { now := w.get(idle); return now.Status.ObservedGeneration == now.Generation }).Should(gomega.BeTrue())
	w.delete(last)
	w.eventuallyGone(last)
	w.Expect(w.slot(sid)).To(gomega.Equal(somebodys()))

	w.setCallback(sid, slot{}) // its owner needs it no more
	next := w.policy("next")
	w.create(next)
	w.eventuallyInEffect(next)
	w.Expect(w.slot(sid)).To(gomega.Equal(ours(r, sid)))
	w.delete(next)
	w.eventuallyGone(next)
	w.Expect(w.slot(sid).URL).To(gomega.BeEmpty(), "nothing comes back")
}
