package controllers_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
	"github.com/flexops-dev/inactivity-operator/internal/signature"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// otherParty is another program that a workspace calls. Like any that follows Twilio's advice, it refuses what Twilio has
// not signed for its own URL.
type otherParty struct {
	url, token string
	answer     int
	hangs      chan struct{} // nil: it does not

	mu      sync.Mutex
	got     []received
	refused []string
}

// received is an event as the other party got it.
type received struct {
	Event, Task, Sid string
	Forwarded        bool // by an operator, not by Twilio itself
}

func (w policyWorld) otherParty() *otherParty {
	w.t.Helper()
	p := &otherParty{token: w.twilio.AuthToken(), answer: http.StatusNoContent}
	server := httptest.NewServer(p)
	w.t.Cleanup(server.Close)
	p.url = server.URL + "/events?key=1"
	return p
}

// ServeHTTP takes an event.
func (p *otherParty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	form, formErr := url.ParseQuery(string(body))
	signed := "http://" + r.Host + r.URL.RequestURI()
	switch {
	case err != nil || formErr != nil:
		w.WriteHeader(http.StatusBadRequest)
	case signed != p.url || !signature.Valid([]string{p.token}, p.url, form, r.Header.Get(signature.Header)):
		w.WriteHeader(http.StatusForbidden)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.refused = append(p.refused, signed)
	default:
		p.mu.Lock()
		p.got = append(p.got, received{form.Get("EventType"), form.Get("TaskSid"), form.Get("Sid"), r.Header.Get("Via") != ""})
		p.mu.Unlock()
		if p.hangs != nil {
			<-p.hangs
		}
		w.WriteHeader(p.answer)
	}
}

// of are the events of a task that the party got, in order.
func (p *otherParty) of(started twiliosim.Started) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var events []string
	for _, got := range p.got {
		if got.Task == started.TaskSID {
			events = append(events, got.Event)
		}
	}
	return events
}

// forwarded are the kinds of way that a task's events came.
func (p *otherParty) forwarded(started twiliosim.Started) []bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ways []bool
	for _, got := range p.got {
		if got.Task == started.TaskSID {
			ways = append(ways, got.Forwarded)
		}
	}
	return slices.Compact(ways)
}

func toPrivate(c *operator.Config) { c.ForwardToPrivateAddresses = true }

func TestTheOtherPartyGetsExactlyItsEventsFromTakeOverToRestore(t *testing.T) {
	w := newPolicyWorld(t)
	sid := w.twilio.WorkspaceSID()
	them := w.otherParty()
	before := slot{them.url + "#rc=2&rp=all", "task.created, reservation.accepted,task.completed"}
	w.setCallback(sid, before)
	customers := 0
	served := func() twiliosim.Started {
		w.t.Helper()
		customers++
		started := w.conversation(w.twilio.StartConversation("sms", fmt.Sprint("+1500555000", customers), "Hello?"))
		w.accept(started)
		w.Eventually(func() []string { return them.of(started) }).Should(gomega.HaveLen(2))
		w.Expect(them.of(started)).To(gomega.Equal([]string{"task.created", acceptEvent}))
		return started
	}
	w.Expect(them.forwarded(served())).To(gomega.Equal([]bool{false}), "without the operator")

	r := w.startOperator(toPrivate)
	policy := w.inForce(forward, func(spec *v1alpha1.InactivityPolicySpec) { spec.Existing = v1alpha1.ExistingIgnore })
	// Somebody needs another event meanwhile, which the other party did not get before.
	w.setCallback(sid, slot{w.slot(sid).URL, w.slot(sid).Filter + ",reservation.created"})
	started := served()
	w.Expect(them.forwarded(started)).To(gomega.Equal([]bool{true}))
	w.eventuallyArmed(started)
	w.pass(timeout)
	w.eventuallyClosed(started)
	w.Eventually(func() []string { return them.of(started) }).Should(gomega.Equal([]string{"task.created", acceptEvent, "task.completed"}),
		"the end of the task is their event too, and nothing else is")

	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = true })
	w.eventuallyCondition(policy, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonSuspended)
	w.Expect(them.forwarded(served())).To(gomega.Equal([]bool{true}), "a suspended policy stops acting, not the other party's events")
	w.patch(policy, func(p *v1alpha1.InactivityPolicy) { p.Spec.Suspend = false })
	w.eventuallyInEffect(policy)

	r.stop()
	r = w.startOperator(toPrivate)
	w.Eventually(func() string { return w.slot(sid).URL }).Should(gomega.Equal(ours(r, sid).URL))
	w.Expect(them.forwarded(served())).To(gomega.Equal([]bool{true}), "a restart changes nothing")

	w.delete(policy)
	w.eventuallyGone(policy)
	w.Expect(w.slot(sid)).To(gomega.Equal(before))
	w.Expect(them.forwarded(served())).To(gomega.Equal([]bool{false}), "without the operator again")

	them.mu.Lock()
	defer them.mu.Unlock()
	w.Expect(them.refused).To(gomega.BeEmpty(), "every event was signed for their URL")
	seen := map[string]bool{}
	for _, got := range them.got {
		w.Expect(seen[got.Sid]).To(gomega.BeFalse(), "event %+v came twice", got)
		seen[got.Sid] = true
	}
}

func TestAnotherPartyThatHangsOrRefusesDelaysNothing(t *testing.T) {
	for name, arrange := range map[string]func(*otherParty){
		"it hangs":   func(p *otherParty) { p.hangs = make(chan struct{}) },
		"it refuses": func(p *otherParty) { p.answer = http.StatusGone },
	} {
		t.Run(name, func(t *testing.T) {
			w := newPolicyWorld(t)
			sid := w.twilio.WorkspaceSID()
			them := w.otherParty()
			arrange(them)
			w.setCallback(sid, slot{them.url, ""})
			r := w.startOperator(toPrivate)
			policy := w.inForce(forward)
			started := w.conversation(w.twilio.StartConversation("sms", customer, "Hello?"))
			w.accept(started)
			w.settle()
			for _, entry := range w.twilio.Journal() {
				if entry.Kind == twiliosim.KindCallback && strings.HasPrefix(entry.URL, r.publicURL.String()) {
					w.Expect(entry.Status).To(gomega.Equal(http.StatusNoContent), entry.Event)
				}
			}
			w.eventuallyArmed(started)
			w.Eventually(func() []string { return them.of(started) }).ShouldNot(gomega.BeEmpty())
			if them.hangs != nil {
				close(them.hangs)
				return
			}
			event := w.eventuallyEvent(policy, corev1.EventTypeWarning, "ForwardFailing")
			w.Expect(event.Note).To(containsAll(sid, "410", strings.Split(them.url, "/events")[0]))
			w.Expect(event.Note).NotTo(gomega.ContainSubstring("key=1"))
		})
	}
}

func TestATargetInTheClustersOwnNetworkIsRefusedByDefault(t *testing.T) {
	w := newPolicyWorld(t)
	them := w.otherParty()
	w.setCallback(w.twilio.WorkspaceSID(), slot{them.url, ""})
	w.startOperator()
	policy := w.inForce(forward)
	started := w.conversation(w.twilio.StartConversation("sms", customer, "Hello?"))
	event := w.eventuallyEvent(policy, corev1.EventTypeWarning, "ForwardFailing")
	w.Expect(event.Note).To(containsAll("not public", "--forward-to-private-addresses"))
	w.Expect(them.of(started)).To(gomega.BeEmpty())
}
