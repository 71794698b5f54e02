package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// module is a small module with a rule in each line that a mutation may take out.
var module = map[string]string{
	"go.mod":     "module example.com/small\n\ngo 1.26\n",
	".gitignore": "ignored\n",
	"rules/rules.go": `package rules

import "net"

// Hang calls somebody and waits for ever.
func Hang(socket string) {
	_, _ = net.Dial("unix", socket)
	select {}
}

func Double(n int) int {
	n += n
	return n
}

func Even(n int) bool {
	return n%2 == 0
}
`,
	"rules/rules_test.go": `package rules

import "testing"

func TestDouble(t *testing.T) {
	if Double(2) != 4 {
		t.Error("wrong")
	}
}

func TestNothing(t *testing.T) {
	Double(2)
}

func TestElsewhere(t *testing.T) {
	done := make(chan bool)
	go func() {
		_ = 1 / Double(1)
		close(done)
	}()
	<-done
}

func TestWrong(t *testing.T) {
	t.Error("always")
}
`,
}

// repo is a repository with these files in it.
func repo(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("git", "init", "--quiet", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// doubled is the mutation that the tests of the module see, or should.
func doubled(test, put string) mutation {
	return mutation{rule: "rule of " + test + put, file: "rules/rules.go", pkg: "./rules", test: test, find: "\tn += n\n", put: put}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	want := map[verdict]mutation{
		caught:   doubled("TestDouble", ""),
		survived: doubled("TestNothing", "\tn += n + 0\n"),
		notBuilt: doubled("TestDouble", "\tn += m\n"),
		hung:     doubled("TestNothing", "\tselect {}\n"),
	}
	died := doubled("TestElsewhere", "\tn -= n\n")
	c := campaign{root: repo(t, module), workers: 2, timeout: 5 * time.Second, progress: t.Output()}
	c.mutations = append(slices.Collect(maps.Values(want)), died)
	results, err := c.run(t.Context())
	if err != nil || len(results) != len(c.mutations) {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for i, r := range results {
		if r.mutation != c.mutations[i] {
			t.Errorf("result %d is of %q", i, r.rule)
		}
		if expected := want[r.verdict]; r.mutation != expected && (r.mutation != died || r.verdict != caught) {
			t.Errorf("%q %q: %s\n%s", r.test, r.put, r.verdict, r.output)
		}
	}
	for name, text := range module {
		if now, err := os.ReadFile(filepath.Join(c.root, name)); err != nil || string(now) != text {
			t.Errorf("%s was changed: %v", name, err)
		}
	}
	var table strings.Builder
	err = report(&table, results)
	if err == nil || err.Error() != "3 of 5 mutations were not caught" {
		t.Errorf("report: %v", err)
	}
	for _, part := range []string{"VERDICT ", "\ncaught ", "\nSURVIVED: rule of TestNothing", "\n-\tn += n\n+\tn += m\n", "undefined: m"} {
		if !strings.Contains(table.String(), part) {
			t.Errorf("no %q in\n%s", part, table.String())
		}
	}
}

// TestVerdictsOfOutput reads what "go test -json" wrote.
func TestVerdictsOfOutput(t *testing.T) {
	t.Parallel()
	const began = `{"Action":"start","Package":"x/a"}
{"Action":"run","Package":"x/a","Test":"TestA"}
`
	for name, c := range map[string]struct {
		out  string
		want verdict
	}{
		"passed":            {began + `{"Action":"pass","Package":"x/a","Test":"TestA"}`, survived},
		"failed":            {began + `{"Action":"fail","Package":"x/a","Test":"TestA"}`, caught},
		"skipped":           {began + `{"Action":"skip","Package":"x/a","Test":"TestA"}`, undecided},
		"the process died":  {began + `{"Action":"fail","Package":"x/a"}`, caught},
		"not run":           {`{"Action":"pass","Package":"x/a"}`, undecided},
		"another's failure": {`{"Action":"fail","Package":"x/b","Test":"TestA"}`, undecided},
		"a part of it":      {`{"Action":"fail","Package":"x/a","Test":"TestA/b"}`, undecided},
		"not built":         {`{"ImportPath":"x/a","Action":"build-fail"}` + "\n" + `{"Action":"fail","Package":"x/a"}`, notBuilt},
		"timed out": {began + `{"Action":"output","Package":"x/a","Output":"panic: test timed out after 5s\n"}
{"Action":"fail","Package":"x/a","Test":"TestA"}`, hung},
	} {
		run, err := read(strings.NewReader(c.out))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := run.verdict("./a", "TestA"); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	long := began + strings.Repeat(`{"Action":"output","Output":"0123456789\n"}`+"\n", maxOutput)
	if run, err := read(strings.NewReader(long)); err != nil || len(run.output) > maxOutput+10 || !strings.HasSuffix(run.output, "89\n") {
		t.Errorf("kept %d bytes, %v", len(run.output), err)
	}
	if _, err := read(strings.NewReader("no JSON\n")); err == nil {
		t.Error("what is no JSON is taken")
	}
}

func TestReportOfNothingButCaught(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	err := report(&table, []result{{mutation: doubled("TestDouble", ""), verdict: caught, took: 1234 * time.Millisecond}})
	if err != nil || !strings.Contains(table.String(), "caught   1.2s  rule of TestDouble") {
		t.Errorf("%v\n%s", err, table.String())
	}
}

// TestNothingIsMadeInVain: what cannot show anything is told before the first
// mutation is made.
func TestNothingIsMadeInVain(t *testing.T) {
	t.Parallel()
	elsewhere := doubled("TestDouble", "")
	elsewhere.pkg = "./nowhere"
	lost := doubled("TestDouble", "")
	lost.find = "\tn *= n\n"
	for name, c := range map[string]struct {
		m    mutation
		says string
	}{
		"a test that fails by itself": {doubled("TestWrong", ""), "do not pass while every rule is there:\n./rules TestWrong\n"},
		"a test that is not there":    {doubled("TestGone", ""), "do not pass while every rule is there:\n./rules TestGone\n"},
		"a package that is not there": {elsewhere, "nowhere"},
		"a text that is not there":    {lost, "rules/rules.go does not hold\n\tn *= n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := campaign{root: repo(t, module), mutations: []mutation{c.m}, workers: 2, timeout: time.Minute, progress: t.Output()}
			if _, err := run.run(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q in it", err, c.says)
			}
		})
	}
}

// TestCancelledCampaignEndsItsTests cancels a campaign while a test hangs: its
// process ends, and nothing is left.
func TestCancelledCampaignEndsItsTests(t *testing.T) {
	t.Parallel()
	socket, err := os.MkdirTemp("", "mutation") // t.TempDir's may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(socket)
	socket = filepath.Join(socket, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	hanging := doubled("TestNothing", "\tHang(`"+socket+"`)\n")
	c := campaign{root: repo(t, module), mutations: []mutation{hanging, doubled("TestDouble", "")}, workers: 1, timeout: 10 * time.Minute, progress: t.Output()}
	ended := make(chan error, 1)
	go func() {
		_, err := c.run(ctx)
		ended <- err
	}()
	hung, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the campaign ended with %v", err)
	}
	if err := hung.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := hung.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the test lives on: %v", err)
	}
}

func TestRepositoryFiles(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"tracked": "1", "removed": "2", "below/new": "3", "ignored": "4", ".gitignore": "ignored\n"})
	git := exec.Command("git", "add", "tracked", "removed")
	git.Dir = dir
	if out, err := git.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Remove(filepath.Join(dir, "removed")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	files, err := repositoryFiles(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	if err := copyTree(dir, to, files); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := filepath.WalkDir(to, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(to, path)
			got = append(got, name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{".gitignore", "below/new", "tracked"}; !slices.Equal(got, want) {
		t.Errorf("copied %q, want %q", got, want)
	}
	if _, err := repositoryFiles(t.Context(), to); err == nil {
		t.Error("a folder that is no repository has files")
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"an argument":       {[]string{"x"}, "it takes flags only"},
		"an unknown flag":   {[]string{"-x"}, "not defined"},
		"no worker":         {[]string{"-p", "0"}, "must be positive"},
		"no time":           {[]string{"-timeout", "0s"}, "must be positive"},
		"no expression":     {[]string{"-only", "("}, "read -only"},
		"nothing of a kind": {[]string{"-only", "no such rule"}, "no heading matches"},
	} {
		var out strings.Builder
		if err := run(t.Context(), c.args, &out, &out); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q in it", name, err, c.says)
		}
	}
	var out strings.Builder
	if err := run(t.Context(), []string{"-list", "-only", "^rule 12: "}, &out, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) < 2 || !strings.Contains(lines[0], "./host/relay TestIdempotencyKey") || !strings.HasPrefix(lines[1], "rule 12: ") {
		t.Errorf("listed\n%s", out.String())
	}
}
