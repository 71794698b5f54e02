package manifest

import (
	"regexp"
	"strings"
	"time"

	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk"
)

// maxNumber is the length of the longest number of a custom field, in bytes.
const maxNumber = 256

// problem is what is wrong with one value.
type problem struct{ code, detail string }

// check tells whether a value may be submitted for one custom field or setting.
type check struct {
	kind    FieldType
	options []Option
	open    bool // a selection takes values beside its options
	pattern *regexp.Regexp
}

func (f *Field) check() check {
	return check{f.Type, f.Options, f.AllowCustomValue || f.ContactDependent, f.pattern}
}

func (s *Setting) check() check {
	kinds := map[SettingType]FieldType{
		SettingOption: Selection, SettingBoolean: Checkbox, SettingInput: InputField, SettingWarning: Warning,
	}
	return check{kind: kinds[s.Type], options: s.Options}
}

// submitted reports whether there is a value at n. null and "" are none.
func submitted(n *strictjson.Node) bool {
	return !n.IsNull() && (!n.Is(strictjson.String) || n.Text() != "")
}

// value checks a submitted value, nil when it is right.
func (c check) value(n *strictjson.Node) *problem {
	if n.Is(strictjson.String) && strings.ContainsRune(n.Text(), 0) {
		return &problem{strictjson.CodeInvalid, "must not contain U+0000"}
	}
	switch c.kind {
	case Selection:
		return c.selection(n)
	case InputField:
		if !n.Is(strictjson.String) {
			return wrongType(strictjson.String, n)
		}
		if c.pattern != nil && !c.pattern.MatchString(n.Text()) {
			return &problem{strictjson.CodeInvalid, "must match the pattern " + c.pattern.String()}
		}
	case Checkbox:
		if !n.Is(strictjson.True) && !n.Is(strictjson.False) {
			return wrongType(strictjson.True, n)
		}
	case Date:
		if !n.Is(strictjson.String) {
			return wrongType(strictjson.String, n)
		}
		if _, err := time.Parse(time.DateOnly, n.Text()); err != nil {
			return &problem{strictjson.CodeInvalid, "must be a date as YYYY-MM-DD"}
		}
	case NumberType:
		if !n.Is(strictjson.Number) {
			return wrongType(strictjson.Number, n)
		}
		if len(n.Raw()) > maxNumber {
			return &problem{strictjson.CodeInvalid, "has too many digits"}
		}
	default:
		return &problem{strictjson.CodeInvalid, "is a warning and takes no value"}
	}
	return nil
}

func (c check) selection(n *strictjson.Node) *problem {
	text := n.Text()
	switch {
	case n.Is(strictjson.Number):
		id, err := sdk.ParseID(n.Raw())
		if err != nil {
			return &problem{strictjson.CodeInvalid, "must be a string or an integer without fraction or exponent"}
		}
		text = id.String()
	case !n.Is(strictjson.String):
		return &problem{strictjson.CodeType, "must be a string or an integer, not " + n.Kind().String()}
	}
	if c.open {
		return nil
	}
	consts := make([]string, 0, len(c.options))
	for _, o := range c.options {
		if o.Const == text {
			return nil
		}
		consts = append(consts, o.Const)
	}
	return &problem{strictjson.CodeInvalid, "must be one of the options" + strictjson.DidYouMean(text, consts)}
}

func wrongType(want strictjson.Kind, n *strictjson.Node) *problem {
	return &problem{strictjson.CodeType, "must be " + want.String() + ", not " + n.Kind().String()}
}
