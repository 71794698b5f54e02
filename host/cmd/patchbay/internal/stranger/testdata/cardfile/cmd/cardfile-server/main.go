// Command cardfile-server runs cardfile, for trying the adapter out:
//
//	go run ./cmd/cardfile-server 127.0.0.1:9090 crm-secret
//
// It has the contacts 7 and 8 and the folders Inbox and Support. It prints its
// address once it can be reached. GET /debug/cards, which is not part of the CRM,
// shows all cards, and POST /debug/fail takes a crm.Fault as JSON for the next
// request; neither wants credentials.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"example.com/cardfile/crm"
)

func main() {
	fmt.Fprintln(os.Stderr, run(os.Args[1:]))
	os.Exit(1)
}

// run serves until the process ends, or returns why it cannot.
func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: cardfile-server ADDRESS KEY")
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "http://"+listener.Addr().String())
	c := crm.New(args[1], []string{"7", "8"}, []string{"Inbox", "Support"})
	mux := http.NewServeMux()
	mux.Handle("/", c)
	mux.HandleFunc("GET /debug/cards", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(c.Cards()) // the client may have gone
	})
	mux.HandleFunc("POST /debug/fail", func(w http.ResponseWriter, r *http.Request) {
		var f crm.Fault
		if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.Fail(f)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}
