package pipedrivetest

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// The defaults of Config.
const (
	defaultBurst         = 480     // Ultimate plan, OAuth: https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting
	defaultBudget        = 210_000 // 30,000 base tokens, times 7 on the Ultimate plan, for one seat
	defaultNoteLimit     = 100_000 // https://developers.pipedrive.com/changelog/post/breaking-change-updating-activities-note-field-limit-sizing-for-post-v1activities
	defaultSubjectLimit  = 255
	defaultMaxBytes      = 1 << 30
	defaultMaxConcurrent = 4096
	defaultJournal       = 1000
	maxBody              = 1 << 20
)

// defaultMarker matches the reference line that sdk/render ends a note with.
var defaultMarker = regexp.MustCompile(`Reference: ([0-9A-Za-z][0-9A-Za-z_.:-]*)`)

// Scope is what a token may do, as in Pipedrive's OAuth.
type Scope string

// The scopes that the fake's routes ask for. They are described at
// https://pipedrive.readme.io/docs/marketplace-scopes-and-permissions-explanations.
const (
	// Base allows GET /v1/users/me. Every token has it.
	Base Scope = "base"
	// ReadActivities allows to read activities and activity types.
	ReadActivities Scope = "activities:read"
	// FullActivities allows to write activities too.
	FullActivities Scope = "activities:full"
	// ReadContacts allows to read persons.
	ReadContacts Scope = "contacts:read"
)

// Token is a credential of the account.
type Token struct {
	// Text is the access token itself, without "Bearer".
	Text string
	// UserID is whose token it is; default the first user.
	UserID int64
	// Scopes are what it may do; nil allows everything, an empty list nothing but
	// Base.
	Scopes []Scope
}

// Costs are the tokens of the daily budget that requests take. The defaults are
// those of the documentation's table; version 2 of the API takes half of them.
type Costs struct {
	Get    int // reading one record; default 2
	List   int // reading a list; default 20
	Write  int // creating or changing one record; default 10
	Delete int // deleting one record; default 6
}

// Config configures a Fake. Lists that are nil take the seed data that the
// package comment describes.
type Config struct {
	// Tokens are the valid credentials; at least one.
	Tokens []Token
	// CompanyDomain is the account's name in its address; default "acme".
	CompanyDomain string

	Users         []User
	Organizations []Organization
	Persons       []Person
	Deals         []Deal
	Leads         []Lead
	ActivityTypes []ActivityType

	// Burst is how many requests each token may make in two seconds; default 480.
	Burst int
	// Budget is how many tokens of the daily budget all requests may take from one
	// midnight, UTC, to the next; default 210,000.
	Budget int
	// Costs are what requests take of the Budget.
	Costs Costs
	// RetryAfter makes the fake's own 429 answers carry Retry-After besides
	// x-ratelimit-reset. The documentation does not promise it.
	RetryAfter bool
	// NoteLimit is the longest note in bytes; default 100,000.
	NoteLimit int
	// SubjectLimit is the longest subject in characters; default 255.
	SubjectLimit int
	// CreatedStatus answers a create: 200, as the specification of version 2 says,
	// or 201, as the page of status codes says; default 200.
	CreatedStatus int

	// Now is the clock of limits, time stamps and the list's lag; default time.Now.
	// See ManualClock. Delays of switches are always real time.
	Now func() time.Time
	// Switches are the switches at the start. They can be changed at any time.
	Switches Switches
	// Control serves the routes below /_control, to loopback addresses only.
	Control bool
	// Marker finds the client's own reference in a note: its first group, or all of
	// it without a group. Default: the reference line of sdk/render.
	Marker *regexp.Regexp
	// Journal is how many requests the journal keeps; default 1,000.
	Journal int
	// MaxBytes bounds the activities, in bytes of memory, roughly; default 1 GiB.
	// Creates beyond it are answered with 507.
	MaxBytes int64
	// MaxConcurrent is how many requests are worked on at once, late writes
	// included; default 4,096. Further ones are answered with 503.
	MaxConcurrent int
}

func (c Config) withDefaults() Config {
	c.CompanyDomain = cmp.Or(c.CompanyDomain, "acme")
	c = c.withSeed()
	c.Burst = cmp.Or(c.Burst, defaultBurst)
	c.Budget = cmp.Or(c.Budget, defaultBudget)
	c.Costs.Get = cmp.Or(c.Costs.Get, 2)
	c.Costs.List = cmp.Or(c.Costs.List, 20)
	c.Costs.Write = cmp.Or(c.Costs.Write, 10)
	c.Costs.Delete = cmp.Or(c.Costs.Delete, 6)
	c.NoteLimit = cmp.Or(c.NoteLimit, defaultNoteLimit)
	c.SubjectLimit = cmp.Or(c.SubjectLimit, defaultSubjectLimit)
	c.CreatedStatus = cmp.Or(c.CreatedStatus, 200)
	c.Journal = cmp.Or(c.Journal, defaultJournal)
	c.MaxBytes = cmp.Or(c.MaxBytes, defaultMaxBytes)
	c.MaxConcurrent = cmp.Or(c.MaxConcurrent, defaultMaxConcurrent)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Marker == nil {
		c.Marker = defaultMarker
	}
	return c
}

func (c Config) validate() error {
	var faults []error
	if len(c.Tokens) == 0 {
		faults = append(faults, errors.New("Tokens: at least one is needed"))
	}
	known := make(map[int64]bool, len(c.Users))
	for _, u := range c.Users {
		known[u.ID] = true
	}
	for i, t := range c.Tokens {
		if t.Text == "" || strings.ContainsAny(t.Text, " \t\r\n") {
			faults = append(faults, fmt.Errorf("Tokens: number %d is empty or holds a space", i+1))
		}
		if t.UserID != 0 && !known[t.UserID] {
			faults = append(faults, fmt.Errorf("Tokens: number %d belongs to no user", i+1))
		}
	}
	if len(c.Users) == 0 || len(c.ActivityTypes) == 0 {
		faults = append(faults, errors.New("Users, ActivityTypes: at least one of each is needed"))
	}
	if min(c.Burst, c.Budget, c.NoteLimit, c.SubjectLimit, c.Journal, c.MaxConcurrent, int(c.MaxBytes)) < 0 ||
		min(c.Costs.Get, c.Costs.List, c.Costs.Write, c.Costs.Delete) < 0 {
		faults = append(faults, errors.New("limits: must not be negative"))
	}
	if c.CreatedStatus != 200 && c.CreatedStatus != 201 {
		faults = append(faults, errors.New("CreatedStatus: must be 200 or 201"))
	}
	if err := c.Switches.validate(); err != nil {
		faults = append(faults, fmt.Errorf("Switches: %w", err))
	}
	return errors.Join(faults...)
}
