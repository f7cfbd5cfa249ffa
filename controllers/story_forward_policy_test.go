package controllers_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

func onConflict(what v1alpha1.CallbackConflict) func(*v1alpha1.InactivityPolicySpec) {
	return func(spec *v1alpha1.InactivityPolicySpec) { spec.Callback = &v1alpha1.Callback{OnConflict: what} }
}

var forward = onConflict(v1alpha1.ConflictForward)

// edit changes a policy's spec and waits until it is in effect.
func (w policyWorld) edit(policy *v1alpha1.InactivityPolicy, change func(*v1alpha1.InactivityPolicySpec)) {
	w.t.Helper()
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { change(&p.Spec) })
	w.eventuallyInEffect(policy)
}

// previous is a policy's record, read.
func (w policyWorld) previous(policy *v1alpha1.InactivityPolicy) *callback.Previous {
	w.t.Helper()
	record := callback.ParsePrevious(w.record(policy))
	if record == nil {
		w.t.Fatalf("policy %s has no record", policy.Name)
	}
	return record
}

func TestForwardTakesOverWithTheOtherPartysEvents(t *testing.T) {
	for name, test := range map[string]struct{ filter, taken string }{
		"some events":                     {"task.created, task.canceled", "task.created, task.canceled," + acceptEvent},
		"the operator's event among them": {acceptEvent + ",task.created", acceptEvent + ",task.created"},
		"all events":                      {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPolicyWorld(t)
			sid := w.twilio.WorkspaceSID()
			theirs := slot{somebodys().URL, test.filter}
			w.setCallback(sid, theirs)
			r := w.startOperator()
			policy := w.inForce(forward)
			w.Expect(w.slot(sid)).To(gomega.Equal(slot{ours(r, sid).URL, test.taken}))
			w.Expect(w.previous(policy).Forwards()).To(gomega.BeTrue())
			message := w.message(policy, v1alpha1.ConditionCallbackConfigured)
			w.Expect(message).To(containsAll("Workspace "+sid+" calls "+r.publicURL.String(), "its events go on to "+foreignURL))
			w.Expect(message).NotTo(gomega.ContainSubstring("key=1"), "a query may hold somebody's token")

			writes, record := w.writes(), w.record(policy)
			w.look(policy)
			w.Expect(writes()).To(gomega.BeEmpty(), "at rest nothing is written")
			w.Expect(w.record(policy)).To(gomega.Equal(record))

			w.delete(policy)
			w.eventuallyGone(policy)
			w.Expect(w.slot(sid)).To(gomega.Equal(theirs))
		})
	}
}

func TestForwardRecordsBeforeItTakesOver(t *testing.T) {
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	w.setCallback(sid, somebodys())
	w.twilio.Fail(twiliosim.Fault{Method: http.MethodPost, Path: "^/v1/Workspaces/", Status: http.StatusServiceUnavailable})
	w.createSecret()
	w.startOperator()
	policy := w.policy("plain", forward)
	w.create(policy)
	w.eventuallyMet(1)
	w.Expect(w.previous(policy).Forwards()).To(gomega.BeTrue(), "the first event that the operator gets is known to be theirs")
	w.Expect(w.previous(policy).URL).To(gomega.Equal(somebodys().URL))
	w.Expect(w.slot(sid)).To(gomega.Equal(somebodys()))
}

func TestWhileForwardingTheOtherPartysEventsComeBackIntoTheFilter(t *testing.T) {
	for name, test := range map[string]struct{ recorded, drifted, repaired string }{
		"one of theirs is missing": {foreignFilter, acceptEvent + ",task.created,added", acceptEvent + ",task.created,added,task.canceled"},
		"the filter was emptied":   {foreignFilter, "", foreignFilter + "," + acceptEvent},
		"all were theirs":          {"", acceptEvent, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPolicyWorld(t)
			sid := w.twilio.WorkspaceSID()
			w.setCallback(sid, slot{foreignURL, test.recorded})
			r := w.startOperator()
			policy := w.inForce(forward)
			w.setCallback(sid, slot{ours(r, sid).URL, test.drifted})
			w.look(policy)
			w.Expect(w.slot(sid)).To(gomega.Equal(slot{ours(r, sid).URL, test.repaired}))
			w.eventuallyEvent(policy, corev1.EventTypeNormal, "CallbackRepaired")
		})
	}
}

func TestForwardWithNobodyToForwardToSaysSo(t *testing.T) {
	w, r, policy := startPolicies(t, forward)
	sid := w.twilio.WorkspaceSID()
	w.Expect(w.slot(sid)).To(gomega.Equal(ours(r, sid)))
	w.Expect(w.message(policy, v1alpha1.ConditionCallbackConfigured)).To(containsAll("calls", "nobody to forward"))
	// Somebody who comes later is forwarded to.
	w.setCallback(sid, somebodys())
	w.look(policy)
	w.Expect(w.slot(sid)).To(gomega.Equal(slot{ours(r, sid).URL, foreignFilter + "," + acceptEvent}))
	w.Expect(w.message(policy, v1alpha1.ConditionCallbackConfigured)).To(containsAll("go on to " + foreignURL))
}

