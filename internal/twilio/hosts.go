package twilio

import (
	"fmt"
	"net/url"
	"strings"
)

// parseBaseURL checks a configured base URL. It returns nil for "", which means Twilio's own hosts. Messages do not
// repeat the value, which may hold a password.
func parseBaseURL(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, nil
	}
	const what = "check twilio base url"
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: it cannot be parsed", what)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%s: scheme must be http or https", what)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%s: host is missing", what)
	case u.User != nil:
		return nil, fmt.Errorf("%s: must not hold credentials", what)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("%s: must not hold a query or a fragment", what)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/")}, nil
}

// hostSuffix is what follows the product in Twilio's host names for a region and an edge
// (https://www.twilio.com/docs/global-infrastructure/understanding-twilio-regions).
func hostSuffix(region, edge string) string {
	if edge != "" && region == "" {
		region = "us1"
	}
	var labels strings.Builder
	for _, label := range []string{edge, region} {
		if label != "" {
			labels.WriteString("." + label)
		}
	}
	return labels.String() + ".twilio.com"
}

// target turns the URL that a generated service made, https://{product}.twilio.com/v1/…, into the one to call. Only the
// product and the path are taken from it, so that no region in the environment and no odd host can change where
// credentials go.
func (c *Client) target(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	if c.base != nil {
		return &url.URL{Scheme: c.base.Scheme, Host: c.base.Host, Path: c.base.Path + u.Path}, nil
	}
	product, _, _ := strings.Cut(u.Host, ".")
	return &url.URL{Scheme: "https", Host: product + c.hostSuffix, Path: u.Path}, nil
}
