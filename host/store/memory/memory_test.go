package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/host/store/memory"
	"github.com/patchbay-crm/patchbay/host/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) storetest.Harness {
		clock := storetest.NewClock()
		return storetest.Harness{Store: memory.New(clock.Now), Now: clock.Now, Advance: clock.Advance}
	})
}

func TestDefaultClock(t *testing.T) {
	t.Parallel()
	if _, err := memory.New(nil).Fact(t.Context(), "a", "b"); err != nil {
		t.Errorf("Fact: %v", err)
	}
}
