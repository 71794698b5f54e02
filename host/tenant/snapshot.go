package tenant

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// key names an enablement.
type key struct{ tenant, adapter string }

// rows is the directory as it is stored.
type rows struct {
	tenants     map[string]store.Tenant // deleted ones included
	enablements map[key]store.Enablement
	tokens      map[string]store.Token
}

func newRows() rows {
	return rows{map[string]store.Tenant{}, map[key]store.Enablement{}, map[string]store.Token{}}
}

func indexRows(all *store.DirectoryRows) rows {
	r := newRows()
	for _, t := range all.Tenants {
		r.tenants[t.ID] = t
	}
	for _, e := range all.Enablements {
		if !e.Removed {
			r.enablements[key{e.Tenant, e.Adapter}] = e
		}
	}
	for _, t := range all.Tokens {
		if !t.Revoked {
			r.tokens[t.ID] = t
		}
	}
	return r
}

// tenant returns the tenant unless it is deleted.
func (r rows) tenant(id string) (store.Tenant, error) {
	t, ok := r.tenants[id]
	if !ok || !t.DeletedAt.IsZero() {
		return store.Tenant{}, tenantNotFound()
	}
	return t, nil
}

// snapshot is the directory as calls read it. It is never changed.
type snapshot struct {
	tenants []store.Tenant // live, by id
	byID    map[string]*member
	tokens  map[[sha256.Size]byte]store.Token
	wanted  []Want
}

// member is a live tenant.
type member struct {
	row         store.Tenant
	enablements []store.Enablement // by adapter
	routes      map[string]*leg
	tokens      []store.Token // by id
}

// leg is a route, or the reason why there is none.
type leg struct {
	row   store.Enablement
	zone  sdk.Zone
	route *Route
	err   error
}

// build makes a snapshot of the rows. Routes that are the same as before are
// taken from old. Callers hold mu.
func (d *Directory) build(old *snapshot) *snapshot {
	s := &snapshot{byID: map[string]*member{}, tokens: map[[sha256.Size]byte]store.Token{}}
	for id, row := range d.rows.tenants {
		if !row.DeletedAt.IsZero() {
			continue
		}
		s.tenants = append(s.tenants, row)
		s.byID[id] = &member{row: row, routes: map[string]*leg{}}
	}
	slices.SortFunc(s.tenants, func(a, b store.Tenant) int { return cmp.Compare(a.ID, b.ID) })
	for _, row := range d.rows.tokens {
		if m := s.byID[row.Tenant]; m != nil && len(row.Hash) == sha256.Size {
			s.tokens[[sha256.Size]byte(row.Hash)] = row
			m.tokens = append(m.tokens, row)
		}
	}
	wanted := map[Want]bool{}
	for k, row := range d.rows.enablements {
		m := s.byID[k.tenant]
		if m == nil {
			continue
		}
		m.enablements = append(m.enablements, row)
		l := d.leg(m.row, row, old)
		m.routes[k.adapter] = l
		if row.Enabled && l.err == nil {
			wanted[Want{k.adapter, row.Version, l.route.Package.Digest}] = true
		}
	}
	for _, m := range s.byID {
		slices.SortFunc(m.enablements, func(a, b store.Enablement) int { return cmp.Compare(a.Adapter, b.Adapter) })
		slices.SortFunc(m.tokens, func(a, b store.Token) int { return cmp.Compare(a.ID, b.ID) })
	}
	s.wanted = slices.SortedFunc(maps.Keys(wanted), func(a, b Want) int {
		return cmp.Or(cmp.Compare(a.Adapter, b.Adapter), cmp.Compare(a.Version, b.Version))
	})
	return s
}

