// Package render turns the messages of a request into the note that stands in a
// CRM record: as HTML, text or Markdown, with a subject line.
//
//	note := render.HTML(req)
//	note := render.MarkdownWith(req, render.Options{MaxLen: 4000, Marker: req.IdempotencyKey})
//
// A note shows, oldest first, when each message was made in the user's time
// zone, its direction and kind, from whom to whom, its text, what is attached,
// and for a voicemail the link to the recording. A group is one note. A message
// that occurs twice is shown once, in its latest version.
//
// Whatever came from outside is data: it is escaped for the format, control
// characters show as U+FFFD, and text that runs from right to left is isolated so
// that it cannot reorder what stands around it. No text is ever used as a
// pattern. Names and the like are cut to a line; only links with http or https
// become links, and no other address of a message is shown.
//
// All functions are pure and may be called concurrently.
package render

import (
	"cmp"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
)

// Defaults of Options.
const (
	DefaultTimeFormat = "2006-01-02 15:04:05 -07:00"
	DefaultMaxLen     = 30_000
)

// minLen is the least MaxLen: room for the line of one message and the mark.
const minLen = 256

// Options changes how a note looks. The zero value gives the defaults.
type Options struct {
	// Location is the time zone of the times. Default: the user's, req.Location().
	Location *time.Location
	// TimeFormat is a layout of package time. Default "2006-01-02 15:04:05 -07:00",
	// whose offset leaves no doubt: the names of zones are not unique, as PST,
	// which is Pacific and Philippine.
	TimeFormat string
	// MaxLen is the longest note, in characters (Unicode code points) of the
	// finished note, tags and escapes included. A longer note is cut, at its end
	// and between characters, and says so: "[… 120 characters cut]". Default
	// 30,000; less than 256 counts as 256. The Marker is never cut: a MaxLen with
	// no room for it is exceeded.
	MaxLen int
	// Marker is a text by which FindMessageLog recognises the record, usually
	// req.IdempotencyKey. It stands on the last line. Default: none.
	Marker string
}

func (o Options) withDefaults(req *sdk.AddMessageLogRequest) Options {
	if o.Location == nil {
		o.Location = req.Location()
	}
	o.TimeFormat = cmp.Or(o.TimeFormat, DefaultTimeFormat)
	if o.MaxLen == 0 {
		o.MaxLen = DefaultMaxLen
	}
	o.MaxLen = max(o.MaxLen, minLen)
	return o
}

// HTML returns the note as HTML: paragraphs, line breaks, bold and links, no
// styles.
func HTML(req *sdk.AddMessageLogRequest) string { return HTMLWith(req, Options{}) }

// HTMLWith is HTML with options.
func HTMLWith(req *sdk.AddMessageLogRequest, o Options) string { return render(req, o, htmlStyle{}) }

// Text returns the note as plain text. Message texts are indented, so that no
// text can pass for the line above another message.
func Text(req *sdk.AddMessageLogRequest) string { return TextWith(req, Options{}) }

// TextWith is Text with options.
func TextWith(req *sdk.AddMessageLogRequest, o Options) string { return render(req, o, textStyle{}) }

// Markdown returns the note as CommonMark that is right in GitHub's dialect too.
// Message texts are block quotes.
func Markdown(req *sdk.AddMessageLogRequest) string { return MarkdownWith(req, Options{}) }

// MarkdownWith is Markdown with options.
func MarkdownWith(req *sdk.AddMessageLogRequest, o Options) string {
	return render(req, o, markdownStyle{})
}

// Subject returns one line of plain text that says what the note is, as
// "SMS to Ada Lovelace". It is at most 200 characters long and not escaped.
func Subject(req *sdk.AddMessageLogRequest) string { return subject(req) }

func render(req *sdk.AddMessageLogRequest, o Options, s style) string {
	o = o.withDefaults(req)
	return layout(compose(req, o), footer(o), s, o.MaxLen)
}
