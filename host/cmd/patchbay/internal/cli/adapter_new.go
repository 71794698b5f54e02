package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/scaffold"
)

// writtenInfo is a module that was written, as --json prints it.
type writtenInfo struct {
	Name   string `json:"name"`
	Module string `json:"module"`
	Dir    string `json:"dir"`
	Ready  bool   `json:"ready"`
}

func (a *app) adapterNew() *cobra.Command {
	var m scaffold.Module
	cmd := &cobra.Command{
		Use: "new NAME", Short: "Write the Go module of a new adapter",
		Long: `Writes a small adapter that is complete: it builds, passes its tests, and can be
packed and run with the fake CRM that comes with it. Change it into yours. NAME is
the adapter's name, as "pipedrive"; the module gets a folder of that name.

The module requires the version of Patchbay that this command is of. With --replace
it takes a checkout of Patchbay's repository in place of a published version. Its
go.mod names that checkout relative to the module's folder when --replace is a
relative path, so that the two can be moved together, and else by its whole path.`,
		Example: `  patchbay adapter new acme --module github.com/me/patchbay-acme
  patchbay adapter new acme --replace ../patchbay`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			m.Name, m.SDKVersion = args[0], a.env.Release
			if m.SDKVersion == "" && m.Checkout == "" {
				return usagef("this build of patchbay is of no published version that the module could require: " +
					"give the path of a checkout of Patchbay's repository with --replace")
			}
			w, err := scaffold.Write(m)
			if err != nil {
				return err
			}
			return a.printWritten(w)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&m.Path, "module", "", "path of the Go module (default example.com/NAME)")
	flags.StringVar(&m.Dir, "dir", ".", "directory in which the module's folder is made")
	flags.StringVar(&m.Checkout, "replace", "", "path of a checkout of Patchbay's repository to build against")
	return a.offline(cmd)
}

func (a *app) printWritten(w scaffold.Written) error {
	if a.asJSON {
		raw, err := json.Marshal(writtenInfo{Name: w.Name, Module: w.Path, Dir: w.Dir, Ready: w.Ready})
		if err != nil {
			return fmt.Errorf("print the module: %w", err)
		}
		return a.writeJSON(raw)
	}
	next := "go test ./..."
	if !w.Ready {
		next = "go mod tidy && " + next
	}
	return pairs(a.env.Out, [2]string{"module", w.Path}, [2]string{"folder", w.Dir}, [2]string{"next", "cd " + w.Dir + " && " + next},
		[2]string{"then", "README.md"})
}
