package cli

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

func (a *app) adapterInstall() *cobra.Command {
	var version string
	cmd := &cobra.Command{
		Use: "install NAME", Short: "Install an adapter's packages as they lie in adaptersDirs now", Args: cobra.ExactArgs(1),
		Long: `Has the host read its adaptersDirs again and take what lies there of the adapter:
versions that are new, and builds that differ from what was installed under their
version (digest_mismatch). It needs the admin token.

Every package is checked first; one that is refused changes nothing, and the answer
says why. Where a process serves calls, one of the new build must serve before
anything changes. Then calls go to it, and the old one ends with its calls: no call
is dropped.

No tenant gets another version by this: patchbay adapter enable does that. With
--version the other versions stay as they are; without it, a version that lies there
no more is gone for new calls.`,
		Example: "  patchbay adapter install examplecrm\n  patchbay adapter install examplecrm --version 1.0.0",
		RunE: func(cmd *cobra.Command, args []string) error {
			body := &object{values: map[string]json.RawMessage{}}
			body.setText("version", version)
			r := request{method: http.MethodPost, path: pathOf("v1", "adapters", args[0], "install"), body: json.RawMessage(body.bytes())}
			return exchange(a, cmd, r, func(info adapterInfo) error {
				what := args[0]
				if version != "" {
					what += " " + version
				}
				fmt.Fprintf(a.env.Out, "%s installed\n\n", printable(what, false))
				return a.printAdapter(info)
			})
		},
	}
	cmd.Flags().StringVar(&version, "version", "", "only this version (default every version that lies there)")
	return cmd
}
