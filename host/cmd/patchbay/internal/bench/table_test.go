package bench

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

var (
	flagCell    = flag.Duration("cell", time.Second, "how long one cell of the table is measured")
	flagRounds  = flag.Int("rounds", 3, "how often every cell is measured")
	flagPaths   = flag.String("paths", "ABCD", "the paths to measure")
	flagCallers = flag.String("callers", "1,16,64", "the numbers of callers")
	flagProfile = flag.String("profile", "", "absolute path of a directory for profiles of the host and of the instant adapter")
)

// plan says what is measured.
type plan struct {
	cell    time.Duration
	rounds  int
	paths   string
	callers []int
	profile string
}

// BenchmarkTable prints the table. It ignores b.N: a round measures for as long
// as -cell says.
func BenchmarkTable(b *testing.B) {
	p := plan{cell: *flagCell, rounds: *flagRounds, paths: *flagPaths, profile: *flagProfile}
	for text := range strings.SplitSeq(*flagCallers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			b.Fatalf("-callers: %q is no number of callers", text)
		}
		p.callers = append(p.callers, n)
	}
	fmt.Println()
	p.measure(b).print(os.Stdout)
	b.ReportMetric(0, "ns/op") // the time of the whole table means nothing
}

// TestEveryPathAnswers makes sure that there is something to measure: every path
// is taken, every answer is right, and the ledger and the CRM hold what was sent.
func TestEveryPathAnswers(t *testing.T) {
	t.Parallel()
	p := plan{cell: 20 * time.Millisecond, rounds: 1, paths: "ABCD", callers: []int{1, 4}}
	got := p.measure(t)
	for i, path := range got.paths {
		for j, callers := range p.callers {
			m := got.cells[i][j][0]
			if m.p50 <= 0 || m.p99 < m.p50 || m.rate <= 0 || m.caller > m.cpu {
				t.Errorf("%s, %d callers: measured %+v", path.name, callers, m)
			}
		}
	}
	var out strings.Builder
	got.print(&out)
	for _, want := range []string{"A  bare", "B  relay", "C  HTTP", "D  ", "1.00", "fsync"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, out.String())
		}
	}
}

// table is what was measured: cells by path, callers and round.
type table struct {
	plan
	paths []*path
	cells [][][]measure
	fsync time.Duration
}

// measure measures the cells, the paths taking turns.
func (p plan) measure(tb testing.TB) *table {
	tb.Helper()
	t := &table{plan: p, fsync: fsyncTime(tb)}
	h := t.open(tb)
	for range t.paths {
		t.cells = append(t.cells, make([][]measure, len(p.callers)))
	}
	l := &load{next: firstMessage}
	for range p.rounds {
		for j, callers := range p.callers {
			for i, path := range t.paths {
				m, err := l.cell(path, callers, p.cell)
				if err != nil {
					tb.Fatal(err)
				}
				t.cells[i][j] = append(t.cells[i][j], m)
			}
		}
	}
	if h != nil {
		h.check(t.calls("C"), t.calls("D"))
	}
	return t
}

// open starts what the plan's paths need. The host is nil when none needs it.
func (t *table) open(tb testing.TB) *host {
	tb.Helper()
	var h *host
	if strings.ContainsAny(t.plan.paths, "CD") {
		h = openHost(tb, t.profile)
	}
	for _, letter := range t.plan.paths {
		switch letter {
		case 'A':
			t.paths = append(t.paths, openBare(tb))
		case 'B':
			t.paths = append(t.paths, openRelay(tb, t.profile))
		case 'C':
			t.paths = append(t.paths, h.path("C  HTTP, SQLite fsynced", instantName, named))
		case 'D':
			t.paths = append(t.paths, h.path("D  the same, with the example CRM", exampleName, h.distinct))
		default:
			tb.Fatalf("there is no path %c", letter)
		}
	}
	return h
}

