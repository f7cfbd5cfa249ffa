package controllers_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

const unknownSID = "WS00000000000000000000000000000000"

// obstacle is something that keeps a policy from being in force, and its cure.
type obstacle struct {
	// operator and spec change what the operator and the policy are, nil: as most people have them.
	operator func(*operator.Config)
	spec     func(*v1alpha1.InactivityPolicySpec)
	// put puts the obstacle there; nil: spec or operator does.
	put func(policyWorld)
	// withoutSecret leaves the Secret to put.
	withoutSecret bool
	// want is the conditions then, words what the message must say.
	want  map[string]string
	words func(policyWorld) []string
	// cure takes the obstacle away. The operator is not told: the policy has to get into force by itself.
	cure func(policyWorld, *v1alpha1.InactivityPolicy)
	// cured is the conditions then; nil: in force with a callback.
	cured map[string]string
}

// respec changes the policy's spec.
func respec(change func(*v1alpha1.InactivityPolicySpec)) func(policyWorld, *v1alpha1.InactivityPolicy) {
	return func(w policyWorld, policy *v1alpha1.InactivityPolicy) {
		w.patch(policy, func(p *v1alpha1.InactivityPolicy) { change(&p.Spec) })
	}
}

func says(words ...string) func(policyWorld) []string {
	return func(policyWorld) []string { return words }
}

func secretObstacles() map[string]obstacle {
	return map[string]obstacle{
		"the Secret does not exist": {
			withoutSecret: true,
			want:          reconciling(v1alpha1.ReasonSecretNotFound, "Unknown/SecretNotFound"),
			words:         func(w policyWorld) []string { return []string{w.namespace + "/" + secretName, "create"} },
			cure:          func(w policyWorld, _ *v1alpha1.InactivityPolicy) { w.createSecret() },
		},
		"the Secret lacks a key": {
			withoutSecret: true,
			put:           func(w policyWorld) { w.secret(map[string]string{"accountSid": w.twilio.AccountSID()}) },
			want:          reconciling(v1alpha1.ReasonSecretInvalid, "Unknown/SecretInvalid"),
			words:         func(w policyWorld) []string { return []string{w.namespace + "/" + secretName, "authToken", "missing"} },
			cure: func(w policyWorld, _ *v1alpha1.InactivityPolicy) {
				w.updateSecret("authToken", w.twilio.AuthToken())
			},
		},
		"the token was rotated, and the Secret has the old one": {
			put:   func(w policyWorld) { w.twilio.SetAuthToken("anotherToken") },
			want:  stalled(v1alpha1.ReasonUnauthorized, "Unknown/Unauthorized"),
			words: says("refused the credentials", "accountSid", "authToken", "apiKeySid", "Secret"),
			cure:  func(w policyWorld, _ *v1alpha1.InactivityPolicy) { w.updateSecret("authToken", "anotherToken") },
		},
		"the token in the Secret was never right, and Twilio takes it later": {
			operator: often,
			put:      func(w policyWorld) { w.twilio.SetAuthToken("anotherToken") },
			want:     stalled(v1alpha1.ReasonUnauthorized, "Unknown/Unauthorized"),
			words:    says("refused the credentials"),
			cure: func(w policyWorld, _ *v1alpha1.InactivityPolicy) {
				var secret corev1.Secret
				w.do(w.cluster.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: secretName}, &secret))
				w.twilio.SetAuthToken(string(secret.Data["authToken"]))
			},
		},
	}
}

