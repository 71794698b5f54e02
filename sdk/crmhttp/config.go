package crmhttp

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Defaults of Config.
const (
	DefaultTimeout     = 15 * time.Second
	DefaultDialTimeout = 5 * time.Second
	DefaultMaxBody     = 4 << 20
	DefaultMaxConns    = 64
	DefaultUserAgent   = "patchbay-crmhttp/1"
)

// Config says how to reach a CRM. The zero value refuses every request, for it
// allows no host.
type Config struct {
	// BaseURL stands before every path, as "http://127.0.0.1:8080/crm". Its host
	// may be called whatever Egress says. Empty: https:// and the hostname of the
	// call.
	BaseURL string
	// Egress lists the hosts that may be called: "api.example.com", or
	// "*.example.com" for one or more labels in front. Only https on port 443.
	Egress []string
	// AllowPrivate lists what may be called although it is not on the public
	// internet: IP addresses, CIDR prefixes, and host names whose addresses are
	// taken as they come.
	AllowPrivate []string
	// Timeout bounds one request, its answer's body included; the context may
	// bound it further. Default 15 s.
	Timeout time.Duration
	// DialTimeout bounds connecting and the TLS handshake. Default 5 s.
	DialTimeout time.Duration
	// MaxRequest is the largest request body, in bytes. Default 4 MiB.
	MaxRequest int64
	// MaxResponse is the largest response body, in bytes after decompression.
	// Default 4 MiB.
	MaxResponse int64
	// MaxConns bounds the connections to one host. Default 64.
	MaxConns int
	// UserAgent is sent with every request. Default "patchbay-crmhttp/1".
	UserAgent string
	// Header is sent with every request. Its values are kept out of errors.
	Header http.Header
	// RootCAs are the certificate authorities to trust. Default: the system's.
	RootCAs *x509.CertPool
	// ErrorMessage extracts from the answer to a failed request a few words that
	// help the user, "" for none. Look at the Content-Type where the CRM has one
	// for its own refusals: a proxy before it answers in HTML. Secrets are taken
	// out of the headers and the body before, and out of the words after, which
	// are then cut to 300 bytes. The answer is a copy. Default: no words.
	ErrorMessage func(*Response) string
	// RetryAfter reads from the headers of a failed request how long to wait. It
	// is asked when there is no usable Retry-After header. See SecondsHeader.
	// Default: not known.
	RetryAfter func(status int, header http.Header) time.Duration

	env *environment // nil when the Config did not come from FromEnv
}

func (c Config) withDefaults() Config {
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.DialTimeout = cmp.Or(c.DialTimeout, DefaultDialTimeout)
	c.MaxRequest = cmp.Or(c.MaxRequest, DefaultMaxBody)
	c.MaxResponse = cmp.Or(c.MaxResponse, DefaultMaxBody)
	c.MaxConns = cmp.Or(c.MaxConns, DefaultMaxConns)
	c.UserAgent = cmp.Or(c.UserAgent, DefaultUserAgent)
	c.Header = c.Header.Clone()
	return c
}

// validate returns every fault of the settings that stand alone; newPolicy
// returns those of the rest.
func (c Config) validate() error {
	positive := func(name string, v int64) error {
		if v < 0 {
			return fmt.Errorf("%s: must not be negative", name)
		}
		return nil
	}
	return errors.Join(
		positive("Timeout", int64(c.Timeout)), positive("DialTimeout", int64(c.DialTimeout)),
		positive("MaxRequest", c.MaxRequest), positive("MaxResponse", c.MaxResponse),
		positive("MaxConns", int64(c.MaxConns)),
		named("UserAgent", checkHeader("User-Agent", c.UserAgent)),
		named("Header", checkHeaders(c.Header)),
	)
}

func named(field string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", field, err)
}

// parseBase reads a base URL. Its text never stands in an error: it may hold a
// password.
func parseBase(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("is no URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("must begin with https:// or http://")
	case u.Hostname() == "":
		return nil, errors.New("must name a host")
	case u.User != nil:
		return nil, errors.New("must not hold a user or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("must not hold a query or fragment")
	}
	u.Host = strings.ToLower(u.Host)
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, nil
}
