package twilio

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Causes that an [*Error] wraps beside those of the network and of contexts.
var (
	// ErrInvalidArgument: the call was refused here, before anything was sent.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrAnswerTooLarge: the answer was larger than the operation's bound.
	ErrAnswerTooLarge = errors.New("answer too large")
	// ErrBadAnswer: the answer said success but was not what the API documents.
	ErrBadAnswer = errors.New("unusable answer")
	// ErrEndlessList: the pages of a list did not come to an end.
	ErrEndlessList = errors.New("endless list")
)

// Twilio error codes that the predicates below know (https://www.twilio.com/docs/api/errors).
const (
	codeUnauthorized    = 20003
	codeNotFound        = 20404
	codeTooManyRequests = 20429
)

// Error is how every call of this package fails. Its text is stable (no request identifiers, times or counts) and holds
// no query, body, credential or customer data.
type Error struct {
	// Operation is the name of the [Client] method.
	Operation string
	// Status is the HTTP status, or 0 when there was no complete answer.
	Status int
	// Code is Twilio's error code, or 0 when the answer had none.
	Code int
	// Message is Twilio's message, with values, addresses, numbers and URLs taken out, at most 256 bytes; or this
	// package's own words.
	Message string
	// RetryAfter is what the answer's Retry-After header asks for; 0 when there was none.
	RetryAfter time.Duration
	// RequestID is Twilio's identifier of the request (RQ…), for its support. It is not part of the text.
	RequestID string
	// Attempts is how often the request was sent, or tried to be.
	Attempts int
	// Unknown says that the call is a write, and that it, or an earlier attempt at it, may have been done: there was
	// no complete answer, or one (5xx) that does not tell.
	Unknown bool
	// Foreign says that the refusal was not in Twilio's format: something between here and Twilio answered.
	Foreign bool
	// Err is the cause where there is one beside the answer itself: of the network, of a context, or one of this
	// package's.
	Err error

	// unsent says that the request certainly did not reach Twilio.
	unsent bool
}

// Error says what was tried and how it ended.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("twilio " + e.Operation + ": ")
	switch {
	case e.Status == 0 && errors.Is(e.Err, ErrInvalidArgument):
		b.WriteString("invalid argument")
	case e.Status == 0:
		b.WriteString("no answer")
	default:
		fmt.Fprintf(&b, "status %d", e.Status)
	}
	if e.Code != 0 {
		fmt.Fprintf(&b, ", code %d", e.Code)
	}
	if e.Foreign {
		b.WriteString(", not from twilio")
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.Err != nil && !errors.Is(e.Err, ErrInvalidArgument) {
		b.WriteString(": " + describe(e.Err))
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// describe gives the text of a cause without what changes from one attempt to the next (local ports) and without what a
// peer may have put in it.
func describe(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Op + ": " + sanitize(op.Err.Error())
	}
	return sanitize(err.Error())
}

// invalid is the error of a call that was not made.
func invalid(op operation, message string) error {
	return &Error{Operation: op.name, Message: message, Err: ErrInvalidArgument, unsent: true}
}

// IsNotFound reports that the resource does not exist (any more): 404 or code 20404. A 404 that something else than
// Twilio gave does not count, because callers treat absence as success.
func IsNotFound(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusNotFound && !e.Foreign || e.Code == codeNotFound)
}

// IsPreconditionFailed reports that the resource changed since the ETag was read: 412. Nothing was done.
func IsPreconditionFailed(err error) bool { return hasStatus(err, http.StatusPreconditionFailed) }

// IsUnauthorized reports that the credentials were not accepted, or do not suffice: 401, 403 or code 20003.
func IsUnauthorized(err error) bool {
	return hasStatus(err, http.StatusUnauthorized, http.StatusForbidden) || HasCode(err, codeUnauthorized)
}

// IsThrottled reports that the account does too much at once: 429 or code 20429. Nothing was done.
func IsThrottled(err error) bool {
	return hasStatus(err, http.StatusTooManyRequests) || HasCode(err, codeTooManyRequests)
}

// IsServerError reports a 5xx.
func IsServerError(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status >= 500
}

// IsOutage reports that Twilio does not do its work now, whatever it is asked: there was no answer or none that can be used,
// or it was a 5xx, 429, a refusal of the credentials, or not Twilio's. It is false for an answer to the request itself, and
// for a call that was never meant to be sent or that the caller gave up.
func IsOutage(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || errors.Is(e.Err, ErrInvalidArgument) || errors.Is(e.Err, context.Canceled) {
		return false
	}
	return e.Status == 0 || e.Status >= 500 || e.Foreign || errors.Is(e.Err, ErrBadAnswer) || IsThrottled(err) || IsUnauthorized(err)
}

// IsRefused reports that nothing was done: the call was answered with a definite 4xx, or refused here as invalid. That
// includes 401 and 429, so ask [IsUnauthorized] and [IsThrottled] first. It is false when an earlier attempt at the same
// write may have been done.
func IsRefused(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && !e.Unknown && (e.Status >= 400 && e.Status < 500 || errors.Is(e.Err, ErrInvalidArgument))
}

// OutcomeUnknown reports a write that may or may not have been done. The caller has to look before it tries again.
func OutcomeUnknown(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Unknown
}

// HasCode reports whether Twilio gave one of these error codes.
func HasCode(err error, codes ...int) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code != 0 && slices.Contains(codes, e.Code)
}

// RetryAfter returns how long Twilio asked to wait, and false when it did not ask.
func RetryAfter(err error) (time.Duration, bool) {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.RetryAfter <= 0 {
		return 0, false
	}
	return e.RetryAfter, true
}

func hasStatus(err error, statuses ...int) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && slices.Contains(statuses, e.Status)
}
