// Command pipedrive-fake serves the fake of Pipedrive's API in a process of its
// own, for the demonstration and for end-to-end tests. Package pipedrivetest says
// what it does; the judge's routes below /_control are on.
//
// It listens on loopback only. When it is ready it prints one line of JSON, with
// its address:
//
//	{"listening":"127.0.0.1:41234","url":"http://127.0.0.1:41234"}
//
// It ends on SIGINT and SIGTERM, and with -until-eof also when its standard input
// ends, so that it does not outlive the test that started it.
//
// Tokens come from a file or from PIPEDRIVE_FAKE_TOKENS, never from a flag, which
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

	"github.com/patchbay-crm/patchbay/plugins/internal/standin"
	"github.com/patchbay-crm/patchbay/plugins/pipedrive/internal/pipedrivetest"
)

const tokensVariable = "PIPEDRIVE_FAKE_TOKENS"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pipedrive-fake:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	listen, readyFile, tokensFile, switches string
	untilEOF                                bool
	config                                  pipedrivetest.Config
}

func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) error {
	o, err := parse(args, getenv, stderr)
	if err != nil {
		return err
	}
	fake, err := pipedrivetest.New(o.config)
	if err != nil {
		return err
	}
	defer fake.Close()
	ln, err := standin.Listen(ctx, o.listen)
	if err != nil {
		return err
	}
	if err := standin.Announce(stdout, o.readyFile, ln.Addr().String()); err != nil {
		return errors.Join(err, ln.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.untilEOF {
		// The read cannot be interrupted: the end of the process ends it.
		go func() {
			_, _ = io.Copy(io.Discard, stdin) // an unreadable input is one that has ended
			cancel()
		}()
	}
	return fake.Run(ctx, ln)
}

func parse(args []string, getenv func(string) string, stderr io.Writer) (options, error) {
	o := options{config: pipedrivetest.Config{Control: true}}
	flags := flag.NewFlagSet("pipedrive-fake", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.listen, "listen", "127.0.0.1:0", "loopback `address` to listen on; port 0 takes a free one")
	flags.StringVar(&o.tokensFile, "tokens-file", "", "`file` with one valid token a line (default: PIPEDRIVE_FAKE_TOKENS, separated by commas)")
	flags.StringVar(&o.readyFile, "ready-file", "", "`file` to write the line with the address to, when ready")
	flags.StringVar(&o.switches, "switches", "", "switches at the start, as `JSON` or as @file")
	flags.BoolVar(&o.untilEOF, "until-eof", false, "also end when the standard input ends")
	flags.IntVar(&o.config.Burst, "burst", 0, "`requests` that a token may make in two seconds; 0 is 480")
	flags.IntVar(&o.config.Budget, "budget", 0, "daily budget in `tokens`; 0 is 210,000")
	flags.BoolVar(&o.config.RetryAfter, "retry-after", false, "send Retry-After with 429 answers of the limits")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	tokens, err := standin.Tokens(o.tokensFile, tokensVariable, getenv(tokensVariable))
	if err != nil {
		return options{}, err
	}
	for _, t := range tokens {
		o.config.Tokens = append(o.config.Tokens, pipedrivetest.Token{Text: t})
	}
	return o, standin.ReadSwitches(o.switches, &o.config.Switches)
}
