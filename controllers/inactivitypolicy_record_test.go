package controllers

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/index"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

// untouchable is a Twilio that must not be asked for anything: the embedded client is nil.
type untouchable struct{ TwilioClient }

func TestNothingIsWrittenToTwilioWhenWhatWasThereCannotBeRecorded(t *testing.T) {
	refuse := errors.New("etcdserver: request timed out")
	for name, failing := range map[string]interceptor.Funcs{
		"the annotation cannot be written": {
			Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
				return refuse
			},
		},
		"the other policies cannot be listed": {
			List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return refuse },
		},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			policy := stalledPolicy()
			policy.Spec.Callback = &v1alpha1.Callback{OnConflict: v1alpha1.ConflictReplace}
			kubernetes := fake.NewClientBuilder().WithScheme(scheme).WithObjects(policy).WithInterceptorFuncs(failing).
				WithIndex(policy, index.WorkspaceSID, index.ExtractWorkspaceSID).
				WithIndex(policy, index.RecordedWorkspaceSID, index.ExtractRecordedWorkspaceSID).Build()
			r := &InactivityPolicyReconciler{Client: kubernetes, PublicURL: &url.URL{Scheme: "https", Host: "us.example.com"}}
			state := &scope{policy: policy, client: untouchable{}, workspace: &twilio.Workspace{SID: "WS1", EventCallbackURL: "https://them.example.com"}}

			got := r.configureCallback(t.Context(), state)
			if got == nil || got.class != transient || got.reason != v1alpha1.ReasonProgressing || !errors.Is(got.cause, refuse) {
				t.Fatalf("problem = %+v, want a transient one with the cause", got)
			}
			if strings.Contains(got.message, refuse.Error()) {
				t.Errorf("message %q repeats a cause that may differ each time", got.message)
			}
		})
	}
}

func TestARecordThatCannotBeReadIsNone(t *testing.T) {
	for _, text := range []string{"", "{", "[]", "{}", `{"url":"https://a.example.com"}`, `{"workspaceSid":7}`} {
		policy := stalledPolicy()
		policy.Annotations = map[string]string{v1alpha1.AnnotationPreviousCallback: text}
		if got := readPrevious(policy); got != nil {
			t.Errorf("record %q was read as %+v", text, got)
		}
	}
}

func TestAKnownRecordIsBelievedBeforeAGuess(t *testing.T) {
	with := func(record string) v1alpha1.InactivityPolicy {
		policy := stalledPolicy()
		policy.Annotations = map[string]string{v1alpha1.AnnotationPreviousCallback: record}
		return *policy
	}
	const (
		known   = `{"workspaceSid":"WS1","url":"known"}`
		guessed = `{"workspaceSid":"WS1","url":"guessed","guessed":true}`
		other   = `{"workspaceSid":"WS2","url":"other"}`
	)
	read := func(text string) *callback.Previous {
		policy := with(text)
		return readPrevious(&policy)
	}
	tests := map[string]struct {
		own      *callback.Previous
		siblings []v1alpha1.InactivityPolicy
		want     *callback.Previous
	}{
		"one's own":                            {read(known), []v1alpha1.InactivityPolicy{with(`{"workspaceSid":"WS1","url":"another"}`)}, read(known)},
		"another's instead of one's own guess": {read(guessed), []v1alpha1.InactivityPolicy{with(""), with(other), with(known)}, read(known)},
		"another's instead of another's guess": {nil, []v1alpha1.InactivityPolicy{with(guessed), with(known)}, read(known)},
		"a guess instead of nothing":           {nil, []v1alpha1.InactivityPolicy{with(other), with(guessed)}, read(guessed)},
		"nothing of another workspace":         {nil, []v1alpha1.InactivityPolicy{with(other)}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, bestRecord("WS1", test.own, test.siblings)); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhetherEventsAreForwardedIsUpToAllPoliciesOfTheWorkspace(t *testing.T) {
	one := func(what v1alpha1.CallbackConflict, change ...func(*v1alpha1.InactivityPolicy)) v1alpha1.InactivityPolicy {
		policy := stalledPolicy()
		policy.Spec.Callback = &v1alpha1.Callback{OnConflict: what}
		for _, c := range change {
			c(policy)
		}
		return *policy
	}
	const refuse, replace, forward = v1alpha1.ConflictRefuse, v1alpha1.ConflictReplace, v1alpha1.ConflictForward
	suspended := func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = true }
	observing := func(p *v1alpha1.InactivityPolicy) { p.Spec.Mode = v1alpha1.ModeObserve }
	deleted := func(p *v1alpha1.InactivityPolicy) { now := metav1.Now(); p.DeletionTimestamp = &now }
	disabled := func(p *v1alpha1.InactivityPolicy) { p.Spec.Callback.Mode = v1alpha1.CallbackDisabled }
	for name, test := range map[string]struct {
		policies   []v1alpha1.InactivityPolicy
		fresh, was bool // what follows when nothing was forwarded before, and when it was
	}{
		"it forwards itself":                   {[]v1alpha1.InactivityPolicy{one(forward)}, true, true},
		"another forwards":                     {[]v1alpha1.InactivityPolicy{one(replace), one(refuse), one(forward)}, true, true},
		"another that is suspended forwards":   {[]v1alpha1.InactivityPolicy{one(replace), one(forward, suspended)}, true, true},
		"it replaces":                          {[]v1alpha1.InactivityPolicy{one(replace), one(refuse)}, false, false},
		"another replaces":                     {[]v1alpha1.InactivityPolicy{one(refuse), one(replace)}, false, false},
		"all refuse":                           {[]v1alpha1.InactivityPolicy{one(refuse), one("")}, false, true},
		"one that goes forwards":               {[]v1alpha1.InactivityPolicy{one(replace), one(forward, deleted)}, false, false},
		"one that observes forwards":           {[]v1alpha1.InactivityPolicy{one(replace), one(forward, observing)}, false, false},
		"one without callbacks forwards":       {[]v1alpha1.InactivityPolicy{one(refuse), one(forward, disabled)}, false, true},
		"only those that do not count replace": {[]v1alpha1.InactivityPolicy{one(refuse), one(replace, deleted), one(replace, observing)}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			self, siblings := &test.policies[0], test.policies[1:]
			if got := forwards(self, siblings, false); got != test.fresh {
				t.Errorf("when nothing was forwarded: %v, want %v", got, test.fresh)
			}
			if got := forwards(self, siblings, true); got != test.was {
				t.Errorf("when it was forwarded: %v, want %v", got, test.was)
			}
		})
	}
}
