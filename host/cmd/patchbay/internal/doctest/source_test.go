package doctest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// source is what the tree of Go files says.
type source struct {
	texts []string            // string literals outside of tests
	tests map[string][]string // functions of test files, with the files
}

var parsed struct {
	once sync.Once
	source
	err error
}

// sources reads every Go file once.
func sources(t *testing.T) source {
	t.Helper()
	parsed.once.Do(func() {
		parsed.tests = map[string][]string{}
		for _, name := range files(t, ".go") {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution)
			if err != nil {
				parsed.err = err
				return
			}
			test := strings.HasSuffix(name, "_test.go")
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.BasicLit:
					if text, err := strconv.Unquote(n.Value); !test && n.Kind == token.STRING && err == nil {
						parsed.texts = append(parsed.texts, text)
					}
				case *ast.FuncDecl:
					if test && n.Recv == nil {
						parsed.tests[n.Name.Name] = append(parsed.tests[n.Name.Name], name)
					}
				}
				return true
			})
		}
	})
	must(t, parsed.err)
	return parsed.source
}

// named returns what matches in the strings of the code, each once.
func (s source) named(pattern *regexp.Regexp) []string {
	var out []string
	for _, text := range s.texts {
		out = append(out, pattern.FindAllString(text, -1)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
