package manifest

import (
	"encoding/json"
	"regexp"
	"slices"

	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk"
)

// Sizes of custom fields and settings.
const (
	maxFields  = 200
	maxOptions = 1000
	maxPattern = 1000
)

// fieldShape is the shape of a field's const and of a setting's id.
var fieldShape = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)

const (
	maxFieldName  = 64
	fieldShapeFor = "letters, digits, hyphens, dots and underscores, beginning with a letter or underscore"
)

// onlyFor lists the members of a field that only some types take.
var onlyFor = []struct {
	member string
	types  []FieldType
}{
	{"options", []FieldType{Selection}},
	{"allowCustomValue", []FieldType{Selection}},
	{"pattern", []FieldType{InputField}},
	{"required", []FieldType{Selection, InputField, Checkbox, Date, NumberType}},
	{"defaultValue", []FieldType{Selection, InputField, Checkbox, Date, NumberType}},
}

func (r *reader) fields(n *strictjson.Node) []Field {
	var out []Field
	seen := map[string]bool{}
	for _, item := range r.list(n, maxFields) {
		if !r.object(item, "const", "title", "description", "type", "required", "options", "allowCustomValue",
			"contactDependent", "pattern", "defaultValue") {
			continue
		}
		f := r.field(item)
		r.once(item.Get("const"), seen, f.Const)
		out = append(out, f)
	}
	return out
}

func (r *reader) field(n *strictjson.Node) Field {
	before := len(r.Faults)
	f := Field{
		Const:            r.match(r.Require(n, "const"), fieldShape, maxFieldName, fieldShapeFor),
		Title:            r.text(r.Require(n, "title"), maxTitle),
		Description:      r.optionalText(n.Get("description"), maxDescription),
		Type:             oneOf(r, r.Require(n, "type"), Selection, InputField, Checkbox, Date, NumberType, Warning),
		Required:         r.flag(n.Get("required")),
		Options:          r.options(n.Get("options")),
		AllowCustomValue: r.flag(n.Get("allowCustomValue")),
		ContactDependent: r.flag(n.Get("contactDependent")),
		Pattern:          r.optionalText(n.Get("pattern"), maxPattern),
	}
	if f.Pattern != "" {
		var err error
		if f.pattern, err = regexp.Compile(f.Pattern); err != nil {
			r.invalid(n.Get("pattern"), "must be an RE2 regular expression")
		}
	}
	for _, only := range onlyFor {
		if member := n.Get(only.member); member != nil && f.Type != "" && !slices.Contains(only.types, f.Type) {
			r.invalid(member, "has no meaning for a field of this type")
		}
	}
	if f.Type == Selection && n.Get("options") == nil && !f.AllowCustomValue && !f.ContactDependent {
		r.AddAt(n.Pointer()+"/options", strictjson.CodeRequired, "is required unless allowCustomValue or contactDependent is true")
	}
	if len(r.Faults) == before {
		f.DefaultValue = r.defaultValue(n.Get("defaultValue"), f.check())
	}
	return f
}

// options reads the choices of a selection or a setting. App Connect's short
// form, a text that is both value and title, is understood too.
func (r *reader) options(n *strictjson.Node) []Option {
	if n == nil {
		return nil
	}
	items := r.list(n, maxOptions)
	if n.Is(strictjson.Array) && len(n.Items()) == 0 {
		r.invalid(n, "must have at least one option")
	}
	out := make([]Option, 0, len(items))
	seen := map[string]bool{}
	for _, item := range items {
		var o Option
		place := item
		switch {
		case item.Is(strictjson.String):
			o.Const = r.text(item, maxTitle)
			o.Title = o.Const
		case r.object(item, "const", "title"):
			place = r.Require(item, "const")
			o.Const = r.optionConst(place)
			o.Title = r.text(r.Require(item, "title"), maxTitle)
		}
		r.once(place, seen, o.Const)
		out = append(out, o)
	}
	return out
}

// optionConst reads a string or an integer as canonical text.
func (r *reader) optionConst(n *strictjson.Node) string {
	if n == nil {
		return ""
	}
	id, err := sdk.ParseID(n.Raw())
	if err != nil {
		r.invalid(n, "must be an integer or a text that is not empty, at most %d bytes long", sdk.MaxIDBytes)
		return ""
	}
	return id.String()
}

// defaultValue reads a default, which must pass the check of its own field. null
// and "" are no default.
func (r *reader) defaultValue(n *strictjson.Node, c check) json.RawMessage {
	if !submitted(n) {
		return nil
	}
	if problem := c.value(n); problem != nil {
		r.Add(n, problem.code, "%s", problem.detail)
		return nil
	}
	return n.Raw()
}
