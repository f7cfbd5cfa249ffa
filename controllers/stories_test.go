package controllers_test

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/operator"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// edit is a change of a policy's spec.
type edit = func(*v1alpha1.InactivityPolicySpec)

func saying(text string) edit {
	return func(spec *v1alpha1.InactivityPolicySpec) { spec.Message = text }
}

func timingOut(after v1alpha1.Duration) edit {
	return func(spec *v1alpha1.InactivityPolicySpec) { spec.Timeout = after }
}

func ranked(priority int32) edit {
	return func(spec *v1alpha1.InactivityPolicySpec) { spec.Priority = priority }
}

func selecting(selector v1alpha1.Selector) edit {
	return func(spec *v1alpha1.InactivityPolicySpec) { spec.Selector = &selector }
}

func warning(before v1alpha1.Duration, text v1alpha1.Text) edit {
	return func(spec *v1alpha1.InactivityPolicySpec) {
		spec.Warnings = append(spec.Warnings, v1alpha1.Warning{Before: before, Message: text})
	}
}

// also makes another policy beside those that are there, and waits until it is in force or stands by.
func (w *world) also(name string, change ...edit) *v1alpha1.InactivityPolicy {
	w.t.Helper()
	policy := w.policy(name, change...)
	w.create(policy)
	w.eventuallyReady(policy)
	return policy
}

// eventuallyOverlaps waits until a policy knows of the others that may select the same conversations, and has taken
// effect with them.
func (w *world) eventuallyOverlaps(policies ...*v1alpha1.InactivityPolicy) {
	w.t.Helper()
	for _, policy := range policies {
		w.eventuallyCondition(policy, v1alpha1.ConditionOverlapping, "True/"+v1alpha1.ReasonSharedConversations)
	}
}

// withdraw deletes a policy and waits until it is gone, also for the operators.
func (w *world) withdraw(policy *v1alpha1.InactivityPolicy) {
	w.t.Helper()
	w.do(w.cluster.Delete(w.t.Context(), policy))
	for _, reader := range append([]client.Reader{w.cluster}, w.caches()...) {
		w.Eventually(func() bool {
			return apierrors.IsNotFound(reader.Get(w.t.Context(), client.ObjectKeyFromObject(policy), &v1alpha1.InactivityPolicy{}))
		}).Should(gomega.BeTrue(), "the policy is gone")
	}
}

// caches are what the operators know of the cluster.
func (w *world) caches() []client.Reader {
	var caches []client.Reader
	for _, r := range w.replicas {
		caches = append(caches, r.manager.GetClient())
	}
	return caches
}

// accepted is a conversation that an agent accepts. What start leaves out is a text message of somebody new. It is armed
// if a policy owns it, which is not waited for.
func (w *world) accepted(start twiliosim.Start) twiliosim.Started {
	w.t.Helper()
	started := w.waiting(start)
	w.accept(started)
	w.settle()
	return started
}

// waiting is a conversation that waits for an agent.
func (w *world) waiting(start twiliosim.Start) twiliosim.Started {
	w.t.Helper()
	start.Channel = cmp.Or(start.Channel, "sms")
	start.From = cmp.Or(start.From, fmt.Sprintf("+1500555%04d", 100+len(w.twilio.State().Conversations)))
	if !start.Outbound {
		start.Body = cmp.Or(start.Body, "Hello?")
	}
	return w.conversation(w.twilio.StartConversationWith(start))
}

// armed is an accepted conversation that somebody's policy owns.
func (w *world) armed(start twiliosim.Start) twiliosim.Started {
	w.t.Helper()
	started := w.accepted(start)
	w.eventuallyArmed(started)
	return started
}

func (w *world) says(started twiliosim.Started, who, text string) {
	w.t.Helper()
	w.do(w.twilio.Say(started.ConversationSID, who, text))
	w.settle()
}

// said are the operator's messages of a conversation, in order.
func (w *world) said(started twiliosim.Started) []twiliosim.MessageState {
	w.t.Helper()
	return slices.DeleteFunc(w.seen(started).Messages, func(message twiliosim.MessageState) bool {
		return !strings.Contains(message.Attributes, `"inactivityPolicy"`)
	})
}

