package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/patchbay-crm/patchbay/sdk"
)

// maxSecret is the largest file of a secret, in bytes.
const maxSecret = 64 << 10

func secretsTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "secrets",
		Short: "How to give tokens and authorization headers",
		Long: `The value of a flag can be seen by every user of the machine (ps), and stays in
the shell's history. So secrets are taken from files and from environment
variables only:

  --token @FILE          or  PATCHBAY_TOKEN        the API token of the host
  --auth-header @FILE    or  PATCHBAY_AUTH_HEADER  the Authorization header for the CRM

The file holds the secret on one line. A shell can make one on the fly:

  patchbay message retry ID --tenant acme --auth-header @<(pass show crm/header)

Without either, commands that talk to a host on this machine read the admin token
where its configuration has it: in adminTokenFile, else in dataDir, by --config,
PATCHBAY_CONFIG, PATCHBAY_ADMIN_TOKEN_FILE or PATCHBAY_DATA_DIR, else in
var/admin.token. That one is never sent to another machine.`,
	}
}

// secret returns the secret that a flag or else a variable names; the zero secret
// when neither is given. A flag that holds the secret itself is refused.
func (a *app) secret(flag, value, variable string) (sdk.Secret, error) {
	if value == "" {
		return oneLine(variable, a.env.variable(variable))
	}
	name, ok := strings.CutPrefix(value, "@")
	if !ok {
		return sdk.Secret{}, usagef("%s takes a file as @FILE, not the secret itself: every user of the machine can see the values of flags. "+
			"Put it into a file, or into %s", flag, variable)
	}
	secret, err := secretFile(name)
	if err != nil {
		return sdk.Secret{}, err
	}
	if secret.IsZero() {
		return sdk.Secret{}, usagef("read the secret for %s: %s is empty", flag, name)
	}
	return secret, nil
}

// secretFile reads a secret from a file, without the white space around it.
func secretFile(name string) (sdk.Secret, error) {
	data, err := readFile(name, maxSecret)
	if err != nil {
		return sdk.Secret{}, fmt.Errorf("read the secret: %w", err)
	}
	return oneLine(name, string(data))
}

// oneLine returns the text as a secret, without the white space around it. Text
// that no HTTP header can hold is refused here, where its place is known.
func oneLine(place, text string) (sdk.Secret, error) {
	text = strings.TrimSpace(text)
	if strings.ContainsAny(text, "\r\n") {
		return sdk.Secret{}, usagef("read the secret: %s holds more than one line", place)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return sdk.Secret{}, usagef("read the secret: %s holds a control character; write the secret alone, as plain text", place)
	}
	return sdk.NewSecret(text), nil
}

var errTooLarge = errors.New("the file is too large")

// readFile reads a file of at most limit bytes.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return readAll(f, limit)
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%w: more than %d bytes", errTooLarge, limit)
	}
	return data, err
}

// input reads the file that an argument names; "-" is standard input.
func (a *app) input(name string, limit int64) ([]byte, error) {
	if name == "-" {
		return readAll(a.env.In, limit)
	}
	return readFile(strings.TrimPrefix(name, "@"), limit)
}
