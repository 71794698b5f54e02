// Command packtool makes adapter packages during a build.
//
//	packtool -out dist/adapters -manifest manifests/examplecrm.json -binary dist/tmp/examplecrm
//
// makes dist/adapters/examplecrm/<version> with the manifest, the executable and
// checksums.txt. -binary may be given once per platform, as linux/arm64=path;
// without a platform it is the one of this program. It prints the package's
// folder.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/patchbay-crm/patchbay/host/catalog"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "packtool:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	in := catalog.PackInput{Executables: map[string]string{}}
	flags := flag.NewFlagSet("packtool", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&in.Out, "out", "dist/adapters", "adapters `folder` in which the package is made")
	flags.StringVar(&in.Manifest, "manifest", "", "`path` of the manifest")
	flags.Func("binary", "`path` of an executable, or os/arch=path; may be repeated", func(text string) error {
		platform, path, ok := strings.Cut(text, "=")
		if !ok {
			platform, path = runtime.GOOS+"/"+runtime.GOARCH, text
		}
		if _, twice := in.Executables[platform]; twice {
			return fmt.Errorf("a second executable for %s", platform)
		}
		in.Executables[platform] = path
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if in.Manifest == "" || flags.NArg() > 0 {
		flags.Usage()
		return errors.New("-manifest is required, and nothing but flags is taken")
	}
	p, err := catalog.Pack(ctx, in)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, p.Dir)
	return err
}
