package launch

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/supervisor"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

func TestLaunchCallStop(t *testing.T) {
	t.Parallel()
	l := launcher(t, nil)
	inst := start(t, l, adapter("find:ok"))
	if !inst.Info().Can(sdk.CanFindMessageLog) || inst.Info().SDK == "" {
		t.Errorf("info = %+v", inst.Info())
	}
	answer, err := inst.Client().AddMessageLog(rpc.WithRequestID(t.Context(), "r-1"), sdktest.Request())
	if err != nil || answer.LogID == "" {
		t.Fatalf("answer %+v, %v", answer, err)
	}
	health, err := inst.Health(t.Context())
	if err != nil || !health.Serving {
		t.Errorf("health = %+v, %v", health, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	inst.Stop(ctx)
	if ctx.Err() != nil {
		t.Error("it had to be killed")
	}
	if exit := inst.Exit(); exit.Cause != supervisor.Exited || exit.Code != 0 || exit.PeakRSS == 0 {
		t.Errorf("exit = %+v", exit)
	}
	if _, err := inst.Client().AddMessageLog(t.Context(), sdktest.Request()); err == nil {
		t.Error("a dead process answered")
	}
	left, err := filepath.Glob(filepath.Join(l.sockets.path, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the socket directory: %v, %v", left, err)
	}
}

func TestStartFailures(t *testing.T) {
	t.Parallel()
	l := launcher(t, nil)
	patched := func(change func(*Spec)) Spec {
		spec := adapter("ok")
		change(&spec)
		return spec
	}
	brief := func(spec Spec) Spec { spec.StartTimeout = 2 * time.Second; return spec }
	for name, c := range map[string]struct {
		spec   Spec
		cause  supervisor.Cause
		detail string // a part of it
	}{
		"noise":            {adapter("noise-before-handshake"), supervisor.StdoutNoise, "loading contacts"},
		"garbage":          {adapter("garbage-handshake"), supervisor.StdoutNoise, "no handshake"},
		"wrong protocol":   {adapter("wrong-protocol"), supervisor.ProtocolMismatch, "version 99"},
		"wrong core":       {adapter("wrong-core"), supervisor.ProtocolMismatch, "version 9 of the handshake"},
		"silent":           {brief(adapter("silent-start")), supervisor.StartTimeout, "within 2s"},
		"exit 0":           {adapter("exit-at-start:0"), supervisor.ExitBeforeHandshake, "exited with code 0"},
		"explained":        {adapter("stderr-at-start:7"), supervisor.ExitBeforeHandshake, "code 7 before the handshake: cannot start: told not to (1 lines omitted)"},
		"panic":            {adapter("panic-at-start"), supervisor.Panic, "panic: told to panic at start"},
		"killed":           {adapter("kill-at-start"), supervisor.ExitBeforeHandshake, "SIGKILL"},
		"digest":           {patched(func(s *Spec) { s.ExecutableDigest = strings.Repeat("0", 64) }), supervisor.DigestMismatch, "not 0000"},
		"absent":           {patched(func(s *Spec) { s.ExecutablePath, s.ExecutableDigest = "/nonexistent/adapter", strings.Repeat("1", 64) }), supervisor.NotInstalled, ""},
		"directory":        {patched(func(s *Spec) { s.ExecutablePath, s.ExecutableDigest = "/tmp", strings.Repeat("2", 64) }), supervisor.NotExecutable, ""},
		"no directory":     {patched(func(s *Spec) { s.Dir = "/nonexistent" }), supervisor.LaunchFailed, ""},
		"script exits":     {shellScript(t, "echo one >&2; echo two >&2; exit 9"), supervisor.ExitBeforeHandshake, "code 9 before the handshake: two (1 lines omitted)"},
		"closes stdout":    {shellScript(t, "exec 1>&-; echo sorry >&2; sleep 0.05; exit 4"), supervisor.ExitBeforeHandshake, "code 4 before the handshake: sorry"},
		"library":          {shellScript(t, "echo 'x: error while loading shared libraries: liby.so: cannot open' >&2; exit 127"), supervisor.MissingLibrary, "liby.so"},
		"socket elsewhere": {shellScript(t, "echo '1|1|unix|/tmp/elsewhere|grpc|'; sleep 60"), supervisor.ProtocolMismatch, "outside"},
		"tcp":              {shellScript(t, "echo '1|1|tcp|127.0.0.1:1|grpc|'; sleep 60"), supervisor.ProtocolMismatch, "tcp"},
		"net/rpc":          {shellScript(t, "echo \"1|1|unix|$PLUGIN_UNIX_SOCKET_DIR/s|netrpc|\"; sleep 60"), supervisor.ProtocolMismatch, "gRPC"},
		"no socket":        {shellScript(t, "echo \"1|1|unix|$PLUGIN_UNIX_SOCKET_DIR/s|grpc|\"; sleep 60"), supervisor.ProtocolMismatch, ""},
		"long socket":      {shellScript(t, "echo \"1|1|unix|$PLUGIN_UNIX_SOCKET_DIR/"+strings.Repeat("s", 100)+"|grpc|\"; sleep 60"), supervisor.SocketPathTooLong, ""},
		"endless line":     {shellScript(t, "exec yes | tr -d '\\n'"), supervisor.StdoutNoise, "yyyy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			why := refused(t, l, c.spec)
			if why.Cause != c.cause || !strings.Contains(why.Detail, c.detail) {
				t.Errorf("cause %s, detail %q, error %v", why.Cause, why.Detail, why.Err)
			}
			if why.Cause.Remedy() == "" {
				t.Error("no remedy")
			}
		})
	}
}

func TestDeathIsKnownAtOnce(t *testing.T) {
	t.Parallel()
	l := launcher(t, nil)
	for name, c := range map[string]struct {
		script string
		cause  supervisor.Cause
		code   int
		signal string
	}{
		"exit":              {"exit:3", supervisor.Exited, 3, ""},
		"kill":              {"kill", supervisor.Signaled, -1, "SIGKILL"},
		"panic":             {"crash", supervisor.Panic, 2, ""},
		"grandchild, pipes": {"fork-and-die", supervisor.Signaled, -1, "SIGKILL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inst := start(t, l, adapter(c.script))
			if _, err := inst.Client().AddMessageLog(t.Context(), sdktest.Request()); err == nil {
				t.Fatal("answered")
			}
			died := time.Now()
			await(t, "the end", inst.Done())
			if took := time.Since(died); took > 5*time.Second {
				t.Errorf("noticed after %s", took)
			}
			exit := inst.Exit()
			if exit.Cause != c.cause || exit.Code != c.code || exit.Signal != c.signal {
				t.Errorf("exit = %+v", exit)
			}
		})
	}
}

func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	l := launcher(t, nil)
	inst := start(t, l, adapter("ok"))
	if err := syscall.Kill(inst.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	inst.Stop(ctx)
	if took := time.Since(began); took > 1500*time.Millisecond {
		t.Errorf("took %s", took)
	}
	if err := syscall.Kill(inst.Pid(), 0); err == nil {
		t.Error("the process is still there")
	}
	if _, err := os.Stat(filepath.Join(l.cfg.RunDir, inst.process.runID+recordSuffix)); err == nil {
		t.Error("its record is still there")
	}
}
