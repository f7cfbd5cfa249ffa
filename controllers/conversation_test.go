package controllers_test

import (
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

func TestAnIdleConversationIsEndedOnceTheTimeoutHasPassed(t *testing.T) {
	w, r, _ := start(t)
	started := w.acceptedConversation()

	armed := w.seen(started)
	w.Expect(armed.InactiveAfter).To(gomega.Equal(timeout), "the timer is the policy's timeout")
	w.Expect(armed.Webhooks).To(gomega.HaveLen(1))
	w.Expect(armed.Webhooks[0].URL).To(gomega.Equal(callback.ConversationCallbackURL(r.publicURL, w.twilio.WorkspaceSID())))
	w.Expect(armed.Webhooks[0].Filters).To(gomega.ConsistOf("onConversationStateUpdated"))

	w.pass(timeout - time.Second)
	w.Expect(w.notices(started)).To(gomega.BeEmpty(), "nothing is said before the timeout")
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))

	w.pass(time.Second)
	w.eventuallyClosed(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}))
	w.Expect(w.taskStatus(started)).To(gomega.Equal("completed"))
	w.Expect(w.seen(started).ChannelStatus).To(gomega.Equal("closed"))
}

func TestAnAnswerRestartsTheClock(t *testing.T) {
	for _, who := range []string{twiliosim.Customer, twiliosim.Agent} {
		t.Run(who, func(t *testing.T) {
			w, _, _ := start(t)
			started := w.acceptedConversation()
			w.pass(10 * time.Minute)
			w.do(w.twilio.Say(started.ConversationSID, who, "Still here."))
			w.pass(timeout - time.Minute)
			w.Expect(w.notices(started)).To(gomega.BeEmpty())
			w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
			w.pass(time.Minute)
			w.eventuallyClosed(started)
			w.Expect(w.notices(started)).To(gomega.HaveLen(1))
		})
	}
}

func TestTimeInTheQueueDoesNotCount(t *testing.T) {
	w, _, _ := start(t)
	started := w.conversation(w.twilio.StartConversation("sms", customer, "Hello?"))
	w.pass(2 * timeout)
	w.accept(started)
	w.eventuallyArmed(started)
	w.pass(timeout - time.Second)
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
}

func TestATransferGivesTheNextAgentTheWholeTimeoutAndAddsNoSecondWebhook(t *testing.T) {
	w, _, _ := start(t)
	first := w.acceptedConversation()
	w.pass(10 * time.Minute)
	second := w.conversation(w.twilio.Transfer(first.ConversationSID))
	w.pass(10 * time.Minute)
	w.Expect(w.notices(first)).To(gomega.BeEmpty(), "a customer who waits for the next agent is not told that time is up")
	w.accept(second)
	w.Eventually(func() *time.Time { return w.seen(second).DateInactive }).Should(gomega.HaveValue(gomega.BeTemporally("~", w.clock.Now().Add(timeout), time.Second)))
	w.Expect(w.seen(second).Webhooks).To(gomega.HaveLen(1))
	w.pass(timeout - time.Second)
	w.Expect(w.notices(second)).To(gomega.BeEmpty())
	w.pass(time.Second)
	w.eventuallyClosed(second)
	w.Expect(w.notices(second)).To(gomega.HaveLen(1))
	w.Expect(w.taskStatus(second)).To(gomega.Equal("completed"))
}

func TestATaskWithoutAnInteractionIsCompletedWithTheReason(t *testing.T) {
	w, _, _ := start(t, func(spec *v1alpha1.InactivityPolicySpec) { spec.OnTimeout = &v1alpha1.OnTimeout{Reason: "gone"} })
	started := w.conversation(w.twilio.StartPlainConversation("sms", customer, "Hello?"))
	w.accept(started)
	w.eventuallyArmed(started)
	w.pass(timeout)
	w.eventuallyClosed(started)
	task, _ := w.twilio.State().Task(started.TaskSID)
	w.Expect(task.Status).To(gomega.Equal("completed"))
	w.Expect(task.Reason).To(gomega.Equal("gone"))
	w.Expect(w.notices(started)).To(gomega.HaveLen(1))
}

func TestASilentPolicySaysNothing(t *testing.T) {
	w, _, _ := start(t, func(spec *v1alpha1.InactivityPolicySpec) { spec.Message = "" })
	started := w.acceptedConversation()
	w.pass(timeout)
	w.eventuallyClosed(started)
	w.Expect(w.writesTo("/Messages")).To(gomega.BeEmpty())
	w.Expect(w.taskStatus(started)).To(gomega.Equal("completed"))
}