// eventuallySaid waits until the operator has said so much in all, no later than promised. Time passes only when the
// operator has nothing to do at the moment, so that what is said is not late because the machine is slow.
func (w *world) eventuallySaid(started twiliosim.Started, texts ...string) {
	w.t.Helper()
	const step = 5 * time.Second
	w.quiet()
	for left := promised; left > 0 && len(w.notices(started)) < len(texts); left -= step {
		w.keepUp(step)
	}
	w.Eventually(func() []string { return w.notices(started) }).Should(gomega.Equal(texts))
}

// keepUp lets time pass as pass does, in steps that the operator keeps up with too.
func (w *world) keepUp(length time.Duration) {
	w.t.Helper()
	for length > 0 {
		step := min(length, sweepEvery)
		w.clock.Step(step)
		w.settle()
		w.quiet()
		length -= step
	}
}

// quiet waits until nobody has asked Twilio for anything for some moments.
func (w *world) quiet() {
	w.t.Helper()
	const moments = 4
	seen, same := len(w.twilio.Journal()), 0
	w.Eventually(func() int {
		same++
		if news := len(w.twilio.JournalSince(seen)); news > 0 {
			seen, same = seen+news, 0
		}
		return same
	}).Should(gomega.BeNumerically(">=", moments), "Twilio is left in peace")
}

// ends waits until a conversation that is due is ended, as eventuallySaid waits; but for longer, because a warning that a slow
// machine has made late puts the end off.
func (w *world) ends(started twiliosim.Started) {
	w.t.Helper()
	const step, patience = 5 * time.Second, 5 * time.Minute
	w.quiet()
	for left := patience; left > 0 && w.seen(started).State != "closed"; left -= step {
		w.keepUp(step)
	}
	w.Eventually(func() string { return w.seen(started).State }).Should(gomega.Equal("closed"))
}

// leap lets hours pass, in which nothing is expected to happen.
func (w *world) leap(length time.Duration) {
	w.t.Helper()
	for length > 0 {
		step := min(length, time.Hour)
		w.clock.Step(step)
		w.settle()
		w.quiet()
		length -= step
	}
}

// leapTo is leap to a moment.
func (w *world) leapTo(moment time.Time) {
	w.t.Helper()
	w.leap(moment.Sub(w.clock.Now()))
}

// writesAbout are the operator's writes to a conversation, its tasks and its channel, from the given one of all on.
func (w *world) writesAbout(started twiliosim.Started, since int) []string {
	w.t.Helper()
	var found []string
	for _, entry := range w.twilio.Writes()[since:] {
		for _, sid := range []string{started.ConversationSID, started.TaskSID, started.ChannelSID} {
			if sid != "" && strings.Contains(entry.Path, sid) {
				found = append(found, fmt.Sprint(entry.Method, " ", entry.Path, " ", entry.Form))
				break
			}
		}
	}
	return found
}

// neverTouched shows that the operator has heard of a conversation that an agent has, and has written nothing to it.
func (w *world) neverTouched(started twiliosim.Started) {
	w.t.Helper()
	heard := slices.ContainsFunc(w.twilio.Journal(), func(entry twiliosim.Entry) bool {
		return entry.Kind == twiliosim.KindCallback && entry.Event == acceptEvent && entry.Status == http.StatusNoContent &&
			entry.Form.Get("TaskSid") == started.TaskSID
	})
	w.Expect(heard).To(gomega.BeTrue(), "the operator has heard of the conversation")
	w.Expect(w.writesAbout(started, 0)).To(gomega.BeEmpty())
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
}

// conditionMessage is the message of a condition.
func (w *world) conditionMessage(policy *v1alpha1.InactivityPolicy, kind string) string {
	w.t.Helper()
	return policyWorld{world: w}.message(policy, kind)
}

// warningEvent waits for an event of the kind Warning on a policy and returns its note.
func (w *world) warningEvent(policy *v1alpha1.InactivityPolicy, reason string) string {
	w.t.Helper()
	return policyWorld{world: w}.eventuallyEvent(policy, corev1.EventTypeWarning, reason).Note
}

