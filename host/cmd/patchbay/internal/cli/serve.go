package cli

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/patchbay-crm/patchbay/host/config"
)

const configHelp = `Settings come from built-in defaults, then the file that --config names, then
PATCHBAY_* variables, then flags; later ones win. With none of them the host serves
on 127.0.0.1:8080, keeps its SQLite database in ./var, and takes adapters from
./dist/adapters.`

// configFlags adds --config and a flag for every setting.
func (a *app) configFlags(cmd *cobra.Command) *string {
	file := cmd.Flags().String("config", "", "YAML file (default $PATCHBAY_CONFIG, else none)")
	config.AddFlags(cmd.Flags())
	cmd.Long += "\n\n" + settingsTable()
	return file
}

// settingsTable lists every setting by its key.
func settingsTable() string {
	var b strings.Builder
	b.WriteString("Settings (key in the file, type, default):\n")
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, s := range config.Settings() {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", s.Key, s.Type, s.Default)
	}
	_ = t.Flush() // a strings.Builder takes everything
	return strings.TrimRight(b.String(), "\n")
}

// sources returns what the configuration is to be read from.
func (a *app) sources(file string, flags *pflag.FlagSet) config.Sources {
	if file == "" {
		file = a.env.variable("PATCHBAY_CONFIG")
	}
	return config.Sources{File: file, Environ: a.env.Environ, Flags: flags, Executable: a.env.Executable}
}

func (a *app) serve() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the host",
		Long: `Runs the host until it gets SIGINT, SIGTERM or SIGHUP; then it lets calls in flight
end within drainTimeout, stops the adapters and closes the database. A second signal
ends it at once, and everything unsettled is settled at the next start. SIGHUP does
not read the configuration again, and where it is ignored (nohup) it stays so.

` + configHelp,
		Example: `  patchbay serve
  patchbay serve --config patchbay.yaml
  PATCHBAY_DATA_DIR=/var/lib/patchbay patchbay serve --listen :8080 --log-format json`,
		Args: cobra.NoArgs, GroupID: groupHost,
	}
	file := a.configFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, warnings, err := config.Load(a.sources(*file, cmd.Flags()))
		if err != nil {
			return configFault(err)
		}
		return a.actions.Serve(cmd.Context(), c, warnings)
	}
	return cmd
}

// configFault makes faults of the configuration faults of usage: a file that
// cannot be read is one, too.
func configFault(err error) error {
	var faults config.Faults
	if errors.As(err, &faults) {
		return usagef("the configuration has %d fault(s):\n%w", len(faults), err)
	}
	return &usageError{err}
}

func (a *app) doctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the configuration and the machine, and say how to mend what is wrong",
		Long: `Checks the configuration, the data directory and its files, the address, the
adapter packages and what the kernel offers, and says of each fault how to mend it.
Where no host runs, it looks into the database, too. It changes nothing and runs
beside a running host. It takes the flags of serve. The exit code is 0 when nothing
stands in the way of a host, else 1.

` + configHelp,
		Example: `  patchbay doctor
  patchbay doctor --config patchbay.yaml --json`,
		Args: cobra.NoArgs, GroupID: groupHost,
	}
	file := a.configFlags(cmd)
	cmd.Flags().BoolVar(&a.asJSON, "json", false, "print the findings as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		healthy, err := a.actions.Doctor(cmd.Context(), a.sources(*file, cmd.Flags()), a.env.Out, a.asJSON)
		if err != nil {
			return err
		}
		if !healthy {
			return &quietError{ExitFailed}
		}
		return nil
	}
	return cmd
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs, GroupID: groupHost,
		Example: "  patchbay version",
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.env.Out, a.env.Version)
			return err
		},
	}
}

func (a *app) demo() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use: "demo", Short: "Show the whole of it with the example CRM", Args: cobra.NoArgs, Hidden: true,
		Long: `Starts the example CRM and a host on free ports with a fresh data directory, logs
messages, breaks things, and compares the ledger with the CRM. "make demo" builds
what it needs.`,
		Example: "  patchbay demo\n  patchbay demo --keep",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.actions.Demo(cmd.Context(), a.env.Out, keep)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the CRM and the host running until interrupted")
	return cmd
}
