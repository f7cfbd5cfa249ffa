package controllers_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// longFailure is how long Twilio fails before a policy says so.
const longFailure = 5 * time.Minute

var sinceWhen = regexp.MustCompile(`Twilio has failed since (\S+) \(`)

// failing makes some of what is asked of Twilio fail: that of which part is in the path.
func failing(part string, how twiliosim.Fault) twiliosim.Fault {
	how.Match = func(r *http.Request, _ url.Values) bool { return strings.Contains(r.URL.Path, part) }
	return how
}

// outages are ways in which Twilio fails to do the operator's work.
var outages = map[string]struct {
	fault twiliosim.Fault
	// says is what the policy says of it.
	says string
}{
	"only the sweep meets it, with 503": {twiliosim.Fault{Status: http.StatusServiceUnavailable, Match: func(r *http.Request, _ url.Values) bool {
		return strings.HasSuffix(r.URL.Path, "/Tasks") && !r.URL.Query().Has("EvaluateTaskAttributes")
	}}, "ListTasks: status 503"},
	"only looks at conversations meet it, with 500":    {failing("/Conversations", twiliosim.Fault{Status: http.StatusInternalServerError}), ": status 500"},
	"no answer at all, to nothing":                     {failing("", twiliosim.Fault{Drop: twiliosim.DropBefore}), "no answer"},
	"429 for ever":                                     {failing("", twiliosim.Fault{Status: http.StatusTooManyRequests, Code: 20429}), "too many requests"},
	"429 for ever, and it wants to be left in peace":   {failing("", twiliosim.Fault{Status: http.StatusTooManyRequests, Code: 20429, Header: http.Header{"Retry-After": {"60"}}}), "too many requests"},
	"the credentials may do all but see conversations": {failing("/Conversations", twiliosim.Fault{Status: http.StatusForbidden, Code: 20403}), "credentials refused"},
}

func TestAPolicySaysWhenTwilioHasFailedForFiveMinutesAndWhenItAnswersAgain(t *testing.T) {
	for how, outage := range outages {
		t.Run(how, func(t *testing.T) {
			w, _, policy := startPolicies(t)
			started := w.acceptedConversation()
			since := w.get(policy).Status.EffectiveSince
			// Shortly before the conversation is due, so that it is looked at during the outage.
			w.passSweeping(timeout - 2*time.Minute)
			w.twilio.Fail(outage.fault)
			began := w.clock.Now()
			w.eventually(longFailure+10*time.Minute, func() bool {
				return w.condition(policy, v1alpha1.ConditionReady) == "False/"+v1alpha1.ReasonDegraded
			}, "the policy is degraded")

			w.eventuallyIs(policy, reconciling(v1alpha1.ReasonDegraded, "True/Succeeded"))
			message := w.message(policy, v1alpha1.ConditionReady)
			w.Expect(message).To(containsAll(outage.says, "idle conversations are ended when it answers again"))
			said := sinceWhen.FindStringSubmatch(message)
			w.Expect(said).NotTo(gomega.BeNil(), message)
			failedSince, err := time.Parse(time.RFC3339, said[1])
			w.do(err)
			w.Expect(failedSince).To(gomega.BeTemporally(">=", began.Truncate(time.Second)))
			w.Expect(w.clock.Since(failedSince)).To(gomega.BeNumerically(">=", longFailure))
			w.Expect(w.get(policy).Status.EffectiveSince).To(gomega.Equal(since), "it stays in force")
			w.Expect(w.eventuallyEvent(policy, corev1.EventTypeWarning, v1alpha1.ReasonDegraded).Note).To(gomega.Equal(message))

			version, requests := w.get(policy).ResourceVersion, len(w.twilio.Journal())
			w.pass(longFailure)
			w.Eventually(func() int { return len(w.requestsSince(requests)) }).Should(gomega.BeNumerically(">", 0), "it goes on trying")
			w.Expect(w.get(policy).ResourceVersion).To(gomega.Equal(version), "an attempt that fails writes nothing")

			w.twilio.ClearFaults()
			// As soon as a sweep has found out, and whatever waits for its next attempt.
			w.eventually(6*sweepEvery, func() bool { return w.condition(policy, v1alpha1.ConditionReady) == "True/Succeeded" }, "the policy is well again")
			w.eventuallyIs(policy, inEffect())
			w.Expect(w.get(policy).Status.EffectiveSince).To(gomega.Equal(since))
			w.eventuallyEvent(policy, corev1.EventTypeNormal, "TwilioAnswers")
			w.Expect(w.events(policy, v1alpha1.ReasonDegraded)).To(gomega.HaveLen(1), "said once")
			w.eventually(2*promised, func() bool { return w.seen(started).State == "closed" }, "the conversation that was due is ended")
			w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}))
		})
	}
}

