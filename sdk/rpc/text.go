package rpc

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/patchbay-crm/patchbay/sdk"
)

// maxTextBytes is the longest text for people that travels, in bytes.
const maxTextBytes = 1 << 10

// clip returns text as valid UTF-8 of at most most bytes, with U+FFFD in place
// of what is not UTF-8 and of control characters other than newline and tab.
func clip(text string, most int) string {
	if len(text) > most {
		text = text[:most]
		for cut := 0; cut < utf8.UTFMax && !endsWhole(text); cut++ {
			text = text[:len(text)-1]
		}
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return utf8.RuneError
		}
		return r // Map hands a byte that is no UTF-8 over as U+FFFD
	}, text)
	if len(text) <= most {
		return text
	}
	return clip(text, most-utf8.UTFMax) // replacements are longer than what they replace
}

// endsWhole reports whether text does not end in the middle of a character.
func endsWhole(text string) bool {
	r, size := utf8.DecodeLastRuneInString(text)
	return r != utf8.RuneError || size != 1
}

// minSecretBytes is the shortest part of a secret that is looked for on its own:
// anything shorter stands in ordinary text too.
const minSecretBytes = 4

// scrubber returns a function that takes a call's secret out of a text: the
// whole Authorization header, its credentials alone, what they decode to, and
// each as it stands in a URL. It costs nothing until it is called with a text,
// which few calls do.
func scrubber(secret sdk.Secret) func(string) string {
	return func(text string) string {
		if text == "" {
			return ""
		}
		forms := secretForms(secret.Reveal())
		pairs := make([]string, 0, 6*len(forms))
		for _, form := range forms {
			pairs = append(pairs, form, "[redacted]", url.QueryEscape(form), "[redacted]", url.PathEscape(form), "[redacted]")
		}
		return strings.NewReplacer(pairs...).Replace(text)
	}
}

// secretForms returns the texts in which a secret header may show, the longest
// first.
func secretForms(header string) []string {
	forms := []string{header}
	if _, credentials, found := strings.Cut(header, " "); found {
		credentials = strings.TrimSpace(credentials)
		forms = append(forms, credentials)
		if plain, err := base64.StdEncoding.DecodeString(credentials); err == nil {
			user, password, _ := strings.Cut(string(plain), ":")
			forms = append(forms, string(plain), password, user)
		}
	}
	return slices.DeleteFunc(forms, func(form string) bool {
		return form == "" || (form != header && len(form) < minSecretBytes)
	})
}
