package signature

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The token, URLs, parameters and signatures below are the test vectors that Twilio publishes with its helper libraries
// twilio-go, twilio-python and twilio-node.
const (
	vectorToken = "12345"
	vectorURL   = "https://mycompany.com/myapp.php?foo=1&bar=2"
)

func goVector() url.Values {
	return url.Values{
		"Digits":                {"1234"},
		"CallSid":               {"CA1234567890ABCDE"},
		"To":                    {"+18005551212"},
		"Caller":                {"+14158675309"},
		"From":                  {"+14158675309"},
		"ReasonConferenceEnded": {"test"},
		"Reason":                {"Participant"},
	}
}

func pythonVector() url.Values {
	return url.Values{
		"CallSid": {"CA1234567890ABCDE"},
		"Digits":  {"1234"},
		"From":    {"+14158675309"},
		"To":      {"+18005551212"},
		"Caller":  {"+14158675309"},
	}
}

func TestValid(t *testing.T) {
	plainHTTP := strings.Replace(vectorURL, "https", "http", 1)
	withPort := strings.Replace(vectorURL, ".com", ".com:1234", 1)

	tests := map[string]struct {
		tokens []string
		url    string
		form   url.Values
		header string
		want   bool
	}{
		"twilio-go's vector": {
			url: vectorURL, form: goVector(), header: "vOEb5UThFn24KEfnOFLQY2AE5FY=", want: true,
		},
		"twilio-go's vector over plain http": {
			url: plainHTTP, form: goVector(), header: "n2xBNyzSW7rfYStDtOFiFMv7qNo=", want: true,
		},
		"twilio-go's vector with Reason sorted after ReasonConferenceEnded": {
			url: vectorURL, form: goVector(), header: "95+Bu0JVPi0r/SsESZCVf0dWAjw=", want: false,
		},
		"twilio-python's vector": {
			url: vectorURL, form: pythonVector(), header: "RSOYDt4T1cUTdK1PDd93/VVr8B8=", want: true,
		},
		"the URL has a port, the signature was made without it": {
			url: withPort, form: pythonVector(), header: "RSOYDt4T1cUTdK1PDd93/VVr8B8=", want: true,
		},
		"the URL has no port, the signature was made with 443": {
			url: vectorURL, form: pythonVector(), header: "kvajT1Ptam85bY51eRf/AJRuM3w=", want: true,
		},
		"the URL has no port, the signature was made with 80": {
			url: plainHTTP, form: pythonVector(), header: "0ZXoZLH/DfblKGATFgpif+LLRf4=", want: true,
		},
		"the http URL has a port and the signature was made with it": {
			url:  strings.Replace(withPort, "https", "http", 1),
			form: pythonVector(), header: "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=", want: true,
		},
		"repeated parameters are signed in the order of their values": {
			url:    vectorURL,
			form:   url.Values{"Sid": {"CA123"}, "SidAccount": {"AC123"}, "Digits": {"5678", "1234"}},
			header: "IK+Dwps556ElfBT0I3Rgjkr1wJU=", want: true,
		},
		"a repeated value is signed once": {
			url:    vectorURL,
			form:   url.Values{"Sid": {"CA123"}, "SidAccount": {"AC123"}, "Digits": {"5678", "1234", "5678", "1234"}},
			header: "IK+Dwps556ElfBT0I3Rgjkr1wJU=", want: true,
		},
		"the fragment is not signed": {
			url: vectorURL + "#rc=5&rp=ct,rt,5xx", form: pythonVector(), header: "RSOYDt4T1cUTdK1PDd93/VVr8B8=", want: true,
		},
		"the second token of a rotation": {
			tokens: []string{"54321", vectorToken},
			url:    vectorURL, form: pythonVector(), header: "RSOYDt4T1cUTdK1PDd93/VVr8B8=", want: true,
		},
		"no token is the right one": {
			tokens: []string{"54321", "12346"},
			url:    vectorURL, form: pythonVector(), header: "RSOYDt4T1cUTdK1PDd93/VVr8B8=", want: false,
		},
		"no tokens at all": {
			tokens: []string{},
			url:    vectorURL, form: pythonVector(), header: "RSOYDt4T1cUTdK1PDd93/VVr8B8=", want: false,
		},
		"an empty token verifies nothing, not even a signature made with it": {
			tokens: []string{""},
			url:    vectorURL, form: pythonVector(), header: Compute("", vectorURL, pythonVector()), want: false,
		},
		"an empty header": {
			url: vectorURL, form: pythonVector(), header: "", want: false,
		},
		"a header with white space around the signature": {
			url: vectorURL, form: pythonVector(), header: " RSOYDt4T1cUTdK1PDd93/VVr8B8=", want: false,
		},
		"another path": {
			url: "https://mycompany.com/other.php?foo=1&bar=2", form: pythonVector(), header: "RSOYDt4T1cUTdK1PDd93/VVr8B8=", want: false,
		},
		"another order of the query": {
			url: "https://mycompany.com/myapp.php?bar=2&foo=1", form: pythonVector(), header: "RSOYDt4T1cUTdK1PDd93/VVr8B8=", want: false,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			tokens := test.tokens
			if tokens == nil {
				tokens = []string{vectorToken}
			}
			if got := Valid(tokens, test.url, test.form, test.header); got != test.want {
				t.Errorf("Valid() = %v, want %v", got, test.want)
			}
		})
	}
}