func workspaceObstacles() map[string]obstacle {
	return map[string]obstacle{
		"the account has no workspace with the SID": {
			spec: func(spec *v1alpha1.InactivityPolicySpec) {
				spec.Workspace = v1alpha1.WorkspaceReference{SID: unknownSID}
			},
			want:  stalled(v1alpha1.ReasonWorkspaceNotFound, "Unknown/WorkspaceNotFound"),
			words: func(w policyWorld) []string { return []string{w.twilio.AccountSID(), unknownSID, "spec.workspace.sid"} },
			cure: func(w policyWorld, policy *v1alpha1.InactivityPolicy) {
				w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Workspace.SID = w.twilio.WorkspaceSID() })
			},
		},
		"the account has no workspace with the name, which is misspelt in the policy": {
			spec: func(spec *v1alpha1.InactivityPolicySpec) {
				spec.Workspace = v1alpha1.WorkspaceReference{FriendlyName: "Flex Task Assigment"}
			},
			want: stalled(v1alpha1.ReasonWorkspaceNotFound, "Unknown/WorkspaceNotFound"),
			words: func(w policyWorld) []string {
				return []string{w.twilio.AccountSID(), `no workspace named "Flex Task Assigment"`, `it has "` + flexName + `"`, "spec.workspace.friendlyName"}
			},
			cure: respec(func(spec *v1alpha1.InactivityPolicySpec) { spec.Workspace.FriendlyName = flexName }),
		},
		"the account has no workspace with the name, until it is renamed in Twilio": {
			operator: often,
			put: func(w policyWorld) {
				w.setWorkspace(w.twilio.WorkspaceSID(), url.Values{"FriendlyName": {"flex task assignment"}})
			},
			want:  stalled(v1alpha1.ReasonWorkspaceNotFound, "Unknown/WorkspaceNotFound"),
			words: says(`it has "flex task assignment"`),
			cure: func(w policyWorld, _ *v1alpha1.InactivityPolicy) {
				w.setWorkspace(w.twilio.WorkspaceSID(), url.Values{"FriendlyName": {flexName}})
			},
		},
		"two workspaces have the name": {
			put:  func(w policyWorld) { w.twilio.AddWorkspace(flexName) },
			want: stalled(v1alpha1.ReasonWorkspaceAmbiguous, "Unknown/WorkspaceAmbiguous"),
			words: func(w policyWorld) []string {
				words := []string{"2 workspaces", flexName, "spec.workspace.sid", "instead of friendlyName"}
				for _, workspace := range w.twilio.State().Workspaces {
					words = append(words, workspace.SID)
				}
				return words
			},
			cure: func(w policyWorld, policy *v1alpha1.InactivityPolicy) {
				w.patch(policy, func(p *v1alpha1.InactivityPolicy) {
					p.Spec.Workspace = v1alpha1.WorkspaceReference{SID: w.twilio.WorkspaceSID()}
				})
			},
		},
	}
}

func callbackObstacles() map[string]obstacle {
	setForeign := func(w policyWorld) { w.setCallback(w.twilio.WorkspaceSID(), somebodys()) }
	inUse := func(w policyWorld) []string {
		return []string{w.twilio.WorkspaceSID(), foreignURL, "remove that callback", "spec.callback.onConflict to Replace", "Forward"}
	}
	return map[string]obstacle{
		"the workspace calls somebody else, and the policy is told to replace it": {
			put:   setForeign,
			want:  stalled(v1alpha1.ReasonCallbackInUse, "False/CallbackInUse"),
			words: inUse,
			cure:  respec(replace),
		},
		"the workspace calls somebody else, who removes the callback": {
			operator: often,
			put:      setForeign,
			want:     stalled(v1alpha1.ReasonCallbackInUse, "False/CallbackInUse"),
			words:    inUse,
			cure:     func(w policyWorld, _ *v1alpha1.InactivityPolicy) { w.setCallback(w.twilio.WorkspaceSID(), slot{}) },
		},
		"Twilio refuses the callback URL": {
			operator: often,
			put: func(w policyWorld) {
				w.twilio.Fail(twiliosim.Fault{Method: http.MethodPost, Path: "^/v1/Workspaces/WS", Status: http.StatusBadRequest, Code: 20001})
			},
			want: stalled(v1alpha1.ReasonCallbackRejected, "False/CallbackRejected"),
			words: func(w policyWorld) []string {
				return []string{"refused", "/v1/taskrouter/" + w.twilio.WorkspaceSID(), "--public-url"}
			},
			cure: func(w policyWorld, _ *v1alpha1.InactivityPolicy) { w.twilio.ClearFaults() },
		},
		"the operator has no public address": {
			operator: func(c *operator.Config) { c.PublicURL = nil },
			want:     stalled(v1alpha1.ReasonInvalidSpec, "Unknown/InvalidSpec"),
			words:    says("--public-url", "spec.callback.mode to Disabled"),
			cure: respec(func(spec *v1alpha1.InactivityPolicySpec) {
				spec.Callback = &v1alpha1.Callback{Mode: v1alpha1.CallbackDisabled}
			}),
			cured: map[string]string{v1alpha1.ConditionReady: "True/Succeeded", v1alpha1.ConditionCallbackConfigured: "False/CallbackDisabled"},
		},
	}
}

