package launch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/patchbay-crm/patchbay/host/supervisor"
)

// printed sends text through an output and returns it and what was logged.
func printed(from stream, text string) (*output, []map[string]any) {
	var r records
	o := newOutput(slog.New(slog.NewJSONHandler(&r, &slog.HandlerOptions{Level: slog.LevelDebug})).With("adapter", "acme"), 200, 1000)
	o.drain(from, strings.NewReader(text))
	o.finish()
	return o, decode(&r)
}

func decode(r *records) []map[string]any {
	var out []map[string]any
	for _, line := range r.all() {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			panic(fmt.Sprintf("%s: %v", line, err))
		}
		delete(m, "time")
		out = append(out, m)
	}
	return out
}

func TestLines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from stream
		text string
		want string // the records but for their times, as JSON
	}{
		"plain":       {stderr, "hello\n", `[{"adapter":"acme","level":"INFO","line":"hello","msg":"adapter printed a line","stream":"stderr"}]`},
		"no end":      {stdout, "hello", `[{"adapter":"acme","level":"INFO","line":"hello","msg":"adapter printed a line","stream":"stdout"}]`},
		"empty lines": {stderr, "\n\r\n\n", `null`},
		"record": {
			stderr, `{"@level":"warn","@message":"said","@timestamp":"x","request_id":"r-1","n":7,"ok":true,"f":1.50,"list":[1, 2],"none":null}`,
			`[{"adapter":"acme","level":"WARN","msg":"adapter logged","record":{"f":"1.50","list":"[1, 2]","message":"said","n":7,"none":"null","ok":true},"request_id":"r-1"}]`,
		},
		"other loggers":   {stderr, `{"level":"error","msg":"said"}`, `[{"adapter":"acme","level":"ERROR","msg":"adapter logged","record":{"message":"said"}}]`},
		"on stdout":       {stdout, `{"@message":"said"}`, `[{"adapter":"acme","level":"INFO","line":"{\"@message\":\"said\"}","msg":"adapter printed a line","stream":"stdout"}]`},
		"number":          {stderr, `{"@message":1}`, `[{"adapter":"acme","level":"INFO","msg":"adapter logged","record":{"message":"1"}}]`},
		"types":           {stderr, `{"@message":{"a":[]},"@level":[],"request_id":{}}`, `[{"adapter":"acme","level":"INFO","msg":"adapter logged","record":{"message":"{\"a\":[]}"},"request_id":"{}"}]`},
		"no message":      {stderr, `{"a":1}`, `[{"adapter":"acme","level":"INFO","line":"{\"a\":1}","msg":"adapter printed a line","stream":"stderr"}]`},
		"array":           {stderr, `[{"@message":1}]`, `[{"adapter":"acme","level":"INFO","line":"[{\"@message\":1}]","msg":"adapter printed a line","stream":"stderr"}]`},
		"spoof":           {stderr, `{"@message":"adapter crashed","adapter":"other","pid":1,"msg":"m","level":"l","request_id":"a b"}`, `[{"adapter":"acme","level":"INFO","msg":"adapter logged","record":{"adapter":"other","level":"l","message":"adapter crashed","msg":"m","pid":1}}]`},
		"terminal escape": {stderr, "\x1b[31mred\x00\u202e\xff\n", `[{"adapter":"acme","level":"INFO","line":"�[31mred���","msg":"adapter printed a line","stream":"stderr"}]`},
		"escape in JSON":  {stderr, `{"@message":"\u001b[2J\u0000","k\u0007":"\u0085"}`, `[{"adapter":"acme","level":"INFO","msg":"adapter logged","record":{"k�":"�","message":"�[2J�"}}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, got := printed(c.from, c.text)
			raw, err := json.Marshal(got)
			if err != nil || string(raw) != c.want {
				t.Errorf("got  %s\nwant %s", raw, c.want)
			}
		})
	}
}

func TestLevelsAreClamped(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]slog.Level{
		"trace": slog.LevelDebug, "debug": slog.LevelDebug, "INFO": slog.LevelInfo, "warn": slog.LevelWarn, "Error": slog.LevelError,
		"fatal": slog.LevelError, "off": slog.LevelInfo, "": slog.LevelInfo, "ERROR+90": slog.LevelInfo,
	} {
		if got := levelOf(name); got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
}

func TestLongLinesAreCutAndDrained(t *testing.T) {
	t.Parallel()
	_, got := printed(stderr, strings.Repeat("x", 5<<20)+"\nnext\n"+`{"@message":"`+strings.Repeat("y", 70<<10)+`"}`)
	if len(got) != 3 || got[0]["cut_bytes"] != float64(5<<20-maxLineBytes) || got[1]["line"] != "next" || got[2]["cut_bytes"] == nil {
		t.Fatalf("%d records", len(got))
	}
	for _, rec := range got {
		if n := len(rec["line"].(string)); n > maxTextBytes+len("...") {
			t.Errorf("%d bytes logged", n)
		}
	}
	_, got = printed(stderr, `{"@message":"`+strings.Repeat("é", 30<<10)+`"}`)
	if text := got[0]["record"].(map[string]any)["message"].(string); !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) || len(text) > maxTextBytes+3 {
		t.Errorf("message of %d bytes ends in %q", len(text), text[len(text)-8:])
	}
}

// TestStacksAreLonger has a stack as long as the SDK sends it pass whole, and
// nothing else that long.
func TestStacksAreLonger(t *testing.T) {
	t.Parallel()
	whole, longer := strings.Repeat("s", 8<<10), strings.Repeat("s", 9<<10)
	for name, c := range map[string]struct {
		key, text string
		want      string
	}{
		"stack":        {"stack", whole, whole},
		"its lines":    {"stack", "a\n\tb\x1b[2J", "a\n\tb\uFFFD[2J"},
		"other lines":  {"trace", "a\nb", "a\uFFFDb"},
		"longer stack": {"stack", longer, whole + "..."},
		"other":        {"trace", whole, whole[:4<<10] + "..."},
		"like a stack": {"stack ", whole, whole[:4<<10] + "..."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, got := printed(stderr, fmt.Sprintf(`{"@message":"m",%q:%s}`, c.key, quoted(c.text)))
			if text := got[0]["record"].(map[string]any)[c.key]; text != c.want {
				t.Errorf("got %d bytes, want %d", len(text.(string)), len(c.want))
			}
		})
	}
}

// quoted returns text as a JSON string.
func quoted(text string) []byte {
	raw, _ := json.Marshal(text) // a string always encodes
	return raw
}

func TestManyAttributesAreCounted(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"@message":"m"`)
	for i := range 500 {
		fmt.Fprintf(&b, `,"k%03d%s":%d`, i, strings.Repeat("z", 100), i)
	}
	_, got := printed(stderr, b.String()+"}")
	rec := got[0]["record"].(map[string]any)
	if rec["omitted"] != float64(500-maxAttrs) || len(rec) > maxAttrs+2 {
		t.Errorf("%d attributes, %v omitted", len(rec), rec["omitted"])
	}
}

func TestRateIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r records
		o := newOutput(slog.New(slog.NewJSONHandler(&r, nil)), 200, 1000)
		s := o.splitter(stderr)
		for i := range 5000 {
			fmt.Fprintf(s, "line %d\n", i)
		}
		if n := len(r.all()); n != 1000 {
			t.Errorf("%d of 5000 at once", n)
		}
		time.Sleep(time.Second)
		for i := range 300 {
			fmt.Fprintf(s, "later %d\n", i)
		}
		o.finish()
		got := decode(&r)
		if len(got) != 1000+1+200+1 || got[1000]["lines"] != float64(4000) || got[1201]["lines"] != float64(100) {
			t.Errorf("%d records, then %v and %v", len(got), got[1000], got[len(got)-1])
		}
		if tail := o.report(); len(tail) != tailLines || tail[tailLines-1] != "later 299" {
			t.Errorf("the crash report ends with %q", tail[len(tail)-1])
		}
	})
}

// TestFloodIsReadSlowly bounds the processor time that a process can take by
// printing: at most 8 MB/s are read of it.
func TestFloodIsReadSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutput(slog.New(slog.DiscardHandler), 200, 1000)
		began := time.Now()
		o.drain(stdout, strings.NewReader(strings.Repeat("flood\n", 8_000_000/6)))
		if took := time.Since(began); took < 900*time.Millisecond || took > 1100*time.Millisecond {
			t.Errorf("took %s", took)
		}
		began = time.Now()
		time.Sleep(5 * time.Second)
		o.drain(stdout, strings.NewReader(strings.Repeat("calm\n", 900)))
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("what is within the limit took %s", took-5*time.Second)
		}
	})
}

