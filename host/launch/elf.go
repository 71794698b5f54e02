package launch

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/patchbay-crm/patchbay/host/supervisor"
)

// headBytes of an executable are enough to see what it is.
const headBytes = 4096

// machines are the processors that Go names, as ELF does.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "riscv64": elf.EM_RISCV,
	"ppc64le": elf.EM_PPC64, "loong64": elf.EM_LOONGARCH,
}

// foreign are the first bytes of programs for other systems.
var foreign = map[string]string{
	"\xcf\xfa\xed\xfe": "macOS", "\xce\xfa\xed\xfe": "macOS", "\xca\xfe\xba\xbe": "macOS", "MZ": "Windows",
}

// inspect says why this machine cannot run the executable, nil when it seems to
// be able to. It looks only at what decides, because the file is not trusted to
// be well-formed; what it does not know is left to the kernel.
func inspect(head []byte, r io.ReaderAt) *supervisor.StartError {
	if line, ok := bytes.CutPrefix(head, []byte("#!")); ok {
		return inspectScript(line)
	}
	if runtime.GOOS != "linux" {
		return nil
	}
	for magic, system := range foreign {
		if bytes.HasPrefix(head, []byte(magic)) {
			return &supervisor.StartError{Cause: supervisor.WrongArchitecture, Detail: "the file is a program for " + system}
		}
	}
	if !bytes.HasPrefix(head, []byte(elf.ELFMAG)) || len(head) < 64 {
		return &supervisor.StartError{Cause: supervisor.NotExecutable, Detail: "the file is neither a program nor a script"}
	}
	want, known := machines[runtime.GOARCH]
	if !known {
		return nil
	}
	if class := elf.Class(head[elf.EI_CLASS]); class != elf.ELFCLASS64 || elf.Data(head[elf.EI_DATA]) != elf.ELFDATA2LSB {
		return &supervisor.StartError{Cause: supervisor.WrongArchitecture, Detail: "the program is not for 64-bit little-endian processors"}
	}
	if got := elf.Machine(binary.LittleEndian.Uint16(head[18:])); got != want {
		return &supervisor.StartError{
			Cause:  supervisor.WrongArchitecture,
			Detail: fmt.Sprintf("the program is for %s, this machine is %s", got, want),
		}
	}
	return inspectInterpreter(head, r)
}

// inspectInterpreter looks for the dynamic linker that a 64-bit ELF program
// names.
func inspectInterpreter(head []byte, r io.ReaderAt) *supervisor.StartError {
	const entry = 56 // size of a program header
	offset := binary.LittleEndian.Uint64(head[32:])
	size, count := binary.LittleEndian.Uint16(head[54:]), binary.LittleEndian.Uint16(head[56:])
	if size != entry || count > 256 || offset > maxExecutableBytes {
		return nil
	}
	table := make([]byte, entry*int(count))
	if n, _ := r.ReadAt(table, int64(offset)); n < len(table) {
		return nil // cut off: the kernel will say so
	}
	for ; len(table) >= entry; table = table[entry:] {
		if elf.ProgType(binary.LittleEndian.Uint32(table)) != elf.PT_INTERP {
			continue
		}
		at, length := binary.LittleEndian.Uint64(table[8:]), binary.LittleEndian.Uint64(table[32:])
		if at > maxExecutableBytes || length > headBytes {
			return nil
		}
		path := make([]byte, length)
		if n, _ := r.ReadAt(path, int64(at)); n < len(path) {
			return nil
		}
		return missingFile("the dynamic linker", string(bytes.TrimRight(path, "\x00")))
	}
	return nil
}

// inspectScript looks for the interpreter that a script names.
func inspectScript(line []byte) *supervisor.StartError {
	line, _, _ = bytes.Cut(line, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) == 0 {
		return &supervisor.StartError{Cause: supervisor.NotExecutable, Detail: "the script names no interpreter"}
	}
	return missingFile("the interpreter", fields[0])
}

func missingFile(what, path string) *supervisor.StartError {
	if _, err := os.Stat(path); err != nil {
		return &supervisor.StartError{Cause: supervisor.MissingLibrary, Detail: what + " " + clean([]byte(path), 200) + " is missing"}
	}
	return nil
}
