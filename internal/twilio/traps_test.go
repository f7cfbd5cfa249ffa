package twilio

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/twilio/twilio-go/client"
	conversations "github.com/twilio/twilio-go/rest/conversations/v1"
	taskrouter "github.com/twilio/twilio-go/rest/taskrouter/v1"
)

// Each test here shows one trap of twilio-go's own client first, and that this package is not caught in it. When a new
// version of twilio-go mends one, the first half fails and says so.

func TestTrapACallCannotBeCanceled(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{}, 1)
	release := make(chan struct{})
	aborted := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server notices a lost client only after the body
		entered <- struct{}{}
		select {
		case <-release:
			reply{body: taskJSON()}.write(w)
		case <-r.Context().Done():
			aborted <- struct{}{}
		}
	}))
	t.Cleanup(server.Close)

	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := testClient(t, server.URL).UpdateTaskStatus(ctx, workspaceSID, taskSID, "completed", "")
		result <- err
	}()
	<-entered
	cancel()
	err := <-result
	if !errors.Is(err, context.Canceled) || !OutcomeUnknown(err) {
		t.Errorf("ours: %v, unknown %t; want a canceled call of unknown outcome", err, OutcomeUnknown(err))
	}
	<-aborted // the request itself ended, not only the wait for it

	// There is no way to tell the plain client: the same canceled context is nothing to it, and the task is completed.
	go func() {
		params := &taskrouter.UpdateTaskParams{}
		params.SetAssignmentStatus("completed")
		_, err := taskrouter.NewApiService(plainSDK(toServer{server.URL}, "token")).UpdateTask(workspaceSID, taskSID, params)
		result <- err
	}()
	<-entered
	close(release)
	if err := <-result; err != nil {
		t.Errorf("plain: %v; want it to complete the task after the caller gave up", err)
	}
}

