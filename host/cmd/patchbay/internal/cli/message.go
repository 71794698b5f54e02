package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/patchbay-crm/patchbay/host/ledger"
)

// messageLog is an entry of the ledger as the host shows it.
type messageLog struct {
	ID      string `json:"id"`
	State   string `json:"state"`
	Adapter struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"adapter"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	Contact struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	} `json:"contact"`
	LogID         string       `json:"logId"`
	LogURL        string       `json:"logUrl"`
	Messages      []entryEntry `json:"messages"`
	Attempts      int          `json:"attempts"`
	CreatedAt     time.Time    `json:"createdAt"`
	UpdatedAt     time.Time    `json:"updatedAt"`
	NextAttemptAt time.Time    `json:"nextAttemptAt"`
	SettlesAt     time.Time    `json:"settlesAt"`
	ForgottenAt   time.Time    `json:"forgottenAt"`
	StrayIDs      []string     `json:"strayIds"`
	Vanished      bool         `json:"vanished"`
	Problem       *problem     `json:"problem"`
	Reconcile     *struct {
		LastAt  time.Time `json:"lastAt"`
		Verdict string    `json:"verdict"`
	} `json:"reconcile"`
}

// entryEntry is one message of an entry.
type entryEntry struct {
	ID string `json:"id"`
}

// messageIDs returns the ids, shortened when there are many.
func (m messageLog) messageIDs() string {
	const most = 3
	ids := make([]string, 0, most)
	for i, message := range m.Messages {
		if i == most {
			return fmt.Sprintf("%s and %d more", strings.Join(ids, " "), len(m.Messages)-most)
		}
		ids = append(ids, message.ID)
	}
	return strings.Join(ids, " ")
}

func (a *app) message() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "message",
		Short: "Log messages, and look after message logs",
		Long: `A message log is one entry of the host's ledger: one record in the CRM, made or
to be made, for one message or a group. Its states:

  in_flight  claimed; a call to the adapter may be on its way
  logged     the CRM record exists and has a log ID
  unknown    the CRM may have acted; the host searches for the record, or waits
             for a person where the adapter cannot search
  queued     surely not done; will be sent again
  failed     surely not done; "retry" sends it again`,
	}
	cmd.AddCommand(a.messageAdd(), a.messageList(), a.messageShow(), a.messageRetry(), a.messageResolve(), a.messageForget(), a.messageTail())
	return cmd
}

// tenantFlag adds --tenant; tenantOf reads it.
func tenantFlag(cmd *cobra.Command, tenant *string) {
	cmd.Flags().StringVar(tenant, "tenant", "", "the tenant's id (default $PATCHBAY_TENANT)")
}

func (a *app) tenantOf(flag string) (string, error) {
	if flag == "" {
		flag = a.env.variable("PATCHBAY_TENANT")
	}
	if flag == "" {
		return "", usagef("name the tenant with --tenant or PATCHBAY_TENANT")
	}
	return flag, nil
}

// filter selects message logs.
type filter struct {
	tenant, adapter, contact, message, user, since, until string
	states                                                []string
}

func (f *filter) flags(cmd *cobra.Command) {
	tenantFlag(cmd, &f.tenant)
	flags := cmd.Flags()
	flags.StringVar(&f.adapter, "adapter", "", "only of this adapter")
	flags.StringSliceVar(&f.states, "state", nil, "only in these states: in_flight, logged, unknown, queued, failed")
	flags.StringVar(&f.contact, "contact", "", "only of this contact id")
	flags.StringVar(&f.message, "message-id", "", "only with this message")
	flags.StringVar(&f.user, "user", "", "only of this user id")
	flags.StringVar(&f.since, "since", "", "only made at or after this: RFC 3339, or an age such as 2h")
	flags.StringVar(&f.until, "until", "", "only made before this: RFC 3339, or an age such as 2h")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(stateNames(), cobra.ShellCompDirectiveNoFileComp))
}

func stateNames() []string {
	var names []string
	for _, s := range ledger.States() {
		names = append(names, string(s))
	}
	return names
}

// query returns the filter as the host takes it.
func (f *filter) query(now time.Time) (url.Values, error) {
	q := url.Values{}
	for name, value := range map[string]string{"adapter": f.adapter, "contact": f.contact, "messageId": f.message, "user": f.user} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(f.states) > 0 {
		q.Set("state", strings.Join(f.states, ","))
	}
	for name, value := range map[string]string{"since": f.since, "until": f.until} {
		if value == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, value)
		if age, ageErr := time.ParseDuration(value); err != nil && ageErr == nil && age >= 0 {
			at, err = now.Add(-age), nil
		}
		if err != nil {
			return nil, usagef("--%s must be a time such as 2025-02-18T13:24:50Z or an age such as 2h", name)
		}
		q.Set(name, at.UTC().Format(time.RFC3339Nano))
	}
	return q, nil
}

