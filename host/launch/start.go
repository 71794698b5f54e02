package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/patchbay-crm/patchbay/host/supervisor"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

// socketName is the longest name that go-plugin gives a socket, below the
// Launcher's directory.
const socketName = "/plugin-dir4294967295/plugin4294967295"

// Launch starts a process and returns it once it has answered. It fails with a
// *supervisor.StartError that names the cause, or with ctx's error when ctx is
// cancelled; no process is left then. ctx and Spec.StartTimeout bound the start,
// not the life of the process.
func (l *Launcher) Launch(ctx context.Context, spec Spec) (*Instance, error) {
	spec = spec.withDefaults()
	if err := spec.validate(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, spec.StartTimeout)
	defer cancel()
	if err := l.enter(ctx); err != nil {
		return nil, err
	}
	p, err := l.prepare(spec)
	if err != nil {
		l.leave()
		return nil, err
	}
	defer p.giveBack()
	client, err := p.connect(ctx)
	if err != nil {
		return nil, p.abort(ctx, err)
	}
	info, err := client.Info(ctx)
	if err != nil {
		return nil, p.abort(ctx, err)
	}
	close(p.released)
	p.out.log.Info("adapter process started", "duration_ms", time.Since(p.began).Milliseconds(), "sdk", clean([]byte(info.SDK), maxKeyBytes))
	return &Instance{process: p, client: client, info: info}, nil
}

// prepare verifies the executable and makes all that a fork needs.
func (l *Launcher) prepare(spec Spec) (*process, error) {
	sockets, err := l.socketPath()
	if err != nil {
		return nil, &supervisor.StartError{Cause: supervisor.LaunchFailed, Err: err, Exit: supervisor.Exit{Code: -1}}
	}
	if n := len(sockets) + len(socketName); n > maxSocketPath {
		return nil, &supervisor.StartError{
			Cause:  supervisor.SocketPathTooLong,
			Detail: fmt.Sprintf("%s makes paths of %d bytes, %d are possible", sockets, n, maxSocketPath),
		}
	}
	img, giveBack, err := l.images.get(spec.ExecutablePath, spec.ExecutableDigest, sockets)
	if err != nil {
		return nil, err
	}
	if img.problem != nil {
		giveBack()
		return nil, img.problem
	}
	log := l.cfg.Log.With("adapter", spec.Name, "version", spec.Version)
	if spec.Tenant != "" {
		log = log.With("tenant", spec.Tenant)
	}
	p := &process{
		spec: spec, runID: l.nextRunID(), launcher: l, sockets: sockets, giveBack: giveBack,
		out:    newOutput(log, l.cfg.LinesPerSecond, l.cfg.LineBurst),
		exited: make(chan struct{}), done: make(chan struct{}), released: make(chan struct{}),
	}
	p.shakeR, p.shakeW = io.Pipe()
	p.cmd = &exec.Cmd{
		Path: img.path, Args: append([]string{filepath.Base(spec.ExecutablePath)}, spec.Args...),
		Dir: spec.Dir, SysProcAttr: sysProcAttr(),
	}
	return p, nil
}

// connect starts the process and returns a client for it. go-plugin holds a lock
// all the while, so nothing of it is touched until connect returns; a deadline is
// kept by killing the process.
func (p *process) connect(ctx context.Context) (*rpc.Client, error) {
	var conn atomic.Pointer[grpc.ClientConn]
	c := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  rpc.Handshake,
		VersionedPlugins: p.launcher.plugins(nil),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		SkipHostEnv:      true,
		StartTimeout:     p.spec.StartTimeout + time.Second, // ctx ends before
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard}),
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: p.sockets},
		SyncStdout:       p.out.writer(stdout),
		SyncStderr:       p.out.writer(stderr),
		GRPCDialOptions: append(rpc.DialOptions(), grpc.WithContextDialer(p.dial),
			grpc.WithChainStreamInterceptor(remember(&conn))),
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, dir string) (runner.Runner, error) {
			p.dir = dir
			p.cmd.Env = append(p.spec.environment(p.runID), cmd.Env...)
			return p, nil
		},
	})
	p.cleanup = func() {
		c.Kill() // the process is dead: this only ends go-plugin's goroutines
		if cc := conn.Load(); cc != nil {
			cc.Close() // a second time, unless go-plugin gave up half-way
		}
		if p.dir != "" {
			os.RemoveAll(p.dir)
		}
	}
	defer context.AfterFunc(ctx, p.kill)()
	protocol, err := c.Client()
	if err != nil {
		return nil, err
	}
	raw, err := protocol.Dispense(rpc.PluginName)
	if err != nil {
		return nil, err
	}
	client, ok := raw.(*rpc.Client)
	if !ok {
		return nil, fmt.Errorf("dispense %s: got a %T", rpc.PluginName, raw)
	}
	return client, nil
}

