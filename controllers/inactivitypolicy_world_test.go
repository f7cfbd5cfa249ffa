package controllers_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

const (
	foreignFilter = "task.created,task.canceled"
	// patience is longer than a deletion waits for Twilio: the virtual clock stands still
	// while the API server's, which dates the deletion, does not.
	patience = 2*time.Minute + time.Minute
)

// policyWorld is a world in which every state of every policy that is ever published is held to the invariants.
type policyWorld struct {
	*world
	history *history
}

// newPolicyWorld makes a world without an operator. The test runs beside others, because most of its time is waiting.
func newPolicyWorld(t *testing.T) policyWorld {
	t.Helper()
	t.Parallel()
	w := newWorld(t)
	watching, err := client.NewWithWatch(apiServer, client.Options{Scheme: scheme})
	w.do(err)
	published, err := watching.Watch(context.Background(), &v1alpha1.InactivityPolicyList{}, client.InNamespace(w.namespace))
	w.do(err)
	h := &history{}
	var reading sync.WaitGroup
	reading.Go(func() {
		for event := range published.ResultChan() {
			h.add(event)
		}
	})
	// Clean-ups run last first, so the operators have stopped by now.
	t.Cleanup(func() {
		published.Stop()
		reading.Wait()
		var last v1alpha1.InactivityPolicyList
		if err := w.cluster.List(context.Background(), &last, client.InNamespace(w.namespace)); err != nil {
			t.Error(err)
		}
		for _, policy := range append(h.all(), last.Items...) {
			for _, broken := range brokenInvariants(&policy, w.twilio.AuthToken()) {
				t.Errorf("policy %s, version %s: %s: %+v", policy.Name, policy.ResourceVersion, broken, policy.Status)
			}
		}
	})
	return policyWorld{world: w, history: h}
}

// startPolicies makes a world with one operator and one policy in force.
func startPolicies(t *testing.T, change ...func(*v1alpha1.InactivityPolicySpec)) (policyWorld, *replica, *v1alpha1.InactivityPolicy) {
	t.Helper()
	w := newPolicyWorld(t)
	r := w.startOperator()
	return w, r, w.inForce(change...)
}

// history is every state of the policies that was published, in order.
type history struct {
	mu       sync.Mutex
	policies []v1alpha1.InactivityPolicy
}

func (h *history) add(event watch.Event) {
	policy, ok := event.Object.(*v1alpha1.InactivityPolicy)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.policies = append(h.policies, *policy.DeepCopy())
}

func (h *history) all() []v1alpha1.InactivityPolicy {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.policies)
}

// brokenInvariants says what no state of a policy may ever be.
func brokenInvariants(policy *v1alpha1.InactivityPolicy, token string) []string {
	var broken []string
	never := func(is bool, what string) {
		if is {
			broken = append(broken, what)
		}
	}
	status := policy.Status
	holds := func(kind string) bool { return meta.IsStatusConditionTrue(status.Conditions, kind) }
	ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)

	never(status.ObservedGeneration > policy.Generation, "it observed a generation that is still to come")
	never(status.ObservedGeneration > 0 && ready == nil, "it was observed and has no Ready")
	never(holds(v1alpha1.ConditionReconciling) && holds(v1alpha1.ConditionStalled), "it is Reconciling and Stalled at once")
	if ready != nil {
		unfinished := holds(v1alpha1.ConditionReconciling) || holds(v1alpha1.ConditionStalled)
		never(ready.Status == metav1.ConditionTrue && unfinished, "it is Ready, and Reconciling or Stalled")
		never(ready.Status != metav1.ConditionTrue && !unfinished, "it is not Ready, and neither Reconciling nor Stalled")
	}
	for _, condition := range status.Conditions {
		never(condition.ObservedGeneration > policy.Generation, condition.Type+" is about a generation that is still to come")
		never(condition.Message == "", condition.Type+" has no message")
		never(token != "" && strings.Contains(condition.Message, token), condition.Type+" tells the auth token")
		abnormal := condition.Type == v1alpha1.ConditionReconciling || condition.Type == v1alpha1.ConditionStalled
		never(abnormal && condition.Status != metav1.ConditionTrue, condition.Type+" is there and not True")
	}
	calls := status.Workspace != nil && status.Workspace.CallbackURL != ""
	never(holds(v1alpha1.ConditionCallbackConfigured) && !calls, "its callback is configured and has no URL")
	never((status.EffectiveSince == nil) != (status.EffectiveRevision == ""), "effectiveSince and effectiveRevision do not go together")
	return broken
}

