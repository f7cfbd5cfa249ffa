package credentials

import (
	"encoding/base64"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

var (
	accountSIDPattern = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	apiKeySIDPattern  = regexp.MustCompile(`^SK[0-9a-fA-F]{32}$`)

	// secretPattern is what Twilio's client libraries accept as a token or secret:
	// https://github.com/twilio/twilio-go/blob/main/client/client.go
	secretPattern = regexp.MustCompile(`^[A-Za-z0-9]+$`)

	// hostLabelPattern holds regions and edges to one label of a host name: whoever writes the Secret must not be able to
	// choose the host that the credentials are sent to.
	hostLabelPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

const (
	isMissing = "is missing"
	// fromConsole is where a token is found.
	fromConsole = "copy it from the Twilio console (Account > API keys & tokens)"
)

// Parse reads Twilio credentials from a Secret. White space around a value is dropped: none of them can have any, and
// a Secret made with echo or an editor ends in a line break. An optional key that is empty counts as absent. The error is
// an [*Error] that names everything that is wrong.
func Parse(secret *corev1.Secret) (Credentials, error) {
	p := parser{data: secret.Data}
	parsed := Credentials{
		Twilio: twilio.Credentials{
			AccountSID:   p.accountSID(),
			AuthToken:    p.required(KeyAuthToken, secretPattern, "has characters that no auth token has", fromConsole),
			APIKeySID:    p.optional(KeyAPIKeySID, apiKeySIDPattern, "is not the SID of an API key", "an API key's SID is SK followed by 32 hexadecimal digits"),
			APIKeySecret: p.optional(KeyAPIKeySecret, secretPattern, "has characters that no API key's secret has", "copy it from where the key was created, or create a new key"),
			Region:       p.optional(KeyRegion, hostLabelPattern, "is not the name of a region", "write it as ie1 or au1, or leave it out for us1"),
			Edge:         p.optional(KeyEdge, hostLabelPattern, "is not the name of an edge", "write it as dublin or sydney, or leave it out"),
		},
		PreviousAuthToken: p.optional(KeyPreviousAuthToken, secretPattern, "has characters that no auth token has", "write the token that is being replaced, or leave it out"),
	}
	switch {
	case p.given(KeyAPIKeySID) && !p.given(KeyAPIKeySecret):
		p.add(KeyAPIKeySecret, isMissing, "add the secret of the API key, or leave out "+KeyAPIKeySID)
	case !p.given(KeyAPIKeySID) && p.given(KeyAPIKeySecret):
		p.add(KeyAPIKeySID, isMissing, "add the SID of the API key, or leave out "+KeyAPIKeySecret)
	}
	if len(p.problems) > 0 {
		return Credentials{}, &Error{
			Secret:   client.ObjectKeyFromObject(secret),
			Reason:   v1alpha1.ReasonSecretInvalid,
			Problems: p.problems,
		}
	}
	return parsed, nil
}

// parser reads keys and collects what is wrong with them, so that a user is told everything at once.
type parser struct {
	data     map[string][]byte
	problems []Problem
}

func (p *parser) add(key, problem, cure string) {
	p.problems = append(p.problems, Problem{Key: key, Problem: problem, Cure: cure})
}

func (p *parser) value(key string) string { return strings.TrimSpace(string(p.data[key])) }

func (p *parser) given(key string) bool { return p.value(key) != "" }

func (p *parser) required(key string, pattern *regexp.Regexp, problem, cure string) string {
	if !p.given(key) {
		p.add(key, isMissing, fromConsole)
		return ""
	}
	return p.optional(key, pattern, problem, cure)
}

func (p *parser) optional(key string, pattern *regexp.Regexp, problem, cure string) string {
	value := p.value(key)
	if value != "" && !pattern.MatchString(value) {
		p.add(key, problem, cure)
		return ""
	}
	return value
}

func (p *parser) accountSID() string {
	const problem = "is not the SID of an account"
	cure := "an account's SID is AC followed by 32 hexadecimal digits"
	// The commonest slip of all: the value was encoded by hand and put under stringData, or encoded twice under data.
	if decoded, err := base64.StdEncoding.DecodeString(p.value(KeyAccountSID)); err == nil &&
		accountSIDPattern.MatchString(strings.TrimSpace(string(decoded))) {
		cure = "it is base64-encoded twice: write the plain values under stringData"
	}
	return p.required(KeyAccountSID, accountSIDPattern, problem, cure)
}
