package credentials

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

const (
	testAccount  = "AC0123456789abcdef0123456789abcdef"
	testToken    = "tokentokentokentokentokentoken01"
	testPrevious = "previouspreviouspreviousprevio02"
	testKeySID   = "SK0123456789abcdef0123456789abcdef"
	testKey      = "keysecretkeysecretkeysecretkey03"
)

func secret(data map[string]string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "support", Name: "twilio"}, Data: map[string][]byte{}}
	for key, value := range data {
		s.Data[key] = []byte(value)
	}
	return s
}

func TestParse(t *testing.T) {
	full := Credentials{
		Twilio: twilio.Credentials{
			AccountSID: testAccount, AuthToken: testToken, APIKeySID: testKeySID, APIKeySecret: testKey, Region: "ie1", Edge: "dublin",
		},
		PreviousAuthToken: testPrevious,
	}
	plain := Credentials{Twilio: twilio.Credentials{AccountSID: testAccount, AuthToken: testToken}}

	tests := map[string]struct {
		data map[string]string
		want Credentials
	}{
		"the two keys that are needed": {
			data: map[string]string{"accountSid": testAccount, "authToken": testToken}, want: plain,
		},
		"all keys": {
			data: map[string]string{
				"accountSid": testAccount, "authToken": testToken, "previousAuthToken": testPrevious,
				"apiKeySid": testKeySID, "apiKeySecret": testKey, "region": "ie1", "edge": "dublin",
			}, want: full,
		},
		"line breaks as left by echo and editors": {
			data: map[string]string{"accountSid": testAccount + "\n", "authToken": "\t" + testToken + " \r\n"}, want: plain,
		},
		"optional keys that are empty": {
			data: map[string]string{
				"accountSid": testAccount, "authToken": testToken, "previousAuthToken": "",
				"apiKeySid": "\n", "apiKeySecret": "", "region": " ", "edge": "",
			}, want: plain,
		},
		"keys of others": {
			data: map[string]string{"accountSid": testAccount, "authToken": testToken, "username": "a b"}, want: plain,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(secret(test.data))
			if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Error("the credentials are not the expected ones")
			}
		})
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	valid := map[string]string{"accountSid": testAccount, "authToken": testToken}
	tests := map[string]struct {
		change map[string]string
		want   string
	}{
		"no account SID": {
			map[string]string{"accountSid": ""},
			"key accountSid is missing: copy it from the Twilio console (Account > API keys & tokens)",
		},
		"no auth token, not even with an API key": {
			map[string]string{"authToken": " \n", "apiKeySid": testKeySID, "apiKeySecret": testKey},
			"key authToken is missing: copy it from the Twilio console (Account > API keys & tokens)",
		},
		"an API key in the place of the account": {
			map[string]string{"accountSid": testKeySID},
			"key accountSid is not the SID of an account: an account's SID is AC followed by 32 hexadecimal digits",
		},
		"a value that was encoded twice": {
			map[string]string{"accountSid": base64.StdEncoding.EncodeToString([]byte(testAccount + "\n"))},
			"key accountSid is not the SID of an account: it is base64-encoded twice: write the plain values under stringData",
		},
		"an auth token in quotes": {
			map[string]string{"authToken": `"` + testToken + `"`},
			"key authToken has characters that no auth token has: copy it from the Twilio console (Account > API keys & tokens)",
		},
		"an auth token in two lines": {
			map[string]string{"authToken": "abc\ndef"},
			"key authToken has characters that no auth token has: copy it from the Twilio console (Account > API keys & tokens)",
		},
		"an API key without its secret": {
			map[string]string{"apiKeySid": testKeySID},
			"key apiKeySecret is missing: add the secret of the API key, or leave out apiKeySid",
		},
		"an API key's secret without the key": {
			map[string]string{"apiKeySecret": testKey},
			"key apiKeySid is missing: add the SID of the API key, or leave out apiKeySecret",
		},
		"an account in the place of the API key": {
			map[string]string{"apiKeySid": testAccount, "apiKeySecret": testKey},
			"key apiKeySid is not the SID of an API key: an API key's SID is SK followed by 32 hexadecimal digits",
		},
		"an API key's secret with a colon": {
			map[string]string{"apiKeySid": testKeySID, "apiKeySecret": "a:b"},
			"key apiKeySecret has characters that no API key's secret has: copy it from where the key was created, or create a new key",
		},
		"a previous auth token with a space": {
			map[string]string{"previousAuthToken": "a b"},
			"key previousAuthToken has characters that no auth token has: write the token that is being replaced, or leave it out",
		},
		"a region that would choose another host": {
			map[string]string{"region": "evil.example.com/"},
			"key region is not the name of a region: write it as ie1 or au1, or leave it out for us1",
		},
		"an edge that ends in a hyphen": {
			map[string]string{"edge": "dublin-"},
			"key edge is not the name of an edge: write it as dublin or sydney, or leave it out",
		},
		"everything at once": {
			map[string]string{"accountSid": "AC1", "authToken": "", "apiKeySid": "x", "region": "."},
			"key accountSid is not the SID of an account: an account's SID is AC followed by 32 hexadecimal digits; " +
				"key authToken is missing: copy it from the Twilio console (Account > API keys & tokens); " +
				"key apiKeySid is not the SID of an API key: an API key's SID is SK followed by 32 hexadecimal digits; " +
				"key region is not the name of a region: write it as ie1 or au1, or leave it out for us1; " +
				"key apiKeySecret is missing: add the secret of the API key, or leave out apiKeySid",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data := maps.Clone(valid)
			maps.Copy(data, test.change)
			got, err := Parse(secret(data))
			var parseError *Error
			if !errors.As(err, &parseError) {
				t.Fatalf("Parse() = %v, want an *Error", err)
			}
			if parseError.Reason != v1alpha1.ReasonSecretInvalid {
				t.Errorf("reason %q, want %q", parseError.Reason, v1alpha1.ReasonSecretInvalid)
			}
			if diff := cmp.Diff("secret support/twilio: "+test.want, err.Error()); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if got != (Credentials{}) {
				t.Error("there are credentials beside the error")
			}
		})
	}
}

