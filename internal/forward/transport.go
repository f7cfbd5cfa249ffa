package forward

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
)

// errPrivateAddress says that a target is at an address which Twilio could not have called.
var errPrivateAddress = errors.New("the address is not public")

// newTransport makes the transport of the requests. Unless private addresses are allowed it connects to public ones only:
// what the address of a target resolves to is up to whoever may write the annotation with the record, and nobody but the
// operator should reach the cluster's own network by way of the operator. For the same reason there is no proxy then: it
// would look the name up itself.
func newTransport(toPrivate bool) http.RoundTripper {
	dialer := &net.Dialer{Timeout: dialTimeout}
	transport := &http.Transport{
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: tlsTimeout,
		MaxIdleConnsPerHost: maxRequests,
		IdleConnTimeout:     idleConnectionTimeout,
		ForceAttemptHTTP2:   true,
		DisableCompression:  true, // Twilio's request asks for nothing of the kind
	}
	if toPrivate {
		transport.Proxy = http.ProxyFromEnvironment // as for Twilio
	} else {
		dialer.Control = func(_, address string, _ syscall.RawConn) error { return onlyPublic(address) }
	}
	return transport
}

// onlyPublic returns an error for the address of a connection, an IP address and a port, that is not public.
func onlyPublic(address string) error {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil || !public(parsed.Addr()) {
		// The address is left out: it would tell whoever can read events about the cluster's DNS.
		return fmt.Errorf("connecting to the target: %w", errPrivateAddress)
	}
	return nil
}

var (
	// translated are IPv4 addresses as networks with IPv6 alone know them (RFC 6052): public if the address in it is.
	translated = netip.MustParsePrefix("64:ff9b::/96")
	// unicast6 is all of IPv6 that is given out for public use so far (RFC 4291).
	unicast6 = netip.MustParsePrefix("2000::/3")

	// notPublic is what the registries of special addresses keep out of the public network, as far as netip.Addr has no
	// method for it: https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry.
	notPublic = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),       // this network
		netip.MustParsePrefix("100.64.0.0/10"),   // carrier-grade NAT
		netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
		netip.MustParsePrefix("192.0.2.0/24"),    // documentation
		netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays, of old
		netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
		netip.MustParsePrefix("198.51.100.0/24"), // documentation
		netip.MustParsePrefix("203.0.113.0/24"),  // documentation
		netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
		netip.MustParsePrefix("2001::/23"),       // protocol assignments, among them Teredo
		netip.MustParsePrefix("2001:db8::/32"),   // documentation
		netip.MustParsePrefix("2002::/16"),       // 6to4, with any IPv4 address in it
		netip.MustParsePrefix("3fff::/20"),       // documentation
	}
)

// public reports whether an address is one of the public network.
func public(address netip.Addr) bool {
	address = address.Unmap()
	if translated.Contains(address) {
		bytes := address.As16()
		address = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	// IsGlobalUnicast leaves out loopback, link-local, multicast and unspecified addresses.
	if !address.IsGlobalUnicast() || address.IsPrivate() || address.Zone() != "" || address.Is6() && !unicast6.Contains(address) {
		return false
	}
	for _, prefix := range notPublic {
		if prefix.Contains(address) {
			return false
		}
	}
	return true
}
