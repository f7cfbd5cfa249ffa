package controllers_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/onsi/gomega"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

const (
	contentSID = "HX0123456789abcdef0123456789abcdef"
	// undelivered is Twilio's error for a text outside the reply window (https://www.twilio.com/docs/api/errors/63016).
	undelivered = 63016
)

func outside(does v1alpha1.OutsideReplyWindow) edit {
	return func(spec *v1alpha1.InactivityPolicySpec) { spec.ReplyWindow = &v1alpha1.ReplyWindow{Outside: does} }
}

// sendingTemplate sends a template with the customer's name and the channel.
func sendingTemplate(spec *v1alpha1.InactivityPolicySpec) {
	spec.ReplyWindow = &v1alpha1.ReplyWindow{
		Outside: v1alpha1.OutsideSendTemplate, ContentSID: contentSID,
		ContentVariables: map[string]v1alpha1.ContentVariable{"1": "{{.Customer.Name}}", "channel": "on {{.Channel}}", "3": "{{.Attributes.ticket}}"},
	}
}

// lateAccepted is a conversation that is accepted ten minutes before the customer's reply window closes: the customer has
// waited for an agent all that time. It becomes due five minutes after the window has closed.
func (w *world) lateAccepted(start twiliosim.Start) twiliosim.Started {
	w.t.Helper()
	started := w.waiting(start)
	w.leap(24*time.Hour - 10*time.Minute)
	w.accept(started)
	w.eventuallyArmed(started)
	return started
}

func TestInsideTheReplyWindowTheNoticeIsAText(t *testing.T) {
	for _, channel := range []string{"whatsapp", "messenger"} {
		for name, window := range map[string]edit{
			"CloseSilently": outside(v1alpha1.OutsideCloseSilently), "SendTemplate": sendingTemplate, "Skip": outside(v1alpha1.OutsideSkip),
		} {
			t.Run(channel+", "+name, func(t *testing.T) {
				t.Parallel()
				w, _, _ := start(t, window)
				started := w.armed(twiliosim.Start{Channel: channel})
				w.keepUp(timeout)
				w.ends(started)
				said := w.said(started)
				w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}))
				w.Expect(said[0].ContentSID).To(gomega.BeEmpty())
				w.Expect(said[0].Delivered).To(gomega.BeTrue())
			})
		}
	}
}

func TestOutsideTheReplyWindowAConversationEndsSilentlyUnlessThePolicySaysOtherwise(t *testing.T) {
	for _, channel := range []string{"whatsapp", "messenger"} {
		for _, does := range []v1alpha1.OutsideReplyWindow{"", v1alpha1.OutsideCloseSilently} {
			t.Run(channel+", outside "+string(does), func(t *testing.T) {
				t.Parallel()
				w, _, _ := start(t, outside(does))
				started := w.lateAccepted(twiliosim.Start{Channel: channel})
				w.keepUp(timeout - 2*time.Second)
				w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
				w.keepUp(2 * time.Second)
				w.ends(started)
				w.Expect(w.writesTo("/Messages")).To(gomega.BeEmpty())
				w.Expect(w.taskStatus(started)).To(gomega.Equal("completed"))
			})
		}
	}
}

func TestOutsideTheReplyWindowATemplateIsSentInPlaceOfTheNotice(t *testing.T) {
	for _, channel := range []string{"whatsapp", "messenger"} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			w, _, _ := start(t, sendingTemplate, func(spec *v1alpha1.InactivityPolicySpec) { spec.Author = "Support" })
			started := w.lateAccepted(twiliosim.Start{Channel: channel, Attributes: map[string]any{"customerName": "Ada\nLovelace"}})
			w.keepUp(timeout)
			w.ends(started)
			said := w.said(started)
			w.Expect(said).To(gomega.HaveLen(1))
			w.Expect(said[0].Body).To(gomega.BeEmpty())
			w.Expect(said[0].ContentSID).To(gomega.Equal(contentSID))
			w.Expect(said[0].ContentVariables).To(gomega.MatchJSON(`{"1": "Ada Lovelace", "channel": "on ` + channel + `", "3": "-"}`))
			w.Expect(said[0].Author).To(gomega.Equal("Support"))
			w.Expect(said[0].Delivered).To(gomega.BeTrue())
			w.Expect(w.taskStatus(started)).To(gomega.Equal("completed"))

			sent := w.writesTo("/Messages")
			w.Expect(sent).To(gomega.HaveLen(1))
			w.Expect(sent[0].Form.Get("ContentSid")).To(gomega.Equal(contentSID))
			w.Expect(sent[0].Form).NotTo(gomega.HaveKey("Body"))
			w.Expect(attributesOf(t, w, started)["inactivityPolicy"]).To(gomega.HaveKeyWithValue("step", "notice"))
		})
	}
}

func TestOutsideTheReplyWindowWithSkipTheConversationIsLeftToTheAgent(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, outside(v1alpha1.OutsideSkip))
	started := w.lateAccepted(twiliosim.Start{Channel: "whatsapp"})
	w.keepUp(timeout - time.Minute)
	written := len(w.twilio.Writes())
	w.keepUp(3 * timeout)
	w.Expect(w.writesAbout(started, written)).To(gomega.BeEmpty())
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))

	w.says(started, twiliosim.Customer, "Are you still there?")
	w.keepUp(timeout)
	w.ends(started)
	w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}), "a message of the customer's opens the window anew")
}

