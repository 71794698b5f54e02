package app

import (
	"context"
	"fmt"
	"slices"
)

// stage is a part that runs until its context is done. Later stages use earlier
// ones.
type stage struct {
	name string
	run  func(ctx context.Context) error
}

// runStages starts the stages in their order, calls started, and waits until ctx
// is done or a stage ends by itself. Then it calls stopping and ends the stages in
// the reverse order, each after the ones that use it. It returns the first error
// of a stage; a stage that ends unasked is one.
func runStages(ctx context.Context, stages []stage, started, stopping func()) error {
	type ending struct {
		name string
		err  error
	}
	ended := make(chan ending, len(stages))
	type running struct {
		stop context.CancelFunc
		gone chan struct{}
	}
	var live []running
	for _, s := range stages {
		// Each ends in its turn, not when ctx does.
		own, stop := context.WithCancel(context.WithoutCancel(ctx))
		gone := make(chan struct{})
		live = append(live, running{stop, gone})
		go func() {
			defer close(gone)
			ended <- ending{s.name, s.run(own)}
		}()
	}
	started()
	var first error
	select {
	case <-ctx.Done():
	case e := <-ended:
		first = fmt.Errorf("%s ended unasked: %w", e.name, orUnasked(e.err))
	}
	stopping()
	for _, r := range slices.Backward(live) {
		r.stop()
		<-r.gone
	}
	close(ended)
	for e := range ended {
		if first == nil && e.err != nil {
			first = fmt.Errorf("run %s: %w", e.name, e.err)
		}
	}
	return first
}

type unaskedError struct{}

func (unaskedError) Error() string { return "it gave no reason" }

func orUnasked(err error) error {
	if err == nil {
		return unaskedError{}
	}
	return err
}
