package controllers_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

func translated(texts v1alpha1.Translations) edit {
	return func(spec *v1alpha1.InactivityPolicySpec) { spec.Translations = texts }
}

// told is a customer by what is particular about the task, and what the customer is told.
type told struct {
	start twiliosim.Start
	want  []string
}

// eachIsTold lets conversations time out, and shows what was said in each.
func (w *world) eachIsTold(after time.Duration, customers map[string]told) {
	w.t.Helper()
	all := map[string]twiliosim.Started{}
	for who, customer := range customers {
		all[who] = w.armed(customer.start)
	}
	w.keepUp(after)
	for who, started := range all {
		w.ends(started)
		w.Expect(w.notices(started)).To(gomega.Equal(customers[who].want), who)
		w.Expect(w.taskStatus(started)).To(gomega.Equal("completed"), who)
	}
}

func having(attributes map[string]any) twiliosim.Start {
	return twiliosim.Start{Attributes: attributes}
}

func TestTheNoticeIsInTheCustomersLanguage(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, saying("Goodbye"), translated(v1alpha1.Translations{"pt": "Tchau", "pt-BR": "Tchau, viu?", "es": "Adiós"}))
	speaking := func(language any, want string) told {
		return told{having(map[string]any{"language": language}), []string{want}}
	}
	w.eachIsTold(timeout, map[string]told{
		"the very language":                     speaking("pt-BR", "Tchau, viu?"),
		"in other letters":                      speaking("PT-br", "Tchau, viu?"),
		"with an underscore":                    speaking("pt_BR", "Tchau, viu?"),
		"a region that has no text":             speaking("pt-PT", "Tchau"),
		"several regions that have no text":     speaking("es-Latn-419", "Adiós"),
		"a language that has no text":           speaking("fr-FR", "Goodbye"),
		"a language that only begins like ours": speaking("ptx", "Goodbye"),
		"no language":                           {twiliosim.Start{}, []string{"Goodbye"}},
		"something that is no language":         speaking(7, "Goodbye"),
	})
}

func TestThePolicyNamesTheAttributeThatHoldsTheLanguageForAllTexts(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, saying("Goodbye"), translated(v1alpha1.Translations{"es": "Adiós"}), func(spec *v1alpha1.InactivityPolicySpec) {
		spec.LanguageAttribute = "idioma"
		spec.Warnings = []v1alpha1.Warning{{Before: "5m", Message: "Still there?", Translations: v1alpha1.Translations{"es": "¿Sigue ahí?"}}}
	})
	w.eachIsTold(timeout, map[string]told{
		"in the attribute":   {having(map[string]any{"idioma": "es", "language": "en"}), []string{"¿Sigue ahí?", "Adiós"}},
		"in the default one": {having(map[string]any{"language": "es"}), []string{"Still there?", "Goodbye"}},
	})
}

func TestATextSaysWhatIsKnownOfTheConversationAndLeavesOutWhatIsNot(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, saying("Goodbye {{.Customer.Name}}, after {{.Timeout}} on {{.Channel}}{{if .Attributes.ticket}} (ticket {{.Attributes.ticket}}){{end}}."),
		warning("5m", "Are you there{{if .Customer.Name}}, {{.Customer.Name}}{{end}}? We close in {{.Remaining}}."),
		warning("90s", "{{.Remaining}} left."))
	const warnings = 2
	say := func(first, last string) []string { return []string{first, "2 min left.", last} }
	customers := map[string]told{
		"known by name": {having(map[string]any{"customerName": "Ada", "ticket": "T-17"}),
			say("Are you there, Ada? We close in 5 min.", "Goodbye Ada, after 15 min on sms (ticket T-17).")},
		"without a name": {having(map[string]any{"customerName": nil}),
			say("Are you there? We close in 5 min.", "Goodbye, after 15 min on sms.")},
		"with the phone number in the place of a name": {twiliosim.Start{},
			say("Are you there? We close in 5 min.", "Goodbye, after 15 min on sms.")},
		"with a number for an attribute": {having(map[string]any{"customerName": "Bo", "ticket": 17}),
			say("Are you there, Bo? We close in 5 min.", "Goodbye Bo, after 15 min on sms (ticket 17).")},
		"on web chat": {twiliosim.Start{Channel: "web", Attributes: map[string]any{"customerName": "Cy"}},
			say("Are you there, Cy? We close in 5 min.", "Goodbye Cy, after 15 min on web.")},
	}
	all := map[string]twiliosim.Started{}
	for who, customer := range customers {
		all[who] = w.armed(customer.start)
	}
	w.keepUp(10 * time.Minute)
	w.keepUp(timeout - 10*time.Minute)
	for who, started := range all {
		w.ends(started)
		w.Expect(w.notices(started)).To(gomega.Equal(customers[who].want), who)
		w.Expect(attributesOf(t, w, started)["inactivityPolicy"]).To(gomega.HaveKeyWithValue("warnings", gomega.BeNumerically("==", warnings)))
	}
}

