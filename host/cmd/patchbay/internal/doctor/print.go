package doctor

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Print writes findings for people, one a line, with what mends them below. What
// programs and files say of themselves is shown on that line, fit for a terminal.
func Print(out io.Writer, found []Finding) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range found {
		fmt.Fprintf(t, "%s\t%s\t%s\n", f.Status, printable(f.Check), printable(f.Detail))
		if f.Remedy != "" {
			fmt.Fprintf(t, "\t\tremedy: %s\n", printable(f.Remedy))
		}
	}
	return t.Flush()
}

// printable returns text on one line, with what would steer a terminal escaped.
func printable(text string) string {
	quoted := fmt.Sprintf("%q", strings.ReplaceAll(text, "\t", "    "))
	return strings.ReplaceAll(strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`), `\\`, `\`)
}
