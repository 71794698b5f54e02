package crmhttp

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// divert sends every connection of c to srv, whose certificate is trusted
// whatever the name.
func divert(c *Client, srv *httptest.Server) {
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	c.dialer.tls.RootCAs = pool
	c.dialer.tls.InsecureSkipVerify = true // the server's name is not the one asked for
	c.dialer.connect = func(ctx context.Context, _ *net.Dialer, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
	}
}

func TestEgressByName(t *testing.T) {
	t.Parallel()
	egress := []string{"api.crm.example", "*.Wild.example"}
	cases := map[string]bool{
		"api.crm.example": true, "API.CRM.Example.": true, "a.wild.example": true, "a.b.wild.example": true,
		"wild.example": false, "evilwild.example": false, "x.api.crm.example": false, "crm.example": false,
		"api.crm.example.evil.example": false, "": false, ".wild.example": false,
		"https://api.crm.example": false, "api.crm.example:443": false, "api.crm.example/x": false,
		"u@api.crm.example": false, "api.crm.example@evil.example": false, "127.0.0.1": false, "[::1]": false, "::1": false,
		"a b.wild.example": false, "a\x00.wild.example": false, "ä.wild.example": false, "a_b.wild.example": true,
		"-a.wild.example": false, "a..wild.example": false, "0x7f.1": false, "2130706433": false,
		strings.Repeat("a", 64) + ".wild.example": false, strings.Repeat("a.", 130) + "wild.example": false,
		"api.crm.example?x.wild.example": false, "api.crm.example#.wild.example": false, "%61.wild.example": false,
	}
	c := hosts(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"id":1}`) }, egress...)
	for host, allowed := range cases {
		call := openCall()
		call.Hostname = host
		err := c.For(call).PostJSON(t.Context(), "/a", 1, new(created))
		// What is not allowed is refused before it is dialled, too.
		if _, refusal := c.policy.origin(host); (refusal == nil) != allowed {
			t.Errorf("the origin of %q: %v", host, refusal)
		}
		if allowed {
			if err != nil {
				t.Errorf("%q: %v", host, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%q was called", host)
			continue
		}
		check(t, err, wantRejected)
		if host != "" && strings.Contains(err.Error(), host) {
			t.Errorf("%q stands in the error %v", host, err)
		}
	}
}

func TestNothingIsAllowedByDefault(t *testing.T) {
	t.Parallel()
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	call := openCall()
	call.Hostname = "api.crm.example"
	check(t, c.For(call).GetJSON(t.Context(), "/a", nil, nil), wantRejected)
	check(t, c.Anonymous().GetJSON(t.Context(), "/a", nil, nil), wantRejected)
}

// The dialer checks names by itself: it must not depend on the checks above it.
func TestDialerRefusesOtherNames(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://127.0.0.1:1", func(cfg *Config) { cfg.Egress = []string{"api.crm.example"} })
	for _, dial := range []func(context.Context, string, string) (net.Conn, error){c.dialer.dialPlain, c.dialer.dialTLS} {
		if _, err := dial(t.Context(), "tcp", "evil.example:443"); err != errEgress {
			t.Errorf("got %v, want %v", err, errEgress)
		}
	}
}

func TestBaseURLReplacesTheHostname(t *testing.T) {
	t.Parallel()
	var path atomic.Value
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { path.Store(r.URL.Path) }))
	defer srv.Close()
	c := newClient(t, srv.URL+"/crm/")
	call := openCall()
	call.Hostname = "evil.example"
	if err := c.For(call).PostJSON(t.Context(), "/a", 1, nil); err != nil {
		t.Fatal(err)
	}
	if got := path.Load(); got != "/crm/a" {
		t.Errorf("got path %q", got)
	}
}

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	cases := map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "172.15.0.1": true, "172.32.0.1": true, "100.63.0.1": true, "100.128.0.1": true,
		"2606:4700::1111": true, "2a00:1450::1": true, "64:ff9b::808:808": true,
		"0.0.0.0": false, "0.1.2.3": false, "10.1.2.3": false, "100.64.0.1": false, "127.0.0.1": false, "127.255.0.1": false,
		"169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "192.0.0.8": false,
		"192.0.2.1": false, "198.18.0.1": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false,
		"240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "fc00::1": false, "fd12::1": false, "fe80::1": false, "fec0::1": false, "ff02::1": false,
		"2001:db8::1": false, "2001::1": false, "2002:7f00:1::": false, "3fff::1": false, "100::1": false,
		"::ffff:8.8.8.8": true, "2606:4700::1111%eth0": true, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::127.0.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b::a00:1": false, "64:ff9b:1::1": false, "fe80::1%eth0": false,
	}
	p, err := newPolicy(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if IsPublic(netip.Addr{}) {
		t.Error("no address counts as public")
	}
	for text, public := range cases {
		if got := p.allowsIP("api.crm.example", netip.MustParseAddr(text)); got != public {
			t.Errorf("%s: allowed is %v, want %v", text, got, public)
		}
		if got := IsPublic(netip.MustParseAddr(text)); got != public {
			t.Errorf("%s: public is %v, want %v", text, got, public)
		}
	}
}

func TestAllowPrivate(t *testing.T) {
	t.Parallel()
	p, err := newPolicy(Config{AllowPrivate: []string{"127.0.0.1", "10.1.0.0/16", "fd00::/8", "[::1]", "Internal.example."}})
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		host, ip string
		allowed  bool
	}{
		{"a.example", "127.0.0.1", true},
		{"a.example", "127.0.0.2", false},
		{"a.example", "10.1.255.1", true},
		{"a.example", "10.2.0.1", false},
		{"a.example", "fd12::1", true},
		{"a.example", "::1", true},
		{"a.example", "::ffff:127.0.0.1", true},
		{"internal.example", "192.168.1.1", true},
		{"INTERNAL.example.", "192.168.1.1", true},
		{"x.internal.example", "192.168.1.1", false},
	}
	for _, tc := range cases {
		if got := p.allowsIP(tc.host, netip.MustParseAddr(tc.ip)); got != tc.allowed {
			t.Errorf("%s at %s: allowed is %v, want %v", tc.host, tc.ip, got, tc.allowed)
		}
	}
}

// nameserver answers every question for an IPv4 address with the next of
// addresses, the last one for ever, and returns a resolver that asks it.
func nameserver(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		asked := 0
		buf := make([]byte, 512)
		for {
			n, from, err := l.ReadFrom(buf)
			if err != nil {
				return
			}
			reply, isA := dnsReply(buf[:n], netip.MustParseAddr(addresses[min(asked, len(addresses)-1)]))
			if isA {
				asked++
			}
			_, _ = l.WriteTo(reply, from)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", l.LocalAddr().String())
	}}
}

// dnsReply answers a query: with ip when it asks for an IPv4 address, else with
// nothing.
func dnsReply(query []byte, ip netip.Addr) (reply []byte, isA bool) {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5 // the root label, type and class
	isA = binary.BigEndian.Uint16(query[end-4:]) == 1
	reply = append([]byte(nil), query[:end]...)
	binary.BigEndian.PutUint16(reply[2:], 0x8180) // a response without error
	copy(reply[6:], make([]byte, 6))
	if isA {
		binary.BigEndian.PutUint16(reply[6:], 1)
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		reply = append(reply, ip.AsSlice()...)
	}
	return reply, isA
}

// The address is checked where it is used, so a name that first has a public
// address and then a private one is refused.
func TestAddressIsCheckedWhenDialling(t *testing.T) {
	t.Parallel()
	var served atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		_, _ = io.WriteString(w, `{"id":1}`)
	}))
	t.Cleanup(srv.Close)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		addresses, allow []string
		want             want
	}{
		"private":         {[]string{"127.0.0.1"}, nil, wantRejected},
		"metadata":        {[]string{"169.254.169.254"}, nil, wantRejected},
		"another allowed": {[]string{"127.0.0.1"}, []string{"10.0.0.0/8", "127.0.0.2"}, wantRejected},
		"allowed by IP":   {[]string{"127.0.0.1"}, []string{"127.0.0.1"}, want{}},
		"allowed by name": {[]string{"127.0.0.1"}, []string{"crm.example"}, want{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := served.Load()
			c := newClient(t, "http://crm.example:"+port, func(cfg *Config) { cfg.AllowPrivate = tc.allow })
			c.dialer.resolver = nameserver(t, tc.addresses...)
			call := openCall()
			err := c.For(call).PostJSON(t.Context(), "/a", 1, new(created))
			if tc.want == (want{}) {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			check(t, err, tc.want)
			if served.Load() != before || !call.State.SurelyNotSent() {
				t.Error("something was sent")
			}
		})
	}
}

// What is refused on this side says so, and where it is allowed.
func TestRefusalsNameTheKeyThatAllows(t *testing.T) {
	for adapter, key := range map[string]string{"cardfile": "adapters.cardfile.allowPrivate", "": "adapters.<name>.allowPrivate"} {
		t.Setenv("PATCHBAY_ADAPTER", adapter)
		t.Setenv("CARDFILE_BASE_URL", "http://127.0.0.1:1")
		c, err := New(FromEnv("CARDFILE"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		err = c.For(openCall()).PostJSON(t.Context(), "/a", 1, nil)
		check(t, err, wantRejected)
		const want = "POST /a: the CRM was not called: its address is not on the public internet, and %s of the host's configuration does not allow it"
		if got := fault.MessageOf(err); got != fmt.Sprintf(want, key) || fault.SourceOf(err) != fault.Adapter {
			t.Errorf("got %q of the source %s", got, fault.SourceOf(err))
		}
	}
	elsewhere := openCall()
	elsewhere.Hostname = "evil.example"
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.For(elsewhere).PostJSON(t.Context(), "/a", 1, nil)
	if check(t, err, wantRejected); fault.SourceOf(err) != fault.Adapter || !strings.Contains(fault.MessageOf(err), "run.egress") {
		t.Errorf("got %v of the source %s", err, fault.SourceOf(err))
	}
}

func TestRebindingIsRefused(t *testing.T) {
	t.Parallel()
	var served atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { served.Add(1) }))
	t.Cleanup(srv.Close)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	// 127.0.0.2 is the address that is allowed and answers; 127.0.0.1 is not.
	c := newClient(t, "http://crm.example:"+port, func(cfg *Config) { cfg.AllowPrivate = []string{"127.0.0.2"} })
	c.dialer.resolver = nameserver(t, "127.0.0.2", "127.0.0.1")
	check(t, c.For(openCall()).GetJSON(t.Context(), "/a", nil, nil), wantUnavailable) // nobody listens there
	check(t, c.For(openCall()).GetJSON(t.Context(), "/a", nil, nil), wantRejected)
	if served.Load() > 0 {
		t.Error("the private address was called")
	}
}

func TestUnknownHost(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://crm.invalid")
	c.dialer.resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, io.ErrClosedPipe
	}}
	call := openCall()
	check(t, c.For(call).PostJSON(t.Context(), "/a", 1, nil), wantUnavailable)
	if !call.State.SurelyNotSent() {
		t.Error("the state says that something was sent")
	}
}

func TestEnvironmentProxiesAreIgnored(t *testing.T) {
	proxied := make(chan struct{}, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied <- struct{}{} }))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	c := newClient(t, "http://crm.test")
	c.dialer.connect = func(context.Context, *net.Dialer, string, string) (net.Conn, error) { return nil, io.ErrClosedPipe }
	check(t, c.For(openCall()).GetJSON(t.Context(), "/a", nil, nil), wantUnavailable)
	if len(proxied) > 0 {
		t.Error("the proxy was asked")
	}
	if c.transport.Proxy != nil {
		t.Error("the transport has a proxy")
	}
}

var (
	_ Call = (*sdk.AddMessageLogRequest)(nil)
	_ Call = (*sdk.FindMessageLogRequest)(nil)
)
