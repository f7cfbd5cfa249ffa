package twilio

import (
	"context"
	"strings"

	conversations "github.com/twilio/twilio-go/rest/conversations/v1"
)

// Webhook is a webhook of one conversation, of which there may be five
// (https://www.twilio.com/docs/conversations-classic/api/conversation-scoped-webhook-resource). It has no name; its
// owner knows it by its URL.
type Webhook struct {
	SID string
	// URL is where events are sent; "" for targets other than webhook and trigger.
	URL string
	// Method is get or post.
	Method string
	// Target is webhook, trigger or studio.
	Target string
	// Filters are the names of the events to send.
	Filters []string
}

func newWebhook(w *conversations.ConversationsV1ConversationScopedWebhook) Webhook {
	webhook := Webhook{SID: value(w.Sid), Target: value(w.Target)}
	// The models have any here; what it holds depends on the target, which may be somebody else's.
	configuration, _ := value(w.Configuration).(map[string]any)
	webhook.URL, _ = configuration["url"].(string)
	method, _ := configuration["method"].(string)
	webhook.Method = strings.ToLower(method)
	filters, _ := configuration["filters"].([]any)
	for _, filter := range filters {
		if name, ok := filter.(string); ok {
			webhook.Filters = append(webhook.Filters, name)
		}
	}
	return webhook
}

// NewWebhook is a webhook to create.
type NewWebhook struct {
	URL string
	// Method is get or post, in any case; "" means post.
	Method string
	// Filters are the names of the events to send.
	Filters []string
}

// ListWebhooks reads all webhooks of a conversation.
func (c *Client) ListWebhooks(ctx context.Context, conversationSID string) ([]Webhook, error) {
	if err := checkSIDs(opListWebhooks, conversationArg(conversationSID)); err != nil {
		return nil, err
	}
	params := &conversations.ListConversationScopedWebhookParams{}
	params.SetPageSize(webhookPageSize)
	return listAll(ctx, c, opListWebhooks, 0, func(x *exchange) ([]Webhook, *string, string, error) {
		page, err := x.conversations().PageConversationScopedWebhook(conversationSID, params, "", "")
		if err != nil {
			return nil, nil, "", err
		}
		return convert(page.Webhooks, newWebhook), page.Meta.NextPageUrl, page.Meta.Key, nil
	})
}

// CreateWebhook adds a webhook to a conversation. Nothing keeps it from being the second of its kind, so the caller looks
// first, and again when the outcome is unknown. Twilio refuses the sixth with code 50361.
func (c *Client) CreateWebhook(ctx context.Context, conversationSID string, webhook NewWebhook) (Webhook, error) {
	if err := checkSIDs(opCreateWebhook, conversationArg(conversationSID)); err != nil {
		return Webhook{}, err
	}
	if webhook.URL == "" || len(webhook.Filters) == 0 {
		return Webhook{}, invalid(opCreateWebhook, "url or filters are empty")
	}
	method := strings.ToLower(webhook.Method)
	if method == "" {
		method = "post"
	}
	params := &conversations.CreateConversationScopedWebhookParams{}
	params.SetTarget("webhook")
	params.SetConfigurationUrl(webhook.URL)
	params.SetConfigurationMethod(method)
	params.SetConfigurationFilters(webhook.Filters)
	x := c.begin(ctx, opCreateWebhook)
	got, err := x.conversations().CreateConversationScopedWebhook(conversationSID, params)
	if err != nil {
		return Webhook{}, x.end(err)
	}
	return answer(x, newWebhook(got), got.Sid, "")
}
