package pipedrivetest

import "regexp"

// unkept is what does not survive in a note: comments, and elements and
// attributes that act. Pipedrive says of notes that they are subject to
// sanitization, and not how: https://developers.pipedrive.com/docs/api/v1/Notes. A
// client that looks for what it wrote must look for visible text.
var unkept = regexp.MustCompile(`(?is)<!--.*?-->` +
	`|<script\b.*?</script\s*>|<style\b.*?</style\s*>|<iframe\b.*?</iframe\s*>`)

// handlers are attributes of a tag that act.
var handlers = regexp.MustCompile(`(?i)(<[a-z][^<>]*?)\s+on[a-z]+\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)`)

// sanitize returns a note as the CRM keeps it.
func sanitize(note string) string {
	return handlers.ReplaceAllString(unkept.ReplaceAllString(note, ""), "$1")
}
