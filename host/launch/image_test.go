package launch

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/patchbay-crm/patchbay/host/supervisor"
)

// elfFile makes the head of a 64-bit ELF program for a processor, with an
// interpreter if one is named.
func elfFile(machine elf.Machine, interpreter string) []byte {
	var b bytes.Buffer
	ident := [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1}
	header := elf.Header64{Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Phoff: 64, Phentsize: 56, Phnum: 2}
	programs := []elf.Prog64{{Type: uint32(elf.PT_LOAD)}, {Type: uint32(elf.PT_NULL)}}
	if interpreter != "" {
		programs[1] = elf.Prog64{Type: uint32(elf.PT_INTERP), Off: 64 + 2*56, Filesz: uint64(len(interpreter) + 1)}
	}
	binary.Write(&b, binary.LittleEndian, header)
	binary.Write(&b, binary.LittleEndian, programs)
	b.WriteString(interpreter + "\x00")
	return b.Bytes()
}

func TestInspect(t *testing.T) {
	t.Parallel()
	own := machines[runtime.GOARCH]
	other := elf.EM_AARCH64
	if own == other {
		other = elf.EM_X86_64
	}
	small := elfFile(own, "")
	small[elf.EI_CLASS] = byte(elf.ELFCLASS32)
	mad := elfFile(own, "")
	binary.LittleEndian.PutUint64(mad[32:], 1<<60) // program headers far away
	many := elfFile(own, "")
	binary.LittleEndian.PutUint16(many[56:], 0xffff)
	for name, c := range map[string]struct {
		head  []byte
		cause supervisor.Cause // "" when it may run
	}{
		"static":              {elfFile(own, ""), ""},
		"dynamic":             {elfFile(own, "/proc/self/exe"), ""},
		"no linker":           {elfFile(own, "/nonexistent/ld.so"), supervisor.MissingLibrary},
		"other processor":     {elfFile(other, ""), supervisor.WrongArchitecture},
		"32 bits":             {small, supervisor.WrongArchitecture},
		"macOS":               {[]byte("\xcf\xfa\xed\xfe" + strings.Repeat("x", 100)), supervisor.WrongArchitecture},
		"Windows":             {[]byte("MZ\x90" + strings.Repeat("x", 100)), supervisor.WrongArchitecture},
		"text":                {[]byte("hello, this is a text of more than sixty-four bytes, and no program"), supervisor.NotExecutable},
		"empty":               {nil, supervisor.NotExecutable},
		"cut off":             {elfFile(own, "")[:20], supervisor.NotExecutable},
		"script":              {[]byte("#!/bin/sh -e\necho"), ""},
		"script, no program":  {[]byte("#!/nonexistent/python3\n"), supervisor.MissingLibrary},
		"script, nothing":     {[]byte("#!\n"), supervisor.NotExecutable},
		"headers far away":    {mad, ""},
		"headers without end": {many, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			why := inspect(c.head, bytes.NewReader(c.head))
			switch {
			case c.cause == "" && why != nil:
				t.Errorf("refused: %v", why)
			case c.cause != "" && (why == nil || why.Cause != c.cause || why.Detail == ""):
				t.Errorf("why = %v, want %s", why, c.cause)
			}
		})
	}
}

func FuzzInspect(f *testing.F) {
	f.Add(elfFile(elf.EM_X86_64, "/lib64/ld-linux-x86-64.so.2"))
	f.Add([]byte("#!/bin/sh\n"))
	f.Add([]byte("#! \x00\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if why := inspect(raw, bytes.NewReader(raw)); why != nil && (why.Cause == "" || len(why.Detail) > 1000) {
			t.Errorf("why = %v", why)
		}
	})
}

