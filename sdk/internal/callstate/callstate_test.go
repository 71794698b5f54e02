package callstate

import (
	"sync"
	"testing"
	"time"
)

func TestState(t *testing.T) {
	t.Parallel()
	type want struct{ surely, may bool }
	cases := map[string]struct {
		do   func(*State)
		want want
	}{
		"nothing happened": {func(*State) {}, want{}},
		"watched":          {(*State).Watch, want{surely: true}},
		"sent":             {func(s *State) { s.Watch(); s.Sent() }, want{may: true}},
		"sent, unwatched":  {(*State).Sent, want{may: true}},
		"refused":          {func(s *State) { s.Watch(); s.Sent(); s.NotActed() }, want{surely: true}},
		"second refused":   {func(s *State) { s.Watch(); s.Sent(); s.Sent(); s.NotActed() }, want{may: true}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s State
			tc.do(&s)
			if got := (want{s.SurelyNotSent(), s.MayHaveActed()}); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestNilState(t *testing.T) {
	t.Parallel()
	var s *State
	s.Watch()
	s.Sent()
	s.NotActed()
	if s.SurelyNotSent() || s.MayHaveActed() {
		t.Error("a nil State must know nothing")
	}
	if left := time.Until(s.Limit(time.Now().Add(time.Hour))); left < 59*time.Minute || left > time.Hour {
		t.Errorf("limit in %v, want about an hour", left)
	}
}

func TestLimitIsFixedByTheFirstCall(t *testing.T) {
	t.Parallel()
	var s State
	first := s.Limit(time.Now().Add(time.Minute))
	if later := s.Limit(time.Now().Add(time.Hour)); !later.Equal(first) {
		t.Errorf("the limit moved from %v to %v", first, later)
	}
}

func TestConcurrentWrites(t *testing.T) {
	t.Parallel()
	var s State
	s.Watch()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { s.Sent(); s.NotActed() })
	}
	wg.Wait()
	if !s.SurelyNotSent() {
		t.Error("every write was taken back, yet one stands")
	}
}
