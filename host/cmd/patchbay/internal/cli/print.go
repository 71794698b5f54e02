package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// writeJSON prints a JSON value, indented, its numbers and text untouched.
func (a *app) writeJSON(raw json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(raw), "", "  "); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	b.WriteByte('\n')
	_, err := a.env.Out.Write(b.Bytes())
	return err
}

// exchange makes the request and prints the answer: as the host's JSON, or as show
// has it for people.
func exchange[T any](a *app, cmd *cobra.Command, r request, show func(T) error) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	var answer T
	raw, err := c.do(cmd.Context(), r, &answer)
	if err != nil {
		return err
	}
	if a.asJSON {
		return a.writeJSON(raw)
	}
	return show(answer)
}

// writePage prints a list as JSON.
func (a *app) writePage(p page) error {
	raw, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	return a.writeJSON(raw)
}

// table prints rows under headings. Empty cells read "-".
func table(w io.Writer, headings []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(headings, "\t"))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = shown(cell)
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	return t.Flush()
}

// pairs prints names and values, one pair a line.
func pairs(w io.Writer, items ...[2]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, item := range items {
		fmt.Fprintf(t, "%s:\t%s\n", item[0], shown(item[1]))
	}
	return t.Flush()
}

func shown(cell string) string {
	if cell == "" {
		return "-"
	}
	return printable(cell, false)
}

// moment shows a time to the second, "" for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

// decodeAll decodes the items of a page.
func decodeAll[T any](p page) ([]T, error) {
	out := make([]T, len(p.Items))
	for i, raw := range p.Items {
		if err := json.Unmarshal(raw, &out[i]); err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
	}
	return out, nil
}

// more tells a person that a list goes on.
func (a *app) more(p page) {
	if p.NextCursor != "" {
		fmt.Fprintln(a.env.Err, "There are more; raise --limit, or 0 for all.")
	}
}
