package twilio

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	sdk "github.com/twilio/twilio-go/client"
	conversations "github.com/twilio/twilio-go/rest/conversations/v1"
	flex "github.com/twilio/twilio-go/rest/flex/v1"
	taskrouter "github.com/twilio/twilio-go/rest/taskrouter/v1"
)

// Client calls Twilio for one account. It is made by [Pool.Client] and safe for concurrent use.
//
// A call is sent at most three times, with growing, jittered waits between, and only where repeating is safe: reads and
// idempotent writes (the workspace callback; a conversation's state and timer) when no answer came, on 5xx and on 429;
// every other write only when it certainly was not processed (429, or no connection). A Retry-After is kept up to two
// seconds; a longer one ends the call and is in the error. All errors are [*Error].
type Client struct {
	accountSID   string
	base         *url.URL // nil: Twilio's own hosts, with hostSuffix
	hostSuffix   string
	transport    http.RoundTripper
	authenticate func(*http.Request)
	redact       func(string) string
	userAgent    string
	observe      func(operation string, status int, elapsed time.Duration)
	timeout      time.Duration
	clock        Clock
	random       func() float64
	account      *account
}

func newClient(p *Pool, acct *account, creds Credentials) *Client {
	return &Client{
		accountSID:   creds.AccountSID,
		base:         p.base,
		hostSuffix:   hostSuffix(creds.Region, creds.Edge),
		transport:    p.opts.Transport,
		authenticate: creds.authenticator(),
		redact:       creds.redactor(),
		userAgent:    p.opts.UserAgent,
		observe:      p.opts.Observer,
		timeout:      p.opts.RequestTimeout,
		clock:        p.opts.Clock,
		random:       p.opts.Random,
		account:      acct,
	}
}

// AccountSID is the account that this client acts on.
func (c *Client) AccountSID() string { return c.accountSID }

// String names the account.
func (c *Client) String() string { return "twilio client of " + c.accountSID }

// Format is String for every verb, so that no printing walks through the fields.
func (c *Client) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.String()) }

// begin starts a call.
func (c *Client) begin(ctx context.Context, op operation) *exchange {
	return &exchange{ctx: ctx, client: c, op: op}
}

// The generated services are two words each; one per call is how a call gets its context. The request handler is made by
// hand because its constructor reads TWILIO_EDGE and TWILIO_REGION from the environment.

func (x *exchange) taskrouter() *taskrouter.ApiService {
	return taskrouter.NewApiService(&sdk.RequestHandler{Client: x})
}

func (x *exchange) conversations() *conversations.ApiService {
	return conversations.NewApiService(&sdk.RequestHandler{Client: x})
}

func (x *exchange) flex() *flex.ApiService {
	return flex.NewApiService(&sdk.RequestHandler{Client: x})
}
