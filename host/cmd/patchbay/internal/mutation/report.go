package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// report prints the table, and what a test printed where it did not fail as it
// should. The error says how many did not.
func report(out io.Writer, results []result) error {
	var bad []result
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VERDICT\tTOOK\tRULE\tTEST")
	for _, r := range results {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s %s\n", r.verdict, seconds(r.took), r.rule, r.pkg, r.test)
		if r.verdict != caught {
			bad = append(bad, r)
		}
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	for _, r := range bad {
		fmt.Fprintf(out, "\n%s: %s\n%s:\n%s%s%s %s:\n%s", r.verdict, r.rule, r.file,
			marked("-", r.find), marked("+", r.put), r.pkg, r.test, marked("    ", r.output))
	}
	if len(bad) > 0 {
		return fmt.Errorf("%d of %d mutations were not caught", len(bad), len(results))
	}
	fmt.Fprintf(out, "\nEach of the %d mutations is caught by its test.\n", len(results))
	return nil
}

// printList prints the rules and their tests.
func printList(out io.Writer, all []mutation) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, m := range all {
		fmt.Fprintf(table, "%s\t%s\t%s %s\n", m.rule, m.file, m.pkg, m.test)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the list: %w", err)
	}
	return nil
}

// marked puts a mark before each line.
func marked(mark, lines string) string {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		b.WriteString(mark + strings.TrimSuffix(line, "\n") + "\n")
	}
	return b.String()
}

// seconds shows a duration to a tenth of a second.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }
