package manifest

import (
	"maps"
	"strings"
)

// bad is a way to spoil the full manifest.
type bad struct {
	edits []string
	want  []string // "pointer code" of each fault
	// blind says that a JSON Schema cannot express the rule.
	blind bool
}

const fields, settingsAt = "/page/messageLog/additionalFields", "/settings/0/items"

// badManifests are edits to the full manifest, each of which breaks a rule.
func badManifests() map[string]bad {
	out := map[string]bad{}
	for _, part := range []map[string]bad{badHeads(), badRuns(), badFields(), badSettings()} {
		maps.Copy(out, part)
	}
	return out
}

func badHeads() map[string]bad {
	return map[string]bad{
		"schemaVersion":             {edits: []string{"/schemaVersion=2", "/unheard=1"}, want: []string{"/schemaVersion invalid_value"}},
		"schemaVersion absent":      {edits: []string{"/schemaVersion"}, want: []string{"/schemaVersion required"}},
		"schemaVersion text":        {edits: []string{`/schemaVersion="1"`}, want: []string{"/schemaVersion wrong_type"}},
		"name upper case":           {edits: []string{`/name="Acme"`}, want: []string{"/name invalid_value"}},
		"name digit first":          {edits: []string{`/name="1acme"`}, want: []string{"/name invalid_value"}},
		"name long":                 {edits: []string{`/name="` + strings.Repeat("a", 41) + `"`}, want: []string{"/name invalid_value"}},
		"name newline":              {edits: []string{`/name="acme\n"`}, want: []string{"/name invalid_value"}},
		"displayName blank":         {edits: []string{`/displayName=" \t"`}, want: []string{"/displayName invalid_value"}},
		"displayName long":          {edits: []string{`/displayName="` + strings.Repeat("é", 201) + `"`}, want: []string{"/displayName invalid_value"}},
		"displayName absent":        {edits: []string{`/displayName`}, want: []string{"/displayName required"}},
		"version with v":            {edits: []string{`/version="v1.0.0"`}, want: []string{"/version invalid_value"}},
		"version short":             {edits: []string{`/version="1.0"`}, want: []string{"/version invalid_value"}},
		"version leading zero":      {edits: []string{`/version="1.02.0"`}, want: []string{"/version invalid_value"}},
		"version empty prerelease":  {edits: []string{`/version="1.0.0-"`}, want: []string{"/version invalid_value"}},
		"version path":              {edits: []string{`/version="1.0.0-../../x"`}, want: []string{"/version invalid_value"}},
		"version number":            {edits: []string{`/version=1.0`}, want: []string{"/version wrong_type"}},
		"version long":              {edits: []string{`/version="1.0.0-` + strings.Repeat("a", 64) + `"`}, want: []string{"/version invalid_value"}},
		"author nameless":           {edits: []string{`/author={}`}, want: []string{"/author/name required"}},
		"author site":               {edits: []string{`/author/websiteUrl="javascript:alert(1)"`}, want: []string{"/author/websiteUrl invalid_value"}},
		"author mail":               {edits: []string{`/author/email="x"`}, want: []string{"/author/email unknown_member"}},
		"protocolVersions empty":    {edits: []string{`/protocolVersions=[]`}, want: []string{"/protocolVersions protocol_mismatch"}},
		"protocolVersions other":    {edits: []string{`/protocolVersions=[2,3]`}, want: []string{"/protocolVersions protocol_mismatch"}},
		"protocolVersions twice":    {edits: []string{`/protocolVersions=[1,1]`}, want: []string{"/protocolVersions/1 duplicate"}},
		"protocolVersions zero":     {edits: []string{`/protocolVersions=[0,1]`}, want: []string{"/protocolVersions/0 invalid_value"}},
		"protocolVersions many":     {edits: []string{`/protocolVersions=[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]`}, want: []string{"/protocolVersions invalid_value"}},
		"auth type":                 {edits: []string{`/auth/type="saml"`}, want: []string{"/auth/type invalid_value"}},
		"auth absent":               {edits: []string{`/auth`}, want: []string{"/auth required"}},
		"auth more":                 {edits: []string{`/auth/oauth={}`}, want: []string{"/auth/oauth unknown_member"}},
		"log page scheme":           {edits: []string{`/logPageUrl="ftp://{hostname}/{logId}"`}, want: []string{"/logPageUrl invalid_value"}},
		"log page placeholder":      {edits: []string{`/logPageUrl="https://{hostname}/{logID}"`}, want: []string{"/logPageUrl invalid_value"}},
		"log page host":             {edits: []string{`/logPageUrl="https://{logId}.acme.example/"`}, want: []string{"/logPageUrl invalid_value"}},
		"log page user":             {edits: []string{`/logPageUrl="https://a@b/"`}, want: []string{"/logPageUrl invalid_value"}},
		"log page brace":            {edits: []string{`/logPageUrl="https://{hostname}/{logId"`}, want: []string{"/logPageUrl invalid_value"}},
		"log page escape":           {edits: []string{`/logPageUrl="https://{hostname}/%zz"`}, want: []string{"/logPageUrl invalid_value"}, blind: true},
		"contact page with logId":   {edits: []string{`/contactPageUrl="https://{hostname}/{logId}"`}, want: []string{"/contactPageUrl invalid_value"}},
		"page unknown":              {edits: []string{`/page/callLog={}`}, want: []string{"/page/callLog unknown_member"}},
		"messageLog unknown":        {edits: []string{`/page/messageLog/fields=[]`}, want: []string{"/page/messageLog/fields unknown_member"}},
		"appConnect array":          {edits: []string{`/appConnect=[]`}, want: []string{"/appConnect wrong_type"}},
		"case of a member's name":   {edits: []string{`/Name="x"`}, want: []string{"/Name unknown_member"}},
		"settings object":           {edits: []string{`/settings={}`}, want: []string{"/settings wrong_type"}},
		"additionalFields not list": {edits: []string{fields + `="x"`}, want: []string{fields + " wrong_type"}},
	}
}

