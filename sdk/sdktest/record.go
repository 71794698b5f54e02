package sdktest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
)

// EnvRecord names the environment variable with the path of the file to which a
// Scripted adapter appends a Record, as a line of JSON, for each call it gets.
const EnvRecord = "SDKTEST_RECORD"

// Record is what arrived at a Scripted adapter with one call.
type Record struct {
	Op        string `json:"op"` // "AddMessageLog" or "FindMessageLog"
	PID       int    `json:"pid"`
	RequestID string `json:"requestId"`

	Tenant         string    `json:"tenant"`
	IdempotencyKey string    `json:"idempotencyKey"`
	Attempt        int       `json:"attempt"`
	NotAfter       time.Time `json:"notAfter"`
	Deadline       time.Time `json:"deadline"`

	// User and Contact are the objects as they came. Base64, so that no byte
	// changes on the way.
	User    []byte `json:"user"`
	Contact []byte `json:"contact"`
	// Typed fields, as the adapter sees them.
	UserID      sdk.ID `json:"userId"`
	Hostname    string `json:"hostname"`
	ContactID   sdk.ID `json:"contactId"`
	ContactType string `json:"contactType"`
	PhoneNumber string `json:"phoneNumber"`
	ContactName string `json:"contactName"`
	// AuthHeader is the secret itself.
	AuthHeader string `json:"authHeader"`
	// Messages are the records as they came.
	Messages             [][]byte   `json:"messages"`
	MessageIDs           []string   `json:"messageIds"`
	ConversationIDs      []string   `json:"conversationIds"`
	AdditionalSubmission sdk.Values `json:"additionalSubmission"`
	Settings             sdk.Values `json:"settings"`
	RecordingLink        string     `json:"recordingLink"`
	Zone                 string     `json:"zone"`
	OffsetSeconds        int        `json:"offsetSeconds"`
	// LocalTime is the first message's time in the user's zone.
	LocalTime string `json:"localTime"`

	// SentAfter and SentBefore are those of FindMessageLog.
	SentAfter  time.Time `json:"sentAfter"`
	SentBefore time.Time `json:"sentBefore"`
}

func newRecord(op, requestID string, r *sdk.AddMessageLogRequest) Record {
	out := Record{
		Op: op, PID: os.Getpid(), RequestID: requestID,
		Tenant: r.Tenant, IdempotencyKey: r.IdempotencyKey, Attempt: r.Attempt,
		NotAfter: r.NotAfter, Deadline: r.Deadline,
		User: r.User.Raw, Contact: r.ContactInfo.Raw,
		UserID: r.User.ID, Hostname: r.User.Hostname,
		ContactID: r.ContactInfo.ID, ContactType: r.ContactInfo.Type,
		PhoneNumber: r.ContactInfo.PhoneNumber, ContactName: r.ContactInfo.Name,
		AuthHeader:           r.AuthHeader.Reveal(),
		AdditionalSubmission: r.AdditionalSubmission, Settings: r.Settings,
		RecordingLink: r.RecordingLink, Zone: r.Zone, OffsetSeconds: r.OffsetSeconds,
	}
	for i, m := range r.Messages {
		if i == 0 {
			out.LocalTime = m.CreationTime.In(r.Location()).Format(time.RFC3339)
		}
		out.Messages = append(out.Messages, m.Raw)
		out.MessageIDs = append(out.MessageIDs, m.ID.String())
		out.ConversationIDs = append(out.ConversationIDs, m.ConversationID.String())
	}
	return out
}

// recorder appends records to a file. The zero value records nothing.
type recorder struct {
	path string
	mu   sync.Mutex // one line at a time
}

func (r *recorder) add(record Record) error {
	if r.path == "" {
		return nil
	}
	line, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// The file holds secrets of tests: for its owner only.
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open record file: %w", err)
	}
	if _, err = f.Write(append(line, '\n')); err != nil {
		_ = f.Close()
		return fmt.Errorf("append record: %w", err)
	}
	return f.Close()
}

// ReadRecords reads the file of EnvRecord: one record for each call, in the order
// in which they arrived. A missing file holds none.
func ReadRecords(t *testing.T, path string) []Record {
	t.Helper()
	raw, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatalf("read records: %v", err)
	}
	var out []Record
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, len(raw)+1)
	for lines.Scan() {
		var r Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("read record %d: %v", len(out), err)
		}
		out = append(out, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("read records: %v", err)
	}
	return out
}
