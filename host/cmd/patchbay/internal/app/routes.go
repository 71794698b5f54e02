package app

import (
	"strings"
	"sync"

	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/host/tenant"
)

// routes answers the relay's questions from the tenant directory. The relay may
// not know the directory, nor the directory the relay: this is where they meet.
type routes struct {
	directory interface {
		Route(tenant, adapter string) (*tenant.Route, error)
	}
	adapters map[string]config.Adapter
	// made holds the newest route of each enablement that was asked for and still
	// has one, by routeKey.
	made sync.Map
}

type routeKey struct{ tenant, adapter string }

// madeRoute is a route and what it was made from: the directory gives the same
// pointer until something changes.
type madeRoute struct {
	from *tenant.Route
	to   *relay.Route
}

func newRoutes(directory *tenant.Directory, adapters map[string]config.Adapter) *routes {
	return &routes{directory: directory, adapters: adapters}
}

// Route implements relay.Routes.
func (r *routes) Route(tenantID, adapter string) (*relay.Route, error) {
	key := routeKey{tenantID, adapter}
	from, err := r.directory.Route(tenantID, adapter)
	if err != nil {
		r.made.Delete(key) // its tenant or its adapter is gone
		return nil, err
	}
	if known, ok := r.made.Load(key); ok && known.(madeRoute).from == from {
		return known.(madeRoute).to, nil
	}
	to := &relay.Route{
		Tenant: from.Tenant, Adapter: from.Adapter, Version: from.Version, Digest: from.Package.Digest, Enabled: from.Enabled,
		Manifest: from.Manifest, Timezone: from.Timezone, Settings: from.Settings,
		BaseURLSet: r.adapters[adapter].Env[BaseURLVariable(adapter)] != "",
	}
	r.made.Store(key, madeRoute{from, to})
	return to, nil
}

// BaseURLVariable names the variable by which an adapter is pointed at a CRM
// other than the user's own host.
func BaseURLVariable(adapter string) string {
	return strings.ToUpper(strings.ReplaceAll(adapter, "-", "_")) + "_BASE_URL"
}
