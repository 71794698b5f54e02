package crmhttp

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Path puts values into the places of a template, each escaped, so that no value
// can reach beyond its place:
//
//	crmhttp.Path("/persons/{id}/notes", req.ContactInfo.ID)
//
// It returns "", which every request refuses, when the number of values is not
// the number of places or a value is empty.
func Path(template string, values ...any) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(template, "{")
		out.WriteString(before)
		if !found {
			break
		}
		_, after, closed := strings.Cut(rest, "}")
		if !closed || len(values) == 0 {
			return ""
		}
		value := fmt.Sprint(values[0])
		if value == "" {
			return ""
		}
		out.WriteString(url.PathEscape(value))
		template, values = after, values[1:]
	}
	if len(values) > 0 {
		return ""
	}
	return out.String()
}

// join returns the URL of path under origin.
func join(origin *url.URL, path string) (*url.URL, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, errors.New("the path must begin with a slash")
	}
	if strings.ContainsAny(path, "?#") {
		return nil, errors.New("the path must not hold a query or fragment")
	}
	u, err := url.Parse(origin.String() + path)
	if err != nil {
		return nil, errors.New("the path is malformed")
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return nil, errors.New("the path must not hold dot segments")
		}
	}
	return u, nil
}

// maxTemplate is the longest path that an error shows, in bytes.
const maxTemplate = 120

// pathTemplate returns path as errors show it: words stay, and whatever may be an
// id, a session or a token becomes "{}". There is no query.
func pathTemplate(path string) string {
	path, _, _ = strings.Cut(path, "?")
	path, _, _ = strings.Cut(path, "#")
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if segment != "" && !isWord(segment) {
			segments[i] = "{}"
		}
	}
	out := strings.Join(segments, "/")
	if len(out) > maxTemplate {
		return out[:maxTemplate] + "..."
	}
	return out
}

// isWord reports whether a path's segment is part of the API rather than a
// value: letters, dots, hyphens and underscores, at most 32, with at most two
// digits, as "activities.json", "v2" or "v3.1".
func isWord(segment string) bool {
	digits := 0
	for i := range len(segment) {
		switch c := segment[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case (c == '.' || c == '-' || c == '_') && i > 0:
		case c >= '0' && c <= '9' && i > 0:
			digits++
		default:
			return false
		}
	}
	return digits <= 2 && len(segment) <= 32
}
