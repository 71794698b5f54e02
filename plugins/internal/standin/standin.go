// Package standin is what the small CRMs beside the adapters have in common: they
// stand in for real ones in tests and in the demonstration. They listen on
// loopback only, since their pages and their judges ask for no credentials, say in
// one line of JSON where, and end with their context.
package standin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The time limits of Serve.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	// DrainTimeout is how long running requests may take once Serve is to end.
	DrainTimeout = 5 * time.Second
)

// Listen listens on a loopback address, and on no other.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if tcp, ok := ln.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		return nil, errors.Join(fmt.Errorf("listen on %s: only a loopback address will do, for pages and control ask for no credentials", address), ln.Close())
	}
	return ln, nil
}

// Announce writes where the CRM listens, as
//
//	{"listening":"127.0.0.1:41234","url":"http://127.0.0.1:41234"}
//
// to out and, when file is not empty, to that file, which appears whole or not at
// all.
func Announce(out io.Writer, file, address string) error {
	line, err := json.Marshal(struct {
		Listening string `json:"listening"`
		URL       string `json:"url"`
	}{address, "http://" + address})
	if err != nil {
		return fmt.Errorf("announce address: %w", err)
	}
	line = append(line, '\n')
	if file != "" {
		temp := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".new")
		if err := os.WriteFile(temp, line, 0o600); err != nil {
			return fmt.Errorf("write ready file: %w", err)
		}
		if err := os.Rename(temp, file); err != nil {
			return fmt.Errorf("write ready file: %w", err)
		}
	}
	if _, err := out.Write(line); err != nil {
		return fmt.Errorf("announce address: %w", err)
	}
	return nil
}

// Serve serves on the listener until ctx ends, lets running requests finish for
// DrainTimeout, and returns nil. Answers may take write, in which a CRM waits as
// it was told to. closing is called when ctx has ended, before the wait: it lets
// go of what would hold the server up. nil does nothing.
func Serve(ctx context.Context, ln net.Listener, handler http.Handler, write time.Duration, closing func()) error {
	srv := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
		WriteTimeout: write, IdleTimeout: idleTimeout, MaxHeaderBytes: 64 << 10,
	}
	stopped := make(chan error, 1)
	go func() { stopped <- srv.Serve(ln) }()
	select {
	case err := <-stopped:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	if closing != nil {
		closing()
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), DrainTimeout)
	defer cancel()
	err := srv.Shutdown(grace)
	if err != nil {
		err = srv.Close() // the grace is over: cut what still runs
	}
	<-stopped //nolint:errcheck // the server was told to end, and says so
	return err
}

// Tokens returns the tokens in a file, one a line, or without a file those in the
// text, which is the value of the variable with that name, separated by commas.
func Tokens(file, variable, text string) ([]string, error) {
	if file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read tokens: %w", err)
		}
		text = string(content)
	}
	tokens := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
	if len(tokens) == 0 {
		return nil, fmt.Errorf("no tokens: set %s or use -tokens-file", variable)
	}
	return tokens, nil
}

// ReadSwitches reads switches from JSON, or from a file of it when text is @ and
// its name, into to. An empty text leaves them as they are.
func ReadSwitches(text string, to any) error {
	if file, ok := strings.CutPrefix(text, "@"); ok {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read switches: %w", err)
		}
		text = string(content)
	}
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), to); err != nil {
		return fmt.Errorf("read switches: %w", err)
	}
	return nil
}
