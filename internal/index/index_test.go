package index_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/index"
)

const (
	workspaceA = "WSaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	workspaceB = "WSbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// clientIndexer registers the indexes in a fake client that is being built.
type clientIndexer struct{ builder *fake.ClientBuilder }

func (c clientIndexer) IndexField(_ context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	c.builder.WithIndex(object, field, extract)
	return nil
}

type failingIndexer struct{}

var errIndexer = errors.New("informer is gone")

func (failingIndexer) IndexField(context.Context, client.Object, string, client.IndexerFunc) error {
	return errIndexer
}

func policy(namespace, name, secret, specSID, observedSID string) *v1alpha1.InactivityPolicy {
	policy := &v1alpha1.InactivityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.InactivityPolicySpec{
			CredentialsSecretRef: v1alpha1.SecretReference{Name: secret},
			Workspace:            v1alpha1.WorkspaceReference{SID: specSID},
		},
	}
	if observedSID != "" {
		policy.Status.Workspace = &v1alpha1.ObservedWorkspace{SID: observedSID}
	}
	return policy
}

func indexedClient(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...)
	if err := index.Register(t.Context(), clientIndexer{builder}); err != nil {
		t.Fatal(err)
	}
	return builder.Build()
}

func names(policies []v1alpha1.InactivityPolicy) []string {
	var names []string
	for _, policy := range policies {
		names = append(names, policy.Namespace+"/"+policy.Name)
	}
	slices.Sort(names)
	return names
}

func TestPoliciesWithRecord(t *testing.T) {
	recorded := func(name, record string) *v1alpha1.InactivityPolicy {
		one := policy("support", name, "twilio", workspaceB, workspaceB)
		one.Annotations = map[string]string{v1alpha1.AnnotationPreviousCallback: record}
		return one
	}
	reader := indexedClient(t,
		recorded("moved", `{"workspaceSid":"`+workspaceA+`"}`),
		recorded("here", `{"workspaceSid":"`+workspaceB+`"}`),
		recorded("unreadable", `{`),
		policy("support", "without", "twilio", workspaceA, workspaceA),
	)
	found, err := index.PoliciesWithRecord(t.Context(), reader, workspaceA)
	if err != nil || !slices.Equal(names(found), []string{"support/moved"}) {
		t.Errorf("with a record of the workspace: %v, %v", names(found), err)
	}
}

func TestPoliciesForWorkspace(t *testing.T) {
	reader := indexedClient(t,
		policy("support", "by-spec", "twilio", workspaceA, ""),
		policy("sales", "by-status", "twilio", "", workspaceA),
		policy("sales", "moving-away", "twilio", workspaceB, workspaceA),
		policy("sales", "elsewhere", "twilio", workspaceB, ""),
		policy("sales", "unresolved-name", "twilio", "", ""),
	)
	for workspace, want := range map[string][]string{
		workspaceA: {"sales/by-status", "sales/moving-away", "support/by-spec"},
		workspaceB: {"sales/elsewhere"},
		"":         nil,
		"WSx":      nil,
	} {
		got, err := index.PoliciesForWorkspace(t.Context(), reader, workspace, client.UnsafeDisableDeepCopy)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, names(got)); diff != "" {
			t.Errorf("PoliciesForWorkspace(%q) (-want +got):\n%s", workspace, diff)
		}
	}
}

func TestPoliciesForSecret(t *testing.T) {
	reader := indexedClient(t,
		policy("support", "a", "twilio", workspaceA, ""),
		policy("support", "b", "twilio", workspaceB, ""),
		policy("support", "c", "other", workspaceA, ""),
		policy("sales", "d", "twilio", workspaceA, ""),
		policy("sales", "e", "", workspaceA, ""),
	)
	for secret, want := range map[types.NamespacedName][]string{
		{Namespace: "support", Name: "twilio"}: {"support/a", "support/b"},
		{Namespace: "sales", Name: "twilio"}:   {"sales/d"},
		{Namespace: "sales", Name: "other"}:    nil,
	} {
		got, err := index.PoliciesForSecret(t.Context(), reader, secret)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, names(got)); diff != "" {
			t.Errorf("PoliciesForSecret(%v) (-want +got):\n%s", secret, diff)
		}
	}
}

func TestErrorsSayWhatWasTried(t *testing.T) {
	if err := index.Register(t.Context(), failingIndexer{}); !errors.Is(err, errIndexer) {
		t.Errorf("Register() = %v, want an error that wraps %v", err, errIndexer)
	}

	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	withoutIndex := fake.NewClientBuilder().WithScheme(scheme).Build()
	if _, err := index.PoliciesForWorkspace(t.Context(), withoutIndex, workspaceA); err == nil {
		t.Error("PoliciesForWorkspace() without the index: want an error")
	}
	if _, err := index.PoliciesForSecret(t.Context(), withoutIndex, types.NamespacedName{Name: "twilio"}); err == nil {
		t.Error("PoliciesForSecret() without the index: want an error")
	}
}

func TestOtherKindsAreNotIndexed(t *testing.T) {
	if got := index.ExtractWorkspaceSID(&corev1.Secret{}); got != nil {
		t.Errorf("ExtractWorkspaceSID(Secret) = %v, want nil", got)
	}
	if got := index.ExtractSecretName(&corev1.Secret{}); got != nil {
		t.Errorf("ExtractSecretName(Secret) = %v, want nil", got)
	}
}
