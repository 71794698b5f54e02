package trial

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// envScript makes this binary an adapter that plays the script.
const envScript = "TRIAL_SCRIPT"

func TestMain(m *testing.M) {
	if script := os.Getenv(envScript); script != "" {
		sdktest.ServeScripted(script)
		return
	}
	goleak.VerifyTestMain(m)
}
