package controllers_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// Time does not pass in these tests unless the clock is stepped: a policy that is released without that was not waited
// for.

// takenOver makes a world in which one policy has replaced somebody else's callback, and more policies of the workspace
// are in force.
func takenOver(t *testing.T, more ...string) (policyWorld, *replica, []*v1alpha1.InactivityPolicy) {
	t.Helper()
	w := newPolicyWorld(t)
	w.setCallback(w.twilio.WorkspaceSID(), somebodys())
	r := w.startOperator()
	policies := []*v1alpha1.InactivityPolicy{w.inForce(replace)}
	for _, name := range more {
		policy := w.policy(name)
		w.create(policy)
		w.eventuallyInEffect(policy)
		policies = append(policies, policy)
	}
	w.Expect(w.slot(w.twilio.WorkspaceSID())).To(gomega.Equal(ours(r, w.twilio.WorkspaceSID())))
	return w, r, policies
}

// eventuallyWaits waits until a deletion has been tried in vain.
func (w policyWorld) eventuallyWaits(policy *v1alpha1.InactivityPolicy) {
	w.t.Helper()
	w.Eventually(func() string { return w.condition(policy, v1alpha1.ConditionReady) }).Should(gomega.Equal("False/Deleting"))
	w.Expect(w.condition(policy, v1alpha1.ConditionReconciling)).To(gomega.Equal("True/Deleting"))
	w.Expect(w.message(policy, v1alpha1.ConditionReady)).To(containsAll("Being deleted", w.twilio.WorkspaceSID(), "tried again", "2m"))
}

func TestTheLastPolicyPutsTheCallbackBack(t *testing.T) {
	for name, before := range map[string]slot{
		"nothing":             {},
		"a filter alone":      {"", foreignFilter},
		"somebody else's":     somebodys(),
		"one without filter":  {foreignURL, ""},
		"one with odd spaces": {foreignURL, "task.created, task.canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPolicyWorld(t)
			sid := w.twilio.WorkspaceSID()
			w.setCallback(sid, before)
			r := w.startOperator()
			policy := w.inForce(replace)
			w.Expect(w.slot(sid)).To(gomega.Equal(ours(r, sid)))
			w.delete(policy)
			w.eventuallyGone(policy)
			w.Expect(w.slot(sid)).To(gomega.Equal(before))
			w.eventuallyEvent(policy, corev1.EventTypeNormal, "CallbackRestored")
		})
	}
}

func TestTheCallbackStaysUntilTheLastPolicyOfTheWorkspaceIsGone(t *testing.T) {
	for name, order := range map[string][]int{
		"the policy that took it over goes first": {0, 1, 2},
		"the policy that took it over goes last":  {2, 1, 0},
		"and between the others":                  {1, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w, r, policies := takenOver(t, "second", "third")
			sid := w.twilio.WorkspaceSID()
			writes := w.writes()
			for _, i := range order[:2] {
				w.delete(policies[i])
				w.eventuallyGone(policies[i])
				w.Expect(w.slot(sid)).To(gomega.Equal(ours(r, sid)))
			}
			w.Expect(writes()).To(gomega.BeEmpty())
			w.delete(policies[order[2]])
			w.eventuallyGone(policies[order[2]])
			w.Expect(w.slot(sid)).To(gomega.Equal(somebodys()))
		})
	}
}

func TestPoliciesThatGoAtOncePutTheCallbackBack(t *testing.T) {
	w, _, policies := takenOver(t, "second", "third")
	for _, policy := range policies {
		w.delete(policy)
	}
	for _, policy := range policies {
		w.eventuallyGone(policy)
	}
	w.Expect(w.slot(w.twilio.WorkspaceSID())).To(gomega.Equal(somebodys()))
}

