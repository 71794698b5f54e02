package pipedrivetest

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"strings"
)

// tokens are the valid credentials, kept by hash so that a lookup takes the same
// time however much of a token is right.
type tokens map[[sha256.Size]byte]Token

func newTokens(c Config) tokens {
	out := make(tokens, len(c.Tokens))
	for _, t := range c.Tokens {
		if t.UserID == 0 {
			t.UserID = c.Users[0].ID
		}
		t.Scopes = slices.Clone(t.Scopes)
		out[sha256.Sum256([]byte(t.Text))] = t
	}
	return out
}

// check returns the token of a request, or a refusal. The messages are those of
// https://pipedrive.readme.io/docs/marketplace-oauth-and-api-proxy-status-codes.
func (ts tokens) check(v version, h http.Header) (Token, *reply) {
	header := h.Get("Authorization")
	if header == "" {
		r := refuse(v, http.StatusUnauthorized, "ERR_UNAUTHORIZED", "unauthorized access")
		return Token{}, &r
	}
	scheme, text, found := strings.Cut(header, " ")
	if !found || scheme != "Bearer" || len(h.Values("Authorization")) > 1 {
		r := refuse(v, http.StatusBadRequest, codeBadRequest, "Invalid request: malformed authorization header")
		return Token{}, &r
	}
	t, ok := ts[sha256.Sum256([]byte(text))]
	if !ok {
		r := refuse(v, http.StatusUnauthorized, "ERR_UNAUTHORIZED", "Invalid token: access token is invalid")
		return Token{}, &r
	}
	return t, nil
}

// allows reports whether the token has one of the scopes.
func (t Token) allows(scopes ...Scope) bool {
	return t.Scopes == nil || slices.ContainsFunc(scopes, func(s Scope) bool { return s == Base || slices.Contains(t.Scopes, s) })
}