func outageObstacles() map[string]obstacle {
	unavailable := reconciling(v1alpha1.ReasonTwilioUnavailable, "Unknown/TwilioUnavailable")
	fail := func(f twiliosim.Fault) func(policyWorld) { return func(w policyWorld) { w.twilio.Fail(f) } }
	restore := func(w policyWorld, _ *v1alpha1.InactivityPolicy) { w.twilio.ClearFaults() }
	return map[string]obstacle{
		"Twilio answers 503": {
			put: fail(twiliosim.Fault{Status: http.StatusServiceUnavailable}), want: unavailable,
			words: says("not available", "listing the workspaces", "tried again"), cure: restore,
		},
		"Twilio drops connections": {
			put: fail(twiliosim.Fault{Drop: twiliosim.DropBefore}), want: unavailable,
			words: says("not available", "listing the workspaces", "tried again"), cure: restore,
		},
		"Twilio does not find the workspace because a proxy answers": {
			spec: func(spec *v1alpha1.InactivityPolicySpec) {
				spec.Workspace = v1alpha1.WorkspaceReference{SID: unknownSID}
			},
			put: fail(twiliosim.Fault{Status: http.StatusNotFound, Body: "<html>no such site</html>"}), want: unavailable,
			words: says("refused", "reading workspace "+unknownSID, "404"),
			cure: func(w policyWorld, policy *v1alpha1.InactivityPolicy) {
				w.twilio.ClearFaults()
				w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Workspace.SID = w.twilio.WorkspaceSID() })
			},
		},
		"Twilio cannot take the callback": {
			put:  fail(twiliosim.Fault{Method: http.MethodPost, Path: "^/v1/Workspaces/WS", Status: http.StatusServiceUnavailable}),
			want: unavailable,
			words: func(w policyWorld) []string {
				return []string{"not available", "setting the callback of workspace " + w.twilio.WorkspaceSID()}
			},
			cure: restore,
		},
	}
}

func TestAnObstacleIsNamedWithItsCureAndThePolicyGetsIntoForceOnceItIsGone(t *testing.T) {
	for _, kind := range []map[string]obstacle{secretObstacles(), workspaceObstacles(), callbackObstacles(), outageObstacles()} {
		for name, obstacle := range kind {
			t.Run(name, func(t *testing.T) { testObstacle(t, obstacle) })
		}
	}
}

func testObstacle(t *testing.T, obstacle obstacle) {
	w := newPolicyWorld(t)
	if !obstacle.withoutSecret {
		w.createSecret()
	}
	if obstacle.put != nil {
		obstacle.put(w)
	}
	change := []func(*operator.Config){}
	if obstacle.operator != nil {
		change = append(change, obstacle.operator)
	}
	w.startOperator(change...)
	policy := w.policy("plain")
	if obstacle.spec != nil {
		obstacle.spec(&policy.Spec)
	}
	w.create(policy)
	w.eventuallyIs(policy, obstacle.want)

	message := w.message(policy, v1alpha1.ConditionReady)
	w.Expect(message).To(containsAll(obstacle.words(w)...))
	for _, kind := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		if _, there := obstacle.want[kind]; there {
			w.Expect(w.message(policy, kind)).To(gomega.Equal(message))
		}
	}
	event := w.eventuallyEvent(policy, corev1.EventTypeWarning, meta.FindStatusCondition(w.get(policy).Status.Conditions, v1alpha1.ConditionReady).Reason)
	w.Expect(event.Note).To(gomega.Equal(message))
	w.Expect(w.get(policy).Status.EffectiveSince).To(gomega.BeNil(), "a policy that never got into force acts on nothing")

	before := w.get(policy).Status.Conditions
	w.look(policy)
	if diff := cmp.Diff(before, w.get(policy).Status.Conditions); diff != "" {
		t.Errorf("the same obstacle gives other conditions at the second look (-first +second):\n%s", diff)
	}

	obstacle.cure(w, policy)
	cured := obstacle.cured
	if cured == nil {
		cured = inEffect()
	}
	// Shorter than the time after which a missing Secret is looked for anyway: the change of a Secret wakes its policies.
	w.Eventually(func() map[string]string {
		if conditions := w.conditions(policy); cmp.Equal(conditions, cured) {
			return conditions
		}
		w.clock.Step(5 * time.Second)
		return w.conditions(policy)
	}).WithTimeout(12*time.Second).Should(gomega.Equal(cured), func() string { return w.message(policy, v1alpha1.ConditionReady) })
	w.Expect(w.get(policy).Status.EffectiveSince).NotTo(gomega.BeNil())
}