func TestPoliciesThatGoWithTheirSecretAsWithTheirNamespacePutTheCallbackBack(t *testing.T) {
	w, r, policies := takenOver(t, "second")
	r.stop()
	for _, policy := range policies {
		w.delete(policy)
	}
	up := w.down()
	w.startOperator()
	for _, policy := range policies {
		w.eventuallyWaits(policy)
	}
	w.deleteSecret()
	w.look(policies[0])
	up()
	w.ask(policies[0])
	for _, policy := range policies {
		w.eventuallyGone(policy)
	}
	w.Expect(w.slot(w.twilio.WorkspaceSID())).To(gomega.Equal(somebodys()))
	w.eventuallyEvent(policies[0], corev1.EventTypeNormal, "CallbackRestored")
	w.eventuallyEvent(policies[1], corev1.EventTypeNormal, "CallbackLeft")
	for _, policy := range policies {
		w.Expect(w.events(policy, "CallbackNotRestored")).To(gomega.BeEmpty())
	}
}

func TestTheRecordIsNotLeftToAPolicyThatOnlyNamesTheWorkspace(t *testing.T) {
	w, _, policies := takenOver(t)
	sid := w.twilio.WorkspaceSID()
	stranger := w.policy("stranger", func(spec *v1alpha1.InactivityPolicySpec) {
		spec.Workspace = v1alpha1.WorkspaceReference{SID: sid}
		spec.CredentialsSecretRef.Name = "none"
	})
	w.create(stranger)
	w.eventuallyCondition(stranger, v1alpha1.ConditionReady, "False/SecretNotFound")
	w.delete(policies[0])
	w.eventuallyGone(policies[0])
	w.Expect(w.slot(sid)).To(gomega.Equal(somebodys()), "the callback is put back by the policy that could do it")
	w.Expect(w.record(stranger)).To(gomega.BeEmpty())
}

func TestAWorkspaceOfAnotherAccountIsNotTakenForOneThatIsGone(t *testing.T) {
	w, _, policies := takenOver(t)
	record := w.record(policies[0])
	w.Expect(record).To(gomega.ContainSubstring(w.twilio.AccountSID()))
	w.setRecord(policies[0], strings.ReplaceAll(record, w.twilio.AccountSID(), "AC"+strings.Repeat("0", 32)))
	w.delete(policies[0])
	w.eventuallyGone(policies[0])
	event := w.eventuallyEvent(policies[0], corev1.EventTypeWarning, "CallbackNotRestored")
	w.Expect(event.Note).To(containsAll(w.twilio.WorkspaceSID(), "by hand"))
}

func TestDeletionPutsTheCallbackBackWhateverBecameOfThePolicy(t *testing.T) {
	for name, become := range map[string]func(policyWorld, *v1alpha1.InactivityPolicy){
		"its status was wiped": func(w policyWorld, policy *v1alpha1.InactivityPolicy) { w.wipeStatus(policy) },
		"it is suspended": func(w policyWorld, policy *v1alpha1.InactivityPolicy) {
			w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = true })
			w.eventuallyCondition(policy, v1alpha1.ConditionReady, "True/Suspended")
		},
		"it is stalled": func(w policyWorld, policy *v1alpha1.InactivityPolicy) {
			w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Workspace = v1alpha1.WorkspaceReference{SID: unknownSID} })
			w.eventuallyIs(policy, stalled(v1alpha1.ReasonWorkspaceNotFound, "Unknown/WorkspaceNotFound"))
		},
		"it is suspended and its status was wiped": func(w policyWorld, policy *v1alpha1.InactivityPolicy) {
			w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = true })
			w.eventuallyCondition(policy, v1alpha1.ConditionReady, "True/Suspended")
			w.wipeStatus(policy)
		},
		"its Secret is gone": func(w policyWorld, _ *v1alpha1.InactivityPolicy) { w.deleteSecret() },
		"it has a second finalizer": func(w policyWorld, policy *v1alpha1.InactivityPolicy) {
			w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Finalizers = append(p.Finalizers, "example.com/other") })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, _, policies := takenOver(t)
			become(w, policies[0])
			w.delete(policies[0])
			w.eventuallySlot(w.twilio.WorkspaceSID(), somebodys())
			w.Eventually(func() []string { return w.finalizers(policies[0]) }).ShouldNot(gomega.ContainElement(v1alpha1.Finalizer))
			if left := w.finalizers(policies[0]); left != nil {
				w.Expect(left).To(gomega.Equal([]string{"example.com/other"}), "somebody else's finalizer stays")
				w.patch(policies[0], func(p *v1alpha1.InactivityPolicy) { p.Finalizers = nil })
			}
			w.eventuallyGone(policies[0])
		})
	}
}

