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
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/patchbay-crm/patchbay/plugins/pipedrive/internal/pipedrivetest"
)

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
	ln, err := listen(ctx, o.listen)
	if err != nil {
		return err
	}
	if err := announce(stdout, o.readyFile, ln.Addr().String()); err != nil {
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
	var err error
	if o.config.Tokens, err = readTokens(o.tokensFile, getenv); err != nil {
		return options{}, err
	}
	o.config.Switches, err = readSwitches(o.switches)
	return o, err
}

func readTokens(path string, getenv func(string) string) ([]pipedrivetest.Token, error) {
	text := getenv("PIPEDRIVE_FAKE_TOKENS")
	if path != "" {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read tokens: %w", err)
		}
		text = string(content)
	}
	var tokens []pipedrivetest.Token
	for _, t := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }) {
		tokens = append(tokens, pipedrivetest.Token{Text: t})
	}
	if len(tokens) == 0 {
		return nil, errors.New("no tokens: set PIPEDRIVE_FAKE_TOKENS or use -tokens-file")
	}
	return tokens, nil
}

func readSwitches(text string) (pipedrivetest.Switches, error) {
	var s pipedrivetest.Switches
	if path, ok := strings.CutPrefix(text, "@"); ok {
		content, err := os.ReadFile(path)
		if err != nil {
			return s, fmt.Errorf("read switches: %w", err)
		}
		text = string(content)
	}
	if text == "" {
		return s, nil
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("read switches: %w", err)
	}
	return s, nil
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if tcp, ok := ln.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		return nil, errors.Join(fmt.Errorf("listen on %s: the page and the judge ask for no credentials, so only a loopback address will do", address), ln.Close())
	}
	return ln, nil
}

// announce says where the fake listens. The file appears whole or not at all.
func announce(stdout io.Writer, path, address string) error {
	line, err := json.Marshal(struct {
		Listening string `json:"listening"`
		URL       string `json:"url"`
	}{address, "http://" + address})
	if err != nil {
		return fmt.Errorf("announce address: %w", err)
	}
	line = append(line, '\n')
	if path != "" {
		temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
		if err := os.WriteFile(temp, line, 0o600); err != nil {
			return fmt.Errorf("write ready file: %w", err)
		}
		if err := os.Rename(temp, path); err != nil {
			return fmt.Errorf("write ready file: %w", err)
		}
	}
	if _, err := stdout.Write(line); err != nil {
		return fmt.Errorf("announce address: %w", err)
	}
	return nil
}
