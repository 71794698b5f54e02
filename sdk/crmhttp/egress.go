package crmhttp

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// The reasons for which a target is refused. None of them names the target: a
// host name may come from a caller.
var (
	errNoHost     = errors.New("the user has no CRM hostname and the adapter no base URL")
	errBadHost    = errors.New("the CRM hostname must be a bare host name")
	errEgress     = errors.New("the CRM host is not one that this adapter may call by run.egress of its manifest")
	errPrivate    = errors.New("its address is not on the public internet")
	errPlainHTTP  = errors.New("only https may be used")
	errOddPort    = errors.New("only port 443 may be used")
	errManyHops   = errors.New("the CRM redirects too often")
	errNoLocation = errors.New("the CRM redirects to nowhere")
)

// policy decides whom a client may call. It is immutable.
type policy struct {
	base         *url.URL // nil when there is none
	patterns     []string
	privateHosts map[string]bool
	privateNets  []netip.Prefix
}

func newPolicy(cfg Config) (*policy, error) {
	base, err := parseBase(cfg.BaseURL)
	p := &policy{base: base, privateHosts: map[string]bool{}}
	faults := []error{named(cfg.nameOf("BaseURL"), err)}
	for i, pattern := range cfg.Egress {
		pattern = canonicalHost(pattern)
		if bare := strings.TrimPrefix(pattern, "*."); !isHostname(bare) {
			faults = append(faults, fmt.Errorf("%s[%d]: must be a host name, or *. and a host name", cfg.nameOf("Egress"), i))
		}
		p.patterns = append(p.patterns, pattern)
	}
	for i, item := range cfg.AllowPrivate {
		if err := p.allowPrivate(item); err != nil {
			faults = append(faults, fmt.Errorf("%s[%d]: %w", cfg.nameOf("AllowPrivate"), i, err))
		}
	}
	return p, errors.Join(faults...)
}

func (p *policy) allowPrivate(item string) error {
	if prefix, err := netip.ParsePrefix(item); err == nil {
		p.privateNets = append(p.privateNets, prefix.Masked())
		return nil
	}
	if ip, err := netip.ParseAddr(strings.Trim(item, "[]")); err == nil {
		ip = ip.Unmap().WithZone("")
		p.privateNets = append(p.privateNets, netip.PrefixFrom(ip, ip.BitLen()))
		return nil
	}
	host := canonicalHost(item)
	if !isHostname(host) {
		return errors.New("must be an IP address, a CIDR prefix or a host name")
	}
	p.privateHosts[host] = true
	return nil
}

// origin returns the URL before every path of a call whose user has that
// hostname.
func (p *policy) origin(hostname string) (*url.URL, error) {
	if p.base != nil {
		return p.base, nil
	}
	if hostname == "" {
		return nil, errNoHost
	}
	host := canonicalHost(hostname)
	if !isHostname(host) {
		return nil, errBadHost
	}
	u := &url.URL{Scheme: "https", Host: host}
	return u, p.allows(u)
}

// allows returns why u may not be called, nil when it may.
func (p *policy) allows(u *url.URL) error {
	if p.base != nil && sameOrigin(u, p.base) {
		return nil
	}
	switch {
	case !p.listed(canonicalHost(u.Hostname())):
		return errEgress
	case u.Scheme != "https":
		return errPlainHTTP
	case u.Port() != "" && u.Port() != "443":
		return errOddPort
	}
	return nil
}

// listed reports whether a pattern of Egress matches host.
func (p *policy) listed(host string) bool {
	for _, pattern := range p.patterns {
		if suffix, wild := strings.CutPrefix(pattern, "*"); wild {
			if len(host) > len(suffix) && strings.HasSuffix(host, suffix) {
				return true
			}
		} else if host == pattern {
			return true
		}
	}
	return false
}

// allowsName reports whether a connection to host may be opened at all.
func (p *policy) allowsName(host string) bool {
	host = canonicalHost(host)
	return p.listed(host) || p.base != nil && host == canonicalHost(p.base.Hostname())
}

// allowsIP reports whether a connection that was asked for by host may go to ip.
func (p *policy) allowsIP(host string, ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if IsPublic(ip) || p.privateHosts[canonicalHost(host)] {
		return true
	}
	for _, prefix := range p.privateNets {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}

// sameOrigin reports whether a and b have the same scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && canonicalHost(a.Hostname()) == canonicalHost(b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	default:
		return "443"
	}
}

// canonicalHost returns host in lower case without a trailing dot.
func canonicalHost(host string) string {
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// isHostname reports whether host is a bare host name in canonical form: labels
// of letters, digits, hyphens and underscores, and no IP address in any of the
// forms that a resolver may take for one.
func isHostname(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
		last = label
	}
	// "127.1", "0x7f.0.0.1" and "2130706433" are addresses to some resolvers; no
	// top-level domain begins with a digit.
	return last[0] < '0' || last[0] > '9'
}

// special are the ranges that are not the public internet, though some of them
// look like ordinary unicast addresses (IANA special-purpose registries).
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

// globalIPv6 is all of IPv6 that is given out for use on the internet: unique
// local, link-local, site-local, multicast, loopback and mapped addresses lie
// outside.
var globalIPv6 = netip.MustParsePrefix("2000::/3")

// nat64 holds an IPv4 address in its last four bytes; networks without IPv4
// reach the rest of the internet through it.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// IsPublic reports whether ip is an address on the public internet; an IPv4 address
// in the form of an IPv6 one counts as what it stands for, and the zone is ignored.
// A Client connects to other addresses only where Config.AllowPrivate lists them. It
// may be called concurrently.
func IsPublic(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if nat64.Contains(ip) {
		b := ip.As16()
		return IsPublic(netip.AddrFrom4([4]byte(b[12:])))
	}
	if !ip.IsValid() || ip.Is6() && !globalIPv6.Contains(ip) {
		return false
	}
	for _, prefix := range special {
		if prefix.Contains(ip) {
			return false
		}
	}
	return true
}
