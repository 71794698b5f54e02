package render

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// style writes the parts of a note in one format. Each method returns text in
// which nothing is left unescaped.
type style interface {
	// line returns a line of spans.
	line(spans []span) string
	// body returns a message's text, which may have several lines.
	body(text string) string
	// gap returns what stands before a part that is not the first; head tells
	// the first part of a message.
	gap(head bool) string
}

// layout returns the note: the parts, then the footer, at most limit characters.
func layout(parts []part, footer []span, s style, limit int) string {
	tail := ""
	if footer != nil {
		tail = s.gap(true) + s.line(footer)
	}
	pieces := make([]string, len(parts))
	total, plain := utf8.RuneCountInString(tail), 0
	for i, p := range parts {
		pieces[i] = before(s, i, p) + written(s, p)
		total += utf8.RuneCountInString(pieces[i])
		plain += p.size()
	}
	if total <= limit {
		return strings.Join(pieces, "") + tail
	}
	room := limit - utf8.RuneCountInString(tail) - utf8.RuneCountInString(mark(s, plain))
	var out strings.Builder
	for i, p := range parts {
		if n := utf8.RuneCountInString(pieces[i]); n <= room {
			out.WriteString(pieces[i])
			room -= n
			plain -= p.size()
			continue
		}
		if p.line == nil {
			kept, piece := fit(s, before(s, i, p), p.text, room)
			out.WriteString(piece)
			plain -= kept
		}
		break
	}
	return out.String() + mark(s, plain) + tail
}

// fit returns the longest beginning of text that has room once it is written,
// as the number of its characters and as written after lead.
func fit(s style, lead, text string, room int) (kept int, piece string) {
	cuts := boundaries(text)
	at := func(i int) string { return lead + s.body(text[:cuts[i]]) }
	i := sort.Search(len(cuts), func(i int) bool { return utf8.RuneCountInString(at(i)) > room }) - 1
	// A shorter beginning may be written longer, as where a cut ends what need not
	// be escaped, so the search may be off by a little.
	for i > 0 && utf8.RuneCountInString(at(i)) > room {
		i--
	}
	if i <= 0 {
		return 0, ""
	}
	return utf8.RuneCountInString(text[:cuts[i]]), at(i)
}

// mark returns the line that says how much is missing.
func mark(s style, n int) string {
	return s.gap(false) + s.line([]span{{words, fmt.Sprintf("[… %d characters cut]", n)}})
}

func before(s style, i int, p part) string {
	if i == 0 {
		return ""
	}
	return s.gap(p.head)
}

func written(s style, p part) string {
	if p.line != nil {
		return s.line(p.line)
	}
	return s.body(p.text)
}

// size returns the number of characters of the part without any mark-up.
func (p part) size() int {
	n := utf8.RuneCountInString(p.text)
	for _, sp := range p.line {
		n += utf8.RuneCountInString(sp.text)
	}
	return n
}
