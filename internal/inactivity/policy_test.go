package inactivity

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

func TestFromAPI(t *testing.T) {
	since := metav1.NewTime(at(0))
	flex := v1alpha1.WorkspaceReference{FriendlyName: "Flex"}
	plain := v1alpha1.InactivityPolicySpec{Workspace: flex, Timeout: "15m", Message: "Bye."}
	for sentence, test := range map[string]struct {
		spec v1alpha1.InactivityPolicySpec
		want Policy
	}{
		"three fields are enough": {plain, policy()},
		"every field counts": {
			v1alpha1.InactivityPolicySpec{Workspace: v1alpha1.WorkspaceReference{SID: "WS1"}, Timeout: "1h30m", Message: "Bye.", Author: "Support", Suspend: true,
				OnTimeout: &v1alpha1.OnTimeout{Action: v1alpha1.ActionWrapUp, Reason: "idle"},
				Callback:  &v1alpha1.Callback{Mode: v1alpha1.CallbackDisabled}},
			Policy{Name: "team/plain", Timeout: 90 * time.Minute, Message: "Bye.", Author: "Support", Suspended: true,
				Action: v1alpha1.ActionWrapUp, Reason: "idle", EffectiveSince: at(0)}},
		"empty parts mean what absent ones do": {
			v1alpha1.InactivityPolicySpec{Workspace: flex, Timeout: "15m", Message: "Bye.", OnTimeout: &v1alpha1.OnTimeout{}, Callback: &v1alpha1.Callback{}},
			policy()},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, err := FromAPI(&v1alpha1.InactivityPolicy{
				ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "plain"},
				Spec:       test.spec,
				Status: v1alpha1.InactivityPolicyStatus{EffectiveSince: &since, EffectiveTimeout: test.spec.Timeout,
					Workspace: &v1alpha1.ObservedWorkspace{SID: "WS1", FriendlyName: "Flex"}},
			}, webhookURL)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for sentence, change := range map[string]func(*v1alpha1.InactivityPolicy){
		"an edited timeout is not in force before it was reconciled":   func(p *v1alpha1.InactivityPolicy) { p.Spec.Timeout = "1m" },
		"an edited workspace is not in force before it was reconciled": func(p *v1alpha1.InactivityPolicy) { p.Spec.Workspace.FriendlyName = "Other" },
		"a policy without a workspace is not in force":                 func(p *v1alpha1.InactivityPolicy) { p.Status.Workspace = nil },
		"a policy that has not taken effect is not in force":           func(p *v1alpha1.InactivityPolicy) { p.Status.EffectiveSince = nil },
	} {
		edited := &v1alpha1.InactivityPolicy{Spec: plain, Status: v1alpha1.InactivityPolicyStatus{EffectiveSince: &since, EffectiveTimeout: "15m",
			Workspace: &v1alpha1.ObservedWorkspace{SID: "WS1", FriendlyName: "Flex"}}}
		change(edited)
		if got, err := FromAPI(edited, ""); err != nil || !got.EffectiveSince.IsZero() {
			t.Errorf("%s: effective since %s, error %v", sentence, got.EffectiveSince, err)
		}
	}
	_, err := FromAPI(&v1alpha1.InactivityPolicy{Spec: v1alpha1.InactivityPolicySpec{Timeout: "soon"}}, "")
	if err == nil || !strings.Contains(err.Error(), "spec.timeout") {
		t.Errorf("an unreadable timeout gives %v, want an error that names spec.timeout", err)
	}
}

func TestOwner(t *testing.T) {
	made := func(namespace, name string, minutes float64, change ...func(*v1alpha1.InactivityPolicy)) v1alpha1.InactivityPolicy {
		p := v1alpha1.InactivityPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, CreationTimestamp: metav1.NewTime(at(minutes))}}
		for _, c := range change {
			c(&p)
		}
		return p
	}
	deleting := func(p *v1alpha1.InactivityPolicy) { now := metav1.NewTime(at(9)); p.DeletionTimestamp = &now }
	suspended := func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = true }
	for sentence, test := range map[string]struct {
		policies []v1alpha1.InactivityPolicy
		want     string
	}{
		"no policy, no owner":                          {nil, ""},
		"the oldest owns":                              {[]v1alpha1.InactivityPolicy{made("a", "young", 2), made("b", "old", 1)}, "old"},
		"of the same age the first namespace owns":     {[]v1alpha1.InactivityPolicy{made("b", "x", 1), made("a", "y", 1)}, "y"},
		"in the same namespace the first name owns":    {[]v1alpha1.InactivityPolicy{made("a", "y", 1), made("a", "x", 1)}, "x"},
		"a policy that is being deleted owns nothing":  {[]v1alpha1.InactivityPolicy{made("a", "old", 1, deleting), made("a", "young", 2)}, "young"},
		"suspending a policy hands nothing to another": {[]v1alpha1.InactivityPolicy{made("a", "young", 2), made("a", "old", 1, suspended)}, "old"},
	} {
		got := ""
		if owner := Owner(test.policies); owner != nil {
			got = owner.Name
		}
		if got != test.want {
			t.Errorf("%s: %q owns, want %q", sentence, got, test.want)
		}
	}
}
