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

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

var (
	plainName = types.NamespacedName{Namespace: "team", Name: "plain"}
	failedAt  = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
)

func status(code int) error {
	return fmt.Errorf("listing: %w", &twilio.Error{Operation: "ListTasks", Status: code})
}

func containsWords(text string, words ...string) bool {
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
}

// inWorkspace is the policy plain, resolved to workspace WS1.
func inWorkspace() *v1alpha1.InactivityPolicy {
	return &v1alpha1.InactivityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: plainName.Namespace, Name: plainName.Name, Generation: 1},
		Status:     v1alpha1.InactivityPolicyStatus{Workspace: &v1alpha1.ObservedWorkspace{SID: "WS1"}},
	}
}

func TestWhatEndsAnOutageAndWhatDoesNot(t *testing.T) {
	for sentence, test := range map[string]struct {
		err  error
		want bool
	}{
		"a success ends it":                                           {nil, false},
		"an answer about what was asked ends it":                      {status(http.StatusNotFound), false},
		"another 5xx does not":                                        {status(http.StatusInternalServerError), true},
		"no answer does not":                                          {&twilio.Error{Err: context.DeadlineExceeded}, true},
		"being throttled does not":                                    {status(http.StatusTooManyRequests), true},
		"refused credentials do not":                                  {status(http.StatusForbidden), true},
		"an answer of something in between does not":                  {&twilio.Error{Status: 404, Foreign: true}, true},
		"a 2xx that is none of Twilio's does not":                     {&twilio.Error{Status: 200, Err: twilio.ErrBadAnswer}, true},
		"an error of the API server's tells nothing":                  {errors.New("no such Secret"), true},
		"a call that was never sent tells nothing":                    {&twilio.Error{Err: twilio.ErrInvalidArgument}, true},
		"a call that was given up because the operator ends, nothing": {&twilio.Error{Err: context.Canceled}, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			var o Outages
			o.observe(sweepingOf("WS1"), failedAt, status(http.StatusServiceUnavailable))
			o.observe(lookingAt("WS1"), failedAt, nil)
			o.observe(sweepingOf("WS2"), failedAt, nil)
			o.observe(configuringOf(plainName), failedAt, nil)
			o.observe(sweepingOf("WS1"), failedAt.Add(time.Minute), test.err)
			got, lasts := o.longest(inWorkspace(), failedAt.Add(degradedAfter))
			if lasts != test.want {
				t.Fatalf("an outage lasts: %t, want %t", lasts, test.want)
			}
			if lasts && (!got.since.Equal(failedAt) || got.what != "ListTasks: status 503") {
				t.Errorf("%+v, want the first failure", got)
			}
		})
	}
}

func TestWhatWasNeverAnOutageBeginsNone(t *testing.T) {
	for sentence, err := range map[string]error{
		"a success":                             nil,
		"an answer about what was asked":        status(http.StatusBadRequest),
		"an error that is not Twilio's":         errors.New("no such Secret"),
		"a call that was never sent":            &twilio.Error{Err: twilio.ErrInvalidArgument},
		"a call given up as the operator ended": &twilio.Error{Err: context.Canceled},
	} {
		var o Outages
		o.observe(sweepingOf("WS1"), failedAt, err)
		if _, lasts := o.longest(inWorkspace(), failedAt.Add(time.Hour)); lasts {
			t.Errorf("%s has begun an outage", sentence)
		}
	}
}

func TestPoliciesAreToldOnceOfEachStageAndOfTheEnd(t *testing.T) {
	var o Outages
	everything := func(work) bool { return true }
	told := func(after time.Duration, want ...work) {
		t.Helper()
		less := func(a, b work) bool { return fmt.Sprint(a) < fmt.Sprint(b) }
		if diff := cmp.Diff(want, o.changed(failedAt.Add(after), everything), cmp.AllowUnexported(work{}), cmpopts.SortSlices(less), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("told after %s (-want +got):\n%s", after, diff)
		}
	}
	sweep, looks, own := sweepingOf("WS1"), lookingAt("WS1"), configuringOf(plainName)
	o.observe(sweep, failedAt, status(503))
	o.observe(looks, failedAt, status(401))
	o.observe(own, failedAt.Add(time.Minute), status(503))
	told(0, looks) // refused credentials are found out at once
	told(time.Minute)
	told(degradedAfter - time.Nanosecond)
	told(degradedAfter, sweep, looks)
	told(degradedAfter + time.Second)
	told(degradedAfter+time.Minute, own)
	o.observe(sweep, failedAt.Add(time.Hour), nil)
	o.observe(looks, failedAt.Add(time.Hour), status(404))
	told(time.Hour, sweep, looks)
	told(time.Hour)
	if o.changed(failedAt.Add(2*time.Hour), func(work) bool { return false }); len(o.ongoing)+len(o.told) > 0 {
		t.Errorf("what nobody wants any more is kept: %v, %v", o.ongoing, o.told)
	}
}

