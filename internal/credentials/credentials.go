// Package credentials turns the Secrets that InactivityPolicies name into Twilio credentials, and keeps them in memory so
// that neither a callback nor a look at a conversation has to ask the API server.
//
// The operator may get Secrets but neither list nor watch them. So the [Store] reads each one that a policy names: when
// the policy is reconciled, every minute, and soon after a callback's signature did not verify. A rotated token works
// without a restart.
package credentials

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

// Keys of the Secret.
const (
	// KeyAccountSID holds the SID of the account: AC and 32 hexadecimal digits.
	KeyAccountSID = "accountSid"
	// KeyAuthToken holds the account's primary auth token. Twilio signs callbacks with it; API keys never sign.
	KeyAuthToken = "authToken"
	// KeyAPIKeySID holds the SID of an API key, which is then used for Twilio's API instead of the auth token. Optional.
	KeyAPIKeySID = "apiKeySid"
	// KeyAPIKeySecret holds the secret of that API key.
	KeyAPIKeySecret = "apiKeySecret"
	// KeyPreviousAuthToken holds a token that is still accepted on callbacks while the auth token is rotated. Optional.
	KeyPreviousAuthToken = "previousAuthToken"
	// KeyRegion holds the Twilio region that processes the account's data, such as ie1. Optional.
	KeyRegion = "region"
	// KeyEdge holds the Twilio edge at which its API is entered, such as dublin. Optional.
	KeyEdge = "edge"
)

// Credentials are what a Secret holds. They are comparable. However they are printed, logged or marshalled, only the
// account SID and the kinds of secret that are set are shown.
type Credentials struct {
	// Twilio is what Twilio's API is called with.
	Twilio twilio.Credentials
	// PreviousAuthToken still verifies callbacks while the auth token is rotated. Empty: there is none.
	PreviousAuthToken string
}

// AccountSID is the account that the credentials belong to.
func (c Credentials) AccountSID() string { return c.Twilio.AccountSID }

// SigningTokens returns the tokens that Twilio may have signed a callback with, the current one first. It signs with the
// primary token, and a token is primary until its successor is promoted:
// https://www.twilio.com/docs/api/errors/57012
func (c Credentials) SigningTokens() []string {
	if c.PreviousAuthToken == "" || c.PreviousAuthToken == c.Twilio.AuthToken {
		return []string{c.Twilio.AuthToken}
	}
	return []string{c.Twilio.AuthToken, c.PreviousAuthToken}
}

// String shows the account SID and which kinds of secret are set.
func (c Credentials) String() string {
	if c.PreviousAuthToken == "" {
		return c.Twilio.String()
	}
	return c.Twilio.String() + " and a previous auth token"
}

// GoString is String, for %#v.
func (c Credentials) GoString() string { return c.String() }

// Format is String for every verb: %d and %x would otherwise print the fields.
func (c Credentials) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, c.String()) }

// LogValue is String, for log/slog.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalLog is String, for logr.
func (c Credentials) MarshalLog() any { return c.String() }

// MarshalText is String, for encoding/json and other encoders.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
