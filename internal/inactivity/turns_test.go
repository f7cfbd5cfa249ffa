package inactivity

import (
	"testing"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// Whose message it is shows in what a policy that waits for the customer does after it: the agent wrote in minute 10, then
// the message came in minute 12.
func TestWhoWroteAMessage(t *testing.T) {
	const now = 26
	byCustomer := waits(ReasonAgentOwesReply, now+15)
	byAgent := waits(ReasonNotDue, 27)
	byProgram := tells(now, "Bye.", dueSince(25))

	waiting := swept(waitsForCustomer)
	under := func(author string) Policy {
		return swept(waitsForCustomer, func(p *Policy) { p.Author = author })
	}
	sees := func(raw string, wrote Message, members ...member) Snapshot {
		return with(talk(now, wrote, agentAt(10)), tasks(task("WT1", TaskAssigned, acceptedAt(1), attributes(raw))),
			among(append(members, agentByIdentity)...))
	}
	marked := func(m Message) Message {
		m.Marker = &Marker{Policy: "team/plain", Step: StepNotice, Episode: "IM10", IdleSince: at(10), Action: v1alpha1.ActionClose}
		return m
	}
	guest := func(joined float64, attributes string) member {
		return member{"MB-guest", Participant{Identity: "guest", Attributes: attributes, Joined: at(joined)}}
	}
	boss := member{"MB-boss", Participant{Identity: "boss", Joined: at(0)}}
	web := `{"channelType":"web"}`

	check(t, map[string]rule{
		// Channels with an address.
		"an SMS from the task's customerAddress is the customer's": {
			waiting, sees(`{"channelType":"sms","customerAddress":"+15550002222"}`, message(12, "+15550002222", "MB9"), boss), byCustomer},
		"an SMS from the task's from is the customer's": {
			waiting, sees(`{"channelType":"sms","from":"+15550002222"}`, message(12, "+15550002222", "MB9"), boss), byCustomer},
		"a WhatsApp message is the customer's by the task's address": {
			waiting, sees(`{"channelType":"whatsapp","from":"whatsapp:+15550002222"}`, message(12, "whatsapp:+15550002222", "MB9"), boss), byCustomer},
		"a WhatsApp message under another name is the customer's, whose participant has an address": {
			waiting, sees(`{"channelType":"whatsapp"}`, message(12, "Ann", "MB-ann"), member{"MB-ann", Participant{Address: "whatsapp:+15550002222", Joined: at(5)}}), byCustomer},
		"a Messenger message is the customer's, whose participant has an address": {
			waiting, sees(`{"channelType":"messenger"}`, message(12, "messenger:77", "MB-m"), member{"MB-m", Participant{Address: "messenger:77", Joined: at(5)}}), byCustomer},
		"the customer's message is the customer's although the customer has left": {
			waiting, sees(`{"channelType":"sms"}`, customerAt(12), boss), byCustomer},
		"a customer's message that a program relays is the customer's": {
			waiting, sees(`{"channelType":"sms"}`, message(12, customer, ""), customerByAddress), byCustomer},

		// Web chat, where the customer has an identity as agents have.
		"a web chat message is the customer's when the task names the identity": {
			waiting, sees(`{"channelType":"web","customerAddress":"guest"}`, message(12, "Ann", "MB-guest"), guest(5, "")), byCustomer},
		"a web chat message is the customer's when the participant is marked as a guest": {
			waiting, sees(web, message(12, "guest", "MB-guest"), guest(5, `{"member_type":"guest"}`)), byCustomer},
		"a web chat message is the customer's who joined first, when nothing else tells": {
			waiting, sees(web, message(12, "guest", "MB-guest"), guest(0, "")), byCustomer},
		"a web chat message of somebody who joined later is an agent's": {
			waiting, sees(web, message(12, "guest", "MB-guest"), guest(5, "")), byAgent},
		"who is alone in a web chat is the customer": {
			waiting, with(sees(web, message(12, "guest", "MB-guest")), among(guest(0, ""))), byCustomer},
		"of two who joined at once the same one is always the customer": {
			waiting, sees(web, message(12, "guest", "MB-aa"), member{"MB-aa", Participant{Identity: "guest", Joined: at(1)}}), byCustomer},
		"who joined first is no customer when somebody else is one by a sign": {
			waiting, sees(web, message(12, "boss", "MB-boss"), guest(5, `{"member_type":"guest"}`), boss), byAgent},
		"another member_type makes nobody a customer": {
			waiting, sees(web, message(12, "guest", "MB-guest"), guest(5, `{"member_type":"agent"}`)), byAgent},
		"attributes that cannot be read make nobody a customer": {
			waiting, sees(web, message(12, "guest", "MB-guest"), guest(5, `{"member_type":`)), byAgent},

		// Others.
		"a message of an agent who has left is an agent's": {
			waiting, sees(`{"channelType":"sms"}`, message(12, "former", "MB-former"), customerByAddress), byAgent},
		"a message of somebody who has left a web chat of strangers may be the customer's": {
			waiting, sees(web, message(12, "former", "MB-former"), guest(0, "")), byCustomer},
		"a message of an agent who has left a web chat is an agent's where the customer is known": {
			waiting, sees(web, message(12, "former", "MB-former"), guest(0, `{"member_type":"guest"}`)), byAgent},
		"a bot that takes part in a web chat of strangers may be the customer": {
			waiting, sees(web, message(12, "bot", "MB-bot"), guest(0, ""), member{"MB-bot", Participant{Identity: "bot", Joined: at(0.5)}}), byCustomer},
		"a bot that takes part counts as an agent where the customer is known": {
			waiting, sees(web, message(12, "bot", "MB-bot"), guest(0, `{"member_type":"guest"}`), member{"MB-bot", Participant{Identity: "bot", Joined: at(1)}}), byAgent},
		"a customer of a web chat of strangers that a bot has joined first is not ended who waits for an agent": {
			waiting, sees(web, message(12, "guest", "MB-guest"), guest(0.5, ""), member{"MB-bot", Participant{Identity: "bot", Joined: at(0)}}), byCustomer},
		"a bot that writes over REST is a program": {
			waiting, sees(web, botAt(12), guest(0, "")), byProgram},
		`the author "system" is a program`: {
			waiting, sees(web, program("IM12", 12), guest(0, "")), byProgram},
		`the author "system" is a program although a participant is named`: {
			waiting, sees(web, message(12, "system", "MB-guest"), guest(0, "")), byProgram},

		// The operator, and who passes for it.
		"the operator's own message is nobody's": {
			waiting, sees(web, own(StepUnanswered, 12), guest(0, "")), byProgram},
		"the operator's own message is nobody's although its author takes part": {
			under("Support"), sees(web, func() Message {
				m := own(StepUnanswered, 12)
				m.Author, m.ParticipantSID = "Support", "MB-support"
				return m
			}(), guest(0, `{"member_type":"guest"}`), member{"MB-support", Participant{Identity: "Support", Joined: at(1)}}), byProgram},
		"the operator's message over REST is its own whatever its author": {
			waiting, sees(web, func() Message { m := own(StepUnanswered, 12); m.Author = "Support"; return m }(), guest(0, "")), byProgram},
		"a customer who forges the operator's marker has written": {
			waiting, sees(web, marked(message(12, "guest", "MB-guest")), guest(0, "")), byCustomer},
		"a customer who forges the operator's marker is not believed because the policy has an author": {
			under("Support"), sees(web, marked(message(12, "guest", "MB-guest")), guest(0, "")), byCustomer},
		"an agent who forges the operator's marker has written": {
			waiting, sees(web, marked(agentAt(12)), guest(0, "")), byAgent},
		"the policy's author without a marker is a person": {
			under("Support"), sees(web, message(12, "Support", "MB-support"), guest(0, `{"member_type":"guest"}`), member{"MB-support", Participant{Identity: "Support", Joined: at(1)}}), byAgent},
	})
}

func TestWhoseTurnItIs(t *testing.T) {
	anybody, customers := swept(), swept(waitsForCustomer)
	strangers := tasks(task("WT1", TaskAssigned, acceptedAt(1), func(t *Task) { t.Attributes.CustomerAddresses = nil }))
	handedOver := tasks(task("WT1", TaskAssigned, acceptedAt(1)), task("WT2", TaskAssigned, acceptedAt(12)))
	check(t, map[string]rule{
		// waitingOn: Any
		"Any: a customer whom nobody answers is ended": {
			anybody, talk(25, customerAt(10)), tells(25, "Bye.", owedBy(TurnAgent))},
		`Any: "thanks, bye" is ended, to the second and not before`: {
			anybody, talk(24.99, customerAt(10), agentAt(5)), waits(ReasonNotDue, 25)},
		"Any: a conversation in which nobody wrote is ended a timeout after the accept": {
			anybody, talk(16), tells(16, "Bye.", owedBy(TurnAgent), inSilence("WR-WT1", 1))},

		"Any: who owes the reply is not recorded where nobody knows whose message it is": {
			anybody, with(talk(25, message(10, "guest", "MB-guest")), participantsUnseen, strangers), tells(25, "Bye.", owedBy(""))},
		"Any: who does not write from the customer's address is an agent": {
			anybody, with(talk(25, agentAt(10)), participantsUnseen), tells(25, "Bye.", owedBy(TurnCustomer))},

		// waitingOn: Customer
		"Customer: an agent whom the customer does not answer is due": {
			customers, talk(25, agentAt(10), customerAt(2)), tells(25, "Bye.")},
		`Customer: "thanks, bye" is never ended`: {
			customers, talk(5000, customerAt(10), agentAt(5)), waits(ReasonAgentOwesReply, 5015)},
		"Customer: where nobody has written the agent owes the reply": {
			customers, talk(5000), waits(ReasonAgentOwesReply, 5015)},
		"Customer: a bot's greeting is no reply": {
			customers, talk(5000, botAt(10), customerAt(2)), waits(ReasonAgentOwesReply, 5015)},
		"Customer: a bot's message after the agent's does not restart the clock": {
			customers, talk(25, botAt(20), agentAt(10)), tells(25, "Bye.")},
		"Customer: an answer of the customer stops the clock, and the agent's reply starts it anew": {
			customers, talk(35, agentAt(30), customerAt(20), agentAt(10)), waits(ReasonNotDue, 45)},
		"Customer: an agent who wrote first, to a customer who never wrote, is due": {
			customers, talk(25, agentAt(10)), tells(25, "Bye.")},
		"Customer: the next agent gets the whole timeout, although the customer already owed the reply": {
			customers, with(talk(25, agentAt(10)), handedOver), waits(ReasonNotDue, 27)},
		"Customer: the next agent owes the reply that the one before owed": {
			customers, with(talk(5000, customerAt(10)), handedOver), waits(ReasonAgentOwesReply, 5015)},
		"Customer: the text for who waits is no reply": {
			swept(waitsForCustomer, unanswered(5)), talk(5000, own(StepUnanswered, 15), customerAt(10)), waits(ReasonAgentOwesReply, 5005)},

		// anchor
		"LastMessage: a second \"still there?\" restarts the clock": {
			anybody, talk(25, agentAt(20), agentAt(10), customerAt(2)), waits(ReasonNotDue, 35)},
		"FirstUnanswered: a second \"still there?\" does not restart the clock": {
			swept(fromFirstUnanswered), talk(25, agentAt(24), agentAt(20), agentAt(10), customerAt(2)), tells(25, "Bye.")},
		"FirstUnanswered: a bot among the agent's messages changes nothing": {
			swept(fromFirstUnanswered), talk(25, agentAt(20), botAt(15), agentAt(10), botAt(5), customerAt(2)), tells(25, "Bye.")},
		"FirstUnanswered: the operator's own text among the agent's messages changes nothing": {
			swept(fromFirstUnanswered), talk(25, agentAt(20), own(StepUnanswered, 15), agentAt(10), customerAt(2)), tells(25, "Bye.")},
		"FirstUnanswered: only messages since the customer's last count": {
			swept(fromFirstUnanswered), talk(25, agentAt(14), agentAt(12), customerAt(11), agentAt(10), customerAt(2)), waits(ReasonNotDue, 27)},
		"FirstUnanswered: if the customer wrote last, the last message counts": {
			swept(fromFirstUnanswered), talk(25, customerAt(14), customerAt(12), agentAt(10)), waits(ReasonNotDue, 29)},
		"FirstUnanswered: where the customer never wrote, the agent's first message counts": {
			swept(fromFirstUnanswered), talk(25, agentAt(20), agentAt(10)), tells(25, "Bye.")},
		"FirstUnanswered: two agents are one side": {
			swept(fromFirstUnanswered), talk(25, message(20, "boss", "MB-boss"), agentAt(10), customerAt(2)), tells(25, "Bye.")},
		"FirstUnanswered: an agent's message after the notice stops the ending": {
			swept(fromFirstUnanswered), talk(26, agentAt(25.5), own(StepNotice, 25), agentAt(10), customerAt(2)), waits(ReasonNotDue, 40.5)},
		"FirstUnanswered: an agent's message before the notice does not": {
			swept(fromFirstUnanswered), talk(26, own(StepNotice, 25), agentAt(24), agentAt(10), customerAt(2)), finishes(ReasonNoticeSent)},
		"FirstUnanswered: a message before the accept counts from the accept": {
			swept(fromFirstUnanswered), talk(16, agentAt(10), agentAt(-5), customerAt(-10)), tells(16, "Bye.", inSilence("WR-WT1", 1))},
	})
}

func TestWhatHasToBeReadToSeeWhoseTurnItIs(t *testing.T) {
	plain, sms, whatsApp := swept(), onChannel("sms"), onChannel("whatsapp")
	unseen := func(channelType func(*Task), messages ...Message) Snapshot {
		return with(talk(25, messages...), participantsUnseen, tasks(task("WT1", TaskAssigned, acceptedAt(1), channelType)))
	}
	check(t, map[string]rule{
		"a plain policy never asks who takes part": {
			plain, unseen(sms, agentAt(10)), tells(25, "Bye.")},
		"a policy with warnings never asks who takes part": {
			swept(ladder), unseen(sms, agentAt(24), warned(20, 5)), waits(ReasonNotDue, 34)},
		"Customer: who takes part is read to tell an agent's message": {
			swept(waitsForCustomer), unseen(sms, agentAt(10)), asks(NeedParticipants)},
		"Customer: who takes part is not read when the customer's address wrote last": {
			swept(waitsForCustomer), unseen(sms, customerAt(10), agentAt(5)), waits(ReasonAgentOwesReply, 40)},
		"Customer: who takes part is not read for programs": {
			swept(waitsForCustomer), unseen(sms, botAt(10)), waits(ReasonAgentOwesReply, 40)},
		"FirstUnanswered: who takes part is read": {
			swept(fromFirstUnanswered), unseen(sms, agentAt(10)), asks(NeedParticipants)},
		"unanswered: who takes part is read": {
			swept(unanswered(5)), unseen(sms, agentAt(10)), asks(NeedParticipants)},
		"replyWindow: who takes part is read on WhatsApp": {
			swept(window(v1alpha1.OutsideSkip)), unseen(whatsApp, agentAt(10)), asks(NeedParticipants)},
		"replyWindow: who takes part is not read on a channel without a window": {
			swept(window(v1alpha1.OutsideSkip)), unseen(sms, agentAt(10)), tells(25, "Bye.")},

		"LastMessage: the newest message of a person is enough": {
			plain, with(talk(25, agentAt(10)), more), tells(25, "Bye.")},
		"Customer: the newest message of a person is enough": {
			swept(waitsForCustomer), with(talk(25, agentAt(10)), more), tells(25, "Bye.")},
		"FirstUnanswered: messages are read back to the customer's last": {
			swept(fromFirstUnanswered), with(talk(25, agentAt(20), agentAt(10)), more), asks(NeedAllMessages)},
		"FirstUnanswered: no further than the customer's last": {
			swept(fromFirstUnanswered), with(talk(25, agentAt(20), agentAt(10), customerAt(2)), more), tells(25, "Bye.")},
		"FirstUnanswered: the newest message is enough when it is the customer's": {
			swept(fromFirstUnanswered), with(talk(25, customerAt(10)), more), tells(25, "Bye.", owedBy(TurnAgent))},
		"unanswered: messages are read back to where the wait began": {
			swept(unanswered(5)), with(talk(25, customerAt(20), customerAt(10)), more), asks(NeedAllMessages)},
		"unanswered: the newest message is enough when it is an agent's": {
			swept(unanswered(5)), with(talk(25, agentAt(10)), more), tells(25, "Bye.")},
		"replyWindow: messages are read back to the customer's last": {
			swept(window(v1alpha1.OutsideSkip)), with(talk(25, agentAt(10)), more, tasks(task("WT1", TaskAssigned, acceptedAt(1), whatsApp))), asks(NeedAllMessages)},
	})
}

// everyPolicy is policies of all kinds, by what is particular about them.
func everyPolicy(change ...func(*Policy)) map[string]Policy {
	policies := map[string]Policy{}
	for name, kind := range map[string]func(*Policy){
		"plain": func(*Policy) {}, "with callbacks": func(p *Policy) { p.WebhookURL = webhookURL }, "silent": silent, "Notify": notify, "WrapUp": wrapUp,
		"FirstUnanswered": fromFirstUnanswered, "warnings": ladder, "unanswered": unanswered(5), "hold": holdable, "window": window(v1alpha1.OutsideCloseSilently),
		"Immediate": inForceSince(-10000, v1alpha1.ExistingImmediate), "Ignore": inForceSince(0, v1alpha1.ExistingIgnore),
		"open hours": opening(v1alpha1.ClockOpenHours, v1alpha1.ClosedDefer, daily("00:00", "24:00")),
	} {
		policies[name] = swept(append([]func(*Policy){kind}, change...)...)
	}
	return policies
}

// ends reports whether a decision tells the customer of the end or ends something.
func ends(d Decision) bool {
	return d.Act == ActNotice || d.Act == ActClaim || d.Act == ActFinish || d.Act == ActCloseConversation
}

func TestAConversationIsNeverEndedWhileTheCustomerIsOwedTheReply(t *testing.T) {
	afterwards := map[string][]Message{
		"nothing": nil, "a bot": {botAt(12)}, "a warning from before": {warned(9, 5, about("IM5", 5))}, "the holding text": {own(StepUnanswered, 15)},
	}
	for name, policy := range everyPolicy(waitsForCustomer) {
		for what, later := range afterwards {
			for now := at(10); now.Before(at(48 * 60)); now = now.Add(7 * time.Minute) {
				snapshot := talk(0, append(later, customerAt(10), agentAt(5), customerAt(2))...)
				snapshot.Now = now
				if decision := Decide(policy, snapshot); ends(decision) || decision.Act == ActWarn || decision.Act == ActLook {
					t.Fatalf("%s, %s after the customer: %s (%s) at %s", name, what, decision.Act, decision.Reason, now)
				}
			}
		}
	}
}

func TestAConversationIsNotEndedAtTheMomentAnAgentAcceptsItBecauseTheCustomerHadWaitedInTheQueue(t *testing.T) {
	for name, policy := range everyPolicy() {
		for what, before := range map[string][]Message{
			"the customer wrote": {customerAt(-500), customerAt(-600)}, "a bot answered": {botAt(-500), customerAt(-600)}, "an agent had answered": {agentAt(-500), customerAt(-600)},
			"nobody wrote": nil,
		} {
			for now := at(1); now.Before(at(16)); now = now.Add(30 * time.Second) {
				snapshot := talk(0, before...)
				snapshot.Now = now
				if decision := Decide(policy, snapshot); ends(decision) || decision.Act == ActWarn && now.Before(at(11)) || decision.Act == ActLook {
					t.Fatalf("%s, %s before the accept: %s (%s) at %s", name, what, decision.Act, decision.Reason, now)
				}
			}
		}
	}
}
