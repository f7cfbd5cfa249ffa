package forward

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestOnlyPublicAddressesAreConnectedTo(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "172.15.0.1": true, "172.32.0.1": true, "100.63.255.255": true, "100.128.0.1": true, "192.0.1.1": true,
		"223.255.255.255": true, "::ffff:8.8.8.8": true, "2606:4700::1111": true, "2a00::1": true, "64:ff9b::8.8.8.8": true, "2001:4860::1": true,

		"127.0.0.1": false, "127.1.2.3": false, "::1": false, "0.0.0.0": false, "0.1.2.3": false, "::": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "fd00::1": false, "fc00::1": false,
		"169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "2a00::1%eth0": false, "fec0::1": false,
		"100.64.0.1": false, "100.127.255.255": false, "192.0.0.8": false, "192.0.2.1": false, "198.18.0.1": false, "198.19.255.255": false,
		"198.51.100.1": false, "203.0.113.1": false, "192.88.99.1": false,
		"224.0.0.1": false, "239.255.255.255": false, "ff02::1": false, "ff0e::1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::10.0.0.1": false, "::ffff:0:10.0.0.1": false,
		"64:ff9b::10.0.0.1": false, "64:ff9b::127.0.0.1": false, "64:ff9b:1::8.8.8.8": false, "2002:a00:1::": false, "2001::1": false,
		"2001:db8::1": false, "3fff::1": false, "4000::1": false, "100::1": false,
	} {
		parsed := netip.MustParseAddr(address)
		if got := public(parsed); got != want {
			t.Errorf("public(%s) = %v, want %v", address, got, want)
		}
		if err := onlyPublic(netip.AddrPortFrom(parsed, 443).String()); (err == nil) != want {
			t.Errorf("onlyPublic(%s) = %v", address, err)
		}
	}
	if err := onlyPublic("/run/socket"); !errors.Is(err, errPrivateAddress) {
		t.Errorf("what is no address: %v", err)
	}
}

func TestATargetOnThisMachineIsRefusedUnlessAllowed(t *testing.T) {
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ }))
	defer server.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		f := start(t, newTransport(false))
		f.Forward(event("WT1", 1, to("http://"+host+":"+port+"/")))
		f.end()
		<-f.ended
		if got := f.counted(); got != "refused 1" || calls != 0 {
			t.Errorf("%s: counted %q with %d calls, want one refused", host, got, calls)
		}
		if notes := f.noted(); len(notes) != 1 || !strings.Contains(notes[0], "--forward-to-private-addresses") || strings.Contains(notes[0], "address 127") {
			t.Errorf("%s: events %q do not name the cure", host, notes)
		}
	}
	f := start(t, newTransport(true))
	f.Forward(event("WT1", 1, to(server.URL)))
	f.end()
	<-f.ended
	if got := f.counted(); got != "delivered 1" || calls != 1 {
		t.Errorf("when allowed: counted %q with %d calls", got, calls)
	}
}

func TestRedirectsAreNotFollowedAndNoProxyIsUsed(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://proxy.invalid:3128")
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	f := start(t, newTransport(true))
	f.Forward(event("WT1", 1, to(server.URL+"/events")))
	f.end()
	<-f.ended
	if got := f.counted(); got != "refused 1" || len(paths) != 1 {
		t.Errorf("counted %q with calls of %q", got, paths)
	}
	if transport, ok := newTransport(false).(*http.Transport); !ok || transport.Proxy != nil {
		t.Error("a proxy would resolve the name itself")
	}
	if transport, ok := newTransport(true).(*http.Transport); !ok || transport.Proxy == nil {
		t.Error("where private addresses are allowed, the proxy is used as for Twilio")
	}
}
