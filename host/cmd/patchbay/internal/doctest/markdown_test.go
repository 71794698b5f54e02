package doctest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// document is one Markdown file.
type document struct {
	name  string // from the root of the repository
	lines []string
}

func open(t *testing.T, name string) *document {
	t.Helper()
	return &document{name, strings.Split(read(t, name), "\n")}
}

// at names a line of the document, which is counted from 0 here and from 1 there.
func (d *document) at(line int) string { return d.name + ":" + strconv.Itoa(line+1) }

// documents returns every Markdown file of the repository.
func documents(t *testing.T) []*document {
	t.Helper()
	var out []*document
	for _, name := range files(t, ".md") {
		out = append(out, open(t, name))
	}
	return out
}

// replace puts other lines in the place of lines[from:to] and writes the file.
func (d *document) replace(t *testing.T, from, to int, with []string) {
	t.Helper()
	d.lines = append(d.lines[:from:from], append(with, d.lines[to:]...)...)
	must(t, os.WriteFile(filepath.Join(root, d.name), []byte(strings.Join(d.lines, "\n")), 0o600))
}

// block is one fenced block.
type block struct {
	doc      *document
	section  string // the heading above it
	kind     string // what stands behind the fence, as "sh"
	marker   string // the comment above it, as "output of: patchbay demo"
	from, to int    // doc.lines[from:to] are its lines
}

// at names the line of its fence.
func (b block) at() string { return b.doc.at(b.from - 1) }

func (b block) text() string { return strings.Join(b.doc.lines[b.from:b.to], "\n") }

var comment = regexp.MustCompile(`^<!-- (.*) -->$`)

// blocks returns the fenced blocks of the document. Fences are not indented.
func (d *document) blocks(t *testing.T) []block {
	t.Helper()
	var (
		out     []block
		inside  *block
		section string
		marker  string
	)
	for n, line := range d.lines {
		switch {
		case inside != nil && line == "```":
			inside.to = n
			out = append(out, *inside)
			inside, marker = nil, ""
		case inside != nil:
		case strings.HasPrefix(line, "```"):
			inside = &block{doc: d, section: section, kind: line[3:], marker: marker, from: n + 1}
		case strings.HasPrefix(line, "#"):
			section = strings.TrimLeft(line, "# ")
		case comment.MatchString(line):
			marker = comment.FindStringSubmatch(line)[1]
		case line != "":
			marker = ""
		}
	}
	if inside != nil {
		t.Fatalf("%s:%d: the block has no end", d.name, inside.from)
	}
	return out
}

// prose returns the lines of the document without its blocks.
func (d *document) prose(t *testing.T) []string {
	t.Helper()
	lines := slices.Clone(d.lines)
	for _, b := range d.blocks(t) {
		clear(lines[b.from-1 : b.to+1])
	}
	return lines
}

// span is what stands between backquotes, outside of blocks.
type span struct {
	doc  *document
	line int
	text string
}

func (s span) at() string { return s.doc.at(s.line) }

var codeSpan = regexp.MustCompile("`([^`]+)`")

// spans returns the code spans of the document.
func (d *document) spans(t *testing.T) []span {
	t.Helper()
	var out []span
	for n, line := range d.prose(t) {
		for _, m := range codeSpan.FindAllStringSubmatch(line, -1) {
			out = append(out, span{d, n, strings.ReplaceAll(m[1], `\|`, "|")})
		}
	}
	return out
}

// table is one table: its cells, the heading first, without the line below it.
type table struct {
	rows     [][]string
	from, to int // lines
}

// table returns the table on the lines below the comment "table: NAME".
func (d *document) table(t *testing.T, name string) table {
	t.Helper()
	marker := "<!-- table: " + name + " -->"
	for n, line := range d.lines {
		if line != marker {
			continue
		}
		out := table{from: n + 1}
		for n++; n < len(d.lines) && strings.HasPrefix(d.lines[n], "|"); n++ {
			if n != out.from+1 {
				out.rows = append(out.rows, cells(d.lines[n]))
			}
		}
		out.to = n
		return out
	}
	t.Fatalf("%s has no comment %s", d.name, marker)
	return table{}
}

var cellBorder = regexp.MustCompile(`(^|[^\\])\|`)

// cells splits a line of a table.
func cells(line string) []string {
	var out []string
	line = strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|")
	for {
		at := cellBorder.FindStringIndex(line)
		if at == nil {
			return append(out, strings.TrimSpace(line))
		}
		out = append(out, strings.TrimSpace(line[:at[1]-1]))
		line = line[at[1]:]
	}
}

// render returns the lines of a table.
func render(rows [][]string) []string {
	var out []string
	for n, row := range rows {
		out = append(out, "| "+strings.Join(row, " | ")+" |")
		if n == 0 {
			out = append(out, strings.Repeat("|---", len(row))+"|")
		}
	}
	return out
}

// cell returns text as a cell shows it.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ").Replace(text)
}

// code returns text as a cell shows it in type of its own.
func code(text string) string { return "`" + strings.ReplaceAll(text, "|", `\|`) + "`" }

func TestCells(t *testing.T) {
	t.Parallel()
	rows := [][]string{{"a", "", code("x|y")}, {cell("<p> | q"), "2", ""}}
	lines := render(rows)
	if lines[1] != "|---|---|---|" {
		t.Errorf("got %q", lines[1])
	}
	for n, line := range []string{lines[0], lines[2]} {
		if got := cells(line); strings.Join(got, "\x00") != strings.Join(rows[n], "\x00") {
			t.Errorf("%s is read as %q", line, got)
		}
	}
}
