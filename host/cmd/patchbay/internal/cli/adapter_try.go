package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/patchbay-crm/patchbay/host/config"
)

func (a *app) adapterTest() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "test PACKAGE", Short: "Start a packed adapter once, as a host would, and say what a host would see",
		Long: `Checks the package in the folder PACKAGE, starts its executable as a host does, asks
it what it can do and whether it can serve, and ends it. Each fault is shown with
its cause and remedy. No message is logged, and no running host is needed.

What the configuration says of the adapter holds here, too: its variables, the
private addresses that it may call, its limits. What the adapter logs goes to
standard error. The exit code is 0 when a host would send calls to it, else 1.`,
		Example: `  patchbay adapter test dist/adapters/acme/0.1.0
  patchbay adapter test dist/adapters/acme/0.1.0 --config patchbay.yaml --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			serves, err := a.actions.TestAdapter(cmd.Context(), a.sources(file, nil), args[0], a.env.Out, a.env.Err, a.asJSON)
			var faults config.Faults
			switch {
			case errors.As(err, &faults):
				return configFault(err)
			case err != nil:
				return err
			case !serves:
				return &quietError{ExitFailed}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "YAML file of the host's configuration (default $PATCHBAY_CONFIG, else none)")
	return a.offline(cmd)
}