func TestWhoForwardsCanBeEdited(t *testing.T) {
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	w.setCallback(sid, somebodys())
	r := w.startOperator()
	policy := w.inForce(forward)
	shared := slot{ours(r, sid).URL, foreignFilter + "," + acceptEvent}

	writes, record := w.writes(), w.record(policy)
	w.edit(policy, onConflict(v1alpha1.ConflictRefuse))
	w.Expect(writes()).To(gomega.BeEmpty(), "Refuse is about callbacks to come: it cuts nobody off")
	w.Expect(w.record(policy)).To(gomega.Equal(record))
	w.Expect(w.message(policy, v1alpha1.ConditionCallbackConfigured)).To(containsAll("go on to"))

	w.edit(policy, replace)
	w.Expect(w.slot(sid)).To(gomega.Equal(ours(r, sid)), "nobody else needs the other events now")
	w.Expect(w.previous(policy).Forward).To(gomega.BeFalse())
	w.Expect(w.previous(policy).URL).To(gomega.Equal(somebodys().URL))
	w.Expect(w.message(policy, v1alpha1.ConditionCallbackConfigured)).NotTo(gomega.ContainSubstring("go on to"))

	w.edit(policy, onConflict(v1alpha1.ConflictRefuse))
	w.Expect(w.previous(policy).Forward).To(gomega.BeFalse(), "Refuse brings nobody back either")

	w.edit(policy, forward)
	w.Expect(strings.Split(w.slot(sid).Filter, ",")).To(gomega.ConsistOf(strings.Split(shared.Filter, ",")))
	w.Expect(w.previous(policy).Forwards()).To(gomega.BeTrue())

	w.delete(policy)
	w.eventuallyGone(policy)
	w.Expect(w.slot(sid)).To(gomega.Equal(somebodys()))
}

func TestForwardingEndsWithTheFilterAlsoWhenTwilioFailsMeanwhile(t *testing.T) {
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	w.setCallback(sid, somebodys())
	r := w.startOperator()
	policy := w.inForce(forward)
	w.twilio.Fail(twiliosim.Fault{Method: http.MethodPost, Path: "^/v1/Workspaces/", Status: http.StatusServiceUnavailable})
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { replace(&p.Spec) })
	w.eventuallyMet(1)
	w.eventuallyCondition(policy, v1alpha1.ConditionReady, "False/"+v1alpha1.ReasonTwilioUnavailable)
	w.Expect(w.previous(policy).Forward).To(gomega.BeTrue(), "the filter still is the other party's")
	r.stop()
	w.twilio.ClearFaults()
	w.startOperator(func(c *operator.Config) { c.PublicURL = r.publicURL })
	w.eventuallyInEffect(policy)
	w.Expect(w.slot(sid)).To(gomega.Equal(ours(r, sid)))
	w.Expect(w.previous(policy).Forward).To(gomega.BeFalse())
}

func TestAllPoliciesOfAWorkspaceSayTheSameOfForwarding(t *testing.T) {
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	w.setCallback(sid, somebodys())
	w.startOperator()
	first := w.inForce(forward)
	second, third := w.policy("second", replace), w.policy("third")
	for _, policy := range []*v1alpha1.InactivityPolicy{second, third} {
		w.create(policy)
		w.eventuallyInEffect(policy)
		w.Expect(w.previous(policy).Forwards()).To(gomega.BeTrue(), "Forward counts before Replace")
	}
	// Nobody looks at a policy that is suspended.
	w.patch(third, func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = true })
	w.eventuallyCondition(third, v1alpha1.ConditionReady, "True/Suspended")

	w.edit(first, onConflict(v1alpha1.ConflictRefuse))
	for _, policy := range []*v1alpha1.InactivityPolicy{first, second, third} {
		w.Eventually(func() bool { return w.previous(policy).Forward }).Should(gomega.BeFalse(), policy.Name)
	}
	w.edit(first, forward)
	for _, policy := range []*v1alpha1.InactivityPolicy{first, second, third} {
		w.Eventually(func() bool { return w.previous(policy).Forward }).Should(gomega.BeTrue(), policy.Name)
	}
}

func TestAnHeirGoesOnForwarding(t *testing.T) {
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	w.setCallback(sid, somebodys())
	r := w.startOperator()
	first := w.inForce(forward)
	heir := w.policy("heir")
	w.create(heir)
	w.eventuallyInEffect(heir)
	w.setRecord(heir, "") // so that it is left the record
	writes := w.writes()
	w.delete(first)
	w.eventuallyGone(first)
	w.Expect(w.previous(heir).Forwards()).To(gomega.BeTrue())
	w.look(heir)
	w.Expect(writes()).To(gomega.BeEmpty())

	r.stop()
	w.startOperator(func(c *operator.Config) { c.PublicURL = r.publicURL })
	w.look(heir)
	w.Expect(writes()).To(gomega.BeEmpty(), "a restart changes nothing")
	w.Expect(w.previous(heir).Forwards()).To(gomega.BeTrue())

	w.delete(heir)
	w.eventuallyGone(heir)
	w.Expect(w.slot(sid)).To(gomega.Equal(somebodys()))
}
