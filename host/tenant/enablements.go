package tenant

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// What becomes of calls while the adapter is down.
const (
	failWhenDown  = "fail"
	queueWhenDown = "queue"
)

// EnablementMembers are the members of an enablement's body.
func EnablementMembers() []string {
	return []string{"enabled", "version", "isolation", "onUnavailable", "settings"}
}

// Enablement returns an adapter's enablement. Faults: tenant_not_found;
// adapter_not_found when it was never enabled or disabled for the tenant.
func (d *Directory) Enablement(tenant, adapter string) (Enablement, error) {
	m := d.current.Load().byID[tenant]
	if m == nil {
		return Enablement{}, tenantNotFound()
	}
	for _, row := range m.enablements {
		if row.Adapter == adapter {
			return d.view(row), nil
		}
	}
	return Enablement{}, neverEnabled()
}

func neverEnabled() error {
	return fault.New(fault.AdapterNotFound, "the adapter was never enabled for this tenant")
}

// Enablements returns up to limit enablements of the tenant with adapter names
// above after, by name, and the name to go on after, empty at the end. The fault
// is tenant_not_found.
func (d *Directory) Enablements(tenant, after string, limit int) ([]Enablement, string, error) {
	m := d.current.Load().byID[tenant]
	if m == nil {
		return nil, "", tenantNotFound()
	}
	page, next := pageOf(m.enablements, func(e store.Enablement) string { return e.Adapter }, after, limit)
	out := make([]Enablement, len(page))
	for i, row := range page {
		out[i] = d.view(row)
	}
	return out, next, nil
}

// view shows an enablement without its secrets.
func (d *Directory) view(row store.Enablement) Enablement {
	out := Enablement{
		Tenant: row.Tenant, Adapter: row.Adapter, Enabled: row.Enabled, Version: row.Version,
		Isolation: manifest.Isolation(row.Isolation), OnUnavailable: row.OnUnavailable,
		Settings: sdk.Values{}, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}
	var open []string // settings that may be shown
	if pkg, err := d.cfg.Catalog.Lookup(row.Adapter, row.Version); err == nil {
		out.Isolation = isolationOf(row, pkg.Manifest)
		for _, s := range pkg.Manifest.Settings {
			if !s.Secret {
				open = append(open, s.ID)
			}
		}
	}
	settings, err := d.unseal(row)
	if err != nil {
		return out // Load has logged it
	}
	for id, value := range settings {
		if !slices.Contains(open, id) {
			value = sdk.TextValue(Redacted)
		}
		out.Settings[id] = value
	}
	return out
}

func isolationOf(row store.Enablement, m *manifest.Manifest) manifest.Isolation {
	if row.Isolation != "" {
		return manifest.Isolation(row.Isolation)
	}
	return m.Run.Isolation
}

// PutEnablement creates the enablement or replaces it. body has enabled
// (required), version, isolation, onUnavailable and settings. Without version it
// is the newest stable one of this moment, which is stored: installing another
// upgrades nobody; an adapter that is switched off keeps the version it has, for
// its unsettled entries. A setting sent as "[redacted]" keeps its stored value.
//
// With enabled false nothing about the adapter is asked: neither whether its
// package is still there nor whether the settings suit it. That is checked when
// it is enabled.
//
// Faults: tenant_not_found; adapter_not_found when no version is installed and
// there is nothing to switch off; invalid_fields.
func (d *Directory) PutEnablement(
	ctx context.Context, tenant, adapter string, body *strictjson.Node,
) (e Enablement, created bool, err error) {
	err = d.change(ctx, "put enablement", func(ctx context.Context) error {
		row, known, err := d.stored(tenant, adapter)
		if err != nil {
			return err
		}
		created = !known
		ed := editor{d: d, row: row, body: body}
		ed.faults.Require(body, "enabled")
		ed.row.Isolation, ed.row.OnUnavailable = "", failWhenDown
		if body.Get("enabled").Bool() {
			ed.row.Version = "" // the newest, unless the body names one
		}
		e, err = ed.save(ctx, sdk.Values{})
		return err
	})
	return e, created, err
}

