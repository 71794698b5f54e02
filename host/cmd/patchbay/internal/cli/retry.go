package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) messageRetry() *cobra.Command {
	var tenant, auth string
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "retry ID", Short: "Send a failed message log again", Args: cobra.ExactArgs(1),
		Long: `Sends the stored request of a failed entry again and prints the log ID. A fresh
authorization header for the CRM can be given. Refused when the messages were
logged meanwhile, or when the outcome of an earlier attempt is unknown.`,
		Example: `  patchbay message retry 01JMZ3V7QX0000000000000000 --tenant acme
  patchbay message retry 01JMZ3V7QX0000000000000000 --tenant acme --auth-header @header.txt`,
		RunE: func(cmd *cobra.Command, args []string) error {
			tenant, err := a.tenantOf(tenant)
			if err != nil {
				return err
			}
			body, err := a.authBody(auth)
			if err != nil {
				return err
			}
			header, err := preferWait(wait)
			if err != nil {
				return err
			}
			return a.call(cmd, request{
				method: http.MethodPost, path: pathOf("v1", "tenants", tenant, "message-logs", args[0], "retry"),
				body: json.RawMessage(body.bytes()), header: header,
			})
		},
	}
	tenantFlag(cmd, &tenant)
	authFlag(cmd, &auth)
	waitFlag(cmd, &wait)
	return cmd
}

func authFlag(cmd *cobra.Command, auth *string) {
	cmd.Flags().StringVar(auth, "auth-header", "", "file of a fresh Authorization header for the CRM as @FILE (default $PATCHBAY_AUTH_HEADER)")
}

// authBody returns a body with the authorization header, if there is one.
func (a *app) authBody(flag string) (*object, error) {
	auth, err := a.secret("--auth-header", flag, "PATCHBAY_AUTH_HEADER")
	if err != nil {
		return nil, err
	}
	body := &object{values: map[string]json.RawMessage{}}
	body.setText("authHeader", auth.Reveal())
	return body, nil
}

// resolveFlags are the flags of message resolve.
type resolveFlags struct {
	filter      filter
	logID, from string
	notLogged   bool
	auth        string
	dryRun      bool
}

// verdict is what a person found out about one entry.
type verdict struct {
	id    string
	logID string // empty: not logged
}

func (a *app) messageResolve() *cobra.Command {
	var f resolveFlags
	cmd := &cobra.Command{
		Use:   "resolve [ID]",
		Short: "Settle message logs whose outcome is unknown",
		Long: `Tells the host what a person found out in the CRM: the record's log ID, or that
there is none. "Not logged" is accepted only after the time within which the CRM
may still act on the request; before, the host answers when that will be.

Without an ID it settles every entry that the filters select (--state unknown is
implied) as --not-logged; --from settles the entries that a file lists, one a line
as "ID LOG-ID", or "ID -" for not logged. --dry-run prints what would be settled.`,
		Example: `  patchbay message resolve 01JMZ3V7QX0000000000000000 --tenant acme --log-id 5512
  patchbay message resolve 01JMZ3V7QX0000000000000000 --tenant acme --not-logged
  patchbay message resolve --tenant acme --adapter examplecrm --state unknown --not-logged --dry-run
  patchbay message resolve --tenant acme --from found.txt`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.resolve(cmd, &f, args) },
	}
	f.filter.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.logID, "log-id", "", "ID of the record found in the CRM")
	flags.BoolVar(&f.notLogged, "not-logged", false, "there is no record in the CRM")
	flags.StringVar(&f.from, "from", "", `file of lines "ID LOG-ID" or "ID -"; "-" for standard input`)
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be settled, and settle nothing")
	authFlag(cmd, &f.auth)
	return cmd
}

