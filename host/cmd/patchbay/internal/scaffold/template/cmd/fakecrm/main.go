// Command fakecrm runs the fake CRM, for trying the adapter out:
//
//	go run ./cmd/fakecrm 127.0.0.1:9090 crm-secret
//
// It prints its address once it can be reached.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/scaffold/template/fakecrm"
)

func main() {
	fmt.Fprintln(os.Stderr, run(os.Args[1:]))
	os.Exit(1)
}

// run serves until the process ends, or returns why it cannot.
func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: fakecrm ADDRESS TOKEN")
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "http://"+listener.Addr().String())
	server := &http.Server{Handler: fakecrm.New(args[1]), ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}
