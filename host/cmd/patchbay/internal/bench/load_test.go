package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// path is one way that a call can take.
type path struct {
	name string
	// call makes the call for message n, which no other call has, and checks its
	// answer. It is called concurrently.
	call func(ctx context.Context, n int64) error
	// fresh, unless nil, readies the path for a cell; end gives back what it took.
	fresh func() (end func())
	// calls counts the calls that were answered.
	calls int64
}

// measure is what a cell showed.
type measure struct {
	p50, p99 time.Duration
	rate     float64 // calls a second
	// cpu is the processor time per call, of all processes together; caller is
	// this process's part of it.
	cpu, caller time.Duration
}

// load makes calls, each with a message of its own.
type load struct {
	mu   sync.Mutex
	next int64
}

// take returns count message numbers that were not taken before.
func (l *load) take(count int64) (first int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first = l.next
	l.next += count
	return first
}

// cell measures the path with that many callers for about d, after a tenth of d
// to warm up.
func (l *load) cell(p *path, callers int, d time.Duration) (measure, error) {
	if p.fresh != nil {
		end := p.fresh()
		defer end()
	}
	runtime.GC() // nobody pays for another cell's garbage
	if _, err := l.run(p, callers, d/10); err != nil {
		return measure{}, err
	}
	own, all, err := processorTime()
	if err != nil {
		return measure{}, err
	}
	began := time.Now()
	times, err := l.run(p, callers, d)
	if err != nil {
		return measure{}, err
	}
	wall := time.Since(began)
	ownNow, allNow, err := processorTime()
	if err != nil {
		return measure{}, err
	}
	slices.Sort(times)
	calls := time.Duration(len(times))
	return measure{
		p50: times[len(times)/2], p99: times[len(times)*99/100], rate: float64(len(times)) / wall.Seconds(),
		cpu: (allNow - all) / calls, caller: (ownNow - own) / calls,
	}, nil
}

// run has the callers call until the time is over and every call is answered. It
// returns how long each call took.
func (l *load) run(p *path, callers int, d time.Duration) ([]time.Duration, error) {
	ctx := context.Background()
	end := time.Now().Add(d)
	times, errs := make([][]time.Duration, callers), make([]error, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() { times[i], errs[i] = l.caller(ctx, p, end) })
	}
	wg.Wait()
	all := slices.Concat(times...)
	p.calls += int64(len(all))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%s, %d callers: %w", p.name, callers, err)
	}
	return all, nil
}

// numbers is how many messages a caller takes at once.
const numbers = 1000

// caller calls until end, or until a call fails.
func (l *load) caller(ctx context.Context, p *path, end time.Time) ([]time.Duration, error) {
	times := make([]time.Duration, 0, 1<<14)
	for n := l.take(numbers); ; n++ {
		began := time.Now()
		if err := p.call(ctx, n); err != nil {
			return times, err
		}
		answered := time.Now()
		times = append(times, answered.Sub(began))
		if answered.After(end) {
			return times, nil
		}
		if len(times)%numbers == 0 {
			n = l.take(numbers) - 1
		}
	}
}
