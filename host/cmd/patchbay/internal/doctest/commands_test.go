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
	for _, c := range commandsOf(t, "make") {
		for _, word := range c.words[1:] {
			variable, _, set := strings.Cut(word, "=")
			switch {
			case set && !strings.Contains(makefile, "$("+variable+")"):
				t.Errorf("%s: the Makefile has no variable %s", c.where, variable)
			case !set && !slices.Contains(targets, word):
				t.Errorf("%s: the Makefile has no target %s (%s)", c.where, word, c)
			}
		}
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	for _, c := range commandsOf(t, "patchbay") {
		if err := understands(t, c.words[1:]); err != nil {
			t.Errorf("%s: %s: %s", c.where, c, err)
		}
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

var (
	inText   = regexp.MustCompile(`\bpatchbay ((?:serve|doctor|tenant|adapter|message|version|demo|help)\b[^"\n;,:()]*)`)
	example  = regexp.MustCompile(`(?m)^  .*\bpatchbay .*(\\\n.*)*$`)
	helpLine = regexp.MustCompile(`(?m)^  ([a-z][a-z-]*) +[A-Z]`)
)

// TestCommandsInTexts looks up the commands that errors and remedies name, and
// those in the examples of every command's help.
func TestCommandsInTexts(t *testing.T) {
	t.Parallel()
	found := 0
	lookUp := func(where, text string) {
		for _, words := range typed(text) {
			if words[0] != "patchbay" {
				continue
			}
			found++
			if err := understands(t, words[1:]); err != nil {
				t.Errorf("%s says %q: %s", where, text, err)
			}
		}
	}
	for _, text := range sources(t).texts {
		for _, m := range inText.FindAllString(example.ReplaceAllString(text, ""), -1) {
			lookUp("the code", m)
		}
	}
	for _, path := range allCommands(t, nil) {
		for _, m := range example.FindAllString(examples(helpOf(t, append(path, "--help")...)), -1) {
			lookUp("the help of patchbay "+strings.Join(path, " "), m)
		}
	}
	if found < 60 {
		t.Errorf("only %d commands found: this test reads them wrongly", found)
	}
}

// allCommands returns the words of every command at and below path.
func allCommands(t *testing.T, path []string) [][]string {
	t.Helper()
	out := [][]string{path}
	for _, m := range helpLine.FindAllStringSubmatch(helpOf(t, append(path, "--help")...), -1) {
		deeper := append(slices.Clone(path), m[1])
		if found, _ := leads(t, deeper); len(found) == len(deeper) {
			out = append(out, allCommands(t, deeper)...)
		}
	}
	return out
}

// examples returns the lines of a help text below "Examples:".
func examples(help string) string {
	_, rest, _ := strings.Cut(help, "Examples:\n")
	lines, _, _ := strings.Cut(rest, "\n\n")
	return lines
}

// runs returns the exit code of a command line and all that it prints. It is for
// lines that ask for help, or are wrong: there is no host.
func runs(t *testing.T, args ...string) (code int, printed string) {
	t.Helper()
	var out bytes.Buffer
	env := cli.Environment{In: strings.NewReader(""), Out: &out, Err: &out}
	code = cli.Main(t.Context(), env, cli.Actions{}, args)
	return code, out.String()
}

// helpOf returns the help of a command, or of a topic.
func helpOf(t *testing.T, args ...string) string {
	t.Helper()
	_, text := runs(t, args...)
	return text
}

// leads returns the longest beginning of the words that is a command, and its
// help.
func leads(t *testing.T, words []string) (command []string, help string) {
	t.Helper()
	help = helpOf(t, "--help")
	for _, word := range words {
		if strings.HasPrefix(word, "-") {
			break
		}
		deeper := append(slices.Clone(command), word)
		text := helpOf(t, append(deeper, "--help")...)
		if !regexp.MustCompile(`(?m)^  patchbay ` + regexp.QuoteMeta(strings.Join(deeper, " ")) + `( |$)`).MatchString(usage(text)) {
			break
		}
		command, help = deeper, text
	}
	return command, help
}

// understands reports what is wrong with a line for patchbay: the command has to
// be there, and to take every flag with its value.
func understands(t *testing.T, words []string) error {
	t.Helper()
	if len(words) > 0 && words[0] == "help" {
		if len(words) > 1 && helpOf(t, words...) == helpOf(t, "--help") {
			return errors.New("there is no such topic")
		}
		return nil
	}
	command, help := leads(t, words)
	if rest := words[len(command):]; len(rest) > 0 && !strings.HasPrefix(rest[0], "-") && strings.Contains(usage(help), "[command]") {
		return fmt.Errorf("patchbay %s has no command %s", strings.Join(command, " "), rest[0])
	}
	if exit, said := runs(t, append(slices.Clone(words), "--help")...); exit != cli.ExitOK {
		return fmt.Errorf("exit code %d: %s", exit, said)
	}
	return nil
}

// usage returns the lines of a help text below "Usage:".
func usage(help string) string {
	_, rest, _ := strings.Cut(help, "Usage:\n")
	lines, _, _ := strings.Cut(rest, "\n\n")
	return lines
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
