package httpapi

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// The number of items on a page.
const (
	defaultLimit = 50
	maxLimit     = 500
)

// page is one page of a list.
type page[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"nextCursor" doc:"Send it as cursor to get the next page; null at the end."`
}

// PageInput are the query parameters of every list.
type PageInput struct {
	Limit  limitParam `query:"limit" doc:"The most items to answer with."`
	Cursor string     `query:"cursor" doc:"The nextCursor of the page before."`
}

// newPage returns a page; next is where the next one begins, empty at the end.
func newPage[T any](items []T, next string) page[T] {
	if items == nil {
		items = []T{}
	}
	p := page[T]{Items: items}
	if next != "" {
		cursor := base64.RawURLEncoding.EncodeToString([]byte(cursorMark + next))
		p.NextCursor = &cursor
	}
	return p
}

// cursorMark begins every cursor, so that it is no one's own id by chance.
const (
	cursorMark = "1:"
	maxCursor  = 512
)

// read returns what the parameters ask for.
func (in PageInput) read(faults *strictjson.Faults) (after string, limit int) {
	limit = defaultLimit
	if in.Limit != "" {
		n, err := strconv.Atoi(string(in.Limit))
		if err != nil || n < 1 || n > maxLimit {
			faults.AddAt("?limit", strictjson.CodeInvalid, "must be a whole number from 1 to %d", maxLimit)
		}
		limit = n
	}
	if in.Cursor == "" {
		return "", limit
	}
	raw, err := base64.RawURLEncoding.DecodeString(in.Cursor)
	after, ok := strings.CutPrefix(string(raw), cursorMark)
	if err != nil || !ok || len(in.Cursor) > maxCursor {
		faults.AddAt("?cursor", strictjson.CodeInvalid, "must be the nextCursor of the page before")
	}
	return after, limit
}
