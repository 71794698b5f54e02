package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// adapterInfo is an installed adapter as the host shows it.
type adapterInfo struct {
	Name        string           `json:"name"`
	DisplayName string           `json:"displayName"`
	Versions    []adapterVersion `json:"versions"`
	Problems    []adapterProblem `json:"problems"`
	Processes   []adapterProcess `json:"processes"`
}

// adapterVersion is one installed version.
type adapterVersion struct {
	Version     string   `json:"version"`
	NotEnforced []string `json:"notEnforced"`
}

// adapterProblem says why a package cannot be used.
type adapterProblem struct {
	Version string `json:"version"`
	Cause   string `json:"cause"`
	Detail  string `json:"detail"`
	Remedy  string `json:"remedy"`
}

// adapterProcess is one process of an adapter.
type adapterProcess struct {
	Version   string    `json:"version"`
	Tenant    string    `json:"tenant"`
	State     string    `json:"state"`
	Pid       int       `json:"pid"`
	Since     time.Time `json:"since"`
	Restarts  int       `json:"restarts"`
	InFlight  int       `json:"inFlight"`
	Cause     string    `json:"cause"`
	Detail    string    `json:"detail"`
	Remedy    string    `json:"remedy"`
	NextStart time.Time `json:"nextStart"`
}

func (a *app) adapter() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "adapter",
		Short: "Installed adapters, their processes, and for whom they are enabled",
		Long: `An adapter logs messages to one kind of CRM. It is installed as a package below
adaptersDirs, enabled per tenant, and runs as a process of its own.

The commands for authors talk to no host. docs/ADAPTERS.md is their guide.`,
	}
	installed := []*cobra.Command{
		a.adapterList(), a.adapterShow(), a.adapterInstall(), a.adapterEnable(), a.adapterDisable(),
		a.processCommand("restart", "Start new processes and let the calls of the old ones end",
			"Starts a new process for each one of the adapter, then drains and ends the old ones: no call is dropped."),
		a.processCommand("unquarantine", "Start an adapter that was quarantined",
			"An adapter whose processes die again and again before they answer anything is quarantined, and started again after 1, 2, 4 ... 30 minutes. This starts it now."),
		a.adapterCrashes(),
	}
	authors := []*cobra.Command{a.adapterNew(), a.adapterPack(), a.adapterTest()}
	cmd.AddGroup(&cobra.Group{ID: groupInstalled, Title: "Adapters of a running host:"}, &cobra.Group{ID: groupAuthors, Title: "For authors of adapters:"})
	for group, subs := range map[string][]*cobra.Command{groupInstalled: installed, groupAuthors: authors} {
		for _, sub := range subs {
			sub.GroupID = group
			cmd.AddCommand(sub)
		}
	}
	return cmd
}

const (
	groupInstalled = "installed"
	groupAuthors   = "authors"
)

func (a *app) adapterList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the installed adapters", Args: cobra.NoArgs,
		Example: "  patchbay adapter list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printList(a, cmd, pathOf("v1", "adapters"), nil, 0,
				[]string{"NAME", "TITLE", "VERSIONS", "PROCESSES", "PROBLEMS"}, func(i adapterInfo) []string {
					versions := make([]string, len(i.Versions))
					for n, v := range i.Versions {
						versions[n] = v.Version
					}
					return []string{i.Name, i.DisplayName, strings.Join(versions, " "), processStates(i.Processes), strconv.Itoa(len(i.Problems))}
				})
		},
	}
}

// processStates counts processes by state, in the order in which they appear. Those
// that run and cannot serve are counted apart.
func processStates(processes []adapterProcess) string {
	counts, order := map[string]int{}, []string{}
	for _, p := range processes {
		state := p.State
		if p.idle() {
			state = "not serving"
		}
		if counts[state] == 0 {
			order = append(order, state)
		}
		counts[state]++
	}
	for i, state := range order {
		order[i] = fmt.Sprintf("%d %s", counts[state], state)
	}
	return strings.Join(order, ", ")
}

// enableFlags are the flags of adapter enable.
type enableFlags struct{ tenant, version, isolation, onUnavailable, settings string }

