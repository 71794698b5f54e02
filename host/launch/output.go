package launch

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// maxLineBytes is the longest line that is looked at; what is longer is cut.
	maxLineBytes = 64 << 10
	// tailLines are kept for the crash report, each cut to tailLineBytes.
	tailLines     = 50
	tailLineBytes = 1 << 10
	// tellEvery is the least time between two records of lines omitted.
	tellEvery = time.Second
	// floodPause per byte above the limit makes 8 MB/s the most that is read.
	floodPause = 125 * time.Nanosecond
)

// stream names where a line came from.
type stream string

const (
	stdout stream = "stdout"
	stderr stream = "stderr"
)

// output takes what one process prints: it logs it, within bounds, and keeps the
// end of it. Its methods may be called concurrently.
type output struct {
	log *slog.Logger // names the adapter and its process

	mu      sync.Mutex // guards what follows
	tail    []string   // the last lines of standard error
	lines   int        // of standard error, all
	panicAt string     // the line with which a panic began, unless records came after it
	memory  bool       // the same line says that memory ran out
	library string     // the line in which the dynamic linker misses something
	limit   limiter
	flood   bool      // the last line came above the limit
	omitted int       // lines not logged and not yet told of
	told    time.Time // when that was last told
}

func newOutput(log *slog.Logger, perSecond, burst int) *output {
	return &output{log: log, limit: limiter{rate: float64(perSecond), burst: float64(burst), tokens: float64(burst), last: time.Now()}}
}

// drain reads r to its end, however much comes and in whatever form. An error of
// r is its end: the pipe was closed, or the time after the death is over.
func (o *output) drain(from stream, r io.Reader) {
	w := o.writer(from)
	defer w.flush()
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		_, _ = w.Write(buf[:n]) // never fails
		if err != nil {
			return
		}
	}
}

// writer returns an io.Writer for what comes from one stream.
func (o *output) writer(from stream) *throttle { return &throttle{o.splitter(from), o} }

// throttle slows a process down that prints far more than is logged, so that
// reading it takes no processor away from others.
type throttle struct {
	*splitter
	out *output
}

// Write takes the next bytes. It never fails.
func (t *throttle) Write(p []byte) (int, error) {
	n, err := t.splitter.Write(p)
	if t.out.flooded() {
		time.Sleep(time.Duration(n) * floodPause)
	}
	return n, err
}

// flooded reports whether the last line came above the limit.
func (o *output) flooded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.flood
}

func (o *output) splitter(from stream) *splitter {
	return &splitter{emit: func(line []byte, cut int) { o.line(from, line, cut) }}
}

// line takes one line, of which cut bytes were dropped.
func (o *output) line(from stream, raw []byte, cut int) {
	raw = bytes.TrimRight(raw, "\r")
	if len(raw) == 0 && cut == 0 {
		return
	}
	o.mu.Lock()
	if from == stderr {
		o.remember(raw, cut)
	}
	now := time.Now()
	if o.flood = !o.limit.allow(now); o.flood {
		o.omitted++
		o.mu.Unlock()
		return
	}
	omitted := 0
	if now.Sub(o.told) >= tellEvery {
		omitted, o.omitted, o.told = o.omitted, 0, now
	}
	o.mu.Unlock()
	o.logOmitted(omitted)
	if from == stderr && cut == 0 {
		if rec, ok := parseRecord(raw); ok {
			rec.log(o.log)
			return
		}
	}
	args := []any{"stream", string(from), "line", clean(raw, maxTextBytes)}
	if cut > 0 {
		args = append(args, "cut_bytes", cut)
	}
	o.log.Info("adapter printed a line", args...)
}

// finish logs how many lines were left out in the end.
func (o *output) finish() {
	o.mu.Lock()
	omitted := o.omitted
	o.omitted = 0
	o.mu.Unlock()
	o.logOmitted(omitted)
}

func (o *output) logOmitted(n int) {
	if n > 0 {
		o.log.Warn("adapter lines omitted", "lines", n)
	}
}

