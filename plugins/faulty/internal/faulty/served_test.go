package faulty

import (
	"bufio"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

// served is a process that serves the adapter, as a host has it.
type served struct {
	*process
	*rpc.Client
}

// host starts a process as a host does, far enough to call it.
func host(t *testing.T) served {
	t.Helper()
	dir, err := os.MkdirTemp("", "pb") // t.TempDir may be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := launch(t, envStart+"=ok", rpc.Handshake.MagicCookieKey+"="+rpc.Handshake.MagicCookieValue,
		"PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR="+dir)
	out := bufio.NewReader(p.stdout)
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatalf("read the handshake: %v", err)
	}
	fields := strings.Split(strings.TrimSpace(line), "|")
	if len(fields) < 5 || fields[1] != "1" || fields[2] != "unix" || fields[4] != "grpc" {
		t.Fatalf("the handshake is %q", line)
	}
	conn, err := grpc.NewClient("unix:"+fields[3],
		append(rpc.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	p.stdout = struct {
		io.Reader
		io.Closer
	}{out, p.stdout}
	return served{p, rpc.NewClient(conn)}
}

// TestServedProcessSurvives: these harm the call and nothing else.
func TestServedProcessSurvives(t *testing.T) {
	t.Parallel()
	p := host(t)
	go func() { _, _ = io.Copy(io.Discard, p.stderr) }()
	noise := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(io.Discard, p.stdout)
		noise <- n
	}()
	for _, script := range []string{"ok", "stderr-bomb", "stdout:2", "leak:2", "slow:10ms"} {
		if resp, err := p.AddMessageLog(t.Context(), told(script)); err != nil || resp.LogID == "" {
			t.Errorf("%s: got %+v, %v", script, resp, err)
		}
	}
	for _, script := range []string{"panic", "empty-id", "huge-id"} {
		_, err := p.AddMessageLog(t.Context(), told(script))
		if fault.CodeOf(err) != fault.AdapterFault || fault.ClassOf(err) != fault.Unknown {
			t.Errorf("%s: got %v", script, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.AddMessageLog(ctx, told("hang")); fault.ClassOf(err) != fault.Unknown {
		t.Errorf("hang: got %v", err)
	}
	if health, err := p.CheckHealth(t.Context()); err != nil || !health.Serving {
		t.Errorf("afterwards: got %+v, %v", health, err)
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	if n := <-noise; n < 2*mebibyte {
		t.Errorf("%d bytes of noise reached the pipe of the handshake", n)
	}
}

// TestServedProcessDies: the call that kills the process has an unknown outcome.
func TestServedProcessDies(t *testing.T) {
	t.Parallel()
	for script, death := range map[string]string{
		"kill": "killed", "exit:7": "exit 7", "crash-after-write": "exit 2", "fork-and-die": "killed",
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			p := host(t)
			go func() { _, _ = io.Copy(io.Discard, p.stderr) }()
			_, err := p.AddMessageLog(t.Context(), told(script))
			if fault.ClassOf(err) != fault.Unknown {
				t.Errorf("got %v", err)
			}
			_ = p.Wait()
			if p.death() != death {
				t.Errorf("ended by %s, want %s", p.death(), death)
			}
		})
	}
}
