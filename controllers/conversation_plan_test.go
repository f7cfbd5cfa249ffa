package controllers

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
	"github.com/flexops-dev/inactivity-operator/internal/index"
)

func TestWhoAsksForALaterLook(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	// Twilio's clock is two minutes ahead of the replica's: waits are reckoned by Twilio's.
	twilioNow := now.Add(2 * time.Minute)
	const slack = 30 * time.Second
	for sentence, test := range map[string]struct {
		leads    bool
		decision inactivity.Decision
		want     time.Duration
	}{
		"the leader looks a little after Twilio's timer":           {true, inactivity.Decision{Next: twilioNow.Add(time.Hour)}, time.Hour + slack},
		"the leader looks at what is due without delay":            {true, inactivity.Decision{Next: twilioNow.Add(20 * time.Second), Due: true}, 20 * time.Second},
		"a moment that is over makes no hot loop":                  {true, inactivity.Decision{Next: twilioNow.Add(-time.Hour), Due: true}, time.Second},
		"nothing to wait for is nothing to ask for":                {true, inactivity.Decision{}, 0},
		"a follower leaves later looks to the leader":              {false, inactivity.Decision{Next: twilioNow.Add(time.Hour)}, 0},
		"a follower waits for a claim that may be somebody else's": {false, inactivity.Decision{Next: twilioNow.Add(20 * time.Second), Due: true}, 20 * time.Second},
		"a follower leaves what is due much later to the leader":   {false, inactivity.Decision{Next: twilioNow.Add(time.Hour), Due: true}, 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			elected := make(chan struct{})
			if test.leads {
				close(elected)
			}
			r := &ConversationReconciler{Clock: clocktesting.NewFakePassiveClock(now), Elected: elected, Slack: slack}
			p := &pass{reconciler: r, owner: &v1alpha1.InactivityPolicy{}, seenAt: now, snapshot: inactivity.Snapshot{Now: twilioNow}}
			if got := r.plan(p, test.decision).RequeueAfter; got != test.want {
				t.Errorf("looks again after %s, want %s", got, test.want)
			}
			if _, planned := r.plans.get(p.key); planned != test.leads {
				t.Errorf("a plan is kept: %t, want %t", planned, test.leads)
			}
		})
	}
}

func TestAnAcceptIsNotKeptForAPolicyThatIsNotInForce(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	indexed := fake.NewClientBuilder().WithScheme(schemeOf(t)).
		WithIndex(&v1alpha1.InactivityPolicy{}, index.WorkspaceSID, index.ExtractWorkspaceSID).Build()
	r := &ConversationReconciler{Client: indexed, Compiled: NewCompiledPolicies(), Clock: clocktesting.NewFakePassiveClock(now)}
	key := ConversationKey{WorkspaceSID: "WS1", ConversationSID: "CH1"}
	r.acceptances.put(key, inactivity.Acceptance{ReservationSID: "WR1", At: now}, now)
	if _, err := r.Reconcile(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if fresh, announced := r.acceptances.take(key, now); fresh != nil || announced {
		t.Errorf("kept: %v, announced %t", fresh, announced)
	}
}

func schemeOf(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return scheme
}