func TestTrapAQueryLosesDigitsAfterADot(t *testing.T) {
	t.Parallel()
	const name = "Support 2.0 (v1.25)"
	server := serve(t, reply{body: pageJSON("workspaces", "")})
	params := &taskrouter.ListWorkspaceParams{}
	params.SetFriendlyName(name)
	if _, err := taskrouter.NewApiService(plainSDK(toServer{server.URL}, "token")).PageWorkspace(params, "", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := testClient(t, server.URL).ListWorkspaces(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	seen := server.seen()
	if got := seen[0].Query.Get("FriendlyName"); got != "Support 2 (v1)" {
		t.Errorf("plain sent %q; want the trap's \"Support 2 (v1)\"", got)
	}
	if got := seen[1].Query.Get("FriendlyName"); got != name {
		t.Errorf("ours sent %q, want %q", got, name)
	}
}

// openBodies counts bodies that nobody closed.
type openBodies struct {
	next http.RoundTripper
	open atomic.Int64
}

type countedBody struct {
	io.ReadCloser
	once   sync.Once
	closed func()
}

func (b *countedBody) Close() error {
	b.once.Do(b.closed)
	return b.ReadCloser.Close()
}

func (o *openBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := o.next.RoundTrip(r)
	if err == nil {
		o.open.Add(1)
		response.Body = &countedBody{ReadCloser: response.Body, closed: func() { o.open.Add(-1) }}
	}
	return response, err
}

func TestTrapARefusalThatIsNotJSONLosesItsStatusAndItsConnection(t *testing.T) {
	t.Parallel()
	server := serve(t, reply{status: http.StatusBadGateway, body: "<html>" + strings.Repeat("x", 4096) + "</html>", header: map[string]string{"Retry-After": "60"}})

	bodies := &openBodies{next: toServer{server.URL}}
	_, err := conversations.NewApiService(plainSDK(bodies, "token")).FetchConversation(conversation)
	var typed *sdk.TwilioRestError
	if err == nil || errors.As(err, &typed) {
		t.Errorf("plain: %v; want an error without a status", err)
	}
	if bodies.open.Load() != 1 {
		t.Errorf("plain left %d bodies open; want the trap's 1", bodies.open.Load())
	}

	bodies = &openBodies{next: http.DefaultTransport}
	c := clientFor(t, Options{BaseURL: server.URL, Transport: bodies}, testCredentials())
	_, err = c.GetConversation(t.Context(), conversation)
	if !IsServerError(err) || asError(t, err).Status != http.StatusBadGateway || !asError(t, err).Foreign {
		t.Errorf("ours: %v; want a foreign 502", err)
	}
	if after, ok := RetryAfter(err); !ok || after != time.Minute {
		t.Errorf("ours: Retry-After %s, %t; want 1m", after, ok)
	}
	if bodies.open.Load() != 0 {
		t.Errorf("ours left %d bodies open", bodies.open.Load())
	}
}

func TestTrapTheStatusIsReadFromTheBody(t *testing.T) {
	t.Parallel()
	server := serve(t, reply{status: http.StatusPreconditionFailed, body: `{"code":20412,"message":"Precondition Failed"}`})
	params := &taskrouter.UpdateTaskParams{}
	params.SetIfMatch(`"1"`).SetAttributes("{}")
	_, err := taskrouter.NewApiService(plainSDK(toServer{server.URL}, "token")).UpdateTask(workspaceSID, taskSID, params)
	var typed *sdk.TwilioRestError
	if !errors.As(err, &typed) || typed.Status != 0 {
		t.Errorf("plain: %v; want an error whose status is 0", err)
	}
	_, err = testClient(t, server.URL).UpdateTaskAttributes(t.Context(), workspaceSID, taskSID, `"1"`, "{}")
	if !IsPreconditionFailed(err) || OutcomeUnknown(err) {
		t.Errorf("ours: %v; want a failed precondition", err)
	}
}

func TestTrapASecretWithAHyphenIsRefused(t *testing.T) {
	t.Parallel()
	server := serve(t, reply{body: taskJSON()})
	_, err := taskrouter.NewApiService(plainSDK(toServer{server.URL}, token)).FetchTask(workspaceSID, taskSID)
	var typed *sdk.TwilioRestError
	if !errors.As(err, &typed) || typed.Code != 21224 {
		t.Errorf("plain: %v; want code 21224, made up locally", err)
	}
	if _, err := testClient(t, server.URL).GetTask(t.Context(), workspaceSID, taskSID); err != nil {
		t.Errorf("ours: %v", err)
	}
}

func TestTrapTimersAreUntyped(t *testing.T) {
	t.Parallel()
	server := serve(t, reply{body: `{"sid":"` + conversation + `","timers":{"date_inactive":"2026-03-01T12:15:00Z"}}`})
	plain, err := conversations.NewApiService(plainSDK(toServer{server.URL}, "token")).FetchConversation(conversation)
	if err != nil {
		t.Fatal(err)
	}
	if _, isTime := (*plain.Timers).(map[string]any)["date_inactive"].(time.Time); isTime {
		t.Error("plain: the timer is a time now")
	}
	ours, err := testClient(t, server.URL).GetConversation(t.Context(), conversation)
	if err != nil || ours.DateInactive == nil || !ours.DateInactive.Equal(time.Date(2026, 3, 1, 12, 15, 0, 0, time.UTC)) {
		t.Errorf("ours: %v, %v", ours.DateInactive, err)
	}
}

func TestTrapARedirectPassesForAnAnswer(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	server := serve(t, reply{status: http.StatusTemporaryRedirect, body: `{"sid":"` + conversation + `","state":"active"}`, header: map[string]string{"Location": other.URL}})

	got, err := conversations.NewApiService(plainSDK(toServer{server.URL}, "token")).FetchConversation(conversation)
	if err != nil || got == nil {
		t.Errorf("plain: %v, %v; want no error", got, err)
	}
	_, err = testClient(t, server.URL).GetConversation(t.Context(), conversation)
	if asError(t, err).Status != http.StatusTemporaryRedirect || IsRefused(err) || errors.Is(err, ErrBadAnswer) {
		t.Errorf("ours: %v; want status 307", err)
	}
	_, err = testClient(t, server.URL).CreateMessage(t.Context(), conversation, NewMessage{Body: "b"})
	if !OutcomeUnknown(err) {
		t.Errorf("ours, of a write: %v; want an unknown outcome", err)
	}
	if elsewhere.Load() != 0 {
		t.Errorf("%d requests followed the redirect", elsewhere.Load())
	}
}

// Not parallel: it sets environment variables.
func TestTrapRegionAndEdgeRewriteTheHostOfATestServer(t *testing.T) {
	t.Setenv("TWILIO_REGION", "ie1")
	t.Setenv("TWILIO_EDGE", "dublin")
	for given, want := range map[string]string{
		"http://127.0.0.1:8080/v1":           "http://127.dublin.ie1.0.1:8080/v1",
		"http://twilio.test.example:8080/v1": "http://twilio.dublin.ie1.test.example:8080/v1",
	} {
		if got, err := sdk.NewRequestHandler(nil).BuildUrl(given); err != nil || got != want {
			t.Errorf("plain: BuildUrl(%s) = %s, %v; want the trap's %s", given, got, err, want)
		}
	}
	server := serve(t, reply{body: taskJSON()})
	creds := testCredentials()
	creds.Region, creds.Edge = "ie1", "dublin"
	if _, err := clientFor(t, Options{BaseURL: server.URL}, creds).GetTask(t.Context(), workspaceSID, taskSID); err != nil {
		t.Errorf("ours, with a base url: %v", err)
	}
	var host string
	capture := roundTripFunc(func(r *http.Request) (*http.Response, error) { host = r.URL.Host; return nil, errors.New("stop") })
	_, _ = clientFor(t, Options{Transport: capture}, testCredentials()).GetTask(t.Context(), workspaceSID, taskSID)
	if host != "taskrouter.twilio.com" {
		t.Errorf("ours, without: host %q; want the environment to be ignored", host)
	}
}

func TestTrapTheNextPageIsFetchedFromAnyHostWithCredentials(t *testing.T) {
	t.Parallel()
	var stolen atomic.Value
	foreign := "foreign.example"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next := ""
		if r.URL.Query().Get("PageToken") == "" {
			next = "https://" + foreign + "/v1/Conversations/" + conversation + "/Webhooks?PageSize=5&Page=1&PageToken=PT1.25"
		}
		reply{body: pageJSON("webhooks", next, `{"sid":"WH1","target":"webhook"}`)}.write(w)
	}))
	t.Cleanup(server.Close)
	spy := func(next http.RoundTripper) roundTripFunc {
		return func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == foreign {
				stolen.Store(r.Header.Get("Authorization"))
			}
			return next.RoundTrip(r)
		}
	}
	api := conversations.NewApiService(plainSDK(spy(toServer{server.URL}), "token"))
	if _, err := api.ListConversationScopedWebhook(conversation, nil); err != nil {
		t.Fatal(err)
	}
	if stolen.Load() == nil {
		t.Error("plain: kept its credentials from the foreign host")
	}
	stolen = atomic.Value{}
	c := clientFor(t, Options{BaseURL: server.URL, Transport: spy(http.DefaultTransport)}, testCredentials())
	got, err := c.ListWebhooks(t.Context(), conversation)
	if err != nil || len(got) != 2 {
		t.Errorf("ours: %d webhooks, %v; want both pages", len(got), err)
	}
	if v := stolen.Load(); v != nil {
		t.Error("ours: sent credentials to the foreign host")
	}
}

