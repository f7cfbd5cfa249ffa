package twilio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestThePredicatesKnowEachKindOfError(t *testing.T) {
	t.Parallel()
	type verdict struct {
		NotFound, Precondition, Unauthorized, Throttled, ServerError, Refused, Unknown bool
	}
	for name, tc := range map[string]struct {
		err  error
		want verdict
	}{
		"nil":                          {nil, verdict{}},
		"an error of somebody else":    {errors.New("x"), verdict{}},
		"404":                          {&Error{Status: 404, Code: 20404}, verdict{NotFound: true, Refused: true}},
		"404 without a code":           {&Error{Status: 404}, verdict{NotFound: true, Refused: true}},
		"404 of a proxy":               {&Error{Status: 404, Foreign: true}, verdict{Refused: true}},
		"code 20404 with another":      {&Error{Status: 400, Code: 20404}, verdict{NotFound: true, Refused: true}},
		"412":                          {&Error{Status: 412}, verdict{Precondition: true, Refused: true}},
		"401":                          {&Error{Status: 401}, verdict{Unauthorized: true, Refused: true}},
		"403":                          {&Error{Status: 403}, verdict{Unauthorized: true, Refused: true}},
		"code 20003":                   {&Error{Status: 400, Code: 20003}, verdict{Unauthorized: true, Refused: true}},
		"429":                          {&Error{Status: 429}, verdict{Throttled: true, Refused: true}},
		"code 20429":                   {&Error{Status: 400, Code: 20429}, verdict{Throttled: true, Refused: true}},
		"500":                          {&Error{Status: 500}, verdict{ServerError: true}},
		"503 of a write":               {&Error{Status: 503, Unknown: true}, verdict{ServerError: true, Unknown: true}},
		"no answer":                    {&Error{}, verdict{}},
		"a 400 after a lost answer":    {&Error{Status: 400, Unknown: true}, verdict{Unknown: true}},
		"an argument":                  {&Error{Err: ErrInvalidArgument}, verdict{Refused: true}},
		"wrapped":                      {fmt.Errorf("arm conversation: %w", &Error{Status: 404}), verdict{NotFound: true, Refused: true}},
		"joined":                       {errors.Join(errors.New("x"), &Error{Status: 412}), verdict{Precondition: true, Refused: true}},
		"a redirect":                   {&Error{Status: 302}, verdict{}},
		"a success that is not usable": {&Error{Status: 200, Err: ErrBadAnswer}, verdict{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := verdict{
				IsNotFound(tc.err), IsPreconditionFailed(tc.err), IsUnauthorized(tc.err), IsThrottled(tc.err),
				IsServerError(tc.err), IsRefused(tc.err), OutcomeUnknown(tc.err),
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCodesAndRetryAfterAreFoundThroughWrapping(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("close: %w", &Error{Status: 400, Code: 50377, RetryAfter: 7 * time.Second})
	if !HasCode(err, 80906, 50377) || HasCode(err, 50361) || HasCode(err) || HasCode(errors.New("x"), 50377) || HasCode(&Error{}, 0) {
		t.Error("HasCode does not tell the codes apart")
	}
	if d, ok := RetryAfter(err); d != 7*time.Second || !ok {
		t.Errorf("RetryAfter = %s, %t", d, ok)
	}
	if _, ok := RetryAfter(&Error{Status: 429}); ok {
		t.Error("RetryAfter without a header")
	}
	if _, ok := RetryAfter(io.EOF); ok {
		t.Error("RetryAfter of somebody else's error")
	}
}

func TestTheTextOfAnErrorIsStable(t *testing.T) {
	t.Parallel()
	reset := &net.OpError{
		Op: "read", Net: "tcp", Source: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 54321}, Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80},
		Err: os.NewSyscallError("recv", syscall.ECONNRESET),
	}
	for name, tc := range map[string]struct {
		err  *Error
		want string
	}{
		"a refusal":    {&Error{Operation: "GetTask", Status: 404, Code: 20404, Message: "gone", RequestID: "RQ1", Attempts: 2}, "twilio GetTask: status 404, code 20404: gone"},
		"of a proxy":   {&Error{Operation: "GetTask", Status: 502, Foreign: true}, "twilio GetTask: status 502, not from twilio"},
		"of a network": {&Error{Operation: "GetTask", Err: reset}, "twilio GetTask: no answer: read: recv: connection reset by peer"},
		"of a context": {&Error{Operation: "GetTask", Err: context.Canceled}, "twilio GetTask: no answer: context canceled"},
		"of an answer": {&Error{Operation: "GetTask", Status: 200, Message: "it has no sid", Err: ErrBadAnswer}, "twilio GetTask: status 200: it has no sid: unusable answer"},
		"an argument":  {&Error{Operation: "GetTask", Message: "bad", Err: ErrInvalidArgument}, "twilio GetTask: invalid argument: bad"},
	} {
		if got := tc.err.Error(); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	if !errors.Is(&Error{Err: reset}, syscall.ECONNRESET) {
		t.Error("the cause cannot be found")
	}
}

func TestARefusalKeepsWhatTwilioSaid(t *testing.T) {
	t.Parallel()
	refusal := refusalJSON(400, 50377, "Conversation can't be updated as it's in final state")
	refusal.header["Twilio-Request-Id"] = "RQ" + hex32
	server := serve(t, refusal)
	err := callsOnce["CreateMessage"](t.Context(), testClient(t, server.URL))
	want := &Error{
		Operation: "CreateMessage", Status: 400, Code: 50377, Message: "Conversation can't be updated as it's in final state",
		RequestID: "RQ" + hex32, Attempts: 1,
	}
	if diff := cmp.Diff(want, asError(t, err), cmp.AllowUnexported(Error{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestARefusalRepeatsNothingThatWasSentAndNoSecret(t *testing.T) {
	t.Parallel()
	const text = "your order 4711 of\nblue shoes"
	creds := testCredentials()
	creds.APIKeySID, creds.APIKeySecret = keySID, "key-secret-canary"
	server := serve(t, refusalJSON(400, 21610, "Cannot send "+text+" as Ann Example with "+token+" and key-secret-canary; tell Bearer abcdefghijkl"))
	_, err := clientFor(t, Options{BaseURL: server.URL}, creds).CreateMessage(t.Context(), conversation,
		NewMessage{Author: "Ann Example", Body: text, Attributes: `{"a":"canary"}`})
	want := "Cannot send [Body] as [Author] with [redacted] and [redacted]; tell [redacted]"
	if got := asError(t, err).Message; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
}

func TestARefusalRepeatsNoVariableOfATemplate(t *testing.T) {
	t.Parallel()
	server := serve(t, refusalJSON(400, 50527, "Variable 1 is Ann, variable 2 is Ann Example of Oslo, variable 3 is x"))
	_, err := testClient(t, server.URL).CreateMessage(t.Context(), conversation,
		NewMessage{ContentSID: contentSID, ContentVariables: `{"1":"Ann","2":"Ann Example of Oslo","3":"x","4":5}`})
	want := "Variable 1 is [ContentVariables], variable 2 is [ContentVariables], variable 3 is x"
	if got := asError(t, err).Message; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
}

func TestARequestIDThatIsNotOneIsNotKept(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{"RQ1": "RQ1", "": "", strings.Repeat("x", 65): "", "a b": "", "é": ""} {
		if got := requestID(http.Header{"Twilio-Request-Id": {id}}); got != want {
			t.Errorf("requestID(%q) = %q, want %q", id, got, want)
		}
	}
}

func TestMessagesAreCleaned(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"The requested resource /v1/Workspaces/" + workspaceSID + " was not found": "The requested resource /v1/Workspaces/" + workspaceSID + " was not found",
		"Invalid value 'call me' for Body":                                         "Invalid value [value] for Body",
		`Invalid "Jane Doe" and “Joe”`:                                             "Invalid [value] and [value]",
		`Never closed "Jane Doe`:                                                   "Never closed [value]",
		"Can't update, it's closed":                                                "Can't update, it's closed",
		"He said 'it's me' twice":                                                  "He said [value] twice",
		"A binding for +1 (555) 010-0199 exists":                                   "A binding for [number] exists",
		"A binding for whatsapp:+15550100199 exists":                               "A binding for whatsapp:[number] exists",
		"Participant jane.doe@example.com exists":                                  "Participant [address] exists",
		"Callback https://user:pw@x.test/p?a=b failed":                             "Callback [url] failed",
		"GET /v1/Tasks?EvaluateTaskAttributes=name failed":                         "GET /v1/Tasks[query] failed",
		"Token " + hex32 + " is wrong":                                             "Token [redacted] is wrong",
		"Basic QUM6c2VjcmV0 refused":                                               "[redacted] refused",
		"two\nlines\x00and\ttabs":                                                  "two lines and tabs",
		"bad\xffutf8":                                                              "badutf8",
		"":                                                                         "",
		strings.Repeat("ab ", 200):                                                 strings.Repeat("ab ", 84) + "a…",
		strings.Repeat("é", 200):                                                   strings.Repeat("é", 126) + "…",
	} {
		got := sanitize(in)
		if got != want {
			t.Errorf("sanitize(%q) = %q, want %q", in, got, want)
		}
		if len(got) > maxMessage || !utf8.ValidString(got) {
			t.Errorf("sanitize(%q) has %d bytes, valid %t", in, len(got), utf8.ValidString(got))
		}
	}
}

func TestErrorBodiesAreDecoded(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		want refusal
	}{
		"twilio's":            {`{"code":20404,"message":"m","more_info":"https://x","status":404}`, refusal{code: 20404, message: "m"}},
		"the newer":           {`{"code":20429,"message":"m","httpStatusCode":429,"params":{},"userError":true}`, refusal{code: 20429, message: "m"}},
		"a code as a string":  {`{"code":"20003","message":"m"}`, refusal{code: 20003, message: "m"}},
		"no message":          {`{"code":20003}`, refusal{code: 20003}},
		"a message of no use": {`{"code":20003,"message":{"a":1}}`, refusal{code: 20003}},
		"a gateway's":         {`{"message":"no healthy upstream"}`, refusal{foreign: true}},
		"a null code":         {`{"code":null,"message":"m"}`, refusal{foreign: true}},
		"a negative code":     {`{"code":-1,"message":"m"}`, refusal{foreign: true}},
		"a fraction":          {`{"code":1.5,"message":"m"}`, refusal{foreign: true}},
		"a huge code":         {`{"code":99999999999999999999,"message":"m"}`, refusal{foreign: true}},
		"html":                {`<html>`, refusal{foreign: true}},
		"nothing":             {``, refusal{foreign: true}},
		"a list":              {`[1]`, refusal{foreign: true}},
		"cut":                 {`{"code":20003,"mess`, refusal{foreign: true}},
	} {
		if got := decodeRefusal([]byte(tc.body)); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

// Whatever a server answers with a refusal, the error is bounded, clean, and holds no secret.
func FuzzARefusalOfAnyBodyBecomesACleanError(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "null", `[]`, `{"code":20404,"message":"The requested resource was not found","status":404}`, `{"code":"20003","message":"` + token + `"}`,
		`{"code":1e3,"message":"\u0000\ud800"}`, `{"code":50377,"message":"'` + strings.Repeat("x", 300) + `"}`, "<html>502</html>", "{\"code\":1,\"message\":\"\xff" + hex32 + "\"}",
		`{"code":1,"message":"+1 555 010 0199 wrote secret words"}`, `{"code":` + strings.Repeat("[", 10000),
	} {
		f.Add(400, []byte(seed))
	}
	pool, err := NewPool(Options{BaseURL: "http://x.test"})
	if err != nil {
		f.Fatal(err)
	}
	client, err := pool.Client(testCredentials())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		status = 300 + int(uint(status)%300)
		c := *client
		c.clock = newFakeClock()
		c.transport = roundTripFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(body))), ContentLength: -1}, nil
		})
		_, err := c.CreateMessage(t.Context(), conversation, NewMessage{Body: "secret words"})
		e := asError(t, err)
		if e.Status != status || e.Code < 0 || e.Foreign != (e.Code == 0) || e.Foreign && e.Message != "" {
			t.Errorf("%+v: status, code and origin do not fit", *e)
		}
		if len(e.Message) > maxMessage || !utf8.ValidString(e.Message) || strings.ContainsFunc(e.Message, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("message %q is not clean", e.Message)
		}
		for _, secret := range []string{token, "secret words"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("error %q holds %q", err, secret)
			}
		}
		if OutcomeUnknown(err) == IsRefused(err) {
			t.Errorf("%v: unknown %t, refused %t; a write that failed is one of both", err, OutcomeUnknown(err), IsRefused(err))
		}
	})
}
