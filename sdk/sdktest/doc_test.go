package sdktest

import (
	"encoding/base64"
	"fmt"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/sdk"
)

// TestDocListsTheCases holds the package comment against the cases, for Except takes
// their names.
func TestDocListsTheCases(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(file.Doc.Text(), "# Cases\n")
	section, _, _ = strings.Cut(section, "\n# ")
	var want strings.Builder
	for _, c := range cases {
		fmt.Fprintf(&want, "\t%-18s %s\n", c.name, c.demands)
	}
	if !strings.Contains(section, "\n\n"+want.String()) {
		t.Errorf("the package comment lists the cases as\n%s\nwant\n%s", section, want.String())
	}
}

// TestKeysLookLikeAHosts: what holds a key of a test holds a key of a host.
func TestKeysLookLikeAHosts(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^pb-[0-9a-f]{40}$`) // as host/relay's own test says
	if k := Request().IdempotencyKey; !form.MatchString(k) || len(k) != sdk.IdempotencyKeyBytes {
		t.Errorf("key %q", k)
	}
	if one, two := Request(Message(1, "x")), Request(Message(2, "x")); one.IdempotencyKey == two.IdempotencyKey {
		t.Error("two messages have one key")
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	if got := Request().AuthHeader.Reveal(); got != AuthHeader || !strings.HasSuffix(got, " "+Token) {
		t.Errorf("Request brings %q", got)
	}
	scheme, encoded, _ := strings.Cut(Basic("user", "pass:word").Reveal(), " ")
	if plain, err := base64.StdEncoding.DecodeString(encoded); err != nil || scheme != "Basic" || string(plain) != "user:pass:word" {
		t.Errorf("%s %q, %v", scheme, plain, err)
	}
}

// TestCasesAreTheSameInEveryRun: a recorded answer of a CRM still fits.
func TestCasesAreTheSameInEveryRun(t *testing.T) {
	t.Parallel()
	of := func(name string) *sdk.AddMessageLogRequest {
		e := newEnv(name, newSuite(), nil, nil, new(logbook))
		return e.with(e.message(1, "x"))
	}
	one, again, other := of("TestContract/grpc/find"), of("TestContract/grpc/find"), of("TestContract/in-process/find")
	if one.IdempotencyKey != again.IdempotencyKey || string(one.Messages[0].Raw) != string(again.Messages[0].Raw) {
		t.Errorf("%s, then %s", one.Messages[0].Raw, again.Messages[0].Raw)
	}
	if one.IdempotencyKey == other.IdempotencyKey || one.Messages[0].Subject == other.Messages[0].Subject {
		t.Error("two cases that share a CRM have one message")
	}
}
