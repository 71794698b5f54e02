package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// tenantInfo is a tenant as the host shows it.
type tenantInfo struct {
	ID          string    `json:"id"`
	DisplayName string    `json:"displayName"`
	Timezone    string    `json:"timezone"`
	CreatedAt   time.Time `json:"createdAt"`
}

// enablement is an adapter of a tenant as the host shows it.
type enablement struct {
	Adapter       string                     `json:"adapter"`
	Enabled       bool                       `json:"enabled"`
	Version       string                     `json:"version"`
	Isolation     string                     `json:"isolation"`
	OnUnavailable string                     `json:"onUnavailable"`
	Settings      map[string]json.RawMessage `json:"settings"`
	UpdatedAt     time.Time                  `json:"updatedAt"`
}

func (a *app) tenant() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tenant",
		Short: "Tenants and their API tokens",
		Long:  "A tenant is a customer of the messaging product. Adapters are enabled and configured per tenant.",
	}
	cmd.AddCommand(a.tenantCreate(), a.tenantList(), a.tenantShow(), a.tenantDelete(), a.token())
	return cmd
}

func (a *app) tenantCreate() *cobra.Command {
	var name, zone string
	var update bool
	cmd := &cobra.Command{
		Use:   "create ID",
		Short: "Create a tenant, or change one with --update",
		Long: `Creates a tenant. The id has 1 to 64 of a-z, 0-9, ".", "_" and "-", begins and
ends with a letter or digit, and can never be used again once deleted.

The time zone is used for messages whose request names none. With --update a
tenant that exists already gets the values of the flags that are given.`,
		Example: `  patchbay tenant create acme
  patchbay tenant create acme --display-name "Acme Inc." --timezone America/Los_Angeles
  patchbay tenant create acme --update --timezone Europe/Berlin`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]string{}
			for flag, value := range map[string]string{"displayName": name, "timezone": zone} {
				if value != "" {
					body[flag] = value
				}
			}
			return a.putTenant(cmd, args[0], body, update)
		},
	}
	cmd.Flags().StringVar(&name, "display-name", "", "name for people")
	cmd.Flags().StringVar(&zone, "timezone", "", "IANA name, such as America/Los_Angeles (default UTC)")
	cmd.Flags().BoolVar(&update, "update", false, "change the tenant if it exists")
	return cmd
}

func (a *app) putTenant(cmd *cobra.Command, id string, body any, update bool) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	path := pathOf("v1", "tenants", id)
	method := http.MethodPut
	switch _, err := c.do(cmd.Context(), request{method: http.MethodGet, path: path}, nil); {
	case err == nil && update:
		method = http.MethodPatch
	case err == nil:
		return &problem{Code: "conflict", Class: "permanent", Detail: "the tenant exists already; change it with --update"}
	case !hasCode(err, "tenant_not_found"):
		return err
	}
	var t tenantInfo
	raw, err := c.do(cmd.Context(), request{method: method, path: path, body: body}, &t)
	if err != nil {
		return err
	}
	if a.asJSON {
		return a.writeJSON(raw)
	}
	what := "created"
	if method == http.MethodPatch {
		what = "changed"
	}
	_, err = fmt.Fprintf(a.env.Out, "tenant %s %s\n", printable(t.ID, false), what)
	return err
}

func (a *app) tenantList() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List the tenants", Args: cobra.NoArgs,
		Example: "  patchbay tenant list\n  patchbay tenant list --json | jq -r .items[].id",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printList(a, cmd, pathOf("v1", "tenants"), nil, limit,
				[]string{"ID", "NAME", "TIME ZONE", "CREATED"}, func(t tenantInfo) []string {
					return []string{t.ID, t.DisplayName, t.Timezone, moment(t.CreatedAt)}
				})
		},
	}
	limitFlag(cmd, &limit)
	return cmd
}

func limitFlag(cmd *cobra.Command, limit *int) {
	cmd.Flags().IntVar(limit, "limit", 100, "most items printed; 0 for all")
}

// printList fetches a list and prints it.
func printList[T any](a *app, cmd *cobra.Command, path string, query url.Values, limit int, headings []string, row func(T) []string) error {
	if limit < 0 && limit != unpaged {
		return usagef("--limit must not be negative")
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	p, err := c.list(cmd.Context(), path, query, limit)
	if err != nil {
		return err
	}
	if a.asJSON {
		return a.writePage(p)
	}
	items, err := decodeAll[T](p)
	if err != nil {
		return err
	}
	rows := make([][]string, len(items))
	for i, item := range items {
		rows[i] = row(item)
	}
	a.more(p)
	return table(a.env.Out, headings, rows)
}

func (a *app) tenantShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show a tenant and its adapters", Args: cobra.ExactArgs(1),
		Example: "  patchbay tenant show acme",
		RunE: func(cmd *cobra.Command, args []string) error {
			r := request{method: http.MethodGet, path: pathOf("v1", "tenants", args[0])}
			return exchange(a, cmd, r, func(t tenantInfo) error {
				if err := pairs(a.env.Out, [2]string{"id", t.ID}, [2]string{"name", t.DisplayName},
					[2]string{"time zone", t.Timezone}, [2]string{"created", moment(t.CreatedAt)}); err != nil {
					return err
				}
				fmt.Fprintln(a.env.Out)
				return printList(a, cmd, pathOf("v1", "tenants", args[0], "adapters"), nil, 0,
					[]string{"ADAPTER", "ENABLED", "VERSION", "ISOLATION", "CHANGED"}, func(e enablement) []string {
						return []string{e.Adapter, yesNo(e.Enabled), e.Version, e.Isolation, moment(e.UpdatedAt)}
					})
			})
		},
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (a *app) tenantDelete() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "delete ID", Short: "Delete a tenant", Args: cobra.ExactArgs(1),
		Long: `Deletes a tenant with its tokens and settings. Its ledger entries stay, and its id
is never used again. Refused while message logs are unsettled, unless --force is
given; then nobody will settle them.`,
		Example: "  patchbay tenant delete acme\n  patchbay tenant delete acme --force",
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if force {
				query.Set("force", "true")
			}
			return a.act(cmd, request{method: http.MethodDelete, path: pathOf("v1", "tenants", args[0]), query: query},
				"tenant "+args[0]+" deleted")
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "delete it although message logs are unsettled")
	return cmd
}

// act sends a request and prints what was done.
func (a *app) act(cmd *cobra.Command, r request, done string) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	raw, err := c.do(cmd.Context(), r, nil)
	if err != nil {
		return err
	}
	if a.asJSON && len(raw) > 0 {
		return a.writeJSON(raw)
	}
	if !a.asJSON {
		_, err = fmt.Fprintln(a.env.Out, printable(done, false))
	}
	return err
}