// often has the operator look at every policy all the time, so that it finds by itself what has changed in Twilio.
func often(c *operator.Config) { c.SyncInterval = 100 * time.Millisecond }

func replace(spec *v1alpha1.InactivityPolicySpec) {
	spec.Callback = &v1alpha1.Callback{OnConflict: v1alpha1.ConflictReplace}
}

// conditions are the "Status/Reason" of every condition, nil while the policy's generation was not observed.
func (w policyWorld) conditions(policy *v1alpha1.InactivityPolicy) map[string]string {
	w.t.Helper()
	read := w.get(policy)
	if read.Status.ObservedGeneration != read.Generation {
		return nil
	}
	all := map[string]string{}
	for _, condition := range read.Status.Conditions {
		all[condition.Type] = string(condition.Status) + "/" + condition.Reason
	}
	return all
}

// eventuallyIs waits until the policy has these conditions and no others.
func (w policyWorld) eventuallyIs(policy *v1alpha1.InactivityPolicy, want map[string]string) {
	w.t.Helper()
	w.Eventually(func() map[string]string { return w.conditions(policy) }).Should(gomega.Equal(want),
		func() string { return fmt.Sprintf("%+v", w.get(policy).Status.Conditions) })
}

// eventuallyInEffect waits until the policy has the callback in place: as the owner of its workspace's conversations, or
// standing by behind another policy, which is no matter here.
func (w policyWorld) eventuallyInEffect(policy *v1alpha1.InactivityPolicy) {
	w.t.Helper()
	standby := inEffect()
	standby[v1alpha1.ConditionReady] = "True/" + v1alpha1.ReasonStandby
	w.Eventually(func() map[string]string {
		conditions := w.conditions(policy)
		delete(conditions, v1alpha1.ConditionOverlapping)
		return conditions
	}).Should(gomega.BeElementOf(inEffect(), standby),
		func() string { return fmt.Sprintf("%+v", w.get(policy).Status.Conditions) })
}

// inEffect are the conditions of a policy that is in force with its callback.
func inEffect() map[string]string {
	return map[string]string{v1alpha1.ConditionReady: "True/Succeeded", v1alpha1.ConditionCallbackConfigured: "True/Succeeded"}
}

// stalled are the conditions of a policy that waits for somebody.
func stalled(reason, callbackConfigured string) map[string]string {
	return map[string]string{
		v1alpha1.ConditionReady: "False/" + reason, v1alpha1.ConditionStalled: "True/" + reason,
		v1alpha1.ConditionCallbackConfigured: callbackConfigured,
	}
}

// reconciling are the conditions of a policy that the operator goes on trying to bring into force.
func reconciling(reason, callbackConfigured string) map[string]string {
	return map[string]string{
		v1alpha1.ConditionReady: "False/" + reason, v1alpha1.ConditionReconciling: "True/" + reason,
		v1alpha1.ConditionCallbackConfigured: callbackConfigured,
	}
}

// message is the message of a condition.
func (w policyWorld) message(policy *v1alpha1.InactivityPolicy, kind string) string {
	w.t.Helper()
	condition := meta.FindStatusCondition(w.get(policy).Status.Conditions, kind)
	if condition == nil {
		w.t.Fatalf("policy %s has no condition %s", policy.Name, kind)
	}
	return condition.Message
}

// annotate sets an annotation of a policy, or takes it away when value is empty.
func (w policyWorld) annotate(policy *v1alpha1.InactivityPolicy, name, value string) {
	w.t.Helper()
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) {
		if p.Annotations == nil {
			p.Annotations = map[string]string{}
		}
		p.Annotations[name] = value
		if value == "" {
			delete(p.Annotations, name)
		}
	})
}