var logHeadings = []string{"ID", "STATE", "ADAPTER", "CONTACT", "MESSAGES", "LOG ID", "TRIES", "CHANGED", "PROBLEM"}

func logRow(m messageLog) []string {
	trouble := ""
	if m.Problem != nil {
		trouble = m.Problem.Code
	}
	state := m.State
	if !m.ForgottenAt.IsZero() {
		state += ", forgotten"
	}
	return []string{m.ID, state, m.Adapter.Name, m.Contact.ID, m.messageIDs(), m.LogID, strconv.Itoa(m.Attempts), moment(m.UpdatedAt), trouble}
}

func (a *app) messageList() *cobra.Command {
	var f filter
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List message logs, newest first", Args: cobra.NoArgs,
		Example: `  patchbay message list --tenant acme
  patchbay message list --tenant acme --state unknown,failed --since 24h
  patchbay message list --tenant acme --message-id 60279564004 --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, query, err := a.logsPath(&f)
			if err != nil {
				return err
			}
			return printList(a, cmd, path, query, limit, logHeadings, logRow)
		},
	}
	f.flags(cmd)
	limitFlag(cmd, &limit)
	return cmd
}

// logsPath returns where the message logs of a filter are found.
func (a *app) logsPath(f *filter) (string, url.Values, error) {
	tenant, err := a.tenantOf(f.tenant)
	if err != nil {
		return "", nil, err
	}
	query, err := f.query(time.Now())
	return pathOf("v1", "tenants", tenant, "message-logs"), query, err
}

func (a *app) messageShow() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show one message log", Args: cobra.ExactArgs(1),
		Example: "  patchbay message show 01JMZ3V7QX0000000000000000 --tenant acme",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.entry(cmd, tenant, args[0], "", nil)
		},
	}
	tenantFlag(cmd, &tenant)
	return cmd
}

// entry reads a message log, or does something to it, and prints the answer.
func (a *app) entry(cmd *cobra.Command, tenantFlag, id, action string, body any) error {
	tenant, err := a.tenantOf(tenantFlag)
	if err != nil {
		return err
	}
	r := request{method: http.MethodGet, path: pathOf("v1", "tenants", tenant, "message-logs", id)}
	if action != "" {
		r.method, r.path, r.body = http.MethodPost, r.path+"/"+action, body
	}
	return exchange(a, cmd, r, a.printEntry)
}

func (a *app) printEntry(m messageLog) error {
	items := [][2]string{
		{"id", m.ID},
		{"state", m.State},
		{"log ID", m.LogID},
		{"page", m.LogURL},
		{"adapter", strings.TrimSpace(m.Adapter.Name + " " + m.Adapter.Version)},
		{"contact", strings.TrimSpace(m.Contact.ID + " " + m.Contact.Type)},
		{"user", m.User.ID},
		{"messages", m.messageIDs()},
		{"attempts", strconv.Itoa(m.Attempts)},
		{"created", moment(m.CreatedAt)},
		{"changed", moment(m.UpdatedAt)},
	}
	if len(m.StrayIDs) > 0 {
		items = append(items, [2]string{"duplicates", strings.Join(m.StrayIDs, " ")})
	}
	if m.Vanished {
		items = append(items, [2]string{"vanished", "the CRM record was gone when it was looked for again"})
	}
	if !m.SettlesAt.IsZero() {
		items = append(items, [2]string{"settles", moment(m.SettlesAt)})
	}
	if !m.ForgottenAt.IsZero() {
		items = append(items, [2]string{"forgotten", moment(m.ForgottenAt)})
	}
	if !m.NextAttemptAt.IsZero() {
		items = append(items, [2]string{"next attempt", moment(m.NextAttemptAt)})
	}
	if m.Problem != nil {
		items = append(items, [2]string{"problem", m.Problem.Error()})
	}
	if m.Reconcile != nil && m.Reconcile.Verdict != "" {
		items = append(items, [2]string{"last search", m.Reconcile.Verdict + " at " + moment(m.Reconcile.LastAt)})
	}
	return pairs(a.env.Out, items...)
}

func (a *app) messageForget() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use: "forget ID", Short: "Free the messages of a log whose CRM record was deleted", Args: cobra.ExactArgs(1),
		Long: `Lets go of the messages of a logged entry, so that they can be logged again. Use it
when the record was deleted in the CRM; the entry stays as history. If the record
still exists, logging the messages again makes a second one.`,
		Example: "  patchbay message forget 01JMZ3V7QX0000000000000000 --tenant acme",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.entry(cmd, tenant, args[0], "forget", nil)
		},
	}
	tenantFlag(cmd, &tenant)
	return cmd
}
