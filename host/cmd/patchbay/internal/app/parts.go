package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/httpapi"
	"github.com/patchbay-crm/patchbay/host/launch"
	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/host/seal"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/host/store/sqlite"
	"github.com/patchbay-crm/patchbay/host/supervisor"
	"github.com/patchbay-crm/patchbay/host/tenant"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// parts are the parts of an open host.
type parts struct {
	lock      *os.File
	store     store.Store
	healthy   func() error // says why the store cannot be written
	catalog   *catalog.Catalog
	directory *tenant.Directory
	launcher  *launch.Launcher
	fleet     *supervisor.Fleet[*launch.Instance]
	processes *processes
	relay     *relay.Relay
	api       *httpapi.API
	listener  net.Listener
}

// close releases what open took, the lock last.
func (p *parts) close() error {
	var errs []error
	if p.listener != nil {
		if err := p.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if p.store != nil {
		errs = append(errs, p.store.Close())
	}
	if p.lock != nil {
		errs = append(errs, p.lock.Close())
	}
	return errors.Join(errs...)
}

// open makes every part, from the inside out. Nothing runs yet.
func (h *Host) open(ctx context.Context) (_ *parts, err error) {
	p := &parts{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	sealer, err := h.openStore(ctx, p)
	if err != nil {
		return nil, err
	}
	if err := h.openTenants(ctx, p, sealer); err != nil {
		return nil, err
	}
	if err := h.openProcesses(p); err != nil {
		return nil, err
	}
	if err := h.openRelay(ctx, p, sealer); err != nil {
		return nil, err
	}
	return p, h.openAPI(ctx, p)
}

// openStore locks the data directory, opens the ledger, and ends what an earlier
// life left running.
func (h *Host) openStore(ctx context.Context, p *parts) (*seal.Sealer, error) {
	if err := makeDataDir(h.cfg.DataDir, h.log); err != nil {
		return nil, err
	}
	var err error
	if p.lock, err = lockDataDir(h.cfg.DataDir); err != nil {
		return nil, err
	}
	fresh := h.lacksLedger()
	sealer, err := seal.Open(h.cfg.KeyFile)
	if err != nil {
		return nil, err
	}
	db, err := sqlite.Open(ctx, sqlite.Config{Path: h.cfg.SQLiteFile(), Log: h.log})
	if err != nil {
		return nil, err // p.store stays nil: a nil *sqlite.DB in it would not be
	}
	p.store, p.healthy = db, db.Healthy
	if fresh {
		h.log.Warn("database is new although a key existed", "database", h.cfg.SQLiteFile(), "key_file", h.cfg.KeyFile,
			"remedy", "unless this is the first start with a key made ahead, stop the host and bring back the database "+
				"from a backup: without it messages that were logged may be logged again")
	}
	// Only who holds the ledger's own lock, too, may kill: the directory's may have
	// been deleted under a living host. And an adapter of an earlier life may still
	// write to its CRM: it must be gone before anything is believed about the ledger.
	killed, err := launch.ReapLeftovers(h.runDir(), h.log)
	if err != nil {
		return nil, fmt.Errorf("end adapters of an earlier host: %w", err)
	}
	if killed > 0 {
		h.log.Warn("adapters of an earlier host ended", "count", killed)
	}
	return sealer, h.checkKey(ctx, db, sealer)
}

// lacksLedger reports whether there is a key but no database that goes with it: it
// was lost, or the key was made ahead of the first start.
func (h *Host) lacksLedger() bool {
	if _, err := os.Stat(h.cfg.KeyFile); err != nil {
		return false
	}
	info, err := os.Stat(h.cfg.SQLiteFile())
	return errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0
}

// FactKey is the name under which the store keeps the key's fingerprint.
const FactKey = "key_fingerprint"

// checkKey refuses a key that is not the one the store was written with.
func (h *Host) checkKey(ctx context.Context, registry store.Registry, sealer *seal.Sealer) error {
	standing, err := registry.Fact(ctx, FactKey, sealer.Fingerprint())
	if err != nil {
		return fmt.Errorf("read the key's fingerprint: %w", err)
	}
	if standing != sealer.Fingerprint() {
		return fmt.Errorf("the database was written with another key than %s holds: bring back the right key file (keyFile); "+
			"without it stored requests and settings cannot be read", h.cfg.KeyFile)
	}
	return nil
}

func (h *Host) runDir() string { return filepath.Join(h.cfg.DataDir, runDirName) }

func (h *Host) openTenants(ctx context.Context, p *parts, sealer *seal.Sealer) error {
	var err error
	if p.catalog, err = catalog.New(catalog.Config{
		Dirs: h.cfg.AdaptersDirs, Pins: p.store, Log: h.log, Overrides: h.cfg.Overrides(),
	}); err != nil {
		return fmt.Errorf("configure catalog: %w", err)
	}
	if err := p.catalog.Load(ctx); err != nil {
		return fmt.Errorf("load adapter packages: %w", err)
	}
	token, err := AdminToken(h.cfg.AdminTokenFile)
	if err != nil {
		return err
	}
	p.directory, err = tenant.New(tenant.Config{
		Store: p.store, Ledger: p.store, Catalog: p.catalog, Sealer: sealer, AdminToken: token, Log: h.log,
	})
	if err != nil {
		return fmt.Errorf("configure tenants: %w", err)
	}
	if err := p.directory.Load(ctx); err != nil {
		return fmt.Errorf("load tenants: %w", err)
	}
	return nil
}

func (h *Host) openProcesses(p *parts) error {
	var err error
	if p.launcher, err = launch.New(launch.Config{RunDir: h.runDir(), Log: h.log}); err != nil {
		return err
	}
	if p.fleet, err = supervisor.NewFleet[*launch.Instance](supervisor.Config{Log: h.log, DrainTimeout: h.drain()}); err != nil {
		return err
	}
	p.processes = newProcesses(p, h.cfg.Adapters, h.cfg.MaxWait, h.log)
	return nil
}

// drain returns how long one stage of the stop may last; zero would mean the
// stage's own default.
func (h *Host) drain() time.Duration { return max(h.cfg.DrainTimeout, time.Millisecond) }

func (h *Host) openRelay(ctx context.Context, p *parts, sealer *seal.Sealer) error {
	var err error
	if p.relay, err = relay.New(relay.Config{MaxWait: h.cfg.MaxWait, StopGrace: h.drain(), PayloadTTL: h.cfg.PayloadTTL}, relay.Deps{
		Store: p.store, Routes: newRoutes(p.directory, h.cfg.Adapters), Adapters: p.processes, Sealer: sealer, Log: h.log,
	}); err != nil {
		return err
	}
	if err := p.relay.Recover(ctx); err != nil {
		return fmt.Errorf("recover the ledger: %w", err)
	}
	return nil
}

func (h *Host) openAPI(ctx context.Context, p *parts) error {
	var err error
	if p.api, err = httpapi.New(httpapi.Config{
		Version: h.opts.Version, MaxBody: h.cfg.MaxBody, MaxWait: h.cfg.MaxWait, DrainTimeout: h.drain(),
	}, httpapi.Deps{
		Relay: p.relay, Directory: p.directory, Catalog: p.catalog, Ledger: p.store,
		Processes: p.processes, Installer: newInstaller(p), Log: h.log, Ready: p.ready,
		Collectors: []prometheus.Collector{&collector{ledger: p.store, log: h.log}},
	}); err != nil {
		return err
	}
	var listen net.ListenConfig
	if p.listener, err = listen.Listen(ctx, "tcp", h.cfg.Listen); err != nil {
		return fmt.Errorf("listen on %s: %w", h.cfg.Listen, err)
	}
	return nil
}

// ready returns nil when calls can be served. Its error is for everybody's eyes.
func (p *parts) ready() error {
	if err := p.healthy(); err != nil {
		return &fault.Error{
			Code: fault.Overloaded, Class: fault.Retryable, RetryAfter: time.Second,
			Msg: "the ledger cannot be written", Err: err,
		}
	}
	return nil
}
