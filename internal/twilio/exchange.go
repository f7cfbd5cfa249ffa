package twilio

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	sdk "github.com/twilio/twilio-go/client"
)

// exchange is one call: the BaseClient of the generated service that makes it. It belongs to one goroutine. It holds a
// context, which values should not, because BaseClient has no other place for one; it lives no longer than the call.
type exchange struct {
	ctx    context.Context
	client *Client
	op     operation
	// nextPage, when set, is the query that asks for a further page of a list; it replaces the service's own.
	nextPage string

	// What the call left behind, for errors made after it.
	path      string
	status    int
	requestID string
	attempts  int
	unknown   bool
}

var _ sdk.BaseClient = (*exchange)(nil)

// AccountSid is for paths that hold an account SID.
func (x *exchange) AccountSid() string { return x.client.accountSID }

// SetTimeout does nothing: time-outs are the client's, and no call changes them.
func (x *exchange) SetTimeout(time.Duration) {}

// SetOauth does nothing: credentials are the client's, and no call changes them.
func (x *exchange) SetOauth(sdk.OAuth) {}

// OAuth is nil: authentication is Basic.
func (x *exchange) OAuth() sdk.OAuth { return nil }

// SendRequest sends a request of a generated service, again where that is safe, and returns an answer whose body is
// complete and in memory. Its errors are [*Error].
func (x *exchange) SendRequest(method, rawURL string, data url.Values, headers map[string]any, body ...byte) (*http.Response, error) {
	if len(body) > 0 {
		return nil, invalid(x.op, "json bodies are not supported")
	}
	target, err := x.client.target(rawURL)
	if err != nil {
		return nil, invalid(x.op, "malformed url")
	}
	x.path = target.Path
	form := ""
	switch {
	case method != http.MethodGet:
		form = data.Encode()
	case x.nextPage != "":
		target.RawQuery = x.nextPage
	default:
		target.RawQuery = data.Encode()
	}
	for {
		response, failure := x.attempt(method, target, form, headers)
		if failure == nil {
			return response, nil
		}
		failure.Message = x.withoutEchoes(failure.Message, data)
		wait, again := x.again(failure)
		if !again {
			return nil, failure
		}
		if err := x.client.clock.Sleep(x.ctx, wait); err != nil {
			failure.Err = err
			return nil, failure
		}
	}
}

// attempt sends the request once.
func (x *exchange) attempt(method string, target *url.URL, form string, headers map[string]any) (*http.Response, *Error) {
	c := x.client
	release, err := c.account.admit(x.ctx, c.clock)
	if err != nil {
		return nil, x.failed(&Error{Err: err, unsent: true})
	}
	defer release()
	x.attempts++

	ctx, cancel := context.WithTimeout(x.ctx, c.timeout)
	defer cancel()
	connection := new(connectionTrace)
	request, err := x.request(connection.watch(ctx), method, target, form, headers)
	if err != nil {
		return nil, x.failed(&Error{Message: "request cannot be built", Err: ErrInvalidArgument, unsent: true})
	}

	started := c.clock.Now()
	response, failure := x.roundTrip(request, connection)
	elapsed := c.clock.Now().Sub(started)
	if failure != nil {
		c.observe(x.op.name, failure.Status, elapsed)
		return nil, x.failed(failure)
	}
	c.observe(x.op.name, response.StatusCode, elapsed)
	x.status = response.StatusCode
	x.requestID = requestID(response.Header)
	return response, nil
}

// request builds the HTTP request.
func (x *exchange) request(ctx context.Context, method string, target *url.URL, form string, headers map[string]any) (*http.Request, error) {
	var body io.Reader
	if method != http.MethodGet {
		body = strings.NewReader(form)
	}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, err
	}
	for name, value := range headers {
		request.Header.Set(name, fmt.Sprint(value))
	}
	if body == nil {
		request.Header.Del("Content-Type") // the services name one for reads too
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", x.client.userAgent)
	x.client.authenticate(request)
	return request, nil
}

// roundTrip sends the request and reads its answer to the end, up to the bounds. It uses the transport without an
// http.Client, so redirects are answers like others, and no error repeats the URL. Everything but a complete 2xx is a
// failure.
func (x *exchange) roundTrip(request *http.Request, connection *connectionTrace) (*http.Response, *Error) {
	response, err := x.client.transport.RoundTrip(request)
	if err != nil {
		return nil, &Error{Err: x.noAnswer(request.Context(), err), unsent: connection.missing(err)}
	}
	defer func() {
		_, _ = io.CopyN(io.Discard, response.Body, maxDrain)
		_ = response.Body.Close()
	}()
	observeServerTime(request.Context(), response.Header)

	if response.StatusCode < 200 || response.StatusCode > 299 {
		// What could be read of a refusal is enough; the status is known.
		body, _, _ := readUpTo(response.Body, maxErrorBody, response.ContentLength)
		said := decodeRefusal(body)
		return nil, &Error{
			Status:     response.StatusCode,
			Code:       said.code,
			Message:    said.message,
			RetryAfter: parseRetryAfter(response.Header, x.client.clock.Now()),
			RequestID:  requestID(response.Header),
			Foreign:    said.foreign,
		}
	}
	body, whole, err := readUpTo(response.Body, x.op.maxBody, response.ContentLength)
	if err != nil {
		return nil, &Error{Err: x.noAnswer(request.Context(), err), RequestID: requestID(response.Header)}
	}
	if !whole {
		return nil, &Error{Status: response.StatusCode, Err: ErrAnswerTooLarge, RequestID: requestID(response.Header)}
	}
	answer := *response
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return &answer, nil
}

