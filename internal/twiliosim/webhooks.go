package twiliosim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	// maxWebhooks is how many scoped webhooks a conversation may have (https://www.twilio.com/docs/api/errors/50361).
	maxWebhooks = 5
	// maxWebhookURL is the longest URL of a webhook, in bytes.
	maxWebhookURL = 2048
)

// scopedEvents are the events that a scoped webhook may name: those that follow an action
// (https://www.twilio.com/docs/conversations-classic/api/conversation-scoped-webhook-resource).
var scopedEvents = []string{
	"onMessageAdded", "onMessageUpdated", "onMessageRemoved",
	"onConversationUpdated", "onConversationRemoved", "onConversationStateUpdated",
	"onParticipantAdded", "onParticipantUpdated", "onParticipantRemoved", "onDeliveryUpdated",
}

// webhookJSON is a scoped webhook on the wire.
type webhookJSON struct {
	SID             string         `json:"sid"`
	AccountSID      string         `json:"account_sid"`
	ConversationSID string         `json:"conversation_sid"`
	Target          string         `json:"target"`
	URL             string         `json:"url"`
	Configuration   map[string]any `json:"configuration"`
	DateCreated     string         `json:"date_created"`
	DateUpdated     string         `json:"date_updated"`
}

func (s *Simulator) webhookJSON(r *request, c *conversation, w *webhook) webhookJSON {
	configuration := map[string]any{}
	if w.url != "" {
		configuration["url"] = w.url
		configuration["method"] = w.method
	}
	if w.filters != nil {
		configuration["filters"] = w.filters
	}
	if w.triggers != nil {
		configuration["triggers"] = w.triggers
	}
	if w.flowSID != "" {
		configuration["flow_sid"] = w.flowSID
	}
	return webhookJSON{
		SID:             w.sid,
		AccountSID:      s.accountSID,
		ConversationSID: c.sid,
		Target:          w.target,
		URL:             r.url(r.prefix + "/Conversations/" + c.sid + "/Webhooks/" + w.sid),
		Configuration:   configuration,
		DateCreated:     wireTime(w.created),
		DateUpdated:     wireTime(w.updated),
	}
}

// webhook finds the webhook of a path /v1/Conversations/{0}/Webhooks/{1}.
func (s *Simulator) webhook(r *request) (*conversation, *webhook, *apiError) {
	c, refusal := s.conversation(r)
	if refusal != nil {
		return nil, nil, refusal
	}
	w, known := c.webhooks.get(r.vars[1])
	if !known {
		return nil, nil, refuse(http.StatusNotFound, codeNotFound,
			"The requested resource /Conversations/%s/Webhooks/%s was not found", c.sid, r.vars[1])
	}
	return c, w, nil
}

func (s *Simulator) listWebhooks(r *request) (*reply, *apiError) {
	c, refusal := s.conversation(r)
	if refusal != nil {
		return nil, refusal
	}
	return paginate(r, listing{key: "webhooks", maxSize: maxWebhooks, defaultSize: maxWebhooks}, c.webhooks.order,
		func(w *webhook) any { return s.webhookJSON(r, c, w) })
}

func (s *Simulator) getWebhook(r *request) (*reply, *apiError) {
	c, w, refusal := s.webhook(r)
	if refusal != nil {
		return nil, refusal
	}
	return ok(s.webhookJSON(r, c, w))
}

func (s *Simulator) createWebhook(r *request) (*reply, *apiError) {
	c, refusal := s.openConversation(r)
	if refusal != nil {
		return nil, refusal
	}
	if !r.has("Target") {
		return nil, invalid("Target is missing: webhook, studio or trigger")
	}
	if refusal := r.oneOf("Target", "webhook", "studio", "trigger"); refusal != nil {
		return nil, refusal
	}
	if len(c.webhooks.order) >= maxWebhooks {
		return nil, refuse(http.StatusBadRequest, codeTooManyWebhooks,
			"Conversation %s has %d webhooks, which is the limit", c.sid, maxWebhooks)
	}
	w := &webhook{target: r.get("Target"), method: "post"}
	if refusal := fillWebhook(r, w); refusal != nil {
		return nil, refusal
	}
	w.resource = s.newResource("WH")
	w.created, w.updated = s.now, s.now
	c.webhooks.add(w)
	return created(s.webhookJSON(r, c, w))
}

func (s *Simulator) updateWebhook(r *request) (*reply, *apiError) {
	c, w, refusal := s.webhook(r)
	if refusal != nil {
		return nil, refusal
	}
	changed := *w
	if refusal := fillWebhook(r, &changed); refusal != nil {
		return nil, refusal
	}
	*w = changed
	w.updated = s.now
	return ok(s.webhookJSON(r, c, w))
}

// fillWebhook takes the configuration over and checks what it leads to.
func fillWebhook(r *request, w *webhook) *apiError {
	if r.has("Configuration.Method") {
		// Twilio's document has the methods in lower case; much public code sends them in upper case, and works.
		w.method = strings.ToLower(r.get("Configuration.Method"))
		if w.method != "get" && w.method != "post" {
			return invalid("Invalid Configuration.Method: %q is not one of get, post", r.get("Configuration.Method"))
		}
	}
	if r.has("Configuration.Url") {
		w.url = r.get("Configuration.Url")
	}
	if r.has("Configuration.Filters") {
		w.filters = slices.Clone(r.form["Configuration.Filters"])
	}
	if r.has("Configuration.Triggers") {
		w.triggers = slices.Clone(r.form["Configuration.Triggers"])
	}
	if r.has("Configuration.FlowSid") {
		w.flowSID = r.get("Configuration.FlowSid")
	}
	if w.target == "studio" {
		if w.flowSID == "" {
			return invalid("Configuration.FlowSid is missing")
		}
		return nil
	}
	bad := func(code int, format string, args ...any) *apiError {
		return refuse(http.StatusBadRequest, code, format, args...)
	}
	u, err := url.Parse(w.url)
	switch {
	case w.url == "":
		return bad(codeWebhookWithoutURL, "Configuration.Url is missing")
	case len(w.url) > maxWebhookURL:
		return bad(codeWebhookURLTooLong, "Configuration.Url is longer than %d characters", maxWebhookURL)
	case err != nil || u.Host == "":
		return bad(codeWebhookWithoutURL, "Configuration.Url is not a valid URL")
	case w.target == "trigger":
		return nil
	case len(w.filters) == 0 || slices.Equal(w.filters, []string{""}):
		return bad(codeWebhookNoFilter, "Configuration.Filters is missing")
	}
	for _, event := range w.filters {
		if !slices.Contains(scopedEvents, event) {
			return bad(codeBadWebhookFilter, "Configuration.Filters: %q is no event of a scoped webhook", event)
		}
	}
	return nil
}

func (s *Simulator) deleteWebhook(r *request) (*reply, *apiError) {
	c, w, refusal := s.webhook(r)
	if refusal != nil {
		return nil, refusal
	}
	c.webhooks.remove(w)
	return noContent()
}
