package twilio

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// Credentials name an account and prove the right to act on it. Printing, logging or encoding a value in any way
// shows the account SID and which kinds of secret are set, never a secret.
type Credentials struct {
	// AccountSID is the account (AC…) all calls act on. It also keys the account's rate limit.
	AccountSID string
	// AuthToken is the account's token. It authenticates calls unless an API key is set.
	AuthToken string
	// APIKeySID (SK…) and APIKeySecret authenticate calls instead of the token when both are set.
	APIKeySID    string
	APIKeySecret string
	// Region and Edge choose Twilio's hosts: {product}.{edge}.{region}.twilio.com. An edge without a region is in us1.
	// Both are ignored when [Options.BaseURL] is set.
	Region string
	Edge   string
}

// login returns the user name and password for HTTP Basic authentication.
func (c Credentials) login() (username, password string) {
	if c.APIKeySID != "" && c.APIKeySecret != "" {
		return c.APIKeySID, c.APIKeySecret
	}
	return c.AccountSID, c.AuthToken
}

// validate says what is missing or malformed, without repeating any value.
func (c Credentials) validate() error {
	if c.AccountSID == "" {
		return errors.New("check credentials: account sid is empty")
	}
	username, password := c.login()
	if password == "" {
		return errors.New("check credentials: neither an auth token nor an api key with its secret is given")
	}
	// A colon in the user name would move the border to the password; white space and control characters are a
	// slip in how the value was stored (often a line end), which Twilio would only answer with 401.
	if strings.ContainsFunc(username, func(r rune) bool { return r <= ' ' || r == ':' || r == 0x7f }) {
		return errors.New("check credentials: account sid or api key sid contains white space, a colon or a control character")
	}
	if strings.ContainsFunc(password, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errors.New("check credentials: auth token or api key secret contains white space or a control character")
	}
	if !isHostLabel(c.Region) {
		return errors.New("check credentials: region is not a host label such as \"ie1\"")
	}
	if !isHostLabel(c.Edge) {
		return errors.New("check credentials: edge is not a host label such as \"dublin\"")
	}
	return nil
}

// isHostLabel accepts what can be one label of a host name, or nothing. Region and edge come from a Secret that tenants
// write, and must not be able to choose another host.
func isHostLabel(s string) bool {
	if len(s) > 63 || strings.HasPrefix(s, "-") || strings.HasSuffix(s, "-") {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return true
}

// String shows the account SID and which secrets are set.
func (c Credentials) String() string {
	kinds := make([]string, 0, 2)
	if c.AuthToken != "" {
		kinds = append(kinds, "auth token")
	}
	if c.APIKeySID != "" && c.APIKeySecret != "" {
		kinds = append(kinds, "api key")
	}
	if len(kinds) == 0 {
		kinds = append(kinds, "no secret")
	}
	return fmt.Sprintf("credentials of %s (%s)", c.AccountSID, strings.Join(kinds, ", "))
}

// GoString is String, for %#v.
func (c Credentials) GoString() string { return c.String() }

// Format is String for every verb: %d and %x would otherwise print the fields.
func (c Credentials) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.String()) }

// LogValue is String, for log/slog.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalLog is String, for logr.
func (c Credentials) MarshalLog() any { return c.String() }

// MarshalText is String, for encoding/json and other encoders.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// authenticator returns a function that signs requests. The secrets live in its closure, where no printing of the
// client that holds it reaches them.
func (c Credentials) authenticator() func(*http.Request) {
	username, password := c.login()
	return func(req *http.Request) { req.SetBasicAuth(username, password) }
}

// redactor returns a function that takes the secrets out of a text. They live in its closure, for the same reason.
func (c Credentials) redactor() func(string) string {
	var pairs []string
	for _, secret := range []string{c.AuthToken, c.APIKeySecret} {
		if secret != "" {
			pairs = append(pairs, secret, "[redacted]")
		}
	}
	return strings.NewReplacer(pairs...).Replace
}