func TestTheNoticeHasThePolicysAuthor(t *testing.T) {
	w, _, _ := start(t, func(spec *v1alpha1.InactivityPolicySpec) { spec.Author = "Support" })
	started := w.acceptedConversation()
	w.pass(timeout)
	w.eventuallyClosed(started)
	messages := w.seen(started).Messages
	w.Expect(messages[len(messages)-1].Author).To(gomega.Equal("Support"))
}

func TestWrapUpLeavesTheTaskToTheAgent(t *testing.T) {
	for name, begin := range map[string]func(*world) (twiliosim.Started, error){
		"with an interaction": func(w *world) (twiliosim.Started, error) { return w.twilio.StartConversation("sms", customer, "Hi") },
		"without an interaction": func(w *world) (twiliosim.Started, error) {
			return w.twilio.StartPlainConversation("sms", customer, "Hi")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, _, _ := start(t, func(spec *v1alpha1.InactivityPolicySpec) {
				spec.OnTimeout = &v1alpha1.OnTimeout{Action: v1alpha1.ActionWrapUp}
			})
			started := w.conversation(begin(w))
			w.accept(started)
			w.eventuallyArmed(started)
			w.pass(timeout)
			w.eventuallyClosed(started)
			w.Expect(w.notices(started)).To(gomega.HaveLen(1))
			w.pass(2 * time.Minute)
			w.Expect(w.taskStatus(started)).To(gomega.Equal("wrapping"))
		})
	}
}

func TestNotifyTellsTheCustomerOnceForEachSilenceAndEndsNothing(t *testing.T) {
	w, _, _ := start(t, func(spec *v1alpha1.InactivityPolicySpec) {
		spec.OnTimeout = &v1alpha1.OnTimeout{Action: v1alpha1.ActionNotify}
	})
	started := w.acceptedConversation()
	told := func(times int) {
		t.Helper()
		w.eventually(promised, func() bool { return len(w.notices(started)) == times }, "the customer is told")
		w.pass(3 * timeout)
		w.Expect(w.notices(started)).To(gomega.HaveLen(times))
		w.Expect(w.seen(started).State).NotTo(gomega.Equal("closed"))
		w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
	}
	w.pass(timeout)
	told(1)
	w.do(w.twilio.Say(started.ConversationSID, twiliosim.Customer, "I am back."))
	w.pass(timeout)
	told(2)
}

func TestAConversationWhoseWebhooksAreAllTakenIsEndedByTheSweep(t *testing.T) {
	w, _, _ := start(t)
	started := w.conversation(w.twilio.StartConversation("sms", customer, "Hello?"))
	var foreign []string
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		url := "https://" + name + ".example.com/hook"
		if _, err := w.twilio.AddWebhook(started.ConversationSID, url, "onMessageAdded"); err != nil {
			t.Fatal(err)
		}
		foreign = append(foreign, url)
	}
	w.accept(started)
	w.pass(timeout)
	w.eventuallyClosed(started)
	w.Expect(w.notices(started)).To(gomega.HaveLen(1))
	var left []string
	for _, webhook := range w.seen(started).Webhooks {
		left = append(left, webhook.URL)
	}
	w.Expect(left).To(gomega.Equal(foreign), "foreign webhooks stay as they were")
}

func TestWithoutCallbacksTheSweepEndsConversationsAndTouchesNoCallback(t *testing.T) {
	w := newWorld(t)
	w.startOperator(func(c *operator.Config) { c.PublicURL = nil })
	policy := w.inForce(func(spec *v1alpha1.InactivityPolicySpec) {
		spec.Callback = &v1alpha1.Callback{Mode: v1alpha1.CallbackDisabled}
	})
	w.Expect(w.condition(policy, v1alpha1.ConditionCallbackConfigured)).To(gomega.Equal("False/CallbackDisabled"))
	started := w.conversation(w.twilio.StartConversation("sms", customer, "Hello?"))
	w.accept(started)
	w.pass(timeout)
	w.eventuallyClosed(started)
	w.Expect(w.notices(started)).To(gomega.HaveLen(1))
	w.Expect(w.writesTo("/Webhooks")).To(gomega.BeEmpty())
	for _, write := range w.writesTo("/Conversations/" + started.ConversationSID) {
		w.Expect(write.Form).NotTo(gomega.HaveKey("Timers.Inactive"))
	}
	workspace, _ := w.twilio.State().Workspace(w.twilio.WorkspaceSID())
	w.Expect(workspace.EventCallbackURL).To(gomega.BeEmpty())
}