// PatchEnablement changes what the merge patch names (RFC 7396): null removes a
// setting, and gives version its newest stable value. An adapter without an
// enablement is patched as if it had been disabled with no settings, so
// {"enabled":true} enables it. For the rest, PutEnablement's rules hold.
func (d *Directory) PatchEnablement(
	ctx context.Context, tenant, adapter string, patch *strictjson.Node,
) (e Enablement, err error) {
	err = d.change(ctx, "patch enablement", func(ctx context.Context) error {
		row, _, err := d.stored(tenant, adapter)
		if err != nil {
			return err
		}
		ed := editor{d: d, row: row, body: patch}
		before, err := d.unseal(row)
		if err != nil {
			if patch.Get("enabled").Is(strictjson.False) && len(patch.Members()) == 1 {
				e, err = ed.switchOff(ctx)
			}
			return err
		}
		e, err = ed.save(ctx, before)
		return err
	})
	return e, err
}

// stored returns the row of an enablement, or the one that a first change starts
// from.
func (d *Directory) stored(tenant, adapter string) (row store.Enablement, known bool, err error) {
	if _, err := d.rows.tenant(tenant); err != nil {
		return row, false, err
	}
	row, known = d.rows.enablements[key{tenant, adapter}]
	if !known {
		if err := installed(d.cfg.Catalog, adapter); err != nil {
			return row, false, err
		}
		row = store.Enablement{Tenant: tenant, Adapter: adapter, OnUnavailable: failWhenDown}
	}
	return row, known, nil
}

// DeleteEnablement deletes the enablement and its settings; one that does not
// exist counts as deleted. The fault is tenant_not_found.
func (d *Directory) DeleteEnablement(ctx context.Context, tenant, adapter string) error {
	return d.change(ctx, "delete enablement", func(ctx context.Context) error {
		if _, err := d.rows.tenant(tenant); err != nil {
			return err
		}
		row, ok := d.rows.enablements[key{tenant, adapter}]
		if !ok {
			return nil
		}
		if err := d.remove(ctx, row); err != nil {
			return err
		}
		d.publish()
		return nil
	})
}

func (d *Directory) remove(ctx context.Context, row store.Enablement) error {
	row.Removed = true
	if _, err := d.cfg.Store.SaveEnablement(ctx, row); err != nil {
		return unsaved("delete enablement", err)
	}
	delete(d.rows.enablements, key{row.Tenant, row.Adapter})
	return nil
}

// editor applies one body to one enablement.
type editor struct {
	d      *Directory
	row    store.Enablement
	body   *strictjson.Node
	faults strictjson.Faults
}

// save stores the row with the members of the body set. base are the settings to
// begin with.
func (ed *editor) save(ctx context.Context, base sdk.Values) (Enablement, error) {
	ed.faults.Closed(ed.body, EnablementMembers()...)
	if n := ed.body.Get("enabled"); n != nil && ed.faults.Want(n, strictjson.True) {
		ed.row.Enabled = n.Bool()
	}
	ed.onUnavailable(ed.body.Get("onUnavailable"))
	m := ed.version(ed.body.Get("version"))
	ed.isolation(ed.body.Get("isolation"), m)
	settings, err := ed.settings(base, m)
	if err != nil {
		return Enablement{}, err
	}
	if err := invalid(ed.faults); err != nil {
		return Enablement{}, err
	}
	sealed, err := ed.d.seal(ed.row.Tenant, ed.row.Adapter, settings)
	if err != nil {
		return Enablement{}, err
	}
	ed.row.Settings = sealed
	return ed.store(ctx)
}

// switchOff disables an adapter whose settings cannot be read any more.
func (ed *editor) switchOff(ctx context.Context) (Enablement, error) {
	ed.row.Enabled = false
	return ed.store(ctx)
}

func (ed *editor) store(ctx context.Context) (Enablement, error) {
	d := ed.d
	ed.row.UpdatedAt = d.now()
	if ed.row.CreatedAt.IsZero() {
		ed.row.CreatedAt = ed.row.UpdatedAt
	}
	revision, err := d.cfg.Store.SaveEnablement(ctx, ed.row)
	if err != nil {
		return Enablement{}, unsaved("save enablement", err)
	}
	ed.row.Revision = revision
	d.rows.enablements[key{ed.row.Tenant, ed.row.Adapter}] = ed.row
	d.publish()
	return d.view(ed.row), nil
}

