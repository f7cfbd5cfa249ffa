package callback

import (
	"strings"
	"testing"
)

const workspace = "WS0123456789abcdef0123456789abcdef"

func TestParsePublicURL(t *testing.T) {
	accepted := map[string]struct{ raw, want string }{
		"https":                             {"https://callbacks.example.com", "https://callbacks.example.com"},
		"a slash at the end":                {"https://callbacks.example.com/", "https://callbacks.example.com"},
		"a port":                            {"https://callbacks.example.com:8443", "https://callbacks.example.com:8443"},
		"a path prefix":                     {"https://example.com/twilio/v2_a~b", "https://example.com/twilio/v2_a~b"},
		"a path prefix with a slash at end": {"https://example.com/twilio/", "https://example.com/twilio"},
		"upper-case scheme and host":        {"HTTPS://Callbacks.Example.COM/Twilio", "https://callbacks.example.com/Twilio"},
		"an address":                        {"https://192.0.2.7", "https://192.0.2.7"},
		"an IPv6 address":                   {"https://[2001:DB8::1]:8443/p", "https://[2001:db8::1]:8443/p"},
		"an IPv6 address without a port":    {"https://[2001:db8::1]", "https://[2001:db8::1]"},
		"http on localhost":                 {"http://localhost:8082", "http://localhost:8082"},
		"http on 127.0.0.1":                 {"http://127.0.0.1:8082/x", "http://127.0.0.1:8082/x"},
		"http on another of 127/8":          {"http://127.1.2.3", "http://127.1.2.3"},
		"http on ::1":                       {"http://[::1]:8082", "http://[::1]:8082"},
	}
	for name, test := range accepted {
		t.Run(name, func(t *testing.T) {
			got, err := ParsePublicURL(test.raw)
			if err != nil {
				t.Fatalf("ParsePublicURL(%q): %v", test.raw, err)
			}
			if got.String() != test.want {
				t.Errorf("ParsePublicURL(%q) = %q, want %q", test.raw, got, test.want)
			}
			again, err := ParsePublicURL(got.String())
			if err != nil || again.String() != got.String() {
				t.Errorf("ParsePublicURL(%q) = %v, %v: what it returns should parse to itself", got, again, err)
			}
		})
	}

	refused := map[string]struct{ raw, says string }{
		"empty":                     {"", "no host"},
		"no scheme":                 {"callbacks.example.com", "no host"},
		"only a path":               {"/v1", "no host"},
		"no host":                   {"https:///v1", "no host"},
		"only a port":               {"https://:8443", "no host"},
		"opaque":                    {"https:callbacks.example.com", "no host"},
		"another scheme":            {"ftp://example.com", `scheme "ftp"`},
		"http to elsewhere":         {"http://callbacks.example.com", "use https"},
		"http to a look-alike":      {"http://localhost.example.com", "use https"},
		"http to all interfaces":    {"http://0.0.0.0:8082", "use https"},
		"a query":                   {"https://example.com/?a=b", "query"},
		"an empty query":            {"https://example.com/?", "query"},
		"a fragment":                {"https://example.com/#rc=5", "fragment"},
		"an empty fragment":         {"https://example.com/#", "fragment"},
		"user information":          {"https://user:secret@example.com", "user information"},
		"not a URL at all":          {"https://example.com/%zz", "not a URL"},
		"a control character":       {"https://example.com/a\r\nb", "not a URL"},
		"an escape in the path":     {"https://example.com/a%2fb", "plain segments"},
		"a double slash":            {"https://example.com//a", "plain segments"},
		"two slashes at the end":    {"https://example.com/a//", "plain segments"},
		"a dot segment":             {"https://example.com/a/../b", "plain segments"},
		"a space in the path":       {"https://example.com/a b", "plain segments"},
		"port 0":                    {"https://example.com:0", "port"},
		"a port that is too high":   {"https://example.com:65536", "port"},
		"a colon without a port":    {"https://example.com:/a", "port"},
		"an international name":     {"https://bücher.example", "xn--"},
		"a host with a space":       {"https://exa%20mple.com", "not a URL"},
		"a host of odd characters":  {"https://exa$mple.com", "DNS name"},
		"an address with a zone":    {"https://[fe80::1%25eth0]:8443", "zone"},
		"longer than a URL may be":  {"https://example.com/" + strings.Repeat("a", 1024), "characters"},
		"a host with an empty part": {"https://a..b", "DNS name"},
	}
	for name, test := range refused {
		t.Run("refuses "+name, func(t *testing.T) {
			got, err := ParsePublicURL(test.raw)
			if err == nil {
				t.Fatalf("ParsePublicURL(%q) = %q, want an error that says %q", test.raw, got, test.says)
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("ParsePublicURL(%q): %q does not say %q", test.raw, err, test.says)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("ParsePublicURL(%q): %q repeats the password", test.raw, err)
			}
		})
	}
}

