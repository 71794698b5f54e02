package pipedrive

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

func TestTypeCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, sms := newTypeCache(), []activityType{{"sms", "SMS", true}}
		of := func(i int) account { return account{"acme", fmt.Sprintf("c%d.pipedrive.com", i)} }
		known := func(of account) bool {
			types, ok, busy := c.get(of, typesFor)
			if !ok && busy == nil {
				c.done(of)
			}
			return ok && slices.Equal(types, sms)
		}
		for i := range maxAccounts + 10 {
			c.put(of(i), sms)
			time.Sleep(time.Millisecond)
		}
		if n := len(c.known); n != maxAccounts {
			t.Errorf("%d accounts are remembered", n)
		}
		if known(of(9)) {
			t.Error("one of the oldest is still known")
		}
		if !known(of(10)) {
			t.Error("one too many was forgotten")
		}
		last := of(maxAccounts + 9)
		c.put(last, sms) // known already: nobody has to go
		if !known(of(10)) {
			t.Error("an account was forgotten for one that was known")
		}
		time.Sleep(typesFor - time.Millisecond)
		if !known(last) {
			t.Error("forgotten too early")
		}
		time.Sleep(time.Millisecond)
		if known(last) {
			t.Error("remembered too long")
		}
		if len(c.asking) != 0 {
			t.Errorf("%d are being asked for", len(c.asking))
		}
	})
}

// TestOneAsksForTypes: a burst of messages asks for an account's types once, and a
// call that ends meanwhile does not wait. When the one that asks fails, the next
// one asks, and not all of them.
func TestOneAsksForTypes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answers []answer
		asked   int
		failed  int
	}{
		"goes well": {ok(callAndSMS), 1, 0},
		"fails":     {[]answer{{403, ``, nil}, ok(callAndSMS)[0]}, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crm := newSite(t, map[string][]answer{routeTypes: test.answers})
			arrived, proceed := make(chan struct{}, 1), make(chan struct{})
			crm.hold(routeTypes, arrived, proceed)
			a := newAdapter(t, crm.url)
			results := make(chan error, 8)
			var calls sync.WaitGroup
			log := func(ctx context.Context) {
				calls.Go(func() {
					_, err := a.AddMessageLog(ctx, request())
					results <- err
				})
			}
			log(t.Context())
			<-arrived
			for range 7 {
				log(t.Context())
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := a.AddMessageLog(ended, request()); fault.ClassOf(err) != fault.Retryable || !strings.Contains(fault.MessageOf(err), "while it waited") {
				t.Errorf("a call that has ended: %v", err)
			}
			other := request()
			asUser(`{"id":42,"hostname":"other.pipedrive.com"}`)(other)
			if _, known, busy := a.types.get(accountOf(other), typesFor); known || busy != nil {
				t.Error("another account has to wait")
			}
			a.types.done(accountOf(other))
			close(proceed)
			calls.Wait()
			close(results)
			failed := 0
			for err := range results {
				if err != nil {
					failed++
				}
			}
			if n := crm.times(routeTypes); n != test.asked || failed != test.failed {
				t.Errorf("asked %d times, want %d; %d calls failed, want %d", n, test.asked, failed, test.failed)
			}
		})
	}
}

// TestManyCallsAtOnce share an adapter; every one gets its own account's type.
func TestManyCallsAtOnce(t *testing.T) {
	t.Parallel()
	crm := newSite(t, nil)
	a := newAdapter(t, crm.url)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			req := request(sdktest.Message(int64(i+1), "Hello"))
			asUser(fmt.Sprintf(`{"id":42,"hostname":"c%d.pipedrive.com"}`, i%4))(req)
			if _, err := a.AddMessageLog(t.Context(), req); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := crm.times(routeCreate); n != 64 {
		t.Errorf("%d activities", n)
	}
	if n := crm.times(routeTypes); n != 4 {
		t.Errorf("asked for the types of 4 accounts %d times", n)
	}
}
