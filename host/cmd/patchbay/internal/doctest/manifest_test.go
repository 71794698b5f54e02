package doctest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// schema is the part of a JSON Schema that the table of manifest members shows.
type schema struct {
	Description string          `json:"description"`
	Ref         string          `json:"$ref"`
	Type        string          `json:"type"`
	Const       json.RawMessage `json:"const"`
	Enum        []string        `json:"enum"`
	Default     json.RawMessage `json:"default"`
	Required    []string        `json:"required"`
	Properties  members         `json:"properties"`
	Items       *schema         `json:"items"`
	AnyOf       []schema        `json:"anyOf"`
	Defs        definitions     `json:"$defs"`
}

// definitions are the parts of a schema that others refer to.
type definitions map[string]schema

// members are the properties of an object, in the order of the file.
type members []member

type member struct {
	name string
	schema
}

// UnmarshalJSON keeps the order.
func (m *members) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil { // {
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		next := member{name: name.(string)}
		if err := dec.Decode(&next.schema); err != nil {
			return err
		}
		*m = append(*m, next)
	}
	return nil
}

// walkManifest calls see for every member of a manifest, in the order of
// manifests/manifest.schema.json. Keys have dots, and [] behind lists.
func walkManifest(t *testing.T, see func(key string, s schema, required bool)) {
	t.Helper()
	var top schema
	must(t, json.Unmarshal([]byte(read(t, "manifests/manifest.schema.json")), &top))
	top.Defs.walk(top, "", see)
}

// of returns s with what it refers to filled in.
func (d definitions) of(s schema) schema {
	name, ok := strings.CutPrefix(s.Ref, "#/$defs/")
	if !ok {
		return s
	}
	out := d[name]
	if s.Description != "" {
		out.Description = s.Description
	}
	if s.Default != nil {
		out.Default = s.Default
	}
	if name == "duration" {
		out.Type = "duration"
	}
	return out
}

// walk calls see for every member at and below s, those of list items too.
func (d definitions) walk(s schema, at string, see func(key string, s schema, required bool)) {
	for _, m := range s.Properties {
		key := strings.TrimPrefix(at+"."+m.name, ".")
		inside := d.of(m.schema)
		see(key, inside, slices.Contains(s.Required, m.name))
		d.walk(inside, key, see)
		if inside.Items == nil {
			continue
		}
		for _, item := range append([]schema{*inside.Items}, inside.Items.AnyOf...) {
			// Sections and groups hold settings again.
			if item.Ref == "#/$defs/field" || item.Ref == "#/$defs/setting" {
				d.walk(d.of(item), key+"[]", see)
			}
		}
	}
}

// manifestRows makes the table of docs/ADAPTERS.md. An object whose members have
// rows has none itself.
func manifestRows(t *testing.T) [][]string {
	t.Helper()
	rows := [][]string{{"member", "value", "default", "meaning"}}
	walkManifest(t, func(key string, s schema, required bool) {
		if len(s.Properties) > 0 {
			return
		}
		rows = append(rows, []string{code(key), s.value(), s.standard(required), cell(s.Description)})
	})
	return rows
}

// value says what a value looks like.
func (s schema) value() string {
	switch {
	case s.Const != nil:
		return code(string(s.Const))
	case s.Enum != nil:
		return "`" + strings.Join(s.Enum, "` `") + "`"
	}
	names := map[string]string{"string": "text", "array": "list", "": "any"}
	if name, ok := names[s.Type]; ok {
		return name
	}
	return s.Type
}

// standard says what holds when the member is absent.
func (s schema) standard(required bool) string {
	switch {
	case required:
		return "required"
	case s.Default == nil:
		return "none"
	}
	return strings.Trim(string(s.Default), `"`)
}