func TestTheSameFailureWritesNothing(t *testing.T) {
	for name, put := range map[string]func(policyWorld){
		"stalled": func(w policyWorld) { w.setCallback(w.twilio.WorkspaceSID(), somebodys()) },
		// A refusal that is not tried again within the look, as an outage is.
		"reconciling": func(w policyWorld) {
			w.twilio.Fail(twiliosim.Fault{Method: http.MethodGet, Status: http.StatusBadRequest, Code: 20001})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPolicyWorld(t)
			w.createSecret()
			put(w)
			w.startOperator(often)
			policy := w.policy("plain")
			w.create(policy)
			w.Eventually(func() string { return w.condition(policy, v1alpha1.ConditionReady) }).Should(gomega.HavePrefix("False/"))
			version := w.get(policy).ResourceVersion
			writes := w.writes()
			// A look has one read, so when there are two more, the look of the first of them has ended.
			w.eventuallyLooked(2)
			w.Expect(w.get(policy).ResourceVersion).To(gomega.Equal(version), "no Kubernetes write")
			w.Expect(writes()).To(gomega.BeEmpty(), "no Twilio write")
		})
	}
}

func TestAPolicyStaysInForceWhileTwilioCannotBeReached(t *testing.T) {
	w, _, policy := startPolicies(t)
	since := w.get(policy).Status.EffectiveSince
	up := w.down()
	w.ask(policy)
	w.eventuallyIs(policy, reconciling(v1alpha1.ReasonTwilioUnavailable, "True/Succeeded"))
	w.Expect(w.get(policy).Status.EffectiveSince).To(gomega.Equal(since))
	w.Expect(w.get(policy).Status.Workspace.SID).To(gomega.Equal(w.twilio.WorkspaceSID()))
	up()
	w.eventuallyIs(policy, inEffect())
	w.Expect(w.get(policy).Status.EffectiveSince).To(gomega.Equal(since))
}

func TestAPolicyIsOutOfForceWhileItsWorkspaceCallsSomebodyElse(t *testing.T) {
	w, _, policy := startPolicies(t)
	w.setCallback(w.twilio.WorkspaceSID(), somebodys())
	w.ask(policy)
	w.eventuallyIs(policy, stalled(v1alpha1.ReasonCallbackInUse, "False/CallbackInUse"))
	status := w.get(policy).Status
	w.Expect(status.EffectiveSince).To(gomega.BeNil())
	w.Expect(status.Workspace.CallbackURL).To(gomega.BeEmpty())
	w.Expect(w.slot(w.twilio.WorkspaceSID())).To(gomega.Equal(somebodys()))
}

func TestARetryAfterOfTwilioIsKept(t *testing.T) {
	const asked = 3 * time.Second
	w := newPolicyWorld(t)
	w.createSecret()
	w.twilio.Fail(twiliosim.Fault{Path: "^/v1/Workspaces$", Times: 1, Status: http.StatusTooManyRequests, Code: 20429, Header: http.Header{"Retry-After": {"3"}}})
	w.startOperator()
	policy := w.policy("plain")
	w.create(policy)
	w.Eventually(w.looks).Should(gomega.Equal(1))
	// The wait is a real one: the queue has no other clock.
	turnedAway := time.Now()
	w.eventuallyIs(policy, reconciling(v1alpha1.ReasonTwilioUnavailable, "Unknown/TwilioUnavailable"))
	w.Eventually(w.looks).Should(gomega.Equal(2))
	w.Expect(time.Since(turnedAway)).To(gomega.BeNumerically(">=", asked-2*polling))
	w.eventuallyIs(policy, inEffect())
}

