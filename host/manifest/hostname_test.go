package manifest

import (
	"strings"
	"testing"
)

func TestAccount(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "Acme.Example.COM": "acme.example.com", "acme.example.": "acme.example", "acme.example..": "acme.example.",
		// The Kelvin sign is no k, and a dotted capital I no i.
		"\u212Aelvin.example": "\u212Aelvin.example", "\u0130x": "\u0130x",
	} {
		if got := Account(in); got != want {
			t.Errorf("Account(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCheckHostname(t *testing.T) {
	t.Parallel()
	egress := []string{"*.acme.example", "api.other.example"}
	for host, allowed := range map[string]bool{
		"a.acme.example": true, "A.ACME.Example.": true, "a.b.acme.example": true, "api.other.example": true, "my_crm.acme.example": true,
		"acme.example": false, "xacme.example": false, ".acme.example": false, "other.example": false, "x.api.other.example": false,
		"": false, "a.acme.example:443": false, "https://a.acme.example": false, "u@a.acme.example": false, "a.acme.example/": false,
		"a.acme.example#.acme.example": false, "evil.example/a.acme.example": false, "evil.example\\.acme.example": false,
		"127.0.0.1": false, "[::1]": false, "a..acme.example": false, "-.acme.example": false, "a b.acme.example": false, "a\n.acme.example": false,
		"*.acme.example": false, strings.Repeat("a", 64) + ".acme.example": false, strings.Repeat("a.", 125) + "acme.example": false,
		"\u212A.acme.example": false, "b\u00fccher.acme.example": false, "%61.acme.example": false, "a.acme.example..": false,
	} {
		if got := HostnameAllowed(host, egress); got != allowed {
			t.Errorf("HostnameAllowed(%q) = %v", host, got)
		}
		err := CheckHostname(host, egress)
		if (err == nil) != allowed {
			t.Errorf("CheckHostname(%q) = %v", host, err)
		}
		if err != nil && strings.Contains(host, "evil") && strings.Contains(err.Error(), "evil") {
			t.Errorf("the error repeats the host name: %v", err)
		}
	}
}

func TestCheckHostnameWithoutEgress(t *testing.T) {
	t.Parallel()
	for host, ok := range map[string]bool{
		"": true, "anything.example": true, "localhost": true, "127.0.0.1": false, "2130706433": false, "0x7f.1": false, "a:1": false, "http://a": false,
	} {
		if err := CheckHostname(host, nil); (err == nil) != ok {
			t.Errorf("CheckHostname(%q) = %v", host, err)
		}
		if HostnameAllowed(host, nil) {
			t.Errorf("HostnameAllowed(%q) without egress", host)
		}
	}
}
