package launch

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// hostMain is a host that starts an adapter, says its number and waits to be
// killed.
func hostMain(dir, script string) {
	l, err := New(Config{RunDir: filepath.Join(dir, "run"), SocketParent: dir})
	if err != nil {
		panic(err)
	}
	go l.Run(context.Background())
	inst, err := l.Launch(context.Background(), adapter(script))
	if err != nil {
		panic(err)
	}
	fmt.Println(inst.Pid())
	select {}
}

// startHost starts a host in a process of its own and returns it and its
// adapter's number.
func startHost(t *testing.T, dir, script string) (host *exec.Cmd, adapterPid int) {
	t.Helper()
	path, _ := self()
	host = exec.Command(path)
	host.Env = append(os.Environ(), envScript+"=host "+dir+" "+script)
	host.Stderr = t.Output()
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Process.Kill(); host.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the host said %q: %v", line, err)
	}
	adapterPid, err = strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return host, adapterPid
}

// TestAdapterDiesWithItsHost shows that each of the two ways is enough.
func TestAdapterDiesWithItsHost(t *testing.T) {
	t.Parallel()
	for way, script := range map[string]string{"by the kernel": "no-lifeline", "by the lifeline": "no-death-signal"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			host, pid := startHost(t, socketParent(t), script)
			if !alive(pid) {
				t.Fatal("the adapter died with its host alive")
			}
			host.Process.Kill()
			host.Wait()
			gone(t, "the adapter", pid)
		})
	}
}

// TestNextHostKillsWhatIsLeft shows that what outlives a killed host does not
// outlive the start of the next.
func TestNextHostKillsWhatIsLeft(t *testing.T) {
	t.Parallel()
	dir := socketParent(t)
	host, pid := startHost(t, dir, "forks "+dir)
	host.Process.Kill()
	host.Wait()
	gone(t, "the adapter", pid)
	killed, err := ReapLeftovers(filepath.Join(dir, "run"), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil || killed != 3 {
		t.Errorf("killed %d: %v", killed, err)
	}
	for _, kind := range []string{"plain", "group", "session"} {
		raw, err := os.ReadFile(filepath.Join(dir, kind))
		if err != nil {
			t.Fatal(err)
		}
		if pid, err := strconv.Atoi(string(raw)); err != nil || alive(pid) {
			t.Errorf("the %s descendant %s lives on: %v", kind, raw, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "run", "*"))
	more, _ := filepath.Glob(filepath.Join(dir, socketDirPrefix+"*"))
	if left = append(left, more...); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if killed, err := ReapLeftovers(filepath.Join(dir, "run"), slog.Default()); killed != 0 || err != nil {
		t.Errorf("a second time: %d, %v", killed, err)
	}
}

// TestEndOfAThreadHarmsNoAdapter launches from a thread that ends: the kernel
// would kill an adapter that this thread had forked.
func TestEndOfAThreadHarmsNoAdapter(t *testing.T) {
	t.Parallel()
	l := launcher(t, nil)
	got := make(chan *Instance)
	go func() {
		runtime.LockOSThread() // and never unlocks: the thread ends with the goroutine
		inst, err := l.Launch(context.Background(), adapter("ok"))
		if err != nil {
			t.Error(err)
		}
		got <- inst
	}()
	inst := <-got
	t.Cleanup(func() { stopWithin(inst, time.Second) })
	for range 50 {
		if _, err := inst.Client().AddMessageLog(t.Context(), sdktest.Request()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // the thread's end cannot be observed, only awaited
	}
}
