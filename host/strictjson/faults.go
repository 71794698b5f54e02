package strictjson

import (
	"fmt"
	"slices"
	"strings"
)

// The codes of a Fault, stable names that callers may switch on.
const (
	CodeRequired = "required"       // the member is missing
	CodeUnknown  = "unknown_member" // no such member exists
	CodeType     = "wrong_type"     // the value has another JSON type
	CodeInvalid  = "invalid_value"  // the value has the right type and is wrong
)

// Fault is one thing that is wrong with a document: where, what, and how to mend
// it. Detail never repeats a value.
type Fault struct {
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

// Error returns "pointer: detail".
func (f Fault) Error() string {
	if f.Pointer == "" {
		return f.Detail
	}
	return f.Pointer + ": " + f.Detail
}

// Faults collects faults. The zero value is ready.
type Faults []Fault

// Add notes a fault of the value at n.
func (f *Faults) Add(n *Node, code, format string, args ...any) {
	*f = append(*f, Fault{n.Pointer(), code, fmt.Sprintf(format, args...)})
}

// AddAt notes a fault at a pointer, for values that are not there.
func (f *Faults) AddAt(pointer, code, format string, args ...any) {
	*f = append(*f, Fault{pointer, code, fmt.Sprintf(format, args...)})
}

// Want reports whether n has the kind. When it is present with another, that is
// noted as a fault. Absence is no fault, and false.
func (f *Faults) Want(n *Node, k Kind) bool {
	if n == nil {
		return false
	}
	if n.kind == k || (k == True && n.kind == False) {
		return true
	}
	f.Add(n, CodeType, "must be %s, not %s", k, n.kind)
	return false
}

// Closed notes every member of the object n that is not among known, with the
// known name that was probably meant.
func (f *Faults) Closed(n *Node, known ...string) {
	for _, m := range n.Members() {
		if slices.Contains(known, m.Name) {
			continue
		}
		f.Add(m.Value, CodeUnknown, "unknown member %q%s", ShowName(m.Name), DidYouMean(m.Name, known))
	}
}

// Require notes the absence of a member of the object n, and returns it.
func (f *Faults) Require(n *Node, name string) *Node {
	member := n.Get(name)
	if member == nil {
		f.AddAt(n.Pointer()+"/"+EscapePointer(name), CodeRequired, "is required")
	}
	return member
}

// Err returns the faults as one error, nil when there is none.
func (f Faults) Err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// Error lists the faults, one a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// DidYouMean returns `; did you mean "x"?` for the known name nearest to name,
// "" when none is near, and the list of known names when it is short.
func DidYouMean(name string, known []string) string {
	best, bestDistance := "", len(name)/3+2
	for _, k := range known {
		if strings.EqualFold(k, name) {
			best = k
			break
		}
		if d := distance(name, k, bestDistance); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the Levenshtein distance of a and b in bytes, or limit when it is
// not below limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j]+1, row[j+1]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
