package twiliosim

import (
	"net/http"
	"slices"
	"time"
)

// deliverySummary summarizes how a message reaches those who take part by SMS, WhatsApp and the like
// (https://www.twilio.com/docs/conversations-classic/delivery-receipts-overview). Each part is all, some or none.
type deliverySummary struct {
	Total       int    `json:"total"`
	Sent        string `json:"sent"`
	Delivered   string `json:"delivered"`
	Read        string `json:"read"`
	Failed      string `json:"failed"`
	Undelivered string `json:"undelivered"`
}

const (
	deliveryAll  = "all"
	deliveryNone = "none"
)

// delivery is how a message ends up; nil when nobody is to be reached outside of chat. While it is under way, which is
// all that the answer to its creation can know, it is sent and nothing more.
func (m *message) delivery(underWay bool) *deliverySummary {
	if m.recipients == 0 {
		return nil
	}
	shown := &deliverySummary{
		Total: m.recipients, Sent: deliveryAll,
		Delivered: deliveryNone, Read: deliveryNone, Failed: deliveryNone, Undelivered: deliveryNone,
	}
	switch {
	case underWay:
	case m.errorCode != 0:
		shown.Failed = deliveryAll
	default:
		shown.Delivered = deliveryAll
	}
	return shown
}

// deliver counts whom a message is for outside of chat and decides whether it reaches them; when one of several cannot be
// reached, it is said of all. The caller has not filed the message yet.
func (c *conversation) deliver(m *message, now time.Time) {
	for _, p := range c.participants.order {
		if p.address != "" && p.sid != m.participantSID {
			m.recipients++
		}
	}
	if m.recipients > 0 && m.contentSID == "" && !c.replyWindowOpen(m.participantSID, now) {
		m.errorCode = codeOutsideReplyWindow
	}
}

// replyWindowOpen tells whether everybody on a channel with a reply window, the author aside, wrote less than the window
// ago. Who has never written has no window.
func (c *conversation) replyWindowOpen(author string, now time.Time) bool {
	for _, p := range c.participants.order {
		if p.sid == author || p.bindingType != "whatsapp" && p.bindingType != "messenger" {
			continue
		}
		open := false
		for _, m := range slices.Backward(c.messages.order) {
			if m.participantSID == p.sid {
				open = now.Before(m.created.Add(replyWindow))
				break
			}
		}
		if !open {
			return false
		}
	}
	return true
}

// checkReplyWindow refuses a free-form message outside the reply window, if Twilio should do that at once. Who writes by
// REST is none of the customers.
func (s *Simulator) checkReplyWindow(c *conversation, contentSID string) *apiError {
	if !s.opts.Dialect.OutsideWindowIsRefused || contentSID != "" || c.replyWindowOpen("", s.now) {
		return nil
	}
	return refuse(http.StatusBadRequest, codeOutsideReplyWindow, "Outside messaging window: use a template instead")
}
