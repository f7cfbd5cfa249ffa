// Package v1alpha1 is the API of the inactivity operator: the InactivityPolicy and the names it is observed by.
//
// The comments on its fields are the text of kubectl explain, which keeps their line breaks and breaks lines of more than
// 76 characters once more: hence their shorter lines.
//
// +kubebuilder:object:generate=true
// +groupName=contactcenter.flexops.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the group and version of every kind in this package.
	GroupVersion = schema.GroupVersion{Group: "contactcenter.flexops.dev", Version: "v1alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the kinds of this package to a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &InactivityPolicy{}, &InactivityPolicyList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
