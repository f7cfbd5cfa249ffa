// Package index holds the field indexes of the manager's cache that more than one part of the operator reads.
package index

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
)

const (
	// WorkspaceSID finds the InactivityPolicies of a workspace: the value is the SID that was last observed, else the
	// one in spec. A policy that names its workspace and was not resolved yet is in no workspace.
	WorkspaceSID = "workspaceSID"

	// RecordedWorkspaceSID finds the InactivityPolicies that keep the record of a workspace's previous callback. A policy
	// that has moved keeps that of the workspace it was in until it has given it back.
	RecordedWorkspaceSID = "recordedWorkspaceSID"

	// SecretName finds the InactivityPolicies, of one namespace, that name a Secret.
	SecretName = "secretName"
)

// ExtractWorkspaceSID returns what an InactivityPolicy is indexed by under [WorkspaceSID].
func ExtractWorkspaceSID(object client.Object) []string {
	policy, ok := object.(*v1alpha1.InactivityPolicy)
	if !ok {
		return nil
	}
	if observed := policy.Status.Workspace; observed != nil && observed.SID != "" {
		return []string{observed.SID}
	}
	if policy.Spec.Workspace.SID != "" {
		return []string{policy.Spec.Workspace.SID}
	}
	return nil
}

// ExtractRecordedWorkspaceSID returns what an InactivityPolicy is indexed by under [RecordedWorkspaceSID].
func ExtractRecordedWorkspaceSID(object client.Object) []string {
	record := callback.ParsePrevious(object.GetAnnotations()[v1alpha1.AnnotationPreviousCallback])
	if record == nil {
		return nil
	}
	return []string{record.WorkspaceSID}
}

// ExtractSecretName returns what an InactivityPolicy is indexed by under [SecretName].
func ExtractSecretName(object client.Object) []string {
	policy, ok := object.(*v1alpha1.InactivityPolicy)
	if !ok || policy.Spec.CredentialsSecretRef.Name == "" {
		return nil
	}
	return []string{policy.Spec.CredentialsSecretRef.Name}
}

// Register adds the indexes. It must be called once, before the cache starts.
func Register(ctx context.Context, indexer client.FieldIndexer) error {
	for field, extract := range map[string]client.IndexerFunc{
		WorkspaceSID:         ExtractWorkspaceSID,
		RecordedWorkspaceSID: ExtractRecordedWorkspaceSID,
		SecretName:           ExtractSecretName,
	} {
		if err := indexer.IndexField(ctx, &v1alpha1.InactivityPolicy{}, field, extract); err != nil {
			return fmt.Errorf("indexing InactivityPolicies by %s: %w", field, err)
		}
	}
	return nil
}

// PoliciesForWorkspace returns the policies of the workspace in every namespace, in no particular order. The reader must
// have the indexes. Further options, such as [client.UnsafeDisableDeepCopy] for a caller that only reads, are passed on.
func PoliciesForWorkspace(ctx context.Context, reader client.Reader, workspaceSID string, options ...client.ListOption) ([]v1alpha1.InactivityPolicy, error) {
	return policiesBy(ctx, reader, WorkspaceSID, workspaceSID, options...)
}

// PoliciesWithRecord returns the policies that keep the record of the workspace's previous callback, in no particular
// order. Anybody who may write a policy can give it such a record. The reader must have the indexes.
func PoliciesWithRecord(ctx context.Context, reader client.Reader, workspaceSID string) ([]v1alpha1.InactivityPolicy, error) {
	return policiesBy(ctx, reader, RecordedWorkspaceSID, workspaceSID)
}

func policiesBy(ctx context.Context, reader client.Reader, field, workspaceSID string, options ...client.ListOption) ([]v1alpha1.InactivityPolicy, error) {
	var policies v1alpha1.InactivityPolicyList
	options = append([]client.ListOption{client.MatchingFields{field: workspaceSID}}, options...)
	if err := reader.List(ctx, &policies, options...); err != nil {
		return nil, fmt.Errorf("listing the InactivityPolicies of workspace %s: %w", workspaceSID, err)
	}
	return policies.Items, nil
}

// PoliciesForSecret returns the policies that name the Secret, in no particular order. The reader must have the indexes.
func PoliciesForSecret(ctx context.Context, reader client.Reader, secret types.NamespacedName, options ...client.ListOption) ([]v1alpha1.InactivityPolicy, error) {
	var policies v1alpha1.InactivityPolicyList
	options = append([]client.ListOption{client.InNamespace(secret.Namespace), client.MatchingFields{SecretName: secret.Name}}, options...)
	if err := reader.List(ctx, &policies, options...); err != nil {
		return nil, fmt.Errorf("listing the InactivityPolicies that name Secret %s: %w", secret, err)
	}
	return policies.Items, nil
}
