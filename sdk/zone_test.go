package sdk_test

import (
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
)

func TestParseZone(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]sdk.Zone{
		`"+08:00"`: {OffsetSeconds: 8 * 3600}, `"-03:30"`: {OffsetSeconds: -12600}, `"+14:00"`: {OffsetSeconds: 14 * 3600},
		`"Z"`: {}, `"z"`: {}, `"+00:00"`: {}, `0`: {}, `"0"`: {},
		`8`: {OffsetSeconds: 8 * 3600}, `"8"`: {OffsetSeconds: 8 * 3600}, `"+8"`: {OffsetSeconds: 8 * 3600}, `-5`: {OffsetSeconds: -5 * 3600},
		`5.5`: {OffsetSeconds: 19800}, `"5.75"`: {OffsetSeconds: 20700}, `-3.5`: {OffsetSeconds: -12600}, `14`: {OffsetSeconds: 14 * 3600},
		`"-300"`: {OffsetSeconds: -300 * 60}, `330`: {OffsetSeconds: 330 * 60}, `15`: {OffsetSeconds: 900}, `840`: {OffsetSeconds: 840 * 60},
		`"America/Los_Angeles"`: {Name: "America/Los_Angeles"}, `"UTC"`: {Name: "UTC"}, `"Asia/Kathmandu"`: {Name: "Asia/Kathmandu"},
	} {
		z, ok, err := sdk.ParseZone([]byte(raw))
		if err != nil || !ok || z != want {
			t.Errorf("%s: %+v, %v, %v", raw, z, ok, err)
		}
	}
	for _, raw := range []string{``, `null`} {
		if _, ok, err := sdk.ParseZone([]byte(raw)); ok || err != nil {
			t.Errorf("%q: %v, %v", raw, ok, err)
		}
	}
	for _, raw := range []string{
		`""`, `" "`, `"+14:01"`, `"+8:00"`, `"+08:60"`, `"+08:0"`, `"++8:00"`, `"+-8:00"`, `"+08:+1"`, `14.5`, `-14.1`, `841`, `-841`, `1e1`,
		`"1/2"`, `"0x8"`, `"Local"`, `"Mars/Olympus"`, `"../../etc/passwd"`, `"/etc/localtime"`, `true`, `{}`, `[]`, `0.0001`, `"."`, `"-"`, `"+"`,
	} {
		if z, ok, err := sdk.ParseZone([]byte(raw)); err == nil || ok {
			t.Errorf("%s is taken as %+v", raw, z)
		}
	}
}

// TestZoneAcrossDST shows that an IANA zone is right on both sides of a change,
// and that an offset never moves.
func TestZoneAcrossDST(t *testing.T) {
	t.Parallel()
	before := time.Date(2026, 3, 8, 9, 59, 59, 0, time.UTC) // 01:59:59 PST
	after := before.Add(time.Second)                        // 03:00:00 PDT
	req := &sdk.AddMessageLogRequest{Zone: "America/Los_Angeles", OffsetSeconds: -8 * 3600}
	for at, want := range map[time.Time]string{before: "2026-03-08T01:59:59-08:00", after: "2026-03-08T03:00:00-07:00"} {
		if got := at.In(req.Location()).Format(time.RFC3339); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		fixed := sdk.Zone{OffsetSeconds: -8 * 3600}
		if fixed.OffsetAt(at) != -8*3600 || fixed.Location().String() != "-08:00" {
			t.Errorf("a fixed offset moved at %s: %s", at, fixed.Location())
		}
	}
	zone := sdk.Zone{Name: "America/Los_Angeles"}
	if zone.OffsetAt(before) != -8*3600 || zone.OffsetAt(after) != -7*3600 {
		t.Errorf("%d, %d", zone.OffsetAt(before), zone.OffsetAt(after))
	}
	lost := &sdk.AddMessageLogRequest{Zone: "Mars/Olympus", OffsetSeconds: 3600}
	if _, offset := before.In(lost.Location()).Zone(); offset != 3600 {
		t.Errorf("a zone that is not known: offset %d", offset)
	}
	if (sdk.Zone{}).Location() != time.UTC {
		t.Error("the zero zone is not UTC")
	}
}

func FuzzParseZone(f *testing.F) {
	for _, seed := range []string{`"+08:00"`, `5.75`, `"-300"`, `"America/Los_Angeles"`, `"Z"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		z, ok, err := sdk.ParseZone(raw)
		if ok && err != nil {
			t.Errorf("%q is taken, with an error", raw)
		}
		if z.OffsetSeconds > 14*3600 || z.OffsetSeconds < -14*3600 {
			t.Errorf("%q: offset %d", raw, z.OffsetSeconds)
		}
	})
}
