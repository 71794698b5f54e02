package crmhttp

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// keepAlive is the interval of TCP keep-alive probes.
const keepAlive = 30 * time.Second

// dialer opens the connections of one client, to allowed hosts and addresses
// only.
type dialer struct {
	policy   *policy
	timeout  time.Duration
	tls      *tls.Config
	resolver *net.Resolver // nil: the default one
	// closed ends dials that are under way when the client is closed: net/http
	// lets a dial outlive the request that asked for it.
	closed context.Context
	// connect replaces net.Dialer.DialContext in tests; nil in production.
	connect func(ctx context.Context, d *net.Dialer, network, addr string) (net.Conn, error)
}

// dialPlain opens a connection for http.
func (d *dialer) dialPlain(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	raw, _, err := d.open(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return d.own(raw)
}

// dialTLS opens a connection for https and shakes hands.
func (d *dialer) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	raw, host, err := d.open(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	cfg := d.tls.Clone()
	cfg.ServerName = host
	secure := tls.Client(raw, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = raw.Close() // the handshake's error is the one that counts
		return nil, fmt.Errorf("shake hands: %w", err)
	}
	return d.own(secure)
}

// bound returns a context that ends after the dial timeout and when the client
// is closed.
func (d *dialer) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	stop := context.AfterFunc(d.closed, cancel)
	return ctx, func() { stop(); cancel() }
}

// own wraps an open connection, unless the client was closed meanwhile.
func (d *dialer) own(raw net.Conn) (net.Conn, error) {
	if err := d.closed.Err(); err != nil {
		_ = raw.Close() // nothing was sent on it
		return nil, err
	}
	return &conn{Conn: raw}, nil
}

// open connects to addr when its host is allowed and the address that the host
// resolved to is. The address is checked on the socket, directly before it
// connects, so a name that resolves differently the second time gains nothing.
func (d *dialer) open(ctx context.Context, network, addr string) (net.Conn, string, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, "", err
	}
	if !d.policy.allowsName(host) {
		return nil, "", errEgress
	}
	dial := &net.Dialer{KeepAlive: keepAlive, Resolver: d.resolver}
	dial.Control = func(_, address string, _ syscall.RawConn) error {
		target, err := netip.ParseAddrPort(address)
		if err != nil || !d.policy.allowsIP(host, target.Addr()) {
			return errPrivate
		}
		return nil
	}
	var c net.Conn
	if d.connect != nil {
		c, err = d.connect(ctx, dial, network, addr)
	} else {
		c, err = dial.DialContext(ctx, network, addr)
	}
	return c, host, err
}