func TestTheReplyWindowIsCountedFromTheCustomersLastMessageAndNotFromTheAgents(t *testing.T) {
	for who, want := range map[string][]string{twiliosim.Agent: nil, twiliosim.Customer: {notice}} {
		t.Run("the "+who+" writes late", func(t *testing.T) {
			t.Parallel()
			w, _, _ := start(t, outside(v1alpha1.OutsideCloseSilently))
			started := w.lateAccepted(twiliosim.Start{Channel: "whatsapp"})
			w.keepUp(5 * time.Minute)
			w.says(started, who, "Sorry, I was away.")
			w.keepUp(timeout)
			w.ends(started)
			w.Expect(w.notices(started)).To(gomega.Equal(want))
		})
	}
}

func TestACustomerWhoHasNeverWrittenIsOutsideTheReplyWindow(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, sendingTemplate)
	started := w.conversation(w.twilio.StartConversationWith(twiliosim.Start{
		Channel: "whatsapp", From: customer, Body: "Good morning, this is your bakery.", Outbound: true,
	}))
	w.eventuallyArmed(started)
	w.keepUp(timeout)
	w.ends(started)
	w.Expect(w.said(started)).To(gomega.HaveLen(1))
	w.Expect(w.said(started)[0].ContentSID).To(gomega.Equal(contentSID))
}

func TestOutsideTheReplyWindowNoWarningIsSentAndNoneDelaysTheEnd(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, sendingTemplate, warning("4m", "Still there?"), warning("6m", "Hello?"))
	started := w.lateAccepted(twiliosim.Start{Channel: "whatsapp"})
	w.passAwake(started, 9*time.Minute)
	w.eventuallySaid(started, "Hello?") // a minute before the window closes
	w.keepUp(6*time.Minute - 2*time.Second)
	w.Expect(w.said(started)).To(gomega.HaveLen(1))
	w.keepUp(2 * time.Second)
	w.ends(started)
	w.Expect(w.said(started)).To(gomega.HaveLen(2))
	w.Expect(w.said(started)[1].ContentSID).To(gomega.Equal(contentSID))
}

func TestUnderNotifyNothingIsSentOutsideTheReplyWindow(t *testing.T) {
	t.Parallel()
	w, _, _ := start(t, outside(v1alpha1.OutsideCloseSilently), func(spec *v1alpha1.InactivityPolicySpec) {
		spec.OnTimeout = &v1alpha1.OnTimeout{Action: v1alpha1.ActionNotify}
	})
	started := w.lateAccepted(twiliosim.Start{Channel: "whatsapp"})
	w.keepUp(timeout - time.Minute)
	written := len(w.twilio.Writes())
	w.keepUp(2 * timeout)
	w.Expect(w.writesAbout(started, written)).To(gomega.BeEmpty())
	w.Expect(w.taskStatus(started)).To(gomega.Equal("assigned"))
}

func TestOtherChannelsHaveNoReplyWindow(t *testing.T) {
	for _, channel := range []string{"sms", "web"} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			w, _, _ := start(t, outside(v1alpha1.OutsideSkip))
			started := w.lateAccepted(twiliosim.Start{Channel: channel})
			w.keepUp(timeout)
			w.ends(started)
			w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}))
			w.Expect(w.said(started)[0].Delivered).To(gomega.BeTrue())
		})
	}
}

func TestWithoutReplyWindowTheNoticeIsSentAndTwilioDoesNotDeliverIt(t *testing.T) {
	for _, channel := range []string{"whatsapp", "messenger"} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			w, _, _ := start(t)
			started := w.lateAccepted(twiliosim.Start{Channel: channel})
			w.keepUp(timeout)
			w.ends(started)
			w.Expect(w.notices(started)).To(gomega.Equal([]string{notice}))
			w.Expect(w.said(started)[0].Delivered).To(gomega.BeFalse())
			w.Expect(w.said(started)[0].ErrorCode).To(gomega.Equal(undelivered))
		})
	}
}

func TestATemplateThatTwilioRefusesForGoodDoesNotKeepTheConversationOpen(t *testing.T) {
	t.Parallel()
	w, _, policy := start(t, sendingTemplate)
	w.twilio.Fail(twiliosim.Fault{Status: http.StatusBadRequest, Code: 50540, Message: "Invalid content SID",
		Match: func(_ *http.Request, form url.Values) bool { return form.Has("ContentSid") }})
	started := w.lateAccepted(twiliosim.Start{Channel: "whatsapp"})
	w.keepUp(timeout)
	w.ends(started)
	w.Expect(w.said(started)).To(gomega.BeEmpty())
	w.Expect(w.taskStatus(started)).To(gomega.Equal("completed"))
	w.Expect(w.warningEvent(policy, "TextRefused")).To(containsAll(started.ConversationSID, "notice", "50540"))
}
