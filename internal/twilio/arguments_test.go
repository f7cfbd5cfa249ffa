package twilio

import (
	"context"
	"strings"
	"testing"
)

func TestCallsWithMalformedArgumentsAreNotSent(t *testing.T) {
	t.Parallel()
	long := `{"a":"` + strings.Repeat("é", maxTaskAttributes) + `"}`
	evil := conversation[:33] + `"`
	for name, call := range map[string]func(context.Context, *Client) error{
		"workspace sid of another kind": func(ctx context.Context, c *Client) error { _, err := c.GetWorkspace(ctx, taskSID); return err },
		"workspace sid to update": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateWorkspaceCallback(ctx, "", "", "")
			return err
		},
		"workspace sid to list tasks": func(ctx context.Context, c *Client) error {
			_, err := c.ListTasks(ctx, "WS/../../x", TaskQuery{})
			return err
		},
		"conversation sid that would end the expression": func(ctx context.Context, c *Client) error {
			_, err := c.ListTasks(ctx, workspaceSID, TaskQuery{ConversationSID: evil})
			return err
		},
		"page size above the maximum": func(ctx context.Context, c *Client) error {
			_, err := c.ListTasks(ctx, workspaceSID, TaskQuery{PageSize: 1001})
			return err
		},
		"negative page size": func(ctx context.Context, c *Client) error {
			_, err := c.ListTasks(ctx, workspaceSID, TaskQuery{PageSize: -1})
			return err
		},
		"task sid": func(ctx context.Context, c *Client) error { _, err := c.GetTask(ctx, workspaceSID, "WT1"); return err },
		"task sid to update": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateTaskAttributes(ctx, workspaceSID, "", `"1"`, "{}")
			return err
		},
		"no etag": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateTaskAttributes(ctx, workspaceSID, taskSID, "", "{}")
			return err
		},
		"etag that would be two headers": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateTaskAttributes(ctx, workspaceSID, taskSID, "\"1\"\r\nX: y", "{}")
			return err
		},
		"attributes that are too long": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateTaskAttributes(ctx, workspaceSID, taskSID, `"1"`, long)
			return err
		},
		"attributes that are an array": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateTaskAttributes(ctx, workspaceSID, taskSID, `"1"`, "[]")
			return err
		},
		"attributes that are cut": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateTaskAttributes(ctx, workspaceSID, taskSID, `"1"`, `{"a":`)
			return err
		},
		"task sid to complete": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateTaskStatus(ctx, workspaceSID, "x", "completed", "")
			return err
		},
		"no status": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateTaskStatus(ctx, workspaceSID, taskSID, "", "")
			return err
		},
		"task sid of reservations": func(ctx context.Context, c *Client) error {
			_, err := c.ListReservations(ctx, workspaceSID, "x", "")
			return err
		},
		"conversation sid with a path": func(ctx context.Context, c *Client) error {
			_, err := c.GetConversation(ctx, conversation+"/Messages")
			return err
		},
		"conversation sid that is too long": func(ctx context.Context, c *Client) error {
			_, err := c.GetConversation(ctx, conversation+"0")
			return err
		},
		"conversation sid to update": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateConversation(ctx, "x", ConversationUpdate{State: "closed"})
			return err
		},
		"nothing to update": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateConversation(ctx, conversation, ConversationUpdate{})
			return err
		},
		"conversation sid of messages": func(ctx context.Context, c *Client) error {
			_, err := c.ListMessages(ctx, "x", MessageQuery{})
			return err
		},
		"negative limit": func(ctx context.Context, c *Client) error {
			_, err := c.ListMessages(ctx, conversation, MessageQuery{Limit: -1})
			return err
		},
		"conversation sid of a new message": func(ctx context.Context, c *Client) error {
			_, err := c.CreateMessage(ctx, "x", NewMessage{Body: "b"})
			return err
		},
		"no body": func(ctx context.Context, c *Client) error {
			_, err := c.CreateMessage(ctx, conversation, NewMessage{})
			return err
		},
		"body and template": func(ctx context.Context, c *Client) error {
			_, err := c.CreateMessage(ctx, conversation, NewMessage{Body: "b", ContentSID: contentSID})
			return err
		},
		"variables without a template": func(ctx context.Context, c *Client) error {
			_, err := c.CreateMessage(ctx, conversation, NewMessage{ContentVariables: `{"1":"x"}`})
			return err
		},
		"template that is none": func(ctx context.Context, c *Client) error {
			_, err := c.CreateMessage(ctx, conversation, NewMessage{ContentSID: contentSID[:33] + "g"})
			return err
		},
		"template that is another resource": func(ctx context.Context, c *Client) error {
			_, err := c.CreateMessage(ctx, conversation, NewMessage{ContentSID: messageSID})
			return err
		},
		"variables that are a list": func(ctx context.Context, c *Client) error {
			_, err := c.CreateMessage(ctx, conversation, NewMessage{ContentSID: contentSID, ContentVariables: `["x"]`})
			return err
		},
		"variables that are cut": func(ctx context.Context, c *Client) error {
			_, err := c.CreateMessage(ctx, conversation, NewMessage{ContentSID: contentSID, ContentVariables: `{"1":`})
			return err
		},
		"conversation sid of participants": func(ctx context.Context, c *Client) error { _, err := c.ListParticipants(ctx, "x"); return err },
		"conversation sid of webhooks":     func(ctx context.Context, c *Client) error { _, err := c.ListWebhooks(ctx, "x"); return err },
		"conversation sid of a new webhook": func(ctx context.Context, c *Client) error {
			_, err := c.CreateWebhook(ctx, "x", NewWebhook{})
			return err
		},
		"no filters": func(ctx context.Context, c *Client) error {
			_, err := c.CreateWebhook(ctx, conversation, NewWebhook{URL: "u"})
			return err
		},
		"channel sid": func(ctx context.Context, c *Client) error {
			_, err := c.GetInteractionChannel(ctx, interaction, "x")
			return err
		},
		"interaction sid to close": func(ctx context.Context, c *Client) error {
			return c.CloseInteractionChannel(ctx, "x", channel, true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, reply{})
			err := call(t.Context(), testClient(t, server.URL))
			e := asError(t, err)
			if e.Err != ErrInvalidArgument || !IsRefused(err) || OutcomeUnknown(err) || e.Operation == "" { //nolint:errorlint // exactly
				t.Errorf("error %#v, want a refusal as an invalid argument", e)
			}
			if !strings.Contains(err.Error(), "invalid argument: ") || strings.Contains(err.Error(), evil) {
				t.Errorf("error %q, want what is wrong without the value", err)
			}
			if n := len(server.seen()); n != 0 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
}