func TestASuspendedPolicyIsReadyAndTouchesNothing(t *testing.T) {
	w := newPolicyWorld(t)
	w.createSecret()
	w.startOperator()
	policy := w.policy("plain", func(spec *v1alpha1.InactivityPolicySpec) { spec.Suspend = true })
	w.create(policy)
	w.eventuallyIs(policy, map[string]string{v1alpha1.ConditionReady: "True/Suspended"})
	w.Expect(w.message(policy, v1alpha1.ConditionReady)).To(containsAll("spec.suspend"))
	w.look(policy)
	w.Expect(w.get(policy).Status.Workspace).NotTo(gomega.BeNil(), "what it selects is known, so that nobody else acts on it")
	w.Expect(w.twilio.Writes()).To(gomega.BeEmpty())

	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = false })
	w.eventuallyIs(policy, inEffect())
}

func TestASuspendedPolicysCallbackIsNotRepaired(t *testing.T) {
	w, _, policy := startPolicies(t)
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = true })
	w.eventuallyCondition(policy, v1alpha1.ConditionReady, "True/Suspended")
	w.setCallback(w.twilio.WorkspaceSID(), slot{})
	w.look(policy)
	w.Expect(w.slot(w.twilio.WorkspaceSID())).To(gomega.Equal(slot{}))
	w.Expect(w.get(policy).Status.EffectiveSince).To(gomega.BeNil())
}

func TestANewGenerationIsProgressingUntilItIsInForce(t *testing.T) {
	w, _, policy := startPolicies(t)
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Message = "Goodbye." })
	w.eventuallyIs(policy, inEffect())
	generation := w.get(policy).Generation
	w.Eventually(func() []string {
		var seen []string
		for _, published := range w.history.all() {
			ready := meta.FindStatusCondition(published.Status.Conditions, v1alpha1.ConditionReady)
			if ready != nil && ready.ObservedGeneration == generation {
				seen = append(seen, string(ready.Status)+"/"+ready.Reason)
			}
		}
		return slices.Compact(seen)
	}).Should(gomega.Equal([]string{"Unknown/Progressing", "True/Succeeded"}))
	progressing := slices.ContainsFunc(w.history.all(), func(published v1alpha1.InactivityPolicy) bool {
		condition := meta.FindStatusCondition(published.Status.Conditions, v1alpha1.ConditionReconciling)
		return condition != nil && condition.Reason == v1alpha1.ReasonProgressing && condition.ObservedGeneration == generation
	})
	w.Expect(progressing).To(gomega.BeTrue(), "the new generation was Reconciling with reason Progressing")
}

func TestARequestToReconcileIsAnsweredInTheStatus(t *testing.T) {
	w, _, policy := startPolicies(t)
	w.Expect(w.get(policy).Status.LastHandledReconcileAt).To(gomega.BeEmpty())
	looked, generation := w.looks(), w.get(policy).Generation
	at := w.ask(policy)
	w.Eventually(func() string { return w.get(policy).Status.LastHandledReconcileAt }).Should(gomega.Equal(at))
	w.Expect(w.looks()).To(gomega.BeNumerically(">", looked), "it was looked at, and not only answered")
	w.Expect(w.get(policy).Generation).To(gomega.Equal(generation))
}

func TestTheGraceClockStartsWhenATimeoutTakesEffect(t *testing.T) {
	w, _, policy := startPolicies(t)
	since := func() time.Time { return w.get(policy).Status.EffectiveSince.Time }
	first := since()
	w.Expect(first).To(gomega.BeTemporally("==", w.clock.Now().Truncate(time.Second)), "by Twilio's clock, which has whole seconds")
	revision := w.get(policy).Status.EffectiveRevision

	w.pass(5 * time.Minute)
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Message = "Goodbye." })
	w.eventuallyReady(policy)
	w.Expect(since()).To(gomega.BeTemporally("==", first), "another text does not give anybody more time")

	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Timeout = "20m" })
	w.eventuallyReady(policy)
	w.Expect(since()).To(gomega.BeTemporally("==", w.clock.Now().Truncate(time.Second)))
	w.Expect(w.get(policy).Status.EffectiveRevision).NotTo(gomega.Equal(revision))
}