func TestConversationsThatAgentsPutAsideAreLeftAlone(t *testing.T) {
	for name, putAside := range map[string]func(*world, twiliosim.Started) error{
		"left":     func(w *world, s twiliosim.Started) error { return w.twilio.Leave(s.ConversationSID) },
		"paused":   func(w *world, s twiliosim.Started) error { return w.twilio.Pause(s.ConversationSID) },
		"wrapping": func(w *world, s twiliosim.Started) error { return w.twilio.AgentWrapsUp(s.TaskSID) },
		"done":     func(w *world, s twiliosim.Started) error { return w.twilio.AgentCompletes(s.TaskSID) },
		"in transfer": func(w *world, s twiliosim.Started) error {
			_, err := w.twilio.Transfer(s.ConversationSID)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, _, _ := start(t)
			started := w.acceptedConversation()
			w.do(putAside(w, started))
			w.untouchedWhileOthersTimeOut(started)
		})
	}
}

// untouchedWhileOthersTimeOut shows that nothing is written to the conversation while another one, which was accepted
// later, times out and is ended: the operator is at work, and has had the occasion.
func (w *world) untouchedWhileOthersTimeOut(started twiliosim.Started) {
	w.t.Helper()
	looked, written := len(w.twilio.Journal()), len(w.twilio.Writes())
	control := w.conversation(w.twilio.StartConversation("sms", "+15005550009", "Hello?"))
	w.accept(control)
	w.eventuallyArmed(control)
	w.pass(timeout)
	w.eventuallyClosed(control)
	w.pass(promised)
	if started.ConversationSID != "" {
		w.Expect(about(w, looked, started)).NotTo(gomega.BeEmpty(), "the operator has looked at the conversation")
	}
	for _, write := range w.twilio.Writes()[written:] {
		for _, sid := range []string{started.ConversationSID, started.TaskSID, started.ChannelSID} {
			if sid != "" && strings.Contains(write.Path, sid) {
				w.t.Errorf("%s %s %v was written", write.Method, write.Path, write.Form)
			}
		}
	}
}

func TestATaskWithoutAConversationIsLeftAlone(t *testing.T) {
	w, _, _ := start(t)
	started := w.conversation(w.twilio.StartVoiceTask())
	w.accept(started)
	w.untouchedWhileOthersTimeOut(started)
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
}

func TestConversationsFromBeforeThePolicyGetAWholeTimeout(t *testing.T) {
	w := newWorld(t)
	started := w.conversation(w.twilio.StartConversation("sms", customer, "Hello?"))
	w.accept(started)
	w.pass(5 * timeout)
	w.startOperator()
	w.inForce()
	w.pass(timeout - 2*time.Second)
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.pass(2 * time.Second)
	w.eventuallyClosed(started)
	w.Expect(w.notices(started)).To(gomega.HaveLen(1))
}

func TestASuspendedPolicyActsOnNothingAndResumingStartsEveryClockAnew(t *testing.T) {
	w, _, policy := start(t)
	started := w.acceptedConversation()
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = true })
	w.eventuallyCondition(policy, v1alpha1.ConditionReady, "True/Suspended")
	written := len(w.twilio.Writes())
	w.pass(2 * timeout)
	w.Expect(w.twilio.Writes()[written:]).To(gomega.BeEmpty())

	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = false })
	w.eventuallyReady(policy)
	w.pass(timeout - 2*time.Second)
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.pass(2 * time.Second)
	w.eventuallyClosed(started)
}

func TestTheClaimIsRecordedOnTheTaskAndKeepsOtherPeoplesAttributes(t *testing.T) {
	w, _, _ := start(t)
	started := w.acceptedConversation()
	before := attributesOf(t, w, started)
	w.pass(timeout)
	w.eventuallyClosed(started)
	after := attributesOf(t, w, started)
	claim, _ := after["inactivityPolicy"].(map[string]any)
	delete(after, "inactivityPolicy")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("attributes of others (-before +after):\n%s", diff)
	}
	w.Expect(claim).To(gomega.HaveKeyWithValue("policy", w.namespace+"/plain"))
	w.Expect(claim).To(gomega.HaveKeyWithValue("step", "notice"))
	w.Expect(claim).To(gomega.HaveKeyWithValue("idleSeconds", gomega.BeNumerically(">=", timeout.Seconds())))
}

