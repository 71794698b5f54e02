package scaffold

// PulledIn are the modules of others that an adapter's program is made of, with the
// reason for each. It holds nothing of the host's. An adapter's go.mod names them,
// beside this module, before it requires anything of its own.
var PulledIn = map[string]string{
	"github.com/hashicorp/go-plugin": "the handshake, and the server that the host connects to",
	"github.com/hashicorp/go-hclog":  "go-plugin's logger, silenced",
	"github.com/hashicorp/yamux":     "go-plugin's older transport; not used, but part of it",
	"github.com/oklog/run":           "go-plugin waits for its parts with it",
	"github.com/fatih/color":         "go-hclog's colours",
	"github.com/mattn/go-colorable":  "go-hclog's colours on old terminals",
	"github.com/mattn/go-isatty":     "go-hclog asks whether there is a terminal",
	"github.com/golang/protobuf":     "the older API of protobuf, which go-plugin's stdio stream uses",

	"google.golang.org/grpc":                    "the wire between host and adapter",
	"google.golang.org/protobuf":                "the messages on that wire",
	"google.golang.org/genproto/googleapis/rpc": "the details of a status: class and time to wait of a fault",
	"golang.org/x/net":                          "gRPC's HTTP/2",
	"golang.org/x/sys":                          "gRPC and go-isatty ask the system with it",
	"golang.org/x/text":                         "golang.org/x/net writes host names with it",
}
