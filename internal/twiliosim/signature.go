package twiliosim

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Twilio signs with HMAC-SHA1
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Signature is the X-Twilio-Signature of a form sent to a URL: the HMAC-SHA1 of the URL without its fragment, followed
// by each parameter's name and value, names in byte order and the different values of one name in byte order too
// (https://www.twilio.com/docs/usage/webhooks/webhooks-security).
func Signature(authToken, address string, form url.Values) string {
	address, _, _ = strings.Cut(address, "#")
	var signed strings.Builder
	signed.WriteString(address)
	for _, name := range slices.Sorted(maps.Keys(form)) {
		values := slices.Clone(form[name])
		slices.Sort(values)
		for _, value := range slices.Compact(values) {
			signed.WriteString(name + value)
		}
	}
	mac := hmac.New(sha1.New, []byte(authToken))
	mac.Write([]byte(signed.String()))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
