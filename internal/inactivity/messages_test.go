package inactivity

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// speaking is a policy as it is written, with everything that it can say, in force without callbacks.
func speaking(t *testing.T, change ...func(*v1alpha1.InactivityPolicySpec)) Policy {
	t.Helper()
	_, policy := inEffect(t, written(func(p *v1alpha1.InactivityPolicy) {
		p.Spec.Message = "Bye{{with .Customer.Name}} {{.}}{{end}}."
		p.Spec.Translations = v1alpha1.Translations{"es": "Adiós.", "pt-BR": "Tchau.", "pt": "Adeus."}
		p.Spec.Warnings = []v1alpha1.Warning{
			{Before: "2m", Message: "Last call.", Translations: v1alpha1.Translations{"pt": "Última chamada."}},
			{Before: "5m", Message: "We close in {{.Remaining}}.", Translations: v1alpha1.Translations{"es": "Cerramos en {{.Remaining}}."}},
		}
		p.Spec.Unanswered = &v1alpha1.Unanswered{After: "5m", Message: "Sorry{{with .Customer.Name}}, {{.}}{{end}}.", Translations: v1alpha1.Translations{"es": "Lo sentimos."}}
		for _, c := range change {
			c(&p.Spec)
		}
	}))
	sweepOnly(&policy)
	return policy
}

func TestWhatIsSaid(t *testing.T) {
	type spec = v1alpha1.InactivityPolicySpec
	says := func(message string) func(*spec) {
		return func(s *spec) { s.Message, s.Translations = message, nil }
	}
	attribute := func(s *spec) { s.LanguageAttribute = "locale" }
	wholeTimes := []Message{warned(23, 2), warned(20, 5)}

	for sentence, test := range map[string]struct {
		change     func(*spec)
		attributes string
		now        float64
		messages   []Message // on top of the agent's in minute 10
		want       Outgoing
	}{
		// Languages.
		"without a language the message is said":                  {nil, `{}`, 25, wholeTimes, Outgoing{Body: "Bye."}},
		"the customer's language is said":                         {nil, `{"language":"es"}`, 25, wholeTimes, Outgoing{Body: "Adiós."}},
		"a region has its own translation":                        {nil, `{"language":"pt-BR"}`, 25, wholeTimes, Outgoing{Body: "Tchau."}},
		"another region falls back to the language":               {nil, `{"language":"pt-PT"}`, 25, wholeTimes, Outgoing{Body: "Adeus."}},
		"a region of a language without regions falls back to it": {nil, `{"language":"es-MX"}`, 25, wholeTimes, Outgoing{Body: "Adiós."}},
		"letter case does not count":                              {nil, `{"language":"PT-br"}`, 25, wholeTimes, Outgoing{Body: "Tchau."}},
		"an underscore is a hyphen":                               {nil, `{"language":"pt_BR"}`, 25, wholeTimes, Outgoing{Body: "Tchau."}},
		"a language without translation gets the message":         {nil, `{"language":"fr"}`, 25, wholeTimes, Outgoing{Body: "Bye."}},
		"a language that is no text gets the message":             {nil, `{"language":7}`, 25, wholeTimes, Outgoing{Body: "Bye."}},
		"the language is read from the attribute that is named":   {attribute, `{"locale":"es","language":"pt"}`, 25, wholeTimes, Outgoing{Body: "Adiós."}},
		"then the usual attribute does not count":                 {attribute, `{"language":"pt"}`, 25, wholeTimes, Outgoing{Body: "Bye."}},
		"each warning has its own translations":                   {nil, `{"language":"es"}`, 20, nil, Outgoing{Body: "Cerramos en 5 min."}},
		"a warning without that translation is said as it stands": {nil, `{"language":"es"}`, 23, []Message{warned(20, 5)}, Outgoing{Body: "Last call."}},
		"a region of a warning falls back too":                    {nil, `{"language":"pt-BR"}`, 23, []Message{warned(20, 5)}, Outgoing{Body: "Última chamada."}},
		"the text for who waits has its translations":             {nil, `{"language":"es"}`, 17, []Message{customerAt(12)}, Outgoing{Body: "Lo sentimos."}},
		"the text for who waits leaves out what is missing":       {nil, `{}`, 17, []Message{customerAt(12)}, Outgoing{Body: "Sorry."}},

		// Values.
		"the customer's name is said":                       {nil, `{"customerName":"Ann"}`, 25, wholeTimes, Outgoing{Body: "Bye Ann."}},
		"an address is no name":                             {nil, `{"customerName":"+1555","from":"+1555"}`, 25, wholeTimes, Outgoing{Body: "Bye."}},
		"a warning says what remains":                       {nil, `{}`, 20, nil, Outgoing{Body: "We close in 5 min."}},
		"a warning that comes late says its own whole time": {nil, `{}`, 22, nil, Outgoing{Body: "We close in 5 min."}},
		"the channel is said":                               {says("{{.Channel}}"), `{"channelType":"sms"}`, 25, wholeTimes, Outgoing{Body: "sms"}},
		"the timeout is said":                               {says("Idle for {{.Timeout}}."), `{}`, 25, wholeTimes, Outgoing{Body: "Idle for 15 min."}},
		"at the end nothing remains":                        {says("In {{.Remaining}}."), `{}`, 25, wholeTimes, Outgoing{Body: "In."}},
		"an attribute of the task is said":                  {says("Order {{.Attributes.order}}."), `{"order":7}`, 25, wholeTimes, Outgoing{Body: "Order 7."}},
		"an attribute that is an object is missing":         {says("Order {{.Attributes.order}}."), `{"order":{"id":7}}`, 25, wholeTimes, Outgoing{Body: "Order."}},
		"a text that would be too long is said without values": {
			says(strings.Repeat("a", 1500) + "{{.Customer.Name}}"), `{"customerName":"` + strings.Repeat("n", 101) + `"}`, 25, wholeTimes,
			Outgoing{Body: strings.Repeat("a", 1500), Shortened: true}},
		"a text that is as long as a channel takes is said as it stands": {
			says(strings.Repeat("a", 1500) + "{{.Customer.Name}}"), `{"customerName":"` + strings.Repeat("n", 100) + `"}`, 25, wholeTimes,
			Outgoing{Body: strings.Repeat("a", 1500) + strings.Repeat("n", 100)}},
	} {
		policy := speaking(t)
		if test.change != nil {
			policy = speaking(t, test.change)
		}
		snapshot := with(talk(test.now, append(test.messages, agentAt(10))...), tasks(task("WT1", TaskAssigned, acceptedAt(1), attributes(test.attributes))))
		decision := Decide(policy, snapshot)
		if diff := cmp.Diff(test.want, decision.Message); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", sentence, decision.Act, diff)
		}
	}
}

