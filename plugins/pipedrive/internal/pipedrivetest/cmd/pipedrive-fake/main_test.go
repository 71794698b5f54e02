package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// envServe turns the test binary into the command.
const envServe = "PIPEDRIVE_FAKE_TEST_ARGS"

func TestMain(m *testing.M) {
	if args := os.Getenv(envServe); args != "" {
		os.Args = append(os.Args[:1], strings.Split(args, "\n")...)
		main()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func tokens(name string) string {
	if name == "PIPEDRIVE_FAKE_TOKENS" {
		return "one,two"
	}
	return ""
}

func none(string) string { return "" }

// start runs the command in a process of its own and returns its address.
func start(t *testing.T, stdin io.Reader, args ...string) (*exec.Cmd, string) {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready.json")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = []string{"PIPEDRIVE_FAKE_TOKENS=one,two", envServe + "=" + strings.Join(append(args, "-ready-file", ready), "\n")}
	cmd.Stdin, cmd.Stderr = stdin, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("read the address: %v", err)
	}
	var said struct{ Listening, URL string }
	if err := json.Unmarshal([]byte(line), &said); err != nil || said.URL != "http://"+said.Listening {
		t.Fatalf("printed %q, %v", line, err)
	}
	if file, err := os.ReadFile(ready); err != nil || string(file) != line {
		t.Fatalf("the ready file holds %q, %v", file, err)
	}
	return cmd, said.URL
}

func TestProcess(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]func(cmd *exec.Cmd) error{
		"SIGTERM": func(cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGTERM) },
		"SIGINT":  func(cmd *exec.Cmd) error { return cmd.Process.Signal(os.Interrupt) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd, url := start(t, nil, "-burst", "2", "-budget", "1000", "-retry-after", "-switches", `{"listLag":"1s"}`)
			get(t, url+"/v1/users/me", "Bearer two", http.StatusOK)
			get(t, url+"/v1/users/me", "Bearer three", http.StatusUnauthorized)
			if body := get(t, url+"/_control/switches", "", http.StatusOK); !strings.Contains(body, `"listLag":"1s"`) {
				t.Errorf("the switches are %s", body)
			}
			if err := how(cmd); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("after %s: %v", name, err)
			}
		})
	}
}

func TestEndOfInput(t *testing.T) {
	t.Parallel()
	read, write := io.Pipe()
	cmd, url := start(t, read, "-until-eof")
	get(t, url+"/_control/health", "", http.StatusNoContent)
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after the end of the input: %v", err)
	}
	cmd, url = start(t, nil) // whose input has ended already, and does not matter
	get(t, url+"/_control/health", "", http.StatusNoContent)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func get(t *testing.T, url, authorization string, status int) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", authorization)
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Fatalf("got %s with %s, %v", resp.Status, text, err)
	}
	return string(text)
}

func TestBadStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.json")
	if err := os.WriteFile(broken, []byte(`{"listLag":"2h"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		env  func(string) string
		want string
	}{
		"no tokens":          {nil, none, "no tokens"},
		"missing token file": {[]string{"-tokens-file", filepath.Join(dir, "none")}, none, "read tokens"},
		"public address":     {[]string{"-listen", "0.0.0.0:0"}, tokens, "loopback"},
		"bad address":        {[]string{"-listen", "nonsense"}, tokens, "listen"},
		"extra argument":     {[]string{"serve"}, tokens, "unexpected argument"},
		"unknown flag":       {[]string{"-x"}, tokens, "not defined"},
		"negative burst":     {[]string{"-burst", "-1"}, tokens, "must not be negative"},
		"bad switches":       {[]string{"-switches", `{"lag":"1s"}`}, tokens, "read switches"},
		"wrong switches":     {[]string{"-switches", "@" + broken}, tokens, "listLag"},
		"missing switches":   {[]string{"-switches", "@" + dir}, tokens, "read switches"},
		"bad ready file":     {[]string{"-ready-file", filepath.Join(dir, "a", "b")}, tokens, "ready file"},
		"bad ready folder":   {[]string{"-ready-file", dir}, tokens, "ready file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err := run(ctx, test.args, test.env, strings.NewReader(""), io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want something about %q", err, test.want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var help strings.Builder
	if err := run(t.Context(), []string{"-h"}, none, strings.NewReader(""), io.Discard, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{"-listen", "-tokens-file", "-ready-file", "-switches", "-until-eof", "-burst", "-budget", "-retry-after"} {
		if !strings.Contains(help.String(), name) {
			t.Errorf("the help does not name %s", name)
		}
	}
}