// Every parameter takes part: to change, add or leave out any of them makes the signature invalid.
func TestValidRefusesEveryChange(t *testing.T) {
	header := Compute(vectorToken, vectorURL, goVector())
	for name := range goVector() {
		changed := goVector()
		changed[name] = []string{changed.Get(name) + " "}
		if Valid([]string{vectorToken}, vectorURL, changed, header) {
			t.Errorf("valid although %s has a trailing space", name)
		}
		missing := goVector()
		missing.Del(name)
		if Valid([]string{vectorToken}, vectorURL, missing, header) {
			t.Errorf("valid although %s is missing", name)
		}
		repeated := goVector()
		repeated.Add(name, "other")
		if Valid([]string{vectorToken}, vectorURL, repeated, header) {
			t.Errorf("valid although %s has a second value", name)
		}
	}
	added := goVector()
	added.Set("Extra", "1")
	if Valid([]string{vectorToken}, vectorURL, added, header) {
		t.Error("valid although a parameter was added")
	}
}

func TestVerifyTellsWhichTokens(t *testing.T) {
	form := goVector()
	header := Compute("b", vectorURL, form)
	got := Verify([]string{"a", "b", "", "b", "c"}, vectorURL, form, header)
	if diff := cmp.Diff([]bool{false, true, false, true, false}, got); diff != "" {
		t.Errorf("Verify() (-want +got):\n%s", diff)
	}
}

func TestVerifyLeavesTheFormAlone(t *testing.T) {
	form := url.Values{"Digits": {"5678", "1234", "5678"}}
	Verify([]string{vectorToken}, vectorURL, form, "x")
	if want := []string{"5678", "1234", "5678"}; !slices.Equal(form["Digits"], want) {
		t.Errorf("the form was changed to %v, want %v", form["Digits"], want)
	}
}

func TestPortVariants(t *testing.T) {
	tests := map[string]struct{ url, with, without string }{
		"https without a port":  {"https://h/p?q=1", "https://h:443/p?q=1", "https://h/p?q=1"},
		"http without a port":   {"http://h/p", "http://h:80/p", "http://h/p"},
		"a port of its own":     {"https://h:8443/p", "https://h:8443/p", "https://h/p"},
		"the default port":      {"https://h:443/p", "https://h:443/p", "https://h/p"},
		"no path":               {"https://h", "https://h:443", "https://h"},
		"a query without path":  {"https://h?a=b:c", "https://h:443?a=b:c", "https://h?a=b:c"},
		"an IPv6 address":       {"http://[::1]/p", "http://[::1]:80/p", "http://[::1]/p"},
		"an IPv6 address, port": {"http://[::1]:8082/p", "http://[::1]:8082/p", "http://[::1]/p"},
		"user information":      {"https://u:p@h/p", "https://u:p@h:443/p", "https://u:p@h/p"},
		"user information, port": {
			"https://u:p@h:8443/p", "https://u:p@h:8443/p", "https://u:p@h/p",
		},
		"a colon in the path":  {"https://h/a:b", "https://h:443/a:b", "https://h/a:b"},
		"escapes stay as sent": {"https://h/%7Ea", "https://h:443/%7Ea", "https://h/%7Ea"},
		"not a URL":            {"h/p", "h/p", "h/p"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			with, without := portVariants(test.url)
			if with != test.with || without != test.without {
				t.Errorf("portVariants(%q) = %q, %q, want %q, %q", test.url, with, without, test.with, test.without)
			}
		})
	}
}
