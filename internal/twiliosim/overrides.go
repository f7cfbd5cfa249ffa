package twiliosim

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// overrides are the connection overrides of a callback URL: how often and on what a delivery is tried again, and how
// long it may take. They stand in the URL's fragment, which is neither sent nor signed
// (https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides).
type overrides struct {
	retries              int           // rc
	policy               []string      // rp: ct, rt, 4xx, 5xx, all
	connect, read, total time.Duration // ct, rt, tt
}

const (
	failConnect = "ct"
	failRead    = "rt"
	fail4xx     = "4xx"
	fail5xx     = "5xx"
	failAll     = "all"
)

// parseOverrides reads a URL's overrides; what is absent, unknown or out of bounds keeps Twilio's default.
func parseOverrides(address string) overrides {
	o := overrides{
		retries: 1, policy: []string{failConnect},
		connect: 5 * time.Second, read: 15 * time.Second, total: 15 * time.Second,
	}
	_, fragment, _ := strings.Cut(address, "#")
	for part := range strings.SplitSeq(fragment, "&") {
		key, value, _ := strings.Cut(part, "=")
		if unescaped, err := url.PathUnescape(value); err == nil {
			value = unescaped
		}
		n, err := strconv.Atoi(value)
		within := func(low, high int) bool { return err == nil && n >= low && n <= high }
		milliseconds := time.Duration(n) * time.Millisecond
		switch {
		case key == "rc" && within(0, 5):
			o.retries = n
		case key == "rp":
			o.policy = strings.Split(value, ",")
		case key == "ct" && within(100, 10000):
			o.connect = milliseconds
		case key == "rt" && within(100, 15000):
			o.read = milliseconds
		case key == "tt" && within(100, 15000):
			o.total = milliseconds
		}
	}
	return o
}

// retry tells whether a failure of the given class is tried again.
func (o overrides) retry(failure string) bool {
	return slices.Contains(o.policy, failAll) || slices.Contains(o.policy, failure)
}
