package launch

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// misbehave plays the scripts that sdktest does not have, before the adapter
// serves. It reports whether the process is to end.
func misbehave(script string) bool {
	name, argument, _ := strings.Cut(script, " ")
	switch name {
	case "host": // not an adapter: a host that starts one, see TestHostKilled
		dir, script, _ := strings.Cut(argument, " ")
		hostMain(dir, script)
	case "environment": // prints its surroundings to the file that is named, and serves
		report(argument)
		sdktest.ServeScripted("ok")
	case "no-lifeline": // does not watch its lifeline: only the kernel ends it with its host
		os.Unsetenv(envLifeline)
		sdktest.ServeScripted("ok")
	case "no-death-signal": // only the lifeline ends it with its host
		dropDeathSignal()
		sdktest.ServeScripted("ok")
	case "speaks": // serves the protocol versions that are named
		serveVersions(strings.Fields(argument))
	case "deaf": // ignores every polite request to end
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		sdktest.ServeScripted("ok")
		select {} // served, and stays
	case "forks": // leaves descendants of every kind, and serves
		fork(argument)
		sdktest.ServeScripted("ok")
	case "escapes": // leaves a descendant that nothing connects with the process but its pipes
		cmd := exec.Command("sleep", "600")
		cmd.Env, cmd.SysProcAttr, cmd.Stdout, cmd.Stderr = []string{"A=B"}, &syscall.SysProcAttr{Setsid: true}, os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		if err := os.WriteFile(argument, []byte(fmt.Sprint(cmd.Process.Pid)), 0o600); err != nil {
			panic(err)
		}
		sdktest.ServeScripted("ok")
	case "descendant":
		time.Sleep(time.Hour)
	case "stranger-socket": // offers a socket that another process listens on
		strangerSocket()
	case "hangs-after-handshake": // accepts the connection and says nothing
		listenSilently()
	case "stderr": // prints what the file holds to standard error, and serves
		raw, err := os.ReadFile(argument)
		if err != nil {
			panic(err)
		}
		os.Stderr.Write(raw)
		sdktest.ServeScripted("ok")
	default:
		return false
	}
	return true
}

// report writes environment, descriptors and identity to a file.
func report(path string) {
	var b strings.Builder
	for _, entry := range os.Environ() {
		fmt.Fprintln(&b, "env", entry)
	}
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		target, _ := os.Readlink("/proc/self/fd/" + fd.Name())
		fmt.Fprintln(&b, "fd", fd.Name(), target)
	}
	dir, _ := os.Getwd()
	fmt.Fprintln(&b, "dir", dir)
	fmt.Fprintln(&b, "args", strings.Join(os.Args, " "))
	exe, _ := os.Readlink("/proc/self/exe")
	fmt.Fprintln(&b, "exe", exe)
	fmt.Fprintln(&b, "group", syscall.Getpgrp() == os.Getpid())
	session, err := unix.Getsid(0)
	fmt.Fprintln(&b, "session", session == os.Getpid(), err)
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		panic(err)
	}
}

// fork starts descendants and writes their numbers to the directory: one in the
// process' group, one in a group of its own, and one in a session of its own.
func fork(dir string) {
	start := func(name string, attr *syscall.SysProcAttr) {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), envScript+"=descendant")
		cmd.SysProcAttr, cmd.Stdout, cmd.Stderr = attr, os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(fmt.Sprint(cmd.Process.Pid)), 0o600); err != nil {
			panic(err)
		}
	}
	start("plain", nil)
	start("group", &syscall.SysProcAttr{Setpgid: true})
	start("session", &syscall.SysProcAttr{Setsid: true})
}

// strangerSocket offers a socket on which its parent's listener, the test's own
// process, answers.
func strangerSocket() {
	socket := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "s")
	if err := os.Symlink(os.Getenv("STRANGER"), socket); err != nil {
		panic(err)
	}
	fmt.Printf("1|1|unix|%s|grpc|\n", socket)
	select {}
}

func listenSilently() {
	socket := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		panic(err)
	}
	fmt.Printf("1|1|unix|%s|grpc|\n", socket)
	for {
		if _, err := listener.Accept(); err != nil {
			panic(err)
		}
	}
}
