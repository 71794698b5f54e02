package doctor

import (
	"context"
	"errors"
	"io/fs"

	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/app"
	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/host/seal"
	"github.com/patchbay-crm/patchbay/host/store/sqlite"
)

// restore is the remedy for a database that is not what it was.
const restore = "bring it back from a backup together with its key; a new one in its place knows of no message that was logged, " +
	"so messages may be logged again"

// database looks into the database of a host that does not run; keyed says that
// the key file can be read. It returns the digests of packages that stand there.
func (f *findings) database(ctx context.Context, c *config.Config, keyed bool) pins {
	const check = "database"
	found, err := sqlite.Inspect(ctx, c.SQLiteFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.newDatabase(check, c, keyed, "does not exist yet")
	case errors.Is(err, sqlite.ErrPartial):
		f.add(check, Info, "", "not looked into: %s", err)
	case err != nil && f.lock(c.DataDir):
		// A host that began meanwhile was in the way, and has looked for itself.
	case err != nil:
		f.add(check, Fail, restore, "%s", err)
	case found.Empty:
		f.newDatabase(check, c, keyed, "is empty")
	case keyed:
		f.fingerprint(check, c, found.Facts[app.FactKey])
	default:
		f.add(check, OK, "", "%s (schema %d)", c.SQLiteFile(), found.Schema)
	}
	return found.Pins
}

// newDatabase tells of a database that the next start makes.
func (f *findings) newDatabase(check string, c *config.Config, keyed bool, state string) {
	if keyed {
		f.add(check, Warn, "unless the key was made ahead of the first start, "+restore,
			"%s %s, although %s does; the next start makes a new database", c.SQLiteFile(), state, c.KeyFile)
		return
	}
	f.add(check, OK, "", "%s %s; the first start makes it", c.SQLiteFile(), state)
}

// fingerprint holds the key against the one that the database was written with.
// The key file exists: looking at it makes none.
func (f *findings) fingerprint(check string, c *config.Config, recorded string) {
	sealer, err := seal.Open(c.KeyFile)
	switch {
	case err != nil:
		f.add("key file", Fail, "bring it back from a backup: without it the stored requests and settings cannot be read", "%s", err)
	case recorded != "" && recorded != sealer.Fingerprint():
		f.add(check, Fail, "bring back the right key file (keyFile); without it stored requests and settings cannot be read",
			"%s was written with another key than %s holds", c.SQLiteFile(), c.KeyFile)
	default:
		f.add(check, OK, "", "%s, written with this key", c.SQLiteFile())
	}
}