func TestAnAnswerThatIsNotTheResourceIsNoAnswer(t *testing.T) {
	t.Parallel()
	other := "CH" + strings.Repeat("f", 32)
	getConversation := func(ctx context.Context, c *Client) error { _, err := c.GetConversation(ctx, conversation); return err }
	createMessage := func(ctx context.Context, c *Client) error {
		_, err := c.CreateMessage(ctx, conversation, NewMessage{Body: "b"})
		return err
	}
	listParticipants := func(ctx context.Context, c *Client) error {
		_, err := c.ListParticipants(ctx, conversation)
		return err
	}
	for name, tc := range map[string]struct {
		body    string
		call    func(context.Context, *Client) error
		unknown bool
	}{
		"an empty body":                 {"", getConversation, false},
		"an empty object":               {"{}", getConversation, false},
		"null":                          {"null", getConversation, false},
		"a page of html":                {"<html>please log in</html>", getConversation, false},
		"another resource":              {`{"sid":"` + other + `"}`, getConversation, false},
		"a date that is none":           {`{"sid":"` + conversation + `","date_created":"yesterday"}`, getConversation, false},
		"a timer that is no date":       {`{"sid":"` + conversation + `","timers":{"date_inactive":"soon"}}`, getConversation, false},
		"a timer that is a number":      {`{"sid":"` + conversation + `","timers":{"date_inactive":5}}`, getConversation, false},
		"timers that are no object":     {`{"sid":"` + conversation + `","timers":"PT1M"}`, getConversation, false},
		"a created message, no sid":     {"{}", createMessage, true},
		"a created message, no json":    {"<html>", createMessage, true},
		"a binding that is no object":   {pageJSON("participants", "", `{"sid":"MB1","messaging_binding":"sms"}`), listParticipants, false},
		"a binding with a numeric type": {pageJSON("participants", "", `{"sid":"MB1"}`, `{"sid":"MB2","messaging_binding":{"type":5}}`), listParticipants, false},
		"an address that is an object":  {pageJSON("participants", "", `{"sid":"MB1","messaging_binding":{"address":{}}}`, `{"sid":"MB2"}`), listParticipants, false},
		"participants that are no list": {"{}", listParticipants, false},
		"an object that is no list": {"{}", func(ctx context.Context, c *Client) error {
			_, err := c.ListWebhooks(ctx, conversation)
			return err
		}, false},
		"a list that is no json": {`nope`, func(ctx context.Context, c *Client) error {
			_, err := c.ListTasks(ctx, workspaceSID, TaskQuery{})
			return err
		}, false},
		"a closed channel, no sid": {"{}", func(ctx context.Context, c *Client) error {
			return c.CloseInteractionChannel(ctx, interaction, channel, true)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, reply{body: tc.body, header: map[string]string{"Twilio-Request-Id": "RQ1"}})
			err := tc.call(t.Context(), testClient(t, server.URL))
			e := asError(t, err)
			if e.Err != ErrBadAnswer || e.Status != 200 || e.RequestID != "RQ1" || e.Attempts != 1 { //nolint:errorlint // exactly
				t.Errorf("error %+v, want a bad answer with its status and request", *e)
			}
			if OutcomeUnknown(err) != tc.unknown || IsRefused(err) {
				t.Errorf("OutcomeUnknown = %t, want %t; IsRefused = %t, want false", OutcomeUnknown(err), tc.unknown, IsRefused(err))
			}
		})
	}
}

func TestAListWithoutMetaIsOnePage(t *testing.T) {
	t.Parallel()
	server := serve(t, reply{body: `{"webhooks":[]}`})
	webhooks, err := testClient(t, server.URL).ListWebhooks(t.Context(), conversation)
	if err != nil || len(webhooks) != 0 {
		t.Errorf("ListWebhooks = %v, %v, want an empty list", webhooks, err)
	}
}

func TestTimersThatAreNotSetAreNil(t *testing.T) {
	t.Parallel()
	for name, timers := range map[string]string{"null": "null", "empty": "{}", "null dates": `{"date_inactive":null}`, "empty dates": `{"date_inactive":""}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, reply{body: `{"sid":"` + conversation + `","timers":` + timers + `}`})
			got, err := testClient(t, server.URL).GetConversation(t.Context(), conversation)
			if err != nil || got.DateInactive != nil || got.DateClosed != nil {
				t.Errorf("got %+v, %v; want no timers", got, err)
			}
		})
	}
}
