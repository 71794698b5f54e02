package sqlite

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// disk is a disk that can fail and lose its power. It lies between SQLite and the
// real files of one directory, and knows what of them has been fsynced: the rest
// may or may not survive.
type disk struct {
	dir string

	mu    sync.Mutex
	files map[string]*diskFile // by base name
	syncs int
	// failSyncs is how many fsyncs are to fail. What they should have written is on
	// the disk nevertheless when keepFailed is set, and otherwise not written by a
	// later one either.
	failSyncs  int
	keepFailed bool
	full       bool // every write fails
}

// diskFile is what the disk has of one file.
type diskFile struct {
	synced  []byte
	pending []change
}

// change is a write, or with nil data a truncation.
type change struct {
	at   int64
	data []byte
}

func (f *diskFile) apply(c change) {
	if c.data == nil {
		f.synced = append(f.synced, make([]byte, max(0, int(c.at)-len(f.synced)))...)[:c.at]
		return
	}
	end := int(c.at) + len(c.data)
	f.synced = append(f.synced, make([]byte, max(0, end-len(f.synced)))...)
	copy(f.synced[c.at:end], c.data)
}

// newDisk returns the disk of a new directory. Databases in it must be opened
// with vfs set to diskVFS.
func newDisk(t *testing.T) *disk {
	t.Helper()
	registerDisks()
	d := &disk{dir: t.TempDir(), files: map[string]*diskFile{}}
	disks.Store(d.dir, d)
	t.Cleanup(func() { disks.Delete(d.dir) })
	return d
}

// config is of a database on the disk.
func (d *disk) config() Config {
	return Config{Path: filepath.Join(d.dir, "ledger.db"), vfs: diskVFS}
}