func badRuns() map[string]bad {
	out := map[string]bad{
		"run absent":         {edits: []string{`/run`}, want: []string{"/run required"}},
		"runtime":            {edits: []string{`/run/runtime="node"`}, want: []string{"/run/runtime invalid_value"}},
		"files absent":       {edits: []string{`/run/files`}, want: []string{"/run/files required"}},
		"files empty":        {edits: []string{`/run/files={}`}, want: []string{"/run/files invalid_value"}},
		"files platform":     {edits: []string{`/run/files/linux~x86="a"`}, want: []string{"/run/files/linux~0x86 unknown_member"}},
		"args number":        {edits: []string{`/run/args/-=1`}, want: []string{"/run/args/2 wrong_type"}},
		"args long":          {edits: []string{`/run/args/-="` + strings.Repeat("a", 1025) + `"`}, want: []string{"/run/args/2 invalid_value"}},
		"args many":          {edits: []string{`/run/args=[` + strings.Repeat(`"a",`, 64) + `"a"]`}, want: []string{"/run/args invalid_value"}},
		"env twice":          {edits: []string{`/run/env/-="ACME_BASE_URL"`}, want: []string{"/run/env/2 duplicate"}},
		"env null":           {edits: []string{`/run/env=null`}, want: []string{"/run/env wrong_type"}},
		"egress twice":       {edits: []string{`/run/egress/-="*.acme.example"`}, want: []string{"/run/egress/2 duplicate"}},
		"isolation":          {edits: []string{`/run/isolation="none"`}, want: []string{"/run/isolation invalid_value"}},
		"memory":             {edits: []string{`/run/limits/memoryMiB=15`}, want: []string{"/run/limits/memoryMiB invalid_value"}},
		"memory fraction":    {edits: []string{`/run/limits/memoryMiB=256.5`}, want: []string{"/run/limits/memoryMiB invalid_value"}},
		"memory huge":        {edits: []string{`/run/limits/memoryMiB=99999999999999999999`}, want: []string{"/run/limits/memoryMiB invalid_value"}},
		"cpus":               {edits: []string{`/run/limits/cpus=1e400`}, want: []string{"/run/limits/cpus invalid_value"}},
		"concurrency":        {edits: []string{`/run/limits/concurrency=0`}, want: []string{"/run/limits/concurrency invalid_value"}},
		"limits unknown":     {edits: []string{`/run/limits/disk=1`}, want: []string{"/run/limits/disk unknown_member"}},
		"timeout number":     {edits: []string{`/run/limits/callTimeout=20`}, want: []string{"/run/limits/callTimeout wrong_type"}},
		"timeout zero":       {edits: []string{`/run/limits/callTimeout="0s"`}, want: []string{"/run/limits/callTimeout invalid_value"}, blind: true},
		"timeout negative":   {edits: []string{`/run/limits/callTimeout="-5s"`}, want: []string{"/run/limits/callTimeout invalid_value"}},
		"timeout bare":       {edits: []string{`/run/limits/startTimeout="10"`}, want: []string{"/run/limits/startTimeout invalid_value"}},
		"timeout long":       {edits: []string{`/run/limits/callTimeout="11m"`}, want: []string{"/run/limits/callTimeout invalid_value"}, blind: true},
		"timeout overflow":   {edits: []string{`/run/limits/callTimeout="99999999999999h"`}, want: []string{"/run/limits/callTimeout invalid_value"}, blind: true},
		"searchLag long":     {edits: []string{`/run/reconcile/searchLag="25h"`}, want: []string{"/run/reconcile/searchLag invalid_value"}, blind: true},
		"idempotentCreate":   {edits: []string{`/run/reconcile/idempotentCreate="yes"`}, want: []string{"/run/reconcile/idempotentCreate wrong_type"}},
		"reconcile unknown":  {edits: []string{`/run/reconcile/lag="1s"`}, want: []string{"/run/reconcile/lag unknown_member"}},
		"run unknown":        {edits: []string{`/run/command="x"`}, want: []string{"/run/command unknown_member"}},
		"env many":           {edits: []string{`/run/env=[` + strings.TrimSuffix(strings.Repeat(`"A",`, 65), ",") + `]`}, want: []string{"/run/env invalid_value"}},
		"egress not a list":  {edits: []string{`/run/egress="*.acme.example"`}, want: []string{"/run/egress wrong_type"}},
		"limits not object":  {edits: []string{`/run/limits=null`}, want: []string{"/run/limits wrong_type"}},
		"files not text":     {edits: []string{`/run/files/unheard={}`}, want: []string{"/run/files/unheard unknown_member", "/run/files/unheard wrong_type"}},
		"files own manifest": {edits: []string{`/run/files={"linux/arm64":"manifest.json"}`}, want: []string{"/run/files/linux~1arm64 invalid_value"}},
	}
	for _, path := range []string{"", "/bin/acme", "../acme", "a/../b", "a//b", "./a", "a/", "a\\\\b", ".hidden", "-rf", "a b", "checksums.txt", strings.Repeat("a", 256)} {
		out["path "+path] = bad{edits: []string{`/run/files={"linux/arm64":"` + path + `"}`}, want: []string{"/run/files/linux~1arm64 invalid_value"}}
	}
	for _, name := range []string{"", "acme", "ACME-X", "1ACME", "A B", "A=B", "PATCHBAY_TOKEN", "PLUGIN_CLIENT_CERT", "LD_PRELOAD", "GODEBUG", "NODE_OPTIONS", strings.Repeat("A", 81)} {
		out["env "+name] = bad{edits: []string{`/run/env=["` + name + `"]`}, want: []string{"/run/env/0 invalid_value"}}
	}
	for _, host := range []string{
		"", "*", "*.com", "*.", ".acme.example", "acme.example.", "Acme.example", "https://acme.example", "acme.example:443",
		"10.0.0.1", "*.0.0.1", "[::1]", "::1", "a..b", "-a.example", "a-.example", "u@acme.example", "acme.example/x", "*.*.acme.example", "a*.example", "0x7f", "1",
	} {
		out["egress "+host] = bad{edits: []string{`/run/egress=["` + host + `"]`}, want: []string{"/run/egress/0 invalid_value"}}
	}
	return out
}

