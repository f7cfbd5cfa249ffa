package signature

import (
	"net/url"
	"strings"
	"testing"

	"github.com/twilio/twilio-go/client"
)

// FuzzValid holds Valid against twilio-go's RequestValidator, for the forms on which that one is right: single-valued,
// and a URL that Go prints as it was written.
func FuzzValid(f *testing.F) {
	f.Add("12345", uint8(0), "myapp.php", "Digits=1234&From=%2B14158675309", "RSOYDt4T1cUTdK1PDd93/VVr8B8=")
	f.Add("12345", uint8(1), "", "", "")
	f.Add("t", uint8(2), "v1/taskrouter/WS0", "TaskAttributes=%7B%22a%22%3A%22b%0D%0A%22%7D&A=&B=+", "x")
	f.Add("t", uint8(3), "a", "Reason=a&ReasonB=c&%C3%A9=%FF", "x")
	f.Fuzz(func(t *testing.T, token string, host uint8, path, body, header string) {
		hosts := []string{"https://h.example", "https://h.example:8443", "http://127.0.0.1:8082", "http://h.example", "https://h.example:443"}
		publicURL := hosts[int(host)%len(hosts)] + "/" + strings.Map(plainPath, path)

		form, err := url.ParseQuery(body)
		if err != nil {
			t.Skip("not a form")
		}
		params := make(map[string]string, len(form))
		for name, values := range form {
			if len(values) != 1 {
				t.Skip("a repeated parameter, which twilio-go does not verify")
			}
			params[name] = values[0]
		}

		with, without := portVariants(publicURL)
		for _, header := range []string{
			header,
			Compute(token, with, form),
			Compute(token, without, form),
			Compute(token, publicURL+"x", form),
			Compute(token+"x", publicURL, form),
		} {
			validator := client.NewRequestValidator(token)
			want := validator.Validate(publicURL, params, header) && token != ""
			if got := Valid([]string{"other", token}, publicURL, form, header); got != want {
				t.Errorf("Valid(%q, %q, %v, %q) = %v, twilio-go says %v", token, publicURL, form, header, got, want)
			}
		}
	})
}

// plainPath keeps the characters that Go's URL printer leaves as they are.
func plainPath(r rune) rune {
	if r == '/' || r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return -1
}
