package simulation

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

var (
	policyResource = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "inactivitypolicies"}
	secretResource = schema.GroupResource{Resource: "secrets"}
)

// cluster is the API server as far as the operator uses it: policies with generations, finalizers, a status of their own
// and optimistic locks; Secrets; and watches that tell each replica of a change after a while of their own.
type cluster struct {
	mu       sync.Mutex
	version  int
	policies map[types.NamespacedName]*v1alpha1.InactivityPolicy
	secrets  map[types.NamespacedName]*corev1.Secret
	// signing is which tokens a Secret has held, and from when on.
	signing map[types.NamespacedName][]signing
	watches []*replicaCache
	// told is called with every policy that was written, and by whom.
	told func(change)
}

// change is what has become of a policy. After is nil when it is gone.
type change struct {
	by            string
	before, after *v1alpha1.InactivityPolicy
}

func newCluster() *cluster {
	return &cluster{
		policies: map[types.NamespacedName]*v1alpha1.InactivityPolicy{},
		secrets:  map[types.NamespacedName]*corev1.Secret{},
		signing:  map[types.NamespacedName][]signing{},
		told:     func(change) {},
	}
}

// watch tells a replica of everything from now on, and returns what there is.
func (c *cluster) watch(by *replicaCache) []*v1alpha1.InactivityPolicy {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watches = append(c.watches, by)
	return c.list()
}

// unwatch is for a replica that is gone.
func (c *cluster) unwatch(by *replicaCache) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watches = slices.DeleteFunc(c.watches, func(other *replicaCache) bool { return other == by })
}

// list are the policies by name. The caller holds the state.
func (c *cluster) list() []*v1alpha1.InactivityPolicy {
	var all []*v1alpha1.InactivityPolicy
	for _, policy := range c.policies {
		all = append(all, policy)
	}
	slices.SortFunc(all, func(a, b *v1alpha1.InactivityPolicy) int {
		return compareNames(client.ObjectKeyFromObject(a), client.ObjectKeyFromObject(b))
	})
	return all
}

func compareNames(a, b types.NamespacedName) int {
	switch as, bs := a.String(), b.String(); {
	case as < bs:
		return -1
	case as > bs:
		return 1
	}
	return 0
}

// all are copies of the policies.
func (c *cluster) all() []*v1alpha1.InactivityPolicy {
	c.mu.Lock()
	defer c.mu.Unlock()
	var copies []*v1alpha1.InactivityPolicy
	for _, policy := range c.list() {
		copies = append(copies, policy.DeepCopy())
	}
	return copies
}

// put writes a policy. The caller holds the state.
func (c *cluster) put(by string, policy *v1alpha1.InactivityPolicy) {
	name := client.ObjectKeyFromObject(policy)
	before := c.policies[name]
	c.version++
	policy.ResourceVersion = strconv.Itoa(c.version)
	written := change{by: by, before: before, after: policy}
	if c.policies[name] = policy; !policy.DeletionTimestamp.IsZero() && len(policy.Finalizers) == 0 {
		delete(c.policies, name)
		written.after = nil
	}
	c.told(written)
	for _, watching := range c.watches {
		watching.onItsWay(written)
	}
}

// create makes a policy.
func (c *cluster) create(name types.NamespacedName, spec v1alpha1.InactivityPolicySpec) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put("an admin", &v1alpha1.InactivityPolicy{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: name.Namespace, Name: name.Name, Generation: 1, CreationTimestamp: metav1.Now().Rfc3339Copy(),
			UID: types.UID(fmt.Sprintf("%s-%d", name, c.version)),
		},
		Spec: spec,
	})
}

// edit changes a policy; nothing happens when it is gone.
func (c *cluster) edit(name types.NamespacedName, edit func(*v1alpha1.InactivityPolicy)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.policies[name]
	if before == nil {
		return
	}
	after := before.DeepCopy()
	edit(after)
	if !equalJSON(before.Spec, after.Spec) {
		after.Generation++
	}
	c.put("an admin", after)
}

// remove asks for the deletion of a policy.
func (c *cluster) remove(name types.NamespacedName) {
	c.edit(name, func(policy *v1alpha1.InactivityPolicy) {
		if policy.DeletionTimestamp.IsZero() {
			policy.DeletionTimestamp = new(metav1.NewTime(time.Now().Truncate(time.Second)))
			policy.Generation++
		}
	})
}

// setSecret writes a Secret; nil values delete it.
func (c *cluster) setSecret(name types.NamespacedName, values map[string][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if delete(c.secrets, name); values != nil {
		c.secrets[name] = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}, Data: maps.Clone(values)}
	}
	c.signing[name] = append(c.signing[name], signing{time.Now(), string(values["authToken"]), string(values["previousAuthToken"])})
}

// signing is what a Secret held of tokens from a moment on.
type signing struct {
	from            time.Time
	token, previous string
}

// heldFor says whether a Secret has held a token for so long.
func (c *cluster) heldFor(name types.NamespacedName, token string, length time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range slices.Backward(c.signing[name]) {
		if one.token != token && one.previous != token {
			return false
		}
		if time.Since(one.from) >= length {
			return true
		}
	}
	return false
}

// secretValues is what a Secret holds; nil if there is none.
func (c *cluster) secretValues(name types.NamespacedName) map[string][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if secret := c.secrets[name]; secret != nil {
		return secret.Data
	}
	return nil
}

// secret reads a Secret into the given one.
func (c *cluster) secret(name types.NamespacedName, into *corev1.Secret) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	secret := c.secrets[name]
	if secret == nil {
		return apierrors.NewNotFound(secretResource, name.Name)
	}
	secret.DeepCopyInto(into)
	return nil
}

// patch applies a JSON merge patch to a policy or to its status, and returns the policy as it is then.
func (c *cluster) patch(by string, name types.NamespacedName, data []byte, status bool) (*v1alpha1.InactivityPolicy, error) {
	var patch map[string]any
	if err := json.Unmarshal(data, &patch); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.policies[name]
	if before == nil {
		return nil, apierrors.NewNotFound(policyResource, name.Name)
	}
	if metadata, ok := patch["metadata"].(map[string]any); ok {
		if version, locked := metadata["resourceVersion"]; locked && version != before.ResourceVersion {
			return nil, apierrors.NewConflict(policyResource, name.Name, fmt.Errorf("it is at version %s", before.ResourceVersion))
		}
	}
	merged, err := mergePatch(before, patch)
	if err != nil {
		return nil, err
	}
	after := before.DeepCopy()
	if status {
		after.Status = merged.Status
	} else {
		after.Annotations, after.Finalizers, after.Spec = merged.Annotations, merged.Finalizers, merged.Spec
		if !equalJSON(before.Spec, after.Spec) {
			after.Generation++
		}
	}
	if equalJSON(before, after) {
		return before.DeepCopy(), nil
	}
	c.put(by, after)
	return after.DeepCopy(), nil
}

// mergePatch is RFC 7386.
func mergePatch(policy *v1alpha1.InactivityPolicy, patch map[string]any) (*v1alpha1.InactivityPolicy, error) {
	var tree map[string]any
	if err := recode(policy, &tree); err != nil {
		return nil, err
	}
	merged := &v1alpha1.InactivityPolicy{}
	return merged, recode(merge(tree, patch), merged)
}

func merge(tree, patch map[string]any) map[string]any {
	if tree == nil {
		tree = map[string]any{}
	}
	for key, value := range patch {
		switch value := value.(type) {
		case nil:
			delete(tree, key)
		case map[string]any:
			inner, _ := tree[key].(map[string]any)
			tree[key] = merge(inner, value)
		default:
			tree[key] = value
		}
	}
	return tree
}

func recode(from, to any) error {
	data, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, to)
}

func equalJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// errAPIServer is what the API server answers when it fails.
var errAPIServer = apierrors.NewGenericServerResponse(http.StatusInternalServerError, "patch", policyResource, "", "the API server fails", 0, false)
