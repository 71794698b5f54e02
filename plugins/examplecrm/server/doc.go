// Package server is a small real CRM: contacts, activities, a web page, token
// authentication, and a search by external id. The adapter examplecrm logs into
// it, the demonstration runs against it, and tests use it as the judge of which
// messages were lost and which were logged twice.
//
// It is deliberately no help to its clients. It never removes duplicates: two
// creates with the same external id make two activities. Its search may lag
// behind its writes, and it finishes a request whose client has gone, as real
// CRMs do. Switches make it worse on purpose: see Switches.
//
// # The API for adapters
//
// Every request carries "Authorization: Bearer <token>", or "Basic" with the
// token as user name and an empty password.
//
//	POST   /activities         creates; 201 {"id":7,"createdAt":"..."}; see Draft
//	GET    /activities         searches; externalId, contactId, contactType, limit (50, at most 200), cursor;
//	                           200 {"items":[...],"nextCursor":"..."}, oldest first
//	GET    /activities/{id}    one activity; read by id, so without the search's lag
//	DELETE /activities/{id}    204
//	POST   /contacts           creates; the CRM chooses the id; 201
//	PUT    /contacts/{id}      creates or replaces; the query's type names the kind of contact
//	GET    /contacts           searches; phoneNumber, limit, cursor
//	GET    /contacts/{id}      one contact; the query's type names the kind of contact
//
// Bodies are read strictly: an unknown or repeated member, another JSON type or
// malformed text is 400; a value that is missing, empty or too long is 422. Errors
// are {"error":{"code":"...","message":"..."}} and never repeat a value.
//
// # Pages and judge
//
// A browser (Accept: text/html) gets pages at /, /activities/{id} and
// /contacts/{id}. Tests read and steer the CRM below /_control:
//
//	GET /_control/activities   every activity, without lag; cursor, limit (1,000, at most 10,000)
//	GET /_control/counts       see Counts
//	GET /_control/switches     the switches as they stand
//	PUT /_control/switches     replaces all switches
//	GET /_control/health       204
//
// Pages and control ask for no credentials. That is why the command listens on
// loopback only.
//
// # Storage
//
// All records are held in memory, where every question is answered. With a
// database file they are also written to SQLite, and read back at the next start.
// Writes that arrive together share a commit, and synchronous=OFF leaves the
// moment of writing to the operating system: the death of the process loses
// nothing that was answered, a power cut may. For a CRM whose purpose is to test
// others that is the right trade; it must not be the slowest part of a benchmark.
package server
