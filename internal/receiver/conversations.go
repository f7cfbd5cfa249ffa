package receiver

import (
	"net/url"
	"strings"
)

const (
	// eventStateUpdated is the Conversations event that a timer causes:
	// https://www.twilio.com/docs/conversations-classic/conversations-webhooks
	eventStateUpdated = "onConversationStateUpdated"
	stateInactive     = "inactive"
	reasonTimer       = "TIMER"
)

// decodeConversations reads the webhook of a conversation. Only a timer that ran out is of interest. A conversation that
// was made inactive through the API was left by its agent, who wants it to stay open; the other states are the
// operator's own doing or the end.
func decodeConversations(form url.Values) decoded {
	kind, ok := eventType(form)
	if !ok {
		return malformed("there is no EventType, or several")
	}
	if kind != eventStateUpdated {
		return ignored()
	}
	conversation, conversationOK := single(form, "ConversationSid")
	state, stateOK := single(form, "StateTo")
	reason, reasonOK := single(form, "Reason")
	if !conversationOK || !stateOK || !reasonOK || !isSID("CH", conversation) || state == "" {
		return malformed("there is no ConversationSid or StateTo, or several different values of one parameter")
	}
	// A missing reason is no reason to miss a timer: at worst the conversation is looked at in vain.
	if state != stateInactive || reason != "" && !strings.EqualFold(reason, reasonTimer) {
		return ignored()
	}
	return decoded{conversationSID: conversation}
}
