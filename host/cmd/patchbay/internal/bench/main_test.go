package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/pprof"
	"testing"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/app"
	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/plugins/examplecrm/server"
	"github.com/patchbay-crm/patchbay/sdk/serve"
)

// The variables that make this binary something else than the tests. The host
// names its adapters itself.
const (
	envRole    = "BENCH_ROLE"
	envConfig  = "BENCH_CONFIG"  // the host's configuration file
	envProfile = "BENCH_PROFILE" // directory for profiles; empty for none
	envAdapter = "PATCHBAY_ADAPTER"
)

const (
	roleEcho = "echo"
	roleHost = "host"
	roleCRM  = "crm"
)

// TestMain makes the test binary every process that takes part but one: the
// example adapter is the real program.
func TestMain(m *testing.M) {
	role := os.Getenv(envRole)
	switch {
	case os.Getenv(envAdapter) != "":
		exit(runInstant())
	case role == roleEcho:
		serveEcho()
	case role == roleHost:
		app.TuneGC()
		exit(untilOrphaned(runHost))
	case role == roleCRM:
		exit(untilOrphaned(runCRM))
	default:
		app.TuneGC() // paths A and B run here as they would in a host
		goleak.VerifyTestMain(m)
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, os.Getenv(envRole)+":", err)
		os.Exit(1)
	}
}

// untilOrphaned runs a process until its standard input ends, as it does when
// whoever started it is gone.
func untilOrphaned(run func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return run(ctx)
}

// runInstant is the adapter that answers at once.
func runInstant() error {
	stop, err := profile(instantName)
	if err != nil {
		return err
	}
	serve.Adapter(instant{}, serve.LogLevel(slog.LevelWarn))
	return stop()
}

// runHost is the host as "patchbay serve" runs it. It prints its URL when it
// serves.
func runHost(ctx context.Context) error {
	cfg, warnings, err := config.Load(config.Sources{File: os.Getenv(envConfig)})
	if err != nil {
		return err
	}
	host, err := app.New(cfg, app.Options{Log: app.NewLogger(os.Stderr, cfg), Version: "bench", Warnings: warnings})
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-host.Ready():
			fmt.Println(host.URL())
		case <-ctx.Done():
		}
	}()
	stop, err := profile(roleHost)
	if err != nil {
		return err
	}
	return errors.Join(host.Run(ctx), stop())
}

// profile takes a CPU profile of this process until stop, which adds one of the
// allocations, if profiles are wanted.
func profile(name string) (stop func() error, err error) {
	dir := os.Getenv(envProfile)
	if dir == "" {
		return func() error { return nil }, nil
	}
	cpu, err := os.Create(filepath.Join(dir, name+".cpu.pprof"))
	if err != nil {
		return nil, fmt.Errorf("profile the %s: %w", name, err)
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, errors.Join(fmt.Errorf("profile the %s: %w", name, err), cpu.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		allocs, err := os.Create(filepath.Join(dir, name+".allocs.pprof"))
		if err != nil {
			return errors.Join(fmt.Errorf("profile the %s: %w", name, err), cpu.Close())
		}
		return errors.Join(pprof.Lookup("allocs").WriteTo(allocs, 0), allocs.Close(), cpu.Close())
	}, nil
}

// crmToken is what the CRM takes as credentials.
const crmToken = "bench-token"

// runCRM is the example CRM, with its records in memory: what is measured is the
// host. It prints its URL when it serves.
func runCRM(ctx context.Context) error {
	crm, err := server.New(server.Config{Tokens: []string{crmToken}})
	if err != nil {
		return err
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, crm.Close())
	}
	fmt.Println("http://" + listener.Addr().String())
	return errors.Join(crm.Run(ctx, listener), crm.Close())
}
