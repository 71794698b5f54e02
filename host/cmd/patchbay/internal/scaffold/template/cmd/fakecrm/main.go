// Command fakecrm runs the fake CRM, for trying the adapter out:
//
//	go run ./cmd/fakecrm 127.0.0.1:9090 crm-secret
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/scaffold/template/fakecrm"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: fakecrm ADDRESS TOKEN")
		os.Exit(2)
	}
	server := &http.Server{Addr: os.Args[1], Handler: fakecrm.New(os.Args[2]), ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
	os.Exit(1)
}