func TestAPolicyThatHasLostItsRecordStillTakesTheOperatorsCallbackAway(t *testing.T) {
	w, _, policies := takenOver(t)
	w.setRecord(policies[0], "")
	w.delete(policies[0])
	w.eventuallyGone(policies[0])
	w.Expect(w.slot(w.twilio.WorkspaceSID())).To(gomega.Equal(slot{}), "what was there is not known any more; the operator's is not left behind")
}

func TestAPolicyThatHasLostItsRecordUsesThatOfAnother(t *testing.T) {
	w, _, policies := takenOver(t, "second")
	w.setRecord(policies[0], "")
	for _, policy := range []*v1alpha1.InactivityPolicy{policies[1], policies[0]} {
		w.delete(policy)
		w.eventuallyGone(policy)
	}
	w.Expect(w.slot(w.twilio.WorkspaceSID())).To(gomega.Equal(somebodys()))
}

func TestAPolicyThatTookNothingOverIsReleasedAtOnce(t *testing.T) {
	for name, reach := range map[string]func(policyWorld) (*v1alpha1.InactivityPolicy, string){
		"its Secret never existed": func(w policyWorld) (*v1alpha1.InactivityPolicy, string) {
			return w.policy("plain"), "False/SecretNotFound"
		},
		"its workspace calls somebody else": func(w policyWorld) (*v1alpha1.InactivityPolicy, string) {
			w.createSecret()
			w.setCallback(w.twilio.WorkspaceSID(), somebodys())
			return w.policy("plain"), "False/CallbackInUse"
		},
		"it works without callbacks": func(w policyWorld) (*v1alpha1.InactivityPolicy, string) {
			w.createSecret()
			return w.policy("plain", func(spec *v1alpha1.InactivityPolicySpec) {
				spec.Callback = &v1alpha1.Callback{Mode: v1alpha1.CallbackDisabled}
			}), "True/Succeeded"
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPolicyWorld(t)
			policy, ready := reach(w)
			w.startOperator()
			w.create(policy)
			w.eventuallyCondition(policy, v1alpha1.ConditionReady, ready)
			before, writes := w.slot(w.twilio.WorkspaceSID()), w.writes()
			w.down()
			w.delete(policy)
			w.eventuallyGone(policy)
			w.Expect(writes()).To(gomega.BeEmpty())
			w.Expect(w.slot(w.twilio.WorkspaceSID())).To(gomega.Equal(before))
		})
	}
}

func TestWithoutCredentialsAPolicyIsReleasedAfterAWhileAndSaysWhatIsLeftToDo(t *testing.T) {
	w, r, policies := takenOver(t)
	sid, policy := w.twilio.WorkspaceSID(), policies[0]
	r.stop()
	w.deleteSecret()
	w.delete(policy)
	w.startOperator(func(c *operator.Config) { c.PublicURL = r.publicURL })
	w.eventuallyWaits(policy)

	w.clock.Step(time.Minute)
	w.look(policy)
	w.Expect(w.gone(policy)).To(gomega.BeFalse(), "the Secret may come back")

	w.clock.Step(patience)
	w.ask(policy)
	w.eventuallyGone(policy)
	w.Expect(w.slot(sid)).To(gomega.Equal(ours(r, sid)))
	event := w.eventuallyEvent(policy, corev1.EventTypeWarning, "CallbackNotRestored")
	w.Expect(event.Note).To(containsAll(sid, r.publicURL.String(), secretName+" does not exist", foreignURL, foreignFilter, "by hand"))
	w.Expect(event.Note).NotTo(gomega.ContainSubstring("key=1"), "a query may hold somebody's token")
}

