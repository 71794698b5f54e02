package doctor

import (
	"strings"
	"testing"
)

func TestPrint(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := Print(&out, []Finding{
		{Check: "adapter a\x1b[2J", Status: Fail, Detail: "\ta\x1b[2J \"b\" c\\d\n\u202eé", Remedy: "one\ntwo"},
		{Check: "key", Status: OK, Detail: "kept"},
	})
	const want = `fail  adapter a\x1b[2J      a\x1b[2J "b" c\d\n\u202eé
                        remedy: one\ntwo
ok    key               kept
`
	if got := out.String(); err != nil || got != want {
		t.Errorf("printed %v\n%s\nwant\n%s", err, got, want)
	}
}
