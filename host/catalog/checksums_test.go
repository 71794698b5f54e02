package catalog

import (
	"maps"
	"strings"
	"testing"
)

var someDigest = strings.Repeat("0a", 32)

func TestParseChecksums(t *testing.T) {
	t.Parallel()
	own := someDigest + "  manifest.json\n"
	files, err := parseChecksums([]byte(own + someDigest + "  a b/é.txt\n"))
	if want := map[string]string{"manifest.json": someDigest, "a b/é.txt": someDigest}; err != nil || !maps.Equal(files, want) {
		t.Errorf("got %v %v, want %v", files, err, want)
	}
	for name, text := range map[string]string{
		"empty": "", "blank line": own + "\n", "no manifest": someDigest + "  a\n", "not ended": strings.TrimSpace(own), "CRLF": own + someDigest + "  a\r\n",
		"twice": own + own, "one space": own + someDigest + " a\n", "binary mark": own + someDigest + " *a\n", "upper case": own + strings.ToUpper(someDigest) + "  a\n",
		"short digest": own + someDigest[2:] + "  a\n", "long digest": own + someDigest + "00  a\n", "no hex": own + strings.Repeat("zz", 32) + "  a\n",
		"absolute": own + someDigest + "  /a\n", "parent": own + someDigest + "  ../a\n", "inner parent": own + someDigest + "  a/../b\n", "dot": own + someDigest + "  .\n",
		"dot first": own + someDigest + "  ./a\n", "no path": own + someDigest + "  \n", "backslash": own + someDigest + "  a\\b\n", "NUL": own + someDigest + "  a\x00\n",
		"not UTF-8": own + someDigest + "  a\xff\n", "itself": own + someDigest + "  checksums.txt\n", "long": own + someDigest + "  " + strings.Repeat("a", 1025) + "\n",
		"deep": own + someDigest + "  " + strings.Repeat("a/", 33) + "a\n", "many": own + strings.Repeat(someDigest+"  a\n", maxFiles+1),
		"bidi": own + someDigest + "  a\u202eb\n",
	} {
		if files, err := parseChecksums([]byte(text)); err == nil {
			t.Errorf("%s: accepted %v", name, files)
		}
	}
}

func FuzzParseChecksums(f *testing.F) {
	f.Add([]byte(someDigest + "  manifest.json\n"))
	f.Add([]byte(someDigest + "  manifest.json\n" + someDigest + "  ../a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := parseChecksums(data)
		if err != nil {
			return
		}
		for path := range files {
			if !validPath(path) {
				t.Fatalf("accepted the path %q", path)
			}
		}
		again, err := parseChecksums(formatChecksums(files))
		if err != nil || !maps.Equal(again, files) {
			t.Fatalf("formatted and read again: %v %v", again, err)
		}
	})
}

func TestCheckHeader(t *testing.T) {
	t.Parallel()
	program := func(order, machine string) string {
		return "\x7fELF\x02" + order + strings.Repeat("\x00", 12) + machine
	}
	for name, c := range map[string]struct{ header, goos, goarch, cause string }{
		"amd64":        {elf, "linux", "amd64", ""},
		"arm64":        {program("\x01", "\xb7\x00"), "linux", "arm64", ""},
		"s390x":        {program("\x02", "\x00\x16"), "linux", "s390x", ""},
		"script":       {"#!/bin/sh\n", "linux", "arm64", ""},
		"mac arm64":    {"\xcf\xfa\xed\xfe\x0c\x00\x00\x01", "darwin", "arm64", ""},
		"mac fat":      {"\xca\xfe\xba\xbe\x00\x00\x00\x02", "darwin", "amd64", ""},
		"other":        {elf, "linux", "arm64", CauseWrongArchitecture},
		"unknown arch": {elf, "linux", "mips", CauseWrongArchitecture},
		"elf on mac":   {elf, "darwin", "amd64", CauseWrongArchitecture},
		"mac on linux": {"\xcf\xfa\xed\xfe\x07\x00\x00\x01", "linux", "amd64", CauseWrongArchitecture},
		"mac other":    {"\xcf\xfa\xed\xfe\x07\x00\x00\x01", "darwin", "arm64", CauseWrongArchitecture},
		"fat on linux": {"\xca\xfe\xba\xbe\x00\x00\x00\x02", "linux", "amd64", CauseWrongArchitecture},
		"windows":      {"MZ\x90\x00", "linux", "amd64", CauseWrongArchitecture},
		"cut elf":      {"\x7fELF\x02\x01", "linux", "amd64", CauseNotExecutable},
		"cut mac":      {"\xcf\xfa\xed\xfe", "darwin", "arm64", CauseNotExecutable},
		"empty":        {"", "linux", "amd64", CauseNotExecutable},
		"text":         {"hello", "linux", "amd64", CauseNotExecutable},
	} {
		err := checkHeader([]byte(c.header), c.goos, c.goarch)
		p, _ := asProblem(err)
		if (c.cause == "") != (err == nil) || (p != nil && (p.Cause != c.cause || p.Remedy == "")) {
			t.Errorf("%s: %v, want cause %q", name, err, c.cause)
		}
	}
}
