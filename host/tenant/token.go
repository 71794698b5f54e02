package tenant

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"

	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// TokenPrefix begins every token of a tenant, so that scanners for leaked secrets
// can find one.
const TokenPrefix = "pbt_"

// The bounds of tokens.
const (
	tokenBytes     = 32
	maxTokenLength = 512 // of anything presented as a token
	maxTokens      = 1000
	maxTokenName   = 200
	maxRevoked     = 1000 // remembered
)

// Authenticate returns whose token it is. The comparison takes the same time
// whichever token comes near. The fault is unauthenticated.
func (d *Directory) Authenticate(token string) (Principal, error) {
	if token == "" || len(token) > maxTokenLength {
		return Principal{}, fault.New(fault.Unauthenticated, "")
	}
	hash := sha256.Sum256([]byte(token))
	admin := subtle.ConstantTimeCompare(hash[:], d.adminHash[:]) == 1
	// The map is found by the hash, of which a stranger cannot choose a prefix.
	row, found := d.current.Load().tokens[hash]
	switch {
	case admin:
		return Principal{Admin: true}, nil
	case !found || subtle.ConstantTimeCompare(hash[:], row.Hash) != 1:
		return Principal{}, fault.New(fault.Unauthenticated, "")
	case expired(row, d.cfg.Now()):
		return Principal{}, fault.New(fault.Unauthenticated, "the token has expired")
	default:
		return Principal{Tenant: row.Tenant, TokenID: row.ID}, nil
	}
}

func expired(t store.Token, now time.Time) bool {
	return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt)
}

// CreateToken makes a token for the tenant. body has name and, optionally,
// expiresAt in RFC 3339, which lies in the future. The secret is shown this once:
// only its SHA-256 is stored.
//
// Faults: tenant_not_found; invalid_fields; conflict when the tenant has 1,000
// tokens.
func (d *Directory) CreateToken(ctx context.Context, tenant string, body *strictjson.Node) (Token, sdk.Secret, error) {
	var made Token
	var secret sdk.Secret
	err := d.change(ctx, "create token", func(ctx context.Context) error {
		if _, err := d.rows.tenant(tenant); err != nil {
			return err
		}
		fields, err := d.tokenFields(body)
		if err != nil {
			return err
		}
		if d.countTokens(tenant) >= maxTokens {
			return fault.New(fault.Conflict, fmt.Sprintf("the tenant has %d tokens; revoke some first", maxTokens))
		}
		raw := make([]byte, tokenBytes)
		_, _ = rand.Read(raw) // never fails
		secret = sdk.NewSecret(TokenPrefix + base64.RawURLEncoding.EncodeToString(raw))
		hash := sha256.Sum256([]byte(secret.Reveal()))
		row := store.Token{
			ID: ulid.Make().String(), Tenant: tenant, Name: fields.Name, Hash: hash[:],
			CreatedAt: d.now(), ExpiresAt: fields.ExpiresAt,
		}
		if err := d.cfg.Store.SaveToken(ctx, row); err != nil {
			return unsaved("save token", err)
		}
		d.rows.tokens[row.ID] = row
		d.publish()
		made = viewToken(row)
		return nil
	})
	if err != nil {
		return Token{}, sdk.Secret{}, err
	}
	return made, secret, nil
}

// now is the clock in the precision that every database keeps.
func (d *Directory) now() time.Time { return d.cfg.Now().UTC().Truncate(time.Millisecond) }

func (d *Directory) countTokens(tenant string) int {
	count := 0
	for _, t := range d.rows.tokens {
		if t.Tenant == tenant {
			count++
		}
	}
	return count
}

// tokenFields reads the body of a new token.
func (d *Directory) tokenFields(body *strictjson.Node) (Token, error) {
	var faults strictjson.Faults
	faults.Closed(body, "name", "expiresAt")
	out := Token{Name: text(&faults, faults.Require(body, "name"), maxTokenName)}
	if at := body.Get("expiresAt"); !at.IsNull() && faults.Want(at, strictjson.String) {
		when, err := time.Parse(time.RFC3339, at.Text())
		switch {
		case err != nil:
			faults.Add(at, strictjson.CodeInvalid, "must be a time as 2006-01-02T15:04:05Z")
		case !when.After(d.cfg.Now()):
			faults.Add(at, strictjson.CodeInvalid, "must lie in the future")
		default:
			out.ExpiresAt = when.UTC().Truncate(time.Millisecond)
		}
	}
	return out, invalid(faults)
}

// text reads a string of 1 to limit printable characters.
func text(faults *strictjson.Faults, n *strictjson.Node, limit int) string {
	if !faults.Want(n, strictjson.String) {
		return ""
	}
	switch s := n.Text(); {
	case s == "":
		faults.Add(n, strictjson.CodeInvalid, "must not be empty")
	case utf8.RuneCountInString(s) > limit:
		faults.Add(n, strictjson.CodeInvalid, "must be at most %d characters long", limit)
	case hasControl(s):
		faults.Add(n, strictjson.CodeInvalid, "must not contain control characters")
	default:
		return s
	}
	return ""
}

// Tokens returns up to limit tokens of the tenant with ids above after, oldest
// first, and the id to go on after, empty at the end. The fault is
// tenant_not_found.
func (d *Directory) Tokens(tenant, after string, limit int) ([]Token, string, error) {
	m := d.current.Load().byID[tenant]
	if m == nil {
		return nil, "", tenantNotFound()
	}
	page, next := pageOf(m.tokens, func(t store.Token) string { return t.ID }, after, limit)
	out := make([]Token, len(page))
	for i, row := range page {
		out[i] = viewToken(row)
	}
	return out, next, nil
}

func viewToken(row store.Token) Token {
	return Token{ID: row.ID, Tenant: row.Tenant, Name: row.Name, CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt}
}

// RevokeToken deletes a token. From then on it opens nothing. It may be repeated:
// the last tokens that this host revoked are remembered until it ends.
//
// Faults: tenant_not_found; conflict when the tenant has no such token.
func (d *Directory) RevokeToken(ctx context.Context, tenant, id string) error {
	return d.change(ctx, "revoke token", func(ctx context.Context) error {
		if _, err := d.rows.tenant(tenant); err != nil {
			return err
		}
		row, ok := d.rows.tokens[id]
		if !ok || row.Tenant != tenant {
			if slices.Contains(d.revoked, revokedToken{tenant, id}) {
				return nil
			}
			return fault.New(fault.Conflict, "this tenant has no such token")
		}
		if err := d.revoke(ctx, row); err != nil {
			return err
		}
		d.publish()
		return nil
	})
}

// revokedToken names a token that was revoked.
type revokedToken struct{ tenant, id string }

func (d *Directory) revoke(ctx context.Context, row store.Token) error {
	row.Revoked = true
	err := d.cfg.Store.SaveToken(ctx, row)
	if err != nil && !errors.Is(err, store.ErrNotFound) { // another host may have been first
		return unsaved("delete token", err)
	}
	delete(d.rows.tokens, row.ID)
	if len(d.revoked) == maxRevoked {
		d.revoked = slices.Delete(d.revoked, 0, 1)
	}
	d.revoked = append(d.revoked, revokedToken{row.Tenant, row.ID})
	return nil
}
