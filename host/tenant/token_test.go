package tenant_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/tenant"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestTokensOpenTheirTenantOnly(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.tenant("a")
	f.tenant("b")
	made, secret, err := f.CreateToken(t.Context(), "a", body(t, `{"name":"ci"}`))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(secret.Reveal(), tenant.TokenPrefix))
	if err != nil || len(raw) != 32 || !strings.HasPrefix(secret.Reveal(), "pbt_") {
		t.Errorf("the token is no prefix and 256 bits: %d bytes, %v", len(raw), err)
	}
	who, err := f.Authenticate(secret.Reveal())
	if err != nil || who != (tenant.Principal{Tenant: "a", TokenID: made.ID}) {
		t.Fatalf("got %+v, %v", who, err)
	}
	if !who.May("a") || who.May("b") || who.May("") {
		t.Error("the token opens another tenant")
	}
	if admin, err := f.Authenticate(adminToken); err != nil || !admin.Admin || !admin.May("b") {
		t.Errorf("admin: %+v, %v", admin, err)
	}
	if again, err := f.another().Authenticate(secret.Reveal()); err != nil || again != who {
		t.Errorf("another host: %+v, %v", again, err)
	}
}

func TestStrangeTokensOpenNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.tenant("a")
	_, secret, err := f.CreateToken(t.Context(), "a", body(t, `{"name":"ci"}`))
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte(secret.Reveal()))
	for _, token := range []string{
		"", "x", secret.Reveal() + "x", secret.Reveal()[:len(secret.Reveal())-1], strings.ToUpper(secret.Reveal()),
		adminToken + " ", string(hash[:]), strings.Repeat("x", 1<<20),
	} {
		who, err := f.Authenticate(token)
		wantCode(t, err, fault.Unauthenticated)
		if who != (tenant.Principal{}) || who.May("a") || who.May("") {
			t.Errorf("a stranger is %+v", who)
		}
	}
}

func TestOnlyTheHashOfATokenIsStored(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.tenant("a")
	_, secret, err := f.CreateToken(t.Context(), "a", body(t, `{"name":"ci"}`))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := f.store.LoadDirectory(t.Context())
	if err != nil || len(rows.Tokens) != 1 {
		t.Fatal(rows, err)
	}
	if strings.Contains(fmt.Sprintf("%+v", rows.Tokens[0]), secret.Reveal()) {
		t.Error("the token is stored in the clear")
	}
	if sha256.Sum256([]byte(secret.Reveal())) != [32]byte(rows.Tokens[0].Hash) {
		t.Error("what is stored is not the SHA-256")
	}
}

func TestTokensExpire(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.tenant("a")
	at := f.clock.now().Add(time.Hour).Format(time.RFC3339)
	made, secret, err := f.CreateToken(t.Context(), "a", body(t, `{"name":"ci","expiresAt":"`+at+`"}`))
	if err != nil || made.ExpiresAt.Format(time.RFC3339) != at {
		t.Fatal(made, err)
	}
	f.clock.advance(time.Hour - time.Second)
	if _, err := f.Authenticate(secret.Reveal()); err != nil {
		t.Fatalf("before expiry: %v", err)
	}
	f.clock.advance(time.Second)
	_, err = f.Authenticate(secret.Reveal())
	wantCode(t, err, fault.Unauthenticated)
}

func TestRevokedTokensOpenNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.tenant("a")
	f.tenant("b")
	made, secret, err := f.CreateToken(t.Context(), "a", body(t, `{"name":"ci"}`))
	if err != nil {
		t.Fatal(err)
	}
	other := f.another()
	err = f.RevokeToken(t.Context(), "b", made.ID)
	wantCode(t, err, fault.Conflict)
	if fault.MessageOf(err) != "this tenant has no such token" || fault.ClassOf(err) != fault.Permanent {
		t.Errorf("got %q, class %s", fault.MessageOf(err), fault.ClassOf(err))
	}
	if _, err := f.Authenticate(secret.Reveal()); err != nil {
		t.Fatalf("another tenant revoked it: %v", err)
	}
	if err := f.RevokeToken(t.Context(), "a", made.ID); err != nil {
		t.Fatal(err)
	}
	_, err = f.Authenticate(secret.Reveal())
	wantCode(t, err, fault.Unauthenticated)
	for name, d := range map[string]*tenant.Directory{"again": f.Directory, "on a host that does not know": other} {
		if err := d.RevokeToken(t.Context(), "a", made.ID); err != nil {
			t.Errorf("revoke %s: %v", name, err)
		}
	}
	wantCode(t, f.RevokeToken(t.Context(), "b", made.ID), fault.Conflict)
	wantCode(t, f.RevokeToken(t.Context(), "a", "01ARZ3NDEKTSV4RRFFQ69G5FAV"), fault.Conflict)
	wantCode(t, f.RevokeToken(t.Context(), "c", made.ID), fault.TenantNotFound)
}

func TestTokenBodies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, want string }{
		"nothing":      {`{}`, "/name required"},
		"empty name":   {`{"name":""}`, "/name invalid_value"},
		"unknown":      {`{"name":"x","scope":"all"}`, "/scope unknown_member"},
		"both wrong":   {`{"name":1,"expiresAt":2}`, "/name wrong_type, /expiresAt wrong_type"},
		"no time":      {`{"name":"x","expiresAt":"tomorrow"}`, "/expiresAt invalid_value"},
		"in the past":  {`{"name":"x","expiresAt":"2001-01-01T00:00:00Z"}`, "/expiresAt invalid_value"},
		"name null":    {`{"name":null}`, "/name wrong_type"},
		"without zone": {`{"name":"x","expiresAt":"2030-01-01T00:00:00"}`, "/expiresAt invalid_value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.tenant("a")
			_, secret, err := f.CreateToken(t.Context(), "a", body(t, c.body))
			wantCode(t, err, fault.InvalidFields)
			if got := pointers(err); got != c.want {
				t.Errorf("faults %q, want %q", got, c.want)
			}
			if !secret.IsZero() {
				t.Error("a refusal came with a token")
			}
		})
	}
}

func TestTokensOfATenantAreBounded(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.tenant("a")
	f.tenant("b")
	for range 1000 {
		if _, _, err := f.CreateToken(t.Context(), "a", body(t, `{"name":"x"}`)); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := f.CreateToken(t.Context(), "a", body(t, `{"name":"x"}`))
	wantCode(t, err, fault.Conflict)
	if _, _, err := f.CreateToken(t.Context(), "b", body(t, `{"name":"x"}`)); err != nil {
		t.Errorf("another tenant: %v", err)
	}
	count, after := 0, ""
	for {
		page, next, err := f.Tokens("a", after, 300)
		if err != nil {
			t.Fatal(err)
		}
		count += len(page)
		if after = next; after == "" {
			break
		}
	}
	if count != 1000 {
		t.Errorf("%d tokens listed", count)
	}
	_, _, err = f.Tokens("c", "", 1)
	wantCode(t, err, fault.TenantNotFound)
}
