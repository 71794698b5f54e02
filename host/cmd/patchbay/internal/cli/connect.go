package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/patchbay-crm/patchbay/sdk"
)

const defaultServer = "http://127.0.0.1:8080"

// clientFlags are the flags of every command that talks to a host.
type clientFlags struct {
	server string
	token  string
}

// on adds the flags to a command and all below it.
func (f *clientFlags) on(a *app, cmd *cobra.Command) *cobra.Command {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.server, "server", "", "URL of the host (default $PATCHBAY_SERVER, else "+defaultServer+")")
	flags.StringVar(&f.token, "token", "", "file of the API token as @FILE (default $PATCHBAY_TOKEN, else the admin token of a host on this machine)")
	flags.BoolVar(&a.asJSON, "json", false, "print the host's JSON")
	cmd.GroupID = groupClient
	return cmd
}

// variable returns an environment variable, "" when it is not set.
func (e Environment) variable(name string) string {
	for _, pair := range e.Environ {
		if n, value, ok := strings.Cut(pair, "="); ok && n == name {
			return value
		}
	}
	return ""
}

// connect returns a client of the host that the flags and variables name.
func (a *app) connect() (*client, error) {
	server := cmp.Or(a.client.server, a.env.variable("PATCHBAY_SERVER"), defaultServer)
	token, err := a.secret("--token", a.client.token, "PATCHBAY_TOKEN")
	if err != nil {
		return nil, err
	}
	c, err := newClient(server, token)
	if err != nil {
		return nil, err
	}
	if token.IsZero() && c.local() {
		if c.token, err = a.localToken(); err != nil {
			return nil, err
		}
	}
	if !c.token.IsZero() && c.server.Scheme == "http" && !c.local() {
		fmt.Fprintf(a.env.Err, "Warning: the token goes to %s without encryption; use https.\n", c.server.Host)
	}
	return c, nil
}

// localToken returns the admin token of a host on this machine, when it can be
// read. It is never sent to another machine.
func (a *app) localToken() (sdk.Secret, error) {
	name := a.env.variable("PATCHBAY_ADMIN_TOKEN_FILE")
	if name == "" {
		name = filepath.Join(cmp.Or(a.env.variable("PATCHBAY_DATA_DIR"), "var"), "admin.token")
	}
	token, err := secretFile(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return sdk.Secret{}, nil
	}
	return token, err
}
