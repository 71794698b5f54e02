package cli

import (
	"encoding/json"
	"fmt"
	"regexp"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/patchbay-crm/patchbay/host/catalog"
)

// packedInfo is a package that was made, as --json prints it.
type packedInfo struct {
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	Dir       string   `json:"dir"`
	Digest    string   `json:"digest"`
	Platforms []string `json:"platforms"`
	Replaced  bool     `json:"replaced"`
}

func (a *app) adapterPack() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "pack MANIFEST BINARY...", Short: "Make an adapter package of a manifest and executables",
		Long: `Checks the manifest and makes the package <out>/<name>/<version> with the manifest,
the executables under the names that run.files gives them, and checksums.txt. It
needs no host. A host takes packages from its adaptersDirs when it starts, and when
"patchbay adapter install" tells it to.

BINARY is an executable for this platform, or OS/ARCH=PATH for another one. The
manifest must name each platform; not every platform of the manifest is needed.

The package appears whole or not at all. Nothing but what is named goes into it,
and the same input gives the same digest. A host pins the digest of a version that
it has seen: a package that has changed needs a new version, or to be installed.`,
		Example: `  patchbay adapter pack manifest.json ./acme
  patchbay adapter pack manifest.json linux/amd64=build/acme-amd64 linux/arm64=build/acme-arm64 --out /opt/adapters`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			executables, err := binaries(args[1:])
			if err != nil {
				return err
			}
			p, err := catalog.Pack(cmd.Context(), catalog.PackInput{Out: out, Manifest: args[0], Executables: executables})
			if err != nil {
				return err
			}
			return a.printPacked(p)
		},
	}
	cmd.Flags().StringVar(&out, "out", "dist/adapters", "directory of adapter packages in which it is made")
	return a.offline(cmd)
}

// withPlatform is a file with the platform that it is for. A path does not begin
// so, unless it has a folder of that name: then ./ in front helps.
var withPlatform = regexp.MustCompile(`^([a-z0-9]+/[a-z0-9]+)=(.+)$`)

// binaries reads the arguments that name executables.
func binaries(args []string) (map[string]string, error) {
	out := make(map[string]string, len(args))
	for _, arg := range args {
		platform, path := runtime.GOOS+"/"+runtime.GOARCH, arg
		if m := withPlatform.FindStringSubmatch(arg); m != nil {
			platform, path = m[1], m[2]
		}
		if out[platform] != "" {
			return nil, usagef("a second executable for %s; name the platform of each as OS/ARCH=PATH", platform)
		}
		out[platform] = path
	}
	return out, nil
}

func (a *app) printPacked(p catalog.Packed) error {
	if p.Replaced {
		fmt.Fprintf(a.env.Err, "Warning: %[1]s %[2]s was there with other contents. A host that has seen those refuses these (digest_mismatch) until it is told to take them: "+
			"patchbay adapter install %[1]s --version %[2]s. What you ship needs a new version.\n", p.Name, p.Version)
	}
	if a.asJSON {
		raw, err := json.Marshal(packedInfo(p))
		if err != nil {
			return fmt.Errorf("print the package: %w", err)
		}
		return a.writeJSON(raw)
	}
	return pairs(a.env.Out, [2]string{"package", p.Name + " " + p.Version}, [2]string{"folder", p.Dir},
		[2]string{"digest", p.Digest}, [2]string{"platforms", strings.Join(p.Platforms, " ")})
}

// offline makes cmd, one of the adapter commands, a command that talks to no host:
// it refuses the flags that say which, its help leaves them out, and its --json
// prints JSON of its own.
func (a *app) offline(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&a.asJSON, "json", false, "print JSON")
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, name := range clientFlagNames {
			if f := cmd.InheritedFlags().Lookup(name); f != nil && f.Changed {
				return usagef("--%s has no use here: the command talks to no host", name)
			}
		}
		return run(cmd, args)
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		var hidden []*pflag.Flag // which other commands share
		cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				f.Hidden, hidden = true, append(hidden, f)
			}
		})
		cmd.Parent().HelpFunc()(cmd, args)
		for _, f := range hidden {
			f.Hidden = false
		}
	})
	return cmd
}
