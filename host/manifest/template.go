package manifest

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// The placeholders of URL templates.
const (
	placeHostname    = "hostname"
	placeContactID   = "contactId"
	placeContactType = "contactType"
	placeLogID       = "logId"
)

var (
	contactPlaceholders = []string{placeHostname, placeContactID, placeContactType}
	logPlaceholders     = []string{placeHostname, placeContactID, placeContactType, placeLogID}
)

var (
	placeholder = regexp.MustCompile(`\{([^{}]*)\}`)
	// templateShape is an http or https URL, after its placeholders were
	// replaced by letters. Whoever controls a placeholder other than {hostname}
	// must not choose the host.
	templateShape = regexp.MustCompile(`^https?://(\{hostname\}|[A-Za-z0-9.-]+)+(:[0-9]{1,5})?([/?#]([^\s{}]|\{[A-Za-z]+\})*)?$`)
)

// template reads a URL template with placeholders out of known.
func (r *reader) template(n *strictjson.Node, known []string) string {
	text := r.optionalText(n, maxURL)
	if text == "" {
		return ""
	}
	before := len(r.Faults)
	for _, match := range placeholder.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(known, match[1]) {
			r.invalid(n, "has a placeholder that is none of {%s}%s", strings.Join(known, "}, {"),
				strictjson.DidYouMean(match[1], known))
		}
	}
	if len(r.Faults) > before {
		return ""
	}
	if !templateShape.MatchString(text) {
		r.invalid(n, "must be an http or https URL whose host is literal or {hostname}")
		return ""
	}
	sample := placeholder.ReplaceAllString(text, "x")
	if u, err := url.Parse(sample); err != nil || u.Host == "" {
		r.invalid(n, "must be a well-formed URL")
		return ""
	}
	return text
}

// LogPage returns the address of the CRM's page for a log entry, "" when the CRM
// has none or when a value that it needs is empty or could not stand in a URL.
func (m *Manifest) LogPage(hostname, contactType, contactID, logID string) string {
	return fill(m.LogPageURL, map[string]string{
		placeHostname: hostname, placeContactType: contactType, placeContactID: contactID, placeLogID: logID,
	})
}

// fill replaces the placeholders of a template, each escaped for the place where
// it stands.
func fill(template string, values map[string]string) string {
	var b strings.Builder
	rest := template
	for {
		at := placeholder.FindStringSubmatchIndex(rest)
		if at == nil {
			b.WriteString(rest)
			return b.String()
		}
		b.WriteString(rest[:at[0]])
		name := rest[at[2]:at[3]]
		value, ok := escape(name, values[name], b.String())
		if !ok {
			return ""
		}
		b.WriteString(value)
		rest = rest[at[1]:]
	}
}

// escape returns the value of a placeholder as it may stand after the text
// written so far. It reports false for a value that cannot stand there.
func escape(name, value, written string) (string, bool) {
	switch {
	case name == placeHostname:
		host := Account(value)
		return host, bareHost(host)
	case value == "" || value == "." || value == "..": // browsers resolve dots, escaped or not
		return "", false
	case strings.Contains(written, "?") && !strings.Contains(written, "#"):
		return url.QueryEscape(value), true
	default:
		return url.PathEscape(value), true
	}
}
