package twilio

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// cleaners take out of a message what may be a customer's, a secret's or a query's. What stays is Twilio's fixed words,
// its SIDs and paths, which is what an operator of this software needs. The order matters: larger things first.
var cleaners = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?i)\b(basic|bearer)\s+[a-z0-9+/=._~-]{8,}`), "[redacted]"},
	{regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://\S+`), "[url]"},
	{regexp.MustCompile(`\?\S*=\S*`), "[query]"},
	{regexp.MustCompile(`"[^"]*("|$)`), "[value]"},
	{regexp.MustCompile(`“[^”]*(”|$)`), "[value]"},
	// A quotation that does not end takes the rest. An apostrophe inside a word ("can't") opens nothing and closes nothing.
	{regexp.MustCompile(`\B'.+?('\B|$)`), "[value]"},
	{regexp.MustCompile(`\S+@\S+`), "[address]"},
	// Auth tokens and API key secrets are 32 characters; SIDs have letters before their digits.
	{regexp.MustCompile(`\b[0-9a-fA-F]{32}\b`), "[redacted]"},
	{regexp.MustCompile(`(?:\+|\b)\d[\d ().-]{6,}\d\b`), "[number]"},
}

// sanitize makes a text of somebody else's fit for an error: one line, no values, addresses, numbers, URLs or secrets,
// at most maxMessage bytes.
func sanitize(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	for _, c := range cleaners {
		s = c.pattern.ReplaceAllLiteralString(s, c.with)
	}
	return truncate(s, maxMessage)
}

// truncate cuts s to at most limit bytes without cutting a character.
func truncate(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const mark = "…"
	cut := limit - len(mark)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + mark
}
