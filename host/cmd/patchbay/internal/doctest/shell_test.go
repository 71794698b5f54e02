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

var codeSpan = regexp.MustCompile("`([^`\n]+)`")

// spans returns what stands between backquotes, outside of blocks.
func (d *document) spans(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, m := range codeSpan.FindAllStringSubmatch(d.prose(t), -1) {
		out = append(out, strings.ReplaceAll(m[1], `\|`, "|"))
	}
	return out
}

// prose returns the text of the document without its blocks.
func (d *document) prose(t *testing.T) string {
	t.Helper()
	lines := slices.Clone(d.lines)
	for _, b := range d.blocks(t) {
		for n := b.from; n < b.to; n++ {
			lines[n] = ""
		}
	}
	return strings.Join(lines, "\n")
}

// typedIn returns every command that the document shows, in blocks of shell and
// of output, and in code spans.
func (d *document) typedIn(t *testing.T) [][]string {
	t.Helper()
	var out [][]string
	for _, b := range d.blocks(t) {
		if b.kind == "sh" {
			out = append(out, typed(b.text())...)
			continue
		}
		for _, line := range d.lines[b.from:b.to] {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "$ ") {
				out = append(out, typed(line)...)
			}
		}
	}
	for _, span := range d.spans(t) {
		out = append(out, typed(span)...)
	}
	return out
}
