package controllers

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
	"github.com/flexops-dev/inactivity-operator/internal/index"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
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
		"the leader that was woken a moment early looks in time":   {true, inactivity.Decision{Next: twilioNow.Add(3 * time.Second), Act: inactivity.ActRearm}, 3 * time.Second},
		"a follower that was woken a moment early looks in time":   {false, inactivity.Decision{Next: twilioNow.Add(3 * time.Second), Act: inactivity.ActRearm}, 3 * time.Second},
		"a follower leaves a timer that was set anew to Twilio":    {false, inactivity.Decision{Next: twilioNow.Add(time.Hour), Act: inactivity.ActRearm}, 0},
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
	r.acceptances.put(key, inactivity.Acceptance{TaskSID: "WT1", ReservationSID: "WR1", At: now}, now)
	if _, err := r.Reconcile(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if fresh, announced := r.acceptances.take(key, now); fresh != nil || announced != "" {
		t.Errorf("kept: %v, announced %q", fresh, announced)
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

func TestWhichRefusalsOfATextAreForGood(t *testing.T) {
	refused := func(status, code int) *twilio.Error { return &twilio.Error{Status: status, Code: code} }
	for sentence, test := range map[string]struct {
		err  error
		want bool
	}{
		"a body that is too long":                       {refused(400, 50504), true},
		"an author who is not allowed":                  {refused(403, 50500), true},
		"a template that is not there any more":         {refused(410, 50000), true},
		"a body that is too large":                      {refused(413, 20413), true},
		"a body that cannot be processed":               {refused(422, 50000), true},
		"an answer that nobody has thought of":          {refused(451, 50000), true},
		"credentials that were just revoked":            {refused(403, 20003), false},
		"an account that was just suspended":            {refused(403, 20005), false},
		"credentials that are wrong":                    {refused(401, 20003), false},
		"a time-out on the way":                         {refused(408, 20408), false},
		"another change of the conversation at once":    {refused(409, 50391), false},
		"the same with the status of a bad request":     {refused(400, 50349), false},
		"too many requests":                             {refused(429, 20429), false},
		"a failure of Twilio's":                         {refused(500, 20500), false},
		"the same for longer":                           {refused(503, 20503), false},
		"an answer of something in between":             {&twilio.Error{Status: 400, Code: 20001, Foreign: true}, false},
		"a refusal without a code, which is not theirs": {refused(400, 0), false},
		"no answer": {errors.New("reset"), false},
	} {
		if got := refusedForGood(fmt.Errorf("sending: %w", test.err)); got != test.want {
			t.Errorf("%s: refused for good: %t, want %t", sentence, got, test.want)
		}
	}
}
