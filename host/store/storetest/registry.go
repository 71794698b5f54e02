package storetest

import (
	"sync"
	"testing"
)

var registryCases = map[string]func(*testing.T, *fixture){
	"pins":          registryPins,
	"facts":         registryFacts,
	"first of many": registryRace,
	"identity":      registryIdentity,
}

func registryPins(t *testing.T, f *fixture) {
	pin := func(name, version, digest, want string) {
		t.Helper()
		got, err := f.Store.PinPackage(f.ctx, name, version, digest)
		wantErr(t, "PinPackage", err, nil)
		wantEqual(t, "pinned", got, want)
	}
	pin("examplecrm", "1.0.0", "aa", "aa")
	pin("examplecrm", "1.0.0", "bb", "aa")
	pin("examplecrm", "1.0.1", "bb", "bb")
	pin("faulty", "1.0.0", "cc", "cc")
	wantErr(t, "RepinPackage", f.Store.RepinPackage(f.ctx, "examplecrm", "1.0.0", "dd"), nil)
	pin("examplecrm", "1.0.0", "aa", "dd")
	wantErr(t, "RepinPackage", f.Store.RepinPackage(f.ctx, "new", "1.0.0", "ee"), nil)
	pin("new", "1.0.0", "aa", "ee")
	pin("examplecrm", "1.0.1", "aa", "bb")
}

func registryFacts(t *testing.T, f *fixture) {
	for _, step := range [][3]string{
		{"key", "one", "one"}, {"key", "two", "one"}, {"other", "two", "two"}, {"empty", "", ""}, {"empty", "x", ""},
	} {
		got, err := f.Store.Fact(f.ctx, step[0], step[1])
		wantErr(t, "Fact", err, nil)
		wantEqual(t, step[0], got, step[2])
	}
}

// registryRace records one fact from many callers: all are told the same value.
func registryRace(t *testing.T, f *fixture) {
	values := numbered("v", 16)
	told := make([]string, len(values))
	var wg sync.WaitGroup
	for i, value := range values {
		wg.Go(func() {
			got, err := f.Store.Fact(f.ctx, "key", value)
			wantErr(t, "Fact", err, nil)
			told[i] = got
		})
	}
	wg.Wait()
	for _, got := range told {
		wantEqual(t, "value", got, told[0])
	}
}

func registryIdentity(t *testing.T, f *fixture) {
	one, err := f.Store.Identity(f.ctx)
	wantErr(t, "Identity", err, nil)
	two, err := f.Store.Identity(f.ctx)
	wantErr(t, "Identity", err, nil)
	if one != two || len(one) < 16 {
		t.Errorf("Identity = %q, then %q; want the same 16 bytes or more", one, two)
	}
}
