package forward

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/flexops-dev/inactivity-operator/internal/metrics"
	"github.com/flexops-dev/inactivity-operator/internal/signature"
)

const (
	// headerVia names who an event has come through: RFC 9110, section 7.6.3.
	headerVia = "Via"
	// headerIdempotency is the same in every attempt of Twilio's to deliver an event
	// (https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides).
	headerIdempotency = "I-Twilio-Idempotency-Token"

	// viaProtocol and viaName are how an operator writes itself into Via: the protocol, and a pseudonym.
	viaProtocol = "1.1"
	viaName     = "inactivity-operator-"
)

var errNotAnAddress = errors.New("the address is not an http or https URL with a host")

// destination is a target's URL, taken apart.
type destination struct {
	// address is the URL without user information and fragment: what is called.
	address string
	// signed is the URL as Twilio signs it.
	signed string
	// user and password are those of the URL; given says that there are some.
	user, password string
	given          bool
	// host is what may be shown.
	host string
}

// parseDestination takes a callback URL apart.
//
// What is signed is the URL as it was set, without its fragment: Twilio documents the full URL, from the scheme to the end
// of the query, and its libraries keep user information in it
// (https://www.twilio.com/docs/usage/webhooks/webhooks-security). A URL without a path is called, and so signed, with "/".
func parseDestination(raw string) (*destination, error) {
	raw, _, _ = strings.Cut(strings.TrimSpace(raw), "#")
	parsed, err := url.Parse(raw)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return nil, errNotAnAddress // the error of url.Parse repeats the text
	}
	to := &destination{signed: raw, host: parsed.Scheme + "://" + parsed.Host}
	if parsed.Path == "" {
		if before, query, found := strings.Cut(raw, "?"); found {
			to.signed = before + "/?" + query
		} else {
			to.signed = raw + "/"
		}
	}
	if parsed.User != nil {
		to.user, to.given = parsed.User.Username(), true
		to.password, _ = parsed.User.Password()
		parsed.User = nil
	}
	to.address = parsed.String()
	return to, nil
}

// hostOf is what may be shown of a URL.
func hostOf(raw string) string {
	if to, err := parseDestination(raw); err == nil {
		return to.host
	}
	return "an address that cannot be shown"
}

// newHeader is the header of the requests for an event: Twilio's own as far as it is about the event.
func newHeader(event Event, via, signed string) http.Header {
	header := http.Header{
		"Content-Type":   {event.Header.Get("Content-Type")},
		"User-Agent":     {event.Header.Get("User-Agent")}, // an empty one is not sent
		signature.Header: {signed},
		headerVia:        {via},
	}
	if token := event.Header.Get(headerIdempotency); token != "" {
		header.Set(headerIdempotency, token)
	}
	return header
}

// pseudonym is how an operator of an identity calls itself in Via.
func pseudonym(identity string) string {
	sum := sha256.Sum256([]byte(identity))
	return viaName + hex.EncodeToString(sum[:8])
}

// nextVia returns the Via header to send. It reports true for an event that this operator has passed on before, or that
// has come through too many operators: two that have taken each other's callback over would pass it on for ever.
func (f *Forwarder) nextVia(received []string) (via string, circling bool) {
	hops := 0
	var entries []string
	for _, line := range received {
		for entry := range strings.SplitSeq(line, ",") {
			fields := strings.Fields(entry)
			if len(fields) < 2 || !strings.HasPrefix(fields[1], viaName) {
				continue // a proxy's, which is nobody's business further on
			}
			hops++
			if fields[1] == f.via || hops >= maxHops {
				return "", true
			}
			entries = append(entries, viaProtocol+" "+fields[1])
		}
	}
	return strings.Join(append(entries, viaProtocol+" "+f.via), ", "), false
}

// deliver sends an event once. The outcome is empty if it should be sent again.
func (f *Forwarder) deliver(it *item) (outcome string, cause trouble) {
	ctx, cancel := context.WithTimeout(f.requests, attemptTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, it.to.address, bytes.NewReader(it.body))
	if err != nil {
		return metrics.ForwardRefused, troubleAddress
	}
	request.Header = it.header.Clone()
	if it.to.given {
		request.SetBasicAuth(it.to.user, it.to.password)
	}
	// Not by a Client: redirects are not followed, and errors do not repeat the URL.
	response, err := f.transport.RoundTrip(request)
	if err != nil {
		return classifyError(ctx, err)
	}
	defer response.Body.Close()
	// The answer means nothing; it is read so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
	return classifyStatus(response.StatusCode)
}

// classifyStatus is what follows from an answer. What Twilio would call a success is one; a party that does not want an
// event would not want it a second time either, unless it is only busy.
func classifyStatus(status int) (outcome string, cause trouble) {
	cause = trouble{text: "it answered with status " + strconv.Itoa(status), cure: cureStatus}
	switch {
	case status >= 200 && status < 300:
		return metrics.ForwardDelivered, trouble{}
	case status == http.StatusTooManyRequests || status >= 500:
		return "", cause
	case status == http.StatusUnauthorized:
		cause.cure = cureAuthentication
	case status == http.StatusForbidden:
		cause.cure = cureForbidden
	case status >= 300 && status < 400:
		cause.cure = cureRedirect
	}
	return metrics.ForwardRefused, cause
}

// classifyError is what follows from an attempt without an answer. Nothing of the error itself is told: it may repeat
// what the other side sent.
func classifyError(ctx context.Context, err error) (outcome string, cause trouble) {
	var (
		resolution  *net.DNSError
		certificate *tls.CertificateVerificationError
		network     net.Error
	)
	switch {
	case errors.Is(err, errPrivateAddress):
		return metrics.ForwardRefused, troublePrivate
	case errors.As(err, &resolution):
		return "", troubleName
	case errors.As(err, &certificate):
		return "", troubleCertificate
	case ctx.Err() != nil, errors.As(err, &network) && network.Timeout():
		return "", troubleTimeout
	default:
		return "", troubleConnection
	}
}
