// Package cli is Patchbay's command line: the commands, their help, and a client
// of the host's HTTP API for those that talk to a running host.
//
// Results go to standard output, as a table for people or, with --json, as the
// host's own JSON for programs; everything else goes to standard error. Secrets
// come from files and environment variables only, for the value of a flag can be
// seen by every user of the machine.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// Environment is what the command line has of the process around it.
type Environment struct {
	In       io.Reader
	Out, Err io.Writer
	// Environ are the process's variables as os.Environ returns them.
	Environ []string
	// Executable is the path of the binary; empty when not known.
	Executable string
	// Version describes the build.
	Version string
	// Release is the published version of this module that the build is of, as
	// "v1.2.3"; empty when it is of none.
	Release string
}

// Actions are what the commands that need more than a running host do.
type Actions struct {
	// Serve runs the host until ctx is done.
	Serve func(ctx context.Context, c *config.Config, warnings []string) error
	// Doctor examines the configuration and the machine. It writes its findings to
	// out, as JSON when asked, and reports whether the host can run.
	Doctor func(ctx context.Context, src config.Sources, out io.Writer, asJSON bool) (healthy bool, err error)
	// TestAdapter starts the packed adapter in dir once, as a host would. It writes
	// what it found to out, as JSON when asked, and what the adapter logs to errs,
	// and reports whether a host would send calls to it.
	TestAdapter func(ctx context.Context, src config.Sources, dir string, out, errs io.Writer, asJSON bool) (serves bool, err error)
	// Demo runs the demonstration; keep leaves it running until ctx is done.
	Demo func(ctx context.Context, out io.Writer, keep bool) error
}

// Main runs the command that args, without the program's name, ask for and
// returns the exit code.
func Main(ctx context.Context, env Environment, actions Actions, args []string) int {
	a := &app{env: env, actions: actions}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	var quiet *quietError
	if !errors.As(err, &quiet) {
		report(env.Err, err)
	}
	code := exitCode(err)
	if code == ExitUsage {
		fmt.Fprintf(env.Err, "See '%s --help'.\n", cmd.CommandPath())
	}
	return code
}

// app is one run of the command line.
type app struct {
	env     Environment
	actions Actions
	client  clientFlags
	asJSON  bool
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "patchbay",
		Short: "Log SMS messages to CRMs, each exactly once",
		Long: `Patchbay takes SMS messages from messaging products and logs them to CRMs
through adapters, each of which runs as a process of its own.

"patchbay serve" runs the host. The tenant, adapter and message commands talk to
a running host over HTTP; on the host's own machine they find the admin token by
themselves.`,
		Example: `  patchbay serve
  patchbay tenant create acme --timezone America/Los_Angeles
  patchbay adapter enable examplecrm --tenant acme
  patchbay message add message.json --tenant acme --adapter examplecrm --contact-id 7 --auth-header @token.txt`,
		SilenceErrors: true, SilenceUsage: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddGroup(
		&cobra.Group{ID: groupHost, Title: "The host:"},
		&cobra.Group{ID: groupClient, Title: "Working with a running host:"},
	)
	root.SetHelpCommandGroupID("")
	root.AddCommand(
		a.serve(), a.doctor(), a.version(), a.demo(),
		a.client.on(a, a.tenant()), a.client.on(a, a.adapter()), a.client.on(a, a.message()),
		exitCodesTopic(), secretsTopic(),
	)
	root.InitDefaultCompletionCmd()
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	strict(root)
	return root
}

const (
	groupHost   = "host"
	groupClient = "client"
)

// strict makes every fault in the arguments a usageError, and gives commands that
// only group others an answer of their own.
func strict(cmd *cobra.Command) {
	if cmd.HasSubCommands() && cmd.RunE == nil && cmd.Run == nil {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			var names []string
			for _, sub := range cmd.Commands() {
				names = append(names, sub.Name())
			}
			return usagef("%q is no command of %s%s", strictjson.ShowName(args[0]), cmd.CommandPath(), strictjson.DidYouMean(args[0], names))
		}
	} else if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return &usageError{err}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
}
