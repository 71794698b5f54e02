package rpc

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	adapterv1 "github.com/patchbay-crm/patchbay/sdk/proto/patchbay/adapter/v1"
)

// filler sets every field of a message to a value of its own, so that a round
// trip through our types shows each field that a converter forgets. Fields with
// a form of their own get it from forms, by full name.
type filler struct {
	n     int64
	forms map[protoreflect.FullName]func(n int64) protoreflect.Value
}

func (f *filler) fill(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if oneof := field.ContainingOneof(); oneof != nil && m.WhichOneof(oneof) != nil {
			continue // another member is set; each has a test of its own
		}
		switch {
		case field.IsList() && field.Message() != nil:
			list := m.Mutable(field).List()
			f.fill(list.AppendMutable().Message())
			f.fill(list.AppendMutable().Message())
		case field.IsList():
			list := m.Mutable(field).List()
			list.Append(f.value(field))
			list.Append(f.value(field))
		case field.Message() != nil:
			f.fill(m.Mutable(field).Message())
		default:
			m.Set(field, f.value(field))
		}
	}
	f.rawToMatch(m)
}

func (f *filler) value(field protoreflect.FieldDescriptor) protoreflect.Value {
	f.n++
	if form, ok := f.forms[field.FullName()]; ok {
		return form(f.n)
	}
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(fmt.Sprint("s", f.n))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(fmt.Appendf(nil, `{"b%d":1}`, f.n))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(f.n)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(f.n))
	default:
		panic("filler: no value for kind " + field.Kind().String() + " of " + string(field.FullName()))
	}
}

// rawToMatch makes the raw records such as a caller would have sent: objects with
// the members that are required of them, and ids of another form and text than
// the typed ones, which must win.
func (f *filler) rawToMatch(m protoreflect.Message) {
	switch p := m.Interface().(type) {
	case *adapterv1.User:
		p.Raw = fmt.Appendf(nil, `{"id":%d,"name":"raw","more":[1e3]}`, f.n)
	case *adapterv1.Contact:
		p.Raw = fmt.Appendf(nil, `{"id":%d,"type":"raw","more":null}`, f.n)
	case *adapterv1.Message:
		p.Raw = fmt.Appendf(nil, `{"id":%d,"creationTime":%d,"more":"\u00e9"}`, f.n, f.n)
	}
}

// TestFillerFillsAll checks the checker: no field of the contract stays unset.
func TestFillerFillsAll(t *testing.T) {
	t.Parallel()
	f := filler{}
	in := &adapterv1.FindMessageLogRequest{}
	f.fill(in.ProtoReflect())
	var unset func(m protoreflect.Message)
	unset = func(m protoreflect.Message) {
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			field := fields.Get(i)
			if !m.Has(field) {
				t.Errorf("%s is not set", field.FullName())
			} else if field.Message() != nil && !field.IsList() {
				unset(m.Get(field).Message())
			}
		}
	}
	unset(in.ProtoReflect())
}
