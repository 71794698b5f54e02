package cli

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// apiToken describes a token as the host shows it. Token is set only in the
// answer that creates it.
type apiToken struct {
	ID        string    `json:"id"`
	Token     string    `json:"token"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"createdAt"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// hasCode reports whether the host answered with that code.
func hasCode(err error, code string) bool {
	var p *problem
	return errors.As(err, &p) && p.Code == code
}

func (a *app) token() *cobra.Command {
	cmd := &cobra.Command{
		Use: "token", Short: "API tokens of a tenant",
		Long: "With a token a messaging product logs messages for one tenant, and reads that tenant's message logs. It can change nothing else.",
	}
	cmd.AddCommand(a.tokenCreate(), a.tokenList(), a.tokenRevoke())
	return cmd
}

func (a *app) tokenCreate() *cobra.Command {
	var name string
	var lifetime time.Duration
	cmd := &cobra.Command{
		Use: "create TENANT", Short: "Create a token and print it, once", Args: cobra.ExactArgs(1),
		Long: `Creates a token and prints it on standard output. The host keeps a hash only: the
token cannot be shown again.`,
		Example: `  patchbay tenant token create acme --name production > acme.token
  patchbay tenant token create acme --name trial --expires-in 720h`,
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]string{"name": name}
			if lifetime < 0 {
				return usagef("--expires-in must not be negative")
			}
			if lifetime > 0 {
				body["expiresAt"] = time.Now().Add(lifetime).UTC().Format(time.RFC3339)
			}
			r := request{method: http.MethodPost, path: pathOf("v1", "tenants", args[0], "tokens"), body: body}
			return exchange(a, cmd, r, func(t apiToken) error {
				fmt.Fprintf(a.env.Err, "token %s of tenant %s; it is shown only this once\n", printable(t.ID, false), printable(args[0], false))
				_, err := fmt.Fprintln(a.env.Out, printable(t.Token, false))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "cli", "what the token is for")
	cmd.Flags().DurationVar(&lifetime, "expires-in", 0, "time until it expires, such as 720h (default never)")
	return cmd
}

func (a *app) tokenList() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "list TENANT", Short: "List the tokens of a tenant", Args: cobra.ExactArgs(1),
		Example: "  patchbay tenant token list acme",
		RunE: func(cmd *cobra.Command, args []string) error {
			return printList(a, cmd, pathOf("v1", "tenants", args[0], "tokens"), nil, limit,
				[]string{"ID", "NAME", "CREATED", "EXPIRES"}, func(t apiToken) []string {
					return []string{t.ID, t.Name, moment(t.CreatedAt), moment(t.ExpiresAt)}
				})
		},
	}
	limitFlag(cmd, &limit)
	return cmd
}

func (a *app) tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke TENANT TOKEN-ID", Short: "Revoke a token, at once", Args: cobra.ExactArgs(2),
		Example: "  patchbay tenant token revoke acme 01JMZ3V7QX0000000000000000",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.act(cmd, request{method: http.MethodDelete, path: pathOf("v1", "tenants", args[0], "tokens", args[1])},
				"token "+args[1]+" revoked")
		},
	}
}