func TestASecretThatComesBackWhileAPolicyIsDeletedIsUsed(t *testing.T) {
	w, r, policies := takenOver(t)
	r.stop()
	w.deleteSecret()
	w.delete(policies[0])
	w.startOperator()
	w.eventuallyWaits(policies[0])
	w.createSecret()
	w.ask(policies[0])
	w.eventuallyGone(policies[0])
	w.Expect(w.slot(w.twilio.WorkspaceSID())).To(gomega.Equal(somebodys()))
}

func TestATokenThatIsCorrectedWhileAPolicyIsDeletedIsUsed(t *testing.T) {
	w, _, policies := takenOver(t)
	w.twilio.SetAuthToken("anotherToken")
	w.delete(policies[0])
	w.eventuallyWaits(policies[0])
	w.updateSecret("authToken", "anotherToken")
	w.eventually(time.Minute+10*time.Second, func() bool { return w.gone(policies[0]) }, "the new token is found")
	w.Expect(w.slot(w.twilio.WorkspaceSID())).To(gomega.Equal(somebodys()))
}

func TestWhileTwilioIsDownADeletionWaitsAndThenLetsGo(t *testing.T) {
	w, r, policies := takenOver(t)
	sid := w.twilio.WorkspaceSID()
	w.down()
	w.delete(policies[0])
	w.eventuallyWaits(policies[0])
	w.clock.Step(patience)
	w.ask(policies[0])
	w.eventuallyGone(policies[0])
	w.Expect(w.slot(sid)).To(gomega.Equal(ours(r, sid)))
	event := w.eventuallyEvent(policies[0], corev1.EventTypeWarning, "CallbackNotRestored")
	w.Expect(event.Note).To(containsAll(sid, foreignURL))
}

func TestADeletionThatNobodyHasTriedForAWhileIsTriedMoreThanOnce(t *testing.T) {
	w, r, policies := takenOver(t)
	r.stop()
	w.delete(policies[0])
	w.clock.Step(2 * patience)
	w.down()
	w.startOperator(func(c *operator.Config) { c.PublicURL = r.publicURL })
	w.eventuallyWaits(policies[0])
	w.clock.Step(patience)
	w.ask(policies[0])
	w.eventuallyGone(policies[0])
	w.eventuallyEvent(policies[0], corev1.EventTypeWarning, "CallbackNotRestored")
}

func TestADeletionThatIsOldIsTriedOnce(t *testing.T) {
	w, r, policies := takenOver(t)
	r.stop()
	w.delete(policies[0])
	w.clock.Step(time.Hour)
	w.down()
	w.startOperator(func(c *operator.Config) { c.PublicURL = r.publicURL })
	w.eventuallyGone(policies[0])
	w.eventuallyEvent(policies[0], corev1.EventTypeWarning, "CallbackNotRestored")
}

