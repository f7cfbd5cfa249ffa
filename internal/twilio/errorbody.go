package twilio

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// refusal is what the body of a non-2xx answer says.
type refusal struct {
	code    int
	message string // as sent; not fit for an error before it is sanitized
	foreign bool   // not in Twilio's format
}

// decodeRefusal reads an error body: {"code": 20404, "message": "…", "more_info": "…", "status": 404}, or the newer
// {"code": …, "message": "…", "httpStatusCode": …}. Anything else (a proxy's page, a truncated body) is foreign, and none
// of its text is kept. The status in the body is not read: the HTTP status is the truth.
func decodeRefusal(body []byte) refusal {
	var fields struct {
		Code    json.RawMessage `json:"code"`
		Message json.RawMessage `json:"message"`
	}
	if err := json.Unmarshal(body, &fields); err != nil {
		return refusal{foreign: true}
	}
	// Some edges send the code as a string.
	code, err := strconv.Atoi(string(bytes.Trim(fields.Code, `"`)))
	if err != nil || code <= 0 {
		return refusal{foreign: true}
	}
	var message string
	if json.Unmarshal(fields.Message, &message) != nil {
		message = ""
	}
	return refusal{code: code, message: message}
}

// parseRetryAfter reads a Retry-After header, seconds or a date. A date is compared with the answer's own Date where
// there is one, because the clocks may differ. Negative and malformed values are 0; large ones are capped.
func parseRetryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 63); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
