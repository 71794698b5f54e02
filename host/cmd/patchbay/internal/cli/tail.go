package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// tailWindow is how many of the newest entries tail looks at each time.
const tailWindow = maxPage

// tailFlags are the flags of message tail.
type tailFlags struct {
	filter   filter
	interval time.Duration
	lines    int
	span     time.Duration
}

func (a *app) messageTail() *cobra.Command {
	var f tailFlags
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print message logs as they appear and change",
		Long: `Prints the newest message logs, oldest first, then each one that appears or
changes, until interrupted. It asks the host again and again; with more than 500
changes between two questions some are not shown.

With --json each line is one message log.`,
		Example: `  patchbay message tail --tenant acme
  patchbay message tail --tenant acme --state unknown,failed --json
  patchbay message tail --tenant acme --for 1m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.tail(cmd, &f) },
	}
	f.filter.flags(cmd)
	cmd.Flags().DurationVar(&f.interval, "interval", time.Second, "time between two questions; at least 100ms")
	cmd.Flags().IntVarP(&f.lines, "lines", "n", 10, "message logs printed at the beginning")
	cmd.Flags().DurationVar(&f.span, "for", 0, "end after this time (default never)")
	return cmd
}

func (a *app) tail(cmd *cobra.Command, f *tailFlags) error {
	if f.interval < 100*time.Millisecond || f.lines < 0 || f.span < 0 {
		return usagef("--interval must be at least 100ms, --lines and --for must not be negative")
	}
	path, query, err := a.logsPath(&f.filter)
	if err != nil {
		return err
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	if f.span > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.span)
		defer cancel()
	}
	t := tailer{client: c, path: path, query: query, seen: map[string]time.Time{}, out: a.env.Out, asJSON: a.asJSON}
	tick := time.NewTicker(f.interval)
	defer tick.Stop()
	for first := true; ; first = false {
		limit := tailWindow
		if first {
			limit = f.lines
		}
		if err := t.poll(ctx, limit); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tailer remembers what was printed.
type tailer struct {
	client *client
	path   string
	query  url.Values
	seen   map[string]time.Time // when each entry of the window was changed
	out    io.Writer
	asJSON bool
}

// poll prints what appeared or changed since the last time, at most limit
// entries.
func (t *tailer) poll(ctx context.Context, limit int) error {
	p, err := t.client.list(ctx, t.path, t.query, tailWindow)
	if err != nil {
		return err
	}
	entries, err := decodeAll[messageLog](p)
	if err != nil {
		return err
	}
	now := make(map[string]time.Time, len(entries))
	var fresh []int
	for i, e := range entries {
		now[e.ID] = e.UpdatedAt
		if before, ok := t.seen[e.ID]; !ok || !before.Equal(e.UpdatedAt) {
			fresh = append(fresh, i)
		}
	}
	t.seen = now
	fresh = fresh[:min(len(fresh), limit)]
	for _, i := range slices.Backward(fresh) {
		if err := t.print(p.Items[i], entries[i]); err != nil {
			return err
		}
	}
	return nil
}

func (t *tailer) print(raw json.RawMessage, e messageLog) error {
	if t.asJSON {
		_, err := fmt.Fprintf(t.out, "%s\n", raw)
		return err
	}
	row := logRow(e)
	for i := range row {
		row[i] = shown(row[i])
	}
	// One line each, without a heading: ID STATE ADAPTER ... as in the list.
	_, err := fmt.Fprintln(t.out, strings.Join(row, "  "))
	return err
}
