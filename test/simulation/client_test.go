package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

var errCrashed = errors.New("the replica has crashed")

// replicaCache is what a replica knows of the policies: what the API server has told it so far.
type replicaCache struct {
	cache.Cache // what is not used panics
	replica     *replica

	mu       sync.Mutex
	policies map[client.ObjectKey]*v1alpha1.InactivityPolicy
	indexes  map[string]client.IndexerFunc
	handlers []toolscache.ResourceEventHandler
	// latest is when the last change that is on its way arrives: they arrive in order.
	latest time.Time
}

func newReplicaCache(r *replica) *replicaCache {
	c := &replicaCache{replica: r, policies: map[client.ObjectKey]*v1alpha1.InactivityPolicy{}, indexes: map[string]client.IndexerFunc{}}
	for _, policy := range r.w.cluster.watch(c) {
		c.policies[client.ObjectKeyFromObject(policy)] = policy
	}
	return c
}

// onItsWay has a change arrive after a while.
func (c *replicaCache) onItsWay(one change) {
	if c.replica.crashed() {
		return
	}
	lag := c.replica.w.watchLag(c.replica)
	c.mu.Lock()
	c.latest = later(c.latest.Add(time.Microsecond), time.Now().Add(lag)) // far enough apart for what each puts into queues
	arrives := time.Until(c.latest)
	c.mu.Unlock()
	time.AfterFunc(arrives, func() { c.arrive(one) })
}

func (c *replicaCache) arrive(one change) {
	if c.replica.crashed() {
		return
	}
	c.mu.Lock()
	if one.after == nil {
		delete(c.policies, client.ObjectKeyFromObject(one.before))
	} else {
		c.policies[client.ObjectKeyFromObject(one.after)] = one.after
	}
	handlers := slices.Clone(c.handlers)
	c.mu.Unlock()
	for _, handler := range handlers {
		switch {
		case one.after == nil:
			handler.OnDelete(one.before.DeepCopy())
		case one.before == nil:
			handler.OnAdd(one.after.DeepCopy(), false)
		default:
			handler.OnUpdate(one.before.DeepCopy(), one.after.DeepCopy())
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// IndexField registers an index; lists compute it anew.
func (c *replicaCache) IndexField(_ context.Context, _ client.Object, field string, extract client.IndexerFunc) error {
	c.indexes[field] = extract
	return nil
}

func (c *replicaCache) WaitForCacheSync(context.Context) bool { return true }

func (c *replicaCache) GetInformer(context.Context, client.Object, ...cache.InformerGetOption) (cache.Informer, error) {
	return replicaInformer{cache: c}, nil
}

// replicaInformer tells a controller what the cache has heard.
type replicaInformer struct {
	cache.Informer
	cache *replicaCache
}

func (i replicaInformer) AddEventHandlerWithOptions(handler toolscache.ResourceEventHandler, _ toolscache.HandlerOptions) (toolscache.ResourceEventHandlerRegistration, error) {
	// Handlers register at one moment, in any order: each gets a moment of its own.
	replica := i.cache.replica
	time.Sleep(between(replica.w.dice.roll(replica.name+" registers "+nameOf(handler)), time.Nanosecond, time.Millisecond))
	i.cache.mu.Lock()
	i.cache.handlers = append(i.cache.handlers, handler)
	slices.SortFunc(i.cache.handlers, func(a, b toolscache.ResourceEventHandler) int { return strings.Compare(nameOf(a), nameOf(b)) })
	known := i.cache.listed(true, func(*v1alpha1.InactivityPolicy) bool { return true })
	i.cache.mu.Unlock()
	for _, policy := range known {
		handler.OnAdd(policy, true)
	}
	return synced{}, nil
}

// nameOf tells the event handlers of a controller apart, by their predicates: they register in any order, and have to be
// called in the same one every time.
func nameOf(handler toolscache.ResourceEventHandler) string {
	predicates := reflect.ValueOf(handler).Elem().FieldByName("predicates")
	if !predicates.IsValid() {
		panic(fmt.Sprintf("a %T has no predicates any more", handler))
	}
	var names []string
	for i := range predicates.Len() {
		names = append(names, predicates.Index(i).Elem().Type().String())
	}
	return strings.Join(names, " ")
}

// synced is the registration of a handler that has heard all there was.
type synced struct {
	toolscache.ResourceEventHandlerRegistration
}

func (synced) HasSynced() bool { return true }

// listed are the policies that are wanted, by name, or copies of them. The caller holds the state.
func (c *replicaCache) listed(copies bool, wanted func(*v1alpha1.InactivityPolicy) bool) []*v1alpha1.InactivityPolicy {
	all := &cluster{policies: c.policies}
	var found []*v1alpha1.InactivityPolicy
	for _, policy := range all.list() {
		if !wanted(policy) {
			continue
		}
		if copies {
			policy = policy.DeepCopy()
		}
		found = append(found, policy)
	}
	return found
}

// replicaClient reads from the cache and writes to the API server.
type replicaClient struct {
	client.Client // what is not used panics
	replica       *replica
}

func (c replicaClient) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	policy, ok := object.(*v1alpha1.InactivityPolicy)
	if !ok {
		return fmt.Errorf("the cache holds no %T", object)
	}
	known := c.replica.cache
	known.mu.Lock()
	defer known.mu.Unlock()
	found := known.policies[key]
	if found == nil {
		return apierrors.NewNotFound(policyResource, key.Name)
	}
	found.DeepCopyInto(policy)
	return nil
}

func (c replicaClient) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	policies, ok := list.(*v1alpha1.InactivityPolicyList)
	if !ok {
		return fmt.Errorf("the cache holds no %T", list)
	}
	var chosen client.ListOptions
	chosen.ApplyOptions(options)
	known := c.replica.cache
	known.mu.Lock()
	defer known.mu.Unlock()
	copies := chosen.UnsafeDisableDeepCopy == nil || !*chosen.UnsafeDisableDeepCopy
	for _, policy := range known.listed(copies, func(policy *v1alpha1.InactivityPolicy) bool { return known.matches(policy, chosen) }) {
		policies.Items = append(policies.Items, *policy)
	}
	return nil
}

// matches says whether a list with these options has the policy.
func (c *replicaCache) matches(policy *v1alpha1.InactivityPolicy, options client.ListOptions) bool {
	if options.Namespace != "" && options.Namespace != policy.Namespace {
		return false
	}
	if options.FieldSelector == nil {
		return true
	}
	for _, wanted := range options.FieldSelector.Requirements() {
		matches := false
		for _, value := range c.indexes[wanted.Field](policy) {
			matches = matches || value == wanted.Value
		}
		if !matches {
			return false
		}
	}
	return true
}

func (c replicaClient) Patch(ctx context.Context, object client.Object, patch client.Patch, _ ...client.PatchOption) error {
	return c.replica.patch(ctx, object, patch, false)
}

func (c replicaClient) Status() client.SubResourceWriter { return statusWriter{replica: c.replica} }

type statusWriter struct {
	client.SubResourceWriter
	replica *replica
}

func (s statusWriter) Patch(ctx context.Context, object client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
	return s.replica.patch(ctx, object, patch, true)
}

// patch writes to the API server. The answer may be lost after the write.
func (r *replica) patch(ctx context.Context, object client.Object, patch client.Patch, status bool) (err error) {
	defer func() {
		if err != nil {
			r.w.checker.fails(r, apiServer)
		}
	}()
	policy, ok := object.(*v1alpha1.InactivityPolicy)
	if !ok {
		return fmt.Errorf("nobody patches a %T", object)
	}
	data, err := patch.Data(object)
	if err != nil {
		return err
	}
	draw := r.w.dice.roll(r.name + " patches " + string(data))
	if !r.thaw(draw) {
		return errCrashed
	}
	if err := r.pause(ctx, between(draw, time.Millisecond, 30*time.Millisecond)); err != nil {
		return err
	}
	if r.apiServerFails(draw) {
		return errAPIServer
	}
	write := func() (*v1alpha1.InactivityPolicy, error) {
		return r.w.cluster.patch(r.name, client.ObjectKeyFromObject(policy), data, status)
	}
	if r.crashesAtWrite(draw, true, func() { _, _ = write() }) {
		return errCrashed
	}
	written, err := write()
	if err != nil {
		return err
	}
	if err := r.hears(ctx, draw, between(draw, time.Millisecond, 10*time.Millisecond)); err != nil {
		return err
	}
	if r.apiServerFails(draw) {
		return errAPIServer
	}
	*policy = *written
	return nil
}

// apiServerFails says whether a request to the API server goes wrong.
func (r *replica) apiServerFails(draw *rand.Rand) bool {
	return !r.w.isCalm() && chance(draw, r.w.weather.apiServer)
}

// pause lets time pass for a replica, until it crashes or the context ends.
func (r *replica) pause(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	case <-r.down:
	}
	if r.crashed() {
		return errCrashed
	}
	return nil
}

