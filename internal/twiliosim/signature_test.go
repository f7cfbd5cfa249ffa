package twiliosim

import (
	"net/url"
	"testing"

	"github.com/twilio/twilio-go/client"
)

func TestSignature(t *testing.T) {
	// The vector that Twilio publishes with its client libraries.
	params := form("Digits=1234", "CallSid=CA1234567890ABCDE", "To=+18005551212", "Caller=+14158675309",
		"From=+14158675309", "ReasonConferenceEnded=test", "Reason=Participant")
	const address = "https://mycompany.com/myapp.php?foo=1&bar=2"
	for name, tc := range map[string]struct{ url, want string }{
		"the published vector":          {address, "vOEb5UThFn24KEfnOFLQY2AE5FY="},
		"a fragment is not signed":      {address + "#rc=5&rp=all", "vOEb5UThFn24KEfnOFLQY2AE5FY="},
		"the published vector for http": {"http" + address[len("https"):], "n2xBNyzSW7rfYStDtOFiFMv7qNo="},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Signature("12345", tc.url, params); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
	if Signature("12345", address, form("a=1", "a=2", "a=1")) != Signature("12345", address, form("a=2", "a=1")) {
		t.Error("repeated values are signed once each, in order")
	}
	if Signature("54321", address, params) == Signature("12345", address, params) {
		t.Error("the token makes no difference")
	}
}

// signedByTwilio checks a callback with Twilio's own validator.
func signedByTwilio(token, address string, params url.Values, signature string) bool {
	flat := map[string]string{}
	for name := range params {
		flat[name] = params.Get(name)
	}
	validator := client.NewRequestValidator(token)
	return validator.Validate(address, flat, signature)
}
