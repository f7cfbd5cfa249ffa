package receiver

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/flexops-dev/inactivity-operator/internal/signature"
)

// FuzzCallback sends any body to both endpoints. What is not signed changes nothing; what is signed is decoded into
// well-formed names or into nothing.
func FuzzCallback(f *testing.F) {
	f.Add(acceptedForm().Encode())
	f.Add(timerForm().Encode())
	f.Add(with(acceptedForm(), "TaskAttributes", `{"conversationSid":"CH0123456789abcdef0123456789abcdef","conversationSID":1}`).Encode())
	f.Add(with(acceptedForm(), "TaskAttributes", `[]`).Encode())
	f.Add(timerForm().Encode() + "&StateTo=active")
	f.Add(strings.Repeat("&", maxParameters))
	f.Add("EventType=reservation.accepted&%zz;=&AccountSid=" + account)

	fixture := newFixture()
	fixture.queue.got = nil
	r := fixture.receiver(f)
	f.Fuzz(func(t *testing.T, body string) {
		form, err := url.ParseQuery(body)
		for _, path := range []string{taskRouterPath, conversationsPath} {
			for _, key := range []string{"guess", token} {
				fixture.queue.got = nil
				request := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
				request.Header.Set("Content-Type", formType)
				request.Header.Set(signature.Header, signature.Compute(key, publicURL+path, form))
				recorder := httptest.NewRecorder()
				r.ServeHTTP(recorder, request)

				switch {
				case key == "guess" && recorder.Code != 403 && recorder.Code != 413:
					t.Fatalf("an unsigned body got %d", recorder.Code)
				case key == token && err != nil && recorder.Code < 400:
					t.Fatalf("a broken form got %d", recorder.Code)
				case (recorder.Code != 204 || key == "guess") && len(fixture.queue.got) > 0:
					t.Fatalf("a body that got %d was queued", recorder.Code)
				}
				for _, queued := range fixture.queue.got {
					if queued.Workspace != workspace || !isSID("CH", queued.Conversation) {
						t.Fatalf("queued %q %q", queued.Workspace, queued.Conversation)
					}
					if a := queued.Accepted; a != nil && (!isSID("WT", a.TaskSID) || !isSID("WR", a.ReservationSID) || !isSID("WQ", a.TaskQueueSID) || a.TaskQueueName == "" || a.TaskAge < 0 || a.AssignmentStatus == "" || a.At.Before(earliestEvent)) {
						t.Fatalf("queued with %+v", a)
					}
				}
			}
		}
	})
}
