// Package app joins the host's parts into one running host: it is what "patchbay
// serve" runs, and what end-to-end tests run.
//
// A start goes from the inside out: the data directory is locked, the ledger is
// opened, adapters that an earlier life left behind are killed before anything is
// believed about it, packages and tenants are loaded, entries found in flight
// become unknown, and only then does the host listen. A stop goes the other way:
// HTTP drains, then the relay's calls end, then the adapters, then the ledger is
// closed and the directory unlocked.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/patchbay-crm/patchbay/host/config"
)

// The keys of this package's log records.
const (
	keyAdapter = "adapter"
	keyVersion = "version"
	keyDigest  = "digest"
	keyError   = "error"
)

// Options are what a Host needs beside its configuration.
type Options struct {
	// Log takes the host's and its adapters' records; nil discards them.
	Log *slog.Logger
	// Version describes the build.
	Version string
	// Warnings are logged at the start.
	Warnings []string
}

// Host is one Patchbay host. Make it with New, and let Run run.
type Host struct {
	cfg   config.Config
	opts  Options
	log   *slog.Logger
	ready chan struct{} // closed when the host serves
	addr  net.Addr      // set before ready is closed
}

// New returns a host. It does no work.
func New(cfg *config.Config, opts Options) (*Host, error) {
	if cfg == nil {
		return nil, errors.New("configure the host: there is no configuration")
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Host{cfg: *cfg, opts: opts, log: opts.Log, ready: make(chan struct{})}, nil
}

// Ready is closed once the host serves.
func (h *Host) Ready() <-chan struct{} { return h.ready }

// Addr returns the address that the host listens on. It may be called once Ready
// is closed.
func (h *Host) Addr() net.Addr { return h.addr }

// URL returns the base URL of the HTTP API on this machine. It may be called once
// Ready is closed.
func (h *Host) URL() string { return config.LocalURL(h.addr.String()) }

// Run runs the host until ctx is done, then stops it in order. It runs once. When
// it returns, every process and goroutine of the host is gone.
func (h *Host) Run(ctx context.Context) (err error) {
	for _, w := range h.opts.Warnings {
		h.log.Warn("configuration looks wrong", keyError, w)
	}
	began := time.Now()
	p, err := h.open(ctx)
	if err != nil {
		return fmt.Errorf("start the host: %w", err)
	}
	defer func() { err = errors.Join(err, p.close()) }()
	h.warnUnused(p.catalog)
	stages := []stage{
		{"adapter launcher", p.launcher.Run},
		{"adapter processes", p.fleet.Run},
		{"adapter versions", p.processes.follow},
		{"relay", p.relay.Run},
		{"HTTP API", func(ctx context.Context) error { return p.api.Serve(ctx, p.listener) }},
	}
	started := func() {
		h.addr = p.listener.Addr()
		close(h.ready)
		h.log.Info("host started", "address", h.addr.String(), keyVersion, h.opts.Version,
			"data_dir", h.cfg.DataDir, "duration_ms", time.Since(began).Milliseconds())
	}
	err = runStages(ctx, stages, started, func() { h.log.Info("host stopping") })
	h.log.Info("host stopped")
	return err
}
