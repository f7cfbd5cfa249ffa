package twiliosim

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/twilio/twilio-go/client"
	conversations "github.com/twilio/twilio-go/rest/conversations/v1"
	flex "github.com/twilio/twilio-go/rest/flex/v1"
	taskrouter "github.com/twilio/twilio-go/rest/taskrouter/v1"
)

// redirect sends the requests that Twilio's own client makes for *.twilio.com to the simulator.
type redirect struct{ to *url.URL }

func (r redirect) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Host = req.URL.Host
	req.URL.Scheme, req.URL.Host = r.to.Scheme, r.to.Host
	return http.DefaultTransport.RoundTrip(req)
}

// TestTwiliosOwnClient plays a conversation's life with the client library that Twilio publishes for Go.
func TestTwiliosOwnClient(t *testing.T) {
	w := newWorld(t)
	to, err := url.Parse(w.server.URL)
	w.ok(err)
	base := &client.Client{
		Credentials: client.NewCredentials(w.AccountSID(), w.AuthToken()),
		HTTPClient:  &http.Client{Transport: redirect{to}},
	}
	base.SetAccountSid(w.AccountSID())
	handler := client.NewRequestHandler(base)
	tr, cv, fx := taskrouter.NewApiService(handler), conversations.NewApiService(handler), flex.NewApiService(handler)
	s := w.accepted("+1")
	for range 3 {
		w.must("/v1/Workspaces/" + w.WorkspaceSID() + "/Tasks")
	}

	workspaces, err := tr.ListWorkspace((&taskrouter.ListWorkspaceParams{}).SetFriendlyName("Flex Task Assignment"))
	w.ok(err)
	if len(workspaces) != 1 || *workspaces[0].Sid != w.WorkspaceSID() {
		t.Fatalf("workspaces %v", workspaces)
	}
	changed, err := tr.UpdateWorkspace(w.WorkspaceSID(), (&taskrouter.UpdateWorkspaceParams{}).
		SetEventCallbackUrl("https://example.com/#rc=5").SetEventsFilter("reservation.accepted"))
	w.ok(err)
	if *changed.EventCallbackUrl != "https://example.com/#rc=5" {
		t.Errorf("callback %s", *changed.EventCallbackUrl)
	}
	all, err := tr.ListTask(w.WorkspaceSID(), (&taskrouter.ListTaskParams{}).SetPageSize(2))
	w.ok(err)
	if len(all) != 4 {
		t.Errorf("%d tasks over two pages", len(all))
	}
	mine, err := tr.ListTask(w.WorkspaceSID(), (&taskrouter.ListTaskParams{}).
		SetEvaluateTaskAttributes(`conversationSid == "`+s.ConversationSID+`"`).SetAssignmentStatus([]string{"assigned", "wrapping"}))
	w.ok(err)
	if len(mine) != 1 || *mine[0].Sid != s.TaskSID || mine[0].DateCreated == nil || !mine[0].DateCreated.Equal(start.Truncate(time.Second)) {
		t.Fatalf("tasks %v", mine)
	}
	_, err = tr.UpdateTask(w.WorkspaceSID(), s.TaskSID, (&taskrouter.UpdateTaskParams{}).SetIfMatch(`"99"`).SetAttributes("{}"))
	if refused, is := err.(*client.TwilioRestError); !is || refused.Status != 412 || refused.Code != 20412 { //nolint:errorlint // Twilio's client does not wrap
		t.Errorf("a stale ETag: %v", err)
	}

	c, err := cv.UpdateConversation(s.ConversationSID, (&conversations.UpdateConversationParams{}).SetTimersInactive("PT1M"))
	w.ok(err)
	if timers, _ := (*c.Timers).(map[string]any); timers["date_inactive"] != wireTime(start.Add(time.Minute)) {
		t.Errorf("timers %v", *c.Timers)
	}
	hook, err := cv.CreateConversationScopedWebhook(s.ConversationSID, (&conversations.CreateConversationScopedWebhookParams{}).
		SetTarget("webhook").SetConfigurationUrl("https://example.com").SetConfigurationMethod("post").
		SetConfigurationFilters([]string{"onConversationStateUpdated", "onMessageAdded"}))
	w.ok(err)
	if configuration, _ := (*hook.Configuration).(map[string]any); len(configuration["filters"].([]any)) != 2 {
		t.Errorf("webhook %v", *hook.Configuration)
	}
	_, err = cv.CreateConversationMessage(s.ConversationSID, (&conversations.CreateConversationMessageParams{}).SetBody("Bye"))
	w.ok(err)
	messages, err := cv.ListConversationMessage(s.ConversationSID, (&conversations.ListConversationMessageParams{}).SetOrder("desc").SetPageSize(1))
	w.ok(err)
	if len(messages) != 2 || *messages[0].Author != "system" || messages[0].Index != 1 {
		t.Errorf("messages %v", messages)
	}
	sent, err := cv.CreateConversationMessage(s.ConversationSID, (&conversations.CreateConversationMessageParams{}).
		SetContentSid(template).SetContentVariables(`{"1":"Ann"}`))
	w.ok(err)
	if *sent.ContentSid != template || sent.Body != nil {
		t.Errorf("template %+v", sent)
	}
	people, err := cv.ListConversationParticipant(s.ConversationSID, &conversations.ListConversationParticipantParams{})
	w.ok(err)
	if binding, _ := (*people[0].MessagingBinding).(map[string]any); len(people) != 2 || binding["address"] != "+1" || people[1].MessagingBinding != nil {
		t.Errorf("participants %v", people)
	}
	channel, err := fx.UpdateInteractionChannel(s.InteractionSID, s.ChannelSID, (&flex.UpdateInteractionChannelParams{
		Routing: new(any(map[string]any{"status": "closed"})),
	}).SetStatus("closed"))
	w.ok(err)
	if *channel.Status != "closed" || w.taskStatus(s.TaskSID) != "completed" || w.conversationState(s) != "closed" {
		t.Errorf("channel %s, task %s, conversation %s", *channel.Status, w.taskStatus(s.TaskSID), w.conversationState(s))
	}
	_, err = cv.UpdateConversation(s.ConversationSID, (&conversations.UpdateConversationParams{}).SetState("active"))
	if refused, is := err.(*client.TwilioRestError); !is || refused.Code != 50377 { //nolint:errorlint // Twilio's client does not wrap
		t.Errorf("a closed conversation: %v", err)
	}
}