func TestTrapAnEndlessListIsReadForEver(t *testing.T) {
	t.Parallel()
	const enough = 25
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) > enough {
			refusalJSON(500, 20500, "stop").write(w)
			return
		}
		reply{body: pageJSON("tasks", "https://taskrouter.twilio.com/v1/Workspaces/"+workspaceSID+"/Tasks?Page=1&PageToken=PT1", taskJSON())}.write(w)
	}))
	t.Cleanup(server.Close)
	_, _ = taskrouter.NewApiService(plainSDK(toServer{server.URL}, "token")).ListTask(workspaceSID, nil)
	if requests.Load() != enough+1 {
		t.Errorf("plain: stopped after %d requests; want it to go on until it is stopped", requests.Load())
	}
	requests.Store(0)
	_, err := testClient(t, server.URL).ListTasks(t.Context(), workspaceSID, TaskQuery{})
	if !errors.Is(err, ErrEndlessList) || requests.Load() != 2 {
		t.Errorf("ours: %v after %d requests; want an endless list after 2", err, requests.Load())
	}
}

func TestTrapAnAnswerOfAnySizeIsRead(t *testing.T) {
	t.Parallel()
	huge := `{"sid":"` + taskSID + `","reason":"` + strings.Repeat("x", maxResourceBody) + `"}`
	server := serve(t, reply{body: huge})
	if _, err := taskrouter.NewApiService(plainSDK(toServer{server.URL}, "token")).FetchTask(workspaceSID, taskSID); err != nil {
		t.Errorf("plain: %v; want it to read everything", err)
	}
	_, err := testClient(t, server.URL).GetTask(t.Context(), workspaceSID, taskSID)
	if !errors.Is(err, ErrAnswerTooLarge) || len(server.seen()) != 2 {
		t.Errorf("ours: %v; want it to stop, once", err)
	}
}

func TestTrapASIDIsPastedIntoThePath(t *testing.T) {
	t.Parallel()
	server := serve(t, reply{body: `{"sid":"x"}`})
	_, _ = conversations.NewApiService(plainSDK(toServer{server.URL}, "token")).FetchConversation("../v1/Configuration")
	if seen := server.seen(); len(seen) != 1 || !strings.HasSuffix(seen[0].Path, "/Configuration") {
		t.Errorf("plain: requests %v; want one for another resource", seen)
	}
	if _, err := testClient(t, server.URL).GetConversation(t.Context(), "../v1/Configuration"); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("ours: %v; want a refusal", err)
	}
	if len(server.seen()) != 1 {
		t.Error("ours: sent it")
	}
}

func TestTrapAnErrorRepeatsTheQuery(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + listener.Addr().String()
	_ = listener.Close()
	const name = "Jane Doe private"
	escaped := url.QueryEscape(name)

	params := &taskrouter.ListWorkspaceParams{}
	params.SetFriendlyName(name)
	_, err = taskrouter.NewApiService(plainSDK(toServer{gone}, "token")).PageWorkspace(params, "", "")
	if err == nil || !strings.Contains(err.Error(), escaped) {
		t.Errorf("plain: %v; want the query in it", err)
	}
	_, err = testClient(t, gone).ListWorkspaces(t.Context(), name)
	if err == nil || strings.Contains(err.Error(), escaped) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("ours: %v; want why, without the query", err)
	}
}
