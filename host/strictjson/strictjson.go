// Package strictjson reads JSON that strangers wrote: request bodies, manifests,
// settings. It accepts what RFC 8259 calls well-formed and interoperable, and
// nothing else: no duplicate member names, no invalid UTF-8, nothing after the
// value, no nesting beyond MaxDepth.
//
// Parse gives a tree of nodes that keep their bytes, so a number never passes
// through a float and a part can be handed on untouched. Readers of the tree
// match names by exact case and collect every fault with its JSON Pointer
// (RFC 6901). No message of this package repeats a value of the input; names are
// shown cut to 64 printable characters.
package strictjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is the deepest nesting that Parse accepts.
const MaxDepth = 64

// Kind is the kind of a JSON value.
type Kind byte

// The kinds, named by the first byte of their text.
const (
	Null   Kind = 'n'
	False  Kind = 'f'
	True   Kind = 't'
	String Kind = '"'
	Number Kind = '0'
	Object Kind = '{'
	Array  Kind = '['
)

// String returns the kind's name with an article, for messages.
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case False, True:
		return "a boolean"
	case String:
		return "a string"
	case Number:
		return "a number"
	case Object:
		return "an object"
	case Array:
		return "an array"
	default:
		return "nothing"
	}
}

// Node is one value of a parsed document. A nil Node is the absent value: its
// methods answer as for a value that is not there. Nodes are read-only and may be
// read concurrently.
type Node struct {
	kind    Kind
	raw     []byte
	text    string // decoded, of a string
	members []Member
	items   []*Node
	parent  *Node
	name    string // in an object parent
	index   int    // in an array parent
}

// Member is one member of an object.
type Member struct {
	Name  string
	Value *Node
}

// SyntaxError says why a document is not well-formed.
type SyntaxError struct {
	Offset  int64  // of the first byte that is wrong
	Pointer string // of the value in which it stands
	Reason  string
}

// Error describes the fault without repeating a value of the document.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s (at byte %d, in %q)", e.Reason, e.Offset, e.Pointer)
}

// Parse reads one document. The nodes keep data, which must not change
// afterwards. The error is a *SyntaxError.
func Parse(data []byte) (*Node, error) {
	dec := decoders.Get().(*jsontext.Decoder)
	dec.Reset(bytes.NewBuffer(data))
	defer func() {
		dec.Reset(empty) // the pool keeps no document
		decoders.Put(dec)
	}()
	p := parser{data: data, dec: dec}
	root, err := p.value(0)
	if err != nil {
		return nil, p.syntax(err)
	}
	if _, err := p.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, &SyntaxError{Offset: p.dec.InputOffset(), Reason: "there is text after the JSON value"}
	}
	return root, nil
}

// decoders are decoders between two documents. One that has met a few knows how
// much room names take.
var decoders = sync.Pool{New: func() any { return jsontext.NewDecoder(empty) }}

// empty is a document of nothing. Reading it changes nothing.
var empty = strings.NewReader("")

type parser struct {
	data []byte
	dec  *jsontext.Decoder
	// spare are nodes made ahead: one allocation for many.
	spare []Node
}

// nodesAhead is how many nodes are made at once.
const nodesAhead = 16

func (p *parser) node(kind Kind) *Node {
	if len(p.spare) == 0 {
		p.spare = make([]Node, nodesAhead)
	}
	n := &p.spare[0]
	p.spare = p.spare[1:]
	n.kind = kind
	return n
}

var errDepth = fmt.Errorf("values are nested deeper than %d", MaxDepth)

func (p *parser) syntax(err error) *SyntaxError {
	out := &SyntaxError{Offset: p.dec.InputOffset(), Pointer: ShowName(string(p.dec.StackPointer()))}
	var syn *jsontext.SyntacticError
	if errors.As(err, &syn) {
		out.Offset, out.Pointer = syn.ByteOffset, ShowName(string(syn.JSONPointer))
	}
	switch {
	case errors.Is(err, errDepth):
		out.Reason = errDepth.Error()
	case errors.Is(err, jsontext.ErrDuplicateName):
		out.Reason = "a member name stands twice in one object"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		out.Reason = "the JSON text ends too early"
	default:
		out.Reason = "the text is not well-formed JSON"
	}
	return out
}