// ask asks for a reconcile and returns what it will be answered with.
func (w policyWorld) ask(policy *v1alpha1.InactivityPolicy) string {
	w.t.Helper()
	at := time.Now().Format(time.RFC3339Nano)
	w.annotate(policy, v1alpha1.AnnotationReconcileAt, at)
	return at
}

// look asks for a reconcile and waits until it is done.
func (w policyWorld) look(policy *v1alpha1.InactivityPolicy) {
	w.t.Helper()
	at := w.ask(policy)
	w.Eventually(func() string { return w.get(policy).Status.LastHandledReconcileAt }).Should(gomega.Equal(at), "the operator looks at the policy")
}

// looks is how often the operator has read workspaces.
func (w policyWorld) looks() int {
	count := 0
	for _, request := range w.requestsSince(0) {
		path, read := strings.CutPrefix(request, "GET /v1/Workspaces")
		if read && !strings.Contains(path, "/Task") {
			count++
		}
	}
	return count
}

// eventuallyLooked waits until the operator has read workspaces that many times from now on.
func (w policyWorld) eventuallyLooked(times int) {
	w.t.Helper()
	before := w.looks()
	w.Eventually(w.looks).Should(gomega.BeNumerically(">=", before+times), "the operator looks at the workspace")
}

// setWorkspace changes a workspace in Twilio, as somebody else would.
func (w policyWorld) setWorkspace(sid string, form url.Values) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.twilioURL+"/v1/Workspaces/"+sid, strings.NewReader(form.Encode()))
	w.do(err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(w.twilio.AccountSID(), w.twilio.AuthToken())
	response, err := http.DefaultClient.Do(request)
	w.do(err)
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		w.t.Fatalf("changing workspace %s: %s", sid, response.Status)
	}
}

// setCallback sets a workspace's callback, as somebody else would.
func (w policyWorld) setCallback(sid string, is slot) {
	w.t.Helper()
	w.setWorkspace(sid, url.Values{"EventCallbackUrl": {is.URL}, "EventsFilter": {is.Filter}})
}

// slot is a workspace's callback.
type slot struct{ URL, Filter string }

// somebodys is somebody else's callback.
func somebodys() slot { return slot{foreignURL + "?key=1#rc=2", foreignFilter} }

// ours is the callback that an operator sets in an empty slot.
func ours(r *replica, sid string) slot {
	return slot{callback.WorkspaceCallbackURL(r.publicURL, sid), acceptEvent}
}

// slot reads a workspace's callback in Twilio.
func (w policyWorld) slot(sid string) slot {
	w.t.Helper()
	workspace, found := w.twilio.State().Workspace(sid)
	if !found {
		w.t.Fatalf("Twilio has no workspace %s", sid)
	}
	return slot{workspace.EventCallbackURL, workspace.EventsFilter}
}

func (w policyWorld) eventuallySlot(sid string, want slot) {
	w.t.Helper()
	w.Eventually(func() slot { return w.slot(sid) }).Should(gomega.Equal(want))
}

// writes is what was written to Twilio since the function was made.
func (w policyWorld) writes() func() []twiliosim.Entry {
	before := len(w.twilio.Writes())
	return func() []twiliosim.Entry { return w.twilio.Writes()[before:] }
}

// down makes Twilio answer with 503 until the returned function is called.
func (w policyWorld) down() (up func()) {
	return w.twilio.Fail(twiliosim.Fault{Status: http.StatusServiceUnavailable})
}

// eventuallyMet waits until requests have met a fault that many times from now on.
func (w policyWorld) eventuallyMet(times int) {
	w.t.Helper()
	met := func() int {
		count := 0
		for _, entry := range w.twilio.Journal() {
			if entry.Fault != "" {
				count++
			}
		}
		return count
	}
	before := met()
	w.Eventually(met).Should(gomega.BeNumerically(">=", before+times), "the operator is turned away by Twilio")
}

