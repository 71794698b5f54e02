package pipedrive

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// settingType is the manifest's setting with the key_string of the activity type.
const settingType = "activityType"

// The life of what is remembered of an account.
const (
	// typesFor is how long an account's activity types are used unasked.
	typesFor = 10 * time.Minute
	// recheckAfter is how old they may be for a refusal: somebody who has just
	// made the type that was missing need not wait ten minutes, and an account
	// that refuses everything is asked once a minute, not with every message.
	recheckAfter = time.Minute
	// maxAccounts bounds the accounts that are remembered.
	maxAccounts = 200
	// maxTypes and maxKey, the latter in bytes, bound what is remembered of one:
	// all accounts take 3 MB at most. Types after the hundredth are not there for
	// the adapter, nor is one with a longer key_string; a longer name is cut.
	maxTypes = 100
	maxKey   = 64
)

// activityType is a kind of activity that an account has.
type activityType struct {
	Key    string `json:"key_string"`
	Name   string `json:"name"`
	Active bool   `json:"active_flag"`
}

// activityType returns the key_string of the type for the request's activity: the
// one that the tenant has set, else the account's own type for text messages. An
// account without one is a refusal; App Connect's users know it from there.
func (a *Adapter) activityType(ctx context.Context, req *sdk.AddMessageLogRequest) (string, error) {
	wanted := wantedType(req)
	types, fresh, err := a.activeTypes(ctx, req, typesFor)
	if err == nil && !fresh && choose(types, wanted) == "" {
		types, _, err = a.activeTypes(ctx, req, recheckAfter)
	}
	if err != nil {
		return "", err
	}
	if key := choose(types, wanted); key != "" {
		return key, nil
	}
	return "", noType(types, wanted)
}

// wantedType returns the key_string that the tenant has set, "" for none.
func wantedType(req *sdk.AddMessageLogRequest) string {
	return strings.TrimSpace(req.Setting(settingType).String())
}

// activeTypes returns the account's active types, none older than age; fresh is
// whether Pipedrive was asked for them by this call. One call asks at a time; the
// others wait for it until their context ends. When it fails, the next one asks:
// the failure may be that of its credentials.
func (a *Adapter) activeTypes(ctx context.Context, req *sdk.AddMessageLogRequest, age time.Duration) (types []activityType, fresh bool, err error) {
	owner := accountOf(req)
	if owner.host == "" {
		types, err = a.askForTypes(ctx, req)
		return types, true, err
	}
	for {
		types, known, busy := a.types.get(owner, age)
		if known {
			return types, false, nil
		}
		if busy == nil {
			break
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, false, &fault.Error{
				Code: fault.CRMUnavailable, Class: fault.Retryable, Err: ctx.Err(),
				Msg: "the call ended while it waited for the account's activity types",
			}
		}
	}
	defer a.types.done(owner)
	if types, err = a.askForTypes(ctx, req); err != nil {
		return nil, false, err
	}
	a.types.put(owner, types)
	return types, true, nil
}

// askForTypes asks Pipedrive for the account's active types.
func (a *Adapter) askForTypes(ctx context.Context, req *sdk.AddMessageLogRequest) ([]activityType, error) {
	var all []activityType
	if _, err := a.exchange(ctx, req, crmhttp.Request{Path: "/v1/activityTypes"}, &all); err != nil {
		return nil, err
	}
	return usable(all), nil
}

// usable returns the active ones of an account's types, within the bounds.
func usable(all []activityType) (types []activityType) {
	for _, t := range all {
		if !t.Active || t.Key == "" || len(t.Key) > maxKey {
			continue
		}
		if len(types) == maxTypes {
			break
		}
		if len(t.Name) > maxKey {
			t.Name = strings.Clone(strings.ToValidUTF8(t.Name[:maxKey], "")) // lets go of the rest
		}
		types = append(types, t)
	}
	return types
}