func TestWhatIsSaidComesFromTheTaskOfTheLatestAccept(t *testing.T) {
	snapshot := with(talk(30, agentAt(10)), tasks(
		task("WT1", TaskAssigned, acceptedAt(1), attributes(`{"language":"es","customerName":"Ann"}`)),
		task("WT2", TaskAssigned, acceptedAt(12), attributes(`{"customerName":"Ann Lee"}`))))
	policy := speaking(t, func(s *v1alpha1.InactivityPolicySpec) { s.Warnings = nil })
	if got := Decide(policy, snapshot).Message.Body; got != "Bye Ann Lee." {
		t.Errorf("says %q", got)
	}
}

// A policy whose notice has nothing left to say after its conditions ends silently, as one without a message.
func TestANoticeThatHasNothingToSayIsNotSent(t *testing.T) {
	quiet := swept(func(p *Policy) { p.Notice = says(`{{if eq .Channel "web"}}Bye.{{end}}`) })
	check(t, map[string]rule{
		"the conversation ends silently": {quiet, talk(25, agentAt(10)), endsSilently(25)},
		"under Notify nothing happens": {
			swept(notify, func(p *Policy) { p.Notice = quiet.Notice }), talk(25, agentAt(10)), waits(ReasonNotified, 40)},
	})
}

