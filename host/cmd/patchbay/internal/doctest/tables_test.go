package doctest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/host/httpapi"
	"github.com/patchbay-crm/patchbay/host/supervisor"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestTables(t *testing.T) {
	for name, tc := range map[string]struct {
		document string
		rows     func(t *testing.T) [][]string
	}{
		"problems":    {"docs/ERRORS.md", problemRows},
		"crm answers": {"docs/ERRORS.md", answerRows},
		"causes":      {"docs/ERRORS.md", causeRows},
		"settings":    {"docs/CONFIGURATION.md", settingRows},
		"manifest":    {guide, manifestRows},
	} {
		t.Run(name, func(t *testing.T) { wantTable(t, tc.document, name, tc.rows(t)) })
	}
}

// wantTable holds a table against its rows, the first cell of which names them.
func wantTable(t *testing.T, name, marker string, want [][]string) {
	t.Helper()
	d := open(t, name)
	got := d.table(t, marker)
	faults := compare(got.rows, want)
	if len(faults) > 0 && *update {
		d.replace(t, got.from, got.to, render(want))
		return
	}
	for _, f := range faults {
		t.Errorf("%s, table %s: %s", name, marker, f)
	}
}

// compare says in what a table differs from what it should be.
func compare(got, want [][]string) []string {
	var faults []string
	notef := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	byName := map[string][]string{}
	var gotNames, wantNames []string
	for _, row := range got {
		if byName[row[0]] != nil {
			notef("%s stands twice", row[0])
		}
		byName[row[0]] = row
		gotNames = append(gotNames, row[0])
	}
	for _, row := range want {
		wantNames = append(wantNames, row[0])
		switch is := byName[row[0]]; {
		case is == nil:
			notef("%s is missing", row[0])
		case !slices.Equal(is, row):
			notef("%s is\n\t%q\nbut the code says\n\t%q", row[0], is, row)
		}
	}
	for _, name := range gotNames {
		if !slices.Contains(wantNames, name) {
			notef("%s is not in the code", name)
		}
	}
	if len(faults) == 0 && !slices.Equal(gotNames, wantNames) {
		notef("the rows are in another order than in the code: %q", wantNames)
	}
	return faults
}

func TestCompareFindsEveryDifference(t *testing.T) {
	t.Parallel()
	want := [][]string{{"code", "status"}, {"a", "400"}, {"b", "500"}}
	for name, tc := range map[string]struct {
		got  [][]string
		says string
	}{
		"missing": {[][]string{want[0], want[1]}, "b is missing"},
		"extra":   {[][]string{want[0], want[1], want[2], {"c", "1"}}, "c is not in the code"},
		"twice":   {[][]string{want[0], want[1], want[1], want[2]}, "a stands twice"},
		"status":  {[][]string{want[0], {"a", "404"}, want[2]}, `a is`},
		"heading": {[][]string{{"code", "class"}, want[1], want[2]}, `code is`},
		"order":   {[][]string{want[0], want[2], want[1]}, "order"},
		"empty":   {nil, "a is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := strings.Join(compare(tc.got, want), "\n"); !strings.Contains(got, tc.says) {
				t.Errorf("got %q, want %q in it", got, tc.says)
			}
		})
	}
	if got := compare(want, want); got != nil {
		t.Errorf("equal tables differ: %q", got)
	}
}

func problemRows(*testing.T) [][]string {
	rows := [][]string{{"code", "status", "class", "source", "raised when", "what to do"}}
	for _, p := range httpapi.ProblemDocs() {
		class := p.Class
		if fault.Code(p.Code).FromAdapter() {
			class += "*"
		}
		rows = append(rows, []string{code(p.Code), strconv.Itoa(p.Status), class, p.Source, cell(p.Meaning), cell(p.Remedy)})
	}
	return rows
}

func causeRows(*testing.T) [][]string {
	rows := [][]string{{"cause", "another start may mend it", "what to do"}}
	for _, c := range supervisor.Causes() {
		again := "yes"
		if c.Permanent() {
			again = "no: quarantined at once"
		}
		rows = append(rows, []string{code(string(c)), again, cell(c.Remedy())})
	}
	return rows
}

func settingRows(*testing.T) [][]string {
	rows := [][]string{{"key", "type", "default", "flag", "variable", "meaning"}}
	for _, s := range config.Settings() {
		flag, variable := "-", "-"
		if !s.InAdapter() {
			flag, variable = code("--"+s.Flag()), code(s.Env())
		}
		rows = append(rows, []string{code(s.Key), cell(s.Type), cell(s.Default), flag, variable, cell(s.Description)})
	}
	return rows
}
