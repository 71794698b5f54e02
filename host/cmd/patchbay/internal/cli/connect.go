package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/patchbay-crm/patchbay/host/config"
)

// clientFlags are the flags of every command that talks to a host.
type clientFlags struct {
	server string
	token  string
	config string
}

// clientFlagNames are the names of those that say which host, and who asks.
var clientFlagNames = []string{"server", "token", "config"}

// on adds the flags to a command and all below it.
func (f *clientFlags) on(a *app, cmd *cobra.Command) *cobra.Command {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.server, "server", "", "URL of the host (default $PATCHBAY_SERVER, else where the configuration has it listen: http://127.0.0.1:8080)")
	flags.StringVar(&f.token, "token", "", "file of the API token as @FILE (default $PATCHBAY_TOKEN, else the admin token of a host on this machine)")
	flags.StringVar(&f.config, "config", "", "YAML file of the host's configuration, when it runs on this machine (default $PATCHBAY_CONFIG, else none)")
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

// connect returns a client of the host that the flags and variables name, else of
// the one whose configuration they name. The configuration is read only for what
// they leave open.
func (a *app) connect() (*client, error) {
	token, err := a.secret("--token", a.client.token, "PATCHBAY_TOKEN")
	if err != nil {
		return nil, err
	}
	var own *config.Config
	server := cmp.Or(a.client.server, a.env.variable("PATCHBAY_SERVER"))
	if server == "" {
		if own, err = a.ownConfig(); err != nil {
			return nil, err
		}
		if server = own.LocalURL(); server == "" {
			return nil, usagef("the configuration lets the host pick its port: take it from the host's log, and name the host with --server or PATCHBAY_SERVER")
		}
	}
	c, err := newClient(server, token)
	if err != nil {
		return nil, err
	}
	c.here = own != nil || c.loopback()
	c.sent = "the token of " + cmp.Or(a.client.token, "PATCHBAY_TOKEN")
	if token.IsZero() {
		c.sent = "no token"
		if c.here {
			if err := a.localToken(c, own); err != nil {
				return nil, err
			}
		}
	}
	if !c.token.IsZero() && c.server.Scheme == "http" && !c.here {
		fmt.Fprintf(a.env.Err, "Warning: the token goes to %s without encryption; use https.\n", c.server.Host)
	}
	return c, nil
}

// ownConfig returns the configuration of a host on this machine: what "patchbay
// serve" would read, apart from its flags.
func (a *app) ownConfig() (*config.Config, error) {
	c, _, err := config.Load(a.sources(a.client.config, nil))
	if err != nil {
		return nil, configFault(err)
	}
	return c, nil
}

// localToken gives the client the admin token of the host on this machine, when it
// can be read. It is never sent to another machine. own may be nil.
func (a *app) localToken(c *client, own *config.Config) (err error) {
	if own == nil {
		if own, err = a.ownConfig(); err != nil {
			return err
		}
	}
	c.token, err = secretFile(own.AdminTokenFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.sent = "no token: there is no " + own.AdminTokenFile
	case errors.Is(err, fs.ErrPermission):
		c.sent = "no token: this user may not read " + own.AdminTokenFile
	default:
		c.sent = "the admin token in " + own.AdminTokenFile
		return err
	}
	return nil
}