// The claim on the task is the record of who did what to the conversation, and why.
func TestAttribution(t *testing.T) {
	policy := swept(ladder, unanswered(5), func(p *Policy) { p.Name, p.Reason = "sales/chat", "Customer left" })
	for sentence, test := range map[string]struct {
		now      float64
		messages []Message
		change   func(*Task)
		want     Claim
	}{
		"a warning: which one it is, for how long nobody wrote, who owes the reply, and how many the customer has been sent with it": {
			20, []Message{agentAt(10)}, nil,
			Claim{Step: StepWarning, Episode: "IM10", IdleSeconds: 600, BeforeSeconds: 300, WaitingOn: TurnCustomer, Warnings: 1}},
		"the second warning": {
			23, []Message{warned(20, 5), agentAt(10)}, nil,
			Claim{Step: StepWarning, Episode: "IM10", IdleSeconds: 780, BeforeSeconds: 120, WaitingOn: TurnCustomer, Warnings: 2}},
		"the notice: how many warnings the customer has been sent": {
			25, []Message{warned(23, 2), warned(20, 5), agentAt(10)}, nil,
			Claim{Step: StepNotice, Episode: "IM10", IdleSeconds: 900, WaitingOn: TurnCustomer, Warnings: 2}},
		"warnings of earlier silences are not counted": {
			47, []Message{warned(45, 2, about("IM32", 32)), agentAt(32), warned(23, 2), warned(20, 5), agentAt(10)}, nil,
			Claim{Step: StepNotice, Episode: "IM32", IdleSeconds: 900, WaitingOn: TurnCustomer, Warnings: 1}},
		"a step that comes late: how long it has really been": {
			30, []Message{warned(23, 2), agentAt(10)}, nil,
			Claim{Step: StepNotice, Episode: "IM10", IdleSeconds: 1200, WaitingOn: TurnCustomer, Warnings: 1}},
		"the text for who waits: how long the customer has waited": {
			15, []Message{customerAt(14), customerAt(10), agentAt(5)}, nil,
			Claim{Step: StepUnanswered, Episode: "IM10", IdleSeconds: 300, WaitingOn: TurnAgent}},
		"where the customer wrote last the agent owes the reply": {
			25, []Message{warned(23, 2), own(StepUnanswered, 15), customerAt(10)}, nil,
			Claim{Step: StepNotice, Episode: "IM10", IdleSeconds: 900, WaitingOn: TurnAgent, Warnings: 1}},
		"an episode that began with an accept: how long ago that was": {
			16, []Message{warned(14, 2, about("WR-WT1", 1))}, nil,
			Claim{Step: StepNotice, Episode: "WR-WT1", IdleSeconds: 900, WaitingOn: TurnAgent, Warnings: 1}},
		"fractions of seconds are left out": {
			20.01, []Message{agentAt(10)}, nil,
			Claim{Step: StepWarning, Episode: "IM10", IdleSeconds: 600, BeforeSeconds: 300, WaitingOn: TurnCustomer, Warnings: 1}},
		"texts that were refused in this silence stay on record": {
			25, []Message{agentAt(10)}, claimIn(23, StepWarning, ofWarning(2), refused(StepWarning, 5), refused(StepWarning, 2)),
			Claim{Step: StepNotice, Episode: "IM10", IdleSeconds: 900, WaitingOn: TurnCustomer, Refused: []EpisodeText{
				{Step: StepWarning, Episode: "IM10", BeforeSeconds: 300}, {Step: StepWarning, Episode: "IM10", BeforeSeconds: 120}}}},
		"texts that were refused in earlier silences do not": {
			32, []Message{agentAt(22), agentAt(10)}, claimIn(20, StepWarning, ofWarning(5), refused(StepWarning, 5)),
			Claim{Step: StepWarning, Episode: "IM22", IdleSeconds: 600, BeforeSeconds: 300, WaitingOn: TurnCustomer, Warnings: 1}},
		"a text that was refused in the present wait stays on record in a later silence": {
			30, []Message{customerAt(20), customerAt(10)}, claimIn(15, StepUnanswered, refused(StepUnanswered, 0)),
			Claim{Step: StepWarning, Episode: "IM20", IdleSeconds: 600, BeforeSeconds: 300, WaitingOn: TurnAgent, Warnings: 1,
				Refused: []EpisodeText{{Step: StepUnanswered, Episode: "IM10"}}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			snapshot := talk(test.now, test.messages...)
			if test.change != nil {
				snapshot = with(snapshot, tasks(task("WT1", TaskAssigned, acceptedAt(1), test.change)))
			}
			test.want.Policy, test.want.Reason, test.want.At = "sales/chat", "Customer left", at(test.now)
			decision := Decide(policy, snapshot)
			if diff := cmp.Diff(test.want, decision.Claim); diff != "" {
				t.Errorf("%s (-want +got):\n%s", decision.Act, diff)
			}
			since := at(test.now).Add(-time.Duration(test.want.IdleSeconds) * time.Second)
			if got := decision.Claim.IdleSince(); !got.Equal(since) {
				t.Errorf("idle since %s, want %s", got, since)
			}
		})
	}
}

// The policy says under which name its texts are written. They are recognised under any name, because it may be edited.
func TestTextsAreRecognisedUnderAnyAuthor(t *testing.T) {
	for _, author := range []string{"", "Support", "Acme"} {
		for _, wrote := range []string{"system", "Support", "Acme"} {
			sent := own(StepNotice, 25)
			sent.Author = wrote
			policy := swept(func(p *Policy) { p.Author = author })
			if got := Decide(policy, talk(26, sent, agentAt(10))); got.Act != ActFinish {
				t.Errorf("under author %q, a notice by %q: %s (%s)", author, wrote, got.Act, got.Reason)
			}
		}
	}
}
