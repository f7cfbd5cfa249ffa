package twilio

import (
	"context"
	"slices"
	"time"

	conversations "github.com/twilio/twilio-go/rest/conversations/v1"
)

// Participant is somebody who takes part in a conversation now; who has left is not listed
// (https://www.twilio.com/docs/conversations-classic/api/conversation-participant-resource).
type Participant struct {
	SID string
	// Identity is set for who uses a chat client: an agent, or a customer on web chat. It is "" for who takes part by
	// SMS, WhatsApp and the like.
	Identity string
	// Attributes is JSON text.
	Attributes string
	// BindingType is the channel of the messaging binding, such as sms or whatsapp; "" when there is none. An agent in
	// a group MMS has an identity and a binding without an address, so that it is Address that tells a customer.
	BindingType string
	// Address is the customer's address in the messaging binding, such as a phone number; "" when there is none.
	Address     string
	DateCreated time.Time
}

func newParticipant(p *conversations.ConversationsV1ConversationParticipant) (participant Participant, ok bool) {
	participant = Participant{
		SID:         value(p.Sid),
		Identity:    value(p.Identity),
		Attributes:  value(p.Attributes),
		DateCreated: value(p.DateCreated),
	}
	// The models have any here: an object, or null.
	binding, isObject := value(p.MessagingBinding).(map[string]any)
	if !isObject {
		return participant, value(p.MessagingBinding) == nil
	}
	var okType, okAddress bool
	participant.BindingType, okType = bindingText(binding["type"])
	participant.Address, okAddress = bindingText(binding["address"])
	return participant, okType && okAddress
}

// bindingText reads one field of a messaging binding: text, or null or nothing when it is not set. A binding that cannot
// be read is not the same as none: a customer would be taken for an agent.
func bindingText(v any) (string, bool) {
	if v == nil {
		return "", true
	}
	s, isString := v.(string)
	return s, isString
}

// ListParticipants reads all participants of a conversation, by when they joined, the first one first. Twilio's
// documentation does not say how it orders them, so they are sorted here; those of the same second stay in Twilio's
// order, and those without a date come last.
func (c *Client) ListParticipants(ctx context.Context, conversationSID string) ([]Participant, error) {
	if err := checkSIDs(opListParticipants, conversationArg(conversationSID)); err != nil {
		return nil, err
	}
	params := &conversations.ListConversationParticipantParams{}
	params.SetPageSize(participantPageSize)
	participants, err := listAll(ctx, c, opListParticipants, 0, func(x *exchange) ([]Participant, *string, string, error) {
		page, err := x.conversations().PageConversationParticipant(conversationSID, params, "", "")
		if err != nil {
			return nil, nil, "", err
		}
		readable := true
		items := convert(page.Participants, func(p *conversations.ConversationsV1ConversationParticipant) Participant {
			participant, ok := newParticipant(p)
			readable = readable && ok
			return participant
		})
		if !readable {
			return nil, nil, "", x.badAnswer("a messaging binding could not be decoded")
		}
		return items, page.Meta.NextPageUrl, page.Meta.Key, nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(participants, func(a, b Participant) int {
		switch {
		case a.DateCreated.IsZero() == b.DateCreated.IsZero():
			return a.DateCreated.Compare(b.DateCreated)
		case a.DateCreated.IsZero():
			return 1
		default:
			return -1
		}
	})
	return participants, nil
}
