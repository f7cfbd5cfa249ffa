//go:build chaos

package chaos

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/test/apiserver"
)

// operatorUser stands for the operator's ServiceAccount, and namespace for all namespaces.
const (
	operatorUser = "inactivity-operator"
	namespace    = metav1.NamespaceDefault
)

// auditPolicy has the API server write down every write of the operator's.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: None, verbs: [get, list, watch]}
  - {level: Metadata, users: [` + operatorUser + `]}
  - {level: None}
`

// cluster is a real API server.
type cluster struct {
	client.Client
	control           *apiserver.ControlPlane
	root              string // of the repository
	kubeconfig, audit string // files
}

func startCluster(ctx context.Context, dir string) (_ *cluster, err error) {
	certificates, policyFile := filepath.Join(dir, "certificates"), filepath.Join(dir, "audit-policy.yaml")
	c := &cluster{kubeconfig: filepath.Join(dir, "kubeconfig"), audit: filepath.Join(dir, "audit.log")}
	if c.root, err = apiserver.Root(); err != nil {
		return nil, err
	}
	if err := errors.Join(os.Mkdir(certificates, 0o700), os.WriteFile(policyFile, []byte(auditPolicy), 0o600)); err != nil {
		return nil, fmt.Errorf("preparing the API server: %w", err)
	}
	c.control, err = apiserver.StartControlPlane(certificates, map[string]string{
		"audit-policy-file": policyFile, "audit-log-path": c.audit,
		"shutdown-watch-termination-grace-period": "1s", // or it would wait for those who watch
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.control.Stop())
		}
	}()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, rbacv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	if c.Client, err = client.New(c.control.Config, client.Options{Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("building a client: %w", err)
	}
	text, err := c.control.Kubeconfig(operatorUser)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(c.kubeconfig, text, 0o600); err != nil {
		return nil, fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return c, c.grant(ctx)
}

// grant gives the operator's user the rights that config/rbac gives it, and no more.
func (c *cluster) grant(ctx context.Context) error {
	for _, file := range []string{"role.yaml", "metrics_auth_role.yaml", "leader_election_role.yaml"} {
		text, err := os.ReadFile(filepath.Join(c.root, "config", "rbac", file))
		if err != nil {
			return fmt.Errorf("reading the operator's rights: %w", err)
		}
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 1024)
		for {
			var role struct {
				metav1.TypeMeta   `json:",inline"`
				metav1.ObjectMeta `json:"metadata"`
				Rules             []rbacv1.PolicyRule `json:"rules"`
			}
			if err := decoder.Decode(&role); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return fmt.Errorf("reading %s: %w", file, err)
			}
			if err := c.bind(ctx, role.Kind, role.Name, role.Rules); err != nil {
				return fmt.Errorf("granting %s: %w", file, err)
			}
		}
	}
	return nil
}

// bind makes a role and binds the operator's user to it. Other kinds are left out: they bind the ServiceAccount.
func (c *cluster) bind(ctx context.Context, kind, name string, rules []rbacv1.PolicyRule) error {
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: operatorUser}}
	reference := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
	inNamespace := metav1.ObjectMeta{Name: name, Namespace: namespace}
	switch kind {
	case "ClusterRole":
		return errors.Join(
			c.Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}),
			c.Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: reference, Subjects: subjects}))
	case "Role":
		return errors.Join(
			c.Create(ctx, &rbacv1.Role{ObjectMeta: inNamespace, Rules: rules}),
			c.Create(ctx, &rbacv1.RoleBinding{ObjectMeta: inNamespace, RoleRef: reference, Subjects: subjects}))
	}
	return nil
}

// policy reads a policy.
func (c *cluster) policy(ctx context.Context, name string) (*v1alpha1.InactivityPolicy, error) {
	policy := &v1alpha1.InactivityPolicy{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, policy); err != nil {
		return nil, fmt.Errorf("reading the policy %s: %w", name, err)
	}
	return policy, nil
}

// notReady says what a policy lacks; nothing when it is in force.
func (c *cluster) notReady(ctx context.Context, name string) string {
	policy, err := c.policy(ctx, name)
	switch {
	case err != nil:
		return err.Error()
	case !meta.IsStatusConditionTrue(policy.Status.Conditions, v1alpha1.ConditionReady) || policy.Status.EffectiveSince == nil:
		return fmt.Sprintf("policy %s is not ready: %+v", name, policy.Status.Conditions)
	}
	return ""
}

// left says why the policies are not gone yet.
func (c *cluster) left(ctx context.Context, names ...string) string {
	for _, name := range names {
		if _, err := c.policy(ctx, name); !apierrors.IsNotFound(err) {
			return fmt.Sprintf("policy %s is still there (%v)", name, err)
		}
	}
	return ""
}

// write is a write of the operator's to Kubernetes.
type write struct {
	Verb      string    `json:"verb"`
	At        time.Time `json:"requestReceivedTimestamp"`
	ObjectRef struct {
		Resource, Subresource, Name string
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// writes are the operator's writes to Kubernetes since a moment, without those by which the leader keeps its lease.
func (c *cluster) writes(since time.Time) ([]write, error) {
	file, err := os.Open(c.audit)
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	defer file.Close()
	var found []write
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one write
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			continue // the API server was ended in the middle of a line, or is writing it
		}
		// Asking who somebody is and what they may do is a create, too, and writes nothing.
		switch one.ObjectRef.Resource {
		case "leases", "tokenreviews", "subjectaccessreviews":
			continue
		}
		if one.At.After(since) {
			found = append(found, one)
		}
	}
	return found, lines.Err()
}