func TestALongListOfWorkspacesStillGivesAnEvent(t *testing.T) {
	w := newPolicyWorld(t)
	for _, letter := range []string{"a", "b", "c", "d", "e"} {
		w.twilio.AddWorkspace(strings.Repeat(letter, 256))
	}
	w.createSecret()
	w.startOperator()
	policy := w.policy("plain", func(spec *v1alpha1.InactivityPolicySpec) { spec.Workspace.FriendlyName = "Flex" })
	w.create(policy)
	w.eventuallyIs(policy, stalled(v1alpha1.ReasonWorkspaceNotFound, "Unknown/WorkspaceNotFound"))
	event := w.eventuallyEvent(policy, corev1.EventTypeWarning, v1alpha1.ReasonWorkspaceNotFound)
	w.Expect(event.Note).To(gomega.ContainSubstring(`no workspace named "Flex"`))
}

func TestAProblemIsAnnouncedOnceForEachGeneration(t *testing.T) {
	w := newPolicyWorld(t)
	w.createSecret()
	w.startOperator()
	policy := w.policy("plain", func(spec *v1alpha1.InactivityPolicySpec) { spec.Workspace.FriendlyName = "Flux" })
	w.create(policy)
	w.eventuallyIs(policy, stalled(v1alpha1.ReasonWorkspaceNotFound, "Unknown/WorkspaceNotFound"))
	told := func() (times int) {
		for _, event := range w.events(policy, v1alpha1.ReasonWorkspaceNotFound) {
			times++
			if event.Series != nil {
				times += int(event.Series.Count) - 1
			}
		}
		return times
	}
	w.Eventually(told).Should(gomega.Equal(1))
	w.look(policy)
	w.look(policy)
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Workspace.FriendlyName = "Flax" })
	w.Eventually(told).Should(gomega.Equal(2), "the edit is answered, and nothing was told in between")
}

func TestATaskQueueThatTheWorkspaceDoesNotHaveIsNamedWithThoseThatItHas(t *testing.T) {
	w := newPolicyWorld(t)
	sales := w.twilio.AddTaskQueue("Sales")
	w.startOperator()
	policy := w.inForce(selecting(v1alpha1.Selector{TaskQueues: []string{"Returns", "Everyone", sales}}))
	hint := []string{`"Returns"`, w.twilio.WorkspaceSID(), `"Everyone", "Sales"`}
	w.Expect(w.conditionMessage(policy, v1alpha1.ConditionReady)).To(containsAll(append(hint, "In force")...))
	w.Expect(w.eventuallyEvent(policy, corev1.EventTypeWarning, "TaskQueueNotFound").Note).To(containsAll(hint...))

	// The queue may as well be made in Twilio.
	w.twilio.AddTaskQueue("Returns")
	w.look(policy)
	w.Expect(w.conditionMessage(policy, v1alpha1.ConditionReady)).NotTo(gomega.ContainSubstring("Returns"))
	w.Expect(w.events(policy, "TaskQueueNotFound")).To(gomega.HaveLen(1))
}

func TestCredentialsThatMayNotListTaskQueuesAreNoObstacle(t *testing.T) {
	w := newPolicyWorld(t)
	w.twilio.Fail(twiliosim.Fault{Path: "/TaskQueues$", Status: http.StatusForbidden, Code: 20003})
	w.startOperator()
	policy := w.inForce(selecting(v1alpha1.Selector{TaskQueues: []string{"Returns"}}))
	w.Expect(w.conditionMessage(policy, v1alpha1.ConditionReady)).NotTo(gomega.ContainSubstring("Returns"))
}

// The sweeper writes its condition while the reconciler is asking Twilio: neither may lose what the other one has written.
func TestAConditionThatIsWrittenDuringALookIsNotLost(t *testing.T) {
	w, _, policy := startPolicies(t, limited(10))
	var once sync.Once
	w.twilio.Fail(twiliosim.Fault{Status: http.StatusInternalServerError, Match: func(r *http.Request, _ url.Values) bool {
		if r.Method == http.MethodGet && r.URL.Path == "/v1/Workspaces" {
			once.Do(func() {
				before := w.get(policy)
				after := before.DeepCopy()
				meta.SetStatusCondition(&after.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionThrottled,
					Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonLimitReached, Message: "Written by the sweeper"})
				w.do(w.cluster.Status().Patch(w.t.Context(), after, client.MergeFrom(before)))
			})
		}
		return false
	}})
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Message = "Goodbye." })
	w.eventuallyReady(policy)
	w.Expect(w.conditionMessage(policy, v1alpha1.ConditionThrottled)).To(gomega.Equal("Written by the sweeper"))
}
