package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// document reads a YAML configuration file. It is a koanf parser that keeps every
// scalar as the text that stands in the file, so that a value means the same in
// the file, in a variable and in a flag (and 1.10 stays 1.10), and it remembers
// the line of each key.
type document struct {
	name     string
	lines    map[string]int
	adapters map[string]Adapter
	faults   Faults
}

var errWriteOnly = errors.New("configuration files are read, never written")

// Marshal is of no use here.
func (*document) Marshal(map[string]any) ([]byte, error) { return nil, errWriteOnly }

// Unmarshal returns the top-level settings of the file but adapters, which it
// reads into d itself. What is wrong with the file goes to d.faults.
func (d *document) Unmarshal(data []byte) (map[string]any, error) {
	d.lines = map[string]int{}
	out := map[string]any{}
	root, err := d.only(data)
	if err != nil {
		d.faults.add(d.name, "", "is not well-formed YAML: %s", err)
		return out, nil
	}
	if len(root.Content) == 0 {
		return out, nil // empty file
	}
	known := []string{"adapters"}
	byKey := map[string]Setting{}
	for _, s := range hostSettings() {
		known = append(known, s.Key)
		byKey[s.Key] = s
	}
	for key, value := range d.members(root.Content[0], "", known) {
		if key == "adapters" {
			d.readAdapters(value)
			continue
		}
		if values, ok := d.values(value, key, byKey[key].list); ok {
			d.lines[key] = value.Line
			out[key] = values
		}
	}
	return out, nil
}

// only returns the one document of the file. A second one would be left out of
// account, so it is a fault.
func (d *document) only(data []byte) (*yaml.Node, error) {
	var root, more yaml.Node
	documents := yaml.NewDecoder(bytes.NewReader(data))
	if err := documents.Decode(&root); errors.Is(err, io.EOF) {
		return &root, nil
	} else if err != nil {
		return nil, err
	}
	err := documents.Decode(&more)
	if errors.Is(err, io.EOF) {
		return &root, nil
	}
	if err == nil {
		d.faults.add(d.at(&more), "", "a second document begins here; a configuration file holds one")
	}
	return &root, err
}

// at names the place of a node.
func (d *document) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d", d.name, n.Line) }

// members yields the members of a mapping whose keys are known; known is nil when
// every key is. All else is noted as a fault. A value of null counts as absent.
func (d *document) members(n *yaml.Node, parent string, known []string) func(func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		if isNull(n) {
			return
		}
		if n.Kind != yaml.MappingNode {
			d.faults.add(d.at(n), parent, "must be a mapping of keys to values")
			return
		}
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			full := join(parent, strictjson.ShowName(key.Value))
			switch {
			case key.Kind != yaml.ScalarNode:
				d.faults.add(d.at(key), parent, "a key must be plain text")
			case seen[key.Value]:
				d.faults.add(d.at(key), full, "stands twice")
			case known != nil && !slices.Contains(known, key.Value):
				d.faults.add(d.at(key), full, "unknown key%s", strictjson.DidYouMean(key.Value, known))
			case value.Kind == yaml.AliasNode:
				d.faults.add(d.at(value), full, "aliases are not supported; write the value out")
			case isNull(value):
			case !yield(key.Value, value):
				return
			}
			seen[key.Value] = true
		}
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func join(parent, key string) string {
	if parent == "" {
		return key
	}
	return parent + "." + key
}

// values returns the texts of a scalar, or of a list where one is allowed.
func (d *document) values(n *yaml.Node, key string, list bool) ([]string, bool) {
	if n.Kind == yaml.ScalarNode {
		return []string{n.Value}, true
	}
	if n.Kind != yaml.SequenceNode || !list {
		want := "one value"
		if list {
			want = "a list of values"
		}
		d.faults.add(d.at(n), key, "must be %s", want)
		return nil, false
	}
	out := []string{}
	for i, item := range n.Content {
		if item.Kind != yaml.ScalarNode || isNull(item) {
			d.faults.add(d.at(item), fmt.Sprintf("%s[%d]", key, i), "must be one value")
			return nil, false
		}
		out = append(out, item.Value)
	}
	return out, true
}

var (
	adapterName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	envName     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

func (d *document) readAdapters(n *yaml.Node) {
	d.adapters = map[string]Adapter{}
	for name, value := range d.members(n, "adapters", nil) {
		if !adapterName.MatchString(name) {
			d.faults.add(d.at(value), join("adapters", strictjson.ShowName(name)),
				"is no adapter name: a lower-case letter, then up to 39 of a-z, 0-9 and -")
			continue
		}
		d.adapters[name] = d.readAdapter(value, join("adapters", name))
	}
}

func (d *document) readAdapter(n *yaml.Node, parent string) Adapter {
	a := Adapter{Env: Env{}}
	byKey := map[string]Setting{}
	top, groups := []string{}, map[string][]string{}
	for _, s := range adapterSettings() {
		key := strings.TrimPrefix(s.Key, "adapters.<name>.")
		byKey[key] = s
		group, member, inGroup := strings.Cut(key, ".")
		if !slices.Contains(top, group) {
			top = append(top, group)
		}
		if inGroup {
			groups[group] = append(groups[group], member)
		}
	}
	for key, value := range d.members(n, parent, top) {
		if group, ok := groups[key]; ok {
			for member, v := range d.members(value, join(parent, key), group) {
				d.setAdapter(&a, byKey[join(key, member)], v, join(join(parent, key), member))
			}
			continue
		}
		d.setAdapter(&a, byKey[key], value, join(parent, key))
	}
	return a
}

func (d *document) setAdapter(a *Adapter, s Setting, n *yaml.Node, key string) {
	if s.env != nil {
		d.readEnv(a, s, n, key)
		return
	}
	values, ok := d.values(n, key, s.list)
	if !ok {
		return
	}
	if err := s.own(a, values); err != nil {
		d.faults.add(d.at(n), key, "%s", err)
	}
}

func (d *document) readEnv(a *Adapter, s Setting, n *yaml.Node, parent string) {
	for name, value := range d.members(n, parent, nil) {
		key := join(parent, strictjson.ShowName(name))
		switch {
		case !envName.MatchString(name):
			d.faults.add(d.at(value), key, "is no name of an environment variable")
		case value.Kind != yaml.ScalarNode:
			d.faults.add(d.at(value), key, "must be one value")
		case strings.ContainsRune(value.Value, 0):
			d.faults.add(d.at(value), key, "must not contain a zero byte")
		default:
			s.env(a, name, value.Value)
		}
	}
}
