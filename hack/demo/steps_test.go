package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/test/process"
)

func TestUntil(t *testing.T) {
	boom := errors.New("boom")
	stopped := errors.New("manager ended by itself")

	t.Run("returns as soon as nothing is pending", func(t *testing.T) {
		if err := until(t.Context(), time.Minute, func(context.Context) (string, error) { return "", nil }); err != nil {
			t.Error(err)
		}
	})
	t.Run("looks again while something is pending", func(t *testing.T) {
		looks := 0
		err := until(t.Context(), time.Minute, func(context.Context) (string, error) {
			if looks++; looks < 3 {
				return "not yet", nil
			}
			return "", nil
		})
		if err != nil || looks != 3 {
			t.Errorf("until = %v after %d looks, want none after 3", err, looks)
		}
	})
	t.Run("says what was pending when the time is over", func(t *testing.T) {
		err := until(t.Context(), time.Millisecond, func(context.Context) (string, error) { return "Ready is False", nil })
		if err == nil || err.Error() != "not within 1ms: Ready is False" {
			t.Errorf("until = %v", err)
		}
	})
	t.Run("does not look again after an error", func(t *testing.T) {
		looks := 0
		err := until(t.Context(), time.Minute, func(context.Context) (string, error) { looks++; return "", boom })
		if !errors.Is(err, boom) || looks != 1 {
			t.Errorf("until = %v after %d looks, want boom after 1", err, looks)
		}
	})
	t.Run("ends with the cause when a process ends", func(t *testing.T) {
		ctx, fail := context.WithCancelCause(t.Context())
		err := until(ctx, time.Minute, func(context.Context) (string, error) { fail(stopped); return "not yet", nil })
		if !errors.Is(err, stopped) {
			t.Errorf("until = %v, want %v", err, stopped)
		}
	})
}

func TestFreeAddressesDifferAndCanBeUsed(t *testing.T) {
	addresses, err := process.FreeAddresses(3)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, address := range addresses {
		if seen[address] {
			t.Errorf("%s came twice", address)
		}
		seen[address] = true
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Errorf("%s cannot be used: %v", address, err)
			continue
		}
		listener.Close()
	}
}

func TestSplitDocuments(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"one document":                          {"a: 1\n", []string{"a: 1\n"}},
		"two documents":                         {"a: 1\n---\nb: 2\n", []string{"a: 1\n", "\nb: 2\n"}},
		"a separator first is no document":      {"---\na: 1\n", []string{"\na: 1\n"}},
		"dashes inside a line separate nothing": {"a: x---y\n", []string{"a: x---y\n"}},
		"an empty file has none":                {"\n", nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, document := range splitDocuments([]byte(tc.text)) {
				got = append(got, string(document))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("documents differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNotReady(t *testing.T) {
	condition := func(kind string, status metav1.ConditionStatus, generation int64) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, ObservedGeneration: generation, Reason: "Because", Message: "it is so"}
	}
	tests := map[string]struct {
		conditions  []metav1.Condition
		wantPending string
		wantErr     string
	}{
		"a policy that nobody has looked at is pending": {
			wantPending: "no condition Ready",
		},
		"a policy that is not Ready says why": {
			conditions:  []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionFalse, 2)},
			wantPending: "Ready is False: Because: it is so",
		},
		"Ready of an older generation does not count": {
			conditions:  []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionTrue, 1)},
			wantPending: "older generation",
		},
		"Ready of this generation is ready": {
			conditions: []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionTrue, 2)},
		},
		"a stalled policy is not waited for": {
			conditions: []metav1.Condition{
				condition(v1alpha1.ConditionReady, metav1.ConditionFalse, 2),
				condition(v1alpha1.ConditionStalled, metav1.ConditionTrue, 2),
			},
			wantErr: "stalled: Because: it is so",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			policy := &v1alpha1.InactivityPolicy{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
			policy.Status.Conditions = tc.conditions
			pending, err := notReady(policy)
			if tc.wantErr == "" && err != nil || tc.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tc.wantErr)) {
				t.Errorf("the error is %v, want %q", err, tc.wantErr)
			}
			if (pending == "") != (tc.wantPending == "") || !strings.Contains(pending, tc.wantPending) {
				t.Errorf("pending is %q, want %q", pending, tc.wantPending)
			}
		})
	}
}

// The sample is part of what the demo promises: it must stay the plain policy with a timeout of a minute.
func TestSamplePolicy(t *testing.T) {
	objects, err := readManifest("../../" + samplePolicy)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := policyOf(objects)
	if err != nil {
		t.Fatal(err)
	}
	length, err := policy.Spec.Timeout.Parse()
	if err != nil || length != time.Minute {
		t.Errorf("the timeout is %s, %v; want 1m: the demo waits for it in real time", length, err)
	}
	if policy.Spec.Message == "" || policy.Spec.Workspace.FriendlyName == "" || policy.Spec.CredentialsSecretRef.Name == "" {
		t.Errorf("the sample lacks a message, a workspace name or a Secret: %+v", policy.Spec)
	}
}

func TestRandomHex(t *testing.T) {
	a, b := randomHex(), randomHex()
	if len(a) != 32 || a == b || strings.Trim(a, "0123456789abcdef") != "" {
		t.Errorf("randomHex gave %q and %q", a, b)
	}
}