// version sets the version and returns its manifest, nil when there is none to be
// had. That is a fault only of an enabled adapter.
func (ed *editor) version(n *strictjson.Node) *manifest.Manifest {
	if n != nil && n.IsNull() {
		ed.row.Version = ""
	}
	if !n.IsNull() && ed.faults.Want(n, strictjson.String) {
		if !manifest.ValidVersion(n.Text()) {
			ed.faults.Add(n, strictjson.CodeInvalid, "must be a semantic version without a leading v, as 1.0.0")
			return nil
		}
		ed.row.Version = n.Text()
	}
	catalog := ed.d.cfg.Catalog
	if ed.row.Version == "" {
		pkg, err := catalog.Latest(ed.row.Adapter)
		if err != nil {
			if ed.row.Enabled {
				ed.faults.AddAt("/version", strictjson.CodeRequired, "is required: %s", fault.MessageOf(err))
			}
			return nil
		}
		ed.row.Version = pkg.Manifest.Version
		return pkg.Manifest
	}
	pkg, err := catalog.Lookup(ed.row.Adapter, ed.row.Version)
	if err != nil {
		if ed.row.Enabled {
			ed.faults.AddAt("/version", strictjson.CodeInvalid, "cannot be used: %s", fault.MessageOf(err))
		}
		return nil
	}
	return pkg.Manifest
}

// isolation sets the isolation. A process per tenant is not available in this
// version, whether the body or the manifest asks for it.
func (ed *editor) isolation(n *strictjson.Node, m *manifest.Manifest) {
	if n != nil {
		ed.row.Isolation = ""
	}
	if !n.IsNull() && ed.faults.Want(n, strictjson.String) {
		switch manifest.Isolation(n.Text()) {
		case manifest.Shared:
			ed.row.Isolation = string(manifest.Shared)
		case manifest.Dedicated:
			ed.faults.Add(n, strictjson.CodeInvalid, `"dedicated" is not available in this version`)
		default:
			ed.faults.Add(n, strictjson.CodeInvalid, `must be "shared"`)
		}
		return
	}
	if m != nil && ed.row.Enabled && isolationOf(ed.row, m) == manifest.Dedicated {
		ed.faults.AddAt("/isolation", strictjson.CodeRequired,
			`the manifest asks for "dedicated", which is not available in this version; send "shared"`)
	}
}

func (ed *editor) onUnavailable(n *strictjson.Node) {
	if n != nil && n.IsNull() {
		ed.row.OnUnavailable = failWhenDown
	}
	if n.IsNull() || !ed.faults.Want(n, strictjson.String) {
		return
	}
	switch n.Text() {
	case failWhenDown:
		ed.row.OnUnavailable = failWhenDown
	case queueWhenDown:
		ed.faults.Add(n, strictjson.CodeInvalid, `"queue" is not available in this version`)
	default:
		ed.faults.Add(n, strictjson.CodeInvalid, `must be "fail"`)
	}
}

// settings returns base with the members of the body's settings set, checked
// against the manifest when the adapter is enabled.
func (ed *editor) settings(base sdk.Values, m *manifest.Manifest) (sdk.Values, error) {
	n := ed.body.Get("settings")
	if n != nil && n.IsNull() {
		base = sdk.Values{}
	}
	if !n.IsNull() && ed.faults.Want(n, strictjson.Object) {
		ed.merge(base, n)
	}
	if !ed.row.Enabled || m == nil {
		return base, nil
	}
	whole, err := json.Marshal(map[string]sdk.Values{"settings": base})
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	root, err := strictjson.Parse(whole)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	values, faults := m.CheckSettings(root.Get("settings"), manifest.ScopeTenant)
	ed.faults = append(ed.faults, faults...)
	return values, nil
}

// The bounds of stored settings that no manifest has checked yet.
const (
	maxSettings    = 1000
	maxSettingName = 128
)

// merge sets the members of n in base.
func (ed *editor) merge(base sdk.Values, n *strictjson.Node) {
	kept, err := ed.d.unseal(ed.row)
	if err != nil {
		kept = nil // what cannot be read cannot be kept; the body may replace it
	}
	for i, member := range n.Members() {
		value := member.Value
		switch {
		case i >= maxSettings:
			ed.faults.Add(n, strictjson.CodeInvalid, "must have at most %d members", maxSettings)
			return
		case len(member.Name) > maxSettingName:
			ed.faults.Add(value, strictjson.CodeUnknown, "unknown member %q", strictjson.ShowName(member.Name))
		case value.Is(strictjson.Object), value.Is(strictjson.Array):
			ed.faults.Add(value, strictjson.CodeType, "must be a string, a number or a boolean, not %s", value.Kind())
		case value.IsNull():
			delete(base, member.Name)
		case value.Is(strictjson.String) && value.Text() == Redacted:
			old, ok := kept[member.Name]
			if !ok {
				ed.faults.Add(value, strictjson.CodeInvalid, "there is no stored value to keep")
				continue
			}
			base[member.Name] = old
		default:
			base[member.Name] = sdk.RawValue(slices.Clone(value.Raw()))
		}
	}
}
