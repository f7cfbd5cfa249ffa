package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	requestTimeout = 10 * time.Second
	// largestAnswer bounds what is read of an answer.
	largestAnswer = 4 << 20
)

// twilioClient looks at the simulator the way any client of Twilio's REST API would, and moves its people through its
// control API. It shares no code with the operator, so that it cannot share its mistakes.
type twilioClient struct {
	baseURL, accountSID, authToken string
	http                           http.Client
}

func newTwilioClient(baseURL, accountSID, authToken string) *twilioClient {
	return &twilioClient{baseURL: baseURL, accountSID: accountSID, authToken: authToken, http: http.Client{Timeout: requestTimeout}}
}

// The parts of Twilio's resources that the demo shows.
type (
	workspace struct {
		SID              string `json:"sid"`
		FriendlyName     string `json:"friendly_name"`
		EventCallbackURL string `json:"event_callback_url"`
		EventsFilter     string `json:"events_filter"`
	}
	conversation struct {
		State  string `json:"state"`
		Timers struct {
			DateInactive *time.Time `json:"date_inactive"`
		} `json:"timers"`
	}
	webhook struct {
		SID           string `json:"sid"`
		Target        string `json:"target"`
		Configuration struct {
			URL string `json:"url"`
		} `json:"configuration"`
	}
	message struct {
		Author string `json:"author"`
		Body   string `json:"body"`
	}
	task struct {
		AssignmentStatus string `json:"assignment_status"`
		Reason           string `json:"reason"`
	}
	// started is what the control API says of a new conversation.
	started struct {
		ConversationSID string `json:"conversationSid"`
		TaskSID         string `json:"taskSid"`
		ReservationSID  string `json:"reservationSid"`
		WorkspaceSID    string `json:"workspaceSid"`
	}
)

// workspaceNamed finds the workspace with the friendly name.
func (c *twilioClient) workspaceNamed(ctx context.Context, name string) (workspace, error) {
	var page struct {
		Workspaces []workspace `json:"workspaces"`
	}
	if err := c.get(ctx, "/v1/Workspaces?FriendlyName="+url.QueryEscape(name), &page); err != nil {
		return workspace{}, err
	}
	if len(page.Workspaces) != 1 {
		return workspace{}, fmt.Errorf("the account has %d workspaces named %q", len(page.Workspaces), name)
	}
	return page.Workspaces[0], nil
}

func (c *twilioClient) conversation(ctx context.Context, sid string) (conversation, error) {
	var found conversation
	return found, c.get(ctx, "/v1/Conversations/"+sid, &found)
}

func (c *twilioClient) webhooks(ctx context.Context, conversationSID string) ([]webhook, error) {
	var page struct {
		Webhooks []webhook `json:"webhooks"`
	}
	return page.Webhooks, c.get(ctx, "/v1/Conversations/"+conversationSID+"/Webhooks", &page)
}

// lastMessage returns the newest message of the conversation.
func (c *twilioClient) lastMessage(ctx context.Context, conversationSID string) (message, error) {
	var page struct {
		Messages []message `json:"messages"`
	}
	if err := c.get(ctx, "/v1/Conversations/"+conversationSID+"/Messages?Order=desc&PageSize=1", &page); err != nil {
		return message{}, err
	}
	if len(page.Messages) == 0 {
		return message{}, fmt.Errorf("the conversation has no message")
	}
	return page.Messages[0], nil
}

func (c *twilioClient) task(ctx context.Context, workspaceSID, sid string) (task, error) {
	var found task
	return found, c.get(ctx, "/v1/Workspaces/"+workspaceSID+"/Tasks/"+sid, &found)
}

// writes lets the customer write by SMS, as if from a phone.
func (c *twilioClient) writes(ctx context.Context, from, body string) (started, error) {
	var begun started
	err := c.control(ctx, "/simulator/conversations", map[string]string{"channel": "sms", "from": from, "body": body}, &begun)
	if err == nil && (begun.ConversationSID == "" || begun.TaskSID == "" || begun.ReservationSID == "") {
		err = fmt.Errorf("the simulator began a conversation without task or reservation: %+v", begun)
	}
	return begun, err
}

// accept lets the agent accept the reservation.
func (c *twilioClient) accept(ctx context.Context, reservationSID string) error {
	return c.control(ctx, "/simulator/reservations/"+reservationSID+"/accept", nil, nil)
}

// notServing says why the simulator does not answer yet, or nothing when it does.
func (c *twilioClient) notServing(ctx context.Context) string {
	if err := c.get(ctx, "/v1/Workspaces?PageSize=1", nil); err != nil {
		return err.Error()
	}
	return ""
}

func (c *twilioClient) get(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, path, nil, into)
}

func (c *twilioClient) control(ctx context.Context, path string, body map[string]string, into any) error {
	if body == nil {
		body = map[string]string{}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encoding a request to %s: %w", path, err)
	}
	return c.do(ctx, http.MethodPost, path, text, into)
}

func (c *twilioClient) do(ctx context.Context, method, path string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.baseURL+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making a request to %s: %w", path, err)
	}
	request.SetBasicAuth(c.accountSID, c.authToken)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("asking the simulator: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, largestAnswer))
	if err != nil {
		return fmt.Errorf("reading the simulator's answer to %s %s: %w", method, path, err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, strings.TrimSpace(string(text)))
	}
	if into == nil || len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("decoding the simulator's answer to %s %s: %w", method, path, err)
	}
	return nil
}
