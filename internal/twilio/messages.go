package twilio

import (
	"context"
	"time"

	conversations "github.com/twilio/twilio-go/rest/conversations/v1"
)

// Message is a message of a conversation, without its text
// (https://www.twilio.com/docs/conversations-classic/api/conversation-message-resource).
type Message struct {
	SID string
	// Author is an identity, an address, or "system".
	Author string
	// ParticipantSID is "" for messages of no participant, such as those made by the API without an author.
	ParticipantSID string
	// Attributes is JSON text.
	Attributes string
	// Index grows with time within the conversation, with gaps.
	Index       int
	DateCreated time.Time
}

func newMessage(m *conversations.ConversationsV1ConversationMessage) Message {
	return Message{
		SID:            value(m.Sid),
		Author:         value(m.Author),
		ParticipantSID: value(m.ParticipantSid),
		Attributes:     value(m.Attributes),
		Index:          m.Index,
		DateCreated:    value(m.DateCreated),
	}
}

// MessageQuery selects messages.
type MessageQuery struct {
	// Limit is how many messages to read at most. 0 means 100, which is one request.
	Limit int
}

// NewMessage is a message to create: either a text or a content template. Author and Attributes are not sent when "":
// the author is then "system".
type NewMessage struct {
	Author string
	// Body is the text, at most 1,600 characters where a participant takes part by SMS or WhatsApp. It is "" with a
	// ContentSID, because Twilio would ignore it.
	Body string
	// ContentSID is the template to send, HX and 32 hexadecimal digits; "" sends Body
	// (https://www.twilio.com/docs/content).
	ContentSID string
	// ContentVariables are the template's variables, a JSON object of strings that are not empty. They are sent only
	// with a ContentSID; "" leaves the template its own defaults.
	ContentVariables string
	Attributes       string
}

// check refuses what Twilio would refuse or ignore.
func (m NewMessage) check() error {
	switch {
	case m.Body == "" && m.ContentSID == "":
		return invalid(opCreateMessage, "body and content sid are empty")
	case m.Body != "" && m.ContentSID != "":
		return invalid(opCreateMessage, "body and content sid exclude each other")
	case m.ContentSID == "":
		return nil
	case m.ContentVariables != "" && !isJSONObject(m.ContentVariables):
		return invalid(opCreateMessage, "content variables are not a json object")
	}
	return checkSIDs(opCreateMessage, contentArg(m.ContentSID))
}

func (m NewMessage) params() *conversations.CreateConversationMessageParams {
	params := &conversations.CreateConversationMessageParams{}
	if m.ContentSID != "" {
		params.SetContentSid(m.ContentSID)
		if m.ContentVariables != "" {
			params.SetContentVariables(m.ContentVariables)
		}
	} else {
		params.SetBody(m.Body)
	}
	if m.Author != "" {
		params.SetAuthor(m.Author)
	}
	if m.Attributes != "" {
		params.SetAttributes(m.Attributes)
	}
	return params
}

// ListMessages reads the newest messages of a conversation, newest first.
func (c *Client) ListMessages(ctx context.Context, conversationSID string, query MessageQuery) ([]Message, error) {
	if err := checkSIDs(opListMessages, conversationArg(conversationSID)); err != nil {
		return nil, err
	}
	if query.Limit < 0 {
		return nil, invalid(opListMessages, "limit is negative")
	}
	limit := query.Limit
	if limit == 0 {
		limit = messagePageSize
	}
	params := &conversations.ListConversationMessageParams{}
	params.SetOrder("desc")
	params.SetPageSize(min(limit, messagePageSize))
	return listAll(ctx, c, opListMessages, limit, func(x *exchange) ([]Message, *string, string, error) {
		page, err := x.conversations().PageConversationMessage(conversationSID, params, "", "")
		if err != nil {
			return nil, nil, "", err
		}
		return convert(page.Messages, newMessage), page.Meta.NextPageUrl, page.Meta.Key, nil
	})
}

// CreateMessage adds a message to a conversation. It is not idempotent: when the outcome is unknown, the caller has to
// look for the message (by its attributes) before it tries again. That Twilio took the message does not say that it
// reaches the customer: outside the reply window of WhatsApp and Messenger a text is accepted and fails to be delivered
// later (https://www.twilio.com/docs/api/errors/63016).
func (c *Client) CreateMessage(ctx context.Context, conversationSID string, message NewMessage) (Message, error) {
	if err := checkSIDs(opCreateMessage, conversationArg(conversationSID)); err != nil {
		return Message{}, err
	}
	if err := message.check(); err != nil {
		return Message{}, err
	}
	x := c.begin(ctx, opCreateMessage)
	got, err := x.conversations().CreateConversationMessage(conversationSID, message.params())
	if err != nil {
		return Message{}, x.end(err)
	}
	return answer(x, newMessage(got), got.Sid, "")
}
