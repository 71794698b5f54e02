package serve_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
	"github.com/patchbay-crm/patchbay/sdk/serve"
)

// envScript makes this test binary an adapter.
const envScript = "SERVE_TEST_SCRIPT"

const patience = 30 * time.Second

func TestMain(m *testing.M) {
	switch script := os.Getenv(envScript); script {
	case "":
		goleak.VerifyTestMain(m)
	case "logs":
		serve.Adapter(logs{}, serve.LogLevel(slog.LevelDebug))
	case "level":
		serve.Adapter(logs{}, serve.LogLevelFrom("ACME_LOG_LEVEL"))
	default:
		sdktest.ServeScripted(script)
	}
}

// logs is an adapter that logs in every way there is.
type logs struct{}

func (logs) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	slog.DebugContext(ctx, "by slog", "auth", req.AuthHeader)
	log.Print("by log")
	fmt.Println("by fmt")
	_, _ = fmt.Fprintln(os.Stderr, "by stderr")
	return sdk.Logged("1"), nil
}

// process is this test binary as an adapter, run by go-plugin's own client.
type process struct {
	*rpc.Client
	host   *plugin.Client
	cmd    *exec.Cmd
	stderr *syncBuffer // the process's own
	synced *syncBuffer // what came by go-plugin's stream
}

type syncBuffer struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{} // closed and replaced at each write
}

func newSyncBuffer() *syncBuffer { return &syncBuffer{changed: make(chan struct{})} }

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
	return b.buf.Write(p)
}

// waitFor returns all that was written once text is in it.
func (b *syncBuffer) waitFor(t *testing.T, text string) string {
	t.Helper()
	late := time.After(patience)
	for {
		b.mu.Lock()
		all, changed := b.buf.String(), b.changed
		b.mu.Unlock()
		if strings.Contains(all, text) {
			return all
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%q was not written; this was: %s", text, all)
		}
	}
}

// command returns this test binary as an adapter, with that environment alone.
func command(script string, env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append([]string{envScript + "=" + script, "TMPDIR=" + os.TempDir()}, env...)
	return cmd
}

func start(t *testing.T, cmd *exec.Cmd, change func(*plugin.ClientConfig)) *process {
	t.Helper()
	p := &process{cmd: cmd, stderr: newSyncBuffer(), synced: newSyncBuffer()}
	config := &plugin.ClientConfig{
		HandshakeConfig: rpc.Handshake, VersionedPlugins: rpc.Plugins(nil),
		Cmd: cmd, SkipHostEnv: true, AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		GRPCDialOptions: rpc.DialOptions(), StartTimeout: patience,
		Stderr: p.stderr, SyncStdout: p.synced, SyncStderr: p.synced,
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Off}),
	}
	if change != nil {
		change(config)
	}
	p.host = plugin.NewClient(config)
	t.Cleanup(p.host.Kill)
	connection, err := p.host.Client()
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	raw, err := connection.Dispense(rpc.PluginName)
	if err != nil {
		t.Fatalf("dispense: %v", err)
	}
	p.Client = raw.(*rpc.Client)
	return p
}

func TestServes(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*plugin.ClientConfig){
		"plain":     nil,
		"auto mTLS": func(c *plugin.ClientConfig) { c.AutoMTLS = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, command("ok"), change)
			if v := p.host.NegotiatedVersion(); v != sdk.ProtocolVersion {
				t.Errorf("negotiated version %d", v)
			}
			if info, err := p.Info(t.Context()); err != nil || !info.Can(sdk.CanAddMessageLog) {
				t.Errorf("%+v, %v", info, err)
			}
			if resp, err := p.AddMessageLog(t.Context(), sdktest.Request()); err != nil || resp.LogID == "" {
				t.Errorf("%+v, %v", resp, err)
			}
			if err := p.Shutdown(t.Context()); err != nil {
				t.Errorf("shut down: %v", err)
			}
			p.waitExit(t)
		})
	}
}

// waitExit waits until go-plugin's client has seen the process end.
func (p *process) waitExit(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond) // there is no other way to learn of it
	defer tick.Stop()
	late := time.After(patience)
	for !p.host.Exited() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the process did not end")
		}
	}
}

func TestLogsReachTheHost(t *testing.T) {
	t.Parallel()
	p := start(t, command("logs"), nil)
	req := sdktest.Request()
	if _, err := p.AddMessageLog(rpc.WithRequestID(t.Context(), "req-9"), req); err != nil {
		t.Fatal(err)
	}
	p.stderr.waitFor(t, `"@message":"by log"`)
	all := p.stderr.waitFor(t, `"@message":"by slog"`)
	for line := range strings.SplitSeq(all, "\n") {
		if !strings.Contains(line, "by slog") {
			continue
		}
		for _, want := range []string{`"@level":"debug"`, `"request_id":"req-9"`, `"auth":"[redacted]"`, `"@timestamp":"`} {
			if !strings.Contains(line, want) {
				t.Errorf("%s is not in %s", want, line)
			}
		}
	}
	p.synced.waitFor(t, "by fmt")
	p.synced.waitFor(t, "by stderr")
}