func TestFilesThatAreNoPrograms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, raw []byte, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, raw, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o700); err != nil {
		t.Fatal(err)
	}
	huge := write("huge", nil, 0o700)
	if err := os.Truncate(huge, maxExecutableBytes+1); err != nil {
		t.Fatal(err)
	}
	l := launcher(t, nil)
	for name, c := range map[string]struct {
		path  string
		cause supervisor.Cause
	}{
		"not executable": {write("plain", []byte("#!/bin/sh\n"), 0o600), supervisor.NotExecutable},
		"text":           {write("text", []byte("hello"), 0o700), supervisor.NotExecutable},
		"other system":   {write("mac", []byte("\xcf\xfa\xed\xfe"), 0o700), supervisor.WrongArchitecture},
		"other machine":  {write("s390", elfFile(elf.EM_S390, ""), 0o700), supervisor.WrongArchitecture},
		"fifo":           {fifo, supervisor.NotExecutable},
		"too large":      {huge, supervisor.NotExecutable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			digest := fmt.Sprintf("%064x", len(name))
			if info, err := os.Stat(c.path); err == nil && info.Mode().IsRegular() && info.Size() < 1<<20 {
				digest = digestOf(c.path)
			}
			spec := Spec{Name: "x", ExecutablePath: c.path, ExecutableDigest: digest}
			if why := refused(t, l, spec); why.Cause != c.cause {
				t.Errorf("why = %v, want %s", why, c.cause)
			}
		})
	}
}

// TestOneImagePerDigest has many ask at once.
func TestOneImagePerDigest(t *testing.T) {
	t.Parallel()
	spec := shellScript(t, "exit 0")
	var s images
	var got sync.Map
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			img, giveBack, err := s.get(spec.ExecutablePath, spec.ExecutableDigest, t.TempDir())
			if err != nil {
				t.Error(err)
				return
			}
			defer giveBack()
			got.Store(img, true)
		})
	}
	all.Wait()
	n := 0
	got.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d images", n)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

// TestMendedFileIsReadAgain shows that a failure is not kept.
func TestMendedFileIsReadAgain(t *testing.T) {
	t.Parallel()
	spec := shellScript(t, "exit 3")
	good, err := os.ReadFile(spec.ExecutablePath)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(spec.ExecutablePath, append(good, ' '), 0o700); err != nil {
		t.Fatal(err)
	}
	l := launcher(t, nil)
	if why := refused(t, l, spec); why.Cause != supervisor.DigestMismatch {
		t.Errorf("why = %v", why)
	}
	if err := os.WriteFile(spec.ExecutablePath, good, 0o700); err != nil {
		t.Fatal(err)
	}
	if why := refused(t, l, spec); why.Cause != supervisor.ExitBeforeHandshake || why.Exit.Code != 3 {
		t.Errorf("why = %v", why)
	}
}

// TestDroppedImages drops images in the middle of starts: a start keeps the one that
// it has, the next one gets another, and nothing stays open.
func TestDroppedImages(t *testing.T) {
	t.Parallel()
	spec := shellScript(t, "exit 0")
	dir := t.TempDir()
	var s images
	get := func() (*image, func()) {
		t.Helper()
		img, giveBack, err := s.get(spec.ExecutablePath, spec.ExecutableDigest, dir)
		if err != nil {
			t.Fatal(err)
		}
		return img, giveBack
	}
	open := func(img *image) bool {
		_, err := img.file.Stat()
		return err == nil
	}
	s.drop(spec.ExecutableDigest) // of which there is none
	first, giveFirst := get()
	same, giveSame := get()
	if same != first {
		t.Error("two images of one digest")
	}
	s.drop(spec.ExecutableDigest)
	second, giveSecond := get()
	if second == first || !open(first) {
		t.Errorf("after the drop: the same image %v, the first open %v", second == first, open(first))
	}
	giveFirst()
	giveFirst() // counts once
	if !open(first) {
		t.Error("the image was closed under a start")
	}
	giveSame()
	if open(first) {
		t.Error("the dropped image stays open")
	}
	giveSecond()
	if !open(second) {
		t.Error("an image that was not dropped was closed")
	}
	s.drop(spec.ExecutableDigest)
	if open(second) || len(s.byDigest) != 0 {
		t.Errorf("open %v, kept %d", open(second), len(s.byDigest))
	}
	if _, _, err := s.get(filepath.Join(dir, "none"), spec.ExecutableDigest, dir); err == nil {
		t.Error("an image of no file")
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

// TestDropWhileOthersStart has starts and drops race: each start has an image that
// is open until it gives it back.
func TestDropWhileOthersStart(t *testing.T) {
	t.Parallel()
	spec := shellScript(t, "exit 0")
	dir := t.TempDir()
	var s images
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				img, giveBack, err := s.get(spec.ExecutablePath, spec.ExecutableDigest, dir)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := img.file.Stat(); err != nil {
					t.Errorf("the image of a start: %v", err)
				}
				giveBack()
			}
		})
	}
	all.Go(func() {
		for range 200 {
			s.drop(spec.ExecutableDigest)
		}
	})
	all.Wait()
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