func badFields() map[string]bad {
	return map[string]bad{
		"field null":              {edits: []string{fields + "/-=null"}, want: []string{fields + "/8 wrong_type"}},
		"field empty":             {edits: []string{fields + "/-={}"}, want: []string{fields + "/8/const required", fields + "/8/title required", fields + "/8/type required"}},
		"field unknown":           {edits: []string{fields + "/0/titel=\"x\""}, want: []string{fields + "/0/titel unknown_member"}},
		"const twice":             {edits: []string{fields + `/5/const="deal"`}, want: []string{fields + "/5/const duplicate"}, blind: true},
		"const shape":             {edits: []string{fields + `/5/const="due date"`}, want: []string{fields + "/5/const invalid_value"}},
		"const number":            {edits: []string{fields + `/5/const=5`}, want: []string{fields + "/5/const wrong_type"}},
		"required on warning":     {edits: []string{fields + `/7/required=false`}, want: []string{fields + "/7/required invalid_value"}},
		"default on warning":      {edits: []string{fields + `/7/defaultValue="x"`}, want: []string{fields + "/7/defaultValue invalid_value"}},
		"options on input":        {edits: []string{fields + `/3/options=["a"]`}, want: []string{fields + "/3/options invalid_value"}},
		"pattern on number":       {edits: []string{fields + `/6/pattern="."`}, want: []string{fields + "/6/pattern invalid_value"}},
		"custom on checkbox":      {edits: []string{fields + `/4/allowCustomValue=false`}, want: []string{fields + "/4/allowCustomValue invalid_value"}},
		"pattern not RE2":         {edits: []string{fields + `/3/pattern="(?=x)"`}, want: []string{fields + "/3/pattern invalid_value"}, blind: true},
		"pattern unclosed":        {edits: []string{fields + `/3/pattern="("`}, want: []string{fields + "/3/pattern invalid_value"}, blind: true},
		"selection of nothing":    {edits: []string{fields + `/0/contactDependent=false`}, want: []string{fields + "/0/options required"}},
		"options empty":           {edits: []string{fields + `/1/options=[]`}, want: []string{fields + "/1/options invalid_value"}},
		"option twice as text":    {edits: []string{fields + `/1/options/-={"const":"7","title":"x"}`}, want: []string{fields + "/1/options/3/const duplicate"}, blind: true},
		"option short twice":      {edits: []string{fields + `/1/options/-="won"`}, want: []string{fields + "/1/options/3 duplicate"}, blind: true},
		"option float":            {edits: []string{fields + `/1/options/-={"const":1.5,"title":"x"}`}, want: []string{fields + "/1/options/3/const invalid_value"}},
		"option empty":            {edits: []string{fields + `/1/options/-={"const":"","title":"x"}`}, want: []string{fields + "/1/options/3/const invalid_value"}},
		"option bool":             {edits: []string{fields + `/1/options/-={"const":true,"title":"x"}`}, want: []string{fields + "/1/options/3/const invalid_value"}},
		"option untitled":         {edits: []string{fields + `/1/options/-={"const":"x"}`}, want: []string{fields + "/1/options/3/title required"}},
		"option named by id":      {edits: []string{fields + `/1/options/-={"id":"x","title":"x"}`}, want: []string{fields + "/1/options/3/id unknown_member", fields + "/1/options/3/const required"}},
		"option blank":            {edits: []string{fields + `/1/options/-=" "`}, want: []string{fields + "/1/options/3 invalid_value"}},
		"option number":           {edits: []string{fields + `/1/options/-=3`}, want: []string{fields + "/1/options/3 wrong_type"}},
		"default not an option":   {edits: []string{fields + `/1/defaultValue="lost"`}, want: []string{fields + "/1/defaultValue invalid_value"}, blind: true},
		"default array":           {edits: []string{fields + `/0/defaultValue=[1]`}, want: []string{fields + "/0/defaultValue wrong_type"}},
		"default against pattern": {edits: []string{fields + `/3/defaultValue="ABC"`}, want: []string{fields + "/3/defaultValue invalid_value"}, blind: true},
		"default text for box":    {edits: []string{fields + `/4/defaultValue="false"`}, want: []string{fields + "/4/defaultValue wrong_type"}},
		"default no date":         {edits: []string{fields + `/5/defaultValue="2026-02-30"`}, want: []string{fields + "/5/defaultValue invalid_value"}, blind: true},
		"default text for number": {edits: []string{fields + `/6/defaultValue="1"`}, want: []string{fields + "/6/defaultValue wrong_type"}},
		"description number":      {edits: []string{fields + `/0/description=1`}, want: []string{fields + "/0/description wrong_type"}},
		"required text":           {edits: []string{fields + `/0/required="true"`}, want: []string{fields + "/0/required wrong_type"}},
		"fields many":             {edits: []string{fields + "=[" + strings.TrimSuffix(strings.Repeat("{},", 201), ",") + "]"}, want: []string{fields + " invalid_value"}},
	}
}

