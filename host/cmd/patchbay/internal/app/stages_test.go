package app

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// journal notes what happens, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

// lasting is a stage that runs until it is told to end.
func (j *journal) lasting(name string, err error) stage {
	return stage{name, func(ctx context.Context) error {
		<-ctx.Done()
		j.note(name + " ended")
		return err
	}}
}

func (j *journal) run(ctx context.Context, stages ...stage) error {
	return runStages(ctx, stages, func() { j.note("started") }, func() { j.note("stopping") })
}

func TestStagesEndInReverse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var j journal
		done := make(chan error, 1)
		go func() { done <- j.run(ctx, j.lasting("a", nil), j.lasting("b", nil), j.lasting("c", nil)) }()
		synctest.Wait()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if want := []string{"started", "stopping", "c ended", "b ended", "a ended"}; !slices.Equal(j.lines, want) {
			t.Errorf("got %q, want %q", j.lines, want)
		}
	})
}

func TestAStageThatEndsEndsTheOthers(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, err := range map[string]error{"with an error": broken, "without": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var j journal
			got := j.run(t.Context(), j.lasting("a", nil), stage{"b", func(context.Context) error { return err }}, j.lasting("c", nil))
			if got == nil || !strings.Contains(got.Error(), "b ended unasked") || (err != nil && !errors.Is(got, err)) {
				t.Errorf("got %v", got)
			}
			if !slices.Contains(j.lines, "a ended") || !slices.Contains(j.lines, "c ended") {
				t.Errorf("got %q", j.lines)
			}
		})
	}
}

func TestAnErrorAtTheEndIsTold(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var j journal
	cut := errors.New("calls were cut off")
	if err := j.run(ctx, j.lasting("a", nil), j.lasting("b", cut)); !errors.Is(err, cut) {
		t.Errorf("got %v", err)
	}
}
