package doctest

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// typed returns the simple commands of a piece of shell, each as its words, as
// far as documents need it: quotes, comments, continued lines, and operators,
// which part commands. What stands before the command, a prompt or variables, is
// left out.
func typed(text string) [][]string {
	var (
		out    [][]string
		words  []string
		word   strings.Builder
		inWord bool
		quote  rune
	)
	endWord := func() {
		if inWord {
			words = append(words, word.String())
			word.Reset()
			inWord = false
		}
	}
	endCommand := func() {
		endWord()
		for len(words) > 0 && notCommand.MatchString(words[0]) {
			words = words[1:]
		}
		if len(words) > 0 {
			out = append(out, words)
		}
		words = nil
	}
	text = strings.ReplaceAll(text, "\\\n", " ")
	for n, c := range text {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == '#' && !inWord:
			// The rest of the line is read as a command that nobody knows.
			endCommand()
			words = append(words, "#")
		case c == ' ' || c == '\t':
			endWord()
		case strings.ContainsRune("\n|&;()<>", c):
			endCommand()
			if strings.ContainsRune("<>", c) && n+1 < len(text) {
				words = append(words, "file") // what follows is no command
			}
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	endCommand()
	return out
}

var notCommand = regexp.MustCompile(`^(\$|until|while|if|then|do|env|[A-Z_]+=.*)$`)

func TestTyped(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"words":      {"patchbay tenant create 'a b'", []string{"patchbay tenant create a b"}},
		"prompt":     {"$ patchbay version", []string{"patchbay version"}},
		"variables":  {`A_B="Bearer $T" X=1 patchbay x`, []string{"patchbay x"}},
		"inside":     {`TOKEN=$(patchbay tenant token create acme)`, []string{"patchbay tenant token create acme"}},
		"continued":  {"a \\\n  b", []string{"a b"}},
		"operators":  {"a & b; c | d && e", []string{"a", "b", "c", "d", "e"}},
		"comment":    {"make help   # make nothing\nmake b", []string{"make help", "# make nothing", "make b"}},
		"redirected": {"cat > make <<'END'", []string{"cat", "file make", "file", "file END"}},
		"loop":       {"until curl x; do sleep 1; done", []string{"curl x", "sleep 1", "done"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, words := range typed(tc.text) {
				got = append(got, strings.Join(words, " "))
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// shown is a command that a document shows.
type shown struct {
	where string   // as "README.md:12"
	words []string // its words; at least one
	block bool     // it stands in a block
}

func (s shown) String() string { return strings.Join(s.words, " ") }

// typedIn returns every command that the document shows, in blocks of shell and
// of output, and in code spans.
func (d *document) typedIn(t *testing.T) []shown {
	t.Helper()
	var out []shown
	add := func(line int, text string, block bool) {
		for _, words := range typed(text) {
			out = append(out, shown{d.at(line), words, block})
		}
	}
	for _, b := range d.blocks(t) {
		if b.kind == "sh" {
			add(b.from, b.text(), true)
			continue
		}
		for n := b.from; n < b.to; n++ {
			if line := strings.TrimSpace(d.lines[n]); strings.HasPrefix(line, "$ ") {
				add(n, line, true)
			}
		}
	}
	for _, s := range d.spans(t) {
		add(s.line, s.text, false)
	}
	return out
}

// commandsOf returns the commands of all documents that run that program.
func commandsOf(t *testing.T, program string) []shown {
	t.Helper()
	var out []shown
	for _, d := range documents(t) {
		for _, c := range d.typedIn(t) {
			if c.words[0] == program {
				out = append(out, c)
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("no document shows a command of %s: this test reads them wrongly", program)
	}
	return out
}
