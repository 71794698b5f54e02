package launch

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// dropDeathSignal has the kernel let this process live when its host dies.
func dropDeathSignal() {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0); err != nil {
		panic(err)
	}
}

// TestDescendantsAreOursAlone shows that nothing is named that an adapter cannot
// have started, whatever a record in the run directory says.
func TestDescendantsAreOursAlone(t *testing.T) {
	t.Parallel()
	own, err := readStat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		session int
		runID   string
	}{
		"no session":       {0, "0123456789abcdef-1"},
		"init's session":   {1, "0123456789abcdef-1"},
		"the host's own":   {own.session, "0123456789abcdef-1"},
		"negative":         {-1, "0123456789abcdef-1"},
		"no session or id": {0, ""},
		"no id":            {99999999, ""},
	} {
		if got, _ := descendants(c.session, c.runID); len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}
