package manifest

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// maxHostname is the length of the longest host name, by RFC 1035.
const maxHostname = 253

var (
	// hostShape has underscores because CRMs give such names to their tenants.
	hostShape = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$`)
	// numericEnd is a last part that a resolver may read as part of an IPv4
	// address, in whatever notation. No top-level domain begins with a digit.
	numericEnd = regexp.MustCompile(`(^|\.)[0-9][^.]*$`)
)

// Account returns the CRM account that a hostname stands for: the name with
// ASCII letters in lower case and without a trailing dot, "" for "".
func Account(hostname string) string {
	// Not strings.ToLower: it turns some letters beyond ASCII into ASCII ones.
	lower := func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}
	return strings.TrimSuffix(strings.Map(lower, hostname), ".")
}

// bareHost reports whether name, in canonical form, is a host name and nothing
// more: no scheme, port, user or IP address.
func bareHost(name string) bool {
	return len(name) <= maxHostname && hostShape.MatchString(name) && !numericEnd.MatchString(name)
}

// validEgress reports whether pattern is a bare host name, or "*." and one of at
// least two parts.
func validEgress(pattern string) bool {
	if parent, wild := strings.CutPrefix(pattern, "*."); wild {
		return bareHost(parent) && strings.Contains(parent, ".")
	}
	return bareHost(pattern)
}

// HostnameAllowed reports whether host is a bare host name that one of the egress
// patterns names. "*.example.com" stands for every name below example.com, at any
// depth, and not for example.com itself. Letter case and a trailing dot do not
// count.
func HostnameAllowed(host string, egress []string) bool {
	host = Account(host)
	if !bareHost(host) {
		return false
	}
	for _, pattern := range egress {
		if parent, wild := strings.CutPrefix(pattern, "*"); wild {
			if strings.HasSuffix(host, parent) && len(host) > len(parent) {
				return true
			}
		} else if host == pattern {
			return true
		}
	}
	return false
}

// CheckHostname checks the CRM host name of a request's user against the egress
// of an adapter. An adapter without egress never dials the name: any bare host
// name will do then, and none at all. The error is for people, follows the name
// of the member ("user.hostname ..."), and repeats nothing of the request.
func CheckHostname(host string, egress []string) error {
	switch {
	case host == "" && len(egress) == 0:
		return nil
	case host == "":
		return errors.New("is required: the adapter finds the CRM by it")
	case !bareHost(Account(host)):
		return errors.New("must be a bare host name, without scheme, port, user or IP address")
	case len(egress) > 0 && !HostnameAllowed(host, egress):
		return fmt.Errorf("must be one of the adapter's hosts: %s", strings.Join(egress, ", "))
	}
	return nil
}
