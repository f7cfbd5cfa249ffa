package inactivity

import (
	"testing"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// In these tables the conversation is due in minute 25, and the customer wrote a day before that: the reply window, which is
// open for 24 hours, closes in the minute that is given.
func TestReplyWindow(t *testing.T) {
	const day, second = 24 * 60, 1.0 / 60
	silently := window(v1alpha1.OutsideCloseSilently)
	skip := window(v1alpha1.OutsideSkip)
	template := window(v1alpha1.OutsideSendTemplate)
	absent := window("") // as a policy has it that Compile has not read

	on := func(channelType string, now, closes float64, messages ...Message) Snapshot {
		return with(talk(now, append(messages, customerAt(closes-day))...),
			tasks(task("WT1", TaskAssigned, acceptedAt(1), onChannel(channelType))))
	}
	outside := on("whatsapp", 25, 25, agentAt(10))
	inside := on("whatsapp", 25, 25+second, agentAt(10))
	sendsTemplate := func(d *Decision) { d.Message = Outgoing{ContentSID: "HX1"} }
	left := waits(ReasonOutsideReplyWindow, 40)

	check(t, map[string]rule{
		// Which channels, and until when.
		"WhatsApp has a window, which has closed 24 hours after the customer's last message": {
			swept(skip), outside, left},
		"a second before, it is open": {
			swept(skip), inside, tells(25, "Bye.")},
		"Messenger has one too": {
			swept(skip), on("messenger", 25, 25, agentAt(10)), left},
		"Messenger's is open until then": {
			swept(skip), on("messenger", 25, 25+second, agentAt(10)), tells(25, "Bye.")},
		"letter case of the channel does not count": {
			swept(skip), on("WhatsApp", 25, 25, agentAt(10)), left},
		"SMS has none": {
			swept(skip), on("sms", 25, 25, agentAt(10)), tells(25, "Bye.")},
		"web chat has none": {
			swept(skip), on("web", 25, 25, agentAt(10)), tells(25, "Bye.")},
		"a channel that the task does not name has none": {
			swept(skip), on("", 25, 25, agentAt(10)), tells(25, "Bye.")},
		"a policy without replyWindow does not look at it": {
			swept(), outside, tells(25, "Bye.")},
		"where the customer never wrote the window has not opened": {
			swept(skip), with(outside, func(s *Snapshot) { s.Messages = newestFirst(agentAt(10)) }), left},
		"messages of agents and bots do not open it": {
			swept(skip), on("whatsapp", 25, 25, botAt(11), agentAt(10), agentAt(5)), left},
		"the clock counts from the last message, although messages are read further back for the window": {
			swept(skip), on("whatsapp", 22, 25+second, agentAt(10), agentAt(5)), waits(ReasonNotDue, 25)},
		"a customer's message opens it again": {
			swept(skip), on("whatsapp", 35, 25, customerAt(20), agentAt(10)), tells(35, "Bye.", inSilence("IM20", 20), owedBy(TurnAgent))},
		"a customer's message that a program relays opens it again": {
			swept(skip), on("whatsapp", 25, 25, agentAt(10), message(5, customer, "")), tells(25, "Bye.")},
		"one task's channel says it for the conversation": {
			swept(skip), with(outside, func(s *Snapshot) { s.Tasks = append(s.Tasks, task("WT0", TaskAssigned, acceptedAt(0))) }), left},

		// Outside, when the conversation is due.
		"CloseSilently: it ends without a text": {
			swept(silently), outside, endsSilently(25, because(ReasonOutsideReplyWindow))},
		"CloseSilently: WrapUp begins without a text too": {
			swept(silently, wrapUp), outside, endsSilently(25, because(ReasonOutsideReplyWindow))},
		"CloseSilently: under Notify nothing happens": {
			swept(silently, notify), outside, left},
		"absent means CloseSilently": {
			swept(absent), outside, endsSilently(25, because(ReasonOutsideReplyWindow))},
		"SendTemplate: the template is sent in place of the message": {
			swept(template), outside, tells(25, "", sendsTemplate)},
		"SendTemplate: under WrapUp too": {
			swept(template, wrapUp), outside, tells(25, "", sendsTemplate)},
		"SendTemplate: under Notify too": {
			swept(template, notify), outside, tells(25, "", sendsTemplate)},
		"Skip: it is left as it is": {
			swept(skip), outside, left},
		"Skip: under WrapUp too": {
			swept(skip, wrapUp), outside, left},
		"Skip: under Notify too": {
			swept(skip, notify), outside, left},
		"Skip: a policy that ends silently leaves it as it is too": {
			swept(skip, silent), outside, left},

		// Inside, whatever is said about outside.
		"CloseSilently: inside the window the message is sent":          {swept(silently), inside, tells(25, "Bye.")},
		"CloseSilently: inside the window Notify sends the message":     {swept(silently, notify), inside, tells(25, "Bye.")},
		"SendTemplate: inside the window the message is sent":           {swept(template), inside, tells(25, "Bye.")},
		"SendTemplate: inside the window a silent policy ends silently": {swept(template, silent), inside, endsSilently(25)},
		"Skip: inside the window Notify sends the message":              {swept(skip, notify), inside, tells(25, "Bye.")},

		// After the template.
		"SendTemplate: after the template the tasks are ended": {
			swept(template), on("whatsapp", 26, 25, own(StepNotice, 25), agentAt(10)), finishes(ReasonNoticeSent)},
		"SendTemplate: a template that was refused is not tried again, and the conversation ends silently": {
			swept(template), with(on("whatsapp", 26, 25, agentAt(10)), tasks(task("WT1", TaskAssigned, acceptedAt(1), onChannel("whatsapp"), claimIn(25, StepNotice, refused(StepNotice, 0))))),
			endsSilently(26, dueSince(25), keeping(EpisodeText{Step: StepNotice, Episode: "IM10"}))},
		"SendTemplate: under Notify the template is sent once": {
			swept(template, notify), on("whatsapp", 60, 25, own(StepNotice, 25, toNotify), agentAt(10)), waits(ReasonNotified, 75)},
		"CloseSilently: an ending that has begun silently goes on to the tasks": {
			swept(silently), with(on("whatsapp", 26, 25, agentAt(10)), tasks(task("WT1", TaskAssigned, acceptedAt(1), onChannel("whatsapp"), claimIn(25, StepFinish)))),
			finishes(ReasonTimedOut)},
		"a notice that was sent inside the window is carried through outside": {
			swept(skip), on("whatsapp", 26, 25.5, own(StepNotice, 25), agentAt(10)), finishes(ReasonNoticeSent)},

		// Other texts are never sent outside.
		"a warning is not sent outside the window": {
			swept(silently, ladder), on("whatsapp", 20, 20, agentAt(10)), waits(ReasonNotDue, 23)},
		"a warning that was not sent outside the window does not put off the end": {
			swept(silently, ladder), on("whatsapp", 25, 20, agentAt(10)), endsSilently(25, because(ReasonOutsideReplyWindow))},
		"a warning is sent a second before the window closes": {
			swept(silently, ladder), on("whatsapp", 20, 20+second, agentAt(10)), warns(20, 5, "Still there?")},
		"of a ladder what the window closes on is left out": {
			swept(silently, ladder), on("whatsapp", 23, 22, warned(20, 5), agentAt(10)), waits(ReasonNotDue, 25)},
		"the text for who waits is not sent outside the window": {
			swept(silently, unanswered(5)), on("whatsapp", 6, 6), waits(ReasonNotDue, 11)},
		"the window counts from the customer's last message, although the wait began with an earlier one": {
			swept(silently, unanswered(5)), on("whatsapp", 12, 11, customerAt(10)), consoles(12, dueSince(6), inSilence("WR-WT1", 1))},
		"the text for who waits is sent a second before the window closes": {
			swept(silently, unanswered(5)), on("whatsapp", 6, 6+second), consoles(6, inSilence("WR-WT1", 1))},
	})
}

func TestTheTemplateIsSentWithItsVariables(t *testing.T) {
	variables := func(values map[string]string) func(*Policy) {
		return func(p *Policy) {
			p.Window.Variables = map[string]Template{}
			for name, value := range values {
				read, err := newTemplate(name, value)
				if err != nil {
					panic(err)
				}
				p.Window.Variables[name] = read
			}
		}
	}
	for sentence, test := range map[string]struct {
		values     map[string]string
		attributes string
		want       string
	}{
		"without variables there are none": {
			nil, `{"channelType":"whatsapp"}`, ``},
		"a value is written as it stands": {
			map[string]string{"1": "support"}, `{"channelType":"whatsapp"}`, `{"1":"support"}`},
		"values come from the task": {
			map[string]string{"1": "{{.Customer.Name}}", "order": "{{.Attributes.order}}", "2": "{{.Timeout}}"},
			`{"channelType":"whatsapp","customerName":"Ann \"A\" Lee","order":7}`, `{"1":"Ann \"A\" Lee","2":"15 min","order":"7"}`},
		"a value that is missing is a dash, because WhatsApp refuses empty ones": {
			map[string]string{"1": "{{.Customer.Name}}"}, `{"channelType":"whatsapp"}`, `{"1":"-"}`},
		"at the end no time remains": {
			map[string]string{"1": "{{.Remaining}}"}, `{"channelType":"whatsapp"}`, `{"1":"-"}`},
		"line breaks of a value are spaces": {
			map[string]string{"1": "{{.Customer.Name}}"}, `{"channelType":"whatsapp","customerName":"Ann\nLee"}`, `{"1":"Ann Lee"}`},
	} {
		snapshot := with(talk(25, agentAt(10)), tasks(task("WT1", TaskAssigned, acceptedAt(1), attributes(test.attributes))))
		decision := Decide(swept(window(v1alpha1.OutsideSendTemplate), variables(test.values)), snapshot)
		if want := (Outgoing{ContentSID: "HX1", ContentVariables: test.want}); decision.Act != ActNotice || decision.Message != want {
			t.Errorf("%s: %s sends %+v, want %+v", sentence, decision.Act, decision.Message, want)
		}
	}
}
