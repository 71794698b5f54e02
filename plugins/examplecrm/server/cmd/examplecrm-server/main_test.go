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
const envServe = "EXAMPLECRM_SERVER_TEST_ARGS"

func TestMain(m *testing.M) {
	if args := os.Getenv(envServe); args != "" {
		os.Args = append(os.Args[:1], strings.Split(args, "\n")...)
		main()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func none(string) string { return "" }

func tokens(name string) string {
	if name == "EXAMPLECRM_TOKENS" {
		return "one,two"
	}
	return ""
}

func TestProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ready := filepath.Join(dir, "ready.json")
	start := func() (*exec.Cmd, string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		t.Cleanup(cancel)
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = []string{"EXAMPLECRM_TOKENS=one,two", envServe + "=" + strings.Join([]string{
			"-db", filepath.Join(dir, "crm.db"), "-ready-file", ready, "-switches", `{"searchLag":"1s"}`,
		}, "\n")}
		cmd.Stderr = os.Stderr
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
	stop := func(cmd *exec.Cmd) {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("after SIGTERM: %v", err)
		}
	}
	cmd, url := start()
	post(t, url+"/activities", `{"contactId":"7","subject":"SMS"}`, "Bearer two", http.StatusCreated)
	post(t, url+"/activities", `{"contactId":"7","subject":"SMS"}`, "Bearer three", http.StatusUnauthorized)
	stop(cmd)

	cmd, url = start()
	if body := get(t, url+"/_control/counts"); !strings.Contains(body, `"activities":1,`) {
		t.Errorf("after the restart the counts are %s", body)
	}
	if body := get(t, url+"/_control/switches"); !strings.Contains(body, `"searchLag":"1s"`) {
		t.Errorf("the switches are %s", body)
	}
	stop(cmd)
}

func post(t *testing.T, url, body, authorization string, status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
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
	if resp.StatusCode != status {
		t.Errorf("got status %s, want %d", resp.Status, status)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got %s with %s, %v", resp.Status, text, err)
	}
	return string(text)
}

func TestBadStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.json")
	if err := os.WriteFile(broken, []byte(`{"searchLag":"2h"}`), 0o600); err != nil {
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
		"bad switches":       {[]string{"-switches", `{"lag":"1s"}`}, tokens, "read switches"},
		"wrong switches":     {[]string{"-switches", "@" + broken}, tokens, "searchLag"},
		"missing switches":   {[]string{"-switches", "@" + dir}, tokens, "read switches"},
		"bad database":       {[]string{"-db", dir}, tokens, "open CRM"},
		"bad ready file":     {[]string{"-ready-file", filepath.Join(dir, "a", "b")}, tokens, "ready file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err := run(ctx, test.args, test.env, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want something about %q", err, test.want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var help strings.Builder
	if err := run(t.Context(), []string{"-h"}, none, io.Discard, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{"-listen", "-db", "-tokens-file", "-ready-file", "-switches", "-require-contacts"} {
		if !strings.Contains(help.String(), name) {
			t.Errorf("the help does not name %s", name)
		}
	}
}
