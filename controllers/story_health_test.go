package controllers_test

import (
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/health"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// hold has Twilio hold every request up that is one of those meant, from the first on. It reports whether there was one.
// release lets them go.
func (w *world) hold(meant func(r *http.Request, form url.Values) bool) (held func() bool, release func()) {
	gate := make(chan struct{})
	var met atomic.Bool
	watch := func(r *http.Request, form url.Values) bool {
		if meant(r, form) {
			met.Store(true)
			<-gate
		}
		return true
	}
	w.onRequest.Store(&watch)
	open := sync.OnceFunc(func() { close(gate) })
	w.t.Cleanup(open)
	return met.Load, open
}

func TestAReplicaIsReadyFromWhenItsSecretsAreReadUntilItIsToldToStop(t *testing.T) {
	for kind, change := range map[string]func(*operator.Config){
		"with a receiver":    func(*operator.Config) {},
		"without a receiver": func(c *operator.Config) { c.PublicURL = nil },
	} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			r := w.assembleOperator(change)
			w.Expect(r.isReady()).NotTo(gomega.Succeed(), "ready before it was started")
			w.Expect(r.isAlive()).To(gomega.Succeed())
			r.start()
			w.Eventually(r.isReady).Should(gomega.Succeed())

			policy := w.inForce(withoutCallbacks)
			held, release := w.hold(func(r *http.Request, _ url.Values) bool { return conversationPath.MatchString(r.URL.Path) })
			w.accept(w.conversation(w.twilio.StartConversation("sms", customer, "Hello?")))
			w.eventually(2*sweepEvery, held, "a worker looks at the conversation")
			r.tell()
			w.Eventually(r.isReady).ShouldNot(gomega.Succeed(), "ready while it drains")
			w.Expect(r.isAlive()).To(gomega.Succeed(), "a replica that drains is left alone")
			release()
			r.stop()
			w.Expect(r.isReady()).NotTo(gomega.Succeed(), "ready after the end")
			w.Expect(w.condition(policy, v1alpha1.ConditionReady)).To(gomega.Equal("True/Succeeded"))
		})
	}
}

// deaf carries requests to Twilio, but those to some paths never come back, not even when they are given up: the wedge that
// nobody has thought of.
type deaf struct {
	to      *regexp.Regexp
	met     atomic.Bool
	release chan struct{}
}

func (d *deaf) RoundTrip(r *http.Request) (*http.Response, error) {
	if d.to.MatchString(r.URL.Path) {
		d.met.Store(true)
		<-d.release
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestAReplicaWithAWorkerThatNeverComesBackIsNotAlive(t *testing.T) {
	for controller, path := range map[string]*regexp.Regexp{
		"conversation":     conversationPath,
		"inactivitypolicy": regexp.MustCompile(`/Workspaces$`),
	} {
		t.Run(controller, func(t *testing.T) {
			w := newWorld(t)
			never := &deaf{to: path, release: make(chan struct{})}
			release := sync.OnceFunc(func() { close(never.release) })
			r := w.startOperator(func(c *operator.Config) { c.TwilioTransport = never })
			t.Cleanup(release) // before the operator is stopped
			w.createSecret()
			w.create(w.policy("plain"))
			if controller == "conversation" {
				w.Eventually(func() int { return len(w.writesTo("/Workspaces/")) }).Should(gomega.BeNumerically(">", 0), "the workspace calls the operator")
				w.accept(w.conversation(w.twilio.StartConversation("sms", customer, "Hello?")))
			}
			w.eventually(2*sweepEvery, never.met.Load, "a worker is stuck")
			w.Expect(r.isAlive()).To(gomega.Succeed())
			w.clock.Step(health.Patience / 2)
			w.Expect(r.isAlive()).To(gomega.Succeed())
			w.clock.Step(health.Patience)
			w.Expect(r.isAlive()).To(gomega.MatchError(gomega.ContainSubstring("the queue of controller " + controller + " is wedged")))
			release()
			w.Eventually(r.isAlive).Should(gomega.Succeed())
		})
	}
}

func TestAReplicaIsAliveWhateverTwilioDoes(t *testing.T) {
	for how, fault := range map[string]twiliosim.Fault{
		"it is down":               {Drop: twiliosim.DropBefore},
		"it answers 503":           {Status: http.StatusServiceUnavailable},
		"it throttles for an hour": {Status: http.StatusTooManyRequests, Code: 20429, Header: http.Header{"Retry-After": {"3600"}}},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w, r, _ := start(t)
			started := w.acceptedConversation()
			w.twilio.Fail(fault)
			for passed := time.Duration(0); passed < timeout+4*health.Patience; passed += sweepEvery {
				w.pass(sweepEvery)
				w.Eventually(r.isAlive).Should(gomega.Succeed())
				w.Expect(r.isReady()).To(gomega.Succeed(), "callbacks are taken all the same")
			}
			w.Expect(w.seen(started).State).NotTo(gomega.Equal("closed"))
		})
	}
}
