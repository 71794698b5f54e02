// Command patchbay runs a Patchbay host and talks to one. "patchbay --help" lists
// its commands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/app"
	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/cli"
	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/demo"
	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/doctor"
	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/trial"
	"github.com/patchbay-crm/patchbay/host/config"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup means it
		signal.Notify(signals, syscall.SIGHUP)
	}
	go obey(signals, cancel)
	code := run(ctx)
	cancel()
	os.Exit(code)
}

// obey ends the context at the first signal. A second one, however soon it comes,
// ends the process at once, as a user who sends it expects.
func obey(signals chan os.Signal, cancel context.CancelFunc) {
	<-signals
	cancel()
	second := <-signals
	signal.Reset()
	number, ok := second.(syscall.Signal)
	if !ok || signal.Ignored(second) { // as shells have it for background commands
		os.Exit(128 + int(number))
	}
	_ = syscall.Kill(os.Getpid(), number)
}

func run(ctx context.Context) int {
	executable, err := os.Executable()
	if err != nil {
		executable = "" // adapters beside the binary are not found, all else works
	}
	return cli.Main(ctx, cli.Environment{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Environ: os.Environ(), Executable: executable, Version: version(), Release: published(),
	}, cli.Actions{Serve: serve, Doctor: doctor.Run, TestAdapter: trial.Run, Demo: demo.Runner(executable)}, os.Args[1:])
}

func serve(ctx context.Context, c *config.Config, warnings []string) error {
	// Whoever reads the log may go away; the host must not go along. A signal that
	// is caught, unlike one that is ignored, is not passed on to adapters.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	defer signal.Stop(pipe)
	app.TuneGC()
	host, err := app.New(c, app.Options{Log: app.NewLogger(os.Stderr, c), Version: version(), Warnings: warnings})
	if err != nil {
		return err
	}
	return host.Run(ctx)
}