// remember keeps the connection on which go-plugin opens its first stream: when
// go-plugin gives up after that, it forgets to close it.
func remember(conn *atomic.Pointer[grpc.ClientConn]) grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
		streamer grpc.Streamer, opts ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		conn.Store(cc)
		return streamer(ctx, desc, cc, method, opts...)
	}
}

// awaitDeath gives a process whose pipe or connection ended a moment to be seen
// dying: they end a little before the process does.
func (p *process) awaitDeath(ctx context.Context) {
	moment := time.NewTimer(drainAfterDeath)
	defer moment.Stop()
	select {
	case <-p.exited:
	case <-moment.C:
	case <-ctx.Done():
	}
}

// abort ends a start that failed and returns why it did.
func (p *process) abort(ctx context.Context, err error) error {
	if p.pid != 0 && !p.refused() {
		p.awaitDeath(ctx)
	}
	alive := !closed(p.exited)
	p.kill()
	close(p.released)
	if p.pid == 0 { // the fork failed
		p.cleanup()
		p.shakeR.Close()
		p.launcher.leave()
		return &supervisor.StartError{Cause: supervisor.LaunchFailed, Err: err, Exit: supervisor.Exit{Code: -1}}
	}
	<-p.done
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("start %s: %w", p.spec.Name, context.Canceled)
	}
	return p.startError(alive, errors.Is(ctx.Err(), context.DeadlineExceeded), err)
}

func (p *process) refused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refusal != nil
}

// startError names the cause of a failed start, from the surest sign to the
// least sure.
func (p *process) startError(alive, late bool, err error) *supervisor.StartError {
	p.mu.Lock()
	refusal, shaken := p.refusal, p.shaken
	p.mu.Unlock()
	out := &supervisor.StartError{Pid: p.pid, Exit: p.exit, Err: err}
	_, _, missingLibrary := p.out.signs()
	switch {
	case refusal != nil:
		out.Cause, out.Detail, out.Err = refusal.Cause, refusal.Detail, refusal.Err
	case late:
		out.Cause = supervisor.StartTimeout
		out.Detail = fmt.Sprintf("no answer within %s; the last line: %s", p.spec.StartTimeout, p.out.last())
	case missingLibrary && !shaken:
		out.Cause, out.Detail, out.Err = supervisor.MissingLibrary, p.out.last(), nil
	case p.exit.Cause == supervisor.Panic, p.exit.Cause == supervisor.OutOfMemory:
		out.Cause, out.Detail, out.Err = p.exit.Cause, p.out.last(), nil
	case !shaken:
		out.Cause, out.Err = supervisor.ExitBeforeHandshake, nil
		out.Detail = fmt.Sprintf("%s before the handshake: %s", p.ending(), p.out.last())
	case alive:
		out.Cause, out.Detail = supervisor.ProtocolMismatch, "the process does not answer as an adapter does"
	default:
		out.Cause, out.Detail = p.exit.Cause, fmt.Sprintf("%s after the handshake: %s", p.ending(), p.out.last())
	}
	return out
}

// ending says in words how the process ended.
func (p *process) ending() string {
	if p.exit.Signal != "" {
		return "it was ended by " + p.exit.Signal
	}
	return fmt.Sprintf("it exited with code %d", p.exit.Code)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
