package manifest

import (
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk"
)

// maxSubmitted bounds the members of one submission, so that a hostile one does
// not cost a fault each.
const maxSubmitted = 1000

// Where the objects of values stand in a request, for faults of absent ones.
const (
	submissionPointer   = "/additionalSubmission"
	settingsPointer     = "/settings"
	userSettingsPointer = "/user/settings"
)

// CheckSubmission checks the additionalSubmission of a request against the custom
// fields, and returns it with defaults filled in. n may be nil or null when
// nothing was submitted. null and "" count as not submitted. Every fault is
// reported at once; with any, the values are nil. The values share n's bytes.
func (m *Manifest) CheckSubmission(n *strictjson.Node) (sdk.Values, strictjson.Faults) {
	in := intake{at: pointerOf(n, submissionPointer), values: sdk.Values{}, seen: map[string]bool{}}
	if in.open(n) {
		in.take(n.Members(), m.fieldCheck, m.fieldNames)
	}
	for i := range m.AdditionalFields {
		f := &m.AdditionalFields[i]
		switch {
		case in.seen[f.Const]:
		case f.DefaultValue != nil:
			in.values[f.Const] = sdk.RawValue(f.DefaultValue)
		case f.Required:
			in.missing(f.Const)
		}
	}
	return in.result()
}

// CheckSettings checks settings of a tenant or of a user.
//
// A tenant may set every setting, and must set the required ones that have no
// default, whatever their scope: then the merged view is never without them.
// Unknown names are faults. A user's settings come from an object that other
// products fill too: only settings of ScopeUser are looked at, everything else is
// left out without a fault, and nothing is required.
//
// Defaults are not filled in; MergeSettings does that. n may be nil or null when
// there are none. null and "" count as not set. Every fault is reported at once;
// with any, the values are nil. The values share n's bytes.
func (m *Manifest) CheckSettings(n *strictjson.Node, scope Scope) (sdk.Values, strictjson.Faults) {
	if scope == ScopeUser {
		return m.checkUserSettings(n)
	}
	in := intake{at: pointerOf(n, settingsPointer), values: sdk.Values{}, seen: map[string]bool{}}
	if in.open(n) {
		in.take(n.Members(), m.settingCheck, m.settingNames)
	}
	for i := range m.Settings {
		if s := &m.Settings[i]; s.Required && s.DefaultValue == nil && !in.seen[s.ID] {
			in.missing(s.ID)
		}
	}
	return in.result()
}

func (m *Manifest) checkUserSettings(n *strictjson.Node) (sdk.Values, strictjson.Faults) {
	in := intake{at: pointerOf(n, userSettingsPointer), values: sdk.Values{}, seen: map[string]bool{}}
	if in.open(n) {
		var own []strictjson.Member
		for _, member := range n.Members() {
			if s := m.setting(member.Name); s != nil && s.Scope == ScopeUser {
				own = append(own, member)
			}
		}
		in.take(own, m.settingCheck, m.settingNames)
	}
	return in.result()
}

// MergeSettings returns one view of the settings: the manifest's defaults, above
// them the tenant's, above them the user's where the manifest says that users may
// set them. Neither argument is changed; both may be nil.
func (m *Manifest) MergeSettings(tenant, user sdk.Values) sdk.Values {
	out := make(sdk.Values, len(m.Settings))
	for i := range m.Settings {
		s := &m.Settings[i]
		v := sdk.RawValue(s.DefaultValue)
		if set := tenant[s.ID]; !set.IsZero() {
			v = set
		}
		if set := user[s.ID]; !set.IsZero() && s.Scope == ScopeUser {
			v = set
		}
		if !v.IsZero() {
			out[s.ID] = v
		}
	}
	return out
}

// pointerOf returns where n stands, or the pointer at which it would be when it
// is absent.
func pointerOf(n *strictjson.Node, absent string) string {
	if n == nil {
		return absent
	}
	return n.Pointer()
}

// intake takes in one object of values.
type intake struct {
	at     string // pointer of the object
	values sdk.Values
	seen   map[string]bool // names submitted, with right or wrong values
	faults strictjson.Faults
	closed bool // the object itself is wrong: what it lacks says nothing
}

// open reports whether there is an object of a bearable size to read.
func (in *intake) open(n *strictjson.Node) bool {
	switch {
	case n.IsNull():
		return false
	case !in.faults.Want(n, strictjson.Object):
		in.closed = true
	case len(n.Members()) > maxSubmitted:
		in.faults.Add(n, strictjson.CodeInvalid, "must have at most %d members", maxSubmitted)
		in.closed = true
	}
	return !in.closed
}

// take checks the members, whose checks find gives by name. names lists the known
// names, for suggestions.
func (in *intake) take(members []strictjson.Member, find func(string) (check, bool), names func() []string) {
	for _, member := range members {
		c, ok := find(member.Name)
		if !ok {
			in.faults.Add(member.Value, strictjson.CodeUnknown, "unknown member %q%s",
				strictjson.ShowName(member.Name), strictjson.DidYouMean(member.Name, names()))
			continue
		}
		if !submitted(member.Value) {
			continue
		}
		in.seen[member.Name] = true
		if p := c.value(member.Value); p != nil {
			in.faults.Add(member.Value, p.code, "%s", p.detail)
			continue
		}
		in.values[member.Name] = sdk.RawValue(member.Value.Raw())
	}
}

func (in *intake) missing(name string) {
	if !in.closed {
		in.faults.AddAt(in.at+"/"+strictjson.EscapePointer(name), strictjson.CodeRequired, "is required")
	}
}

func (in *intake) result() (sdk.Values, strictjson.Faults) {
	if len(in.faults) > 0 {
		return nil, in.faults
	}
	return in.values, nil
}

func (m *Manifest) fieldCheck(name string) (check, bool) {
	for i := range m.AdditionalFields {
		if m.AdditionalFields[i].Const == name {
			return m.AdditionalFields[i].check(), true
		}
	}
	return check{}, false
}

func (m *Manifest) fieldNames() []string {
	names := make([]string, len(m.AdditionalFields))
	for i, f := range m.AdditionalFields {
		names[i] = f.Const
	}
	return names
}

func (m *Manifest) settingCheck(id string) (check, bool) {
	if s := m.setting(id); s != nil {
		return s.check(), true
	}
	return check{}, false
}

func (m *Manifest) settingNames() []string {
	names := make([]string, len(m.Settings))
	for i, s := range m.Settings {
		names[i] = s.ID
	}
	return names
}