// calls returns how many calls the path with that letter answered.
func (t *table) calls(letter string) int64 {
	for _, p := range t.paths {
		if strings.HasPrefix(p.name, letter) {
			return p.calls
		}
	}
	return 0
}

// print writes the table.
func (t *table) print(w io.Writer) {
	total := int64(0)
	for _, p := range t.paths {
		total += p.calls
	}
	fmt.Fprintf(w, "%d cores, %s, %s; an fsync takes %s here. The load generator shares the cores. CPU/call\n"+
		"is of all processes; the load generator took \"caller\" of it, in A with the client, in B with the relay in it.\n"+
		"Medians of %d interleaved rounds of %s a cell, ratios within a round; spread is max/min of calls/s.\n\n",
		runtime.GOMAXPROCS(0), platform, runtime.Version(), short(t.fsync), t.rounds, t.cell)
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tab, "%s\t\n", strings.Join([]string{
		"callers", fmt.Sprintf("%-35s", "path"), "p50", "p99", "calls/s", "p50/bare", "calls/bare", "CPU/call", "caller", "spread",
	}, "\t"))
	for j, callers := range t.callers {
		for i, p := range t.paths {
			fmt.Fprintf(tab, "%d\t%-35s\t%s\t\n", callers, p.name, t.row(i, j))
		}
		if j < len(t.callers)-1 {
			fmt.Fprintln(tab, strings.Repeat("\t", 10))
		}
	}
	_ = tab.Flush() // of what was printed to a terminal or a builder
	fmt.Fprintf(w, "\n%d calls, each with a message of its own and its answer checked; no errors.\n", total)
}

// row returns the figures of one path with one number of callers.
func (t *table) row(i, j int) string {
	ms := t.cells[i][j]
	rates := column(ms, func(_ int, m measure) float64 { return m.rate })
	return strings.Join([]string{
		short(time.Duration(median(column(ms, func(_ int, m measure) float64 { return float64(m.p50) })))),
		short(time.Duration(median(column(ms, func(_ int, m measure) float64 { return float64(m.p99) })))),
		fmt.Sprintf("%.0f", median(rates)),
		t.toBare(ms, j, func(m, bare measure) float64 { return float64(m.p50) / float64(bare.p50) }),
		t.toBare(ms, j, func(m, bare measure) float64 { return m.rate / bare.rate }),
		short(time.Duration(median(column(ms, func(_ int, m measure) float64 { return float64(m.cpu) })))),
		short(time.Duration(median(column(ms, func(_ int, m measure) float64 { return float64(m.caller) })))),
		fmt.Sprintf("%.2f", slices.Max(rates)/slices.Min(rates)),
	}, "\t")
}

// toBare returns the median ratio to the bare call, each of the same round.
func (t *table) toBare(ms []measure, j int, ratio func(m, bare measure) float64) string {
	for i, p := range t.paths {
		if strings.HasPrefix(p.name, "A") {
			return fmt.Sprintf("%.2f", median(column(ms, func(round int, m measure) float64 { return ratio(m, t.cells[i][j][round]) })))
		}
	}
	return "-"
}

func column(ms []measure, of func(round int, m measure) float64) []float64 {
	out := make([]float64, len(ms))
	for i, m := range ms {
		out[i] = of(i, m)
	}
	return out
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// short returns a duration with three figures.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.0f us", float64(d)/float64(time.Microsecond))
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
	default:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
}

// fsyncTime returns how long an fsync takes where the ledger will lie: on a RAM
// disk it is next to nothing, and so are the figures that hang on it.
func fsyncTime(tb testing.TB) time.Duration {
	tb.Helper()
	f, err := os.Create(filepath.Join(tb.TempDir(), "fsync"))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	page := make([]byte, 4096)
	times := make([]float64, 50)
	for i := range times {
		if _, err := f.Write(page); err != nil {
			tb.Fatal(err)
		}
		began := time.Now()
		if err := f.Sync(); err != nil {
			tb.Fatal(err)
		}
		times[i] = float64(time.Since(began))
	}
	return time.Duration(median(times))
}