// conditionTypes are the conditions that a policy has, whatever they say.
func (w *world) conditionTypes(policy *v1alpha1.InactivityPolicy) []string {
	w.t.Helper()
	var types []string
	for _, condition := range w.get(policy).Status.Conditions {
		types = append(types, condition.Type)
	}
	return types
}

// Stories of warnings are told in minutes: the usual timeout is 15 of them, and the usual warnings come in minutes 6 and 11.
const (
	firstWarning = "Are you still there?"
	lastWarning  = "We are about to close this chat."

	firstWarningAfter = 6 * time.Minute
	lastWarningAfter  = 11 * time.Minute
	firstBefore       = timeout - firstWarningAfter
	lastBefore        = timeout - lastWarningAfter
)

// warned warns twice before the end.
func warned(spec *v1alpha1.InactivityPolicySpec) {
	warning("9m", firstWarning)(spec)
	warning("4m", lastWarning)(spec)
}

func waitingOnCustomer(spec *v1alpha1.InactivityPolicySpec) {
	spec.WaitingOn = v1alpha1.WaitingOnCustomer
}

func observing(spec *v1alpha1.InactivityPolicySpec) { spec.Mode = v1alpha1.ModeObserve }

// sentText is a text of the operator's, and how long after some moment it was sent.
type sentText struct {
	After time.Duration
	Text  string
}

// sentSince is what the operator has sent to the customer, in order.
func (w *world) sentSince(moment time.Time, started twiliosim.Started) []sentText {
	w.t.Helper()
	var texts []sentText
	for _, message := range w.said(started) {
		texts = append(texts, sentText{message.Created.Sub(moment), message.Body})
	}
	return texts
}

// grain is how much later than due a text may be sent that Twilio's timer has led to: the operator sets timers in steps of
// five seconds.
const grain = 5 * time.Second

// dueAt matches a text that was sent when it was due, and not before.
func dueAt(after time.Duration, text string) gomega.OmegaMatcher {
	return dueWithin(grain, after, text)
}

// dueWithin matches a text that was sent no later than so much after it was due, and not before.
func dueWithin(late, after time.Duration, text string) gomega.OmegaMatcher {
	return gomega.And(gomega.HaveField("Text", text),
		gomega.HaveField("After", gomega.And(gomega.BeNumerically(">=", after), gomega.BeNumerically("<=", after+late))))
}

// eventuallySent waits until this is what the operator has sent. No time passes meanwhile.
func (w *world) eventuallySent(moment time.Time, started twiliosim.Started, want ...any) {
	w.t.Helper()
	w.Eventually(func() []sentText { return w.sentSince(moment, started) }).Should(gomega.HaveExactElements(want...))
}

// eventuallyFound is eventuallySent for what the sweep has to find, which may take as long as promised.
func (w *world) eventuallyFound(moment time.Time, started twiliosim.Started, want ...any) {
	w.t.Helper()
	w.eventually(promised, func() bool { return len(w.said(started)) >= len(want) }, "the operator sends the next text")
	w.eventuallySent(moment, started, want...)
}

// sentInTurn shows that these are the texts of the ladder that a silent customer was sent: each when it was due, or so much
// later at most, and every warning with its whole time before the end. What was due before the operator was there is due then.
func (w *world) sentInTurn(late time.Duration, begun time.Time, since time.Duration, started twiliosim.Started, texts ...string) {
	w.t.Helper()
	w.Expect(w.notices(started)).To(gomega.Equal(texts))
	left := map[string]time.Duration{firstWarning: firstBefore, lastWarning: lastBefore, notice: 0}
	end := timeout
	for _, sent := range w.sentSince(begun, started) {
		due := max(end-left[sent.Text], since)
		w.Expect(sent.After).To(gomega.And(gomega.BeNumerically(">=", due), gomega.BeNumerically("<=", due+late)), sent.Text)
		end = max(end, sent.After+left[sent.Text])
	}
}

// talk has somebody write, while the operator is not just looking: a look that began before would otherwise go on after
// the story's next leap in time, as none does in fact. It returns when it was.
func (w *world) talk(started twiliosim.Started, who, text string) time.Time {
	w.t.Helper()
	w.quiet()
	w.says(started, who, text)
	return w.clock.Now()
}

