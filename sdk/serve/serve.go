package serve

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"unicode"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

// The environment that a host gives to an adapter, as far as this package reads
// it.
const (
	envName          = "PATCHBAY_ADAPTER"
	envLifeline      = "PATCHBAY_LIFELINE"
	lifelineIsStdin  = "stdin"
	exitNotServed    = 1
	exitHostVanished = 3
)

// Option changes how an adapter is served.
type Option func(*options)

type options struct {
	level   slog.Leveler
	unknown unknownLevel
}

// unknownLevel is a variable whose text is no level; zero when there is none.
type unknownLevel struct{ variable, text string }

// LogLevel sets the least level that is logged; slog.LevelInfo without it. A
// *slog.LevelVar may change it while the adapter runs.
func LogLevel(level slog.Leveler) Option { return func(o *options) { o.level = level } }

// LogLevelFrom sets the least level that is logged to what the environment
// variable says: "debug", "info", "warn" or "error". Without it, or with any other
// text, it is info; of another text one record warns when the adapter starts. Name
// the variable in the manifest's run.env.
func LogLevelFrom(variable string) Option {
	text := os.Getenv(variable)
	return func(o *options) {
		var level slog.Level // info
		if text != "" && level.UnmarshalText([]byte(text)) != nil {
			level, o.unknown = slog.LevelInfo, unknownLevel{variable, text}
		}
		o.level = level
	}
}

// warn logs that the level is unknown, when it is. Little of the text is shown: it
// may be anything that was put there by mistake.
func (u unknownLevel) warn(log *slog.Logger) {
	if u.variable == "" {
		return
	}
	const most = 16
	var shown []rune
	for _, r := range u.text {
		if unicode.IsPrint(r) && len(shown) < most {
			shown = append(shown, r)
		}
	}
	log.Warn("log level unknown, info is used", "variable", u.variable, "text", string(shown), "allowed", "debug, info, warn, error")
}

// Adapter serves a until the host ends it. It returns when the host has asked
// the process to stop; it ends the process with exit code 1 when it was not
// started by a host, or cannot serve. Call it once, from main.
func Adapter(a sdk.Adapter, opts ...Option) {
	o := options{level: slog.LevelInfo}
	for _, opt := range opts {
		opt(&o)
	}
	if os.Getenv(rpc.Handshake.MagicCookieKey) != rpc.Handshake.MagicCookieValue {
		explain(os.Stderr, adapterName())
		os.Exit(exitNotServed)
	}
	stderr := os.Stderr // go-plugin replaces it with a pipe of its own
	log := slog.New(newHandler(stderr, o.level))
	slog.SetDefault(log)
	o.unknown.warn(log)
	if os.Getenv(envLifeline) == lifelineIsStdin {
		go watchLifeline(os.Stdin, log, os.Exit) // lives as long as the process
	}
	if !serve(rpc.NewServer(a, log), stderr) {
		log.Error("adapter could not be served")
		os.Exit(exitNotServed)
	}
}

// serve hands the process to go-plugin and reports whether it got as far as
// serving.
func serve(server *rpc.Server, stderr io.Writer) bool {
	served := false
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  rpc.Handshake,
		VersionedPlugins: rpc.Plugins(server),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			served = true
			return rpc.NewGRPCServer(opts)
		},
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: stderr, JSONFormat: true}),
	})
	return served
}

// watchLifeline ends the process when in does: whoever held its other end is
// gone. What comes in is ignored.
func watchLifeline(in io.Reader, log *slog.Logger, exit func(int)) {
	_, _ = io.Copy(io.Discard, in) // a broken lifeline is an ended one
	log.Warn("host gone, adapter exits")
	exit(exitHostVanished)
}

// adapterName is the name that the host gave to the adapter, else that of the
// program.
func adapterName() string {
	return cmp.Or(os.Getenv(envName), filepath.Base(os.Args[0]))
}

// explain tells a person who started an adapter by hand what it is.
func explain(w io.Writer, name string) {
	_, _ = fmt.Fprintf(w, `%[1]s is an adapter for Patchbay, a plugin host for CRM adapters.
It does nothing by itself: a host starts it and sends it messages to log.

To use it, put its package below one of the host's adapter directories, start the
host with "patchbay serve", and enable %[1]s for a tenant; see "patchbay adapter --help"
and the README of github.com/patchbay-crm/patchbay.
`, name)
}
