package twilio

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAllPagesAreReadWithTheQueryThatTwilioGives(t *testing.T) {
	t.Parallel()
	tasks := "/v1/Workspaces/" + workspaceSID + "/Tasks"
	for name, next := range map[string]string{
		"of the same path":  "https://taskrouter.twilio.com" + tasks,
		"behind a prefix":   "http://gateway.test/twilio" + tasks,
		"of another region": "https://taskrouter.ie1.twilio.com" + tasks,
		"without a host":    tasks,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			query := "?PageSize=2&Page=1&PageToken=PT%2B1.25&x=a.1"
			server := serve(t,
				reply{body: pageJSON("tasks", next+query, `{"sid":"WT1"}`, `{"sid":"WT2"}`)},
				reply{body: pageJSON("tasks", "", `{"sid":"WT3"}`)})
			c := clientFor(t, Options{BaseURL: server.URL + "/twilio"}, testCredentials())
			got, err := c.ListTasks(t.Context(), workspaceSID, TaskQuery{Statuses: []string{"assigned"}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]Task{{SID: "WT1"}, {SID: "WT2"}, {SID: "WT3"}}, got); diff != "" {
				t.Errorf("tasks (-want +got):\n%s", diff)
			}
			second := server.seen()[1]
			if second.Path != "/twilio"+tasks || second.Query.Get("PageToken") != "PT+1.25" || second.Query.Get("x") != "a.1" || second.Query.Has("AssignmentStatus") {
				t.Errorf("second request %s %v; want exactly Twilio's query", second.Path, second.Query)
			}
		})
	}
}

func TestAListEndsAtItsLimit(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		page, _ := strconv.Atoi(r.URL.Query().Get("Page"))
		items := make([]string, 100)
		for i := range items {
			items[i] = fmt.Sprintf(`{"sid":"IM%d"}`, page*100+i)
		}
		next := fmt.Sprintf("https://conversations.twilio.com/v1/Conversations/%s/Messages?Page=%d", conversation, page+1)
		reply{body: pageJSON("messages", next, items...)}.write(w)
	}))
	t.Cleanup(server.Close)
	got, err := testClient(t, server.URL).ListMessages(t.Context(), conversation, MessageQuery{Limit: 250})
	if err != nil || len(got) != 250 || got[249].SID != "IM249" || requests.Load() != 3 {
		t.Errorf("%d messages, %v, %d requests; want 250 in 3", len(got), err, requests.Load())
	}
}

func TestANextPageThatIsNotOneIsAnError(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]string{
		"another list":    "https://conversations.twilio.com/v1/Conversations/" + conversation + "/Participants?Page=1",
		"a longer path":   "https://conversations.twilio.com/v1/Conversations/" + conversation + "/Webhooks/x?Page=1",
		"no query":        "https://conversations.twilio.com/v1/Conversations/" + conversation + "/Webhooks",
		"not a url":       "http://%zz/",
		"a path in other": "https://x.test/a/v1/x?/v1/Conversations/" + conversation + "/Webhooks",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, reply{body: pageJSON("webhooks", next, `{"sid":"WH1"}`)})
			got, err := testClient(t, server.URL).ListWebhooks(t.Context(), conversation)
			if !errors.Is(err, ErrBadAnswer) || got != nil || len(server.seen()) != 1 {
				t.Errorf("%v, %v after %d requests; want a bad answer after one", got, err, len(server.seen()))
			}
		})
	}
}

func TestAChainOfEverNewPagesIsCutOff(t *testing.T) {
	t.Parallel()
	n := 0
	c := clientFor(t, Options{BaseURL: "http://x.test", Transport: roundTripFunc(func(*http.Request) (*http.Response, error) {
		n++
		body := pageJSON("webhooks", fmt.Sprintf("/v1/Conversations/%s/Webhooks?Page=%d", conversation, n))
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
	})}, testCredentials())
	_, err := c.ListWebhooks(t.Context(), conversation)
	if !errors.Is(err, ErrEndlessList) || n != maxPages {
		t.Errorf("%v after %d pages; want the end after %d", err, n, maxPages)
	}
}

func TestAFailingPageFailsTheListAndIsRepeated(t *testing.T) {
	t.Parallel()
	next := "https://x.test/v1/Conversations/" + conversation + "/Webhooks?Page=1"
	page := reply{body: pageJSON("webhooks", next, `{"sid":"WH1"}`)}
	last := reply{body: pageJSON("webhooks", "", `{"sid":"WH2"}`)}
	broken := reply{status: 502}

	server := serve(t, page, broken, last)
	got, err := testClient(t, server.URL).ListWebhooks(t.Context(), conversation)
	if err != nil || len(got) != 2 {
		t.Errorf("one failure: %v, %v; want both pages", got, err)
	}
	server = serve(t, page, broken)
	got, err = testClient(t, server.URL).ListWebhooks(t.Context(), conversation)
	if !IsServerError(err) || got != nil || len(server.seen()) != 1+maxAttempts {
		t.Errorf("lasting failure: %v, %v after %d requests; want no half list", got, err, len(server.seen()))
	}
}

func TestAPageAtTheBoundIsReadAndOneAboveIsNot(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]error{maxListBody: nil, maxListBody + 1: ErrAnswerTooLarge} {
		body := pageJSON("workspaces", "")
		body += strings.Repeat(" ", size-len(body))
		server := serve(t, reply{body: body})
		_, err := testClient(t, server.URL).ListWorkspaces(t.Context(), "")
		if !errors.Is(err, want) {
			t.Errorf("%d bytes: %v, want %v", size, err, want)
		}
	}
}

func TestServerTimeIsTheLatestDateOfAllAnswers(t *testing.T) {
	t.Parallel()
	dated := func(status int, date string) reply {
		return reply{status: status, body: taskJSON(), header: map[string]string{"Date": date}}
	}
	server := serve(t,
		dated(503, "Sun, 01 Mar 2026 09:00:07 GMT"), // of a refusal, which is repeated
		dated(200, "Sun, 01 Mar 2026 09:00:05 GMT"), // earlier: another server's clock
		dated(200, "not a date"))
	var served ServerTime
	if _, ok := served.Latest(); ok {
		t.Error("a time before any answer")
	}
	ctx := WithServerTime(t.Context(), &served)
	c := testClient(t, server.URL)
	for range 2 {
		if err := callRead(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := callRead(t.Context(), c); err != nil { // a context without one
		t.Fatal(err)
	}
	if err := callRead(WithServerTime(t.Context(), nil), c); err != nil {
		t.Fatal(err)
	}
	got, ok := served.Latest()
	if want := time.Date(2026, 3, 1, 9, 0, 7, 0, time.UTC); !ok || !got.Equal(want) {
		t.Errorf("Latest = %s, %t; want %s", got, ok, want)
	}
}

func TestParticipantsOfAllPagesAreInTheOrderInWhichTheyJoined(t *testing.T) {
	t.Parallel()
	list := "https://conversations.twilio.com/v1/Conversations/" + conversation + "/Participants"
	server := serve(t,
		reply{body: pageJSON("participants", list+"?PageSize=100&Page=1&PageToken=PT1", `{"sid":"MB2","date_created":"2015-12-16T22:19:39Z"}`)},
		reply{body: pageJSON("participants", "", `{"sid":"MB1","date_created":"2015-12-16T22:19:38Z"}`)})
	got, err := testClient(t, server.URL).ListParticipants(t.Context(), conversation)
	if err != nil || len(got) != 2 || got[0].SID != "MB1" || got[1].SID != "MB2" {
		t.Errorf("participants %+v, %v; want MB1 before MB2", got, err)
	}
}
