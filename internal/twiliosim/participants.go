package twiliosim

import (
	"net/http"
	"strings"
)

// bindingJSON is the messaging binding of a participant on a channel. Who takes part in a group MMS from a chat client
// has a projected address only.
type bindingJSON struct {
	Type             string `json:"type"`
	Address          string `json:"address,omitempty"`
	ProxyAddress     string `json:"proxy_address,omitempty"`
	ProjectedAddress string `json:"projected_address,omitempty"`
}

// participantJSON is a participant on the wire.
type participantJSON struct {
	AccountSID           string       `json:"account_sid"`
	ConversationSID      string       `json:"conversation_sid"`
	SID                  string       `json:"sid"`
	Identity             *string      `json:"identity"`
	Attributes           string       `json:"attributes"`
	MessagingBinding     *bindingJSON `json:"messaging_binding"`
	RoleSID              *string      `json:"role_sid"`
	DateCreated          string       `json:"date_created"`
	DateUpdated          string       `json:"date_updated"`
	URL                  string       `json:"url"`
	LastReadMessageIndex *int         `json:"last_read_message_index"`
	LastReadTimestamp    *string      `json:"last_read_timestamp"`
}

func (s *Simulator) participantJSON(r *request, c *conversation, p *participant) participantJSON {
	shown := participantJSON{
		AccountSID:      s.accountSID,
		ConversationSID: c.sid,
		SID:             p.sid,
		Identity:        optional(p.identity),
		Attributes:      p.attributes,
		RoleSID:         optional(p.roleSID),
		DateCreated:     wireTime(p.created),
		DateUpdated:     wireTime(p.updated),
		URL:             r.url(r.prefix + "/Conversations/" + c.sid + "/Participants/" + p.sid),
	}
	switch {
	case p.address != "":
		shown.MessagingBinding = &bindingJSON{
			Type: p.bindingType, Address: p.address, ProxyAddress: p.proxy, ProjectedAddress: p.projectedAddress,
		}
	case p.projectedAddress != "":
		shown.MessagingBinding = &bindingJSON{Type: bindingType(p.projectedAddress), ProjectedAddress: p.projectedAddress}
	}
	return shown
}

func (s *Simulator) listParticipants(r *request) (*reply, *apiError) {
	c, refusal := s.conversation(r)
	if refusal != nil {
		return nil, refusal
	}
	return paginate(r, listing{key: "participants", maxSize: 100}, c.participants.order,
		func(p *participant) any { return s.participantJSON(r, c, p) })
}

func (s *Simulator) getParticipant(r *request) (*reply, *apiError) {
	c, refusal := s.conversation(r)
	if refusal != nil {
		return nil, refusal
	}
	p, known := c.participants.get(r.vars[1])
	if !known {
		return nil, notFound("/Conversations/" + c.sid + "/Participants/" + r.vars[1])
	}
	return ok(s.participantJSON(r, c, p))
}

func (s *Simulator) createParticipant(r *request) (*reply, *apiError) {
	c, refusal := s.openConversation(r)
	if refusal != nil {
		return nil, refusal
	}
	identity, address := r.get("Identity"), r.get("MessagingBinding.Address")
	proxy, projected := r.get("MessagingBinding.ProxyAddress"), r.get("MessagingBinding.ProjectedAddress")
	switch {
	case identity == "" && address == "":
		return nil, invalid("A participant needs Identity, or MessagingBinding.Address and MessagingBinding.ProxyAddress")
	case identity != "" && address != "":
		return nil, invalid("A participant has Identity or MessagingBinding.Address, not both")
	case address != "" && proxy == "":
		return nil, invalid("MessagingBinding.ProxyAddress is missing")
	}
	attributes := "{}"
	if r.has("Attributes") {
		attributes = r.get("Attributes")
		if refusal := checkAttributes(attributes, maxMessageAttributes); refusal != nil {
			return nil, refusal
		}
	}
	for _, p := range c.participants.order {
		if identity != "" && p.identity == identity || address != "" && p.address == address && p.proxy == proxy {
			return nil, refuse(http.StatusConflict, codeParticipantExists, "Participant already exists")
		}
	}
	if other := s.bound(address, proxy); other != nil {
		return nil, refuse(http.StatusConflict, codeBindingExists,
			"A binding for this participant and proxy address already exists in Conversation %s", other.sid)
	}
	p := s.addParticipant(c, &participant{
		identity: identity, bindingType: bindingType(address), address: address, proxy: proxy,
		projectedAddress: projected, attributes: attributes, roleSID: r.get("RoleSid"),
	})
	if r.wantsWebhooks() {
		s.participantEvent(c, p, "onParticipantAdded", "API")
	}
	return created(s.participantJSON(r, c, p))
}

// addParticipant files a participant. The caller holds the state.
func (s *Simulator) addParticipant(c *conversation, p *participant) *participant {
	p.resource = s.newResource("MB")
	p.created, p.updated = s.now, s.now
	if p.attributes == "" {
		p.attributes = "{}"
	}
	c.participants.add(p)
	if p.address != "" {
		s.bindings[binding{p.address, p.proxy}] = c
	}
	return p
}

// bindingType is the channel that an address belongs to.
func bindingType(address string) string {
	for _, kind := range []string{"whatsapp", "messenger", "gbm"} {
		if strings.HasPrefix(address, kind+":") {
			return kind
		}
	}
	if address == "" {
		return ""
	}
	return "sms"
}

// binding is a pair of addresses: the customer's and the contact centre's.
type binding struct{ address, proxy string }

// bound is the conversation that holds a pair of addresses; a pair can be in one conversation that is not closed only
// (https://www.twilio.com/docs/flex/developer/conversations/best-practices). The caller holds the state.
func (s *Simulator) bound(address, proxy string) *conversation {
	c := s.bindings[binding{address, proxy}]
	if c == nil || c.state == stateClosed || c.deleted {
		return nil
	}
	return c
}
