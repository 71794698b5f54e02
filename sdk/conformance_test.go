package sdk_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// TestExampleKeepsTheContract holds the adapter of the package's example against
// the contract, in this process and over the wire.
func TestExampleKeepsTheContract(t *testing.T) {
	var writes atomic.Int64
	newAdapter := func(t *testing.T) sdk.Adapter {
		crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprintf(w, `{"id": %d}`, writes.Add(1))
		}))
		t.Cleanup(crm.Close)
		client, err := crmhttp.New(crmhttp.Config{BaseURL: crm.URL, AllowPrivate: []string{"127.0.0.1"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		return &Adapter{crm: client}
	}
	sdktest.Run(t, newAdapter, sdktest.WithWrites(func() int { return int(writes.Load()) }))
}

// TestTreeStaysSmall shows what an adapter author inherits: go-plugin and what it
// needs, gRPC and protobuf, and nothing of the host.
func TestTreeStaysSmall(t *testing.T) {
	t.Parallel()
	own := []string{"github.com/patchbay-crm/patchbay/sdk"}
	allowed := append([]string{
		"github.com/hashicorp/go-plugin", "github.com/hashicorp/go-hclog", "github.com/hashicorp/yamux",
		"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto/googleapis/rpc",
		// What those bring along.
		"github.com/fatih/color", "github.com/mattn/go-colorable", "github.com/mattn/go-isatty",
		"github.com/golang/protobuf", "github.com/oklog/run",
		"golang.org/x/net", "golang.org/x/sys", "golang.org/x/text",
	}, own...)
	for _, dep := range dependencies(t, "./serve", "./rpc", "./crmhttp", "./render") {
		if !within(dep, allowed) {
			t.Errorf("an adapter would inherit %s; the SDK's tree is kept small", dep)
		}
	}
	for _, dep := range dependencies(t, ".", "./fault", "./crmhttp", "./render") {
		if !within(dep, own) {
			t.Errorf("sdk, fault, crmhttp and render stand on the standard library, but import %s", dep)
		}
	}
}

// dependencies returns what the packages import, directly or not, outside the
// standard library.
func dependencies(t *testing.T, packages ...string) []string {
	t.Helper()
	args := append([]string{"list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}"}, packages...)
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		t.Fatalf("list dependencies of %v: %v", packages, err)
	}
	return strings.Fields(string(out))
}

func within(path string, trees []string) bool {
	for _, tree := range trees {
		if path == tree || strings.HasPrefix(path, tree+"/") {
			return true
		}
	}
	return false
}