// remember keeps what the crash report needs. The caller holds mu.
func (o *output) remember(raw []byte, cut int) {
	o.lines++
	text := clean(raw, tailLineBytes)
	if cut > 0 {
		text += fmt.Sprintf(" (%d bytes omitted)", cut)
	}
	if len(o.tail) == tailLines {
		o.tail = slices.Delete(o.tail, 0, 1)
	}
	o.tail = append(o.tail, text)
	switch {
	case strings.HasPrefix(text, "fatal error: runtime: out of memory"), strings.HasPrefix(text, "fatal error: runtime: cannot allocate memory"):
		o.panicAt, o.memory = text, true
	case strings.HasPrefix(text, "panic: "), strings.HasPrefix(text, "fatal error: "):
		o.panicAt, o.memory = text, false
	case strings.HasPrefix(text, "{"): // a record: who still logs has not panicked
		o.panicAt, o.memory = "", false
	case o.library == "" && strings.Contains(text, "error while loading shared libraries"):
		o.library = text
	}
}

// report returns the last lines of standard error. The line with which a panic
// began comes first when the stacks after it have pushed it out.
func (o *output) report() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := slices.Clone(o.tail)
	if o.panicAt != "" && !slices.Contains(out, o.panicAt) {
		out = append([]string{o.panicAt, fmt.Sprintf("(%d lines omitted)", o.lines-len(out)-1)}, out[min(2, len(out)):]...)
	}
	return out
}

// last returns the line that says most about a failed start, with the number of
// the others.
func (o *output) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lines == 0 {
		return "it printed nothing on standard error"
	}
	line := o.tail[len(o.tail)-1]
	switch {
	case o.panicAt != "":
		line = o.panicAt
	case o.library != "":
		line = o.library
	}
	if o.lines == 1 {
		return line
	}
	return fmt.Sprintf("%s (%d lines omitted)", line, o.lines-1)
}

// signs returns what the lines say about the end of the process. Lines may be
// old, or forged: how the process ended decides whether they are believed.
// outOfMemory implies panicked.
func (o *output) signs() (panicked, outOfMemory, missingLibrary bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.panicAt != "", o.memory, o.library != ""
}

// splitter is an io.Writer that cuts a stream into lines of bounded length. It
// may be used concurrently.
type splitter struct {
	emit func(line []byte, cut int)

	mu  sync.Mutex // guards what follows, and keeps lines in order
	buf []byte
	cut int // bytes of the current line that did not fit
}

// Write takes the next bytes. It never fails.
func (s *splitter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		line, rest, ended := bytes.Cut(p, []byte{'\n'})
		room := min(maxLineBytes-len(s.buf), len(line))
		s.buf = append(s.buf, line[:room]...)
		s.cut += len(line) - room
		p = rest
		if ended {
			s.emit(s.buf, s.cut)
			s.buf, s.cut = s.buf[:0], 0
		}
	}
	return n, nil
}

// flush takes a last line without an end.
func (s *splitter) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.buf) > 0 {
		s.emit(s.buf, s.cut)
		s.buf, s.cut = nil, 0
	}
}

// limiter is a token bucket.
type limiter struct {
	rate, burst, tokens float64
	last                time.Time
}

func (l *limiter) allow(now time.Time) bool {
	l.tokens = min(l.burst, l.tokens+l.rate*now.Sub(l.last).Seconds())
	l.last = now
	if l.tokens < 1 {
		return false
	}
	l.tokens--
	return true
}

// clean makes text of a process fit to be shown: valid UTF-8 of at most limit
// bytes, without control characters, escape sequences or invisible marks.
func clean(raw []byte, limit int) string { return cleanBut(raw, limit, '\t') }

// cleanBut is clean that also lets pass the characters in kept. A line feed is safe
// where slog's handlers quote the text, as they do with attributes.
func cleanBut(raw []byte, limit int, kept ...rune) string {
	cut := len(raw) > limit
	if cut {
		raw = raw[:limit]
		for len(raw) > 0 && !utf8.RuneStart(raw[len(raw)-1]) {
			raw = raw[:len(raw)-1]
		}
		if r, _ := utf8.DecodeLastRune(raw); r == utf8.RuneError && len(raw) > 0 {
			raw = raw[:len(raw)-1] // the first byte of a character that was cut
		}
	}
	text := strings.Map(func(r rune) rune {
		if slices.Contains(kept, r) || unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar
	}, string(raw))
	if cut {
		text += "..."
	}
	return text
}

// enabled is slog.Logger.Enabled without a context of its own.
func enabled(log *slog.Logger, level slog.Level) bool {
	return log.Enabled(context.Background(), level)
}
