// Command examplecrm-server runs the example CRM: a small real CRM to log messages
// into, and the judge of what was lost or logged twice. Package server says what
// it does.
//
// It listens on loopback only, since its pages and its control interface ask for
// no credentials. When it is ready it prints one line of JSON, with its address:
//
//	{"listening":"127.0.0.1:41234","url":"http://127.0.0.1:41234"}
//
// Tokens come from a file or from EXAMPLECRM_TOKENS, never from a flag, which
// anybody could see in the list of processes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/patchbay-crm/patchbay/plugins/examplecrm/server"
	"github.com/patchbay-crm/patchbay/plugins/internal/standin"
)

const tokensVariable = "EXAMPLECRM_TOKENS"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "examplecrm-server:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	listen, readyFile, tokensFile, switches string
	config                                  server.Config
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, getenv, stderr)
	if err != nil {
		return err
	}
	ln, err := standin.Listen(ctx, o.listen)
	if err != nil {
		return err
	}
	crm, err := server.New(o.config)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	defer func() { err = errors.Join(err, crm.Close()) }()
	if err := standin.Announce(stdout, o.readyFile, ln.Addr().String()); err != nil {
		return errors.Join(err, ln.Close())
	}
	return crm.Run(ctx, ln)
}

func parse(args []string, getenv func(string) string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("examplecrm-server", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.listen, "listen", "127.0.0.1:0", "loopback `address` to listen on; port 0 takes a free one")
	flags.StringVar(&o.config.Database, "db", "", "SQLite `file`; empty keeps the records in memory")
	flags.StringVar(&o.tokensFile, "tokens-file", "", "`file` with one valid token a line (default: EXAMPLECRM_TOKENS, separated by commas)")
	flags.StringVar(&o.readyFile, "ready-file", "", "`file` to write the line with the address to, when ready")
	flags.StringVar(&o.switches, "switches", "", "switches at the start, as `JSON` or as @file")
	flags.BoolVar(&o.config.RequireContacts, "require-contacts", false, "refuse activities for unknown contacts")
	flags.Uint64Var(&o.config.Seed, "seed", 0, "makes the switches' probabilities repeatable; 0 is random")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	var err error
	if o.config.Tokens, err = standin.Tokens(o.tokensFile, tokensVariable, getenv(tokensVariable)); err != nil {
		return options{}, err
	}
	return o, standin.ReadSwitches(o.switches, &o.config.Switches)
}