// hears lets time pass until an answer reaches a replica, which hears of it when it does not stand still.
func (r *replica) hears(ctx context.Context, draw *rand.Rand, length time.Duration) error {
	err := r.pause(ctx, length)
	if !r.thaw(draw) {
		return errCrashed
	}
	return err
}

// secretReader reads Secrets from the API server itself.
type secretReader struct {
	client.Reader
	replica *replica
}

func (s secretReader) Get(ctx context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	secret, ok := object.(*corev1.Secret)
	if !ok {
		return fmt.Errorf("nobody reads a %T", object)
	}
	err := s.read(ctx, key, secret)
	if err != nil {
		s.replica.w.checker.fails(s.replica, key.String())
	}
	return err
}

// read takes its time there and back: several Secrets that are read at one moment are known at moments of their own.
func (s secretReader) read(ctx context.Context, key client.ObjectKey, into *corev1.Secret) error {
	r := s.replica
	draw := r.w.dice.roll(r.name + " reads the Secret " + key.String())
	if !r.thaw(draw) {
		return errCrashed
	}
	if err := r.pause(ctx, between(draw, time.Millisecond, 20*time.Millisecond)); err != nil {
		return err
	}
	found, err := corev1.Secret{}, error(errAPIServer)
	if !r.apiServerFails(draw) {
		err = r.w.cluster.secret(key, &found)
	}
	if heard := r.hears(ctx, draw, between(draw, time.Millisecond, 10*time.Millisecond)); heard != nil {
		return heard
	}
	found.DeepCopyInto(into)
	return err
}
