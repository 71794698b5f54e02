package catalog

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// headerBytes is how much of a file tells its format and machine.
const headerBytes = 20

// elfMachine is the e_machine of an ELF file, by GOARCH.
var elfMachine = map[string]uint16{
	"386": 3, "s390x": 22, "arm": 40, "amd64": 62, "arm64": 183, "riscv64": 243, "loong64": 258, "ppc64le": 21,
}

// machCPU is the cputype of a 64-bit Mach-O file, by GOARCH.
var machCPU = map[string]uint32{"amd64": 0x01000007, "arm64": 0x0100000c}

// checkHeader tells from the first bytes of an executable whether the platform can
// execute it. The error is a *Problem.
func checkHeader(header []byte, goos, goarch string) error {
	wrong := func(format string) error {
		return problem(CauseWrongArchitecture, fmt.Sprintf("install a package whose executable is built for %s/%s", goos, goarch),
			fmt.Sprintf("the executable for %s/%s is %s", goos, goarch, format))
	}
	text := string(header)
	switch {
	case strings.HasPrefix(text, "#!"):
		return nil
	case strings.HasPrefix(text, "\x7fELF") && len(header) >= headerBytes:
		if goos == "darwin" {
			return wrong("a Linux program")
		}
		var order binary.ByteOrder = binary.LittleEndian
		if header[5] == 2 {
			order = binary.BigEndian
		}
		if order.Uint16(header[18:]) != elfMachine[goarch] {
			return wrong("a program for another processor")
		}
		return nil
	case strings.HasPrefix(text, "\xcf\xfa\xed\xfe") && len(header) >= 8:
		if goos != "darwin" {
			return wrong("a macOS program")
		}
		if binary.LittleEndian.Uint32(header[4:]) != machCPU[goarch] {
			return wrong("a program for another processor")
		}
		return nil
	case strings.HasPrefix(text, "\xca\xfe\xba\xbe"): // a Mach-O file for several processors
		if goos != "darwin" {
			return wrong("a macOS program")
		}
		return nil
	case strings.HasPrefix(text, "MZ"):
		return wrong("a Windows program")
	default:
		return problem(CauseNotExecutable, remedyPack, "the executable is in no format that the system executes")
	}
}
