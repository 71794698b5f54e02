package doctest

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/patchbay-crm/patchbay/host/config"
)

// The tables of settings, in docs/CONFIGURATION.md and in the help of "patchbay
// serve", are made from what config.Settings says. These tests hold that against
// what config.Load does.

// loadWith returns the configuration with one setting, by file, variable and flag.
// For each way it says what was wrong.
func loadWith(t *testing.T, s config.Setting, value string) (loaded [3]*config.Config, errs [3]error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "patchbay.yaml")
	shown := fmt.Sprintf("%q", value)
	if strings.HasPrefix(s.Type, "list") {
		shown = "[" + shown + "]"
	}
	must(t, os.WriteFile(file, []byte(s.Key+": "+shown+"\n"), 0o600))
	loaded[0], _, errs[0] = config.Load(config.Sources{File: file})
	loaded[1], _, errs[1] = config.Load(config.Sources{Environ: []string{s.Env() + "=" + value}})
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.AddFlags(flags)
	if errs[2] = flags.Parse([]string{"--" + s.Flag() + "=" + value}); errs[2] == nil {
		loaded[2], _, errs[2] = config.Load(config.Sources{Flags: flags})
	}
	return loaded, errs
}

func TestDefaultsOfSettings(t *testing.T) {
	t.Parallel()
	plain, _, err := config.Load(config.Sources{})
	must(t, err)
	for _, s := range config.Settings() {
		if s.InAdapter() {
			continue
		}
		loaded, errs := loadWith(t, s, strings.ReplaceAll(s.Default, "<dataDir>", plain.DataDir))
		for n, way := range []string{"in the file", "as variable", "as flag"} {
			if errs[n] != nil || !reflect.DeepEqual(loaded[n], plain) {
				t.Errorf("%s: its default %s, %s, gives %+v, %v; without it %+v", s.Key, s.Default, way, loaded[n], errs[n], plain)
			}
		}
	}
}

var bounds = regexp.MustCompile(`Between (\d+)(\w+) and (\d+)(\w+)\.`)

// TestBoundsOfSettings tries every alternative that a type names, and the bounds
// that a description names: they are taken, and what lies beyond is not.
func TestBoundsOfSettings(t *testing.T) {
	t.Parallel()
	alternatives, limits := 0, 0
	for _, s := range config.Settings() {
		if s.InAdapter() {
			continue
		}
		var taken, not []string
		if strings.Contains(s.Type, "|") || s.Key == "database" {
			alternatives++
			taken, not = strings.Split(s.Type, "|"), []string{"else"}
		}
		if m := bounds.FindStringSubmatch(s.Description); m != nil {
			limits++
			low, err := strconv.Atoi(m[1])
			must(t, err)
			high, err := strconv.Atoi(m[3])
			must(t, err)
			taken = []string{m[1] + m[2], m[3] + m[4]}
			not = []string{strconv.Itoa(low-1) + m[2], strconv.Itoa(high+1) + m[4]}
		}
		for _, value := range taken {
			if _, errs := loadWith(t, s, value); errs != [3]error{} {
				t.Errorf("%s: %s is not taken: %v", s.Key, value, errs)
			}
		}
		for _, value := range not {
			if _, errs := loadWith(t, s, value); errs[0] == nil || errs[1] == nil || errs[2] == nil {
				t.Errorf("%s: %s is taken: %v", s.Key, value, errs)
			}
		}
	}
	if alternatives == 0 || limits == 0 {
		t.Errorf("%d settings with alternatives and %d with bounds: this test reads them wrongly", alternatives, limits)
	}
}

// valuesOfTypes has a value for each type of the settings below adapters.<name>.
var valuesOfTypes = map[string]string{
	"map of name to text": "{ACME_BASE_URL: x}", "list of addresses": "[10.0.0.0/8, crm.internal]",
	"integer": "32", "number": "1.5", "duration": "20s", "true|false": "true",
}

// TestSettingsOfAdapters loads a file with each setting below adapters.<name>.
func TestSettingsOfAdapters(t *testing.T) {
	t.Parallel()
	for _, s := range config.Settings() {
		if !s.InAdapter() {
			continue
		}
		text, indent := "", ""
		for part := range strings.SplitSeq(strings.ReplaceAll(s.Key, "<name>", "acme"), ".") {
			text += "\n" + indent + part + ":"
			indent += "  "
		}
		file := filepath.Join(t.TempDir(), "patchbay.yaml")
		must(t, os.WriteFile(file, []byte(text+" "+valuesOfTypes[s.Type]+"\n"), 0o600))
		c, _, err := config.Load(config.Sources{File: file})
		if err != nil || reflect.DeepEqual(c.Adapters["acme"], config.Adapter{}) || valuesOfTypes[s.Type] == "" {
			t.Errorf("%s, of type %s: %+v, %v", s.Key, s.Type, c, err)
		}
	}
}