func TestATextThatItsConditionsLeaveEmptyIsNotSentAndTheConversationEndsSilently(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, saying(`{{if eq .Attributes.tier "gold"}}Goodbye.{{end}}`),
		warning("5m", `{{if eq .Attributes.tier "gold"}}Still there?{{end}}`))
	w.eachIsTold(timeout, map[string]told{
		"who is meant":     {having(map[string]any{"tier": "gold"}), []string{"Still there?", "Goodbye."}},
		"who is not meant": {having(map[string]any{"tier": "tin"}), nil},
	})
}

func TestATextThatBecomesTooLongIsSentWithoutItsValues(t *testing.T) {
	t.Parallel()
	const limit = 1600
	words := strings.Repeat("x", limit-40)
	w, _, policy := start(t, saying("Goodbye {{.Customer.Name}}. "+words))
	w.eachIsTold(timeout, map[string]told{
		"with a short name": {having(map[string]any{"customerName": "Ada"}), []string{"Goodbye Ada. " + words}},
		"with a long name":  {having(map[string]any{"customerName": strings.Repeat("Ada ", 30)}), []string{"Goodbye. " + words}},
	})
	note := w.warningEvent(policy, "MessageTooLong")
	w.Expect(note).To(containsAll("notice", "1600"))
	w.Expect(note).NotTo(gomega.ContainSubstring("Ada"))
	w.Expect(policyWorld{world: w}.events(policy, "MessageTooLong")).To(gomega.HaveLen(1))
}

func TestAllTextsHaveThePolicysAuthor(t *testing.T) {
	for author, shown := range map[string]string{"": "system", "Support": "Support"} {
		t.Run("author "+author, func(t *testing.T) {
			t.Parallel()
			w, _, _ := start(t, warning("5m", "Still there?"), func(spec *v1alpha1.InactivityPolicySpec) {
				spec.Author = author
				spec.Unanswered = &v1alpha1.Unanswered{After: "2m", Message: "Sorry to keep you waiting."}
			})
			started := w.acceptedConversation()
			w.keepUp(2 * time.Minute)
			w.eventuallySaid(started, "Sorry to keep you waiting.")
			w.keepUp(8 * time.Minute)
			w.eventuallySaid(started, "Sorry to keep you waiting.", "Still there?")
			w.keepUp(5 * time.Minute)
			w.ends(started)
			w.Expect(w.notices(started)).To(gomega.Equal([]string{"Sorry to keep you waiting.", "Still there?", notice}))
			for _, message := range w.said(started) {
				w.Expect(message.Author).To(gomega.Equal(shown), message.Body)
			}
		})
	}
}

func TestAWarningThatTwilioRefusesForGoodIsLeftOutAndTheLifeGoesOn(t *testing.T) {
	t.Parallel()
	w, _, policy := start(t, warning("10m", "Refused"), warning("5m", "Still there?"))
	var tried atomic.Int32
	w.twilio.Fail(twiliosim.Fault{Status: http.StatusBadRequest, Code: 50504, Message: "Message body is too long",
		Match: func(r *http.Request, form url.Values) bool {
			refused := noticeWrite.is(r, form) && form.Get("Body") == "Refused"
			if refused {
				tried.Add(1)
			}
			return refused
		}})
	started := w.acceptedConversation()
	begun := w.clock.Now()
	w.passAwake(started, 9*time.Minute)
	w.Expect(w.warningEvent(policy, "TextRefused")).To(containsAll(started.ConversationSID, "warning", "50504"))
	w.Expect(w.notices(started)).To(gomega.BeEmpty())
	w.passAwake(started, time.Minute)
	w.eventuallySaid(started, "Still there?")
	w.passAwake(started, 5*time.Minute)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{"Still there?", notice}))
	w.Expect(w.said(started)[1].Created).To(gomega.BeTemporally("<=", begun.Add(timeout+promised)), "the refused warning delays nothing")
	w.Expect(tried.Load()).To(gomega.BeEquivalentTo(1), "it is not tried again")
	w.Expect(attributesOf(t, w, started)["inactivityPolicy"]).To(gomega.HaveKeyWithValue("warnings", gomega.BeNumerically("==", 1)))
}

func TestTheOnlyWarningIsRefusedAndTheConversationIsEndedInTime(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, warning("5m", "Refused"))
	w.twilio.Fail(twiliosim.Fault{Status: http.StatusBadRequest, Code: 50504, Message: "Message body is too long",
		Match: func(r *http.Request, form url.Values) bool {
			return noticeWrite.is(r, form) && form.Get("Body") == "Refused"
		}})
	started := w.acceptedConversation()
	w.keepUp(timeout - 2*time.Second)
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
	w.keepUp(2 * time.Second)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}))
}