func TestTheMessageOfAnOutageIsStableAndSaysWhatToDo(t *testing.T) {
	for want, err := range map[string]error{
		"ListTasks: status 503):":                  status(503),
		"ListTasks: no answer):":                   &twilio.Error{Operation: "ListTasks", Err: context.DeadlineExceeded},
		"find what else asks so much":              status(429),
		"check what the credentials in the Secret": status(403),
		"what stands between the operator":         &twilio.Error{Operation: "ListTasks", Status: 502, Foreign: true},
	} {
		var o Outages
		o.observe(sweepingOf("WS1"), failedAt, err)
		first, _ := o.longest(inWorkspace(), failedAt.Add(time.Hour))
		o.observe(sweepingOf("WS1"), failedAt.Add(time.Hour), status(500))
		second, _ := o.longest(inWorkspace(), failedAt.Add(2*time.Hour))
		if diff := cmp.Diff(first.message(), second.message()); diff != "" {
			t.Errorf("another attempt changes the message:\n%s", diff)
		}
		if message := first.message(); !containsWords(message, want, "since 2026-03-02T09:00:00Z", "idle conversations are ended when it answers again") {
			t.Errorf("message %q lacks %q, or since when, or what becomes of conversations", message, want)
		}
	}
}

func TestWhenAPolicyIsDegraded(t *testing.T) {
	unavailable := &problem{class: transient, reason: v1alpha1.ReasonTwilioUnavailable, message: "again", cause: errors.New("reset")}
	stale := &problem{class: terminal, reason: v1alpha1.ReasonUnauthorized, message: "refused"}
	before := func(p *v1alpha1.InactivityPolicy) {
		setCondition(p, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDegraded, "as the leader before has said")
	}
	for sentence, test := range map[string]struct {
		failsFor time.Duration
		policy   func(*v1alpha1.InactivityPolicy)
		scope    scope
		found    *problem
		// want is what the problem says, or what is noted beside there being none.
		want, noted string
	}{
		"not yet":                            {failsFor: degradedAfter - time.Second},
		"not yet, and Twilio is unavailable": {failsFor: degradedAfter - time.Second, found: unavailable, want: "again"},
		"the policy works, and its conversations do not": {failsFor: degradedAfter, noted: "Twilio has failed since"},
		"nothing works":                                       {failsFor: degradedAfter, found: unavailable, want: "Twilio has failed since"},
		"another problem is nearer":                           {failsFor: degradedAfter, found: stale, want: "refused"},
		"a policy that stands by ends nothing anyway":         {failsFor: degradedAfter, scope: scope{overlap: overlap{coveredBy: "other"}}},
		"a suspended one too":                                 {failsFor: degradedAfter, policy: func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = true }},
		"a new leader leaves what is said while Twilio fails": {policy: before, found: unavailable, want: "as the leader before has said"},
		"a new leader for which Twilio works takes it back":   {policy: before},
	} {
		t.Run(sentence, func(t *testing.T) {
			policy := inWorkspace()
			if test.policy != nil {
				test.policy(policy)
			}
			r := &InactivityPolicyReconciler{Outages: &Outages{}, Clock: clocktesting.NewFakePassiveClock(failedAt.Add(test.failsFor))}
			if test.failsFor > 0 {
				r.Outages.observe(lookingAt("WS1"), failedAt, status(503))
			}
			got := r.degrade(policy, &test.scope, test.found)
			if (got == nil) != (test.want == "") || got != nil && !containsWords(got.message, test.want) {
				t.Errorf("problem %+v, want %q", got, test.want)
			}
			if noted := test.scope.degraded; (noted == nil) != (test.noted == "") || noted != nil && !containsWords(noted.message, test.noted) {
				t.Errorf("noted %+v, want %q", noted, test.noted)
			}
		})
	}
}