// secret makes the Secret with these values.
func (w policyWorld) secret(data map[string]string) *corev1.Secret {
	w.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: secretName}, StringData: data}
	w.create(secret)
	return secret
}

// updateSecret sets a key of the Secret.
func (w policyWorld) updateSecret(key, value string) {
	w.t.Helper()
	secret := &corev1.Secret{}
	w.do(w.cluster.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: secretName}, secret))
	secret.Data[key] = []byte(value)
	w.do(w.cluster.Update(w.t.Context(), secret))
}

func (w policyWorld) deleteSecret() {
	w.t.Helper()
	w.do(w.cluster.Delete(w.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: secretName}}))
}

// delete asks for a policy's deletion.
func (w policyWorld) delete(policy *v1alpha1.InactivityPolicy) {
	w.t.Helper()
	w.do(w.cluster.Delete(w.t.Context(), policy))
}

// finalizers are those of a policy, nil when it is gone.
func (w policyWorld) finalizers(policy *v1alpha1.InactivityPolicy) []string {
	w.t.Helper()
	read := &v1alpha1.InactivityPolicy{}
	w.do(client.IgnoreNotFound(w.cluster.Get(w.t.Context(), client.ObjectKeyFromObject(policy), read)))
	return read.Finalizers
}

// gone reports whether a policy is gone.
func (w policyWorld) gone(policy *v1alpha1.InactivityPolicy) bool {
	w.t.Helper()
	err := w.cluster.Get(w.t.Context(), client.ObjectKeyFromObject(policy), &v1alpha1.InactivityPolicy{})
	if client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	return apierrors.IsNotFound(err)
}

func (w policyWorld) eventuallyGone(policy *v1alpha1.InactivityPolicy) {
	w.t.Helper()
	w.Eventually(func() bool { return w.gone(policy) }).Should(gomega.BeTrue(), "the policy is released")
}

// wipeStatus empties a policy's status, as a restored backup does.
func (w policyWorld) wipeStatus(policy *v1alpha1.InactivityPolicy) {
	w.t.Helper()
	before := w.get(policy)
	after := before.DeepCopy()
	after.Status = v1alpha1.InactivityPolicyStatus{}
	w.do(w.cluster.Status().Patch(w.t.Context(), after, client.MergeFrom(before)))
}

// record is a policy's record of the callback that was there before, "" when it has none.
func (w policyWorld) record(policy *v1alpha1.InactivityPolicy) string {
	w.t.Helper()
	return w.get(policy).Annotations[v1alpha1.AnnotationPreviousCallback]
}

// setRecord puts a record on a policy, or takes it away.
func (w policyWorld) setRecord(policy *v1alpha1.InactivityPolicy, record string) {
	w.t.Helper()
	w.annotate(policy, v1alpha1.AnnotationPreviousCallback, record)
}

// events are the events on a policy with a reason.
func (w policyWorld) events(policy *v1alpha1.InactivityPolicy, reason string) []eventsv1.Event {
	w.t.Helper()
	var list eventsv1.EventList
	w.do(w.cluster.List(w.t.Context(), &list, client.InNamespace(w.namespace)))
	return slices.DeleteFunc(list.Items, func(e eventsv1.Event) bool { return e.Regarding.Name != policy.Name || e.Reason != reason })
}

// eventuallyEvent waits for an event on a policy and returns it.
func (w policyWorld) eventuallyEvent(policy *v1alpha1.InactivityPolicy, kind, reason string) eventsv1.Event {
	w.t.Helper()
	w.Eventually(func() []eventsv1.Event { return w.events(policy, reason) }).ShouldNot(gomega.BeEmpty(), "there is an event "+reason)
	event := w.events(policy, reason)[0]
	w.Expect(event.Type).To(gomega.Equal(kind))
	return event
}

// containsAll matches a text with all the words.
func containsAll(words ...string) gomega.OmegaMatcher {
	matchers := make([]gomega.OmegaMatcher, 0, len(words))
	for _, word := range words {
		matchers = append(matchers, gomega.ContainSubstring(word))
	}
	return gomega.And(matchers...)
}
