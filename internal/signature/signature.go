// Package signature verifies the X-Twilio-Signature header of form-encoded callbacks.
//
// Twilio signs a POST by joining the full public URL, without its fragment, and every parameter's name and value in the
// order of the names, and taking the base64 form of the HMAC-SHA1 of that text under the account's auth token:
// https://www.twilio.com/docs/usage/webhooks/webhooks-security
//
// The package is pure: no clock, no network, no state.
package signature

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // The algorithm is Twilio's; HMAC does not rest on SHA-1's collision resistance.
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"net/url"
	"slices"
	"strings"
)

// Header is the name of the header that carries the signature.
const Header = "X-Twilio-Signature"

// Compute returns the signature that Twilio puts on a POST of the form to exactly rawURL, with a port only if rawURL has
// one. A fragment is not signed. Of a name that is repeated, each distinct value is signed once, in sorted order; that
// is how Twilio treats such parameters, see https://github.com/twilio/twilio-node/issues/722 and
// https://github.com/twilio/twilio-python/issues/613.
func Compute(token, rawURL string, form url.Values) string {
	return compute(hmac.New(sha1.New, []byte(token)), withoutFragment(rawURL), signedParameters(form))
}

// Valid reports whether header is Twilio's signature of the form posted to publicURL under any of the tokens.
// See [Verify].
func Valid(tokens []string, publicURL string, form url.Values, header string) bool {
	return slices.Contains(Verify(tokens, publicURL, form, header), true)
}

// Verify reports for each token whether header is the signature of the form posted to publicURL under that token.
//
// publicURL is the address as the sender knows it, never one derived from the request's Host header. It is tried with
// and without its port (443 or 80 where it has none), because Twilio's own use of the port differs from product to
// product. Values must be untrimmed and complete: every parameter that was received takes part.
//
// Every token and every form of the URL is computed and compared in constant time, so the time taken tells neither
// which token came near nor how near. An empty token verifies nothing.
func Verify(tokens []string, publicURL string, form url.Values, header string) []bool {
	parameters := signedParameters(form)
	withPort, withoutPort := portVariants(withoutFragment(publicURL))

	verified := make([]bool, len(tokens))
	for i, token := range tokens {
		mac := hmac.New(sha1.New, []byte(token))
		match := equal(compute(mac, withPort, parameters), header)
		mac.Reset()
		match |= equal(compute(mac, withoutPort, parameters), header)
		verified[i] = match == 1 && token != ""
	}
	return verified
}

func compute(mac hash.Hash, rawURL string, parameters []byte) string {
	mac.Write([]byte(rawURL))
	mac.Write(parameters)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func equal(want, got string) int {
	return subtle.ConstantTimeCompare([]byte(want), []byte(got))
}

// signedParameters returns the part of the signed text that follows the URL.
func signedParameters(form url.Values) []byte {
	size := 0
	names := make([]string, 0, len(form))
	for name, values := range form {
		names = append(names, name)
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	slices.Sort(names)
	text := make([]byte, 0, size)
	for _, name := range names {
		values := form[name]
		if len(values) > 1 {
			values = slices.Compact(slices.Sorted(slices.Values(values)))
		}
		for _, value := range values {
			text = append(text, name...)
			text = append(text, value...)
		}
	}
	return text
}

// portVariants returns the URL with an explicit port and without one. It works on the text, because parsing a URL and
// printing it again may change how its path is escaped, and with it the signature.
func portVariants(rawURL string) (withPort, withoutPort string) {
	scheme, rest, found := strings.Cut(rawURL, "://")
	if !found {
		return rawURL, rawURL
	}
	authority, tail := rest, ""
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		authority, tail = rest[:end], rest[end:]
	}

	// A colon inside the brackets of an IPv6 address, or in the user information, is not the port's.
	hostStart := strings.LastIndexByte(authority, '@') + 1
	hostStart = max(hostStart, strings.LastIndexByte(authority, ']')+1)
	if colon := strings.IndexByte(authority[hostStart:], ':'); colon >= 0 {
		return rawURL, scheme + "://" + authority[:hostStart+colon] + tail
	}

	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	return scheme + "://" + authority + port + tail, rawURL
}

func withoutFragment(rawURL string) string {
	rawURL, _, _ = strings.Cut(rawURL, "#")
	return rawURL
}
