package app

import (
	"errors"
	"fmt"
	"testing"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/host/tenant"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// fakeDirectory has the routes that a test gives it.
type fakeDirectory map[routeKey]*tenant.Route

func (d fakeDirectory) Route(id, adapter string) (*tenant.Route, error) {
	if r := d[routeKey{id, adapter}]; r != nil {
		return r, nil
	}
	return nil, fault.New(fault.TenantNotFound, "")
}

// TestRoutesFollowTheDirectory shows that a route is made once, made anew when
// the directory's changes, and forgotten with it.
func TestRoutesFollowTheDirectory(t *testing.T) {
	t.Parallel()
	directory := fakeDirectory{}
	r := &routes{directory: directory, adapters: map[string]config.Adapter{}}
	held := func() (n int) {
		r.made.Range(func(any, any) bool { n++; return true })
		return n
	}
	ask := func(id string) *relay.Route {
		t.Helper()
		got, err := r.Route(id, "echo")
		if err != nil || got.Tenant != id {
			t.Fatalf("the route of %s: %+v, %v", id, got, err)
		}
		return got
	}
	const tenants = 100
	for i := range tenants {
		id := fmt.Sprint("tenant-", i)
		directory[routeKey{id, "echo"}] = &tenant.Route{Tenant: id, Adapter: "echo", Version: "1.0.0", Package: &catalog.Package{Digest: "one"}}
		if first := ask(id); ask(id) != first {
			t.Errorf("%s: a route that did not change is made twice", id)
		}
		directory[routeKey{id, "echo"}] = &tenant.Route{Tenant: id, Adapter: "echo", Version: "2.0.0", Package: &catalog.Package{Digest: "two"}}
		if got := ask(id); got.Version != "2.0.0" || got.Digest != "two" {
			t.Errorf("%s: version %s of digest %s, want the new ones", id, got.Version, got.Digest)
		}
	}
	if n := held(); n != tenants {
		t.Errorf("%d routes are held, want %d", n, tenants)
	}
	clear(directory)
	for i := range tenants {
		var f *fault.Error
		if _, err := r.Route(fmt.Sprint("tenant-", i), "echo"); !errors.As(err, &f) || f.Code != fault.TenantNotFound {
			t.Errorf("tenant %d: %v", i, err)
		}
	}
	if n := held(); n != 0 {
		t.Errorf("%d routes of tenants that are gone are held", n)
	}
}
