// Package callback knows the addresses at which Twilio calls the operator: how they are built from the public URL, and
// when two of them are the same endpoint. It is shared by the side that gives the addresses to Twilio and the side that
// serves them, and has no state.
package callback

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

const (
	// TaskRouterPath precedes the workspace SID in the path of a workspace's event callback.
	TaskRouterPath = "/v1/taskrouter/"
	// ConversationsPath precedes the workspace SID in the path of a conversation's webhook.
	ConversationsPath = "/v1/conversations/"

	// retryOverrides asks Twilio for five retries, the most there are, when it cannot connect, gets no answer in time
	// or is answered with a server error. Without it a lost TaskRouter event is tried again once at most. The fragment
	// is neither sent nor signed: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
	retryOverrides = "rc=5&rp=ct,rt,5xx"

	// maxPublicURLLength leaves room for path and fragment within the 2,048 characters that a callback URL may have in
	// the status of a policy.
	maxPublicURLLength = 1024
)

// pathPrefix is a path of plain segments. Escapes are left out because proxies do not agree on how to write them, and
// the signature is over the exact text.
var pathPrefix = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*$`)

var hostName = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$`)

// ParsePublicURL returns the address at which Twilio reaches the receiver. It must be https, or http on a loopback
// address, have a host, and have neither query, fragment nor user information. A path is kept as a prefix of the
// receiver's own paths, without a slash at its end. The host is lower-cased. Errors name the part that is wrong and say
// what to write; user information is never repeated in them.
func ParsePublicURL(raw string) (*url.URL, error) {
	if len(raw) > maxPublicURLLength {
		return nil, fmt.Errorf("parsing public URL: it has %d characters, at most %d are allowed", len(raw), maxPublicURLLength)
	}
	parsed, err := url.Parse(raw)
	if err != nil {
		// The error of url.Parse repeats the text, which may hold a password.
		return nil, errors.New("parsing public URL: not a URL: write it as https://callbacks.example.com")
	}
	switch {
	case parsed.User != nil:
		return nil, errors.New("parsing public URL: user information is not supported: leave out the part before @")
	case parsed.RawQuery != "" || parsed.ForceQuery:
		return nil, errors.New("parsing public URL: a query is not supported: leave out the part from ? on")
	case strings.Contains(raw, "#"):
		return nil, errors.New("parsing public URL: a fragment is not supported: leave out the part from # on")
	case parsed.Opaque != "" || parsed.Hostname() == "":
		return nil, fmt.Errorf("parsing public URL %q: no host: write it as https://callbacks.example.com", raw)
	}

	host := strings.ToLower(parsed.Hostname())
	switch parsed.Scheme {
	case "https":
	case "http":
		if !loopback(host) {
			return nil, fmt.Errorf("parsing public URL %q: plain http is for loopback addresses only: use https", raw)
		}
	default:
		return nil, fmt.Errorf("parsing public URL %q: scheme %q is not supported: use https", raw, parsed.Scheme)
	}
	if address, err := netip.ParseAddr(host); err == nil {
		if address.Zone() != "" {
			return nil, fmt.Errorf("parsing public URL %q: an address with a zone cannot be reached from outside", raw)
		}
	} else if !hostName.MatchString(host) {
		return nil, fmt.Errorf("parsing public URL %q: host %q is not a DNS name or address: write an international name in its ASCII form (xn--)", raw, host)
	}

	port := parsed.Port()
	if port != "" {
		if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
			return nil, fmt.Errorf("parsing public URL %q: port %q is not between 1 and 65535", raw, port)
		}
		host = net.JoinHostPort(host, port)
	} else if strings.HasSuffix(parsed.Host, ":") {
		return nil, fmt.Errorf("parsing public URL %q: the port after : is missing", raw)
	} else if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}

	path := strings.TrimSuffix(parsed.EscapedPath(), "/")
	if !pathPrefix.MatchString(path) || dotSegment(path) {
		return nil, fmt.Errorf("parsing public URL %q: path %q must be plain segments of letters, digits and -._~, such as /twilio", raw, path)
	}
	return &url.URL{Scheme: parsed.Scheme, Host: host, Path: path}, nil
}

// WorkspaceCallbackURL returns the event callback of a workspace, with the fragment that asks Twilio for retries.
func WorkspaceCallbackURL(public *url.URL, workspaceSID string) string {
	return public.String() + TaskRouterPath + workspaceSID + "#" + retryOverrides
}

// ConversationCallbackURL returns the webhook of a workspace's conversations. It asks for no retries, because Twilio has
// no connection overrides for Conversations.
func ConversationCallbackURL(public *url.URL, workspaceSID string) string {
	return public.String() + ConversationsPath + workspaceSID
}

// SameEndpoint reports whether two callback URLs lead to the same endpoint: they differ at most in fragment, in the case
// of scheme and host, and in naming the scheme's own port. No URL leads nowhere, so two empty ones are not the same.
func SameEndpoint(a, b string) bool {
	a, b = endpoint(a), endpoint(b)
	return a == b && a != ""
}

func endpoint(raw string) string {
	raw, _, _ = strings.Cut(strings.TrimSpace(raw), "#")
	parsed, err := url.Parse(raw)
	if err != nil || parsed.Host == "" {
		return raw
	}
	// url.Parse has lower-cased the scheme.
	parsed.Host = strings.ToLower(parsed.Host)
	if port := parsed.Port(); port == "443" && parsed.Scheme == "https" || port == "80" && parsed.Scheme == "http" {
		parsed.Host = strings.TrimSuffix(parsed.Host, ":"+port)
	}
	return parsed.String()
}

// loopback reports whether host is this machine by its form alone: a name that merely resolves to it may resolve
// differently for Twilio.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

func dotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}
