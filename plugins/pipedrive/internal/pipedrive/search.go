package pipedrive

import (
	"context"
	"encoding/json"
	"errors"
	"html"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// pageSizes are the pages that are asked for: the largest that Pipedrive gives, and
// smaller ones when its notes do not fit into an answer. Those of the last one do,
// however long they are, and however they are escaped.
var pageSizes = []int{500, 100, 20, 4}

// The bounds of a search.
const (
	// maxRequests bounds the pages that one search asks for.
	maxRequests = 40
	// clockMargin is how much earlier than the first attempt the search begins.
	// The attempt's time is the host's, an activity's is Pipedrive's, and a host
	// whose clock runs ahead by less than a day loses nothing. It costs a longer
	// list, of what one person did in a day.
	clockMargin = 24 * time.Hour
)

// FindMessageLog looks for the activities that AddMessageLog made for an earlier
// request whose outcome is not known, by the key on the last line of their notes.
// "Not found" makes the host send again, so it is answered only when Pipedrive has
// shown every page and absent finds nothing against it. What was found before a
// page failed is found. Everything else is "cannot tell".
func (a *Adapter) FindMessageLog(ctx context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	asOf := time.Now() // before the search: it says nothing about what is stored later
	s := search{adapter: a, req: req, sizes: pageSizes}
	err := s.run(ctx)
	if err == nil && s.complete && len(s.found) == 0 {
		err = s.absent(ctx)
	}
	if err != nil {
		slog.WarnContext(ctx, "search was cut short", "error", err, "found", len(s.found))
	}
	switch {
	case len(s.found) > 0: // true whatever came after it
		found := sdk.Found(s.ids()...)
		found.Complete = s.complete
		return found, nil
	case err != nil:
		return sdk.CannotTell(fault.RetryAfterOf(err)), nil
	case s.quoted > 0:
		slog.WarnContext(ctx, "search found the key in notes that do not end with it", "activities", s.quoted)
		return sdk.CannotTell(0), nil
	case !s.complete:
		slog.WarnContext(ctx, "search ended before the last page", "requests", maxRequests)
		return sdk.CannotTell(0), nil
	}
	return sdk.NotFound(asOf), nil
}

// search is one search under way.
type search struct {
	adapter *Adapter
	req     *sdk.FindMessageLogRequest
	person  int64
	sizes   []int // of pages, from that of the next one on

	found    []int64 // activities whose note ends with the key
	quoted   int     // activities whose note holds it elsewhere
	complete bool    // whether the last page was read
}

// run reads page after page.
func (s *search) run(ctx context.Context) error {
	if s.req.IdempotencyKey == "" {
		return errors.New("the search has no key to look for")
	}
	var err error
	if s.person, err = personOf(s.req.Original.ContactInfo); err != nil {
		return err
	}
	cursor := ""
	for range maxRequests {
		next, err := s.page(ctx, cursor)
		if errors.Is(err, errTooLarge) {
			continue // the same page, smaller
		}
		if err != nil {
			return err
		}
		if next == "" {
			s.complete = true
			return nil
		}
		cursor = next
	}
	return nil
}

// absent returns why an empty list does not show that there is no activity: the
// activity is of somebody whose work the credentials may not see, or the person is
// gone. An activity whose owner the request does not name is of the user whose
// credentials made it; those that a caller lends may be somebody else's.
// The activities of a person who was merged into another are the other's;
// so the person is asked for last, lest a merge comes between.
func (s *search) absent(ctx context.Context) error {
	owner := ownerOf(s.req.Original.User.ID)
	me, err := s.adapter.currentUser(ctx, s.req)
	if err != nil {
		return err
	}
	mine := owner == me.ID || owner == 0 && !s.req.Lent
	if !mine && !me.seesAll() {
		return errors.New("the credentials may not be the owner's, from whom alone nothing of this is hidden")
	}
	_, err = s.adapter.person(ctx, s.req, s.person)
	return err
}

// errTooLarge says that a page did not fit into an answer and the next one asked
// for is smaller.
var errTooLarge = errors.New("the page is too large")

// listed is an activity as a list shows it. The note is kept raw: one that is
// missing must not read as empty.
type listed struct {
	ID      int64           `json:"id"`
	Note    json.RawMessage `json:"note"` // text or null
	Deleted bool            `json:"is_deleted"`
}

// page reads one page and returns the cursor of the next one, "" on the last.
func (s *search) page(ctx context.Context, cursor string) (next string, err error) {
	var items []listed
	r := crmhttp.Request{Path: "/api/v2/activities", Query: s.query(cursor)}
	answer, err := s.adapter.exchange(ctx, s.req, r, &items)
	if err != nil {
		// Answered with 200, yet cut off: notes may have 100 kB each.
		if crmhttp.StatusOf(err) == http.StatusOK && len(s.sizes) > 1 {
			s.sizes = s.sizes[1:]
			return "", errTooLarge
		}
		return "", err
	}
	for _, item := range items {
		if err := s.look(item); err != nil {
			return "", err
		}
	}
	// The last page says that there is no next one. An answer without the word,
	// which is no JSON, is not a page: it may be cut short.
	var after *string
	if json.Unmarshal(answer.Additional.NextCursor, &after) != nil {
		return "", unusable("a page that does not say whether it is the last")
	}
	if after == nil {
		return "", nil
	}
	return *after, nil
}

// query asks for the person's activities that changed since the first attempt.
//
// There is no upper bound: Pipedrive compares with the time of the last change, so
// it would hide an activity that somebody edited after its creation. By id, a page
// stays where it is when an activity changes meanwhile, which by time it would not.
func (s *search) query(cursor string) url.Values {
	query := url.Values{
		"person_id": {strconv.FormatInt(s.person, 10)},
		"sort_by":   {"id"}, "sort_direction": {"asc"},
		"limit": {strconv.Itoa(s.sizes[0])},
	}
	if since := s.req.SentAfter; !since.IsZero() {
		query.Set("updated_since", since.Add(-clockMargin).UTC().Format(time.RFC3339))
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	return query
}

// look takes note of an activity when it is, or may be, one of those looked for.
func (s *search) look(item listed) error {
	var note *string
	if item.ID <= 0 || json.Unmarshal(item.Note, &note) != nil {
		return unusable("a malformed activity in its list")
	}
	if note == nil || item.Deleted { // in the bin it is no record any more
		return nil
	}
	switch ends, holds := marked(*note, s.req.IdempotencyKey); {
	case ends:
		s.found = append(s.found, item.ID)
	case holds:
		s.quoted++
	}
	return nil
}

// ids returns the found activities, oldest first, each once.
func (s *search) ids() []string {
	slices.Sort(s.found)
	var out []string
	for _, id := range slices.Compact(s.found) {
		out = append(out, strconv.FormatInt(id, 10))
	}
	return out
}

// marked reports whether the last word of a note is the key, as in each note that
// AddMessageLog makes, and whether the key stands anywhere in it. A key that is
// quoted, by a message or by somebody who copied it, must not pass for a record;
// nor may it be overlooked, for somebody may have written below our last line.
func marked(note, key string) (ends, holds bool) {
	if !strings.Contains(html.UnescapeString(note), key) {
		return false, false // as nearly all notes, and long ones too
	}
	words := strings.FieldsFunc(plain(note), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_'
	})
	return len(words) > 0 && words[len(words)-1] == key, slices.Contains(words, key)
}

// plain returns the text of an HTML note, with a space for each tag. In a note
// that AddMessageLog made, only tags have a "<".
func plain(note string) string {
	var out strings.Builder
	for {
		before, tag, found := strings.Cut(note, "<")
		out.WriteString(html.UnescapeString(before))
		if !found {
			return out.String()
		}
		out.WriteByte(' ')
		if _, note, found = strings.Cut(tag, ">"); !found {
			return out.String()
		}
	}
}
