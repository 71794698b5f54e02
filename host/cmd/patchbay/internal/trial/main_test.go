package trial

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
	"github.com/patchbay-crm/patchbay/sdk/serve"
)

// envScript makes this binary an adapter that plays the script.
const envScript = "TRIAL_SCRIPT"

// The scripts beside those of sdktest.
const (
	dieWhenAsked = "die-when-asked" // for its health
	failAtStop   = "fail-at-stop"
	hangAtStop   = "hang-at-stop"
)

func TestMain(m *testing.M) {
	switch script := os.Getenv(envScript); script {
	case "":
		goleak.VerifyTestMain(m)
	case dieWhenAsked:
		serve.Adapter(mortal{sdktest.Scripted("ok")})
	case failAtStop:
		sdktest.ServeScripted("ok")
		os.Exit(5)
	case hangAtStop:
		sdktest.ServeScripted("ok")
		time.Sleep(time.Hour)
	default:
		sdktest.ServeScripted(script)
	}
}

// mortal is an adapter that does not survive the question how it is.
type mortal struct{ sdk.Adapter }

// CheckHealth does not return.
func (mortal) CheckHealth(context.Context, *sdk.CheckHealthRequest) (*sdk.CheckHealthResponse, error) {
	stderr := os.NewFile(uintptr(syscall.Stderr), "stderr") // os.Stderr is a pipe of go-plugin's by now
	_, _ = fmt.Fprintln(stderr, "cannot say how I am")
	os.Exit(4)
	return nil, nil
}