// TestUnknownLogLevel shows that an adapter says at its start that its level is none.
func TestUnknownLogLevel(t *testing.T) {
	t.Parallel()
	p := start(t, command("level", "ACME_LOG_LEVEL=loud"), nil)
	p.stderr.waitFor(t, "log level unknown, info is used")
}

// TestSurvives shows what does not end an adapter process.
func TestSurvives(t *testing.T) {
	t.Parallel()
	p := start(t, command("ok"), nil)
	call := func(script string) error {
		req := sdktest.Request()
		req.AdditionalSubmission = sdk.Values{"script": sdk.TextValue(script)}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := p.AddMessageLog(ctx, req)
		return err
	}
	for script, want := range map[string]fault.Code{
		"panic": fault.AdapterFault, "plain-error": fault.AdapterFault, "stdout-noise": "", "stderr-bomb": "",
		"empty-id": fault.AdapterFault, "huge-id": fault.AdapterFault, "control-id": fault.AdapterFault,
		"nil-response": fault.AdapterFault, "error:rate_limited": fault.RateLimited, "slow:1ms": "",
		"leak:1": "", "no-such-script": fault.NotSupported,
	} {
		err := call(script)
		if (err == nil) != (want == "") || err != nil && fault.CodeOf(err) != want {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
	if err := call("ok"); err != nil {
		t.Errorf("the process is gone: %v", err)
	}
	all := p.stderr.waitFor(t, "adapter panicked")
	if !strings.Contains(all, "scripted_acts.go") {
		t.Error("the panic's stack is not in the log")
	}
	if strings.Contains(all, "sdktest-token") {
		t.Error("the secret is in the log")
	}
}

// TestDies shows what a host sees when the process dies under a call: a fault of
// class unknown.
func TestDies(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"exit:3", "kill", "crash"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			p := start(t, command(script), nil)
			_, err := p.AddMessageLog(t.Context(), sdktest.Request())
			if fault.CodeOf(err) != fault.Outcome || fault.ClassOf(err) != fault.Unknown {
				t.Errorf("%v", err)
			}
			p.waitExit(t)
			if err := p.Shutdown(t.Context()); err != nil {
				t.Errorf("shutting down what is gone: %v", err)
			}
		})
	}
}

// run runs the binary without a host and returns its output and exit code.
func run(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run: %v", err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

const cookie = "PATCHBAY_ADAPTER_COOKIE=b6c9a1f0-patchbay-adapter"

func TestStartedByHand(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := run(t, command("ok", "PATCHBAY_ADAPTER=acme"))
	if code != 1 || stdout != "" || !strings.HasPrefix(stderr, "acme is an adapter for Patchbay") || !strings.Contains(stderr, "patchbay serve") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if _, stderr, _ = run(t, command("ok")); !strings.HasPrefix(stderr, "serve.test is an adapter") {
		t.Errorf("stderr %q", stderr)
	}
}

func TestCannotListen(t *testing.T) {
	t.Parallel()
	_, stderr, code := run(t, command("ok", cookie, "PLUGIN_UNIX_SOCKET_DIR=/nonexistent/dir"))
	if code != 1 || !strings.Contains(stderr, "adapter could not be served") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

// TestMisstarts shows that the scripts that spoil a start do so as they say.
func TestMisstarts(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]struct {
		code   int
		stderr string
	}{
		"exit-at-start:0":   {0, ""},
		"exit-at-start:7":   {7, ""},
		"stderr-at-start:2": {2, "cannot start: told not to"},
		"panic-at-start":    {2, "panic: told to panic at start"},
		"kill-at-start":     {-1, ""},
	} {
		if stdout, stderr, code := run(t, command(script, cookie)); code != want.code || stdout != "" || !strings.Contains(stderr, want.stderr) {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", script, code, stdout, stderr)
		}
	}
	for script, want := range map[string]string{
		"garbage-handshake": "hello, this is no handshake\n", "wrong-protocol": "1|99|unix|", "wrong-core": "9|1|unix|",
		"noise-before-handshake": "loading contacts ...\n",
	} {
		if got := firstOutput(t, command(script, cookie)); !strings.HasPrefix(got, want) {
			t.Errorf("%s writes %q", script, got)
		}
	}
}

// firstOutput returns what the process writes first, and kills it.
func firstOutput(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	buf := make([]byte, 4096)
	n, err := out.Read(buf)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return string(buf[:n])
}

// TestLifeline shows that the process ends with its host when it is told to watch
// standard input, and only then.
func TestLifeline(t *testing.T) {
	t.Parallel()
	cmd := command("ok", cookie, "PATCHBAY_LIFELINE=stdin")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	handshake := make([]byte, 4)
	if _, err := io.ReadFull(out, handshake); err != nil || string(handshake) != "1|1|" {
		t.Errorf("handshake %q, %v", handshake, err)
	}
	if err := lifeline.Close(); err != nil {
		t.Error(err)
	}
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 3 || !strings.Contains(stderr.String(), "host gone") {
		t.Errorf("exit code %d, stderr %s", code, &stderr)
	}
	p := start(t, command("ok"), nil) // go-plugin gives no standard input: the null device
	for range 20 {
		if _, err := p.AddMessageLog(t.Context(), sdktest.Request()); err != nil {
			t.Fatalf("ended by an empty standard input: %v", err)
		}
	}
}
