package manifest

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

func TestParseReadsEveryMember(t *testing.T) {
	t.Parallel()
	doc := full(t)
	m := mustParse(t, doc)
	want := Run{
		Runtime: "native", Files: map[string]string{"linux/amd64": "bin/acme", "darwin/arm64": "bin/acme-mac"},
		Args: []string{"--mode=adapter", ""}, Env: []string{"ACME_BASE_URL", "ACME_LOG_LEVEL"},
		Egress: []string{"*.acme.example", "api.acme.example"}, Isolation: Dedicated,
		Limits:    Limits{128, 0.5, 8, 5 * time.Second, 90 * time.Second},
		Reconcile: Reconcile{90 * time.Second, 0, true},
	}
	if !reflect.DeepEqual(m.Run, want) {
		t.Errorf("run:\n got %+v\nwant %+v", m.Run, want)
	}
	if m.Name != "acme-crm" || m.DisplayName != "Acme CRM" || m.Version != "2.10.0-rc.1+build.7" || m.Auth.Type != Basic ||
		m.Author != (Author{"Acme", "https://acme.example/adapters?x=1"}) || !slices.Equal(m.ProtocolVersions, []int{1, 2}) {
		t.Errorf("head: %+v", m)
	}
	if string(m.Raw) != doc || string(m.AppConnect) != `{"any": [1, {"thing": null}]}` {
		t.Errorf("verbatim parts changed: %s", m.AppConnect)
	}
	stage := m.AdditionalFields[1]
	if wantOptions := []Option{{"7", "Seven"}, {"won", "Won"}, {"Lost", "Lost"}}; !slices.Equal(stage.Options, wantOptions) ||
		string(stage.DefaultValue) != `"7"` || !stage.Required {
		t.Errorf("stage: %+v", stage)
	}
	var ids []string
	for _, s := range m.Settings {
		ids = append(ids, s.ID)
	}
	if !slices.Equal(ids, []string{"greeting", "mode", "careful", "archive", "apiSecret"}) {
		t.Errorf("settings are not flattened in order: %v", ids)
	}
	greeting := Setting{
		ID: "greeting", Type: SettingInput, Name: "Greeting", Description: "First line", Placeholder: "Hello",
		Scope: ScopeUser, DefaultValue: json.RawMessage(`"Hi"`),
	}
	if !reflect.DeepEqual(m.Settings[0], greeting) || m.Settings[2].Text != "Mode 2 is slow" || m.Settings[4].DefaultValue != nil {
		t.Errorf("settings: %+v", m.Settings)
	}
	for _, s := range m.Settings {
		if s.Secret != (s.ID == "apiSecret") {
			t.Errorf("setting %s is secret: %v", s.ID, s.Secret)
		}
	}
}

// minimal has the required members and nothing else.
const minimal = `{"schemaVersion":1,"name":"a","displayName":"A","version":"0.0.1","protocolVersions":[1],
	"run":{"runtime":"native","files":{"linux/amd64":"a"}},"auth":{"type":"none"}}`

func TestParseFillsDefaults(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{
		"absent": minimal,
		"empty":  change(t, minimal, "/run/limits={}", "/run/reconcile={}", "/settings=[]", "/page={}", "/logPageUrl=\"\""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mustParse(t, doc)
			want := Run{
				Runtime: "native", Files: map[string]string{"linux/amd64": "a"}, Isolation: Shared,
				Limits:    Limits{256, 1.0, 32, 10 * time.Second, 20 * time.Second},
				Reconcile: Reconcile{30 * time.Second, 30 * time.Second, false},
			}
			if !reflect.DeepEqual(m.Run, want) {
				t.Errorf("run:\n got %+v\nwant %+v", m.Run, want)
			}
			if len(m.AdditionalFields) != 0 || len(m.Settings) != 0 || m.AppConnect != nil || m.LogPageURL != "" {
				t.Errorf("something came from nothing: %+v", m)
			}
		})
	}
}

func TestParseReportsEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	doc := change(t, full(t), "/nmae=\"x\"", "/name", "/version=\"v1.0\"", "/run/limts={}", "/run/limits/cpus=0", "/run/env/-=\"LD_PRELOAD\"",
		"/page/messageLog/additionalFields/3/type=\"inputfeild\"", "/settings/0/items/0/scope=\"usr\"", "/auth/type=\"oath\"")
	_, err := Parse([]byte(doc))
	want := []string{
		`/nmae: unknown member "nmae"; did you mean "name"?`,
		`/name: is required`,
		`/version: must be a semantic version such as 1.0.0, without a leading v, at most 64 characters long`,
		`/run/limts: unknown member "limts"; did you mean "limits"?`,
		`/run/env/2: is reserved: PATCHBAY_*, PLUGIN_*, LD_*, GODEBUG and NODE_OPTIONS are not the adapter's`,
		`/run/limits/cpus: must be a number from 0.01 to 1024`,
		`/auth/type: must be one of oauth, apiKey, basic, none; did you mean "oauth"?`,
		`/page/messageLog/additionalFields/3/type: must be one of selection, inputField, checkbox, date, number, warning; did you mean "inputField"?`,
		`/settings/0/items/0/scope: must be one of tenant, user; did you mean "user"?`,
	}
	var faults strictjson.Faults
	if !errors.As(err, &faults) {
		t.Fatalf("Parse = %v, want Faults", err)
	}
	if got := strings.Split(faults.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("faults:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range badManifests() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(change(t, full(t), c.edits...)))
			var faults strictjson.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("Parse = %v, want Faults", err)
			}
			var got []string
			for _, f := range faults {
				got = append(got, f.Pointer+" "+f.Code)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("faults %q, want %q:\n%v", got, c.want, err)
			}
		})
	}
}

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	for name, edits := range goodManifests() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustParse(t, change(t, full(t), edits...))
		})
	}
}

func TestParseRefusesText(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{
		"no JSON": `{"name":`, "twice": strings.Replace(minimal, `"name":"a"`, `"name":"a","name":"b"`, 1), "after": minimal + "{}",
	} {
		_, err := Parse([]byte(doc))
		var syntax *strictjson.SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%s: Parse = %v, want a SyntaxError", name, err)
		}
	}
	for name, doc := range map[string]string{
		"array": `[]`, "null": `null`, "size": minimal + strings.Repeat(" ", MaxBytes), "NUL": change(t, minimal, `/displayName="a\u0000"`),
	} {
		_, err := Parse([]byte(doc))
		var faults strictjson.Faults
		if !errors.As(err, &faults) || len(faults) != 1 {
			t.Errorf("%s: Parse = %v, want one fault", name, err)
		}
	}
}

func TestParseShowsNoValue(t *testing.T) {
	t.Parallel()
	for name, c := range badManifests() {
		doc := strings.ReplaceAll(change(t, full(t), c.edits...), "acme", "hunter2")
		if _, err := Parse([]byte(doc)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: Parse = %v", name, err)
		}
	}
}

func TestBundledManifests(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../manifests/*.json")
	if err != nil || len(files) < 3 {
		t.Fatalf("manifests: %v %v", files, err)
	}
	schema := compileSchema(t)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if name == "manifest.schema" {
			continue
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m.Name != name {
			t.Errorf("%s holds the manifest of %s", file, m.Name)
		}
		for _, platform := range []string{"linux amd64", "linux arm64", "darwin amd64", "darwin arm64"} {
			goos, goarch, _ := strings.Cut(platform, " ")
			if _, ok := m.Executable(goos, goarch); !ok {
				t.Errorf("%s has no executable for %s", name, platform)
			}
		}
		if err := schema.Validate(decode(t, string(raw))); err != nil {
			t.Errorf("%s against the schema: %v", name, err)
		}
	}
}
