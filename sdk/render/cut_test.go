package render

import (
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/patchbay-crm/patchbay/sdk"
)

var formats = map[string]func(*sdk.AddMessageLogRequest, Options) string{
	"html": HTMLWith, "text": TextWith, "markdown": MarkdownWith,
}

var cutMark = regexp.MustCompile(`\[… ([0-9]+) characters cut\\?\]`)

// cutCount returns the number in the note's mark, -1 without one.
func cutCount(t *testing.T, note string) int {
	t.Helper()
	found := cutMark.FindStringSubmatch(note)
	if found == nil {
		return -1
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTenThousandCharactersAreKept(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789", 1000)
	for name, render := range formats {
		if note := render(request(t, sms(1, "2026-01-01T00:00:00Z", text)), Options{}); !strings.Contains(note, text) || cutCount(t, note) >= 0 {
			t.Errorf("%s: the text is cut", name)
		}
	}
}

func TestLongNotesAreCut(t *testing.T) {
	t.Parallel()
	const texts = 9000
	req := request(t, sms(1, "2026-01-01T00:00:00Z", strings.Repeat("x", texts/2)), sms(2, "2026-01-01T00:00:01Z", strings.Repeat("x", texts/2)))
	for name, render := range formats {
		for _, limit := range []int{300, 1000, 5000, 9300} {
			note := render(req, Options{MaxLen: limit, Marker: "pb-abc"})
			if n := utf8.RuneCountInString(note); n > limit || n < limit-250 {
				t.Errorf("%s: limit %d gave %d characters", name, limit, n)
			}
			if !strings.Contains(note, "pb-abc") {
				t.Errorf("%s: limit %d lost the marker", name, limit)
			}
			kept := strings.Count(strings.ReplaceAll(note, "characters", ""), "x")
			missing := texts - kept
			// Lines above texts that were dropped whole count as well.
			if n := cutCount(t, note); n < missing || n > missing+120 {
				t.Errorf("%s: limit %d says %d are cut, %d are missing", name, limit, n, missing)
			}
		}
	}
}

// Every limit must cut between characters, escapes and tags, wherever it falls.
func TestCutsFallBetweenCharacters(t *testing.T) {
	t.Parallel()
	const unit = `<b>&👩‍👩‍👧🇨🇭e\u0301👍🏽שלום*_`
	req := request(t, sms(1, "2026-01-01T00:00:00Z", strings.Repeat(unit, 60)))
	full := clean(req.Messages[0].Subject)
	for limit := 300; limit < 420; limit++ {
		note := HTMLWith(req, Options{MaxLen: limit})
		if n := utf8.RuneCountInString(note); n > limit {
			t.Fatalf("limit %d gave %d characters", limit, n)
		}
		checkHTML(t, note)
		before, _, cut := strings.Cut(note, "[…")
		if !cut {
			t.Fatalf("limit %d: no mark in %q", limit, note)
		}
		body := note[strings.LastIndex(before[:len(before)-len("<p>")], "<p")+len(`<p dir="auto">`):]
		body, _, _ = strings.Cut(body, "</p>")
		body = html.UnescapeString(body)
		if !strings.HasPrefix(full, body) {
			t.Fatalf("limit %d: the text was changed: %q", limit, body)
		}
		if cuts := boundaries(full); !contains(cuts, len(body)) {
			t.Fatalf("limit %d cuts inside a character: %q", limit, body[max(0, len(body)-12):])
		}
		if note := MarkdownWith(req, Options{MaxLen: limit}); !utf8.ValidString(note) || strings.Contains(note, "\\\n\n\\[…") {
			t.Fatalf("limit %d: Markdown is cut inside an escape:\n%s", limit, note)
		}
	}
}

func contains(cuts []int, at int) bool {
	return slices.Contains(cuts, at)
}

func TestBoundaries(t *testing.T) {
	t.Parallel()
	cases := map[string][]string{
		"":                                     nil,
		"ab":                                   {"a", "b"},
		"e\u0301x":                             {"e\u0301", "x"},
		"👩‍👩‍👧!":                               {"👩‍👩‍👧", "!"},
		"👍🏽👍":                                  {"👍🏽", "👍"},
		"🇨🇭🇫🇷":                                 {"🇨🇭", "🇫🇷"},
		"a🇨🇭🇫":                                 {"a", "🇨🇭", "🇫"},
		"❤️.":                                  {"❤️", "."},
		"각힣":                                   {"각", "힣"},
		"नि":                                   {"नि"},
		strings.Repeat("\u0301", maxCluster+1): {strings.Repeat("\u0301", maxCluster), "\u0301"},
	}
	for text, want := range cases {
		cuts := boundaries(text)
		var got []string
		for i := 1; i < len(cuts); i++ {
			got = append(got, text[cuts[i-1]:cuts[i]])
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestHostileNamesStayBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\u2067א", 5000)
	req := request(t, flight)
	req.ContactInfo.Name, req.User.Name = long, long
	for i := range req.Messages {
		req.Messages[i].MessageStatus, req.Messages[i].Type = long, long
		req.Messages[i].To = make([]sdk.Correspondent, 400)
		req.Messages[i].Attachments = make([]sdk.Attachment, 400)
	}
	if n := utf8.RuneCountInString(Subject(req)); n > 200 {
		t.Errorf("the subject has %d characters", n)
	}
	for name, render := range formats {
		if n := utf8.RuneCountInString(render(req, Options{})); n > 3000 {
			t.Errorf("%s: the note has %d characters", name, n)
		}
	}
	req.ContactInfo.Name = "א"
	if got, want := Subject(req), "\u2068א\u2069"; !strings.Contains(got, want) {
		t.Errorf("the name is not isolated in %q", got)
	}
}

func TestIsolatesCannotBeClosedFromInside(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"\u2069\u2069x", "\u2067x", "\u202Ex\u2069", "\u2066a\u2069\u2069\u2068b"} {
		depth := 0
		for i, r := range []rune(isolate(line)) {
			switch {
			case r >= 0x2066 && r <= 0x2068:
				depth++
			case r == popDirectionalIsolate:
				depth--
			}
			if depth < 1 && i < len([]rune(isolate(line)))-1 {
				t.Errorf("%+q: the isolate ends at character %d", isolate(line), i)
			}
		}
		if depth != 0 {
			t.Errorf("%+q: %d isolates stay open", isolate(line), depth)
		}
	}
	if got := isolate("plain"); got != "plain" {
		t.Errorf("plain text became %+q", got)
	}
}
