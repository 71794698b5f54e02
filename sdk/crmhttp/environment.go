package crmhttp

import (
	"cmp"
	"os"
	"slices"
	"strings"
)

// The variables in which a host tells an adapter process who it is and whom it may
// call, and the end of the name of the one that an operator sets.
const (
	envAdapter      = "PATCHBAY_ADAPTER"
	envEgress       = "PATCHBAY_EGRESS"
	envAllowPrivate = "PATCHBAY_ALLOW_PRIVATE"
	envBaseURL      = "_BASE_URL"
)

// maxAdapterName is the longest name of an adapter in an error, in bytes.
const maxAdapterName = 100

// FromEnv returns the Config that the host gave to this adapter process:
// BaseURL from <name>_BASE_URL, Egress from PATCHBAY_EGRESS, AllowPrivate from
// PATCHBAY_ALLOW_PRIVATE, both comma-separated. Name is in upper case, as
// "EXAMPLECRM". New reports what is malformed, and names the variable.
func FromEnv(name string) Config {
	e := &environment{
		adapter:      os.Getenv(envAdapter),
		prefix:       name,
		baseURL:      os.Getenv(name + envBaseURL),
		egress:       list(os.Getenv(envEgress)),
		allowPrivate: list(os.Getenv(envAllowPrivate)),
	}
	return Config{BaseURL: e.baseURL, Egress: slices.Clone(e.egress), AllowPrivate: slices.Clone(e.allowPrivate), env: e}
}

// list splits at commas and drops what is empty.
func list(text string) []string {
	var out []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

// environment is what FromEnv read, so that errors name what an operator can set.
type environment struct {
	adapter      string // empty when no host gave a name
	prefix       string // of the variable of BaseURL
	baseURL      string
	egress       []string
	allowPrivate []string
}

// nameOf returns the name under which a field came: that of its variable, or its
// own when the adapter has set it.
func (c Config) nameOf(field string) string {
	e := c.env
	switch {
	case e == nil:
	case field == "BaseURL" && c.BaseURL == e.baseURL:
		return e.prefix + envBaseURL
	case field == "Egress" && slices.Equal(c.Egress, e.egress):
		return envEgress
	case field == "AllowPrivate" && slices.Equal(c.AllowPrivate, e.allowPrivate):
		return envAllowPrivate
	}
	return field
}

// allowPrivateKey returns the key of the host's configuration that AllowPrivate
// comes from.
func (c Config) allowPrivateKey() string {
	name := ""
	if c.env != nil {
		name = printable(c.env.adapter, maxAdapterName)
	}
	return "adapters." + cmp.Or(name, "<name>") + ".allowPrivate"
}
