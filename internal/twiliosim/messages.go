package twiliosim

import (
	"net/http"
	"slices"
	"unicode/utf8"
)

const (
	// The longest bodies (https://www.twilio.com/docs/conversations-classic/conversations-limits): in characters for a
	// conversation with an SMS or WhatsApp participant, in bytes for chat alone.
	maxMessagingBody = 1600
	maxChatBody      = 32 << 10

	authorSystem = "system"
)

// messageJSON is a message on the wire.
type messageJSON struct {
	SID             string            `json:"sid"`
	AccountSID      string            `json:"account_sid"`
	ConversationSID string            `json:"conversation_sid"`
	Body            *string           `json:"body"`
	Media           []media           `json:"media"`
	Author          string            `json:"author"`
	ParticipantSID  *string           `json:"participant_sid"`
	Attributes      string            `json:"attributes"`
	DateCreated     string            `json:"date_created"`
	DateUpdated     string            `json:"date_updated"`
	Index           int               `json:"index"`
	Delivery        *deliverySummary  `json:"delivery"`
	ContentSID      *string           `json:"content_sid"`
	URL             string            `json:"url"`
	Links           map[string]string `json:"links"`
}

func (s *Simulator) messageJSON(r *request, c *conversation, m *message) messageJSON {
	self := r.url(r.prefix + "/Conversations/" + c.sid + "/Messages/" + m.sid)
	return messageJSON{
		SID:             m.sid,
		AccountSID:      s.accountSID,
		ConversationSID: c.sid,
		Body:            m.body,
		Media:           m.media,
		Author:          m.author,
		ParticipantSID:  optional(m.participantSID),
		Attributes:      m.attributes,
		DateCreated:     wireTime(m.created),
		DateUpdated:     wireTime(m.updated),
		Index:           m.index,
		Delivery:        m.delivery(false),
		ContentSID:      optional(m.contentSID),
		URL:             self,
		Links: map[string]string{
			"delivery_receipts": self + "/Receipts", "channel_metadata": self + "/ChannelMetadata",
		},
	}
}

func (s *Simulator) listMessages(r *request) (*reply, *apiError) {
	c, refusal := s.conversation(r)
	if refusal != nil {
		return nil, refusal
	}
	l := listing{key: "messages", maxSize: 100}
	items := c.messages.order
	switch r.query.Get("Order") {
	case "", "asc":
	case "desc":
		l.descending = true
		items = slices.Clone(items)
		slices.Reverse(items)
	default:
		return nil, invalid("Order must be asc or desc")
	}
	return paginate(r, l, items, func(m *message) any { return s.messageJSON(r, c, m) })
}

func (s *Simulator) getMessage(r *request) (*reply, *apiError) {
	c, refusal := s.conversation(r)
	if refusal != nil {
		return nil, refusal
	}
	m, known := c.messages.get(r.vars[1])
	if !known {
		return nil, notFound("/Conversations/" + c.sid + "/Messages/" + r.vars[1])
	}
	return ok(s.messageJSON(r, c, m))
}

func (s *Simulator) createMessage(r *request) (*reply, *apiError) {
	c, refusal := s.openConversation(r)
	if refusal != nil {
		return nil, refusal
	}
	attributes := "{}"
	if r.has("Attributes") {
		attributes = r.get("Attributes")
		if refusal := checkAttributes(attributes, maxMessageAttributes); refusal != nil {
			return nil, refusal
		}
	}
	if refusal := s.checkContent(r); refusal != nil {
		return nil, refusal
	}
	// A content template takes the place of body and media.
	contentSID, mediaSID := r.get("ContentSid"), r.get("MediaSid")
	var body *string
	var attached []media
	switch {
	case contentSID != "":
	case mediaSID != "":
		attached = []media{{SID: mediaSID, ContentType: "application/octet-stream"}}
		body = optional(r.get("Body"))
	case r.get("Body") == "":
		return nil, invalid("A message needs Body, MediaSid or ContentSid")
	default:
		body = optional(r.get("Body"))
	}
	if body != nil && c.tooLong(*body) {
		return nil, refuse(http.StatusBadRequest, codeBodyTooLong, "Message body is too long")
	}
	if refusal := s.checkReplyWindow(c, contentSID); refusal != nil {
		return nil, refusal
	}
	author := r.get("Author")
	if author == "" {
		author = authorSystem
	}
	m := s.addMessage(c, &message{
		author: author, body: body, attributes: attributes, media: attached,
		contentSID: contentSID, contentVariables: r.get("ContentVariables"),
	}, byREST, r.wantsWebhooks())
	if r.wantsWebhooks() {
		s.messageEvent(c, m, "API")
	}
	shown := s.messageJSON(r, c, m)
	shown.Delivery = m.delivery(true)
	return created(shown)
}

// tooLong tells whether a body is over the limit of the conversation's channels.
func (c *conversation) tooLong(body string) bool {
	for _, p := range c.participants.order {
		if p.address != "" {
			return utf8.RuneCountInString(body) > maxMessagingBody
		}
	}
	return len(body) > maxChatBody
}

// origin is where a message comes from.
type origin int

const (
	byPeople origin = iota
	byREST
)

// addMessage files a message and lets it reset the conversation's timer. The caller holds the state and has checked
// that the conversation is not closed.
func (s *Simulator) addMessage(c *conversation, m *message, from origin, webhooks bool) *message {
	m.resource = s.newResource("IM")
	m.index = c.nextIndex
	c.nextIndex++
	m.created, m.updated = s.now, s.now
	for _, p := range c.participants.order {
		if m.author == p.identity && p.identity != "" || m.author == p.address && p.address != "" {
			m.participantSID = p.sid
		}
	}
	c.deliver(m, s.now)
	c.messages.add(m)
	c.updated = s.now
	switch {
	case c.state == stateInactive && (from == byPeople || !s.opts.Dialect.RESTMessageKeepsInactive):
		s.setState(c, stateActive, reasonEvent, webhooks)
	case c.state == stateActive && (from == byPeople || !s.opts.Dialect.RESTMessageKeepsTimer):
		s.startTimer(c)
	}
	return m
}
