package httpapi

import (
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// nullable is an object of a named type, or null. huma can say that of scalars
// only.
type nullable[T any] struct{ v *T }

// Schema describes it.
func (nullable[T]) Schema(r huma.Registry) *huma.Schema {
	t := reflect.TypeFor[T]()
	return &huma.Schema{AnyOf: []*huma.Schema{r.Schema(t, true, t.Name()), {Type: "null"}}}
}

// MarshalJSON writes the object or null.
func (n nullable[T]) MarshalJSON() ([]byte, error) {
	if n.v == nil {
		return []byte("null"), nil
	}
	return json.Marshal(n.v)
}

// UnmarshalJSON reads the object or null.
func (n *nullable[T]) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, &n.v) }