// begin starts a conversation that an agent accepts after some seconds in the queue, and waits until it is armed.
func (w *world) begin(start twiliosim.Start) twiliosim.Started {
	w.t.Helper()
	started := w.waiting(start)
	w.clock.Step(5 * time.Second)
	if !start.Outbound {
		w.accept(started)
	}
	w.eventuallyArmed(started)
	return started
}

// passAwake lets time pass from one wake-up of Twilio's to the next, and waits until the operator has answered each before
// more time passes: what it does is dated by when it was woken.
func (w *world) passAwake(started twiliosim.Started, length time.Duration) {
	w.t.Helper()
	for until := w.clock.Now().Add(length); w.clock.Now().Before(until); {
		step := min(sweepEvery, until.Sub(w.clock.Now()))
		wakes := w.seen(started).DateInactive
		if wakes != nil && wakes.After(w.clock.Now()) {
			step = min(step, wakes.Sub(w.clock.Now()))
		}
		w.pass(step)
		if wakes != nil && !w.clock.Now().Before(*wakes) {
			w.awake(started)
		}
	}
}

// awake waits until the operator has answered Twilio's last wake-up, and has come to rest.
func (w *world) awake(started twiliosim.Started) {
	w.t.Helper()
	w.Eventually(func() bool { return w.answered(started) }).Should(gomega.BeTrue(), "the operator answers Twilio's wake-up")
	w.quiet()
}

// answered reports whether the operator has answered Twilio's last wake-up: it has set the conversation's timer anew, also
// after a text of its own, or has closed the conversation. A person who writes wakes the conversation as well.
func (w *world) answered(started twiliosim.Started) bool {
	path := "/v1/Conversations/" + started.ConversationSID
	for _, entry := range slices.Backward(w.twilio.Journal()) {
		switch {
		case entry.Path == started.ConversationSID && entry.Kind == twiliosim.KindTimer, entry.Path == path+"/Messages" && entry.Effect:
			return w.seen(started).State == "closed"
		case entry.Path == started.ConversationSID && entry.Kind == twiliosim.KindPeople,
			entry.Path == path && entry.Effect && entry.Form.Has("Timers.Inactive"):
			return true
		}
	}
	return true
}

// passSweeping lets whole minutes pass, and has the leader sweep in each and come to rest.
func (w *world) passSweeping(length time.Duration) {
	w.t.Helper()
	for ; length > 0; length -= sweepEvery {
		swept := w.sweeps()
		w.clock.Step(sweepEvery)
		w.settle()
		w.Eventually(w.sweeps).Should(gomega.BeNumerically(">", swept), "the leader sweeps")
		w.quiet()
	}
}

// passUntil lets time pass until a moment.
func (w *world) passUntil(moment time.Time) {
	w.t.Helper()
	w.pass(moment.Sub(w.clock.Now()))
}

// standInFor starts an operator behind the public URL of one that has stopped.
func (w *world) standInFor(stopped *replica, change ...func(*operator.Config)) *replica {
	w.t.Helper()
	listener, err := new(net.ListenConfig).Listen(w.t.Context(), "tcp", stopped.publicURL.Host)
	w.do(err)
	return w.startOperator(append(change, func(c *operator.Config) {
		w.do(c.ReceiverListener.Close())
		c.ReceiverListener, c.PublicURL = listener, stopped.publicURL
	})...)
}

// restart replaces an operator by another one behind the same public URL.
func (w *world) restart(r *replica) *replica {
	w.t.Helper()
	r.stop()
	return w.standInFor(r)
}

// goesOnFor lets time pass in which the operator says and ends nothing.
func (w *world) goesOnFor(length time.Duration, started twiliosim.Started) {
	w.t.Helper()
	before := w.notices(started)
	w.pass(length)
	w.quiet()
	w.Expect(w.notices(started)).To(gomega.Equal(before), "nothing is said")
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
	w.Expect(w.seen(started).State).NotTo(gomega.Equal("closed"))
}