func TestWhenTwilioIsBackInTimeTheCallbackIsPutBack(t *testing.T) {
	for name, fault := range map[string]twiliosim.Fault{
		"all of Twilio was down":    {Status: http.StatusServiceUnavailable},
		"only writes were refused":  {Method: http.MethodPost, Path: "^/v1/Workspaces/", Status: http.StatusServiceUnavailable},
		"connections were dropped":  {Drop: twiliosim.DropBefore},
		"the account was throttled": {Status: http.StatusTooManyRequests, Code: 20429, Header: http.Header{"Retry-After": {"3600"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w, _, policies := takenOver(t)
			up := w.twilio.Fail(fault)
			w.delete(policies[0])
			w.eventuallyWaits(policies[0])
			w.clock.Step(time.Minute)
			up()
			w.ask(policies[0])
			w.eventuallyGone(policies[0])
			w.Expect(w.slot(w.twilio.WorkspaceSID())).To(gomega.Equal(somebodys()))
			w.eventuallyEvent(policies[0], corev1.EventTypeNormal, "CallbackRestored")
			w.Expect(w.events(policies[0], "CallbackNotRestored")).To(gomega.BeEmpty())
		})
	}
}

func TestAWriteWhoseAnswerWasLostIsNotTakenForSomebodyElses(t *testing.T) {
	w, _, policies := takenOver(t)
	w.twilio.Fail(twiliosim.Fault{Method: http.MethodPost, Path: "^/v1/Workspaces/", Times: 1, Drop: twiliosim.DropAfter})
	w.delete(policies[0])
	w.eventuallyGone(policies[0])
	w.Expect(w.slot(w.twilio.WorkspaceSID())).To(gomega.Equal(somebodys()))
	w.eventuallyEvent(policies[0], corev1.EventTypeNormal, "CallbackRestored")
}

func TestACallbackThatIsNotTheOperatorsAnyMoreIsLeft(t *testing.T) {
	for name, now := range map[string]slot{
		"somebody else has taken the slot": {"https://third.example.com/", "worker.created"},
		"somebody has emptied the slot":    {},
	} {
		t.Run(name, func(t *testing.T) {
			w, _, policies := takenOver(t)
			sid := w.twilio.WorkspaceSID()
			w.setCallback(sid, now)
			writes := w.writes()
			w.delete(policies[0])
			w.eventuallyGone(policies[0])
			w.Expect(writes()).To(gomega.BeEmpty())
			w.Expect(w.slot(sid)).To(gomega.Equal(now))
			event := w.eventuallyEvent(policies[0], corev1.EventTypeNormal, "CallbackLeft")
			w.Expect(event.Note).To(gomega.ContainSubstring(sid))
		})
	}
}

func TestTheCallbackOfTheOperatorsOldAddressIsPutBackToo(t *testing.T) {
	w, before, policies := takenOver(t)
	before.stop()
	w.delete(policies[0])
	w.startOperator()
	w.eventuallyGone(policies[0])
	w.Expect(w.slot(w.twilio.WorkspaceSID())).To(gomega.Equal(somebodys()))
}

func TestAnOperatorWithoutAnAddressPutsTheCallbackBackToo(t *testing.T) {
	w, before, policies := takenOver(t)
	before.stop()
	w.delete(policies[0])
	w.startOperator(func(c *operator.Config) { c.PublicURL = nil })
	w.eventuallyGone(policies[0])
	w.Expect(w.slot(w.twilio.WorkspaceSID())).To(gomega.Equal(somebodys()))
}

func TestAPolicyWhoseWorkspaceWasDeletedIsReleasedAtOnce(t *testing.T) {
	w, _, policies := takenOver(t)
	w.twilio.Fail(twiliosim.Fault{Path: "^/v1/Workspaces/" + w.twilio.WorkspaceSID(), Status: http.StatusNotFound, Code: 20404})
	writes := w.writes()
	w.delete(policies[0])
	w.eventuallyGone(policies[0])
	w.Expect(writes()).To(gomega.BeEmpty())
	event := w.eventuallyEvent(policies[0], corev1.EventTypeNormal, "CallbackLeft")
	w.Expect(event.Note).To(containsAll(w.twilio.WorkspaceSID(), "does not exist"))
}

func TestDeletionEndsNoConversationAndSendsNothing(t *testing.T) {
	w, _, policies := takenOver(t)
	started := w.acceptedConversation()
	messages, writes := len(w.seen(started).Messages), w.writes()
	w.delete(policies[0])
	w.eventuallyGone(policies[0])
	w.pass(2*timeout + promised)
	w.Expect(w.seen(started).Messages).To(gomega.HaveLen(messages))
	w.Expect(w.seen(started).State).NotTo(gomega.Equal("closed"))
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
	written := writes()
	w.Expect(written).To(gomega.HaveLen(1))
	w.Expect(written[0].Path).To(gomega.Equal("/v1/Workspaces/" + w.twilio.WorkspaceSID()))
}