func attributesOf(t *testing.T, w *world, started twiliosim.Started) map[string]any {
	t.Helper()
	task, _ := w.twilio.State().Task(started.TaskSID)
	attributes := map[string]any{}
	if err := json.Unmarshal([]byte(task.Attributes), &attributes); err != nil {
		t.Fatal(err)
	}
	return attributes
}

func TestEveryActIsAnEventOnThePolicy(t *testing.T) {
	w, _, policy := start(t)
	started := w.acceptedConversation()
	w.pass(timeout)
	w.eventuallyClosed(started)
	w.Eventually(func() []string { return w.eventReasons(policy) }).Should(gomega.ContainElements("CallbackSet", "Arm", "Notice", "Finish", "CloseConversation"))
}

func TestTheStatusCountsConversations(t *testing.T) {
	w, _, policy := start(t)
	w.acceptedConversation()
	w.eventually(3*time.Minute, func() bool {
		counts := w.get(policy).Status.Conversations
		return counts != nil && *counts == v1alpha1.ConversationCounts{Open: 1}
	}, "one conversation is counted as open")
}

func TestArmingAndEndingCostFewCalls(t *testing.T) {
	w, _, _ := start(t)
	started := w.conversation(w.twilio.StartConversation("sms", customer, "Hello?"))
	begun := len(w.twilio.Journal())
	w.accept(started)
	w.eventuallyArmed(started)
	w.settle()
	arming := about(w, begun, started)
	if len(arming) > 3 {
		t.Errorf("arming took %d calls, at most 3 are wanted: %v", len(arming), arming)
	}
	// One step, so that no sweep comes between: what it costs is counted for all conversations together.
	w.clock.Step(timeout)
	w.eventuallyClosed(started)
	w.settle()
	life := about(w, begun, started)
	if len(life) > 14 {
		t.Errorf("the whole life took %d calls, at most 14 are wanted: %v", len(life), life)
	}
	t.Logf("Twilio calls: %d to arm, %d in the whole life", len(arming), len(life))
}

func TestToBeWokenForNothingCostsFewCallsAndNoEvent(t *testing.T) {
	w, _, policy := start(t, func(spec *v1alpha1.InactivityPolicySpec) {
		spec.Unanswered = &v1alpha1.Unanswered{After: "1m", Message: "Please hold on."}
	})
	started := w.acceptedConversation()
	w.do(w.twilio.Say(started.ConversationSID, twiliosim.Agent, "How can I help?"))
	w.settle()
	begun := len(w.twilio.Journal())
	for range 3 {
		w.clock.Step(time.Minute)
		w.eventually(promised, func() bool {
			return w.seen(started).State == "active" && w.seen(started).DateInactive.After(w.clock.Now())
		}, "it is active again")
		w.settle()
	}
	calls := about(w, begun, started)
	if most := 3 * 8; len(calls) > most {
		t.Errorf("to be woken three times took %d calls, at most %d are wanted: %v", len(calls), most, calls)
	}
	w.Expect(w.eventReasons(policy)).NotTo(gomega.ContainElement("Rearm"))
	t.Logf("Twilio calls: %d for each time", len(calls)/3)
}

// about are the requests since the first count entries of the journal that were about one conversation: not the sweep's
// lists, which serve every conversation.
func about(w *world, count int, started twiliosim.Started) []string {
	var requests []string
	for _, entry := range w.twilio.Journal()[count:] {
		if entry.Kind != twiliosim.KindRequest {
			continue
		}
		asked := entry.Path + entry.Query.Get("EvaluateTaskAttributes")
		for _, sid := range []string{started.ConversationSID, started.TaskSID, started.ChannelSID} {
			if sid != "" && strings.Contains(asked, sid) {
				requests = append(requests, entry.Method+" "+entry.Path)
				break
			}
		}
	}
	return requests
}

