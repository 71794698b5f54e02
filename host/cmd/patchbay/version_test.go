package main

import "testing"

func TestAsPublished(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"v1.2.3": "v1.2.3", "v1.3.0-rc.1": "v1.3.0-rc.1",
		"": "", "(devel)": "", "1.2.3": "", "v1.2.3+dirty": "", "v0.0.0-20260831171406-18b4a7587f8a": "", "v1.2.4-0.20260831171406-18b4a7587f8a": "",
	} {
		if got := asPublished(version); got != want {
			t.Errorf("asPublished(%q) = %q, want %q", version, got, want)
		}
	}
}