// choose returns the key_string of the wanted type, or with no wish that of the
// first type for text messages; "" when there is none. Pipedrive lists the types in
// the order that the account's admins gave them.
//
// A type is for text messages when a word of its key_string or name begins with
// "sms" or "mms", as in "SMS", "sms_message" and "Outgoing SMS"; failing that, when
// it is called a text message, as in "Text message", "text_messages" and "Texting".
func choose(types []activityType, wanted string) string {
	if wanted != "" {
		for _, t := range types {
			if t.Key == wanted {
				return t.Key
			}
		}
		return ""
	}
	for _, forText := range []func(word string, next string) bool{
		func(word, _ string) bool { return strings.HasPrefix(word, "sms") || strings.HasPrefix(word, "mms") },
		func(word, next string) bool {
			return word == "text" && (next == "" || strings.HasPrefix(next, "message")) ||
				strings.HasPrefix(word, "textmessage") || word == "texts" || word == "texting"
		},
	} {
		for _, t := range types {
			if mentions(t.Key, forText) || mentions(t.Name, forText) {
				return t.Key
			}
		}
	}
	return ""
}

// mentions reports whether a word of the text, with the one after it, passes.
func mentions(text string, passes func(word, next string) bool) bool {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) })
	for i, word := range words {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		if passes(word, next) {
			return true
		}
	}
	return false
}

// maxListed is how many types a refusal lists.
const maxListed = 20

// noType is the refusal for an account without a usable type: what is wrong, what
// to do, and what there is.
func noType(types []activityType, wanted string) error {
	problem := "the Pipedrive account has no active activity type for text messages: " +
		"add one named SMS in Pipedrive under Company settings, Activities, or name another one in the setting " + settingType
	if wanted != "" {
		problem = "the setting " + settingType + " names no active activity type of the Pipedrive account: set it to the key_string of one"
	}
	var keys []string
	for i, t := range types {
		if i == maxListed {
			keys = append(keys, fmt.Sprintf("and %d more", len(types)-i))
			break
		}
		keys = append(keys, printable(t.Key))
	}
	if len(keys) == 0 {
		return fault.Rejected(problem + "; it has no active type at all")
	}
	return fault.Rejected(problem + "; active are: " + strings.Join(keys, ", "))
}

// printable returns a key_string as it may stand in an error: control and format
// characters left out, and cut.
func printable(key string) string {
	const most = 60
	var out strings.Builder
	for _, r := range key {
		if out.Len() >= most {
			out.WriteString("…")
			break
		}
		if unicode.IsGraphic(r) {
			out.WriteRune(r)
		}
	}
	return out.String()
}

// account is one company's Pipedrive, as one tenant sees it.
type account struct{ tenant, host string }

// accountOf returns the account of a request. Without a hostname, as behind a
// base URL that serves many companies, only the credentials know it: its host is
// empty then, and nothing is remembered of it.
func accountOf(req *sdk.AddMessageLogRequest) account {
	return account{req.Tenant, strings.TrimSuffix(strings.ToLower(req.User.Hostname), ".")}
}

// typeCache remembers the active types of accounts, and who is asking for them.
// Its methods may be called concurrently; none of them waits for anything.
type typeCache struct {
	mu     sync.Mutex
	known  map[account]knownTypes
	asking map[account]chan struct{} // closed when the one who asks is done
}

type knownTypes struct {
	types []activityType
	at    time.Time
}

func newTypeCache() *typeCache {
	return &typeCache{known: map[account]knownTypes{}, asking: map[account]chan struct{}{}}
}

// get returns the types of an account, when they are known and not older than age.
// When they are not, busy is closed as soon as it is worth asking again. A nil one
// leaves it to the caller to ask Pipedrive, and to call done afterwards.
func (c *typeCache) get(of account, age time.Duration) (types []activityType, known bool, busy <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.known[of]; ok && time.Since(k.at) < age {
		return k.types, true, nil
	}
	if other, ok := c.asking[of]; ok {
		return nil, false, other
	}
	c.asking[of] = make(chan struct{})
	return nil, false, nil
}

// done lets the next one ask, when what was asked for is still not known.
func (c *typeCache) done(of account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.asking[of])
	delete(c.asking, of)
}

// put remembers the types of an account; the one longest known makes room.
func (c *typeCache) put(of account, types []activityType) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.known[of]; !ok && len(c.known) >= maxAccounts {
		var oldest account
		var at time.Time
		for other, k := range c.known {
			if at.IsZero() || k.at.Before(at) {
				oldest, at = other, k.at
			}
		}
		delete(c.known, oldest)
	}
	c.known[of] = knownTypes{types, time.Now()}
}