func (a *app) resolve(cmd *cobra.Command, f *resolveFlags, args []string) error {
	ways := 0
	for _, given := range []bool{f.logID != "", f.notLogged, f.from != ""} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return usagef("say what was found: one of --log-id, --not-logged and --from")
	case f.logID != "" && len(args) == 0:
		return usagef("--log-id is of one record: name the message log")
	case f.from != "" && len(args) > 0:
		return usagef("--from lists the message logs: name none beside it")
	}
	tenant, err := a.tenantOf(f.filter.tenant)
	if err != nil {
		return err
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	auth, err := a.authBody(f.auth)
	if err != nil {
		return err
	}
	verdicts, err := a.verdicts(cmd, c, f, args)
	if err != nil {
		return err
	}
	if f.dryRun {
		return a.printVerdicts(verdicts)
	}
	return a.settle(cmd, c, tenant, verdicts, auth)
}

// verdicts returns what is to be settled, and how.
func (a *app) verdicts(cmd *cobra.Command, c *client, f *resolveFlags, args []string) ([]verdict, error) {
	if len(args) == 1 {
		return []verdict{{args[0], f.logID}}, nil
	}
	if f.from != "" {
		data, err := a.input(f.from, maxMessageFile)
		if err != nil {
			return nil, fmt.Errorf("read what to settle: %w", err)
		}
		return readVerdicts(data)
	}
	for _, s := range f.filter.states {
		if s != "unknown" {
			return nil, usagef("only entries in state unknown can be settled, not %s", s)
		}
	}
	f.filter.states = []string{"unknown"}
	path, query, err := a.logsPath(&f.filter)
	if err != nil {
		return nil, err
	}
	p, err := c.list(cmd.Context(), path, query, 0)
	if err != nil {
		return nil, err
	}
	entries, err := decodeAll[messageLog](p)
	out := make([]verdict, len(entries))
	for i, e := range entries {
		out[i].id = e.ID
	}
	return out, err
}

func readVerdicts(data []byte) ([]verdict, error) {
	var out []verdict
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "#"):
		case len(words) != 2:
			return nil, usagef(`line %d must be "ID LOG-ID" or "ID -"`, n)
		case words[1] == "-":
			out = append(out, verdict{id: words[0]})
		default:
			out = append(out, verdict{words[0], words[1]})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read what to settle: %w", err)
	}
	return out, nil
}

func (a *app) printVerdicts(verdicts []verdict) error {
	rows := make([][]string, len(verdicts))
	for i, v := range verdicts {
		rows[i] = []string{v.id, settledAs(v)}
	}
	return table(a.env.Out, []string{"ID", "WOULD BE"}, rows)
}

func settledAs(v verdict) string {
	if v.logID == "" {
		return "not logged"
	}
	return "logged as " + v.logID
}

// settle tells the host each verdict. One refusal does not stop the others; the
// exit code is that of the worst.
func (a *app) settle(cmd *cobra.Command, c *client, tenant string, verdicts []verdict, auth *object) error {
	var answers []json.RawMessage
	worst, done := ExitOK, 0
	for _, v := range verdicts {
		body := &object{names: slices.Clone(auth.names), values: maps.Clone(auth.values)}
		if v.logID == "" {
			body.set("notLogged", json.RawMessage("true"))
		} else {
			body.setText("logId", v.logID)
		}
		raw, err := c.do(cmd.Context(), request{
			method: http.MethodPost, path: pathOf("v1", "tenants", tenant, "message-logs", v.id, "resolve"),
			body: json.RawMessage(body.bytes()),
		}, nil)
		if err != nil && (len(verdicts) == 1 || cmd.Context().Err() != nil) {
			return err
		}
		if err != nil {
			worst = max(worst, exitCode(err))
			fmt.Fprintf(a.env.Err, "%s: ", printable(v.id, false))
			report(a.env.Err, err)
			var p *problem
			if errors.As(err, &p) && a.asJSON {
				answers = append(answers, p.raw)
			}
			continue
		}
		done++
		answers = append(answers, raw)
		if !a.asJSON {
			fmt.Fprintf(a.env.Out, "%s: %s\n", printable(v.id, false), printable(settledAs(v), false))
		}
	}
	if a.asJSON {
		if err := a.writePage(page{Items: answers}); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.env.Err, "%d of %d settled\n", done, len(verdicts))
	if worst != ExitOK {
		return &quietError{worst}
	}
	return nil
}