func badSettings() map[string]bad {
	return map[string]bad{
		"setting null":             {edits: []string{"/settings/-=null"}, want: []string{"/settings/3 wrong_type"}},
		"setting empty":            {edits: []string{"/settings/-={}"}, want: []string{"/settings/3/type required"}},
		"setting type":             {edits: []string{`/settings/1/type="bool"`}, want: []string{"/settings/1/type invalid_value"}},
		"setting unnamed":          {edits: []string{`/settings/1/name`, `/settings/1/id`}, want: []string{"/settings/1/id required", "/settings/1/name required"}},
		"id twice":                 {edits: []string{`/settings/1/id="greeting"`}, want: []string{"/settings/1/id duplicate"}, blind: true},
		"id of a section":          {edits: []string{`/settings/1/id="general"`}, want: []string{"/settings/1/id duplicate"}, blind: true},
		"section without items":    {edits: []string{`/settings/0/items`}, want: []string{"/settings/0/items required"}},
		"section in section":       {edits: []string{settingsAt + `/-={"id":"x","type":"section","name":"x","items":[]}`}, want: []string{settingsAt + "/2/type invalid_value"}},
		"group in group":           {edits: []string{settingsAt + `/1/items/-={"id":"x","type":"group","name":"x","items":[]}`}, want: []string{settingsAt + "/1/items/2/type invalid_value"}},
		"section required":         {edits: []string{`/settings/0/required=true`}, want: []string{"/settings/0/required unknown_member"}},
		"items on a setting":       {edits: []string{`/settings/1/items=[]`}, want: []string{"/settings/1/items unknown_member"}},
		"option without options":   {edits: []string{settingsAt + `/1/items/0/options`}, want: []string{settingsAt + "/1/items/0/options required"}},
		"options on input setting": {edits: []string{settingsAt + `/0/options=["a"]`}, want: []string{settingsAt + "/0/options unknown_member"}},
		"secret boolean":           {edits: []string{`/settings/1/secret=true`}, want: []string{"/settings/1/secret unknown_member"}},
		"secret with default":      {edits: []string{`/settings/2/defaultValue="x"`}, want: []string{"/settings/2/defaultValue invalid_value"}},
		"scope":                    {edits: []string{`/settings/1/scope="host"`}, want: []string{"/settings/1/scope invalid_value"}},
		"scope null":               {edits: []string{`/settings/1/scope=null`}, want: []string{"/settings/1/scope wrong_type"}},
		"warning required":         {edits: []string{settingsAt + `/1/items/1/required=true`}, want: []string{settingsAt + "/1/items/1/required unknown_member"}},
		"warning default":          {edits: []string{settingsAt + `/1/items/1/defaultValue="x"`}, want: []string{settingsAt + "/1/items/1/defaultValue unknown_member"}},
		"value on input":           {edits: []string{settingsAt + `/0/value="x"`}, want: []string{settingsAt + "/0/value unknown_member"}},
		"setting default type":     {edits: []string{`/settings/1/defaultValue="yes"`}, want: []string{"/settings/1/defaultValue wrong_type"}},
		"setting default option":   {edits: []string{settingsAt + `/1/items/0/defaultValue="slow"`}, want: []string{settingsAt + "/1/items/0/defaultValue invalid_value"}, blind: true},
		"multiple":                 {edits: []string{settingsAt + `/1/items/0/multiple=true`}, want: []string{settingsAt + "/1/items/0/multiple unknown_member"}},
	}
}

