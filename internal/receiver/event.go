package receiver

import (
	"bytes"
	"errors"
	"net/url"
	"strings"

	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
	"github.com/flexops-dev/inactivity-operator/internal/metrics"
)

var (
	errTooManyParameters = errors.New("the form has too many parameters")
	errNotAForm          = errors.New("the body is not a form")
)

// decoded is what an event asks for: to look at a conversation, or, without one, nothing but the answer.
type decoded struct {
	conversationSID string
	accepted        *inactivity.Acceptance
	answer          answer
}

func ignored() decoded { return decoded{answer: acknowledge(metrics.OutcomeIgnored)} }

func unusable() decoded { return decoded{answer: acknowledge(metrics.OutcomeUnusable)} }

func malformed(cause string) decoded {
	return decoded{answer: refuse(metrics.OutcomeMalformed, cause)}
}

// decodeForm returns the parameters of a form, names and values as they were sent. With an error other than
// errTooManyParameters it returns those that could be read. Its errors repeat nothing of the body.
func decodeForm(body []byte) (url.Values, error) {
	if bytes.Count(body, []byte("&")) >= maxParameters {
		return nil, errTooManyParameters
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return form, errNotAForm
	}
	return form, nil
}

// single returns the value of a parameter, empty if it is absent. It reports false if there are several different ones:
// their order is not signed, so that none of them can be said to be meant.
func single(form url.Values, name string) (string, bool) {
	values := form[name]
	if len(values) == 0 {
		return "", true
	}
	for _, value := range values[1:] {
		if value != values[0] {
			return "", false
		}
	}
	return values[0], true
}

// eventType returns what the event is about, and false if that is not said.
func eventType(form url.Values) (string, bool) {
	value, ok := single(form, "EventType")
	return value, ok && value != ""
}

// isSID reports whether s is a SID: two letters that say of what, and 32 hexadecimal digits.
func isSID(prefix, s string) bool {
	return len(s) == len(prefix)+32 && strings.HasPrefix(s, prefix) &&
		strings.Trim(s[len(prefix):], "0123456789abcdefABCDEF") == ""
}
