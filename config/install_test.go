// Package config_test installs the manifests on a real API server, as kubectl apply -k config/default does.
package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const installNamespace = "inactivity-operator-system"

// assets is the directory of the control plane's programs, kubectl among them.
func assets(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	if dir == "" {
		t.Fatal(`KUBEBUILDER_ASSETS is not set: run make test, or export KUBEBUILDER_ASSETS="$(go run -C hack/controlplane .)"`)
	}
	return dir
}

// render returns the objects of a kustomization, in the order in which kubectl applies them.
func render(t *testing.T, dir string) []*unstructured.Unstructured {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(assets(t), "kubectl"), "kustomize", dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kubectl kustomize %s: %v\n%s", dir, err, stderr.String())
	}
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(out), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		switch {
		case errors.Is(err, io.EOF) && len(objects) > 0:
			return objects
		case err != nil:
			t.Fatalf("reading what was rendered from %s, after %d objects: %v", dir, len(objects), err)
		}
		objects = append(objects, object)
	}
}

// one returns the only object of its kind whose name ends with suffix, as a typed object.
func one[T any](t *testing.T, objects []*unstructured.Unstructured, kind, suffix string) *T {
	t.Helper()
	var found []*unstructured.Unstructured
	for _, object := range objects {
		if object.GetKind() == kind && strings.HasSuffix(object.GetName(), suffix) {
			found = append(found, object)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d objects of kind %s end with %q, want one", len(found), kind, suffix)
	}
	return convert[T](t, found[0])
}

func convert[T any](t *testing.T, object *unstructured.Unstructured) *T {
	t.Helper()
	into := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, into, true); err != nil {
		t.Fatalf("%s %s: %v", object.GetKind(), object.GetName(), err)
	}
	return into
}

// Kustomize renames things; a reference that it did not follow renders well and grants, selects or starts nothing.
func TestReferencesResolve(t *testing.T) {
	objects := render(t, "default")
	exists := map[string]bool{}
	for _, object := range objects {
		exists[fmt.Sprintf("%s %s/%s", object.GetKind(), object.GetNamespace(), object.GetName())] = true
	}
	want := func(kind, namespace, name, by string) {
		t.Helper()
		if key := fmt.Sprintf("%s %s/%s", kind, namespace, name); !exists[key] {
			t.Errorf("%s refers to %s, which is not installed", by, key)
		}
	}

	for _, object := range objects {
		by := object.GetKind() + " " + object.GetName()
		switch object.GetKind() {
		case "ClusterRoleBinding", "RoleBinding":
			binding := convert[rbacv1.RoleBinding](t, object) // the same fields as a ClusterRoleBinding
			namespace := object.GetNamespace()
			if binding.RoleRef.Kind == "ClusterRole" {
				namespace = ""
			}
			want(binding.RoleRef.Kind, namespace, binding.RoleRef.Name, by)
			for _, subject := range binding.Subjects {
				want(subject.Kind, subject.Namespace, subject.Name, by)
			}
		}
		if namespace := object.GetNamespace(); namespace != "" {
			want("Namespace", "", namespace, by)
		}
	}

	deployment := one[appsv1.Deployment](t, objects, "Deployment", "manager")
	pod := deployment.Spec.Template
	want("ServiceAccount", installNamespace, pod.Spec.ServiceAccountName, "the Deployment")
	container := pod.Spec.Containers[0]
	for _, env := range container.Env {
		if from := env.ValueFrom; from != nil && from.ConfigMapKeyRef != nil {
			want("ConfigMap", installNamespace, from.ConfigMapKeyRef.Name, "the Deployment")
			settings := one[corev1.ConfigMap](t, objects, "ConfigMap", strings.TrimPrefix(from.ConfigMapKeyRef.Name, "inactivity-operator"))
			if _, ok := settings.Data[from.ConfigMapKeyRef.Key]; !ok {
				t.Errorf("the ConfigMap has no key %s", from.ConfigMapKeyRef.Key)
			}
		}
	}
	selects := func(by string, selector labels.Selector) {
		t.Helper()
		if selector.Empty() || !selector.Matches(labels.Set(pod.Labels)) {
			t.Errorf("%s does not select the operator's pods: %s", by, selector)
		}
	}
	budget := one[policyv1.PodDisruptionBudget](t, objects, "PodDisruptionBudget", "manager")
	selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	selects("the PodDisruptionBudget", selector)
	for _, suffix := range []string{"-receiver", "-metrics"} {
		service := one[corev1.Service](t, objects, "Service", suffix)
		selects("Service "+service.Name, labels.SelectorFromSet(service.Spec.Selector))
		for _, port := range service.Spec.Ports {
			if !slices.ContainsFunc(container.Ports, func(p corev1.ContainerPort) bool { return p.Name == port.TargetPort.StrVal }) {
				t.Errorf("Service %s goes to the port %s, which the container does not have", service.Name, port.TargetPort.String())
			}
		}
	}
}

