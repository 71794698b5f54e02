package launch

import (
	"io"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/patchbay-crm/patchbay/host/supervisor"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// serveVersions is the main function of an adapter that serves these protocol
// versions. Each answers with a fault of its own, so that a host can tell which
// of them it got. The messages of all are those of version 1.
func serveVersions(served []string) {
	faults := map[string]string{"1": "error:crm_rejected", "2": "error:unsupported"}
	sets := map[int]plugin.PluginSet{}
	for _, name := range served {
		version, err := strconv.Atoi(name)
		if err != nil {
			panic(err)
		}
		server := rpc.NewServer(sdktest.Scripted(faults[name]), slog.New(slog.DiscardHandler))
		sets[version] = rpc.Plugins(server)[1]
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: rpc.Handshake, VersionedPlugins: sets, GRPCServer: rpc.NewGRPCServer,
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard}),
	})
}

// hostSpeaks makes l one of a host that speaks these protocol versions.
func hostSpeaks(l *Launcher, spoken ...int) {
	l.plugins = func(server *rpc.Server) map[int]plugin.PluginSet {
		sets := map[int]plugin.PluginSet{}
		for _, version := range spoken {
			sets[version] = rpc.Plugins(server)[1]
		}
		return sets
	}
}

// TestProtocolVersions has hosts and adapters of two protocol versions meet: each
// pair speaks the newest that both know.
func TestProtocolVersions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		host    []int
		adapter string
		want    string // the code with which the version that was chosen answers
		refused string // or a part of why the process is refused
	}{
		"both new":              {host: []int{1, 2}, adapter: "1 2", want: "unsupported"},
		"old adapter":           {host: []int{1, 2}, adapter: "1", want: "crm_rejected"},
		"old host":              {host: []int{1}, adapter: "1 2", want: "crm_rejected"},
		"only new on both ends": {host: []int{2}, adapter: "2", want: "unsupported"},
		"adapter too new":       {host: []int{1}, adapter: "2", refused: "speaks protocol version 2, this host version 1"},
		"adapter far too new":   {host: []int{1, 2}, adapter: "9", refused: "speaks protocol version 9, this host versions 1, 2"},
		"adapter too old":       {host: []int{2}, adapter: "1", refused: "speaks protocol version 1, this host version 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := launcher(t, nil)
			hostSpeaks(l, c.host...)
			if c.refused != "" {
				if why := refused(t, l, adapter("speaks "+c.adapter)); why.Cause != supervisor.ProtocolMismatch || !strings.Contains(why.Detail, c.refused) {
					t.Errorf("cause %s, detail %q", why.Cause, why.Detail)
				}
				return
			}
			inst := start(t, l, adapter("speaks "+c.adapter))
			_, err := inst.Client().AddMessageLog(t.Context(), sdktest.Request())
			if got := fault.CodeOf(err); string(got) != c.want {
				t.Errorf("answered by %v, want %s", err, c.want)
			}
		})
	}
}
