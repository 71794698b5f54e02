package render

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bidirectional controls that this package uses.
const (
	firstStrongIsolate    = '\u2068'
	popDirectionalIsolate = '\u2069'
)

// clean returns text as it may be shown: valid UTF-8, line breaks as \n, every
// other control character and noncharacter as U+FFFD, no blank lines around it.
func clean(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r' || r == '\v' || r == '\f' || r == 0x85 || r == 0x2028 || r == 0x2029:
			return '\n'
		case unicode.IsControl(r), r >= 0xFDD0 && r <= 0xFDEF, r&0xFFFE == 0xFFFE:
			return '\uFFFD'
		}
		return r
	}, text)
	return strings.TrimRight(strings.TrimLeft(text, "\n"), "\n\t ")
}

// oneLine returns text, cleaned, on one line of at most that many characters and
// the sign of a cut. Directional controls are left out: they have no place in a
// name or number.
func oneLine(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if isDirectional(r) {
			return -1
		}
		return r
	}, clean(text))
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	end := 0
	for _, b := range boundaries(text) {
		if utf8.RuneCountInString(text[:b]) >= most {
			break
		}
		end = b
	}
	return text[:end] + "…"
}

// maxCluster bounds the characters that are kept together, so that a letter
// under ten thousand accents can be cut.
const maxCluster = 32

// boundaries returns the byte offsets at which text may be cut, in rising order,
// from 0 to its length: never inside a character, between a letter and its
// accents, inside an emoji sequence or inside a flag.
func boundaries(text string) []int {
	out := []int{0}
	var before rune
	flags, size := 0, 0 // regional indicators just before, characters since the last boundary
	for i, r := range text {
		if i > 0 && (size >= maxCluster || breaks(before, r, flags)) {
			out = append(out, i)
			size = 0
		}
		if isFlag(r) {
			flags++
		} else {
			flags = 0
		}
		before = r
		size++
	}
	if len(text) > 0 {
		out = append(out, len(text))
	}
	return out
}

const zeroWidthJoiner = '\u200D'

// breaks reports whether text may be cut between two characters; flags is the
// number of regional indicators that end with before.
func breaks(before, after rune, flags int) bool {
	switch {
	case before == zeroWidthJoiner, after == zeroWidthJoiner,
		unicode.Is(unicode.M, after),         // accents, variation selectors, vowel signs
		after >= 0x1F3FB && after <= 0x1F3FF, // skin tones
		after >= 0xE0020 && after <= 0xE007F, // tags, as in flags of regions
		after >= 0x1160 && after <= 0x11FF,   // Hangul vowels and finals
		isFlag(after) && flags%2 == 1:        // the second half of a flag
		return false
	}
	return true
}

func isFlag(r rune) bool { return r >= 0x1F1E6 && r <= 0x1F1FF }

// reorders reports whether text holds anything that runs from right to left or
// changes the direction of what stands around it.
func reorders(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool {
		return r >= 0x0590 && r <= 0x08FF || r >= 0xFB1D && r <= 0xFDFF || r >= 0xFE70 && r <= 0xFEFC ||
			r >= 0x10800 && r <= 0x10FFF || r >= 0x1E800 && r <= 0x1EFFF ||
			r == 0x200E || r == 0x200F || isDirectional(r)
	}) >= 0
}

// isDirectional reports whether r is an embedding, override or isolate, or ends
// one.
func isDirectional(r rune) bool { return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 }

// balance returns one line in which every directional isolate is closed and none
// is closed that was not opened, so that the line cannot end an isolate put
// around it.
func balance(line string) string {
	open := 0
	line = strings.Map(func(r rune) rune {
		switch {
		case r >= 0x2066 && r <= 0x2068:
			open++
		case r == popDirectionalIsolate && open == 0:
			return -1
		case r == popDirectionalIsolate:
			open--
		}
		return r
	}, line)
	return line + strings.Repeat(string(popDirectionalIsolate), open)
}

// isolate puts a directional isolate around one line when it needs one.
func isolate(line string) string {
	if !reorders(line) {
		return line
	}
	return string(firstStrongIsolate) + balance(line) + string(popDirectionalIsolate)
}
