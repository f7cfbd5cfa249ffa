package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/credentials"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

// conditionsOf are the "Status/Reason" of every condition.
func conditionsOf(policy *v1alpha1.InactivityPolicy) map[string]string {
	all := map[string]string{}
	for _, condition := range policy.Status.Conditions {
		all[condition.Type] = string(condition.Status) + "/" + condition.Reason
	}
	return all
}

// stalledPolicy is a policy of generation 2 that stalled on generation 1.
func stalledPolicy() *v1alpha1.InactivityPolicy {
	policy := &v1alpha1.InactivityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "plain", Generation: 1},
		Spec: v1alpha1.InactivityPolicySpec{
			Workspace: v1alpha1.WorkspaceReference{FriendlyName: "Flex"}, Timeout: "15m", Message: "Goodbye.",
		},
	}
	summarize(policy, &scope{policy: policy}, &problem{class: terminal, reason: v1alpha1.ReasonWorkspaceNotFound, message: "none"}, time.Time{})
	policy.Generation = 2
	return policy
}

func found() *twilio.Workspace {
	return &twilio.Workspace{SID: "WS1", FriendlyName: "Flex", AccountSID: "AC1"}
}

func TestAStalledPolicyIsNotStalledOnceANewGenerationIsWorkedOn(t *testing.T) {
	policy := stalledPolicy()
	markProgressing(policy)
	want := map[string]string{"Ready": "Unknown/Progressing", "Reconciling": "True/Progressing", "CallbackConfigured": "Unknown/WorkspaceNotFound"}
	if diff := cmp.Diff(want, conditionsOf(policy)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if policy.Status.ObservedGeneration != 1 {
		t.Errorf("observedGeneration = %d: generation 2 has not been worked on yet", policy.Status.ObservedGeneration)
	}
}

func TestWhatAReconcileFindsGoesIntoTheStatus(t *testing.T) {
	since := &metav1.Time{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	now := since.Add(time.Hour + 400*time.Millisecond)
	ours := callbackState{url: "https://us.example.com", reason: v1alpha1.ReasonSucceeded, message: "calls"}
	inForce := func(p *v1alpha1.InactivityPolicy) {
		p.Status.Workspace = &v1alpha1.ObservedWorkspace{SID: "WS1", FriendlyName: "Flex", AccountSID: "AC1", CallbackURL: ours.url}
		p.Status.EffectiveSince, p.Status.EffectiveRevision = since, "r1"
		p.Status.Conversations = &v1alpha1.ConversationCounts{Open: 7}
	}
	tests := map[string]struct {
		reason  string
		before  func(*v1alpha1.InactivityPolicy)
		scope   scope
		problem *problem
		want    v1alpha1.InactivityPolicyStatus
		conds   map[string]string
	}{
		"the first success": {
			reason: "the grace clock starts, in whole seconds as Twilio's dates have them",
			scope:  scope{workspace: found(), callback: ours, overlap: overlap{revision: "r1"}},
			want: v1alpha1.InactivityPolicyStatus{
				Workspace:         &v1alpha1.ObservedWorkspace{SID: "WS1", FriendlyName: "Flex", AccountSID: "AC1", CallbackURL: ours.url},
				EffectiveSince:    &metav1.Time{Time: now.Truncate(time.Second)},
				EffectiveRevision: "r1",
			},
			conds: map[string]string{"Ready": "True/Succeeded", "CallbackConfigured": "True/Succeeded"},
		},
		"Progressing, because the API server did not give the Secret": {
			reason:  "what is unknown about the present does not undo the past",
			before:  inForce,
			problem: &problem{class: transient, reason: v1alpha1.ReasonProgressing, message: "again"},
			want: v1alpha1.InactivityPolicyStatus{
				Workspace:      &v1alpha1.ObservedWorkspace{SID: "WS1", FriendlyName: "Flex", AccountSID: "AC1", CallbackURL: ours.url},
				EffectiveSince: since, EffectiveRevision: "r1", Conversations: &v1alpha1.ConversationCounts{Open: 7},
			},
			conds: map[string]string{"Ready": "False/Progressing", "Reconciling": "True/Progressing", "CallbackConfigured": "Unknown/WorkspaceNotFound"},
		},
		"the name leads to another workspace than before": {
			reason:  "nobody there was watched, and the old workspace's counts are not the new one's",
			before:  inForce,
			scope:   scope{workspace: &twilio.Workspace{SID: "WS2", FriendlyName: "Flex", AccountSID: "AC1"}},
			problem: &problem{class: transient, reason: v1alpha1.ReasonTwilioUnavailable, message: "again"},
			want: v1alpha1.InactivityPolicyStatus{
				Workspace: &v1alpha1.ObservedWorkspace{SID: "WS2", FriendlyName: "Flex", AccountSID: "AC1"},
			},
			conds: map[string]string{"Ready": "False/TwilioUnavailable", "Reconciling": "True/TwilioUnavailable", "CallbackConfigured": "Unknown/TwilioUnavailable"},
		},
		"spec means another workspace, which cannot be read": {
			reason: "the policy acts on none until the new one is found",
			before: func(p *v1alpha1.InactivityPolicy) {
				inForce(p)
				p.Spec.Workspace.FriendlyName = "Other"
			},
			problem: &problem{class: transient, reason: v1alpha1.ReasonTwilioUnavailable, message: "again"},
			conds:   map[string]string{"Ready": "False/TwilioUnavailable", "Reconciling": "True/TwilioUnavailable", "CallbackConfigured": "Unknown/TwilioUnavailable"},
		},
		"a suspended policy": {
			reason: "every clock starts anew when it is resumed",
			before: func(p *v1alpha1.InactivityPolicy) {
				inForce(p)
				p.Spec.Suspend = true
			},
			want: v1alpha1.InactivityPolicyStatus{
				Workspace: &v1alpha1.ObservedWorkspace{SID: "WS1", FriendlyName: "Flex", AccountSID: "AC1", CallbackURL: ours.url},
			},
			conds: map[string]string{"Ready": "True/Suspended", "CallbackConfigured": "Unknown/WorkspaceNotFound"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			policy := stalledPolicy()
			if test.before != nil {
				test.before(policy)
			}
			test.scope.policy = policy
			summarize(policy, &test.scope, test.problem, now)
			if diff := cmp.Diff(test.conds, conditionsOf(policy)); diff != "" {
				t.Errorf("%s: conditions (-want +got):\n%s", test.reason, diff)
			}
			again := policy.DeepCopy()
			summarize(again, &test.scope, test.problem, now.Add(time.Hour))
			if diff := cmp.Diff(policy.Status, again.Status); diff != "" {
				t.Errorf("the same findings give another status (-first +second):\n%s", diff)
			}
			test.want.ObservedGeneration, policy.Status.Conditions = 2, nil
			if diff := cmp.Diff(test.want, policy.Status); diff != "" {
				t.Errorf("%s: status (-want +got):\n%s", test.reason, diff)
			}
		})
	}
}

func TestADeletionThatWaitsIsReconcilingAndNotStalled(t *testing.T) {
	policy := stalledPolicy()
	markDeleting(policy, "WS1", errors.New("no Secret"))
	want := map[string]string{"Ready": "False/Deleting", "Reconciling": "True/Deleting", "CallbackConfigured": "Unknown/WorkspaceNotFound"}
	if diff := cmp.Diff(want, conditionsOf(policy)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
}

func TestASpecThatCodeRefusesIsStalledWithTheField(t *testing.T) {
	policy := stalledPolicy()
	policy.Spec.Timeout = "a while"
	r := &InactivityPolicyReconciler{Compiled: NewCompiledPolicies(), Credentials: unreadable{}}
	_, problem := r.bringIntoForce(t.Context(), policy)
	if problem == nil || problem.class != terminal || problem.reason != v1alpha1.ReasonInvalidSpec || !strings.Contains(problem.message, "spec.timeout") {
		t.Errorf("problem = %+v, want a terminal InvalidSpec that names spec.timeout", problem)
	}
}

// unreadable are credentials that cannot be read at the moment.
type unreadable struct{ Credentials }

func (unreadable) Refresh(context.Context, types.NamespacedName) (credentials.Credentials, error) {
	return credentials.Credentials{}, errors.New("dial tcp 10.0.0.1:443: connection refused")
}

func (unreadable) RefreshSoon(types.NamespacedName) {}

func TestASecretThatCannotBeReadNowIsTriedAgainAndTheMessageIsStable(t *testing.T) {
	policy := stalledPolicy()
	policy.Spec.Callback = &v1alpha1.Callback{Mode: v1alpha1.CallbackDisabled}
	policy.Spec.CredentialsSecretRef.Name = "twilio"
	r := &InactivityPolicyReconciler{Credentials: unreadable{}, Compiled: NewCompiledPolicies()}
	_, problem := r.bringIntoForce(t.Context(), policy)
	if problem == nil || problem.class != transient || problem.reason != v1alpha1.ReasonProgressing || !strings.Contains(problem.message, "team/twilio") {
		t.Fatalf("problem = %+v, want a transient one that names the Secret", problem)
	}
	if strings.Contains(problem.message, "dial") {
		t.Errorf("message %q tells what changes from one attempt to the next", problem.message)
	}
}

// loose is a Twilio that finds workspaces by more than their exact names.
type loose struct {
	TwilioClient
	all []twilio.Workspace
}

func (l loose) ListWorkspaces(context.Context, string) ([]twilio.Workspace, error) {
	return slices.Clone(l.all), nil
}

func TestAWorkspacesNameIsComparedExactlyHoweverTwilioDoes(t *testing.T) {
	client := loose{all: []twilio.Workspace{{SID: "WS2", FriendlyName: "flex"}, {SID: "WS1", FriendlyName: "Flex"}, {SID: "WS3", FriendlyName: "Flex 2"}}}
	state := &scope{policy: stalledPolicy(), client: client}
	if problem := new(InactivityPolicyReconciler).resolveWorkspace(t.Context(), state); problem != nil || state.workspace.SID != "WS1" {
		t.Errorf("workspace = %+v, problem = %+v; want WS1", state.workspace, problem)
	}
	client.all = client.all[2:]
	problem := new(InactivityPolicyReconciler).resolveWorkspace(t.Context(), &scope{policy: stalledPolicy(), client: client})
	if problem == nil || problem.reason != v1alpha1.ReasonWorkspaceNotFound {
		t.Errorf("problem = %+v, want WorkspaceNotFound", problem)
	}
}

func TestWhenAPolicyIsLookedAtAgain(t *testing.T) {
	const sync = 10 * time.Minute
	throttled := &twilio.Error{Status: http.StatusTooManyRequests, RetryAfter: 40 * time.Second}
	tests := map[string]struct {
		problem *problem
		// after is the shortest wait; 0: the queue's back-off.
		after time.Duration
	}{
		"in force: at the sync interval":                    {nil, sync},
		"waiting: soon, because nothing may announce it":    {&problem{class: waiting, reason: "R", message: "m"}, secretRetry},
		"terminal: at the sync interval, not in a hot loop": {&problem{class: terminal, reason: "R", message: "m"}, sync},
		"refused credentials: soon, because nothing in the cluster changes when Twilio takes them again": {
			&problem{class: terminal, reason: v1alpha1.ReasonUnauthorized, message: "m"}, refusedRetry},
		"transient: with the queue's back-off":                {&problem{class: transient, reason: "R", message: "m", cause: errors.New("reset")}, 0},
		"transient with Retry-After: when Twilio asks for it": {&problem{class: transient, reason: "R", message: "m", cause: fmt.Errorf("listing: %w", throttled)}, 40 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := &InactivityPolicyReconciler{SyncInterval: sync}
			result, err := r.next(test.problem)
			if (err != nil) != (test.after == 0) {
				t.Fatalf("error = %v, want one only for the queue's back-off", err)
			}
			longest := test.after + time.Duration(jitterShare*float64(test.after))
			if result.RequeueAfter < test.after || result.RequeueAfter > longest {
				t.Errorf("looked at again after %s, want %s to %s", result.RequeueAfter, test.after, longest)
			}
		})
	}
}

func TestProblemsOfTwilioAreClassedOnce(t *testing.T) {
	tests := map[string]struct {
		err    error
		class  class
		reason string
	}{
		"401":          {&twilio.Error{Status: 401, Code: 20003}, terminal, v1alpha1.ReasonUnauthorized},
		"403":          {&twilio.Error{Status: 403}, terminal, v1alpha1.ReasonUnauthorized},
		"400":          {&twilio.Error{Status: 400, Code: 20001}, transient, v1alpha1.ReasonTwilioUnavailable},
		"429":          {&twilio.Error{Status: 429, Code: 20429}, transient, v1alpha1.ReasonTwilioUnavailable},
		"500":          {&twilio.Error{Status: 500}, transient, v1alpha1.ReasonTwilioUnavailable},
		"no answer":    {&twilio.Error{Err: context.DeadlineExceeded}, transient, v1alpha1.ReasonTwilioUnavailable},
		"anything new": {errors.New("new"), transient, v1alpha1.ReasonTwilioUnavailable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := twilioProblem(&v1alpha1.InactivityPolicy{}, "reading workspace WS1", test.err)
			if got.class != test.class || got.reason != test.reason {
				t.Errorf("class %d, reason %s; want %d, %s", got.class, got.reason, test.class, test.reason)
			}
			if !strings.Contains(got.message, "reading workspace WS1") {
				t.Errorf("message %q does not say what was tried", got.message)
			}
		})
	}
}

func TestShownURLTellsNoSecretAndIsShort(t *testing.T) {
	for raw, want := range map[string]string{
		"": "nothing",
		"https://user:pass@a.example.com/p?token=1#rc=2":    "https://a.example.com/p",
		"https://a.example.com":                             "https://a.example.com",
		"not a url at all":                                  "an address that cannot be shown",
		"https://a.example.com/%zz":                         "an address that cannot be shown",
		"https://a.example.com/" + strings.Repeat("é", 300): "https://a.example.com/" + strings.Repeat("%C3%A9", 38) + "%C3" + "…",
	} {
		if got := shownURL(raw); got != want {
			t.Errorf("shownURL(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestShortenedKeepsTheLimitAndWholeCharacters(t *testing.T) {
	for limit := 3; limit < 20; limit++ {
		got := shortened("äöüÄÖÜß€", limit)
		if len(got) > limit || !utf8.ValidString(got) {
			t.Errorf("shortened to %d: %q has %d bytes", limit, got, len(got))
		}
	}
	if got := shortened("short", 5); got != "short" {
		t.Errorf("what fits is kept: %q", got)
	}
}

func TestListedNamesAFewAndCountsTheRest(t *testing.T) {
	if got := listed([]string{"a", "b"}); got != "a, b" {
		t.Errorf("listed two = %q", got)
	}
	if got, want := listed([]string{"a", "b", "c", "d", "e", "f", "g"}), "a, b, c, d, e and 2 more"; got != want {
		t.Errorf("listed seven = %q, want %q", got, want)
	}
}

func TestSetupRefusesAMissingDependency(t *testing.T) {
	if err := (&InactivityPolicyReconciler{}).SetupWithManager(nil); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("error = %v, want one that says a dependency is missing", err)
	}
}

func TestNoConditionIsLeftBehindFromASuccessToAProblemAndBack(t *testing.T) {
	policy := stalledPolicy()
	state := &scope{policy: policy, workspace: found(), callback: callbackState{url: "https://us.example.com", reason: v1alpha1.ReasonSucceeded, message: "calls"}}
	for _, class := range []class{transient, waiting, terminal, transient} {
		summarize(policy, state, &problem{class: class, reason: "R", message: "m"}, time.Time{})
		reconciling := meta.IsStatusConditionTrue(policy.Status.Conditions, v1alpha1.ConditionReconciling)
		stalled := meta.IsStatusConditionTrue(policy.Status.Conditions, v1alpha1.ConditionStalled)
		if stalled != (class == terminal) || reconciling != (class != terminal) {
			t.Errorf("class %d: Reconciling %t, Stalled %t", class, reconciling, stalled)
		}
		summarize(policy, state, nil, time.Time{})
		if len(policy.Status.Conditions) != 2 {
			t.Errorf("class %d: after success there are conditions %v", class, conditionsOf(policy))
		}
	}
}

func TestAPolicyThatLeavesForceIsNotThrottledAnyMore(t *testing.T) {
	covered := &scope{workspace: found(), overlap: overlap{coveredBy: "team/other (priority 5 over 0)"}}
	moved := &scope{workspace: &twilio.Workspace{SID: "WS2", FriendlyName: "Flex", AccountSID: "AC1"}}
	for name, leave := range map[string]func(*v1alpha1.InactivityPolicy){
		"invalid": func(p *v1alpha1.InactivityPolicy) {
			summarize(p, &scope{workspace: found()}, &problem{class: terminal, reason: v1alpha1.ReasonInvalidSpec, message: "m"}, time.Time{})
		},
		"its callback in use": func(p *v1alpha1.InactivityPolicy) {
			summarize(p, &scope{workspace: found()}, &problem{class: terminal, reason: v1alpha1.ReasonCallbackInUse, message: "m"}, time.Time{})
		},
		"standing by": func(p *v1alpha1.InactivityPolicy) { summarize(p, covered, nil, time.Time{}) },
		"suspended":   func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = true; summarize(p, covered, nil, time.Time{}) },
		"in another workspace": func(p *v1alpha1.InactivityPolicy) {
			summarize(p, moved, &problem{reason: "R", message: "m"}, time.Time{})
		},
	} {
		policy := stalledPolicy()
		policy.Spec.Limits = &v1alpha1.Limits{ClosesPerMinute: 1}
		summarize(policy, &scope{workspace: found()}, nil, time.Time{})
		markThrottled(policy, 1, true)
		leave(policy)
		if meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionThrottled) != nil || policy.Status.EffectiveSince != nil {
			t.Errorf("%s: conditions %v, effective since %v", name, conditionsOf(policy), policy.Status.EffectiveSince)
		}
	}
}

func TestAPolicyThatStandsByStillNamesAQueueThatThereIsNot(t *testing.T) {
	policy := stalledPolicy()
	summarize(policy, &scope{workspace: found(), unknownQueues: "no queue", overlap: overlap{coveredBy: "team/other"}}, nil, time.Time{})
	ready := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionReady)
	if ready.Reason != v1alpha1.ReasonStandby || !strings.HasSuffix(ready.Message, "; no queue") {
		t.Errorf("Ready = %+v", ready)
	}
}

