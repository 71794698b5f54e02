package httpapi

import (
	"sync"
	"time"
)

// A route may complain complaintBurst times in complaintWindow; what is above is
// logged at DEBUG and counted. A full disk fails every request.
const (
	complaintBurst  = 5
	complaintWindow = 10 * time.Second
)

// complaints bounds how often one kind of trouble is logged. The zero value is
// ready for use.
type complaints struct {
	mu     sync.Mutex // guards what follows
	byKind map[string]*complaint
}

type complaint struct {
	began time.Time // of the window
	count int       // in it
}

// allow reports whether trouble of that kind is to be logged now, and how much of
// it was left out in the window before. Kinds must be few.
func (c *complaints) allow(kind string) (ok bool, omitted int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.byKind == nil {
		c.byKind = make(map[string]*complaint)
	}
	one := c.byKind[kind]
	if one == nil {
		one = &complaint{began: now}
		c.byKind[kind] = one
	}
	if now.Sub(one.began) >= complaintWindow {
		omitted = max(0, one.count-complaintBurst)
		*one = complaint{began: now}
	}
	one.count++
	return one.count <= complaintBurst, omitted
}