func (a *app) adapterEnable() *cobra.Command {
	var f enableFlags
	cmd := &cobra.Command{
		Use: "enable NAME", Short: "Enable an adapter for a tenant, or change its settings", Args: cobra.ExactArgs(1),
		Long: `Enables an adapter for a tenant. What the flags do not name stays as it is; the
first time, the version is the newest stable one, and is kept until it is changed:
installing a newer one upgrades nobody.

--settings takes a file with a JSON object. Its members are merged into the stored
settings; null removes one. Settings may be secrets: they are stored encrypted.`,
		Example: `  patchbay adapter enable examplecrm --tenant acme
  patchbay adapter enable pipedrive --tenant acme --version 1.2.0 --settings @settings.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := a.enableBody(&f)
			if err != nil {
				return err
			}
			return a.enablement(cmd, f.tenant, args[0], body, "enabled")
		},
	}
	tenantFlag(cmd, &f.tenant)
	cmd.Flags().StringVar(&f.version, "version", "", "version to use (default the stored one, else the newest stable one)")
	cmd.Flags().StringVar(&f.isolation, "isolation", "", "shared or dedicated (default the manifest's)")
	cmd.Flags().StringVar(&f.onUnavailable, "on-unavailable", "", "fail or queue: what becomes of calls while the adapter is down (default fail)")
	cmd.Flags().StringVar(&f.settings, "settings", "", "file of a JSON object with the tenant's settings as @FILE; - for standard input")
	return cmd
}

func (a *app) enableBody(f *enableFlags) (*object, error) {
	body := &object{values: map[string]json.RawMessage{"enabled": json.RawMessage("true")}, names: []string{"enabled"}}
	body.setText("version", f.version)
	body.setText("isolation", f.isolation)
	body.setText("onUnavailable", f.onUnavailable)
	if f.settings == "" {
		return body, nil
	}
	if f.settings != "-" && !strings.HasPrefix(f.settings, "@") {
		return nil, usagef("--settings takes a file as @FILE: settings may be secrets, and every user of the machine can see the values of flags")
	}
	data, err := a.input(f.settings, maxSecret)
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	n, err := strictjson.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	if !n.Is(strictjson.Object) {
		return nil, fmt.Errorf("read the settings: the file holds %s where an object is wanted", n.Kind())
	}
	body.set("settings", n.Raw())
	return body, nil
}

// enablement changes the enablement of an adapter.
func (a *app) enablement(cmd *cobra.Command, tenantFlag, adapter string, body *object, done string) error {
	tenant, err := a.tenantOf(tenantFlag)
	if err != nil {
		return err
	}
	r := request{
		method: http.MethodPatch, path: pathOf("v1", "tenants", tenant, "adapters", adapter), body: json.RawMessage(body.bytes()),
	}
	return exchange(a, cmd, r, func(e enablement) error {
		_, err := fmt.Fprintf(a.env.Out, "%s %s for %s\n", printable(strings.TrimSpace(adapter+" "+e.Version), false), done, printable(tenant, false))
		return err
	})
}

func (a *app) adapterDisable() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use: "disable NAME", Short: "Disable an adapter for a tenant", Args: cobra.ExactArgs(1),
		Long: `Disables an adapter for a tenant from the next call on. Calls in flight end, what is
unsettled is still settled, and the settings are kept.`,
		Example: "  patchbay adapter disable examplecrm --tenant acme",
		RunE: func(cmd *cobra.Command, args []string) error {
			body := &object{values: map[string]json.RawMessage{}}
			body.set("enabled", json.RawMessage("false"))
			return a.enablement(cmd, tenant, args[0], body, "disabled")
		},
	}
	tenantFlag(cmd, &tenant)
	return cmd
}

// processCommand makes a command that acts on an adapter's processes.
func (a *app) processCommand(action, short, long string) *cobra.Command {
	var version, tenant string
	cmd := &cobra.Command{
		Use: action + " NAME", Short: short, Long: long, Args: cobra.ExactArgs(1),
		Example: fmt.Sprintf("  patchbay adapter %s examplecrm\n  patchbay adapter %s examplecrm --version 1.0.0", action, action),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := &object{values: map[string]json.RawMessage{}}
			body.setText("version", version)
			body.setText("tenant", tenant)
			return a.act(cmd, request{method: http.MethodPost, path: pathOf("v1", "adapters", args[0], action), body: json.RawMessage(body.bytes())},
				args[0]+": "+action+" done")
		},
	}
	cmd.Flags().StringVar(&version, "version", "", "only processes of this version")
	cmd.Flags().StringVar(&tenant, "tenant", "", "only the process of this tenant")
	return cmd
}

// crash is a crash report as the host shows it.
type crash struct {
	Time       time.Time `json:"time"`
	Version    string    `json:"version"`
	Tenant     string    `json:"tenant"`
	Pid        int       `json:"pid"`
	Cause      string    `json:"cause"`
	Detail     string    `json:"detail"`
	Remedy     string    `json:"remedy"`
	ExitCode   int       `json:"exitCode"`
	Signal     string    `json:"signal"`
	UptimeMS   int64     `json:"uptimeMs"`
	Stderr     []string  `json:"stderr"`
	RequestIDs []string  `json:"requestIds"`
	Decision   string    `json:"decision"`
}

func (a *app) adapterCrashes() *cobra.Command {
	return &cobra.Command{
		Use: "crashes NAME", Short: "List the newest crashes of an adapter", Args: cobra.ExactArgs(1),
		Long:    "Lists the newest crashes of an adapter, with how each ended and what the host did. --json adds the last lines of standard error and the request ids in flight.",
		Example: "  patchbay adapter crashes examplecrm\n  patchbay adapter crashes examplecrm --json | jq '.items[0].stderr'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return printList(a, cmd, pathOf("v1", "adapters", args[0], "crashes"), nil, unpaged,
				[]string{"TIME", "VERSION", "PID", "CAUSE", "ENDED BY", "UPTIME", "IN FLIGHT", "DECISION", "DETAIL"}, func(c crash) []string {
					ended := c.Signal
					if ended == "" {
						ended = fmt.Sprintf("exit %d", c.ExitCode)
					}
					return []string{
						moment(c.Time), c.Version, number(c.Pid), c.Cause, ended,
						(time.Duration(c.UptimeMS) * time.Millisecond).String(), strconv.Itoa(len(c.RequestIDs)), c.Decision, c.Detail,
					}
				})
		},
	}
}
