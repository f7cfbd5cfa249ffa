package twiliosim

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// maxRequestBody bounds a request's form. Twilio's largest documented parameter is a 32 KB chat message; several of
// them and their URL encoding fit.
const maxRequestBody = 1 << 20

// request is a REST request, decoded.
type request struct {
	method string
	path   string // as it was asked for
	base   string // scheme and host, for the URLs in the answer
	prefix string // "/v1" or "/v1/Services/IS…": what URLs of conversation resources start with
	vars   []string
	query  url.Values
	form   url.Values
	header http.Header
}

// reply is the answer to a request that was accepted.
type reply struct {
	status int
	body   any // nil: no content
	header http.Header
}

func ok(body any) (*reply, *apiError) { return &reply{status: http.StatusOK, body: body}, nil }
func created(body any) (*reply, *apiError) {
	return &reply{status: http.StatusCreated, body: body}, nil
}
func noContent() (*reply, *apiError) { return &reply{status: http.StatusNoContent}, nil }

func (r *reply) withETag(version int) *reply {
	r.header = http.Header{"Etag": {etag(version)}}
	return r
}

// etag is how TaskRouter writes a version: an integer in quotes.
func etag(version int) string { return fmt.Sprintf("%q", fmt.Sprint(version)) }

// has tells whether the form holds the parameter, also with an empty value.
func (r *request) has(name string) bool { return r.form.Has(name) }

func (r *request) get(name string) string { return r.form.Get(name) }

// url makes an absolute URL of a path, on the host that the client used.
func (r *request) url(path string) string { return r.base + path }

// ifMatch refuses the request when it names another version than the present one, unless the dialect ignores that.
// Clients send the ETag as they got it, in quotes, or as the integer within.
func (s *Simulator) ifMatch(r *request, version int) *apiError {
	given := strings.TrimSpace(r.header.Get("If-Match"))
	if given == "" || given == "*" || s.opts.Dialect.StaleIfMatchIsIgnored {
		return nil
	}
	for tag := range strings.SplitSeq(given, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if strings.Trim(tag, `"`) == fmt.Sprint(version) {
			return nil
		}
	}
	return refuse(http.StatusPreconditionFailed, codePreconditionFailed, messagePreconditionMiss)
}

// wantsWebhooks tells whether the caller asked that its action fire webhooks. By default REST actions fire none
// (https://www.twilio.com/docs/conversations-classic/conversations-webhooks).
func (r *request) wantsWebhooks() bool {
	return strings.EqualFold(r.header.Get("X-Twilio-Webhook-Enabled"), "true")
}

// oneOf refuses a parameter whose value is not in the enumeration; an absent one is fine.
func (r *request) oneOf(name string, allowed ...string) *apiError {
	if !r.has(name) {
		return nil
	}
	for _, a := range allowed {
		if r.get(name) == a {
			return nil
		}
	}
	return invalid("Invalid %s: %q is not one of %s", name, r.get(name), strings.Join(allowed, ", "))
}

// decodeForm reads the form of a write.
func decodeForm(r *http.Request) (url.Values, error) {
	if r.Body == nil {
		return url.Values{}, nil
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBody+1))
	if err != nil {
		return nil, fmt.Errorf("read the form: %w", err)
	}
	if len(raw) > maxRequestBody {
		return nil, fmt.Errorf("the form is longer than %d bytes", maxRequestBody)
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, fmt.Errorf("decode the form: %w", err)
	}
	return form, nil
}

// baseURL is the scheme and host under which the client reached the simulator.
func baseURL(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// wireTime is how Twilio writes a moment in JSON: ISO 8601, UTC, whole seconds.
func wireTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// optional is a string that is null when empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

var isFullSID = regexp.MustCompile(`^[A-Z]{2}[0-9a-fA-F]{32}$`)
