package twilio

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Every method, once: what it sends, and what it makes of the example answers of Twilio's documentation.
func TestEachMethodSendsWhatTheAPIDocumentsAndReadsItsAnswer(t *testing.T) {
	t.Parallel()
	date := time.Date(2015, 12, 16, 22, 19, 38, 0, time.UTC)
	workspaceBody := `{"sid":"` + workspaceSID + `","account_sid":"` + accountSID + `","friendly_name":"Flex Task Assignment","event_callback_url":"https://x.test/cb","events_filter":"task.created, task.canceled"}`
	workspace := Workspace{SID: workspaceSID, AccountSID: accountSID, FriendlyName: "Flex Task Assignment", EventCallbackURL: "https://x.test/cb", EventsFilter: "task.created, task.canceled"}
	taskBody := `{"sid":"` + taskSID + `","workspace_sid":"` + workspaceSID + `","assignment_status":"assigned","attributes":"{\"a\":1}","task_queue_sid":"WQ1","task_queue_friendly_name":"Support","task_channel_unique_name":"chat","reason":null,"priority":7,"age":25200,"date_created":"2015-12-16T22:19:38Z","date_updated":"2015-12-16T22:19:38Z"}`
	task := Task{
		SID: taskSID, WorkspaceSID: workspaceSID, AssignmentStatus: "assigned", Attributes: `{"a":1}`, TaskQueueSID: "WQ1",
		TaskQueueFriendlyName: "Support", TaskChannelUniqueName: "chat", Priority: 7, Age: 25200, DateCreated: date, DateUpdated: date,
	}
	withETag := task
	withETag.ETag = `"7"`
	conversationBody := `{"sid":"` + conversation + `","chat_service_sid":"IS1","state":"active","attributes":"{\"t\":1}","date_created":"2015-12-16T22:19:38Z","timers":{"date_inactive":"2015-12-16T22:19:38.5Z","date_closed":null},"bindings":{}}`
	inactiveAt := date.Add(500 * time.Millisecond)
	conv := Conversation{SID: conversation, State: "active", Attributes: `{"t":1}`, ChatServiceSID: "IS1", DateInactive: &inactiveAt, DateCreated: date}
	messageBody := func(index int) string {
		return fmt.Sprintf(`{"sid":%q,"index":%d,"author":"+15550100","body":"secret words","participant_sid":null,"attributes":"{}","media":null,"date_created":"2015-12-16T22:19:38Z","delivery":{"total":2}}`, messageSID, index)
	}
	message := Message{SID: messageSID, Index: 3, Author: "+15550100", Attributes: "{}", DateCreated: date}
	webhookBody := `{"sid":"` + webhookSID + `","target":"webhook","configuration":{"url":"https://x.test/h","method":"POST","filters":["onConversationStateUpdated"]}}`
	webhook := Webhook{SID: webhookSID, URL: "https://x.test/h", Method: "post", Target: "webhook", Filters: []string{"onConversationStateUpdated"}}
	channelBody := `{"sid":"` + channel + `","interaction_sid":"` + interaction + `","type":"web","status":"active","error_code":null}`

	for name, tc := range map[string]struct {
		reply reply
		call  func(context.Context, *Client) (any, error)
		want  any
		sent  received
	}{
		"GetWorkspace": {
			reply: reply{body: workspaceBody},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.GetWorkspace(ctx, workspaceSID) },
			want:  workspace,
			sent:  received{Method: "GET", Path: "/v1/Workspaces/" + workspaceSID},
		},
		"ListWorkspaces by name": {
			reply: reply{body: pageJSON("workspaces", "", workspaceBody)},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.ListWorkspaces(ctx, "Flex Task Assignment")
			},
			want: []Workspace{workspace},
			sent: received{Method: "GET", Path: "/v1/Workspaces", Query: url.Values{"FriendlyName": {"Flex Task Assignment"}, "PageSize": {"1000"}}},
		},
		"ListWorkspaces of the account": {
			reply: reply{body: pageJSON("workspaces", "")},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.ListWorkspaces(ctx, "") },
			want:  []Workspace(nil),
			sent:  received{Method: "GET", Path: "/v1/Workspaces", Query: url.Values{"PageSize": {"1000"}}},
		},
		"ListTaskQueues": {
			reply: reply{body: pageJSON("task_queues", "", `{"sid":"WQ1","friendly_name":"Sales"}`)},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.ListTaskQueues(ctx, workspaceSID) },
			want:  []TaskQueue{{SID: "WQ1", FriendlyName: "Sales"}},
			sent:  received{Method: "GET", Path: "/v1/Workspaces/" + workspaceSID + "/TaskQueues", Query: url.Values{"PageSize": {"1000"}}},
		},
		"UpdateWorkspaceCallback": {
			reply: reply{body: workspaceBody},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.UpdateWorkspaceCallback(ctx, workspaceSID, "https://x.test/cb#rc=5", "reservation.accepted")
			},
			want: workspace,
			sent: received{Method: "POST", Path: "/v1/Workspaces/" + workspaceSID, Form: url.Values{"EventCallbackUrl": {"https://x.test/cb#rc=5"}, "EventsFilter": {"reservation.accepted"}}},
		},
		"UpdateWorkspaceCallback clears with empty values": {
			reply: reply{body: `{"sid":"` + workspaceSID + `","event_callback_url":"","events_filter":null}`},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.UpdateWorkspaceCallback(ctx, workspaceSID, "", "")
			},
			want: Workspace{SID: workspaceSID},
			sent: received{Method: "POST", Path: "/v1/Workspaces/" + workspaceSID, Form: url.Values{"EventCallbackUrl": {""}, "EventsFilter": {""}}},
		},
		"ListTasks of a conversation": {
			reply: reply{body: pageJSON("tasks", "", strings.Replace(taskBody, `"{\"a\":1}"`, "null", 1))},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.ListTasks(ctx, workspaceSID, TaskQuery{ConversationSID: conversation, Statuses: []string{"assigned", "wrapping"}})
			},
			want: func() any { t := task; t.Attributes = ""; return []Task{t} }(),
			sent: received{Method: "GET", Path: "/v1/Workspaces/" + workspaceSID + "/Tasks", Query: url.Values{
				"EvaluateTaskAttributes": {`conversationSid == "` + conversation + `"`}, "AssignmentStatus": {"assigned", "wrapping"}, "PageSize": {"50"},
			}},
		},
		"ListTasks of the workspace": {
			reply: reply{body: pageJSON("tasks", "", taskBody)},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.ListTasks(ctx, workspaceSID, TaskQuery{Statuses: []string{"assigned"}})
			},
			want: []Task{task},
			sent: received{Method: "GET", Path: "/v1/Workspaces/" + workspaceSID + "/Tasks", Query: url.Values{"AssignmentStatus": {"assigned"}, "PageSize": {"1000"}}},
		},
		"ListTasks with a page size": {
			reply: reply{body: pageJSON("tasks", "")},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.ListTasks(ctx, workspaceSID, TaskQuery{PageSize: 7})
			},
			want: []Task(nil),
			sent: received{Method: "GET", Path: "/v1/Workspaces/" + workspaceSID + "/Tasks", Query: url.Values{"PageSize": {"7"}}},
		},
		"GetTask": {
			reply: reply{body: taskBody, header: map[string]string{"ETag": `"7"`}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.GetTask(ctx, workspaceSID, taskSID) },
			want:  withETag,
			sent:  received{Method: "GET", Path: "/v1/Workspaces/" + workspaceSID + "/Tasks/" + taskSID},
		},
		"UpdateTaskAttributes": {
			reply: reply{body: taskBody, header: map[string]string{"ETag": `"7"`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.UpdateTaskAttributes(ctx, workspaceSID, taskSID, `"6"`, `{"a":1}`)
			},
			want: withETag,
			sent: received{
				Method: "POST", Path: "/v1/Workspaces/" + workspaceSID + "/Tasks/" + taskSID, Form: url.Values{"Attributes": {`{"a":1}`}},
				Header: http.Header{"If-Match": {`"6"`}},
			},
		},
		"UpdateTaskStatus": {
			reply: reply{body: taskBody, header: map[string]string{"ETag": `"7"`}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.UpdateTaskStatus(ctx, workspaceSID, taskSID, "completed", "Inactivity timeout")
			},
			want: withETag,
			sent: received{
				Method: "POST", Path: "/v1/Workspaces/" + workspaceSID + "/Tasks/" + taskSID,
				Form: url.Values{"AssignmentStatus": {"completed"}, "Reason": {"Inactivity timeout"}},
			},
		},
		"UpdateTaskStatus without a reason": {
			reply: reply{body: taskBody},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.UpdateTaskStatus(ctx, workspaceSID, taskSID, "wrapping", "")
			},
			want: task,
			sent: received{Method: "POST", Path: "/v1/Workspaces/" + workspaceSID + "/Tasks/" + taskSID, Form: url.Values{"AssignmentStatus": {"wrapping"}}},
		},
		"ListReservations": {
			reply: reply{body: pageJSON("reservations", "", `{"sid":"WR1","task_sid":"WT1","reservation_status":"accepted","worker_sid":"WK1","worker_name":"Ann","date_created":"2015-12-16T22:19:38Z","date_updated":null}`)},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.ListReservations(ctx, workspaceSID, taskSID, "accepted")
			},
			want: []Reservation{{SID: "WR1", TaskSID: "WT1", Status: "accepted", WorkerSID: "WK1", DateCreated: date}},
			sent: received{Method: "GET", Path: "/v1/Workspaces/" + workspaceSID + "/Tasks/" + taskSID + "/Reservations", Query: url.Values{"ReservationStatus": {"accepted"}, "PageSize": {"1000"}}},
		},
		"GetConversation": {
			reply: reply{body: conversationBody},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.GetConversation(ctx, conversation) },
			want:  conv,
			sent:  received{Method: "GET", Path: "/v1/Conversations/" + conversation},
		},
		"UpdateConversation arms": {
			reply: reply{body: conversationBody},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.UpdateConversation(ctx, conversation, ConversationUpdate{State: ConversationActive, InactiveTimer: "PT15M"})
			},
			want: conv,
			sent: received{Method: "POST", Path: "/v1/Conversations/" + conversation, Form: url.Values{"State": {"active"}, "Timers.Inactive": {"PT15M"}}},
		},
		"UpdateConversation closes": {
			reply: reply{body: `{"sid":"` + conversation + `","state":"closed","timers":null}`},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.UpdateConversation(ctx, conversation, ConversationUpdate{State: ConversationClosed})
			},
			want: Conversation{SID: conversation, State: "closed"},
			sent: received{Method: "POST", Path: "/v1/Conversations/" + conversation, Form: url.Values{"State": {"closed"}}},
		},
		"ListMessages": {
			reply: reply{body: pageJSON("messages", "https://conversations.twilio.com/v1/Conversations/"+conversation+"/Messages?Page=1", messageBody(3), messageBody(2), messageBody(1))},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.ListMessages(ctx, conversation, MessageQuery{Limit: 1})
			},
			want: []Message{message},
			sent: received{Method: "GET", Path: "/v1/Conversations/" + conversation + "/Messages", Query: url.Values{"Order": {"desc"}, "PageSize": {"1"}}},
		},
		"ListMessages without a limit is one page": {
			reply: reply{body: pageJSON("messages", "")},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.ListMessages(ctx, conversation, MessageQuery{})
			},
			want: []Message(nil),
			sent: received{Method: "GET", Path: "/v1/Conversations/" + conversation + "/Messages", Query: url.Values{"Order": {"desc"}, "PageSize": {"100"}}},
		},
		"CreateMessage": {
			reply: reply{status: 201, body: messageBody(3)},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.CreateMessage(ctx, conversation, NewMessage{Author: "Support", Body: "Bye.", Attributes: `{"m":1}`})
			},
			want: message,
			sent: received{Method: "POST", Path: "/v1/Conversations/" + conversation + "/Messages", Form: url.Values{"Author": {"Support"}, "Body": {"Bye."}, "Attributes": {`{"m":1}`}}},
		},
		"CreateMessage of the system": {
			reply: reply{status: 201, body: messageBody(3)},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.CreateMessage(ctx, conversation, NewMessage{Body: "Bye."})
			},
			want: message,
			sent: received{Method: "POST", Path: "/v1/Conversations/" + conversation + "/Messages", Form: url.Values{"Body": {"Bye."}}},
		},
		"CreateMessage of a template": {
			reply: reply{status: 201, body: strings.Replace(messageBody(3), `"body":"secret words"`, `"body":null,"content_sid":"`+contentSID+`"`, 1)},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.CreateMessage(ctx, conversation, NewMessage{Author: "Support", ContentSID: contentSID, ContentVariables: `{"1":"Ann"}`, Attributes: `{"m":1}`})
			},
			want: message,
			sent: received{Method: "POST", Path: "/v1/Conversations/" + conversation + "/Messages", Form: url.Values{
				"Author": {"Support"}, "ContentSid": {contentSID}, "ContentVariables": {`{"1":"Ann"}`}, "Attributes": {`{"m":1}`},
			}},
		},
		"CreateMessage of a template with its own defaults": {
			reply: reply{status: 201, body: messageBody(3)},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.CreateMessage(ctx, conversation, NewMessage{ContentSID: contentSID})
			},
			want: message,
			sent: received{Method: "POST", Path: "/v1/Conversations/" + conversation + "/Messages", Form: url.Values{"ContentSid": {contentSID}}},
		},
		"CreateMessage of a text sends no variables": {
			reply: reply{status: 201, body: messageBody(3)},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.CreateMessage(ctx, conversation, NewMessage{Body: "Bye.", ContentVariables: `{"1":"Ann"}`})
			},
			want: message,
			sent: received{Method: "POST", Path: "/v1/Conversations/" + conversation + "/Messages", Form: url.Values{"Body": {"Bye."}}},
		},
		"ListParticipants": {
			reply: reply{body: pageJSON("participants", "",
				`{"sid":"MB3","identity":"agent_1","attributes":"{}","messaging_binding":null,"date_created":"2015-12-16T22:19:39Z"}`,
				`{"sid":"MB5","identity":"late","attributes":"{}","messaging_binding":null,"date_created":null}`,
				`{"sid":"MB1","identity":null,"attributes":"{\"role\":\"driver\"}","messaging_binding":{"type":"whatsapp","address":"whatsapp:+15550100","proxy_address":"whatsapp:+15550199"},"role_sid":null,"date_created":"2015-12-16T22:19:38Z","last_read_message_index":null}`,
				`{"sid":"MB4","identity":"agent_2","attributes":"{}","messaging_binding":{"type":"sms","address":null,"projected_address":"+15550199"},"date_created":"2015-12-16T22:19:39Z"}`,
				`{"sid":"MB2","identity":"visitor","attributes":"{}","date_created":"2015-12-16T22:19:38Z"}`)},
			call: func(ctx context.Context, c *Client) (any, error) { return c.ListParticipants(ctx, conversation) },
			want: []Participant{
				{SID: "MB1", Attributes: `{"role":"driver"}`, BindingType: "whatsapp", Address: "whatsapp:+15550100", DateCreated: date},
				{SID: "MB2", Identity: "visitor", Attributes: "{}", DateCreated: date},
				{SID: "MB3", Identity: "agent_1", Attributes: "{}", DateCreated: date.Add(time.Second)},
				{SID: "MB4", Identity: "agent_2", Attributes: "{}", BindingType: "sms", DateCreated: date.Add(time.Second)},
				{SID: "MB5", Identity: "late", Attributes: "{}"},
			},
			sent: received{Method: "GET", Path: "/v1/Conversations/" + conversation + "/Participants", Query: url.Values{"PageSize": {"100"}}},
		},
		"ListParticipants of an empty conversation": {
			reply: reply{body: pageJSON("participants", "")},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.ListParticipants(ctx, conversation) },
			want:  []Participant(nil),
			sent:  received{Method: "GET", Path: "/v1/Conversations/" + conversation + "/Participants", Query: url.Values{"PageSize": {"100"}}},
		},
		"ListWebhooks of all targets": {
			reply: reply{body: pageJSON("webhooks", "", webhookBody, `{"sid":"WH2","target":"studio","configuration":{"flow_sid":"FW1","filters":[1]}}`, `{"sid":"WH3","target":"trigger","configuration":null}`)},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.ListWebhooks(ctx, conversation) },
			want:  []Webhook{webhook, {SID: "WH2", Target: "studio"}, {SID: "WH3", Target: "trigger"}},
			sent:  received{Method: "GET", Path: "/v1/Conversations/" + conversation + "/Webhooks", Query: url.Values{"PageSize": {"5"}}},
		},
		"CreateWebhook": {
			reply: reply{status: 201, body: webhookBody},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.CreateWebhook(ctx, conversation, NewWebhook{URL: "https://x.test/h", Method: "POST", Filters: []string{"onConversationStateUpdated", "onMessageAdded"}})
			},
			want: webhook,
			sent: received{Method: "POST", Path: "/v1/Conversations/" + conversation + "/Webhooks", Form: url.Values{
				"Target": {"webhook"}, "Configuration.Url": {"https://x.test/h"}, "Configuration.Method": {"post"},
				"Configuration.Filters": {"onConversationStateUpdated", "onMessageAdded"},
			}},
		},
		"CreateWebhook with the unset method": {
			reply: reply{status: 201, body: webhookBody},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.CreateWebhook(ctx, conversation, NewWebhook{URL: "u", Filters: []string{"f"}})
			},
			want: webhook,
			sent: received{Method: "POST", Path: "/v1/Conversations/" + conversation + "/Webhooks", Form: url.Values{
				"Target": {"webhook"}, "Configuration.Url": {"u"}, "Configuration.Method": {"post"}, "Configuration.Filters": {"f"},
			}},
		},
		"GetInteractionChannel": {
			reply: reply{body: channelBody},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.GetInteractionChannel(ctx, interaction, channel)
			},
			want: InteractionChannel{SID: channel, Status: "active", Type: "web"},
			sent: received{Method: "GET", Path: "/v1/Interactions/" + interaction + "/Channels/" + channel},
		},
		"CloseInteractionChannel completing the tasks": {
			reply: reply{body: channelBody},
			call: func(ctx context.Context, c *Client) (any, error) {
				return nil, c.CloseInteractionChannel(ctx, interaction, channel, true)
			},
			sent: received{Method: "POST", Path: "/v1/Interactions/" + interaction + "/Channels/" + channel, Form: url.Values{"Status": {"closed"}, "Routing": {`{"status":"closed"}`}}},
		},
		"CloseInteractionChannel leaving the tasks to wrap up": {
			reply: reply{body: channelBody},
			call: func(ctx context.Context, c *Client) (any, error) {
				return nil, c.CloseInteractionChannel(ctx, interaction, channel, false)
			},
			sent: received{Method: "POST", Path: "/v1/Interactions/" + interaction + "/Channels/" + channel, Form: url.Values{"Status": {"closed"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, tc.reply)
			got, err := tc.call(t.Context(), testClient(t, server.URL))
			if err != nil {
				t.Fatalf("call: %v", err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			requests := server.seen()
			if len(requests) != 1 {
				t.Fatalf("%d requests, want 1", len(requests))
			}
			sent := requests[0]
			if tc.sent.Query == nil {
				tc.sent.Query = url.Values{}
			}
			if tc.sent.Form == nil {
				tc.sent.Form = url.Values{}
			}
			for name := range tc.sent.Header {
				if diff := cmp.Diff(tc.sent.Header[name], sent.Header[name]); diff != "" {
					t.Errorf("header %s (-want +got):\n%s", name, diff)
				}
			}
			checkCommonHeaders(t, sent)
			tc.sent.Header, sent.Header = nil, nil
			if diff := cmp.Diff(tc.sent, sent); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func checkCommonHeaders(t *testing.T, sent received) {
	t.Helper()
	contentType := ""
	if sent.Method == http.MethodPost {
		contentType = "application/x-www-form-urlencoded"
	}
	want := map[string]string{
		"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(accountSID+":"+token)),
		"Accept":        "application/json",
		"Content-Type":  contentType,
	}
	for name, v := range want {
		if got := sent.Header.Get(name); got != v {
			t.Errorf("header %s = %q, want %q", name, got, v)
		}
	}
	if got := sent.Header.Get("User-Agent"); !strings.HasPrefix(got, DefaultUserAgent+" twilio-go/") {
		t.Errorf("User-Agent = %q, want it to name the program and twilio-go", got)
	}
}

func TestAnAPIKeyIsUsedWhenBothItsPartsAreGiven(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		creds      Credentials
		user, pass string
	}{
		"token only":                    {Credentials{AccountSID: accountSID, AuthToken: "t"}, accountSID, "t"},
		"token and key":                 {Credentials{AccountSID: accountSID, AuthToken: "t", APIKeySID: keySID, APIKeySecret: "s"}, keySID, "s"},
		"key only":                      {Credentials{AccountSID: accountSID, APIKeySID: keySID, APIKeySecret: "s"}, keySID, "s"},
		"key without secret falls back": {Credentials{AccountSID: accountSID, AuthToken: "t", APIKeySID: keySID}, accountSID, "t"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, reply{body: taskJSON()})
			c := clientFor(t, Options{BaseURL: server.URL}, tc.creds)
			if _, err := c.GetTask(t.Context(), workspaceSID, taskSID); err != nil {
				t.Fatal(err)
			}
			request := http.Request{Header: server.seen()[0].Header}
			user, pass, _ := request.BasicAuth()
			if user != tc.user || pass != tc.pass {
				t.Errorf("sent %s:%s, want %s:%s", user, pass, tc.user, tc.pass)
			}
		})
	}
}