func TestAPolicyThatWasEditedDuringAnOutageIsNotInForceUntilItTakesEffectAnew(t *testing.T) {
	outage := &problem{class: transient, reason: v1alpha1.ReasonTwilioUnavailable, message: "m"}
	inForce := func(revision string) *v1alpha1.InactivityPolicy {
		policy := stalledPolicy()
		summarize(policy, &scope{workspace: found(), overlap: overlap{revision: "as it was"}}, nil, time.Unix(1000, 0))
		summarize(policy, &scope{workspace: found(), overlap: overlap{revision: revision}}, outage, time.Unix(2000, 0))
		return policy
	}
	if since := inForce("as it was").Status.EffectiveSince; since == nil || since.Unix() != 1000 {
		t.Errorf("an outage alone: effective since %v, want as before", since)
	}
	if since := inForce("").Status.EffectiveSince; since == nil {
		t.Error("an outage in which the others could not be read puts the policy out of force")
	}
	if since := inForce("edited").Status.EffectiveSince; since != nil {
		t.Errorf("an edit during an outage: effective since %v, want not yet", since)
	}
}

// noStatuses is an API server that takes no writes to the status.
type noStatuses struct{ client.Client }

func (noStatuses) Status() client.SubResourceWriter { return refusingWriter{} }

type refusingWriter struct{ client.SubResourceWriter }

func (refusingWriter) Patch(context.Context, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
	return errors.New("the API server fails")
}

func TestAStatusThatCouldNotBeWrittenIsInTheNextPatch(t *testing.T) {
	since := metav1.Now()
	policy := &v1alpha1.InactivityPolicy{}
	policy.Status.EffectiveSince, policy.Status.Workspace = &since, &v1alpha1.ObservedWorkspace{SID: "WS1"}
	written := policy.Status.DeepCopy()
	r := &InactivityPolicyReconciler{Client: noStatuses{}}
	err := r.patchStatus(t.Context(), policy, func(policy *v1alpha1.InactivityPolicy) {
		outOfForce(&policy.Status)
		policy.Status.Workspace = &v1alpha1.ObservedWorkspace{SID: "WS2"}
	})
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(*written, policy.Status); diff != "" {
		t.Errorf("the next patch is computed from what was never written (-want +got):\n%s", diff)
	}
}
