package controllers_test

import (
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// noticed is how long a replica may take to notice that a Secret has changed.
const noticed = time.Minute

// setSecret makes the Secret hold these values and no others.
func (w policyWorld) setSecret(name string, data map[string]string) {
	w.t.Helper()
	secret := &corev1.Secret{}
	w.do(w.cluster.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, secret))
	secret.Data, secret.StringData = nil, map[string]string{"accountSid": w.twilio.AccountSID()}
	maps.Copy(secret.StringData, data)
	w.do(w.cluster.Update(w.t.Context(), secret))
}

// callbacks are the statuses with which Twilio's callbacks were answered after the first count entries of its journal.
func (w policyWorld) callbacks(count int) map[int]int {
	statuses := map[int]int{}
	for _, entry := range w.twilio.Journal()[count:] {
		if entry.Kind == twiliosim.KindCallback {
			statuses[entry.Status]++
		}
	}
	return statuses
}

// refusals are the requests that Twilio has refused for their credentials.
func (w policyWorld) refusals() []string {
	var refused []string
	for _, entry := range w.twilio.Journal() {
		if entry.Kind == twiliosim.KindRequest && (entry.Status == http.StatusUnauthorized || entry.Status == http.StatusForbidden) {
			refused = append(refused, entry.Method+" "+entry.Path)
		}
	}
	return refused
}

// works shows that callbacks are taken and that Twilio can be written to: a conversation is accepted, and armed.
func (w policyWorld) works() {
	w.t.Helper()
	w.eventuallyArmed(w.comesAndIsAccepted())
	w.settle()
	w.quiet()
}

// comesAndIsAccepted has a customer who was never seen before write, and an agent accept.
func (w policyWorld) comesAndIsAccepted() twiliosim.Started {
	w.t.Helper()
	number := fmt.Sprintf("+1500556%04d", len(w.twilio.State().Conversations))
	started := w.conversation(w.twilio.StartConversation("sms", number, "Hello?"))
	w.accept(started)
	return started
}

// worksFor shows that for a while, at the end of which the operator has certainly read the Secrets of these policies anew.
func (w policyWorld) worksFor(length time.Duration, policies ...*v1alpha1.InactivityPolicy) {
	w.t.Helper()
	w.works()
	w.pass(length)
	for _, policy := range policies {
		w.look(policy)
	}
	w.works()
}

func TestAnAuthTokenIsRotatedWithoutARestartOrARefusedCallback(t *testing.T) {
	w, _, policy := startPolicies(t)
	before, after := w.twilio.AuthToken(), "theNewToken"
	begun := w.acceptedConversation()

	// As docs/operations.md says.
	w.twilio.SetSecondaryAuthToken(after)
	w.setSecret(secretName, map[string]string{"authToken": after, "previousAuthToken": before})
	w.worksFor(noticed, policy)
	w.twilio.PromoteAuthToken()
	w.worksFor(noticed, policy)
	w.setSecret(secretName, map[string]string{"authToken": after})
	w.worksFor(noticed, policy)

	w.passSweeping(timeout)
	w.eventuallyClosed(begun)
	w.Expect(w.callbacks(0)).To(gomega.HaveLen(1))
	w.Expect(w.callbacks(0)).To(gomega.HaveKey(http.StatusNoContent))
	w.Expect(w.refusals()).To(gomega.BeEmpty())
	w.eventuallyIs(policy, inEffect())
}

func TestSecretsOfOneWorkspaceAreRotatedAtDifferentTimes(t *testing.T) {
	for sentence, late := range map[string]bool{"both before the promotion": false, "one only after it": true} {
		t.Run(sentence, func(t *testing.T) {
			w, _, first := startPolicies(t)
			before, after := w.twilio.AuthToken(), "theNewToken"
			w.create(&corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "second"},
				StringData: map[string]string{"accountSid": w.twilio.AccountSID(), "authToken": before},
			})
			second := w.policy("second", func(spec *v1alpha1.InactivityPolicySpec) { spec.CredentialsSecretRef.Name = "second" })
			w.create(second)
			w.eventuallyInEffect(second)

			w.twilio.SetSecondaryAuthToken(after)
			w.setSecret(secretName, map[string]string{"authToken": after, "previousAuthToken": before})
			w.worksFor(3*noticed, first, second)
			if !late {
				w.setSecret("second", map[string]string{"authToken": after, "previousAuthToken": before})
				w.worksFor(noticed, first, second)
			}
			w.twilio.PromoteAuthToken()
			w.worksFor(noticed, first, second)
			w.setSecret(secretName, map[string]string{"authToken": after})
			w.worksFor(3*noticed, first, second)
			w.setSecret("second", map[string]string{"authToken": after})
			w.worksFor(noticed, first, second)

			w.Expect(w.callbacks(0)).To(gomega.HaveLen(1))
			w.Expect(w.callbacks(0)).To(gomega.HaveKey(http.StatusNoContent))
			if late { // only the late policy's own look at its workspace
				w.Expect(w.refusals()).To(gomega.HaveEach("GET /v1/Workspaces"))
			} else {
				w.Expect(w.refusals()).To(gomega.BeEmpty())
			}
			w.look(second)
			w.eventuallyInEffect(second)
		})
	}
}

