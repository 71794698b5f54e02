// Package pipedrivetest is a strict fake of Pipedrive's API, for tests of the
// adapter, for the demonstration, and as the judge of what was logged twice.
//
// It refuses what Pipedrive refuses, and what its documentation does not promise
// to accept. It is no help to its clients: two equal creates make two activities,
// there is no search over notes and no idempotency key. Everything is in memory
// and bounded. Switches make it misbehave on purpose: see Switches.
//
// # Use
//
//	fake, err := pipedrivetest.New(pipedrivetest.Config{
//		Tokens: []pipedrivetest.Token{{Text: "secret"}},
//	})
//	web := httptest.NewServer(fake.Handler())
//	// afterwards: fake.Close() first, then web.Close()
//
// In a process of its own it is the command cmd/pipedrive-fake.
//
// A Fake is one account. Without other seed data it has
//
//	users          1001 Grace Hopper (+08:00; the tokens' user), 1002 Edsger Dijkstra
//	persons        7 Ada Lovelace, of organization 70; 8 Charles Babbage, of none
//	organizations  70, 71
//	deals          500, 501
//	leads          adf21080-0e10-11eb-879b-05d71fb426ec, 3d2f1c60-77aa-4f0e-9d6b-2d9f3b1c5a11
//	activity types call, meeting, sms; and fax, which is not active
//
// # The API
//
//	POST   /api/v2/activities        creates; 200, see Config.CreatedStatus
//	GET    /api/v2/activities        lists; see below
//	GET    /api/v2/activities/{id}   a deleted one has is_deleted true
//	PATCH  /api/v2/activities/{id}   changes what is given
//	DELETE /api/v2/activities/{id}   marks as deleted
//	GET    /api/v2/persons/{id}
//	GET    /v1/users/me              also below /api/v1
//	GET    /v1/activityTypes         also below /api/v1; inactive ones included
//
// The list takes ids, owner_id, person_id (the primary participant), deal_id,
// lead_id, org_id, done, updated_since (inclusive), updated_until (exclusive),
// sort_by (id, update_time, add_time, due_date), sort_direction, include_fields,
// limit (100, at most 500) and cursor. Times in answers have whole seconds;
// updated_since and updated_until with a fraction of a second are refused, as by
// Pipedrive. A cursor of another order is refused; a cursor stays valid while
// activities come and go. Users with OwnOnly see their own activities only.
//
// The header must be "Authorization: Bearer <token>": none or an unknown token is
// 401, another form 400, a token without the scope 403 "Scope and URL mismatch".
// Notes lose comments and active HTML. A request body must be application/json (415) and one JSON object. Members that
// a client may write are subject, type, owner_id, deal_id, lead_id, org_id,
// project_id, due_date, due_time, duration, busy, done, location, participants,
// attendees, public_description, priority and note; every other one is 400, and so
// is a string for a number, a number or string for a boolean, a wrong format, an
// empty deal_id, a deal together with a lead, participants without exactly one
// primary, an unknown person, organization, deal, lead or owner, a type that is
// unknown or not active, a subject above 255 characters, and a note above 100,000
// bytes. Refusals are in the envelope of their version; those of the gateway (403,
// 429) are in version 1's. They never repeat a value.
//
// # Limits
//
// Every answer carries x-ratelimit-limit, -remaining and -reset (whole seconds)
// of the token's window of two seconds, and x-daily-ratelimit-token-limit and
// -remaining of the account's daily budget, which ends at midnight UTC. Beyond
// either it is 429: with the seconds to the end of the window, or, with a message
// that names the "API daily token budget", to midnight. The real window is a
// rolling one; the fake's begins with the first request after the one before.
//
// # Faults
//
// A fault strikes requests that are in order, after the checks, by route and
// method. PUT /_control/switches, or SetSwitches, replaces all of them:
//
//	{"listLag": "2s", "slow": "0s", "faults": [
//	  {"route": "activities", "method": "POST", "do": "status", "status": 503, "retryAfter": "3", "next": 2},
//	  {"method": "POST", "do": "status", "status": 429, "rateLimitReset": 2},
//	  {"method": "POST", "do": "status", "status": 403, "junk": "html"},
//	  {"method": "POST", "do": "status", "status": 500, "when": "after"},
//	  {"method": "POST", "do": "garbage", "junk": "truncated"},
//	  {"method": "POST", "do": "reset", "when": "after"},
//	  {"method": "POST", "do": "late", "delay": "1s"},
//	  {"method": "POST", "do": "late", "delay": "1s", "held": true},
//	  {"route": "person", "do": "slow", "delay": "500ms", "skip": 1}
//	]}
//
// # Judge
//
// With Config.Control, and for loopback addresses only:
//
//	GET  /_control/health      204
//	GET  /_control/counts      see Counts
//	GET  /_control/activities  every activity, without lag, with its markers: {"items":[...],"after":id|null};
//	                           after, limit (1,000, at most 10,000)
//	GET  /_control/requests    the latest requests to the API: {"items":[...],"dropped":n}; see Request
//	GET  /_control/switches    the switches as they stand; spent faults are gone
//	PUT  /_control/switches    replaces all switches
//	POST /_control/seed        see Seeding: {"personId":7,"count":600,"from":"2026-01-02T03:04:05Z","step":"1s"}
//
// GET /activities/{id} is a page for people; it asks for no credentials, and
// answers loopback addresses only.
package pipedrivetest
