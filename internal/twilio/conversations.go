package twilio

import (
	"context"
	"time"

	conversations "github.com/twilio/twilio-go/rest/conversations/v1"
)

// States of a conversation (https://www.twilio.com/docs/conversations-classic/states-timers). A closed one stays
// closed.
const (
	ConversationActive   = "active"
	ConversationInactive = "inactive"
	ConversationClosed   = "closed"
)

// Conversation is a conversation of the account's default Conversations service
// (https://www.twilio.com/docs/conversations-classic/api/conversation-resource).
type Conversation struct {
	SID string
	// State is active, inactive, closed, or for a moment initializing.
	State string
	// Attributes is JSON text that belongs to others.
	Attributes     string
	ChatServiceSID string
	// DateInactive and DateClosed are when the timers will fire; nil when they are not set.
	DateInactive *time.Time
	DateClosed   *time.Time
	DateCreated  time.Time
}

// ConversationUpdate is what UpdateConversation changes. Empty fields are left as they are.
type ConversationUpdate struct {
	// State is the new state.
	State string
	// InactiveTimer is an ISO 8601 duration after which the conversation becomes inactive, one minute at least; PT0S
	// turns the timer off.
	InactiveTimer string
}

func newConversation(c *conversations.ConversationsV1Conversation) (conversation Conversation, ok bool) {
	conversation = Conversation{
		SID:            value(c.Sid),
		State:          value(c.State),
		Attributes:     value(c.Attributes),
		ChatServiceSID: value(c.ChatServiceSid),
		DateCreated:    value(c.DateCreated),
	}
	// The models have any here: an object, or null.
	timers, isObject := value(c.Timers).(map[string]any)
	if !isObject {
		return conversation, value(c.Timers) == nil
	}
	var okInactive, okClosed bool
	conversation.DateInactive, okInactive = timerDate(timers["date_inactive"])
	conversation.DateClosed, okClosed = timerDate(timers["date_closed"])
	return conversation, okInactive && okClosed
}

// timerDate reads one timer: a date, or null or nothing when it is not set. A date that cannot be read is not the same
// as none: a timer that seems not to be there would be set again and again.
func timerDate(v any) (*time.Time, bool) {
	if v == nil {
		return nil, true
	}
	s, isString := v.(string)
	if !isString {
		return nil, false
	}
	if s == "" {
		return nil, true
	}
	t, ok := parseDate(s)
	return &t, ok
}

// answerConversation checks and converts the answer to a call about one conversation.
func answerConversation(x *exchange, got *conversations.ConversationsV1Conversation, sid string) (Conversation, error) {
	conversation, ok := newConversation(got)
	if !ok {
		return Conversation{}, x.badAnswer("its timers could not be decoded")
	}
	return answer(x, conversation, got.Sid, sid)
}

// GetConversation reads a conversation.
func (c *Client) GetConversation(ctx context.Context, sid string) (Conversation, error) {
	if err := checkSIDs(opGetConversation, conversationArg(sid)); err != nil {
		return Conversation{}, err
	}
	x := c.begin(ctx, opGetConversation)
	got, err := x.conversations().FetchConversation(sid)
	if err != nil {
		return Conversation{}, x.end(err)
	}
	return answerConversation(x, got, sid)
}

// UpdateConversation sets the state, the inactivity timer, or both in one request. Twilio refuses any change of a closed
// conversation with code 50377.
func (c *Client) UpdateConversation(ctx context.Context, sid string, update ConversationUpdate) (Conversation, error) {
	op := opUpdateConversation
	if update.State == ConversationClosed {
		op = opCloseConversation
	}
	if err := checkSIDs(op, conversationArg(sid)); err != nil {
		return Conversation{}, err
	}
	if update == (ConversationUpdate{}) {
		return Conversation{}, invalid(op, "nothing to update")
	}
	params := &conversations.UpdateConversationParams{}
	if update.State != "" {
		params.SetState(update.State)
	}
	if update.InactiveTimer != "" {
		params.SetTimersInactive(update.InactiveTimer)
	}
	x := c.begin(ctx, op)
	got, err := x.conversations().UpdateConversation(sid, params)
	if err != nil {
		return Conversation{}, x.end(err)
	}
	return answerConversation(x, got, sid)
}
