package doctest

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// source is what the tree of Go files says. Of test files it holds the tests
// alone, and the names of packages.
type source struct {
	texts    []string                   // string literals
	words    map[string]bool            // the same, and the names in struct tags
	imported map[string]bool            // paths of imported packages
	imports  map[string]map[string]bool // the same by directory, without those of tests
	declared map[string]map[string]bool // by directory: what it declares, methods and fields too
	selected map[string]bool            // names behind a dot, tests included: "Setenv" and "t.Setenv"
	values   map[string]string          // "directory name" of constants: the expression behind the name
	tests    map[string][]string        // functions of test files, with the files
	flags    map[string][]string        // flags of test files, with their directories
}

var parsed struct {
	once sync.Once
	source
	err error
}

// sources reads every Go file once.
func sources(t *testing.T) *source {
	t.Helper()
	parsed.once.Do(func() {
		parsed.source = source{
			words: map[string]bool{}, imported: map[string]bool{}, imports: map[string]map[string]bool{},
			declared: map[string]map[string]bool{}, selected: map[string]bool{}, values: map[string]string{}, tests: map[string][]string{}, flags: map[string][]string{},
		}
		for _, name := range files(t, ".go") {
			text := read(t, name)
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, filepath.Join(root, name), text, parser.SkipObjectResolution)
			if err != nil {
				parsed.err = err
				return
			}
			of := func(n ast.Node) string { return text[set.Position(n.Pos()).Offset:set.Position(n.End()).Offset] }
			parsed.add(name, file, of)
		}
	})
	must(t, parsed.err)
	return &parsed.source
}

// add takes in one file. of returns the text of a node.
func (s *source) add(name string, file *ast.File, of func(ast.Node) string) {
	dir := path.Dir(name)
	if s.declared[dir] == nil {
		s.declared[dir], s.imports[dir] = map[string]bool{}, map[string]bool{}
	}
	test := strings.HasSuffix(name, "_test.go")
	for _, i := range file.Imports {
		imported := strings.Trim(i.Path.Value, `"`)
		s.imported[imported] = true
		if !test {
			s.imports[dir][imported] = true
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			s.selected[selector.Sel.Name] = true
			if of, ok := selector.X.(*ast.Ident); ok {
				s.selected[of.Name+"."+selector.Sel.Name] = true
			}
		}
		return true
	})
	if test {
		s.addTests(name, file)
		return
	}
	for _, decl := range file.Decls {
		s.addDeclared(dir, decl, of)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil {
				s.texts = append(s.texts, text)
				s.words[text] = true
			}
		case *ast.StructType:
			for _, field := range n.Fields.List {
				if field.Tag == nil {
					continue
				}
				tag := reflect.StructTag(strings.Trim(field.Tag.Value, "`"))
				for _, key := range []string{"json", "header", "query", "path"} {
					name, _, _ := strings.Cut(tag.Get(key), ",")
					s.words[name] = true
				}
				for part := range strings.SplitSeq(tag.Get("protobuf"), ",") {
					if _, name, ok := strings.Cut(part, "="); ok {
						s.words[name] = true
					}
				}
			}
		}
		return true
	})
}

// addDeclared takes in what a declaration names: functions, types with their
// fields and methods, constants and variables.
func (s *source) addDeclared(dir string, decl ast.Decl, of func(ast.Node) string) {
	names := s.declared[dir]
	if f, ok := decl.(*ast.FuncDecl); ok {
		names[f.Name.Name] = true
		return
	}
	for _, spec := range decl.(*ast.GenDecl).Specs {
		switch spec := spec.(type) {
		case *ast.ValueSpec:
			for at, name := range spec.Names {
				names[name.Name] = true
				if at < len(spec.Values) {
					s.values[dir+" "+name.Name] = of(spec.Values[at])
				}
			}
		case *ast.TypeSpec:
			names[spec.Name.Name] = true
			var members *ast.FieldList
			switch kind := spec.Type.(type) {
			case *ast.StructType:
				members = kind.Fields
			case *ast.InterfaceType:
				members = kind.Methods
			default:
				continue
			}
			for _, member := range members.List {
				for _, name := range member.Names {
					names[name.Name] = true
				}
			}
		}
	}
}

// addTests takes in one file of tests.
func (s *source) addTests(fileName string, file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil {
				s.tests[n.Name.Name] = append(s.tests[n.Name.Name], fileName)
			}
		case *ast.CallExpr:
			// flag.Bool("update", false, "...") and its like
			f, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || len(n.Args) != 3 {
				return true
			}
			pkg, _ := f.X.(*ast.Ident)
			flag, _ := n.Args[0].(*ast.BasicLit)
			if pkg != nil && pkg.Name == "flag" && flag != nil {
				name := "-" + strings.Trim(flag.Value, `"`)
				s.flags[name] = append(s.flags[name], path.Dir(fileName))
			}
		}
		return true
	})
}

// named returns what matches in the strings of the code, each once.
func (s *source) named(pattern *regexp.Regexp) []string {
	var out []string
	for _, text := range s.texts {
		out = append(out, pattern.FindAllString(text, -1)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// packages returns the directories whose packages have that name, by which a
// document may call them: the last part of the path, or more of it.
func (s *source) packages(name string) []string {
	var out []string
	for dir := range s.declared {
		if dir == name || strings.HasSuffix(dir, "/"+name) {
			out = append(out, dir)
		}
	}
	return out
}

// importsNamed reports whether a package is imported whose path ends so.
func (s *source) importsNamed(name string) bool {
	for imported := range s.imported {
		if path.Base(imported) == name {
			return true
		}
	}
	return false
}

// standardHas reports whether a package of the standard library that is imported
// under that name has such a function, type or value.
func (s *source) standardHas(pkg, name string) bool {
	for imported := range s.imported {
		if path.Base(imported) == pkg && !strings.Contains(imported, ".") {
			found, err := importer.Default().Import(imported)
			return err == nil && found.Scope().Lookup(name) != nil
		}
	}
	return false
}

// declares reports whether a package of that name declares such a thing; any
// package will do for "".
func (s *source) declares(pkg, name string) bool {
	if pkg != "" {
		return slices.ContainsFunc(s.packages(pkg), func(dir string) bool { return s.declared[dir][name] })
	}
	for _, names := range s.declared {
		if names[name] {
			return true
		}
	}
	return false
}

// constant returns the expression of a constant or variable, as it stands in the
// code.
func (s *source) constant(t *testing.T, dir, name string) string {
	t.Helper()
	value, ok := s.values[dir+" "+name]
	if !ok {
		t.Fatalf("%s has no constant %s", dir, name)
	}
	return value
}

// testedIn returns the directories in which a test of that name stands.
func (s *source) testedIn(name string) []string {
	var out []string
	for _, file := range s.tests[name] {
		out = append(out, path.Dir(file))
	}
	return out
}