// readUpTo reads to the end, or until more than limit bytes have come; whole tells which. The announced length saves
// growing.
func readUpTo(r io.Reader, limit, announced int64) (body []byte, whole bool, err error) {
	var buffer bytes.Buffer
	if announced > 0 {
		buffer.Grow(int(min(announced, limit)) + bytes.MinRead)
	}
	n, err := buffer.ReadFrom(io.LimitReader(r, limit+1))
	return buffer.Bytes(), n <= limit, err
}

// noAnswer chooses the cause of a missing answer: the caller's context, the attempt's time-out, or what the transport
// said.
func (x *exchange) noAnswer(attempt context.Context, err error) error {
	if x.ctx.Err() != nil {
		return x.ctx.Err()
	}
	if errors.Is(attempt.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("none within %s: %w", x.client.timeout, context.DeadlineExceeded)
	}
	return err
}

// failed completes an error with what the exchange knows, and notes whether the write may have been done.
func (x *exchange) failed(e *Error) *Error {
	e.Operation = x.op.name
	e.Attempts = x.attempts
	if x.op.write() && !e.unsent && mayHaveBeenDone(e) {
		x.unknown = true
	}
	e.Unknown = x.unknown
	return e
}

// mayHaveBeenDone is false only for a definite refusal. A 3xx or an unusable 2xx tells as little about a write as a
// 5xx.
func mayHaveBeenDone(e *Error) bool { return e.Status < 400 || e.Status > 499 }

// withoutEchoes cleans a refusal's message. What the caller sent as free text is taken out wherever it is repeated,
// then everything that looks like somebody's data.
func (x *exchange) withoutEchoes(message string, data url.Values) string {
	clean := func(name string, values []string) {
		for _, value := range values {
			if len(value) >= minEcho {
				message = strings.ReplaceAll(message, value, "["+name+"]")
			}
		}
	}
	for _, name := range freeText {
		clean(name, data[name])
	}
	clean(contentVariables, variableValues(data.Get(contentVariables)))
	return sanitize(x.client.redact(message))
}

// variableValues returns the values in a template's variables, which are sent together and would be repeated one by one;
// the longest first, since a shorter one may be part of it.
func variableValues(variables string) []string {
	var decoded map[string]any
	if json.Unmarshal([]byte(variables), &decoded) != nil {
		return nil
	}
	var values []string
	for _, v := range decoded {
		if s, isString := v.(string); isString {
			values = append(values, s)
		}
	}
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return values
}

// freeText names the parameters whose values a refusal must not repeat, even unquoted.
var freeText = []string{"Body", contentVariables, "Attributes", "Author", "FriendlyName", "Reason", "EvaluateTaskAttributes", "EventCallbackUrl", "Configuration.Url"}

// contentVariables is the parameter with the values of a content template, the customer's name among them.
const contentVariables = "ContentVariables"

// minEcho is the shortest value that is worth taking out; shorter ones are parts of ordinary words.
const minEcho = 3

// end turns an error that a generated service returned into one of this package: what SendRequest did not make is one of
// decoding.
func (x *exchange) end(err error) error {
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return x.badAnswer("it could not be decoded")
}

// answer returns v, the answer to a call, if its SID is the wanted one; "" stands for any SID, but not for none. A
// resource with another SID, or "{}", is something in between talking, and would be believed otherwise.
func answer[T any](x *exchange, v T, got *string, want string) (T, error) {
	var zero T
	switch sid := value(got); {
	case sid == "":
		return zero, x.badAnswer("it has no sid")
	case want != "" && !strings.EqualFold(sid, want):
		return zero, x.badAnswer("it has another sid")
	}
	return v, nil
}

// badAnswer is the error for a 2xx that is not what the API documents. The decoder's own error is not kept: it can quote
// what it could not read.
func (x *exchange) badAnswer(message string) error {
	return x.failed(&Error{Status: x.status, RequestID: x.requestID, Message: message, Err: ErrBadAnswer})
}

// requestID returns Twilio's identifier of a request, bounded and in plain characters.
func requestID(header http.Header) string {
	id := header.Get("Twilio-Request-Id")
	if len(id) > maxRequestID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return id
}

// connectionTrace notes whether a request ever got a connection. The hooks may run on other goroutines.
type connectionTrace struct{ wanted, got atomic.Bool }

func (t *connectionTrace) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { t.wanted.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { t.got.Store(true) },
	})
}

// missing reports that the request certainly was not sent: its transport asked for a connection (DNS, dial, TLS) and got
// none. A transport without tracing is believed only what its error says.
func (t *connectionTrace) missing(err error) bool {
	if t.wanted.Load() {
		return !t.got.Load()
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op == "dial"
	}
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}
