package twiliosim

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

const (
	maxConversationAttributes = 16 << 10 // bytes
	maxMessageAttributes      = 4 << 10  // bytes, also of participants
)

// timersJSON shows the timers that run.
type timersJSON struct {
	DateInactive *string `json:"date_inactive,omitempty"`
	DateClosed   *string `json:"date_closed,omitempty"`
}

// conversationJSON is a conversation on the wire.
type conversationJSON struct {
	SID                 string            `json:"sid"`
	AccountSID          string            `json:"account_sid"`
	ChatServiceSID      string            `json:"chat_service_sid"`
	MessagingServiceSID string            `json:"messaging_service_sid"`
	FriendlyName        *string           `json:"friendly_name"`
	UniqueName          *string           `json:"unique_name"`
	Attributes          string            `json:"attributes"`
	DateCreated         string            `json:"date_created"`
	DateUpdated         string            `json:"date_updated"`
	State               string            `json:"state"`
	Timers              timersJSON        `json:"timers"`
	Bindings            map[string]any    `json:"bindings"`
	URL                 string            `json:"url"`
	Links               map[string]string `json:"links"`
}

func (s *Simulator) conversationJSON(r *request, c *conversation) conversationJSON {
	self := r.url(r.prefix + "/Conversations/" + c.sid)
	date := func(t time.Time) *string {
		if t.IsZero() {
			return nil
		}
		w := wireTime(t)
		return &w
	}
	return conversationJSON{
		SID:                 c.sid,
		AccountSID:          s.accountSID,
		ChatServiceSID:      s.account.chatServiceSID,
		MessagingServiceSID: c.messagingServiceSID,
		FriendlyName:        c.friendlyName,
		UniqueName:          c.uniqueName,
		Attributes:          c.attributes,
		DateCreated:         wireTime(c.created),
		DateUpdated:         wireTime(c.updated),
		State:               c.state,
		Timers:              timersJSON{DateInactive: date(c.dateInactive), DateClosed: date(c.dateClosed)},
		Bindings:            map[string]any{},
		URL:                 self,
		Links: map[string]string{
			"participants": self + "/Participants", "messages": self + "/Messages",
			"webhooks": self + "/Webhooks", "export": self + "/Export",
		},
	}
}

// conversation finds the conversation of a path whose first variable is its SID or unique name.
func (s *Simulator) conversation(r *request) (*conversation, *apiError) {
	name := r.vars[0]
	if c, known := s.conversations.get(name); known {
		return c, nil
	}
	if !isFullSID.MatchString(name) {
		for _, c := range s.conversations.order {
			if c.uniqueName != nil && *c.uniqueName == name {
				return c, nil
			}
		}
	}
	return nil, notFound("/Conversations/" + name)
}

// openConversation finds a conversation that may still be changed.
func (s *Simulator) openConversation(r *request) (*conversation, *apiError) {
	c, refusal := s.conversation(r)
	if refusal == nil && c.state == stateClosed {
		return nil, refuse(http.StatusBadRequest, codeConversationClosed,
			"Can't update conversation as it's in final closed state")
	}
	return c, refusal
}

func (s *Simulator) listConversations(r *request) (*reply, *apiError) {
	state := r.query.Get("State")
	switch state {
	case "", stateActive, stateInactive, stateClosed, stateInitializing:
	default:
		return nil, refuse(http.StatusBadRequest, codeBadState, "State %q is unknown", state)
	}
	from, until, refusal := dateRange(r)
	if refusal != nil {
		return nil, refusal
	}
	var items []*conversation
	for _, c := range slices.Backward(s.conversations.order) { // newest first
		if (state == "" || c.state == state) && !c.created.Before(from) && (until.IsZero() || c.created.Before(until)) {
			items = append(items, c)
		}
	}
	return paginate(r, listing{key: "conversations", maxSize: 100, descending: true}, items,
		func(c *conversation) any { return s.conversationJSON(r, c) })
}

// dateRange reads StartDate and EndDate: a day, or a day and a time. An end day is included.
func dateRange(r *request) (from, until time.Time, refusal *apiError) {
	read := func(name string) (t time.Time, day bool, refusal *apiError) {
		text := r.query.Get(name)
		if text == "" {
			return time.Time{}, false, nil
		}
		if t, err := time.Parse(time.DateOnly, text); err == nil {
			return t, true, nil
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return t, false, invalid("%s must be a date in ISO 8601", name)
		}
		return t, false, nil
	}
	if from, _, refusal = read("StartDate"); refusal != nil {
		return from, until, refusal
	}
	until, day, refusal := read("EndDate")
	if day {
		until = until.AddDate(0, 0, 1)
	}
	return from, until, refusal
}