// goodManifests are edits to the full manifest that break no rule.
func goodManifests() map[string][]string {
	return map[string][]string{
		"as it is":                    nil,
		"no options but custom":       {fields + "/2/options"},
		"default null":                {fields + "/3/defaultValue=null"},
		"default empty":               {fields + `/4/defaultValue=""`},
		"default integer as text":     {fields + "/1/defaultValue=7"},
		"default of a free selection": {fields + `/0/defaultValue="anything"`},
		"contactDependent warning":    {fields + "/7/contactDependent=true"},
		"empty pattern":               {fields + `/3/pattern=""`},
		"big const":                   {fields + `/1/options/-={"const":5578984350117917661,"title":"x"}`},
		"limits at their ends":        {"/run/limits/memoryMiB=16", "/run/limits/cpus=0.01", "/run/limits/concurrency=10000", `/run/limits/callTimeout="10m"`, `/run/limits/startTimeout="1ms"`},
		"no author's site":            {`/author/websiteUrl=""`},
		"only one host":               {`/run/egress=["crm"]`},
		"host with an underscore":     {`/run/egress=["*.my_crm.example"]`},
		"log page with port":          {`/logPageUrl="http://{hostname}:8080/#/log/{logId}"`},
		"log page elsewhere":          {`/logPageUrl="https://app.acme.example/{hostname}/{logId}"`},
		"empty log page":              {`/logPageUrl=""`},
		"no secret's default":         {"/settings/2/defaultValue=null"},
		"empty section":               {"/settings/0/items=[]"},
		"group at the top":            {`/settings/-={"id":"g","type":"group","name":"g","items":[]}`},
		"empty appConnect":            {"/appConnect={}"},
		"all platforms' own":          {`/run/files={"linux/386":"a","linux/arm":"b","linux/s390x":"c/d.e","darwin/amd64":"f+g"}`},
	}
}
