package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// The bounds of a connection.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	writeSlack        = 30 * time.Second // to write an answer once it is known
)

// Serve answers requests on listener until ctx is done. Then it stops accepting,
// answers shutting_down to new requests on open connections and to those whose
// bodies are still arriving, and lets the others in flight end, at most
// Config.DrainTimeout; what is left then is cut off. It
// closes the listener. It returns nil when it was asked to stop and everything
// ended, an error when the listener failed or requests were cut off. It runs
// once.
func (a *API) Serve(ctx context.Context, listener net.Listener) error {
	var open connections
	server := &http.Server{
		ConnState:         open.note,
		Handler:           a,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		WriteTimeout:      a.cfg.BodyTimeout + a.cfg.MaxWait + writeSlack,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(a.deps.Log.Handler(), slog.LevelDebug),
	}
	var failure error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failure = server.Serve(listener)
	}()
	select {
	case <-ended:
		return fmt.Errorf("serve HTTP: %w", errors.Join(failure, server.Close()))
	case <-ctx.Done():
	}
	a.draining.Store(true)
	a.deps.Log.Info("HTTP edge draining", "in_flight", a.inFlight.Load())
	a.arrivals.cut()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.DrainTimeout)
	defer cancel()
	return a.drain(grace, server, &open, listener, ended)
}

// drain closes the listener, waits for the requests in flight, and closes the
// connections. http.Server.Shutdown comes last: from then on the server drops
// what arrives on open connections without an answer.
func (a *API) drain(
	grace context.Context, server *http.Server, open *connections, listener net.Listener, ended <-chan struct{},
) error {
	closed := listener.Close()
	<-ended
	for waiting := true; waiting && a.inFlight.Load() > 0; {
		select {
		case <-a.idle:
		case <-grace.Done():
			waiting = false
		}
	}
	left := a.inFlight.Load()
	if grace.Err() == nil {
		open.readUntil(time.Now().Add(lastWords))
	}
	if err := server.Shutdown(grace); err != nil {
		return errors.Join(fmt.Errorf("drain HTTP: %d requests were cut off: %w", left, err), server.Close(), closed)
	}
	if closed != nil {
		return fmt.Errorf("close the HTTP listener: %w", closed)
	}
	return nil
}
