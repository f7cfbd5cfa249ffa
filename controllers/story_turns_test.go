package controllers_test

import (
	"testing"
	"time"

	"github.com/onsi/gomega"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

// customers are customers on every channel, by how they can be told from the agent.
var customers = map[string]twiliosim.Start{
	"by SMS":       {Channel: "sms", From: customer, Body: "Hello?"},
	"by WhatsApp":  {Channel: "whatsapp", From: "whatsapp:" + customer, Body: "Hello?"},
	"by Messenger": {Channel: "messenger", From: "messenger:4711", Body: "Hello?"},
	"by SMS, where the task does not say who the customer is": {Channel: "sms", From: customer, Body: "Hello?", Anonymous: true},
	"by web chat, where the task names the customer":          {Channel: "web", From: "anna", Body: "Hello?"},
	"by web chat, where the customer is marked as a guest": {
		Channel: "web", From: "anna", Body: "Hello?", Anonymous: true, ParticipantAttributes: map[string]any{"member_type": "guest"},
	},
	"by web chat, where only the order of joining tells": {Channel: "web", From: "anna", Body: "Hello?", Anonymous: true},
}

func TestACustomerWhoIsOwedTheReplyIsNeverEndedAndASilentOneIs(t *testing.T) {
	for how, begin := range customers {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w, r, _ := start(t, waitingOnCustomer)
			started := w.begin(begin)
			w.goesOnFor(2*timeout, started)
			w.talk(started, twiliosim.Agent, "How can I help?")
			w.pass(time.Minute)
			w.talk(started, twiliosim.Customer, "My parcel has not come.")
			w.goesOnFor(3*timeout, started)
			w.loseCallbacks.Store(true)
			w.goesOnFor(3*timeout, started)
			w.restart(r)
			w.goesOnFor(3*timeout, started)
			w.loseCallbacks.Store(false)
			w.goesOnFor(3*timeout, started)

			answered := w.talk(started, twiliosim.Agent, "It comes tomorrow.")
			w.passAwake(started, timeout-time.Second)
			w.Expect(w.sentSince(answered, started)).To(gomega.BeEmpty())
			w.pass(time.Second)
			w.eventuallySent(answered, started, dueAt(timeout, notice))
			w.eventuallyClosed(started)
		})
	}
}

func TestAWebChatCustomerIsToldFromAnAgentWhoAcceptsInTheSameSecond(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, waitingOnCustomer)
	// Several, because which of two names comes first is chance.
	for _, name := range []string{"anna", "ben", "carla", "dora", "emil", "fritz"} {
		started := w.armed(twiliosim.Start{Channel: "web", From: name, Anonymous: true})
		w.talk(started, twiliosim.Agent, "How can I help?")
		w.pass(2 * time.Second)
		w.talk(started, twiliosim.Customer, "My parcel has not come.")
		w.goesOnFor(timeout+promised, started)
	}
}

func TestAConversationIsNotEndedWhenAnAgentAcceptsItBecauseTheCustomerHadWaitedInTheQueue(t *testing.T) {
	for which, change := range map[string]edit{
		"plain":              func(*v1alpha1.InactivityPolicySpec) {},
		"existing Immediate": func(spec *v1alpha1.InactivityPolicySpec) { spec.Existing = v1alpha1.ExistingImmediate },
		"FirstUnanswered":    func(spec *v1alpha1.InactivityPolicySpec) { spec.Anchor = v1alpha1.AnchorFirstUnanswered },
	} {
		t.Run("with warnings, "+which, func(t *testing.T) {
			t.Parallel()
			w, _, _ := start(t, warned, change)
			started := w.conversation(w.twilio.StartConversation("sms", customer, "Hello?"))
			w.pass(time.Hour)
			w.talk(started, twiliosim.Customer, "Is there anybody?")
			w.pass(time.Hour)
			w.accept(started)
			accepted := w.clock.Now()
			w.eventuallyArmed(started)
			w.passAwake(started, timeout+grain)
			w.eventuallyClosed(started)
			w.eventuallySent(accepted, started, dueAt(firstWarningAfter, firstWarning), dueAt(lastWarningAfter, lastWarning), dueAt(timeout, notice))
		})
	}
}

