package doctest

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/cli"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

var makeTarget = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)

func TestMakeTargets(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	var targets []string
	for _, m := range makeTarget.FindAllStringSubmatch(makefile, -1) {
		targets = append(targets, m[1])
	}
	help, err := command(t.Context(), root, "make", "help").CombinedOutput()
	must(t, err)
	for _, target := range targets {
		if !regexp.MustCompile(`(?m)^  ` + target + ` +\S`).Match(help) {
			t.Errorf("make help does not list %s", target)
		}
	}
	found := 0
	for _, d := range documents(t) {
		for _, words := range d.typedIn(t) {
			if words[0] != "make" {
				continue
			}
			for _, word := range words[1:] {
				found++
				variable, _, set := strings.Cut(word, "=")
				switch {
				case set && !strings.Contains(makefile, "$("+variable+")"):
					t.Errorf("%s: the Makefile has no variable %s", d.name, variable)
				case !set && !slices.Contains(targets, word):
					t.Errorf("%s: the Makefile has no target %s (%q)", d.name, word, words)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no document names a target: this test reads them wrongly")
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	found := 0
	for _, d := range documents(t) {
		for _, words := range d.typedIn(t) {
			if words[0] != "patchbay" {
				continue
			}
			found++
			if err := understands(t, words[1:]); err != nil {
				t.Errorf("%s: patchbay %s: %s", d.name, strings.Join(words[1:], " "), err)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d commands found: this test reads them wrongly", found)
	}
}

func TestCommandsThatAreNone(t *testing.T) {
	t.Parallel()
	for line, ok := range map[string]bool{
		"message add m.json --tenant=x -h": true, "help secrets": true, "serve --config x": true, "": true, "demo --keep": true,
		"mesage add": false, "message ad m.json": false, "message add --tenannt x": false, "help secret": false, "serve --keep": false,
	} {
		if err := understands(t, strings.Fields(line)); (err == nil) != ok {
			t.Errorf("patchbay %s: %v", line, err)
		}
	}
}

// helpOf returns what the command line says to these words.
func helpOf(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	env := cli.Environment{In: strings.NewReader(""), Out: &out, Err: &out}
	cli.Main(t.Context(), env, cli.Actions{}, args)
	return out.String()
}

// understands reports what is wrong with a line for patchbay: the command has to
// be there, and every flag has to be one of its own.
func understands(t *testing.T, words []string) error {
	t.Helper()
	if len(words) > 0 && words[0] == "help" {
		if len(words) > 1 && helpOf(t, words...) == helpOf(t, "--help") {
			return errors.New("there is no such topic")
		}
		return nil
	}
	command, help := "patchbay", helpOf(t, "--help")
	for _, word := range words {
		if strings.HasPrefix(word, "-") {
			continue
		}
		deeper := command + " " + word
		text := helpOf(t, append(strings.Fields(deeper)[1:], "--help")...)
		if !regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(deeper) + `( |$)`).MatchString(usage(text)) {
			if strings.Contains(usage(help), "[command]") {
				return fmt.Errorf("%s has no command %s", command, word)
			}
			break
		}
		command, help = deeper, text
	}
	for _, word := range words {
		flag, _, _ := strings.Cut(word, "=")
		if strings.HasPrefix(flag, "-") && !regexp.MustCompile(`(?m)^ +(-\w, )?`+flag+`\b|^ +`+flag+`, `).MatchString(help) {
			return fmt.Errorf("%s has no flag %s", command, flag)
		}
	}
	return nil
}

// usage returns the lines of a help text below "Usage:".
func usage(help string) string {
	_, rest, _ := strings.Cut(help, "Usage:\n")
	lines, _, _ := strings.Cut(rest, "\n\n")
	return lines
}

// TestGoCommands looks up the packages that commands for go name.
func TestGoCommands(t *testing.T) {
	t.Parallel()
	found := 0
	for _, d := range documents(t) {
		for _, words := range d.typedIn(t) {
			if words[0] != "go" {
				continue
			}
			for _, word := range words[1:] {
				if !strings.HasPrefix(word, "./") {
					continue
				}
				found++
				if !exists(strings.TrimSuffix(word, "/...")) {
					t.Errorf("%s: there is no package %s", d.name, word)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no document names a package: this test reads them wrongly")
	}
}

// TestExitCodes holds the table of exit codes against what the command line says
// of them, and the classes in it against the codes.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	var want, got []string
	for _, m := range regexp.MustCompile(`(?m)^  (\d)  `).FindAllStringSubmatch(helpOf(t, "help", "exit-codes"), -1) {
		want = append(want, m[1])
	}
	classes := map[int]fault.Class{cli.ExitRefused: fault.Permanent, cli.ExitLater: fault.Retryable, cli.ExitUnknown: fault.Unknown}
	for n, row := range open(t, "docs/ERRORS.md").table(t, "exit codes").rows[1:] {
		got = append(got, row[0])
		if class, ok := classes[n]; ok && !strings.Contains(row[1], code(class.String())) {
			t.Errorf("exit code %d is class %s; the document says %s", n, class, row[1])
		}
	}
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the table has the codes %q, patchbay help exit-codes %q", got, want)
	}
}
