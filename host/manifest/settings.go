package manifest

import (
	"slices"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// settingMembers lists, per type, the members that a setting takes beside id,
// type, name and description.
var settingMembers = map[SettingType][]string{
	SettingSection: {"items"},
	SettingGroup:   {"items"},
	SettingOption:  {"required", "scope", "options", "defaultValue"},
	SettingBoolean: {"required", "scope", "defaultValue"},
	SettingInput:   {"required", "scope", "defaultValue", "secret", "placeholder"},
	SettingWarning: {"value"},
}

// settingList collects the flat list of settings while sections and groups are
// walked.
type settingList struct {
	*reader
	seen map[string]bool
	out  []Setting
}

func (r *reader) settings(n *strictjson.Node) []Setting {
	list := settingList{reader: r, seen: map[string]bool{}}
	list.items(n, SettingSection, SettingGroup, SettingOption, SettingBoolean, SettingInput, SettingWarning)
	if len(list.out) > maxFields {
		r.invalid(n, "must hold at most %d settings", maxFields)
	}
	return list.out
}

// items reads one level of settings, whose types are among allowed. A section may
// hold groups; a group holds settings only.
func (l *settingList) items(n *strictjson.Node, allowed ...SettingType) {
	for _, item := range l.list(n, maxFields) {
		if !l.Want(item, strictjson.Object) {
			continue
		}
		kind := oneOf(l.reader, l.Require(item, "type"), allowed...)
		if kind == "" {
			continue
		}
		l.Closed(item, append([]string{"id", "type", "name", "description"}, settingMembers[kind]...)...)
		s := l.setting(item, kind)
		l.once(item.Get("id"), l.seen, s.ID)
		switch kind {
		case SettingSection:
			l.items(l.Require(item, "items"), allowed[1:]...)
		case SettingGroup:
			at := slices.Index(allowed, SettingGroup)
			l.items(l.Require(item, "items"), allowed[at+1:]...)
		default:
			l.out = append(l.out, s)
		}
	}
}

func (l *settingList) setting(n *strictjson.Node, kind SettingType) Setting {
	before := len(l.Faults)
	s := Setting{
		ID:          l.match(l.Require(n, "id"), fieldShape, maxFieldName, fieldShapeFor),
		Type:        kind,
		Name:        l.text(l.Require(n, "name"), maxTitle),
		Description: l.optionalText(n.Get("description"), maxDescription),
		Scope:       ScopeTenant,
	}
	switch kind {
	case SettingSection, SettingGroup:
		return s
	case SettingWarning:
		s.Text = l.optionalText(n.Get("value"), maxDescription)
		return s
	case SettingOption:
		s.Options = l.options(l.Require(n, "options"))
	case SettingInput:
		s.Secret = l.flag(n.Get("secret"))
		s.Placeholder = l.optionalText(n.Get("placeholder"), maxTitle)
	}
	s.Required = l.flag(n.Get("required"))
	if scope := n.Get("scope"); scope != nil {
		s.Scope = oneOf(l.reader, scope, ScopeTenant, ScopeUser)
	}
	if len(l.Faults) == before {
		s.DefaultValue = l.defaultValue(n.Get("defaultValue"), s.check())
		if s.Secret && s.DefaultValue != nil {
			l.invalid(n.Get("defaultValue"), "must not be set: a secret has no default, for the manifest is public")
		}
	}
	return s
}

// setting returns the setting with that id that can have a value, nil when there
// is none.
func (m *Manifest) setting(id string) *Setting {
	for i := range m.Settings {
		if m.Settings[i].ID == id {
			return &m.Settings[i]
		}
	}
	return nil
}
