package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

const (
	namespace  = "default"
	fieldOwner = client.FieldOwner("demo")

	// startTimeout is for etcd and the API server. A second is usual; a busy machine may take many.
	startTimeout = 90 * time.Second
	stopTimeout  = 20 * time.Second
)

// cluster is a Kubernetes API server with etcd, and nothing else of Kubernetes: no kubelet, no controllers.
type cluster struct {
	env    *envtest.Environment
	client client.Client
	// version and address are for showing.
	version, address string
	// adminKubeconfig is for the person at the terminal, operatorKubeconfig for the operator, which gets the rights that
	// config/rbac gives it and no more.
	adminKubeconfig, operatorKubeconfig string
}

// startCluster starts the programs in assets with the CRD installed, and writes the kubeconfigs to stateDir. On failure
// nothing is left running.
func startCluster(assets, stateDir string) (_ *cluster, err error) {
	env := &envtest.Environment{
		BinaryAssetsDirectory:    assets,
		CRDDirectoryPaths:        []string{filepath.Join("config", "crd", "bases")},
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: startTimeout,
		ControlPlaneStopTimeout:  stopTimeout,
		UseExistingCluster:       new(bool), // never somebody's real cluster, whatever the environment says
	}
	c := &cluster{env: env}
	defer func() {
		if err != nil {
			err = errors.Join(err, env.Stop())
		}
	}()
	config, err := env.Start()
	if err != nil {
		return nil, fmt.Errorf("starting etcd and the API server: %w", err)
	}
	c.address = config.Host

	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, rbacv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	if c.client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("building a client: %w", err)
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("building a client: %w", err)
	}
	version, err := clientset.Discovery().ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("asking the API server's version: %w", err)
	}
	c.version = version.GitVersion

	c.adminKubeconfig = filepath.Join(stateDir, "kubeconfig")
	if err := c.writeKubeconfig(c.adminKubeconfig, envtest.User{Name: "demo", Groups: []string{"system:masters"}}); err != nil {
		return nil, err
	}
	c.operatorKubeconfig = filepath.Join(stateDir, "operator.kubeconfig")
	if err := c.writeKubeconfig(c.operatorKubeconfig, envtest.User{Name: operatorUser}); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *cluster) stop() error {
	if err := c.env.Stop(); err != nil {
		return fmt.Errorf("stopping the control plane: %w", err)
	}
	return nil
}

func (c *cluster) writeKubeconfig(path string, user envtest.User) error {
	added, err := c.env.AddUser(user, nil)
	if err != nil {
		return fmt.Errorf("adding the user %s: %w", user.Name, err)
	}
	text, err := added.KubeConfig()
	if err != nil {
		return fmt.Errorf("making a kubeconfig for %s: %w", user.Name, err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("writing a kubeconfig for %s: %w", user.Name, err)
	}
	return nil
}

// operatorUser stands for the operator's ServiceAccount.
const operatorUser = "inactivity-operator"

// grantOperator gives the operator's user the generated role, so that a right that is missing from it shows up here.
func (c *cluster) grantOperator(ctx context.Context) error {
	for _, file := range []string{"role.yaml", "metrics_auth_role.yaml"} {
		objects, err := readManifest(filepath.Join("config", "rbac", file))
		if err != nil {
			return err
		}
		for _, object := range objects {
			if object.GetKind() != "ClusterRole" {
				continue
			}
			if err := c.apply(ctx, object); err != nil {
				return err
			}
			binding := &rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: object.GetName()},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: object.GetName()},
				Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: operatorUser}},
			}
			if err := c.client.Create(ctx, binding); err != nil {
				return fmt.Errorf("binding %s: %w", object.GetName(), err)
			}
		}
	}
	return nil
}

// createSecret creates the Secret that the sample policy names.
func (c *cluster) createSecret(ctx context.Context, name, accountSID, authToken string) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		StringData: map[string]string{"accountSid": accountSID, "authToken": authToken},
	}
	if err := c.client.Create(ctx, secret); err != nil {
		return fmt.Errorf("creating the Secret %s: %w", name, err)
	}
	return nil
}

// apply applies object as kubectl apply --server-side does.
func (c *cluster) apply(ctx context.Context, object *unstructured.Unstructured) error {
	err := c.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), fieldOwner, client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return nil
}

// policyOf returns the one policy that a manifest holds, and puts it into the demo's namespace.
func policyOf(objects []*unstructured.Unstructured) (*v1alpha1.InactivityPolicy, error) {
	if len(objects) != 1 || objects[0].GetKind() != "InactivityPolicy" {
		return nil, errors.New("expected exactly one InactivityPolicy")
	}
	objects[0].SetNamespace(namespace)
	policy := &v1alpha1.InactivityPolicy{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(objects[0].Object, policy); err != nil {
		return nil, fmt.Errorf("decoding the policy: %w", err)
	}
	return policy, nil
}

func (c *cluster) policy(ctx context.Context, name string) (*v1alpha1.InactivityPolicy, error) {
	policy := &v1alpha1.InactivityPolicy{}
	if err := c.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, policy); err != nil {
		return nil, fmt.Errorf("reading the policy %s: %w", name, err)
	}
	return policy, nil
}

// notReady says what the policy still lacks, or nothing when it is Ready as it is written. A stalled policy is an error:
// waiting does not help it.
func notReady(policy *v1alpha1.InactivityPolicy) (string, error) {
	conditions := policy.Status.Conditions
	if stalled := meta.FindStatusCondition(conditions, v1alpha1.ConditionStalled); stalled != nil && stalled.Status == metav1.ConditionTrue {
		return "", fmt.Errorf("the policy is stalled: %s: %s", stalled.Reason, stalled.Message)
	}
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil:
		return "the policy has no condition Ready", nil
	case ready.Status != metav1.ConditionTrue:
		return fmt.Sprintf("Ready is %s: %s: %s", ready.Status, ready.Reason, ready.Message), nil
	case ready.ObservedGeneration != policy.Generation:
		return "Ready speaks of an older generation", nil
	default:
		return "", nil
	}
}

// deletePolicy asks for the deletion; gone tells when it is done.
func (c *cluster) deletePolicy(ctx context.Context, name string) error {
	policy := &v1alpha1.InactivityPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := c.client.Delete(ctx, policy); err != nil {
		return fmt.Errorf("deleting the policy %s: %w", name, err)
	}
	return nil
}

func (c *cluster) gone(ctx context.Context, name string) (bool, error) {
	_, err := c.policy(ctx, name)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return false, err
}

// readManifest reads the objects of a YAML file.
func readManifest(path string) ([]*unstructured.Unstructured, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a manifest: %w", err)
	}
	var objects []*unstructured.Unstructured
	for _, document := range splitDocuments(text) {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			return nil, fmt.Errorf("parsing %s: %w", path, err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
	return objects, nil
}