func TestWhatAProgramWritesDoesNotChangeWhoseTurnItIs(t *testing.T) {
	for which, write := range map[string]func(*world, twiliosim.Started) error{
		"a bot": func(w *world, s twiliosim.Started) error {
			_, err := w.twilio.Post(s.ConversationSID, "helpful-bot", "Did you know? We are open on Sundays.")
			return err
		},
		"a program that gives no name": func(w *world, s twiliosim.Started) error {
			_, err := w.twilio.Post(s.ConversationSID, "", "Your ticket is 4711.")
			return err
		},
	} {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			w, _, _ := start(t, waitingOnCustomer)
			started := w.begin(customers["by web chat, where only the order of joining tells"])
			w.eventuallyArmed(started)
			w.do(write(w, started))
			w.goesOnFor(3*timeout, started)

			asked := w.talk(started, twiliosim.Agent, "What is your order number?")
			w.pass(10 * time.Minute)
			w.do(write(w, started))
			w.passUntil(asked.Add(timeout - time.Second))
			w.Expect(w.notices(started)).To(gomega.BeEmpty())
			w.pass(time.Second)
			w.eventuallyClosed(started)
			w.eventuallySent(asked, started, dueWithin(promised, timeout, notice))
		})
	}
}

func TestAnAgentWhoWritesFirstIsNotWaitedForWhenTheCustomerNeverAnswers(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, waitingOnCustomer)
	started := w.begin(twiliosim.Start{Channel: "sms", From: customer, Outbound: true})
	w.eventuallyArmed(started)
	w.goesOnFor(2*timeout, started)
	asked := w.talk(started, twiliosim.Agent, "You have asked us to call back.")
	w.passAwake(started, timeout+grain)
	w.eventuallySent(asked, started, dueAt(timeout, notice))
	w.eventuallyClosed(started)
}

func TestTheNextAgentOwesTheReplyThatTheOneBeforeOwed(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, waitingOnCustomer)
	first := w.acceptedConversation()
	w.talk(first, twiliosim.Agent, "How can I help?")
	w.pass(time.Minute)
	w.talk(first, twiliosim.Customer, "I want to speak to your boss.")
	second := w.conversation(w.twilio.Transfer(first.ConversationSID))
	w.pass(10 * time.Minute)
	w.accept(second)
	w.goesOnFor(4*timeout, second)
	asked := w.talk(second, twiliosim.Agent, "What is it about?")
	w.passAwake(second, timeout+grain)
	w.eventuallySent(asked, second, dueAt(timeout, notice))
	w.eventuallyClosed(second)
}

func TestWhileTheAgentOwesTheReplyAWakeUpCostsOneWriteAndTheConversationIsKeptActive(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, waitingOnCustomer)
	started := w.acceptedConversation()
	before := len(w.twilio.Writes())
	const wakeUps = 4
	for range wakeUps {
		w.passAwake(started, timeout+grain)
		w.Expect(w.seen(started).State).To(gomega.Equal("active"))
		w.Expect(w.seen(started).DateInactive).NotTo(gomega.BeNil())
	}
	w.Expect(w.writesAbout(started, before)).To(gomega.HaveLen(wakeUps))
	w.goesOnFor(0, started)
}

func TestASecondStillThereOfTheAgentRestartsTheClockOnlyUnderLastMessage(t *testing.T) {
	for anchor, endsAfter := range map[v1alpha1.Anchor]time.Duration{
		"":                             10*time.Minute + timeout,
		v1alpha1.AnchorLastMessage:     10*time.Minute + timeout,
		v1alpha1.AnchorFirstUnanswered: timeout,
	} {
		for _, waitingOn := range []v1alpha1.WaitingOn{v1alpha1.WaitingOnAny, v1alpha1.WaitingOnCustomer} {
			t.Run(string("anchor "+anchor)+", waiting on "+string(waitingOn), func(t *testing.T) {
				t.Parallel()
				w, _, _ := start(t, func(spec *v1alpha1.InactivityPolicySpec) { spec.Anchor, spec.WaitingOn = anchor, waitingOn })
				started := w.acceptedConversation()
				asked := w.talk(started, twiliosim.Agent, "What is your order number?")
				w.pass(10 * time.Minute)
				w.talk(started, twiliosim.Agent, "Are you still there?")
				w.passUntil(asked.Add(endsAfter - time.Second))
				w.Expect(w.notices(started)).To(gomega.BeEmpty())
				w.pass(time.Second)
				w.eventuallyClosed(started)
				w.eventuallySent(asked, started, dueWithin(promised, endsAfter, notice))
			})
		}
	}
}