func TestReportKeepsTheBeginningOfAPanic(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("hello\npanic: nil map\n\ngoroutine 1 [running]:\n")
	for i := range 300 {
		fmt.Fprintf(&b, "\tframe %d\n", i)
	}
	o, _ := printed(stderr, b.String())
	got := o.report()
	if len(got) != tailLines || got[0] != "panic: nil map" || got[1] != "(252 lines omitted)" || got[tailLines-1] != "\tframe 299" {
		t.Errorf("%d lines: %q, %q ... %q", len(got), got[0], got[1], got[len(got)-1])
	}
	if last := o.last(); last != "panic: nil map (302 lines omitted)" {
		t.Errorf("last = %q", last)
	}
	if panicked, _, _ := o.signs(); !panicked {
		t.Error("no panic seen")
	}
	o, _ = printed(stderr, "fatal error: runtime: out of memory\n")
	if _, memory, _ := o.signs(); !memory {
		t.Error("not taken for a want of memory")
	}
	if o, _ = printed(stderr, ""); o.last() != "it printed nothing on standard error" || len(o.report()) != 0 {
		t.Errorf("%q, %v", o.last(), o.report())
	}
}

// TestCauseOfAnEnd shows that a line on standard error names the cause only when
// it was the last that the program had to say, and the program ended as Go ends
// one that says so.
func TestCauseOfAnEnd(t *testing.T) {
	t.Parallel()
	const (
		trace  = "panic: nil map\n\ngoroutine 1 [running]:\nmain.main()\n\t/x/main.go:3\nexit status 2\n"
		memory = "fatal error: runtime: out of memory\n\nruntime stack:\n"
		logged = `{"@level":"info","@message":"went on"}` + "\n"
		limit  = 100 << 20
	)
	code := func(n int) supervisor.Exit { return supervisor.Exit{Code: n, Cause: supervisor.Exited} }
	signal := func(name string) supervisor.Exit {
		return supervisor.Exit{Code: -1, Signal: name, Cause: supervisor.Signaled}
	}
	big := func(exit supervisor.Exit) supervisor.Exit { exit.PeakRSS = limit; return exit }
	for name, c := range map[string]struct {
		stderr string
		exit   supervisor.Exit
		want   supervisor.Cause // "" for what the end itself says
	}{
		"panic":                          {trace, code(2), supervisor.Panic},
		"panic after records":            {logged + logged + trace, code(2), supervisor.Panic},
		"fatal error":                    {"fatal error: all goroutines are asleep - deadlock!\n", code(2), supervisor.Panic},
		"panic with a core":              {trace, signal("SIGABRT"), supervisor.Panic},
		"abort without a panic":          {"assertion failed\n", signal("SIGABRT"), ""},
		"code 2 without a panic":         {"usage: adapter\n", code(2), ""},
		"faked, another code":            {trace, code(7), ""},
		"faked, well ended":              {trace, code(0), ""},
		"faked, then killed":             {trace, signal("SIGKILL"), ""},
		"faked, then terminated":         {trace, signal("SIGTERM"), ""},
		"faked, then a bad address":      {trace, signal("SIGSEGV"), ""},
		"long before":                    {trace + logged, code(2), ""},
		"long before, then again":        {trace + logged + trace, code(2), supervisor.Panic},
		"memory":                         {memory, code(2), supervisor.OutOfMemory},
		"memory, faked":                  {memory, code(1), ""},
		"memory long before":             {memory + logged, code(2), ""},
		"memory long before, then panic": {memory + logged + trace, code(2), supervisor.Panic},
		"killed above the limit":         {logged, big(signal("SIGKILL")), supervisor.OutOfMemory},
		"killed above, panic faked":      {trace, big(signal("SIGKILL")), supervisor.OutOfMemory},
		"terminated above the limit":     {logged, big(signal("SIGTERM")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, _ := printed(stderr, c.stderr)
			panicked, outOfMemory, _ := o.signs()
			got, known := deeperCause(c.exit, limit, panicked, outOfMemory)
			if got != c.want || known != (c.want != "") {
				t.Errorf("got %q, %t", got, known)
			}
		})
	}
}