// The grace period must outlast the drain: the manager gives itself 50 seconds.
func TestPodOutlivesItsDrain(t *testing.T) {
	deployment := one[appsv1.Deployment](t, render(t, "default"), "Deployment", "manager")
	const drain = 50
	if grace := ptr.Deref(deployment.Spec.Template.Spec.TerminationGracePeriodSeconds, 0); grace <= drain {
		t.Errorf("terminationGracePeriodSeconds is %d, want more than %d", grace, drain)
	}
}

func TestInstallsOnABareServer(t *testing.T) {
	api := startServer(t)
	objects := render(t, "default")
	for _, object := range objects {
		apply(t, api, object)
	}
	for _, object := range render(t, "network-policy") {
		object.SetNamespace(installNamespace)
		apply(t, api, object)
	}

	deployment := one[appsv1.Deployment](t, objects, "Deployment", "manager")
	t.Run("its pods are admitted where only restricted ones are", func(t *testing.T) {
		if err := api.Create(t.Context(), podOf(deployment, "restricted")); err != nil {
			t.Errorf("creating the Deployment's pod: %v", err)
		}
	})
	t.Run("a pod with more rights is refused there", func(t *testing.T) {
		pod := podOf(deployment, "privileged")
		pod.Spec.Containers[0].SecurityContext.Capabilities = nil
		if err := api.Create(t.Context(), pod); !apierrors.IsForbidden(err) {
			t.Errorf("creating a pod that keeps its capabilities: %v, want it forbidden", err)
		}
	})
	t.Run("the samples are accepted", func(t *testing.T) {
		for _, object := range render(t, "samples") {
			object.SetNamespace("default")
			apply(t, api, object)
		}
	})
}

// startServer starts an API server with nothing installed.
func startServer(t *testing.T) client.Client {
	t.Helper()
	env := &envtest.Environment{BinaryAssetsDirectory: assets(t), UseExistingCluster: new(bool)}
	config, err := env.Start()
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Errorf("stopping the API server: %v", err)
		}
	})
	if err != nil {
		t.Fatalf("starting the API server: %v", err)
	}
	api, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// waitServed waits until the server serves the object's kind, a moment after its CRD was installed.
func waitServed(t *testing.T, api client.Client, object *unstructured.Unstructured) {
	t.Helper()
	NewWithT(t).Eventually(func() error {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(object.GroupVersionKind())
		return api.List(t.Context(), list)
	}, 30*time.Second).Should(Succeed())
}

// apply applies strictly: a field that the server does not know is an error.
func apply(t *testing.T, api client.Client, object *unstructured.Unstructured) {
	t.Helper()
	if object.GetKind() == "InactivityPolicy" {
		waitServed(t, api, object)
	}
	err := api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object.DeepCopy()), client.FieldOwner("test"))
	if err != nil {
		t.Fatalf("applying %s %s: %v", object.GetKind(), object.GetName(), err)
	}
}

// podOf is the pod that the Deployment's controller would create.
func podOf(deployment *appsv1.Deployment, name string) *corev1.Pod {
	template := deployment.Spec.Template.DeepCopy()
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: deployment.Namespace, Name: name, Labels: template.Labels},
		Spec:       template.Spec,
	}
}
