package tenant

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

var idShape = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$`)

// ValidID reports whether id can be the id of a tenant: 1 to 64 lower-case
// letters, digits, dots, underscores and hyphens, with a letter or digit at both
// ends and no two dots in a row.
func ValidID(id string) bool { return idShape.MatchString(id) && !strings.Contains(id, "..") }

// maxDisplayName is the longest display name, in characters.
const maxDisplayName = 200

// Members are the members of a tenant's body.
func Members() []string { return []string{"displayName", "timezone"} }

// Tenant returns a tenant. The fault is tenant_not_found.
func (d *Directory) Tenant(id string) (Tenant, error) {
	m := d.current.Load().byID[id]
	if m == nil {
		return Tenant{}, tenantNotFound()
	}
	return viewTenant(m.row), nil
}

// Tenants returns up to limit tenants with ids above after, by id, and the id to
// go on after, empty at the end.
func (d *Directory) Tenants(after string, limit int) (tenants []Tenant, next string) {
	page, next := pageOf(d.current.Load().tenants, func(t store.Tenant) string { return t.ID }, after, limit)
	out := make([]Tenant, len(page))
	for i, row := range page {
		out[i] = viewTenant(row)
	}
	return out, next
}

// pageOf returns up to limit items with a name above after, and the name to go on
// after. Items are sorted by name.
func pageOf[T any](items []T, name func(T) string, after string, limit int) ([]T, string) {
	start, found := slices.BinarySearchFunc(items, after, func(item T, after string) int {
		return cmp.Compare(name(item), after)
	})
	if found {
		start++
	}
	items = items[start:]
	if len(items) <= limit {
		return items, ""
	}
	return items[:limit], name(items[limit-1])
}

func viewTenant(row store.Tenant) Tenant {
	return Tenant{ID: row.ID, DisplayName: row.DisplayName, Timezone: row.Timezone, CreatedAt: row.CreatedAt}
}

// PutTenant creates the tenant or replaces what is known about it. body has
// displayName and timezone, both optional.
//
// Faults: invalid_fields; conflict when a tenant with that id was deleted, for
// ids are never used again.
func (d *Directory) PutTenant(ctx context.Context, id string, body *strictjson.Node) (t Tenant, created bool, err error) {
	if !ValidID(id) {
		return Tenant{}, false, badID()
	}
	err = d.change(ctx, "put tenant", func(ctx context.Context) error {
		row, known := d.rows.tenants[id]
		if known && !row.DeletedAt.IsZero() {
			return fault.New(fault.Conflict, "a tenant with this id was deleted, and ids are never used again")
		}
		created = !known
		row.ID, row.DisplayName, row.Timezone = id, "", ""
		t, err = d.saveTenant(ctx, row, body)
		return err
	})
	return t, created, err
}

// PatchTenant changes what the merge patch names (RFC 7396). Faults:
// tenant_not_found; invalid_fields.
func (d *Directory) PatchTenant(ctx context.Context, id string, patch *strictjson.Node) (t Tenant, err error) {
	err = d.change(ctx, "patch tenant", func(ctx context.Context) error {
		row, err := d.rows.tenant(id)
		if err != nil {
			return err
		}
		t, err = d.saveTenant(ctx, row, patch)
		return err
	})
	return t, err
}

// saveTenant stores row with the members of body set.
func (d *Directory) saveTenant(ctx context.Context, row store.Tenant, body *strictjson.Node) (Tenant, error) {
	var faults strictjson.Faults
	faults.Closed(body, Members()...)
	if n := body.Get("displayName"); n != nil {
		row.DisplayName = ""
		if empty := n.IsNull() || n.Is(strictjson.String) && n.Text() == ""; !empty {
			row.DisplayName = text(&faults, n, maxDisplayName)
		}
	}
	if n := body.Get("timezone"); n != nil {
		row.Timezone = ""
		if !n.IsNull() && faults.Want(n, strictjson.String) {
			if _, err := sdk.ParseZoneText(n.Text()); err != nil {
				faults.Add(n, strictjson.CodeInvalid, "%s", err)
			}
			row.Timezone = n.Text()
		}
	}
	if err := invalid(faults); err != nil {
		return Tenant{}, err
	}
	if row.CreatedAt.IsZero() {
		row.CreatedAt = d.now()
	}
	revision, err := d.cfg.Store.SaveTenant(ctx, row)
	if err != nil {
		return Tenant{}, unsaved("save tenant", err)
	}
	row.Revision = revision
	d.rows.tenants[row.ID] = row
	d.publish()
	return viewTenant(row), nil
}

// DeleteTenant deletes a tenant with its enablements, settings and tokens; its
// ledger stays. Its id is never used again.
//
// Faults: tenant_not_found; conflict while the ledger has entries of the tenant
// that are not settled, unless force is set. Forced, those are never settled by
// themselves any more.
func (d *Directory) DeleteTenant(ctx context.Context, id string, force bool) error {
	return d.change(ctx, "delete tenant", func(ctx context.Context) error {
		row, err := d.rows.tenant(id)
		if err != nil {
			return err
		}
		if !force {
			if err := d.settled(ctx, id); err != nil {
				return err
			}
		}
		// The tenant itself last: whatever fails before, the whole may be repeated.
		if err := d.strip(ctx, id); err != nil {
			return err
		}
		row.DeletedAt = d.now()
		if row.Revision, err = d.cfg.Store.SaveTenant(ctx, row); err != nil {
			return unsaved("save tenant", err)
		}
		d.rows.tenants[id] = row
		d.publish()
		return nil
	})
}

func (d *Directory) settled(ctx context.Context, id string) error {
	states, err := d.cfg.Ledger.CountStates(ctx, id)
	if err != nil {
		return fmt.Errorf("count unsettled entries: %w", err)
	}
	unsettled := 0
	for state, count := range states {
		if !state.Settled() {
			unsettled += count
		}
	}
	if unsettled > 0 {
		return fault.New(fault.Conflict, fmt.Sprintf(
			"the tenant has %d message logs that are not settled; settle them first, or delete it with force=true", unsettled))
	}
	return nil
}

// strip deletes what belongs to the tenant.
func (d *Directory) strip(ctx context.Context, id string) error {
	for _, token := range d.rows.tokens {
		if token.Tenant != id {
			continue
		}
		if err := d.revoke(ctx, token); err != nil {
			return err
		}
	}
	for k, row := range d.rows.enablements {
		if k.tenant != id {
			continue
		}
		if err := d.remove(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

func badID() error {
	return fault.New(fault.InvalidFields, "a tenant id has 1 to 64 lower-case letters, digits, dots, underscores "+
		"and hyphens, a letter or digit at both ends, and no two dots in a row")
}

// invalid returns the faults as one, nil when there is none.
func invalid(faults strictjson.Faults) error {
	if len(faults) == 0 {
		return nil
	}
	return &fault.Error{Code: fault.InvalidFields, Class: fault.Permanent, Err: faults}
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}
