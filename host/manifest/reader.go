package manifest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// CodeDuplicate is the code of a fault: the same name stands twice in a list.
const CodeDuplicate = "duplicate"

// reader takes values out of a parsed document and collects every fault on the
// way. Its methods take absent values without complaint; require notes those.
type reader struct{ strictjson.Faults }

// object reports whether n is an object, and notes its unknown members.
func (r *reader) object(n *strictjson.Node, known ...string) bool {
	if !r.Want(n, strictjson.Object) {
		return false
	}
	r.Closed(n, known...)
	return true
}

// invalid notes that the value at n is wrong.
func (r *reader) invalid(n *strictjson.Node, format string, args ...any) {
	r.Add(n, strictjson.CodeInvalid, format, args...)
}

var notBlank = regexp.MustCompile(`\S`)

// text reads a string of at most limit characters that is not blank.
func (r *reader) text(n *strictjson.Node, limit int) string {
	if !r.Want(n, strictjson.String) {
		return ""
	}
	switch text := n.Text(); {
	case !notBlank.MatchString(text):
		r.invalid(n, "must not be blank")
	case utf8.RuneCountInString(text) > limit:
		r.invalid(n, "must be at most %d characters long", limit)
	default:
		return text
	}
	return ""
}

// optionalText is text that may be the empty string.
func (r *reader) optionalText(n *strictjson.Node, limit int) string {
	if n.Is(strictjson.String) && n.Text() == "" {
		return ""
	}
	return r.text(n, limit)
}

// match reads a string that has the shape; shape says it in words.
func (r *reader) match(n *strictjson.Node, re *regexp.Regexp, limit int, shape string) string {
	if !r.Want(n, strictjson.String) {
		return ""
	}
	if text := n.Text(); len(text) <= limit && re.MatchString(text) {
		return text
	}
	r.invalid(n, "must be %s, at most %d characters long", shape, limit)
	return ""
}

// oneOf reads a string out of a fixed list.
func oneOf[T ~string](r *reader, n *strictjson.Node, allowed ...T) T {
	if !r.Want(n, strictjson.String) {
		return ""
	}
	if slices.Contains(allowed, T(n.Text())) {
		return T(n.Text())
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	r.invalid(n, "must be one of %s%s", strings.Join(names, ", "), strictjson.DidYouMean(n.Text(), names))
	return ""
}

// flag reads a boolean, false when absent.
func (r *reader) flag(n *strictjson.Node) bool {
	return r.Want(n, strictjson.True) && n.Bool()
}

// integer reads an integer of a range.
func (r *reader) integer(n *strictjson.Node, least, most, absent int) int {
	if !r.Want(n, strictjson.Number) {
		return absent
	}
	v, err := strconv.Atoi(string(n.Raw()))
	if err != nil || v < least || v > most {
		r.invalid(n, "must be an integer from %d to %d", least, most)
		return absent
	}
	return v
}

// number reads a number of a range.
func (r *reader) number(n *strictjson.Node, least, most, absent float64) float64 {
	if !r.Want(n, strictjson.Number) {
		return absent
	}
	v, err := strconv.ParseFloat(string(n.Raw()), 64)
	if err != nil || v < least || v > most {
		r.invalid(n, "must be a number from %v to %v", least, most)
		return absent
	}
	return v
}

var durationText = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`)

// duration reads a duration such as "10s" or "1m30s", of a range.
func (r *reader) duration(n *strictjson.Node, span durationRange) time.Duration {
	if !r.Want(n, strictjson.String) {
		return span.standard
	}
	text := n.Text()
	if len(text) > 32 || !durationText.MatchString(text) {
		r.invalid(n, `must be a duration such as "10s", "1m30s" or "500ms"`)
		return span.standard
	}
	d, err := time.ParseDuration(text)
	if err != nil || !span.holds(d) {
		r.invalid(n, "must be from %s to %s", span.least, span.most)
		return span.standard
	}
	return d
}

// list reads an array of at most limit items.
func (r *reader) list(n *strictjson.Node, limit int) []*strictjson.Node {
	if !r.Want(n, strictjson.Array) {
		return nil
	}
	if len(n.Items()) > limit {
		r.invalid(n, "must have at most %d items", limit)
		return nil
	}
	return n.Items()
}

// once notes that name, which stands at n, was seen before. An empty name, which
// has a fault of its own, is let pass.
func (r *reader) once(n *strictjson.Node, seen map[string]bool, name string) {
	if name == "" {
		return
	}
	if seen[name] {
		r.Add(n, CodeDuplicate, "stands in the list a second time")
	}
	seen[name] = true
}

// durationRange is the range of a duration and what it is when absent.
type durationRange struct{ least, most, standard time.Duration }

func (s durationRange) holds(d time.Duration) bool { return d >= s.least && d <= s.most }
