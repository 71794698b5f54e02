package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

//go:embed list/*.txt
var lists embed.FS

// mutation is one rule taken out of the code.
type mutation struct {
	rule string // the heading
	file string // from the root of the repository
	pkg  string // of the test, as "./host/ledger"
	test string
	find string // whole lines
	put  string // what takes their place: whole lines, or nothing
}

// mutations reads every list, by name of the file.
func mutations() ([]mutation, error) {
	names, err := fs.Glob(lists, "list/*.txt")
	if err != nil {
		return nil, fmt.Errorf("read the mutations: %w", err)
	}
	var all []mutation
	known := map[string]bool{}
	for _, name := range names {
		text, err := lists.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the mutations: %w", err)
		}
		some, err := parse(name, string(text))
		if err != nil {
			return nil, err
		}
		for _, m := range some {
			if known[m.rule] {
				return nil, fmt.Errorf("%s: %q stands twice", name, m.rule)
			}
			known[m.rule] = true
		}
		all = append(all, some...)
	}
	return all, nil
}

// parse reads one list.
func parse(name, text string) ([]mutation, error) {
	var out []mutation
	for i, line := range strings.Split(text, "\n") {
		if heading, begins := strings.CutPrefix(line, "# "); begins {
			out = append(out, mutation{rule: heading})
			continue
		}
		if line == "" || strings.HasPrefix(line, "//") {
			continue
		}
		if len(out) == 0 {
			return nil, fmt.Errorf("%s:%d: a heading must come first", name, i+1)
		}
		if err := out[len(out)-1].take(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
	}
	for _, m := range out {
		if err := m.check(); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", name, m.rule, err)
		}
	}
	return out, nil
}

// take reads one line below the heading.
func (m *mutation) take(line string) error {
	switch {
	case strings.HasPrefix(line, "-"):
		if m.put != "" {
			return errors.New("a - line stands after a + line")
		}
		m.find += line[1:] + "\n"
		return nil
	case strings.HasPrefix(line, "+"):
		m.put += line[1:] + "\n"
		return nil
	}
	switch words := strings.Fields(line); {
	case len(words) == 2 && words[0] == "file" && m.file == "":
		m.file = words[1]
	case len(words) == 3 && words[0] == "test" && m.test == "":
		m.pkg, m.test = words[1], words[2]
	default:
		return errors.New(`want "file PATH" once, "test PACKAGE NAME" once, - lines and + lines`)
	}
	return nil
}

var testName = regexp.MustCompile(`^Test\w+$`)

func (m *mutation) check() error {
	dir, below := strings.CutPrefix(m.pkg, "./")
	switch {
	case !fs.ValidPath(m.file):
		return errors.New("has no file, or one that is not named from the root")
	case !below || !fs.ValidPath(dir):
		return errors.New("has no test, or its package does not begin with ./")
	case !testName.MatchString(m.test):
		return errors.New("names no top-level test")
	case m.find == "":
		return errors.New("finds nothing: it has no - line")
	case m.find == m.put:
		return errors.New("changes nothing")
	}
	return nil
}

// apply returns the text of the file without the rule.
func (m *mutation) apply(text string) (string, error) {
	// What is sought begins at the beginning of a line.
	padded := "\n" + text
	switch n := strings.Count(padded, "\n"+m.find); n {
	case 1:
		return strings.Replace(padded, "\n"+m.find, "\n"+m.put, 1)[1:], nil
	case 0:
		return "", fmt.Errorf("%s does not hold\n%s", m.file, m.find)
	default:
		return "", fmt.Errorf("%s holds this %d times:\n%s", m.file, n, m.find)
	}
}
