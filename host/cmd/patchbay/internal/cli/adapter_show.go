package cli

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) adapterShow() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show an adapter: versions, processes, and why it does not serve", Args: cobra.ExactArgs(1),
		Long: `Shows an adapter: its versions, its processes, and why a version or a process does
not serve. A process that is "ready, not serving" runs, but has said of itself that
it cannot do its work: it gets no calls, and its reason stands below.

With --tenant it shows what the adapter is to that tenant: whether it is enabled, in
which version, and the settings that are stored, secret ones as [redacted].`,
		Example: "  patchbay adapter show examplecrm\n  patchbay adapter show examplecrm --tenant acme",
		RunE: func(cmd *cobra.Command, args []string) error {
			if tenant != "" {
				return exchange(a, cmd, request{method: http.MethodGet, path: pathOf("v1", "tenants", tenant, "adapters", args[0])},
					func(e enablement) error { return a.printEnablement(tenant, e) })
			}
			return exchange(a, cmd, request{method: http.MethodGet, path: pathOf("v1", "adapters", args[0])}, a.printAdapter)
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "show what it is to the tenant with this id (default what it is to the host)")
	return cmd
}

// idle reports whether the process runs but gets no calls, because it has said
// that it cannot serve.
func (p adapterProcess) idle() bool { return p.State == "ready" && p.Cause == "not_serving" }

func (a *app) printAdapter(info adapterInfo) error {
	out := a.env.Out
	fmt.Fprintf(out, "%s (%s)\n\n", printable(info.Name, false), printable(info.DisplayName, false))
	rows := make([][]string, len(info.Versions))
	for i, v := range info.Versions {
		rows[i] = []string{v.Version, strings.Join(v.NotEnforced, " ")}
	}
	if err := table(out, []string{"VERSION", "NOT ENFORCED"}, rows); err != nil {
		return err
	}
	fmt.Fprintln(out)
	processes := make([][]string, len(info.Processes))
	for i, p := range info.Processes {
		state := p.State
		if p.idle() {
			state += ", not serving"
		}
		processes[i] = []string{
			p.Version, p.Tenant, state, number(p.Pid), moment(p.Since),
			strconv.Itoa(p.Restarts), strconv.Itoa(p.InFlight), p.Cause, moment(p.NextStart),
		}
	}
	if err := table(out, []string{"PROCESS", "TENANT", "STATE", "PID", "SINCE", "RESTARTS", "IN FLIGHT", "CAUSE", "NEXT START"}, processes); err != nil {
		return err
	}
	for _, p := range info.Processes {
		explain(out, p.Version, p.Cause, p.Detail, p.Remedy)
	}
	for _, p := range info.Problems {
		explain(out, p.Version, p.Cause, p.Detail, p.Remedy)
	}
	return nil
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// explain prints why a version does not serve and what to do about it.
func explain(w io.Writer, version, cause, detail, remedy string) {
	if cause == "" {
		return
	}
	fmt.Fprintf(w, "\n%s: %s: %s\n", shown(version), printable(cause, false), printable(detail, true))
	if remedy != "" {
		fmt.Fprintf(w, "  remedy: %s\n", printable(remedy, false))
	}
}

// printEnablement shows an adapter as a tenant has it. The host has redacted the
// secrets.
func (a *app) printEnablement(tenant string, e enablement) error {
	if err := pairs(a.env.Out, [2]string{"adapter", e.Adapter}, [2]string{"tenant", tenant}, [2]string{"enabled", yesNo(e.Enabled)},
		[2]string{"version", e.Version}, [2]string{"isolation", e.Isolation}, [2]string{"on unavailable", e.OnUnavailable},
		[2]string{"changed", moment(e.UpdatedAt)}); err != nil {
		return err
	}
	rows := make([][]string, 0, len(e.Settings))
	for _, id := range slices.Sorted(maps.Keys(e.Settings)) {
		rows = append(rows, []string{id, string(e.Settings[id])})
	}
	fmt.Fprintln(a.env.Out)
	return table(a.env.Out, []string{"SETTING", "VALUE"}, rows)
}