// leg makes the route of an enablement, or finds out why there is none.
func (d *Directory) leg(t store.Tenant, row store.Enablement, old *snapshot) *leg {
	l := &leg{row: row, zone: zoneOf(t)}
	before := old.leg(row.Tenant, row.Adapter)
	known := before != nil && before.err != nil // and logged
	pkg, err := d.cfg.Catalog.Lookup(row.Adapter, row.Version)
	if err != nil {
		if row.Enabled && !known {
			d.cfg.Log.Warn("an enabled adapter version cannot be used",
				keyTenant, t.ID, keyAdapter, row.Adapter, keyError, err)
		}
		l.err = &fault.Error{
			Code: fault.AdapterNotFound, Class: fault.Permanent, Source: fault.Host, Msg: fault.MessageOf(err), Err: err,
		}
		return l
	}
	if before != nil && before.err == nil &&
		before.row.Revision == row.Revision && before.zone == l.zone && before.route.Package == pkg {
		return before
	}
	settings, err := d.unseal(row)
	if err != nil {
		if !known {
			d.cfg.Log.Error("the stored settings of an adapter cannot be read",
				keyTenant, t.ID, keyAdapter, row.Adapter, keyError, err)
		}
		l.err = internal("read settings", err)
		return l
	}
	l.route = &Route{
		Tenant: t.ID, Adapter: row.Adapter, Version: row.Version, Enabled: row.Enabled,
		Package: pkg, Manifest: pkg.Manifest, Timezone: l.zone, Settings: settings,
		Isolation: isolationOf(row, pkg.Manifest), OnUnavailable: row.OnUnavailable,
	}
	return l
}

func (s *snapshot) leg(tenant, adapter string) *leg {
	if m := s.byID[tenant]; m != nil {
		return m.routes[adapter]
	}
	return nil
}

// zoneOf returns the tenant's zone. What is stored was checked before; should it
// have left the time zone database since, UTC is the documented default.
func zoneOf(t store.Tenant) sdk.Zone {
	if t.Timezone == "" {
		return sdk.Zone{}
	}
	zone, err := sdk.ParseZoneText(t.Timezone)
	if err != nil {
		return sdk.Zone{}
	}
	return zone
}

// Route returns the tenant's route to the adapter, enabled or not.
//
// Outcomes:
//  1. A route, whose package is installed.
//  2. tenant_not_found: no such tenant, or it was deleted.
//  3. adapter_not_found: the adapter, or the version that the tenant uses, is not
//     installed or cannot be used.
//  4. adapter_disabled: it is installed but was never enabled for the tenant.
//  5. internal: the stored settings cannot be read.
func (d *Directory) Route(tenant, adapter string) (*Route, error) {
	m := d.current.Load().byID[tenant]
	if m == nil {
		return nil, tenantNotFound()
	}
	if l := m.routes[adapter]; l != nil {
		return l.route, l.err
	}
	if err := installed(d.cfg.Catalog, adapter); err != nil {
		return nil, err
	}
	return nil, fault.New(fault.AdapterDisabled, "")
}

// Wanted returns the adapter versions that at least one tenant has enabled and
// that are installed, sorted.
func (d *Directory) Wanted() []Want { return slices.Clone(d.current.Load().wanted) }

// aad binds sealed settings to their enablement.
func aad(tenant, adapter string) []byte { return []byte("settings\x00" + tenant + "\x00" + adapter) }

// unseal returns the stored settings of an enablement.
func (d *Directory) unseal(row store.Enablement) (sdk.Values, error) {
	if len(row.Settings) == 0 {
		return sdk.Values{}, nil
	}
	plain, err := d.cfg.Sealer.Unseal(row.Settings, aad(row.Tenant, row.Adapter))
	if err != nil {
		return nil, fmt.Errorf("decrypt settings: %w", err)
	}
	settings := sdk.Values{}
	if err := json.Unmarshal(plain, &settings); err != nil {
		return nil, fmt.Errorf("decode settings: %w", err)
	}
	return settings, nil
}

// seal encrypts settings for storing.
func (d *Directory) seal(tenant, adapter string, settings sdk.Values) ([]byte, error) {
	plain, err := json.Marshal(settings)
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	sealed, err := d.cfg.Sealer.Seal(plain, aad(tenant, adapter))
	if err != nil {
		return nil, fmt.Errorf("encrypt settings: %w", err)
	}
	return sealed, nil
}