func TestUnderFirstUnansweredAnAnswerOfTheCustomerStartsTheClockAnew(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, func(spec *v1alpha1.InactivityPolicySpec) { spec.Anchor = v1alpha1.AnchorFirstUnanswered })
	started := w.acceptedConversation()
	w.talk(started, twiliosim.Agent, "What is your order number?")
	w.pass(10 * time.Minute)
	w.talk(started, twiliosim.Agent, "Are you still there?")
	w.pass(4 * time.Minute)
	w.talk(started, twiliosim.Customer, "It is 4711.")
	w.pass(2 * time.Minute)
	asked := w.talk(started, twiliosim.Agent, "And your name?")
	w.pass(5 * time.Minute)
	w.talk(started, twiliosim.Agent, "Hello?")
	w.passUntil(asked.Add(timeout - time.Second))
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.pass(time.Second)
	w.eventuallyClosed(started)
}

const sorry = "Sorry to keep you waiting."

// holdingText is for customers who have waited so long.
func holdingText(after v1alpha1.Duration) edit {
	return func(spec *v1alpha1.InactivityPolicySpec) {
		spec.Unanswered = &v1alpha1.Unanswered{After: after, Message: sorry}
	}
}

func TestACustomerWhoWaitsForTheAgentIsToldSoOnceForEachWait(t *testing.T) {
	t.Parallel()
	w, r, _ := start(t, waitingOnCustomer, holdingText("5m"))
	started := w.acceptedConversation()
	accepted := w.clock.Now()
	w.passAwake(started, 3*time.Minute)
	w.talk(started, twiliosim.Customer, "Hello??")
	w.passAwake(started, 2*time.Minute)
	// The second message has put off Twilio's timer: it is the sweep that finds the conversation.
	first := dueWithin(promised, 5*time.Minute, sorry)
	w.eventuallyFound(accepted, started, first)

	w.talk(started, twiliosim.Customer, "Is there anybody?")
	w.goesOnFor(2*timeout, started)
	w.loseCallbacks.Store(true)
	w.goesOnFor(timeout, started)
	w.restart(r)
	w.goesOnFor(timeout, started)
	w.loseCallbacks.Store(false)

	w.talk(started, twiliosim.Agent, "I am here now.")
	w.passAwake(started, 3*time.Minute)
	asked := w.talk(started, twiliosim.Customer, "Where is my parcel?")
	w.passAwake(started, 4*time.Minute)
	w.talk(started, twiliosim.Customer, "It was to come yesterday.")
	w.passAwake(started, time.Minute)
	second := dueWithin(promised, asked.Sub(accepted)+5*time.Minute, sorry)
	w.eventuallyFound(accepted, started, first, second)
	w.goesOnFor(2*timeout, started)

	answered := w.talk(started, twiliosim.Agent, "It comes tomorrow.")
	w.pass(timeout)
	w.eventuallyClosed(started)
	w.eventuallySent(accepted, started, first, second, dueWithin(promised, answered.Sub(accepted)+timeout, notice))
}

func TestTheTextForWhoWaitsDoesNotPutOffTheEndOfASilenceThatCountsForBoth(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, holdingText("5m"))
	started := w.acceptedConversation()
	asked := w.talk(started, twiliosim.Customer, "Where is my parcel?")
	w.passAwake(started, timeout+grain)
	w.eventuallyClosed(started)
	w.eventuallySent(asked, started, dueAt(5*time.Minute, sorry), dueAt(timeout, notice))
}