func (s *Simulator) getConversation(r *request) (*reply, *apiError) {
	c, refusal := s.conversation(r)
	if refusal != nil {
		return nil, refusal
	}
	return ok(s.conversationJSON(r, c))
}

// newConversation makes an active conversation in the default service, with the account's default timers. The caller
// holds the state.
func (s *Simulator) newConversation() *conversation {
	c := &conversation{
		resource:            s.newResource("CH"),
		messagingServiceSID: s.account.messagingServiceSID,
		attributes:          "{}",
		state:               stateActive,
		created:             s.now,
		updated:             s.now,
		inactiveAfter:       s.account.inactiveTimer,
		closedAfter:         s.account.closedTimer,
	}
	s.conversations.add(c)
	return c
}

func (s *Simulator) createConversation(r *request) (*reply, *apiError) {
	timers, refusal := parseTimers(r)
	if refusal != nil {
		return nil, refusal
	}
	switch state := r.get("State"); {
	case r.has("State") && state == stateClosed:
		return nil, refuse(http.StatusBadRequest, codeCreatedClosed, "Initial state can't be 'closed'")
	case r.has("State") && state != stateActive && state != stateInactive:
		return nil, refuse(http.StatusBadRequest, codeBadState, "State %q is not active or inactive", state)
	case !r.has("State") && (timers.inactive != nil || timers.closed != nil):
		return nil, refuse(http.StatusBadRequest, codeTimerWithoutState, "Timer can't be set without state")
	}
	if refusal := s.checkConversation(r, nil); refusal != nil {
		return nil, refusal
	}
	c := s.newConversation()
	if r.has("State") {
		c.state = r.get("State")
	}
	s.fillConversation(r, c)
	s.startTimer(c)
	s.setTimers(c, timers)
	return created(s.conversationJSON(r, c))
}

// checkConversation refuses what neither a create nor an update may say; existing is nil for a create.
func (s *Simulator) checkConversation(r *request, existing *conversation) *apiError {
	if r.has("Attributes") {
		if refusal := checkAttributes(r.get("Attributes"), maxConversationAttributes); refusal != nil {
			return refusal
		}
	}
	name := r.get("UniqueName")
	if name == "" {
		return nil
	}
	for _, c := range s.conversations.order {
		if c != existing && c.uniqueName != nil && *c.uniqueName == name {
			return refuse(http.StatusConflict, codeNameExists, "Conversation with provided unique name already exists")
		}
	}
	return nil
}

// checkAttributes refuses attributes that are too long or not JSON.
func checkAttributes(text string, limit int) *apiError {
	if len(text) > limit {
		return invalid("Attributes are %d bytes long: the limit is %d", len(text), limit)
	}
	if !json.Valid([]byte(text)) {
		return invalid("Attributes are not valid JSON")
	}
	return nil
}

func (s *Simulator) fillConversation(r *request, c *conversation) {
	if r.has("FriendlyName") {
		c.friendlyName = optional(r.get("FriendlyName"))
	}
	if r.has("UniqueName") {
		c.uniqueName = optional(r.get("UniqueName"))
	}
	if r.has("Attributes") {
		c.attributes = r.get("Attributes")
	}
	if r.has("MessagingServiceSid") {
		c.messagingServiceSID = r.get("MessagingServiceSid")
	}
}

func (s *Simulator) updateConversation(r *request) (*reply, *apiError) {
	c, refusal := s.openConversation(r)
	if refusal != nil {
		return nil, refusal
	}
	timers, refusal := parseTimers(r)
	if refusal != nil {
		return nil, refusal
	}
	if state := r.get("State"); r.has("State") && state != stateActive && state != stateInactive && state != stateClosed {
		return nil, refuse(http.StatusBadRequest, codeBadState, "State %q is not active, inactive or closed", state)
	}
	if refusal := s.checkConversation(r, c); refusal != nil {
		return nil, refusal
	}
	s.fillConversation(r, c)
	c.updated = s.now
	if r.has("State") && r.get("State") != c.state {
		s.setState(c, r.get("State"), reasonAPI, r.wantsWebhooks())
	}
	s.setTimers(c, timers)
	if r.wantsWebhooks() {
		s.conversationEvent(c, "onConversationUpdated", "API")
	}
	return ok(s.conversationJSON(r, c))
}

func (s *Simulator) deleteConversation(r *request) (*reply, *apiError) {
	c, refusal := s.conversation(r)
	if refusal != nil {
		return nil, refusal
	}
	if r.wantsWebhooks() {
		s.conversationEvent(c, "onConversationRemoved", "API")
	}
	s.forget(c)
	return noContent()
}

// forget takes a conversation out of the account. The caller holds the state.
func (s *Simulator) forget(c *conversation) {
	s.unschedule(c.timer)
	c.deleted = true
	s.conversations.remove(c)
}
