package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// maxFile is the largest configuration file in bytes.
const maxFile = 1 << 20

// otherVariables are PATCHBAY_ variables that are not settings of the host: the
// command line's own.
var otherVariables = []string{"PATCHBAY_CONFIG", "PATCHBAY_SERVER", "PATCHBAY_TOKEN", "PATCHBAY_AUTH_HEADER", "PATCHBAY_TENANT"}

// Sources are what a configuration is made of. The zero value gives the defaults.
type Sources struct {
	// File is the path of a YAML file; empty for none.
	File string
	// Environ are the process's variables as os.Environ returns them.
	Environ []string
	// Flags are the parsed flags; only settings whose flag was given count. May be
	// nil.
	Flags *pflag.FlagSet
	// Executable is the path of the running binary, beside which adapters are
	// looked for; empty when not known.
	Executable string
}

// Load returns the configuration. An error whose chain holds Faults says
// everything that is wrong at once; any other is of a file that cannot be read.
// Warnings name variables that look like misspelt settings.
func Load(src Sources) (c *Config, warnings []string, err error) {
	l := loader{src: src, values: koanf.New("."), origin: map[string]string{}}
	if err := l.layers(); err != nil {
		return nil, nil, err
	}
	c = &Config{Adapters: l.doc.adapters}
	if c.Adapters == nil {
		c.Adapters = map[string]Adapter{}
	}
	for _, s := range hostSettings() {
		if err := s.set(c, l.values.Strings(s.Key)); err != nil {
			l.doc.faults.add(l.origin[s.Key], s.Key, "%s", err)
		}
	}
	if err := l.doc.faults.err(); err != nil {
		return nil, nil, err
	}
	l.derive(c)
	return c, l.warnings(), nil
}

// loader merges the layers. Every value is a list of texts; origin says where the
// value that won stands.
type loader struct {
	src    Sources
	values *koanf.Koanf
	origin map[string]string
	doc    document
}

func (l *loader) layers() error {
	defaults := map[string]any{}
	for _, s := range hostSettings() {
		defaults[s.Key] = []string{s.Default}
	}
	if err := l.values.Load(confmap.Provider(defaults, "."), nil); err != nil {
		return fmt.Errorf("load the defaults: %w", err)
	}
	if err := l.file(); err != nil {
		return err
	}
	return errors.Join(l.environment(), l.flags())
}

func (l *loader) file() error {
	if l.src.File == "" {
		return nil
	}
	info, err := os.Stat(l.src.File)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	if info.Size() > maxFile {
		return fmt.Errorf("read the configuration: %s is larger than %d bytes", l.src.File, maxFile)
	}
	l.doc.name = l.src.File
	if err := l.values.Load(file.Provider(l.src.File), &l.doc); err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	for key, line := range l.doc.lines {
		l.origin[key] = fmt.Sprintf("%s:%d", l.src.File, line)
	}
	return nil
}

func (l *loader) environment() error {
	byEnv := map[string]Setting{}
	for _, s := range hostSettings() {
		byEnv[s.Env()] = s
	}
	return l.values.Load(env.Provider(".", env.Opt{
		Prefix:      EnvPrefix,
		EnvironFunc: func() []string { return l.src.Environ },
		TransformFunc: func(name, text string) (string, any) {
			s, ok := byEnv[name]
			if !ok || text == "" {
				return "", nil
			}
			l.origin[s.Key] = name
			return s.Key, split(s, text)
		},
	}), nil)
}

func (l *loader) flags() error {
	if l.src.Flags == nil {
		return nil
	}
	byFlag := map[string]Setting{}
	for _, s := range hostSettings() {
		byFlag[s.Flag()] = s
	}
	return l.values.Load(posflag.ProviderWithFlag(l.src.Flags, ".", nil, func(f *pflag.Flag) (string, any) {
		s, ok := byFlag[f.Name]
		if !ok || !f.Changed {
			return "", nil
		}
		l.origin[s.Key] = "--" + f.Name
		return s.Key, split(s, f.Value.String())
	}), nil)
}

// split separates the items of a list that is given as one text.
func split(s Setting, text string) []string {
	if !s.list {
		return []string{text}
	}
	items := strings.Split(text, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

// derive fills in the defaults that depend on other things.
func (l *loader) derive(c *Config) {
	if l.origin["keyFile"] == "" {
		c.KeyFile = filepath.Join(c.DataDir, keyFileName)
	}
	if l.origin["adminTokenFile"] == "" {
		c.AdminTokenFile = filepath.Join(c.DataDir, adminTokenFileName)
	}
	if l.origin["adaptersDirs"] == "" && l.src.Executable != "" && !isDir(c.AdaptersDirs[0]) {
		beside := filepath.Join(filepath.Dir(filepath.Dir(l.src.Executable)), "adapters")
		if isDir(beside) {
			c.AdaptersDirs = []string{beside}
		}
	}
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// warnings names variables that were probably meant as settings. Others that
// begin alike are no fault: Kubernetes sets some for a service of that name.
func (l *loader) warnings() []string {
	known := slices.Clone(otherVariables)
	for _, s := range hostSettings() {
		known = append(known, s.Env())
	}
	var out []string
	for _, pair := range l.src.Environ {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, EnvPrefix) || slices.Contains(known, name) {
			continue
		}
		if hint := strictjson.DidYouMean(strings.TrimPrefix(name, EnvPrefix), trimmed(known)); hint != "" {
			out = append(out, fmt.Sprintf("%s is no setting%s", strictjson.ShowName(name), hint))
		}
	}
	slices.Sort(out)
	return out
}

func trimmed(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.TrimPrefix(n, EnvPrefix)
	}
	return out
}

// AddFlags adds a flag for every setting that has one.
func AddFlags(flags *pflag.FlagSet) {
	for _, s := range hostSettings() {
		flags.String(s.Flag(), "", fmt.Sprintf("%s (%s, default %s)", s.Description, s.Type, s.Default))
	}
}
