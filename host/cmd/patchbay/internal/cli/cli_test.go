package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// leakChecked fails the run when a goroutine is left behind.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"patchbay": func() {
		os.Exit(Main(context.Background(), Environment{
			In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ(), Version: "patchbay test",
		}, fakeActions(), os.Args[1:]))
	}})
}

// fakeActions print what they are asked to do.
func fakeActions() Actions {
	return Actions{
		Serve: func(_ context.Context, c *config.Config, warnings []string) error {
			fmt.Printf("serve %s %v\n", c.Listen, warnings)
			return nil
		},
		Doctor: func(_ context.Context, src config.Sources, out io.Writer, asJSON bool) (bool, error) {
			_, _, err := config.Load(src)
			fmt.Fprintf(out, "doctor json=%v ok=%v\n", asJSON, err == nil)
			return err == nil, nil
		},
		TestAdapter: func(_ context.Context, src config.Sources, dir string, out, _ io.Writer, asJSON bool) (bool, error) {
			c, _, err := config.Load(src)
			if err != nil {
				return false, err
			}
			fmt.Fprintf(out, "test %s json=%v adapters=%d\n", dir, asJSON, len(c.Adapters))
			return dir != "bad", nil
		},
		Demo: func(_ context.Context, out io.Writer, keep bool) error {
			fmt.Fprintf(out, "demo keep=%v\n", keep)
			return nil
		},
	}
}

// TestScripts runs testdata/script against a host that answers from files of the
// script: "answers" holds lines "METHOD PATH STATUS FILE", of which the first
// that fits and was not used yet is taken; what was asked is added to "requests".
// "host.yaml" is the configuration of that host.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		UpdateScripts:      *update,
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			host := &fakeHost{dir: env.WorkDir, used: map[int]bool{}}
			server := httptest.NewServer(host)
			env.Defer(server.Close)
			own := fmt.Sprintf("listen: %s\ndataDir: data\n", server.Listener.Addr())
			if err := os.WriteFile(filepath.Join(env.WorkDir, "host.yaml"), []byte(own), 0o600); err != nil {
				return err
			}
			checkout, err := filepath.Abs("../../../../..")
			env.Vars = append(env.Vars, "PATCHBAY_SERVER="+server.URL, "PATCHBAY_TENANT=acme", "TZ=UTC",
				"NOBODY=http://127.0.0.1:1", "CHECKOUT="+checkout)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": func(ts *testscript.TestScript, neg bool, args []string) {
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				err = ts.Exec(args[1], args[2:]...)
				got := 0
				var exit *exec.ExitError
				if errors.As(err, &exit) {
					got = exit.ExitCode()
				} else {
					ts.Check(err)
				}
				if neg || got != want {
					ts.Fatalf("%v ended with %d, want %d", args[1:], got, want)
				}
			},
		},
	})
}

type fakeHost struct {
	dir  string
	mu   sync.Mutex
	used map[int]bool
}

func (h *fakeHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.note(r, body)
	answers, err := os.ReadFile(filepath.Join(h.dir, "answers"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	lines := bufio.NewScanner(bytes.NewReader(answers))
	for n := 0; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) < 4 || h.used[n] || words[0] != r.Method || words[1] != r.URL.RequestURI() {
			continue
		}
		h.used[n] = true
		h.answer(w, words[2:])
		return
	}
	http.Error(w, "no answer for "+r.Method+" "+r.URL.RequestURI(), http.StatusTeapot)
}

func (h *fakeHost) answer(w http.ResponseWriter, words []string) {
	status, err := strconv.Atoi(words[0])
	data, readErr := os.ReadFile(filepath.Join(h.dir, words[1]))
	switch {
	case err != nil || readErr != nil:
		http.Error(w, "the script is wrong", http.StatusInternalServerError)
		return
	case status == 0: // cut the connection
		panic(http.ErrAbortHandler)
	case status >= 400:
		w.Header().Set("Content-Type", "application/problem+json")
	default:
		w.Header().Set("Content-Type", "application/json")
	}
	if len(words) > 2 {
		w.Header().Set("Retry-After", words[2])
	}
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

func (h *fakeHost) note(r *http.Request, body []byte) {
	f, err := os.OpenFile(filepath.Join(h.dir, "requests"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	line := r.Method + " " + r.URL.RequestURI()
	for _, name := range []string{"Authorization", "Prefer"} {
		if v := r.Header.Get(name); v != "" {
			line += " [" + name + ": " + v + "]"
		}
	}
	if len(body) > 0 {
		line += " " + string(body)
	}
	fmt.Fprintln(f, line)
}

// TestHelp holds the help of every command against its golden file, and demands a
// description and an example of each.
func TestHelp(t *testing.T) {
	t.Parallel()
	a := &app{actions: fakeActions()}
	walk(a.root(), func(cmd *cobra.Command) {
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "_")
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "patchbay_completion") {
				return // written by cobra
			}
			if cmd.Short == "" || (!cmd.HasSubCommands() && cmd.RunE != nil && cmd.Example == "") {
				t.Errorf("%s has no description or no example", cmd.CommandPath())
			}
			golden(t, filepath.Join("testdata", "help", name+".golden"), helpOf(t, cmd.CommandPath()))
		})
	})
}

// TestHelpHidesNothingForGood asks for the help of a command that has no use for the
// shared flags, then for that of one which has.
func TestHelpHidesNothingForGood(t *testing.T) {
	t.Parallel()
	root := (&app{actions: fakeActions()}).root()
	var out strings.Builder
	root.SetOut(&out)
	for _, c := range []struct {
		command string
		shows   bool
	}{{"list", true}, {"pack", false}, {"list", true}} {
		out.Reset()
		root.SetArgs([]string{"adapter", c.command, "--help"})
		if err := root.Execute(); err != nil || strings.Contains(out.String(), "--server") != c.shows {
			t.Errorf("%s: %v, printed %s", c.command, err, &out)
		}
	}
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, visit)
	}
}

func helpOf(t *testing.T, path string) string {
	t.Helper()
	var out, errs bytes.Buffer
	args := slices.Concat(strings.Fields(path)[1:], []string{"--help"})
	if code := Main(t.Context(), Environment{In: strings.NewReader(""), Out: &out, Err: &errs}, fakeActions(), args); code != 0 {
		t.Fatalf("%s --help ended with %d: %s", path, code, errs.String())
	}
	return out.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run the test with -update and look at the change\ngot:\n%s", name, got)
	}
}

func TestEveryCodeHasARemedy(t *testing.T) {
	t.Parallel()
	for _, code := range fault.Codes() {
		if remedies[code] == "" {
			t.Errorf("%s has no remedy", code)
		}
	}
	if len(remedies) != len(fault.Codes()) {
		t.Errorf("%d remedies for %d codes", len(remedies), len(fault.Codes()))
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		text, want string
		lines      bool
	}{
		"plain":         {text: "Grüße 你好", want: "Grüße 你好"},
		"escape":        {text: "\x1b[2J", want: `\u001b[2J`},
		"bidi override": {text: "a\u202eb", want: `a\u202eb`},
		"newline":       {text: "a\nb", want: `a\u000ab`},
		"newline kept":  {text: "a\nb", want: "a\nb", lines: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := printable(c.text, c.lines); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