// TestReportBeginsWithTheLastPanic has an earlier line that looks like one.
func TestReportBeginsWithTheLastPanic(t *testing.T) {
	t.Parallel()
	o, _ := printed(stderr, "panic: not yet\n"+`{"@message":"went on"}`+"\npanic: now\n"+strings.Repeat("\tframe\n", 100))
	if got := o.report(); len(got) != tailLines || got[0] != "panic: now" {
		t.Errorf("%d lines, the first %q", len(got), got[0])
	}
}

// FuzzStderr holds that nothing on standard error can end the host, forge its
// keys, or get more through than the bounds say.
func FuzzStderr(f *testing.F) {
	for _, seed := range []string{
		`{"@message":1}`, `{"@level":{},"@message":null}`, `{"@message":"m","@level":"error","request_id":"r","adapter":"forged","msg":"forged"}`,
		"panic: x\n\ngoroutine 1:\n", "\xff\xfe\x00\x1b[2J", `{"@message":"\ud800"}`, strings.Repeat("[", 70000), "{\"@message\":\"a\"}\r\n\n\nb",
		`{"":1,"@message":[[]],"@timestamp":{}}`, strings.Repeat("x\n", 2000), `{"@message":"a","@message":2,"time":"t","level":9}`,
	} {
		f.Add([]byte(seed), 7)
	}
	f.Fuzz(func(t *testing.T, raw []byte, piece int) {
		var r records
		o := newOutput(slog.New(slog.NewJSONHandler(&r, &slog.HandlerOptions{Level: slog.LevelDebug})).With("adapter", "acme"), 200, 1000)
		o.drain(stderr, &pieces{raw, max(1, piece%5000)})
		o.finish()
		logged := decode(&r)
		if len(logged) > 2*1000+2 {
			t.Errorf("%d records", len(logged))
		}
		for _, rec := range logged {
			if rec["adapter"] != "acme" || !strings.HasPrefix(rec["msg"].(string), "adapter ") {
				t.Errorf("forged: %v", rec)
			}
			for key := range rec {
				switch key {
				case "adapter", "level", "msg", "stream", "line", "cut_bytes", "request_id", "record", "lines":
				default:
					t.Errorf("forged key %q", key)
				}
			}
			if line, _ := rec["line"].(string); len(line) > 3*maxTextBytes+3 {
				t.Errorf("a line of %d bytes", len(line))
			}
		}
		tail := o.report()
		if len(tail) > tailLines+2 {
			t.Errorf("%d lines kept", len(tail))
		}
		for _, line := range tail {
			if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
				t.Errorf("unclean line %q", line)
			}
		}
	})
}

// pieces reads in pieces of one size.
type pieces struct {
	rest []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// FuzzHandshake holds that no first line can end the host or lead it to a socket
// outside the process' own directory.
func FuzzHandshake(f *testing.F) {
	for _, seed := range []string{
		"1|1|unix|/run/pb/d/s|grpc|", "1|1|unix|/run/pb/d/../x|grpc|", "1|1|unix|/run/pb/d|grpc", "1|2|unix|/run/pb/d/s|grpc|", "1|3|unix|/run/pb/d/s|grpc|", "noise", "", "\n",
		"1|1|tcp|127.0.0.1:1|grpc|", "1|1|unix|/run/pb/d/s|netrpc|", "9|1|unix|x|grpc", "1|-1|unix||grpc", strings.Repeat("1|", 9000),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		line, socket, err := readHandshake(newReader(raw), "/run/pb/d", []int{1, 3})
		if err != nil {
			if line != "" || socket != "" {
				t.Errorf("%q, %q with %v", line, socket, err)
			}
			return
		}
		if !strings.HasPrefix(socket, "/run/pb/d/") || strings.Contains(socket[len("/run/pb/d/"):], "/") || socket == "/run/pb/d/.." {
			t.Errorf("socket %q", socket)
		}
		if strings.Contains(line, "\n") || !strings.HasPrefix(line, "1|1|unix|") && !strings.HasPrefix(line, "1|3|unix|") {
			t.Errorf("line %q", line)
		}
	})
}

func newReader(raw []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(raw)) }