// set changes what the disk does.
func (d *disk) set(change func(*disk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

// synced returns how many fsyncs there were.
func (d *disk) synced() (n int) {
	d.set(func(d *disk) { n = d.syncs })
	return n
}

// afterPowerLoss opens what is found when the power returns: survives says of each
// change that was not fsynced whether it reached the disk.
func (d *disk) afterPowerLoss(t *testing.T, survives func() bool) *DB {
	t.Helper()
	dir := t.TempDir()
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, file := range d.files {
		left := diskFile{synced: append([]byte(nil), file.synced...)}
		for _, c := range file.pending {
			if survives() {
				left.apply(c)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), left.synced, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return openTest(t, Config{Path: filepath.Join(dir, "ledger.db")})
}

// losses are the ways in which unsynced changes may survive.
func losses(seed uint64) map[string]func() bool {
	ways := map[string]func() bool{
		"nothing survives":    func() bool { return false },
		"everything survives": func() bool { return true },
	}
	for i, odds := range []float64{0.2, 0.8} {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		ways[fmt.Sprintf("%v survive, draw %d", odds, i)] = func() bool { return random.Float64() < odds }
	}
	return ways
}

func (d *disk) change(name string, c change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	file := d.files[name]
	if file == nil {
		file = &diskFile{}
		d.files[name] = file
	}
	file.pending = append(file.pending, c)
}

// write notes the write, or returns the code it fails with.
func (d *disk) write(name string, at int64, data []byte) int32 {
	d.mu.Lock()
	full := d.full
	d.mu.Unlock()
	if full {
		return sqlite3.SQLITE_FULL
	}
	d.change(name, change{at, data})
	return sqlite3.SQLITE_OK
}

func (d *disk) sync(name string) int32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	file := d.files[name]
	fails := d.failSyncs > 0
	if file != nil {
		if !fails || d.keepFailed {
			for _, c := range file.pending {
				file.apply(c)
			}
		}
		file.pending = nil
	}
	if fails {
		d.failSyncs--
		return sqlite3.SQLITE_IOERR_FSYNC
	}
	d.syncs++
	return sqlite3.SQLITE_OK
}

// The file system "disk" is SQLite's own with five methods replaced. SQLite calls
// through C's function pointers, so what they need is found in tables.
const diskVFS = "disk"

var (
	registerDisks = sync.OnceFunc(makeVFS)
	disks         sync.Map // directory → *disk
	diskFiles     sync.Map // address of a sqlite3_file → onDisk

	realVFS *sqlite3.Tsqlite3_vfs
	methods sync.Map // address of SQLite's methods → address of the disk's
)

// onDisk is an open file of a disk.
type onDisk struct {
	disk *disk
	name string
	real *sqlite3.Tsqlite3_io_methods
}

// at returns what the address points to, which is C's memory.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// pointerTo returns the function as a C function pointer. f must not be a closure.
func pointerTo[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

// function is the inverse of pointerTo.
func function[F any](pointer uintptr) F { return *(*F)(unsafe.Pointer(&pointer)) }

type (
	openFunc   = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32
	deleteFunc = func(tls *libc.TLS, vfs, name uintptr, syncDir int32) int32
	writeFunc  = func(tls *libc.TLS, file, data uintptr, n int32, at int64) int32
	sizeFunc   = func(tls *libc.TLS, file uintptr, size int64) int32
	syncFunc   = func(tls *libc.TLS, file uintptr, flags int32) int32
	closeFunc  = func(tls *libc.TLS, file uintptr) int32
)

func makeVFS() {
	tls := libc.NewTLS() // lives as long as the process, as the file system does
	realVFS = at[sqlite3.Tsqlite3_vfs](sqlite3.Xsqlite3_vfs_find(tls, 0))
	made := libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(*realVFS)))
	name, err := libc.CString(diskVFS)
	if err != nil || made == 0 {
		panic("no memory")
	}
	vfs := at[sqlite3.Tsqlite3_vfs](made)
	*vfs = *realVFS
	vfs.FpNext = 0
	vfs.FzName = name
	vfs.FxOpen = pointerTo(diskOpen)
	vfs.FxDelete = pointerTo(diskDelete)
	if rc := sqlite3.Xsqlite3_vfs_register(tls, made, 0); rc != sqlite3.SQLITE_OK {
		panic("register the file system")
	}
}

// find returns the disk on which the path lies, nil when it lies on none.
func find(path string) *disk {
	if d, ok := disks.Load(filepath.Dir(path)); ok {
		return d.(*disk)
	}
	return nil
}

func diskOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32 {
	rc := function[openFunc](realVFS.FxOpen)(tls, vfs, name, file, flags, outFlags)
	if rc != sqlite3.SQLITE_OK || name == 0 {
		return rc
	}
	path := libc.GoString(name)
	d := find(path)
	if d == nil {
		return rc
	}
	opened := at[sqlite3.Tsqlite3_file](file)
	diskFiles.Store(file, onDisk{d, filepath.Base(path), at[sqlite3.Tsqlite3_io_methods](opened.FpMethods)})
	opened.FpMethods = wrapped(tls, opened.FpMethods)
	return rc
}

// wrapped returns the methods with the disk's in place of some.
func wrapped(tls *libc.TLS, theirs uintptr) uintptr {
	if made, ok := methods.Load(theirs); ok {
		return made.(uintptr)
	}
	table := *at[sqlite3.Tsqlite3_io_methods](theirs)
	table.FxWrite = pointerTo(diskWrite)
	table.FxTruncate = pointerTo(diskTruncate)
	table.FxSync = pointerTo(diskSync)
	table.FxClose = pointerTo(diskClose)
	made := libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(table)))
	*at[sqlite3.Tsqlite3_io_methods](made) = table
	methods.Store(theirs, made) // made twice in a race: both live on
	return made
}

func diskDelete(tls *libc.TLS, vfs, name uintptr, syncDir int32) int32 {
	path := libc.GoString(name)
	if d := find(path); d != nil {
		d.set(func(d *disk) { delete(d.files, filepath.Base(path)) })
	}
	return function[deleteFunc](realVFS.FxDelete)(tls, vfs, name, syncDir)
}

// of returns the open file. Those of other paths never get the disk's methods.
func of(file uintptr) onDisk {
	f, _ := diskFiles.Load(file)
	return f.(onDisk)
}

func diskWrite(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {
	f := of(file)
	bytes := []byte(strings.Clone(unsafe.String(at[byte](data), n)))
	if rc := f.disk.write(f.name, offset, bytes); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[writeFunc](f.real.FxWrite)(tls, file, data, n, offset)
}

func diskTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	f := of(file)
	f.disk.change(f.name, change{at: size})
	return function[sizeFunc](f.real.FxTruncate)(tls, file, size)
}

func diskSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	f := of(file)
	if rc := f.disk.sync(f.name); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[syncFunc](f.real.FxSync)(tls, file, flags)
}

func diskClose(tls *libc.TLS, file uintptr) int32 {
	f := of(file)
	diskFiles.Delete(file)
	return function[closeFunc](f.real.FxClose)(tls, file)
}
