// Package pipedrive is the adapter for Pipedrive. It logs a message, or a group
// of messages of one conversation, as one activity that is done, by Pipedrive's
// API v2, and by v1 where only v1 exists (the user, the activity types).
//
// # What a call costs
//
// A message takes two requests: the person, for the organisation, and the
// activity. The activity types are asked for once in ten minutes and account, and
// the user only when the host does not know who owns the activity. A search is one
// list of the person's recent activities, and when nothing was found a look at the
// user and the person. The OAuth app needs the scopes activities:full and contacts:read.
//
// # Finding an activity again
//
// Pipedrive has no idempotency key and no search in notes. So the request's key
// stands on the last line of the note, and FindMessageLog reads the notes of all
// activities of the person that changed since the first attempt. It answers "not
// found" for an activity that it cannot see: one whose last line a user has taken
// out, and one that a user has given to another person or deleted. Each needs
// somebody to change the record in the minutes in which its outcome is unknown.
//
// Pipedrive may hide an activity from all but its owner and the admins. So an empty
// list is believed of an admin, of the owner that the request names, and, when it
// names none, of the credentials that made the activity. With credentials that are
// lent, or after a retry, nobody knows whose it is: the search cannot tell.
//
// # The manifest's reconcile values
//
// Pipedrive documents no time after which a request that nobody waits for any more
// is certain not to be applied. Common load balancers give up on a server after
// 60 s unless told otherwise, so applyWithin is 60 s: an assumption. A list is not
// a search and needs no index; searchLag, 30 s, is for a replica that is behind.
package pipedrive
