package bench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/patchbay-crm/patchbay/host/launch"
	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/host/seal"
	"github.com/patchbay-crm/patchbay/host/store/memory"
	"github.com/patchbay-crm/patchbay/host/supervisor"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

// tenantID is the tenant that everything is sent for.
const tenantID = "acme"

// instantName is the adapter that answers at once.
const instantName = "instant"

// instantManifest is its manifest. %s is this platform.
const instantManifest = `{
  "schemaVersion": 1, "name": "instant", "displayName": "Instant", "version": "1.0.0",
  "author": {"name": "Bench", "websiteUrl": "https://bench.example"},
  "protocolVersions": [1],
  "run": {"runtime": "native", "files": {"%s": "instant"}, "env": ["BENCH_PROFILE"], "limits": {"concurrency": 64}},
  "auth": {"type": "apiKey"}
}`

// instant is an adapter without a CRM. It answers with a log ID that names the
// message, and can be asked for earlier records, as most adapters can.
type instant struct{}

func logID(message string) string { return "log-of-" + message }

// AddMessageLog implements sdk.Adapter.
func (instant) AddMessageLog(_ context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	return sdk.Logged(logID(req.Messages[0].ID.String())), nil
}

// FindMessageLog implements sdk.MessageLogFinder: it keeps nothing to look in.
func (instant) FindMessageLog(context.Context, *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	return sdk.CannotTell(0), nil
}

// self returns the path of this binary.
func self(tb testing.TB) string {
	tb.Helper()
	name, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return name
}

// openRelay starts the instant adapter under a supervisor, as the host does, and
// puts a relay with an in-memory store before it.
func openRelay(tb testing.TB, profile string) *path {
	tb.Helper()
	dir := tb.TempDir()
	m, err := manifest.Parse(fmt.Appendf(nil, instantManifest, platform))
	if err != nil {
		tb.Fatal(err)
	}
	sealer, err := seal.Open(filepath.Join(dir, "keyset.json"))
	if err != nil {
		tb.Fatal(err)
	}
	r := &memoryRelay{
		tb: tb, sealer: sealer, request: newRequest(), processes: startInstant(tb, dir, m, profile),
		route: &relay.Route{Tenant: tenantID, Adapter: m.Name, Version: m.Version, Enabled: true, Manifest: m},
	}
	return &path{name: "B  relay, in-memory store", fresh: r.fresh, call: r.call}
}

// memoryRelay is a relay that forgets everything before each cell, lest the
// memory of earlier cells slow down later ones.
type memoryRelay struct {
	tb        testing.TB
	sealer    *seal.Sealer
	request   *request
	processes relay.Adapters
	route     *relay.Route
	relay     *relay.Relay
}

// Route implements relay.Routes.
func (r *memoryRelay) Route(string, string) (*relay.Route, error) { return r.route, nil }

// fresh replaces the relay and its store. The function that it returns ends them.
func (r *memoryRelay) fresh() (end func()) {
	r.tb.Helper()
	made, err := relay.New(relay.Config{}, relay.Deps{
		Store: memory.New(nil), Routes: r, Adapters: r.processes, Sealer: r.sealer, Log: quiet(),
	})
	if err != nil {
		r.tb.Fatal(err)
	}
	if err := made.Recover(context.Background()); err != nil {
		r.tb.Fatal(err)
	}
	r.relay = made
	stop := background(r.tb, "relay", made.Run)
	return func() {
		stop()
		r.relay = nil
	}
}

func (r *memoryRelay) call(ctx context.Context, n int64) error {
	message := strconv.FormatInt(n, 10)
	res, err := r.relay.AddMessageLog(ctx, relay.Call{
		Tenant: tenantID, Adapter: instantName, Body: r.request.body(n), RequestID: message,
	})
	if err != nil {
		return err
	}
	if !res.Created || res.Entry.LogID != logID(message) {
		return fmt.Errorf("message %s was answered with the log ID %s", message, res.Entry.LogID)
	}
	return nil
}

// quiet returns a logger of nothing but warnings, as hot as the real one.
func quiet() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// background runs a part until stop.
func background(tb testing.TB, name string, run func(ctx context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Errorf("run %s: %v", name, err)
		}
	}
}

// startInstant starts the adapter process.
func startInstant(tb testing.TB, dir string, m *manifest.Manifest, profile string) *processes {
	tb.Helper()
	launcher, err := launch.New(launch.Config{RunDir: filepath.Join(dir, "run"), Log: quiet()})
	if err != nil {
		tb.Fatal(err)
	}
	fleet, err := supervisor.NewFleet[*launch.Instance](supervisor.Config{Log: quiet()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(background(tb, "launcher", launcher.Run))
	tb.Cleanup(background(tb, "fleet", fleet.Run))
	spec := launch.Spec{
		Name: m.Name, Version: m.Version, ExecutablePath: self(tb), ExecutableDigest: digest(tb, self(tb)),
		Env: map[string]string{envProfile: profile}, MemoryMiB: m.Run.Limits.MemoryMiB,
	}
	p := &processes{fleet: fleet, key: supervisor.Key{Adapter: m.Name, Version: m.Version}}
	if err := fleet.Ensure(p.key, supervisor.Spec[*launch.Instance]{
		Launch:      func(ctx context.Context) (*launch.Instance, error) { return launcher.Launch(ctx, spec) },
		Concurrency: m.Run.Limits.Concurrency,
	}); err != nil {
		tb.Fatal(err)
	}
	return p
}

func digest(tb testing.TB, name string) string {
	tb.Helper()
	f, err := os.Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		tb.Fatal(err)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// processes joins the relay to the supervisor, as the host's wiring does.
type processes struct {
	fleet *supervisor.Fleet[*launch.Instance]
	key   supervisor.Key
}

// Acquire implements relay.Adapters.
func (p *processes) Acquire(ctx context.Context, t relay.Target) (relay.Process, error) {
	lease, err := p.fleet.Acquire(ctx, p.key, t.RequestID)
	if err != nil {
		return nil, err
	}
	return &place{lease, t.RequestID}, nil
}

// place is a relay.Process.
type place struct {
	*supervisor.Lease[*launch.Instance]
	requestID string
}

// AddMessageLog implements relay.Process.
func (p *place) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	return p.Instance().Client().AddMessageLog(rpc.WithRequestID(ctx, p.requestID), req)
}

// FindMessageLog implements relay.Process.
func (p *place) FindMessageLog(ctx context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	return p.Instance().Client().FindMessageLog(rpc.WithRequestID(ctx, p.requestID), req)
}

// CanFind implements relay.Process.
func (p *place) CanFind() bool { return p.Instance().Info().Can(sdk.CanFindMessageLog) }

// Done implements relay.Process.
func (p *place) Done() <-chan struct{} { return p.Instance().Done() }

// Condemn implements relay.Process.
func (p *place) Condemn(cause string) { p.Lease.Condemn(supervisor.Cause(cause)) }
