package sqlite

import (
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/store"
)

// TestHealth fills the disk: the database is unhealthy from the first write that
// fails to the first that succeeds. A transaction that writes nothing succeeds on
// a full disk, too, and proves nothing.
func TestHealth(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	db := openTest(t, d.config())
	claim(t, db, 1)
	if err := db.Healthy(); err != nil {
		t.Fatalf("at first: %v", err)
	}
	db.writer.health.probed.Store(time.Now().Add(time.Hour).UnixNano()) // none of its own
	d.set(func(d *disk) { d.full = true })
	if _, err := tryClaim(t, db, 2); err == nil {
		t.Fatal("a full disk took a claim")
	}
	if err := db.Healthy(); err == nil {
		t.Error("healthy although the last write failed")
	}
	inWriter(t, db, func(*writer) {})
	if err := db.Healthy(); err == nil {
		t.Error("healthy because of a transaction that wrote nothing")
	}
	d.set(func(d *disk) { d.full = false })
	inWriter(t, db, func(*writer) {})
	if err := db.Healthy(); err == nil {
		t.Error("healthy before anything was written")
	}
	claim(t, db, 3)
	if err := db.Healthy(); err != nil {
		t.Errorf("a write has succeeded since: %v", err)
	}
}

// TestHealthOfTheIdle has nobody write: asking is enough to find that the disk has
// room again, and asking often does not write often.
func TestHealthOfTheIdle(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	db := openTest(t, d.config())
	d.set(func(d *disk) { d.full = true })
	if _, err := tryClaim(t, db, 1); err == nil {
		t.Fatal("a full disk took a claim")
	}
	d.set(func(d *disk) { d.full = false })
	before := d.synced()
	for range 100 {
		_ = db.Healthy()
	}
	inWriter(t, db, func(*writer) {}) // behind the try
	if err := db.Healthy(); err != nil {
		t.Errorf("it was asked for and there is room: %v", err)
	}
	if n := d.synced() - before; n > 2 {
		t.Errorf("asking 100 times wrote %d times", n)
	}
}

// TestRefusalsAreNotFailures has writes fail that the database took well.
func TestRefusalsAreNotFailures(t *testing.T) {
	t.Parallel()
	db := openTest(t, newDisk(t).config())
	if _, err := db.SaveTenant(t.Context(), store.Tenant{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	_, err := db.SaveTenant(t.Context(), store.Tenant{ID: "a"})
	wantErr(t, "save again", err, store.ErrConflict)
	if err := db.writer.submit(t.Context(), false, func(*tx) error { panic("odd") }); err == nil {
		t.Error("a panic is no error")
	}
	if err := db.Healthy(); err != nil {
		t.Error(err)
	}
}
