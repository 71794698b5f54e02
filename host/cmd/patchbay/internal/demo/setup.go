package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	tenantID    = "demo"
	adapterName = "examplecrm"
	contactID   = "7"
	contactType = "person"
)

// demo is one demonstration.
type demo struct {
	out              io.Writer
	patchbay         string // the executable of the host and of its commands
	examplecrmServer string // the executable of the CRM
	pipedriveServer  string // the executable of the fake of Pipedrive
	dir              string

	crmToken         string
	crm              *process
	crmURL           string
	pipedriveFake    *process // the fake of Pipedrive
	pipedriveFakeURL string
	activityPage     string // of the activity in the fake of Pipedrive
	host             *process
	hostURL          string
	hostLog          *os.File

	first string // log ID of the first message
}

func (d *demo) tokenFile() string { return filepath.Join(d.dir, "data", "admin.token") }
func (d *demo) logFile() string   { return filepath.Join(d.dir, "host.log") }

// end ends the host, then the CRMs.
func (d *demo) end() error {
	err := errors.Join(d.host.end(), d.crm.end(), d.pipedriveFake.end())
	if d.hostLog != nil {
		err = errors.Join(err, d.hostLog.Close())
	}
	return err
}

// start starts the CRMs and the host, and gives the first CRM a contact.
func (d *demo) start(ctx context.Context) (err error) {
	if err := d.files(); err != nil {
		return err
	}
	d.crmToken = rand.Text()
	crm := exec.Command(d.examplecrmServer) //nolint:gosec,noctx // ours; ended by process.end
	crm.Env = environment("EXAMPLECRM_TOKENS=" + d.crmToken)
	if d.crm, d.crmURL, err = spawn(ctx, "the example CRM", crm, (*exec.Cmd).StdoutPipe, crmAddress); err != nil {
		return err
	}
	d.okf("CRM at %s (pid %d)", d.crmURL, d.crm.cmd.Process.Pid)
	contact := map[string]string{"name": "Ada Lovelace", "phoneNumber": "+16505553204"}
	if err := d.askCRM(ctx, http.MethodPut, "/contacts/"+contactID+"?type="+contactType, contact, nil); err != nil {
		return err
	}
	if err := d.startPipedrive(ctx); err != nil {
		return err
	}
	return d.startHost(ctx)
}

// crmAddress finds the address in what the CRM prints.
func crmAddress(line []byte) string {
	var ready struct {
		URL string `json:"url"`
	}
	if json.Unmarshal(line, &ready) != nil {
		return ""
	}
	return ready.URL
}

// files writes the messages, the CRM's authorization header comes later by a
// variable.
func (d *demo) files() error {
	for _, name := range []string{"message.json", "group.json", "later.json"} {
		data, err := messages.ReadFile("testdata/" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(d.dir, name), data, 0o600)
		}
		if err != nil {
			return fmt.Errorf("write the messages: %w", err)
		}
	}
	return nil
}

// configuration is the host's. The reconcile values are small, for a CRM that
// answers at once.
const configuration = `listen: 127.0.0.1:0
dataDir: %q
adaptersDirs: [%q]
logFormat: json
drainTimeout: 5s
adapters:
  examplecrm:
    env: {EXAMPLECRM_BASE_URL: %q}
    allowPrivate: ["127.0.0.1"]
    limits: {callTimeout: 2s}
    reconcile: {applyWithin: 1s, searchLag: 1s}
  pipedrive:
    env: {PIPEDRIVE_BASE_URL: %q}
    allowPrivate: ["127.0.0.1"]
    limits: {callTimeout: 2s}
    reconcile: {applyWithin: 1s, searchLag: 1s}
`

func (d *demo) startHost(ctx context.Context) (err error) {
	adapters := filepath.Join(filepath.Dir(filepath.Dir(d.patchbay)), "adapters")
	config := fmt.Sprintf(configuration, filepath.Join(d.dir, "data"), adapters, d.crmURL, d.pipedriveFakeURL)
	file := filepath.Join(d.dir, "patchbay.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	if d.hostLog, err = os.OpenFile(d.logFile(), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600); err != nil {
		return fmt.Errorf("make the log: %w", err)
	}
	host := exec.Command(d.patchbay, "serve", "--config", file) //nolint:gosec,noctx // ours; ended by process.end
	host.Env = environment()
	d.host, d.hostURL, err = spawn(ctx, "the host", host, (*exec.Cmd).StderrPipe, func(line []byte) string {
		_, _ = fmt.Fprintf(d.hostLog, "%s\n", line)
		return hostAddress(line)
	})
	if err == nil {
		d.okf("host at %s (pid %d)", d.hostURL, d.host.cmd.Process.Pid)
	}
	return err
}

// hostAddress finds the address in the host's log.
func hostAddress(line []byte) string {
	var record struct {
		Msg     string `json:"msg"`
		Address string `json:"address"`
	}
	if json.Unmarshal(line, &record) != nil || record.Msg != "host started" {
		return ""
	}
	return "http://" + record.Address
}

// answer is what a command answered.
type answer struct {
	code        int
	out, errors string
}

// do runs a patchbay command against the host, as a user would type it, and shows
// it.
func (d *demo) do(ctx context.Context, args ...string) (answer, error) {
	d.sayf("   $ patchbay %s\n", strings.Join(args, " "))
	return d.quietly(ctx, args...)
}

// quietly runs a command without showing it.
func (d *demo) quietly(ctx context.Context, args ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.patchbay, args...) //nolint:gosec // ours
	cmd.Dir = d.dir
	cmd.Env = environment("PATCHBAY_SERVER="+d.hostURL, "PATCHBAY_TENANT="+tenantID,
		"PATCHBAY_ADMIN_TOKEN_FILE="+d.tokenFile(), "PATCHBAY_AUTH_HEADER=Bearer "+d.crmToken)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return answer{}, fmt.Errorf("run patchbay %s: %w", args[0], err)
	}
	return answer{cmd.ProcessState.ExitCode(), out.String(), errs.String()}, nil
}

// must runs a command that has to succeed.
func (d *demo) must(ctx context.Context, args ...string) (answer, error) {
	a, err := d.do(ctx, args...)
	if err == nil && a.code != 0 {
		err = fmt.Errorf("it ended with exit code %d: %s", a.code, strings.TrimSpace(a.errors))
	}
	return a, err
}

// decode runs a command without showing it, and decodes its JSON.
func (d *demo) decode(ctx context.Context, into any, args ...string) error {
	a, err := d.quietly(ctx, append(args, "--json")...)
	if err != nil {
		return err
	}
	if a.code != 0 {
		return fmt.Errorf("patchbay %s ended with exit code %d: %s", strings.Join(args, " "), a.code, strings.TrimSpace(a.errors))
	}
	if err := json.Unmarshal([]byte(a.out), into); err != nil {
		return fmt.Errorf("read what patchbay %s printed: %w", strings.Join(args, " "), err)
	}
	return nil
}

// askCRM sends a request to the CRM itself.
func (d *demo) askCRM(ctx context.Context, method, path string, body, into any) error {
	return d.ask(ctx, method, d.crmURL+path, body, into)
}

// ask sends a request to a CRM.
func (d *demo) ask(ctx context.Context, method, url string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("ask the CRM: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("ask the CRM: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+d.crmToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the CRM: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("ask the CRM: %s %s answered %s", method, url, resp.Status)
	}
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("read the CRM's answer: %w", err)
	}
	return nil
}
