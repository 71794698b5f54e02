package launch

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/patchbay-crm/patchbay/host/supervisor"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

// defaultStop is the time to end politely when Stop's context sets none.
const defaultStop = 2 * time.Second

// Instance is one running adapter process.
type Instance struct {
	process *process
	asked   atomic.Bool // go-plugin's server does not bear two requests to end at once
	client  *rpc.Client
	info    sdk.Info
}

var _ supervisor.Instance = (*Instance)(nil)

// Client calls the adapter. Its calls fail at once when the process has died.
func (i *Instance) Client() *rpc.Client { return i.client }

// Info is what the adapter said of itself when it started.
func (i *Instance) Info() sdk.Info { return i.info }

// Pid is the number of the process.
func (i *Instance) Pid() int { return i.process.pid }

// Dead is closed as soon as the process has ended and was reaped. Descendants may
// live a moment longer.
func (i *Instance) Dead() <-chan struct{} { return i.process.exited }

// Done is closed once the process and its descendants are gone and reaped.
func (i *Instance) Done() <-chan struct{} { return i.process.done }

// Status says with which code or signal the process ended. It waits for Dead.
func (i *Instance) Status() supervisor.Exit {
	<-i.process.exited
	return i.process.status()
}

// Exit says how the process ended. It waits for Done.
func (i *Instance) Exit() supervisor.Exit {
	<-i.process.done
	return i.process.exit
}

// Health asks the adapter whether it can serve. An adapter that answers with a
// fault of its own is alive and does not serve.
func (i *Instance) Health(ctx context.Context) (supervisor.Health, error) {
	i.process.measure()
	answer, err := i.client.CheckHealth(ctx)
	if err == nil {
		return supervisor.Health{Serving: answer.Serving, Message: answer.Message}, nil
	}
	if !errors.Is(err, rpc.ErrBrokenOff) {
		return supervisor.Health{Message: fault.MessageOf(err)}, nil
	}
	return supervisor.Health{}, fmt.Errorf("check health: %w", err)
}

// Stop asks the process to end, kills it and its group when ctx is done, after 2
// seconds when ctx has no deadline, and returns after Done. Calls in flight are
// cut off.
func (i *Instance) Stop(ctx context.Context) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultStop)
		defer cancel()
	}
	if ctx.Err() == nil && i.asked.CompareAndSwap(false, true) {
		i.askToEnd(ctx)
	}
	select {
	case <-i.process.exited:
	case <-ctx.Done():
	}
	i.process.kill()
	<-i.process.done
}

// askToEnd asks the process to end, and by the end of its lifeline when it does
// not know the call. It returns when the process has answered or ctx is done.
func (i *Instance) askToEnd(ctx context.Context) {
	if err := i.client.Shutdown(ctx); err != nil && ctx.Err() == nil {
		i.process.stdin.Close()
	}
}
