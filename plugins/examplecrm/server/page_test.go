package server

import (
	"fmt"
	"strings"
	"testing"
)

func TestPages(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	c.do("PUT", "/contacts/7?type=person", `{"name":"Ada <Lovelace>"}`).want(t, 200)
	c.do("POST", "/activities", `{"contactId":"7","contactType":"person","subject":"A & B","note":"<p>Flight <b>information</b></p>","messageIds":["60279564004"],"externalId":"pb-1"}`).want(t, 201)
	html := []string{"Accept", "text/html,*/*", "Authorization", ""}
	for path, wants := range map[string][]string{
		"/":                       {"A &amp; B", "Ada &lt;Lovelace&gt;", `href="/activities/1"`, "1 activities"},
		"/activities/1":           {"<p>Flight <b>information</b></p>", "&lt;p&gt;Flight", "60279564004", "pb-1", `href="/contacts/7?type=person"`},
		"/contacts/7?type=person": {"Ada &lt;Lovelace&gt;", "A &amp; B"},
	} {
		a := c.do("GET", path, "", html...).want(t, 200)
		for _, want := range wants {
			if !strings.Contains(a.body, want) {
				t.Errorf("%s does not show %q:\n%s", path, want, a.body)
			}
		}
		policy := a.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(a.body, "<script") {
			t.Errorf("%s: policy %q", path, policy)
		}
	}
	for _, path := range []string{"/activities/9", "/activities/x", "/contacts/9"} {
		c.do("GET", path, "", html...).want(t, 404)
	}
	c.do("GET", "/nowhere", "").want(t, 404)
}

func TestFrontPageLeadsToOlderActivities(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	for i := range defaultPage + 2 {
		c.do("POST", "/activities", draft(fmt.Sprint(i))).want(t, 201)
	}
	first := c.do("GET", "/", "").want(t, 200).body
	if !strings.Contains(first, `href="/?before=2"`) || strings.Contains(first, `href="/activities/2"`) {
		t.Errorf("the first page is\n%s", first)
	}
	second := c.do("GET", "/?before=2", "").want(t, 200).body
	if !strings.Contains(second, `href="/activities/2"`) || strings.Contains(second, "before=") {
		t.Errorf("the second page is\n%s", second)
	}
}
