package manifest

import "testing"

func TestPages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		template, host, contactType, contact, log, want string
	}{
		"plain":            {"https://{hostname}/{contactType}/{contactId}/{logId}", "acme.example", "person", "7", "42", "https://acme.example/person/7/42"},
		"canonical host":   {"https://{hostname}/{logId}", "ACME.example.", "", "", "42", "https://acme.example/42"},
		"escaped path":     {"https://{hostname}/{logId}", "a.example", "", "", "a/b?c#d e%", "https://a.example/a%2Fb%3Fc%23d%20e%25"},
		"escaped query":    {"https://{hostname}/?id={logId}&x=1", "a.example", "", "", "a&b=c d+e#", "https://a.example/?id=a%26b%3Dc+d%2Be%23&x=1"},
		"fragment":         {"https://{hostname}/?a=b#/{logId}", "a.example", "", "", "x y", "https://a.example/?a=b#/x%20y"},
		"value with brace": {"https://{hostname}/{logId}/{contactId}", "a.example", "", "7", "{contactId}", "https://a.example/%7BcontactId%7D/7"},
		"twice":            {"https://h.example/{logId}/{logId}", "", "", "", "1", "https://h.example/1/1"},
		"host not needed":  {"https://h.example/{logId}", "", "", "", "1", "https://h.example/1"},
		"no template":      {"", "a.example", "t", "7", "1", ""},
		"host missing":     {"https://{hostname}/{logId}", "", "", "", "1", ""},
		"host odd":         {"https://{hostname}/{logId}", "a.example/../x", "", "", "1", ""},
		"host with port":   {"https://{hostname}/{logId}", "a.example:8080", "", "", "1", ""},
		"value missing":    {"https://{hostname}/{contactType}/{logId}", "a.example", "", "7", "1", ""},
		"parent":           {"https://{hostname}/x/{logId}", "a.example", "", "", "..", ""},
		"not unicode-safe": {"https://{hostname}/{logId}", "a.example", "", "", "é\n", "https://a.example/%C3%A9%0A"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &Manifest{LogPageURL: c.template}
			if got := m.LogPage(c.host, c.contactType, c.contact, c.log); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	m := mustParse(t, full(t))
	if got := m.LogPage("a.acme.example", "", "7", "x"); got != "https://a.acme.example/log?id=x&contact=7" {
		t.Errorf("LogPage = %q", got)
	}
}
