package render

import (
	"html"
	"strings"
	"unicode"
	"unicode/utf8"
)

// textStyle writes plain text.
type textStyle struct{}

func (textStyle) line(spans []span) string {
	var out strings.Builder
	for _, sp := range spans {
		if sp.tone == foreign {
			out.WriteString(isolate(sp.text))
		} else {
			out.WriteString(sp.text)
		}
	}
	return out.String()
}

func (textStyle) body(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = "  " + isolate(line)
		}
	}
	return strings.Join(lines, "\n")
}

func (textStyle) gap(head bool) string {
	if head {
		return "\n\n"
	}
	return "\n"
}

// htmlStyle writes HTML. There is no white space between elements, for some CRMs
// turn line feeds into line breaks.
type htmlStyle struct{}

func (htmlStyle) line(spans []span) string {
	var out strings.Builder
	out.WriteString("<p>")
	for _, sp := range spans {
		text := html.EscapeString(sp.text)
		switch {
		case sp.tone == strong:
			text = "<b>" + text + "</b>"
		case sp.tone == link:
			text = `<a href="` + text + `" rel="noopener noreferrer">` + text + "</a>"
		case sp.tone == foreign && reorders(sp.text):
			text = "<bdi>" + text + "</bdi>"
		}
		out.WriteString(text)
	}
	out.WriteString("</p>")
	return out.String()
}

func (htmlStyle) body(text string) string {
	var out strings.Builder
	if reorders(text) {
		out.WriteString(`<p dir="auto">`)
	} else {
		out.WriteString("<p>")
	}
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			out.WriteString("<br>")
		}
		out.WriteString(html.EscapeString(balance(line)))
	}
	out.WriteString("</p>")
	return out.String()
}

func (htmlStyle) gap(bool) string { return "" }

// markdownStyle writes CommonMark.
type markdownStyle struct{}

func (markdownStyle) line(spans []span) string {
	var out strings.Builder
	for i, sp := range spans {
		switch sp.tone {
		case strong:
			out.WriteString("**" + escapeMarkdown(sp.text, false) + "**")
		case link:
			out.WriteString("<" + sp.text + ">")
		case foreign:
			out.WriteString(escapeMarkdown(isolate(sp.text), i == 0))
		default:
			out.WriteString(escapeMarkdown(sp.text, i == 0))
		}
	}
	return out.String()
}

func (markdownStyle) body(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		line = strings.TrimRight(line, " \t")
		lines[i] = ">"
		if line == "" {
			continue
		}
		lines[i] += " " + isolate(escapeMarkdown(indent(line), true))
		if i+1 < len(lines) && strings.TrimSpace(lines[i+1]) != "" {
			lines[i] += "  " // two spaces are a line break in every dialect
		}
	}
	return strings.Join(lines, "\n")
}

func (markdownStyle) gap(bool) string { return "\n\n" }

// indent turns the white space before a line into no-break spaces, for four
// spaces or a tab would make it a block of code.
func indent(line string) string {
	rest := strings.TrimLeft(line, " \t")
	lead := strings.ReplaceAll(line[:len(line)-len(rest)], "\t", "    ")
	return strings.ReplaceAll(lead, " ", "\u00A0") + rest
}

// escapeMarkdown returns one line that reads as text. Characters that have a
// meaning in some places only are escaped there, so that addresses stay readable.
func escapeMarkdown(line string, start bool) string {
	var out strings.Builder
	if start {
		line = escapeStart(&out, line)
	}
	var before rune
	for i, r := range line {
		after, _ := utf8.DecodeRuneInString(line[i+utf8.RuneLen(r):])
		switch {
		case strings.ContainsRune("\\`*[]<>|~$", r),
			r == '_' && (!isWordRune(before) || !isWordRune(after)),
			r == '&' && isEntity(line[i:]):
			out.WriteByte('\\')
		}
		out.WriteRune(r)
		before = r
	}
	return out.String()
}

// escapeStart escapes what would make a line a heading, a list, a quote or a
// rule, and returns the rest of the line.
func escapeStart(out *strings.Builder, line string) string {
	digits := len(line) - len(strings.TrimLeft(line, "0123456789"))
	out.WriteString(line[:digits])
	line = line[digits:]
	if line == "" {
		return line
	}
	if digits > 0 && (line[0] == '.' || line[0] == ')') || digits == 0 && strings.IndexByte("#+-=:", line[0]) >= 0 {
		out.WriteByte('\\')
		out.WriteByte(line[0])
		return line[1:]
	}
	return line
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// isEntity reports whether text begins like a character reference, as "&amp;".
func isEntity(text string) bool {
	name, _, found := strings.Cut(text[1:], ";")
	return found && name != "" && len(name) <= 40 && strings.IndexFunc(name, func(r rune) bool {
		return r != '#' && (r > unicode.MaxASCII || !isWordRune(r))
	}) < 0
}
