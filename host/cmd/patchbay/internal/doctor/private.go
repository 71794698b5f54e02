package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/app"
	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
)

// lookupTimeout is how long the name of a CRM may take to be looked up.
const lookupTimeout = 2 * time.Second

// PrivateBaseURL returns a warning when the configuration points an adapter at a CRM
// that is not on the public internet, and does not allow that: each of its calls
// would be refused. ok is false when there is nothing to warn of. It may look the
// CRM's name up, but makes no connection to it.
func PrivateBaseURL(ctx context.Context, m *manifest.Manifest, own config.Adapter) (f Finding, ok bool) {
	variable := app.BaseURLVariable(m.Name)
	base, err := url.Parse(own.Env[variable])
	if err != nil || base.Hostname() == "" || !slices.Contains(m.Run.Env, variable) {
		return Finding{}, false
	}
	host := strings.TrimSuffix(strings.ToLower(base.Hostname()), ".")
	for _, address := range addresses(ctx, host) {
		if allowed(own.AllowPrivate, host, address) {
			continue
		}
		where := host
		if host != address.String() {
			where += " (" + address.String() + ")"
		}
		key := "adapters." + m.Name + ".allowPrivate"
		return Finding{
			Check: "configuration", Status: Warn,
			Detail: fmt.Sprintf("%s names %s, which is not on the public internet, and %s does not allow it: every call is refused", variable, where, key),
			Remedy: fmt.Sprintf("add %q to %s", host, key),
		}, true
	}
	return Finding{}, false
}

// addresses returns those of a host, none when they are not known.
func addresses(ctx context.Context, host string) []netip.Addr {
	if address, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{address.Unmap().WithZone("")}
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil // the adapter will say so, each time
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found
}

// allowed reports whether an adapter may connect to the address of a host.
func allowed(allowPrivate []string, host string, address netip.Addr) bool {
	if crmhttp.IsPublic(address) {
		return true
	}
	return slices.ContainsFunc(allowPrivate, func(item string) bool {
		if network, err := netip.ParsePrefix(item); err == nil {
			return network.Contains(address)
		}
		if one, err := netip.ParseAddr(strings.Trim(item, "[]")); err == nil {
			return one.Unmap() == address
		}
		return strings.TrimSuffix(strings.ToLower(item), ".") == host
	})
}
