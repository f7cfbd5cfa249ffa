package receiver

import (
	"io"
	"net/http"

	"github.com/flexops-dev/inactivity-operator/internal/metrics"
)

// answer is what became of a request. The cause is for the log and names no value of the request.
type answer struct {
	outcome string
	cause   string
}

func acknowledge(outcome string) answer { return answer{outcome: outcome} }

func refuse(outcome, cause string) answer { return answer{outcome: outcome, cause: cause} }

func refusal(outcome, cause string) *answer { return &answer{outcome: outcome, cause: cause} }

// replies are the status and the body of each outcome. Twilio shows the body in its debugger.
var replies = map[string]struct {
	status int
	text   string
}{
	metrics.OutcomeEnqueued:             {http.StatusNoContent, ""},
	metrics.OutcomeIgnored:              {http.StatusNoContent, ""},
	metrics.OutcomeUnusable:             {http.StatusNoContent, ""},
	metrics.OutcomeMalformed:            {http.StatusBadRequest, "the event lacks a parameter or is not a form"},
	metrics.OutcomeForbidden:            {http.StatusForbidden, "the signature does not verify"},
	metrics.OutcomeNotFound:             {http.StatusNotFound, "not found"},
	metrics.OutcomeMethodNotAllowed:     {http.StatusMethodNotAllowed, "use POST"},
	metrics.OutcomeUnsupportedMediaType: {http.StatusUnsupportedMediaType, "send application/x-www-form-urlencoded"},
	metrics.OutcomeTooLarge:             {http.StatusRequestEntityTooLarge, "the body is too large"},
	metrics.OutcomeIncomplete:           {http.StatusRequestTimeout, "the body did not arrive"},
	metrics.OutcomeUnavailable:          {http.StatusServiceUnavailable, "not ready, try again"},
}

func (a answer) status() int { return replies[a.outcome].status }

// write sends the answer. The content type is what TaskRouter asks for, also where there is no content:
// https://www.twilio.com/docs/taskrouter/api/event/reference
func (a answer) write(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	switch a.outcome {
	case metrics.OutcomeMethodNotAllowed:
		header.Set("Allow", http.MethodPost)
	case metrics.OutcomeUnavailable:
		header.Set("Retry-After", retryAfter)
	case metrics.OutcomeTooLarge, metrics.OutcomeIncomplete:
		// The rest of the body is not worth reading.
		header.Set("Connection", "close")
	case metrics.OutcomeForbidden, metrics.OutcomeNotFound:
		// Whoever cannot sign must not keep one of the connections that there are.
		header.Set("Connection", "close")
	}
	reply := replies[a.outcome]
	w.WriteHeader(reply.status)
	if reply.text != "" {
		// Whoever went away meanwhile cannot be told anything.
		_, _ = io.WriteString(w, `{"error":"`+reply.text+`"}`)
	}
}