func TestCredentialsAreNeverShown(t *testing.T) {
	c := Credentials{
		Twilio:            twilio.Credentials{AccountSID: testAccount, AuthToken: testToken, APIKeySID: testKeySID, APIKeySecret: testKey},
		PreviousAuthToken: testPrevious,
	}
	shown := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
		shown[verb] = fmt.Sprintf(verb, c)
		shown[verb+" of a pointer"] = fmt.Sprintf(verb, &c)
		shown[verb+" inside"] = fmt.Sprintf(verb, struct{ C Credentials }{c})
	}
	encoded, err := json.Marshal(map[string]any{"c": c})
	if err != nil {
		t.Fatal(err)
	}
	shown["json"] = string(encoded)
	var buffer bytes.Buffer
	slog.New(slog.NewTextHandler(&buffer, nil)).Info("x", "c", c)
	slog.New(slog.NewJSONHandler(&buffer, nil)).Info("x", "c", c)
	shown["slog"] = buffer.String()
	shown["logr"] = ""
	funcr.New(func(_, args string) { shown["logr"] += args }, funcr.Options{}).Info("x", "c", c)

	for how, text := range shown {
		if !strings.Contains(text, testAccount) && !strings.Contains(how, "%x") && !strings.Contains(how, "%X") {
			t.Errorf("%s: %q does not name the account", how, text)
		}
		for _, hidden := range []string{testToken, testPrevious, testKey, fmt.Sprintf("%x", testToken), fmt.Sprintf("%X", testPrevious)} {
			if strings.Contains(text, hidden) {
				t.Errorf("%s shows a secret", how)
			}
		}
	}

	if got := c.String(); !strings.HasSuffix(got, "and a previous auth token") {
		t.Errorf("%q does not say that there is a previous token", got)
	}
	c.PreviousAuthToken = ""
	if got := c.String(); strings.Contains(got, "previous") {
		t.Errorf("%q says that there is a previous token", got)
	}
}

func TestSigningTokens(t *testing.T) {
	for name, test := range map[string]struct {
		previous string
		want     []string
	}{
		"one token":                    {"", []string{testToken}},
		"while it is rotated":          {testPrevious, []string{testToken, testPrevious}},
		"the previous one is the same": {testToken, []string{testToken}},
	} {
		c := Credentials{Twilio: twilio.Credentials{AuthToken: testToken}, PreviousAuthToken: test.previous}
		if diff := cmp.Diff(test.want, c.SigningTokens()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
