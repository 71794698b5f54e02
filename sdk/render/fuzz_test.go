package render

import (
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/patchbay-crm/patchbay/sdk"
)

// allowed are the only tags that a note may hold.
var allowed = regexp.MustCompile(`^(</?p>|<p dir="auto">|</?b>|</?bdi>|<br>|</a>|<a href="https?://[^"<>\s]*" rel="noopener noreferrer">)`)

// entity are the only character references that a note may hold.
var entity = regexp.MustCompile(`^&(lt|gt|amp|#34|#39);`)

// checkHTML fails when a note holds anything that is not a tag of ours, an escape
// or harmless text, or when its tags do not match. It reads the note by itself
// rather than with the code that wrote it.
func checkHTML(t *testing.T, note string) {
	t.Helper()
	if !utf8.ValidString(note) {
		t.Fatalf("invalid UTF-8: %q", note)
	}
	var open []string
	for i := 0; i < len(note); i++ {
		switch c := note[i]; {
		case c == '<':
			tag := allowed.FindString(note[i:])
			if tag == "" {
				t.Fatalf("unescaped at %d: %q", i, note[i:min(len(note), i+40)])
			}
			name := strings.Trim(strings.Fields(tag)[0], "</>")
			switch {
			case tag == "<br>":
			case tag[1] != '/':
				open = append(open, name)
			case len(open) == 0 || open[len(open)-1] != name:
				t.Fatalf("%s closes %v at %d", tag, open, i)
			default:
				open = open[:len(open)-1]
			}
			i += len(tag) - 1
		case c == '&' && !entity.MatchString(note[i:]):
			t.Fatalf("unescaped at %d: %q", i, note[i:min(len(note), i+40)])
		case c == '>' || c == '"' || c == '\'' || c < 0x20 && c != '\t' || c == 0x7f:
			t.Fatalf("unescaped at %d: %q", i, note[max(0, i-20):min(len(note), i+20)])
		}
	}
	if len(open) > 0 {
		t.Fatalf("%v stay open in %q", open, note)
	}
}

var tags = regexp.MustCompile(`<[^>]*>`)

// fuzzed returns a request in which the text stands wherever a text may stand.
func fuzzed(t *testing.T, text, name, address string) *sdk.AddMessageLogRequest {
	t.Helper()
	quote := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	req := request(t, `{"id":1,"type":`+quote(name)+`,"direction":"Inbound","creationTime":0,"messageStatus":`+quote(name)+`,"subject":`+quote(text)+`,
		"from":{"name":`+quote(name)+`,"location":`+quote(text)+`},"to":[{"phoneNumber":`+quote(name)+`},{"extensionNumber":`+quote(text)+`}],
		"attachments":[{"id":1,"type":`+quote(name)+`,"fileName":`+quote(text)+`,"contentType":`+quote(name)+`}]}`,
		sms(2, "2026-01-01T00:00:00Z", "second"))
	req.ContactInfo.Name, req.ContactInfo.PhoneNumber, req.User.Name, req.RecordingLink = name, text, text, address
	return req
}

func FuzzHTML(f *testing.F) {
	f.Add("<b>$& $$ &amp; \"'", "<i>Eve</i>", "https://a.example/?x=\"><script>", 300)
	f.Add("\x00\u202E\u2069\u2028 שלום\r\n", "\u2067", "javascript:alert(1)", 0)
	f.Add(strings.Repeat("👩‍👩‍👧<&>", 200), "", "http://[::1]:80/&lt;", 500)
	f.Fuzz(func(t *testing.T, text, name, address string, limit int) {
		req := fuzzed(t, text, name, address)
		o := Options{MaxLen: limit % 5000, Marker: name}
		checkHTML(t, HTMLWith(req, o))
		full := HTMLWith(req, Options{MaxLen: 1 << 30})
		checkHTML(t, full)
		body := html.UnescapeString(tags.ReplaceAllString(strings.ReplaceAll(full, "<br>", "\n"), ""))
		want := req.Messages[0].Subject
		for line := range strings.SplitSeq(clean(want), "\n") {
			if !strings.Contains(body, balance(line)) {
				t.Fatalf("the line %q is missing in %q", line, body)
			}
		}
		for _, note := range []string{TextWith(req, o), MarkdownWith(req, o), Subject(req)} {
			if !utf8.ValidString(note) || strings.ContainsAny(note, "\x00\x07\x1b\r\x7f") {
				t.Fatalf("control characters in %q", note)
			}
		}
		if strings.Contains(Subject(req), "\n") {
			t.Fatalf("the subject has several lines: %q", Subject(req))
		}
	})
}

// unescape undoes Markdown's backslash escapes.
var unescape = regexp.MustCompile("\\\\([!-/:-@\\[-`{-~])")

func FuzzMarkdown(f *testing.F) {
	for _, line := range []string{"# x", "1. x", "-", "*a* _b_ __c__ a_b", "`x` ``", "&amp; &#1; & b;", "| a | b |", "\\*", "===", "[a]: http://x", "<http://x>", "+ x", "12) x"} {
		f.Add(line)
	}
	meaning := regexp.MustCompile("(^|[^\\\\])((\\\\\\\\)*)[*`<>\\[\\]|~$]")
	block := regexp.MustCompile(`^([#+=:-]|[0-9]+[.)])`)
	f.Fuzz(func(t *testing.T, text string) {
		line, _, _ := strings.Cut(clean(text), "\n")
		got := escapeMarkdown(line, true)
		if found := meaning.FindString(got); found != "" {
			t.Fatalf("%q became %q, where %q has a meaning", line, got, found)
		}
		if block.MatchString(got) {
			t.Fatalf("%q became %q, which starts a block", line, got)
		}
		if back := unescape.ReplaceAllString(got, "$1"); back != line && !strings.Contains(line, `\`) {
			t.Fatalf("%q became %q, which reads as %q", line, got, back)
		}
	})
}