func TestAWrongTokenIsNamedRefusesCallbacksAndIsMendedSoon(t *testing.T) {
	w, r, policy := startPolicies(t)
	begun := w.acceptedConversation()
	w.updateSecret("authToken", "typo")
	w.eventually(2*noticed, func() bool { return w.condition(policy, v1alpha1.ConditionReady) == "False/Unauthorized" }, "it is noticed")
	w.eventuallyIs(policy, stalled(v1alpha1.ReasonUnauthorized, "True/Succeeded"))
	w.Expect(w.message(policy, v1alpha1.ConditionReady)).To(containsAll(w.namespace+"/"+secretName, "check", "authToken"))
	at := len(w.twilio.Journal())
	missed := w.comesAndIsAccepted()
	w.settle()
	w.Expect(w.callbacks(at)).To(gomega.Equal(map[int]int{http.StatusForbidden: 1}))
	w.Eventually(r.isAlive).Should(gomega.Succeed())

	w.updateSecret("authToken", w.twilio.AuthToken())
	w.eventually(noticed+5*time.Second, func() bool { return w.condition(policy, v1alpha1.ConditionReady) == "True/Succeeded" }, "mended without a restart")
	at = len(w.twilio.Journal())
	w.works()
	w.Expect(w.callbacks(at)).To(gomega.Equal(map[int]int{http.StatusNoContent: 1}))
	w.passSweeping(timeout + 2*noticed)
	for _, started := range []twiliosim.Started{begun, missed} {
		w.eventuallyClosed(started)
	}
}

func TestASecretThatIsDeletedLeavesConversationsAloneUntilItIsThereAgain(t *testing.T) {
	w, r, policy := startPolicies(t)
	begun := w.acceptedConversation()
	w.deleteSecret()
	w.eventually(2*noticed, func() bool { return w.condition(policy, v1alpha1.ConditionReady) == "False/SecretNotFound" }, "it is noticed")
	w.eventuallyIs(policy, reconciling(v1alpha1.ReasonSecretNotFound, "True/Succeeded"))
	requests := len(w.twilio.Journal())
	for range 2 {
		w.pass(timeout)
		w.Eventually(r.isAlive).Should(gomega.Succeed())
	}
	w.Expect(w.requestsSince(requests)).To(gomega.BeEmpty(), "nothing can be asked of Twilio")
	w.Expect(w.callbacks(requests)).To(gomega.Equal(map[int]int{http.StatusServiceUnavailable: w.callbacks(requests)[http.StatusServiceUnavailable]}),
		"Twilio is asked to send them again")
	w.Expect(w.callbacks(requests)).NotTo(gomega.BeEmpty())

	w.createSecret()
	w.eventually(noticed+5*time.Second, func() bool { return w.condition(policy, v1alpha1.ConditionReady) == "True/Succeeded" }, "it works again")
	w.eventually(4*promised, func() bool { return w.seen(begun).State == "closed" }, "the conversation that was due is ended")
	w.Expect(w.notices(begun)).To(gomega.Equal([]string{notice}))
}

func TestAnAccountThatIsSuspendedForAnHourIsServedAgainWithoutAnEdit(t *testing.T) {
	for _, refusal := range []twiliosim.Fault{
		{Status: http.StatusUnauthorized, Code: 20003}, {Status: http.StatusForbidden, Code: 20005},
	} {
		t.Run(fmt.Sprintf("%d, code %d", refusal.Status, refusal.Code), func(t *testing.T) {
			w, r, policy := startPolicies(t)
			since := w.get(policy).Status.EffectiveSince
			begun := w.acceptedConversation()
			w.twilio.Fail(refusal)
			w.eventually(2*sweepEvery, func() bool { return w.condition(policy, v1alpha1.ConditionReady) == "False/Unauthorized" }, "a sweep finds out")
			w.eventuallyIs(policy, stalled(v1alpha1.ReasonUnauthorized, "True/Succeeded"))
			w.Expect(w.message(policy, v1alpha1.ConditionReady)).To(containsAll("check", "that the account is active"))
			version := w.get(policy).ResourceVersion
			for range 4 {
				w.pass(timeout)
				w.Eventually(r.isAlive).Should(gomega.Succeed())
				w.Expect(r.isReady()).To(gomega.Succeed())
			}
			w.Expect(w.get(policy).ResourceVersion).To(gomega.Equal(version), "an attempt that fails writes nothing")
			w.Expect(w.seen(begun).State).NotTo(gomega.Equal("closed"))

			w.twilio.ClearFaults()
			w.eventually(3*sweepEvery, func() bool { return w.condition(policy, v1alpha1.ConditionReady) == "True/Succeeded" }, "the policy is well again")
			w.eventuallyIs(policy, inEffect())
			w.Expect(w.get(policy).Status.EffectiveSince).To(gomega.Equal(since), "it was in force all the time")
			w.eventually(4*promised, func() bool { return w.seen(begun).State == "closed" }, "the conversation that was due is ended")
			w.Expect(w.notices(begun)).To(gomega.Equal([]string{notice}))
		})
	}
}