func TestCallbackURLs(t *testing.T) {
	for base, prefix := range map[string]string{
		"https://callbacks.example.com":    "https://callbacks.example.com",
		"https://example.com:8443/twilio/": "https://example.com:8443/twilio",
		"http://[::1]:8082":                "http://[::1]:8082",
	} {
		public, err := ParsePublicURL(base)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := WorkspaceCallbackURL(public, workspace), prefix+"/v1/taskrouter/"+workspace+"#rc=5&rp=ct,rt,5xx"; got != want {
			t.Errorf("WorkspaceCallbackURL() = %q, want %q", got, want)
		}
		if got, want := ConversationCallbackURL(public, workspace), prefix+"/v1/conversations/"+workspace; got != want {
			t.Errorf("ConversationCallbackURL() = %q, want %q", got, want)
		}
	}
}

func TestSameEndpoint(t *testing.T) {
	const ours = "https://callbacks.example.com/twilio/v1/taskrouter/" + workspace
	tests := map[string]struct {
		a, b string
		want bool
	}{
		"the same text":                   {ours, ours, true},
		"another fragment":                {ours + "#rc=5&rp=ct,rt,5xx", ours + "#rc=1", true},
		"a fragment and none":             {ours + "#rc=5", ours, true},
		"white space around":              {" " + ours + "\n", ours, true},
		"scheme and host in capitals":     {"HTTPS://Callbacks.Example.com/twilio/v1/taskrouter/" + workspace, ours, true},
		"the scheme's own port":           {"https://callbacks.example.com:443/twilio/v1/taskrouter/" + workspace, ours, true},
		"http's own port":                 {"http://localhost:80/a", "http://localhost/a", true},
		"another port":                    {"https://callbacks.example.com:8443/twilio/v1/taskrouter/" + workspace, ours, false},
		"the other scheme's port":         {"https://h:80/a", "https://h/a", false},
		"the same text that is not a URL": {"%zz", "%zz#a", true},
		"another workspace":               {ours[:len(ours)-1] + "0", ours, false},
		"another prefix":                  {"https://callbacks.example.com/v1/taskrouter/" + workspace, ours, false},
		"another scheme":                  {"http://callbacks.example.com/twilio/v1/taskrouter/" + workspace, ours, false},
		"another host":                    {"https://example.com/twilio/v1/taskrouter/" + workspace, ours, false},
		"the path in capitals":            {"https://h/A", "https://h/a", false},
		"a slash at the end":              {ours + "/", ours, false},
		"a query":                         {ours + "?a=b", ours, false},
		"user information":                {"https://u:p@h/a", "https://h/a", false},
		"nothing and something":           {"", ours, false},
		"nothing twice":                   {"", "", false},
		"only fragments":                  {"#a", "#b", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := SameEndpoint(test.a, test.b); got != test.want {
				t.Errorf("SameEndpoint(%q, %q) = %v, want %v", test.a, test.b, got, test.want)
			}
			if got := SameEndpoint(test.b, test.a); got != test.want {
				t.Errorf("SameEndpoint(%q, %q) = %v, want %v", test.b, test.a, got, test.want)
			}
		})
	}
}
