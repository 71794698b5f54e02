package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/patchbay-crm/patchbay/host/store"
)

const (
	tenantColumns     = "id, display_name, timezone, created_at, deleted_at, revision"
	enablementColumns = "tenant, adapter, enabled, version, isolation, on_unavailable, settings, created_at, updated_at, revision"
	tokenColumns      = "id, tenant, name, hash, created_at, expires_at"
)

// LoadDirectory implements store.Directory.
func (db *DB) LoadDirectory(ctx context.Context) (*store.DirectoryRows, error) {
	rows := &store.DirectoryRows{}
	err := db.read(ctx, "read the directory", func() error {
		return db.snapshot(ctx, true, func(from reader) (err error) {
			rows.Tenants, err = collect(ctx, from, scanTenant, "SELECT "+tenantColumns+" FROM tenants ORDER BY id")
			if err != nil {
				return err
			}
			rows.Enablements, err = collect(ctx, from, scanEnablement,
				"SELECT "+enablementColumns+" FROM enablements ORDER BY tenant, adapter")
			if err != nil {
				return err
			}
			rows.Tokens, err = collect(ctx, from, scanToken, "SELECT "+tokenColumns+" FROM tokens ORDER BY id")
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

func scanTenant(rows *sql.Rows) (t store.Tenant, err error) {
	var created, deleted sql.NullInt64
	err = rows.Scan(&t.ID, &t.DisplayName, &t.Timezone, &created, &deleted, &t.Revision)
	t.CreatedAt, t.DeletedAt = nullable(created), nullable(deleted)
	return t, err
}

func scanEnablement(rows *sql.Rows) (e store.Enablement, err error) {
	var created, updated sql.NullInt64
	err = rows.Scan(&e.Tenant, &e.Adapter, &e.Enabled, &e.Version, &e.Isolation, &e.OnUnavailable,
		&e.Settings, &created, &updated, &e.Revision)
	e.CreatedAt, e.UpdatedAt = nullable(created), nullable(updated)
	return e, err
}

func scanToken(rows *sql.Rows) (t store.Token, err error) {
	var created, expires sql.NullInt64
	err = rows.Scan(&t.ID, &t.Tenant, &t.Name, &t.Hash, &created, &expires)
	t.CreatedAt, t.ExpiresAt = nullable(created), nullable(expires)
	return t, err
}

func nullable(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return time.UnixMicro(us.Int64).UTC()
}

// SaveTenant implements store.Directory.
func (db *DB) SaveTenant(ctx context.Context, tenant store.Tenant) (revision int64, err error) {
	err = db.writer.submit(ctx, false, func(t *tx) (err error) {
		revision, err = t.advance(t.stmts.tenantRevision, tenant.Revision, tenant.ID)
		if err != nil {
			return err
		}
		_, err = t.stmts.saveTenant.run(tenant.ID, tenant.DisplayName, tenant.Timezone,
			column(tenant.CreatedAt), column(tenant.DeletedAt), revision)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("save tenant %s: %w", tenant.ID, err)
	}
	return revision, nil
}

// advance returns the next revision for a row that still has the revision held.
// Revisions count for the whole directory, so that a row which was removed and
// made again never takes up an old one.
func (t *tx) advance(stored *stmt, held int64, key ...any) (int64, error) {
	if err := t.unchanged(stored, held, key...); err != nil {
		return 0, err
	}
	row, err := t.stmts.nextRevision.first()
	if err != nil {
		return 0, err
	}
	return row[0].(int64), nil
}

func (t *tx) unchanged(stored *stmt, held int64, key ...any) error {
	row, err := stored.first(key...)
	if err != nil {
		return err
	}
	var revision int64
	if row != nil {
		revision = row[0].(int64)
	}
	if revision != held {
		return refusal{store.ErrConflict}
	}
	return nil
}

// SaveEnablement implements store.Directory.
func (db *DB) SaveEnablement(ctx context.Context, e store.Enablement) (revision int64, err error) {
	err = db.writer.submit(ctx, false, func(t *tx) (err error) {
		if e.Removed {
			if err := t.unchanged(t.stmts.enablementRevision, e.Revision, e.Tenant, e.Adapter); err != nil {
				return err
			}
			_, err = t.stmts.removeEnablement.run(e.Tenant, e.Adapter)
			return err
		}
		revision, err = t.advance(t.stmts.enablementRevision, e.Revision, e.Tenant, e.Adapter)
		if err != nil {
			return err
		}
		enabled := int64(0)
		if e.Enabled {
			enabled = 1
		}
		_, err = t.stmts.saveEnablement.run(e.Tenant, e.Adapter, enabled, e.Version, e.Isolation,
			e.OnUnavailable, blob(e.Settings), column(e.CreatedAt), column(e.UpdatedAt), revision)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("save enablement of %s for tenant %s: %w", e.Adapter, e.Tenant, err)
	}
	return revision, nil
}

// blob returns NULL for no bytes.
func blob(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// SaveToken implements store.Directory.
func (db *DB) SaveToken(ctx context.Context, token store.Token) error {
	err := db.writer.submit(ctx, false, func(t *tx) error {
		if token.Revoked {
			n, err := t.stmts.removeToken.run(token.ID)
			if err == nil && n == 0 {
				return refusal{store.ErrNotFound}
			}
			return err
		}
		row, err := t.stmts.token.first(token.ID, token.Hash)
		if err != nil {
			return err
		}
		if row[0].(int64) > 0 {
			return refusal{store.ErrConflict}
		}
		_, err = t.stmts.saveToken.run(token.ID, token.Tenant, token.Name, token.Hash,
			column(token.CreatedAt), column(token.ExpiresAt))
		return err
	})
	if err != nil {
		return fmt.Errorf("save token %s: %w", token.ID, err)
	}
	return nil
}
