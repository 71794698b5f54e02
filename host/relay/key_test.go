package relay

import (
	"regexp"
	"testing"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/sdk"
)

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	scope := ledger.Scope{Tenant: "t1", Adapter: "acme", Account: "x.acme.example", ContactType: "person", ContactID: "7"}
	base := idempotencyKey(scope, []string{"A", "B"})
	// The key is in CRM records: it must never change.
	if want := "pb-6593ad2fc574aa93b85017ad90188b6b159cffe1"; base != want {
		t.Errorf("key %s, want %s", base, want)
	}
	if !regexp.MustCompile(`^pb-[0-9a-f]{40}$`).MatchString(base) || len(base) != sdk.IdempotencyKeyBytes {
		t.Errorf("key %s; adapters are promised %d characters of a-z, 0-9 and the hyphen", base, sdk.IdempotencyKeyBytes)
	}
	ids := []string{"B", "A"}
	if got := idempotencyKey(scope, ids); got != base {
		t.Error("the order of the messages counts")
	}
	if ids[0] != "B" {
		t.Error("the messages were sorted in place")
	}
	seen := map[string]string{base: "base"}
	differs := func(name string, change func(*ledger.Scope), messages ...string) {
		t.Helper()
		s := scope
		change(&s)
		key := idempotencyKey(s, messages)
		if other, taken := seen[key]; taken {
			t.Errorf("%s has the key of %s", name, other)
		}
		seen[key] = name
	}
	same := func(*ledger.Scope) {}
	differs("another tenant", func(s *ledger.Scope) { s.Tenant = "t2" }, "A", "B")
	differs("another adapter", func(s *ledger.Scope) { s.Adapter = "acme2" }, "A", "B")
	differs("another account", func(s *ledger.Scope) { s.Account = "y.acme.example" }, "A", "B")
	differs("another contact type", func(s *ledger.Scope) { s.ContactType = "lead" }, "A", "B")
	differs("another contact", func(s *ledger.Scope) { s.ContactID = "8" }, "A", "B")
	differs("fewer messages", same, "A")
	differs("other messages", same, "A", "C")
	differs("one message of both names", same, "AB")
	differs("a separator in a name", same, "A\x00B")
	differs("a name split elsewhere", func(s *ledger.Scope) { s.Tenant, s.Adapter = "t1a", "cme" }, "A", "B")
	differs("an empty field", func(s *ledger.Scope) { s.ContactType, s.ContactID = "", "person7" }, "A", "B")
	differs("a field moved into the messages", func(s *ledger.Scope) { s.ContactType, s.ContactID = "person", "" }, "7", "A", "B")
}
