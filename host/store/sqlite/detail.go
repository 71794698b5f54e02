package sqlite

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/patchbay-crm/patchbay/host/ledger"
)

// detail is what the column of that name holds: the fields of an entry that no
// query selects by. Times are as in the columns, 0 for none.
type detail struct {
	Account        string                `json:"account,omitzero"`
	Version        string                `json:"version,omitzero"`
	Messages       []string              `json:"messages"`
	Epoch          int64                 `json:"epoch"`
	Attempts       int                   `json:"attempts"`
	Async          bool                  `json:"async,omitzero"`
	CanFind        bool                  `json:"canFind,omitzero"`
	WindowEnd      int64                 `json:"windowEnd,omitzero"`
	SettlesAt      int64                 `json:"settlesAt,omitzero"`
	UnsettledUntil int64                 `json:"unsettledUntil,omitzero"`
	Audits         int                   `json:"audits,omitzero"`
	Finds          int                   `json:"finds,omitzero"`
	Crashes        int                   `json:"crashes,omitzero"`
	LogID          string                `json:"logId,omitzero"`
	LogURL         string                `json:"logUrl,omitzero"`
	Return         *ledger.ReturnMessage `json:"return,omitzero"`
	StrayIDs       []string              `json:"strayIds,omitzero"`
	Vanished       bool                  `json:"vanished,omitzero"`
	Problem        *ledger.Problem       `json:"problem,omitzero"`
	ReconciledAt   int64                 `json:"reconciledAt,omitzero"`
	Verdict        string                `json:"verdict,omitzero"`
	UpdatedAt      int64                 `json:"updatedAt,omitzero"`
	ForgottenAt    int64                 `json:"forgottenAt,omitzero"`
	FirstSentAt    int64                 `json:"firstSentAt,omitzero"`
}

// encodeDetail returns the detail column of the entry.
func encodeDetail(e *ledger.Entry) (string, error) {
	text, err := json.Marshal(&detail{
		Account: e.Account, Version: e.Version, Messages: e.Messages,
		Epoch: e.Epoch, Attempts: e.Attempts, Async: e.Async, CanFind: e.CanFind,
		WindowEnd: micros(e.WindowEnd), SettlesAt: micros(e.SettlesAt), UnsettledUntil: micros(e.UnsettledUntil),
		Audits: e.Audits, Finds: e.Finds, Crashes: e.Crashes,
		LogID: e.LogID, LogURL: e.LogURL, Return: e.Return, StrayIDs: e.StrayIDs,
		Vanished: e.Vanished, Problem: e.Problem,
		ReconciledAt: micros(e.ReconciledAt), Verdict: e.Verdict,
		UpdatedAt: micros(e.UpdatedAt), ForgottenAt: micros(e.ForgottenAt), FirstSentAt: micros(e.FirstSentAt),
	})
	if err != nil {
		return "", fmt.Errorf("encode entry %s: %w", e.ID, err)
	}
	return string(text), nil
}

// row is one row of entries, in the order of entryColumns.
type row struct {
	seq                                                      int64
	id, tenant, adapter, contactType, contactID, user, state string
	createdAt                                                int64
	nextAt                                                   *int64
	detail                                                   string
}

// targets are where Scan puts the columns.
func (r *row) targets() []any {
	return []any{
		&r.seq, &r.id, &r.tenant, &r.adapter, &r.contactType, &r.contactID, &r.user, &r.state,
		&r.createdAt, &r.nextAt, &r.detail,
	}
}

// record returns the entry of the row.
func (r *row) record() (*record, error) {
	var d detail
	if err := json.Unmarshal([]byte(r.detail), &d); err != nil {
		return nil, fmt.Errorf("decode entry %s: %w", r.id, err)
	}
	e := ledger.Entry{
		ID: r.id,
		Scope: ledger.Scope{
			Tenant: r.tenant, Adapter: r.adapter, Account: d.Account,
			ContactType: r.contactType, ContactID: r.contactID,
		},
		Version: d.Version, UserID: r.user, Messages: d.Messages, State: ledger.State(r.state),
		Epoch: d.Epoch, Attempts: d.Attempts, Async: d.Async, CanFind: d.CanFind,
		WindowEnd: moment(d.WindowEnd), SettlesAt: moment(d.SettlesAt), UnsettledUntil: moment(d.UnsettledUntil),
		Audits: d.Audits, Finds: d.Finds, Crashes: d.Crashes,
		LogID: d.LogID, LogURL: d.LogURL, Return: d.Return, StrayIDs: d.StrayIDs,
		Vanished: d.Vanished, Problem: d.Problem,
		ReconciledAt: moment(d.ReconciledAt), Verdict: d.Verdict,
		CreatedAt: moment(r.createdAt), UpdatedAt: moment(d.UpdatedAt),
		ForgottenAt: moment(d.ForgottenAt), FirstSentAt: moment(d.FirstSentAt),
	}
	if r.nextAt != nil {
		e.NextAt = moment(*r.nextAt)
	}
	return &record{seq: r.seq, entry: e}, nil
}

// micros returns the time as the database keeps it, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// moment is the inverse of micros.
func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// column returns the time as a column that is NULL for the zero time.
func column(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// rounded returns the entry with times as precise as the database keeps them, so
// that it is equal to itself read back.
func rounded(e ledger.Entry) ledger.Entry {
	for _, t := range [...]*time.Time{
		&e.WindowEnd, &e.SettlesAt, &e.UnsettledUntil, &e.NextAt, &e.ReconciledAt,
		&e.CreatedAt, &e.UpdatedAt, &e.ForgottenAt, &e.FirstSentAt,
	} {
		*t = t.UTC().Truncate(time.Microsecond)
	}
	return e
}