func (p *parser) value(depth int) (*Node, error) {
	if depth > MaxDepth {
		return nil, errDepth
	}
	switch kind := Kind(p.dec.PeekKind()); kind {
	case Object, Array:
		if _, err := p.dec.ReadToken(); err != nil {
			return nil, err
		}
		n := p.node(kind)
		start := p.dec.InputOffset() - 1
		if err := p.children(n, depth); err != nil {
			return nil, err
		}
		n.raw = p.data[start:p.dec.InputOffset()]
		return n, nil
	default: // a scalar, or a fault that ReadValue reports
		value, err := p.dec.ReadValue()
		if err != nil {
			return nil, err
		}
		end := p.dec.InputOffset()
		n := p.node(kind)
		n.raw = p.data[end-int64(len(value)) : end]
		if kind == String {
			n.text, err = unquote(n.raw)
		}
		return n, err
	}
}

// unquote returns the text of a well-formed string.
func unquote(raw []byte) (string, error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	return string(text), err
}

func (p *parser) children(n *Node, depth int) error {
	for {
		switch p.dec.PeekKind() {
		case '}', ']':
			_, err := p.dec.ReadToken()
			return err
		}
		var name string
		if n.kind == Object {
			tok, err := p.dec.ReadToken()
			if err != nil {
				return err
			}
			name = tok.String()
		}
		child, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		child.parent = n
		if n.kind == Object {
			child.name = name
			n.members = append(n.members, Member{name, child})
		} else {
			child.index = len(n.items)
			n.items = append(n.items, child)
		}
	}
}

// Kind returns the kind of the value, 0 when absent.
func (n *Node) Kind() Kind {
	if n == nil {
		return 0
	}
	return n.kind
}

// Is reports whether the value has that kind.
func (n *Node) Is(k Kind) bool { return n.Kind() == k }

// IsNull reports whether the value is absent or null.
func (n *Node) IsNull() bool { return n == nil || n.kind == Null }

// Raw returns the bytes of the value as they stand in the document, nil when
// absent.
func (n *Node) Raw() []byte {
	if n == nil {
		return nil
	}
	return n.raw
}

// Text returns the text of a string, "" for anything else.
func (n *Node) Text() string {
	if n == nil {
		return ""
	}
	return n.text
}

// Bool returns whether the value is true.
func (n *Node) Bool() bool { return n.Is(True) }

// Members returns the members of an object in their order, none for anything
// else.
func (n *Node) Members() []Member {
	if n == nil {
		return nil
	}
	return n.members
}

// Items returns the items of an array, none for anything else.
func (n *Node) Items() []*Node {
	if n == nil {
		return nil
	}
	return n.items
}

// Get returns the member with exactly that name, nil when there is none.
func (n *Node) Get(name string) *Node {
	for _, m := range n.Members() {
		if m.Name == name {
			return m.Value
		}
	}
	return nil
}

// Pointer returns the JSON Pointer of the value, "" for the whole document. Names
// in it are cut as ShowName cuts them.
func (n *Node) Pointer() string {
	if n == nil || n.parent == nil {
		return ""
	}
	if n.parent.kind == Array {
		return n.parent.Pointer() + "/" + strconv.Itoa(n.index)
	}
	return n.parent.Pointer() + "/" + EscapePointer(ShowName(n.name))
}

// FindNUL returns the first string below n, member names included, that contains
// U+0000, nil when there is none. Databases and C libraries cut text there.
func (n *Node) FindNUL() *Node {
	if n == nil || !bytes.Contains(n.raw, []byte(`\u0000`)) {
		return nil
	}
	if n.kind == String && strings.ContainsRune(n.text, 0) {
		return n
	}
	for _, m := range n.members {
		if strings.ContainsRune(m.Name, 0) {
			return m.Value
		}
		if hit := m.Value.FindNUL(); hit != nil {
			return hit
		}
	}
	for _, item := range n.items {
		if hit := item.FindNUL(); hit != nil {
			return hit
		}
	}
	return nil
}

// EscapePointer escapes one reference token of a JSON Pointer.
func EscapePointer(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
}

// shownName is how much of a stranger's member name is shown, in characters.
const shownName = 64

// ShowName returns name as it may be shown to people: at most 64 characters,
// those that do not print replaced.
func ShowName(name string) string {
	var b strings.Builder
	count := 0
	for _, r := range name {
		if count++; count > shownName {
			b.WriteString("...")
			break
		}
		if !unicode.IsPrint(r) {
			r = '\uFFFD'
		}
		b.WriteRune(r)
	}
	return b.String()
}