func TestAPolicyThatTakesAnothersPlaceStartsEveryClockAnew(t *testing.T) {
	w, _, owner := start(t, func(spec *v1alpha1.InactivityPolicySpec) { spec.Timeout = "2h" })
	next := w.policy("younger", func(spec *v1alpha1.InactivityPolicySpec) { spec.Timeout = "5m" })
	w.create(next)
	w.eventuallyCondition(next, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonStandby)
	w.Expect(w.get(next).Status.EffectiveSince).To(gomega.BeNil())
	started := w.acceptedConversation()
	w.pass(time.Hour)
	w.Expect(w.notices(started)).To(gomega.BeEmpty(), "the older policy's two hours count")

	w.do(w.cluster.Delete(t.Context(), owner))
	w.eventuallyCondition(next, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonSucceeded)
	w.pass(5*time.Minute - 2*time.Second)
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.pass(2 * time.Second)
	w.eventuallyClosed(started)
	w.Expect(w.notices(started)).To(gomega.HaveLen(1))
}

func TestAnEditedTimeoutCountsOnlyOnceItHasTakenEffect(t *testing.T) {
	w, _, policy := start(t, func(spec *v1alpha1.InactivityPolicySpec) { spec.Timeout = "2h" })
	started := w.acceptedConversation()
	w.pass(time.Hour)
	restore := w.twilio.Fail(twiliosim.Fault{Path: `/v1/Workspaces$`, Status: http.StatusServiceUnavailable})
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Timeout = "1m" })
	w.eventuallyCondition(policy, v1alpha1.ConditionReady, "False/"+v1alpha1.ReasonTwilioUnavailable)
	w.untouchedWhile(5*time.Minute, started)
	restore()
	w.eventuallyReady(policy)
	w.pass(time.Minute)
	w.eventuallyClosed(started)
}

// untouchedWhile shows that nothing is written to Twilio in a time in which the sweep has been at work.
func (w *world) untouchedWhile(length time.Duration, started twiliosim.Started) {
	w.t.Helper()
	written := len(w.twilio.Writes())
	w.pass(length)
	w.Expect(w.twilio.Writes()[written:]).To(gomega.BeEmpty())
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
}

func TestAPolicyThatOnlyNamesAWorkspaceDoesNotTakeItOutOfForce(t *testing.T) {
	w := newWorld(t)
	w.startOperator()
	// Another team's policy is older, and names the workspace; its account has no such workspace.
	stranger := w.policy("a-stranger", func(spec *v1alpha1.InactivityPolicySpec) {
		spec.CredentialsSecretRef.Name = "strange"
		spec.Workspace = v1alpha1.WorkspaceReference{SID: w.twilio.WorkspaceSID()}
	})
	w.create(stranger)
	w.eventuallyCondition(stranger, v1alpha1.ConditionReady, "False/SecretNotFound")
	w.inForce()
	started := w.acceptedConversation()
	w.pass(timeout)
	w.eventuallyClosed(started)
	w.Expect(w.notices(started)).To(gomega.HaveLen(1))
}

func TestAReplicaThatDoesNotLeadServesCallbacksAndDoesNotSweep(t *testing.T) {
	w, leader, _ := start(t)
	address := leader.publicURL.Host
	leader.stop()
	w.followLeader()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	w.do(err)
	begun := len(w.twilio.Journal())
	w.startOperator(func(c *operator.Config) { c.ReceiverListener, c.PublicURL = listener, leader.publicURL })

	started := w.acceptedConversation()
	w.pass(timeout)
	w.Eventually(func() string { return w.seen(started).State }).Should(gomega.Equal("closed"))
	w.Expect(w.notices(started)).To(gomega.HaveLen(1))
	for _, entry := range w.twilio.Journal()[begun:] {
		if strings.HasSuffix(entry.Path, "/Tasks") && !entry.Query.Has("EvaluateTaskAttributes") {
			t.Errorf("a follower has swept: %s %v", entry.Path, entry.Query)
		}
	}
}

func TestAtRestNothingIsWritten(t *testing.T) {
	w, _, policy := start(t)
	w.acceptedConversation()
	w.eventually(3*time.Minute, func() bool { return w.get(policy).Status.Conversations != nil }, "the counts are written")
	version := w.get(policy).ResourceVersion
	written := len(w.twilio.Writes())
	w.pass(10 * time.Minute)
	w.Expect(w.get(policy).ResourceVersion).To(gomega.Equal(version), "no Kubernetes write at rest")
	w.Expect(w.twilio.Writes()[written:]).To(gomega.BeEmpty(), "no Twilio write at rest")
	w.Expect(slices.ContainsFunc(w.requestsSince(0), func(r string) bool { return r == "GET /v1/Workspaces/"+w.twilio.WorkspaceSID()+"/Tasks" })).
		To(gomega.BeTrue(), "the sweep has been at work")
}