func TestAnOutageThatOnlyAConversationMetIsOverWhenThatIsGone(t *testing.T) {
	w, _, policy := startPolicies(t)
	started := w.acceptedConversation()
	w.passSweeping(timeout - 2*time.Minute)
	w.twilio.Fail(outages["only looks at conversations meet it, with 500"].fault)
	w.eventually(longFailure+10*time.Minute, func() bool {
		return w.condition(policy, v1alpha1.ConditionReady) == "False/"+v1alpha1.ReasonDegraded
	}, "the policy is degraded")

	w.do(w.twilio.AgentCompletes(started.TaskSID))
	w.passSweeping(6 * time.Minute) // Twilio has deleted the task
	w.twilio.ClearFaults()
	w.eventually(6*sweepEvery, func() bool { return w.condition(policy, v1alpha1.ConditionReady) == "True/Succeeded" }, "the policy is well again")
}

func TestAnOutageOfLessThanFiveMinutesIsNotAnnounced(t *testing.T) {
	w, _, policy := startPolicies(t)
	w.passSweeping(2 * sweepEvery) // the first counts
	version := w.get(policy).ResourceVersion
	for range 3 {
		w.twilio.Fail(twiliosim.Fault{Status: http.StatusServiceUnavailable})
		w.pass(longFailure - sweepEvery)
		w.Expect(w.condition(policy, v1alpha1.ConditionReady)).To(gomega.Equal("True/Succeeded"))
		w.twilio.ClearFaults()
		w.passSweeping(2 * sweepEvery)
	}
	w.Expect(w.get(policy).ResourceVersion).To(gomega.Equal(version), "at rest nothing is written")
}

func TestAPolicyThatNeverGotIntoForceSaysTooThatTwilioHasFailedForLong(t *testing.T) {
	w := newPolicyWorld(t)
	w.createSecret()
	remove := w.twilio.Fail(twiliosim.Fault{Status: http.StatusServiceUnavailable})
	w.startOperator()
	policy := w.policy("plain")
	w.create(policy)
	w.eventuallyIs(policy, reconciling(v1alpha1.ReasonTwilioUnavailable, "Unknown/TwilioUnavailable"))
	w.eventually(longFailure+5*time.Minute, func() bool {
		return w.condition(policy, v1alpha1.ConditionReady) == "False/"+v1alpha1.ReasonDegraded
	}, "the policy is degraded")
	w.Expect(w.message(policy, v1alpha1.ConditionReady)).To(containsAll("ListWorkspaces: status 503"))
	remove()
	w.look(policy)
	w.eventuallyIs(policy, inEffect())
}

func TestANewLeaderLeavesWhatIsSaidOfAnOutageThatGoesOn(t *testing.T) {
	w, leader, policy := startPolicies(t)
	w.twilio.Fail(twiliosim.Fault{Status: http.StatusServiceUnavailable})
	w.eventually(longFailure+10*time.Minute, func() bool {
		return w.condition(policy, v1alpha1.ConditionReady) == "False/"+v1alpha1.ReasonDegraded
	}, "the policy is degraded")
	said := w.get(policy)
	leader.stop()
	w.standInFor(leader)
	w.look(policy)
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling} {
		w.Expect(w.condition(policy, kind)).To(gomega.HaveSuffix(v1alpha1.ReasonDegraded))
	}
	w.Expect(w.get(policy).Status.Conditions).To(gomega.Equal(said.Status.Conditions))
	w.twilio.ClearFaults()
	w.look(policy)
	w.eventuallyIs(policy, inEffect())
}
