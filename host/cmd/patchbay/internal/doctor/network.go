package doctor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/patchbay-crm/patchbay/host/config"
)

// answerTimeout is how long a running host may take to answer.
const answerTimeout = 2 * time.Second

// address checks that the host can listen, or, when one runs, that it answers.
func (f *findings) address(ctx context.Context, c *config.Config, running bool) {
	const check = "address"
	if running {
		f.answers(ctx, check, c.LocalURL())
		return
	}
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", c.Listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		f.add(check, Fail, "stop the program that listens there (ss -ltnp shows it), or set listen", "%s is in use", c.Listen)
	case errors.Is(err, syscall.EACCES):
		f.add(check, Fail, "choose a port above 1023, or give the host the right to bind it", "%s: not allowed", c.Listen)
	case err != nil:
		f.add(check, Fail, "set listen to an address of this machine", "%s", err)
	default:
		_ = l.Close()
		f.add(check, OK, "", "%s is free", c.Listen)
	}
}

// answers asks the host that is reached there how it is; "" is not known.
func (f *findings) answers(ctx context.Context, check, url string) {
	if url == "" {
		f.add(check, Info, "", "the host chose a port by itself; its log tells which")
		return
	}
	url += "/readyz"
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		f.add(check, Fail, "set listen to an address of this machine", "%s", err)
		return
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		f.add(check, Fail, "look at the host's log; it may listen elsewhere than this configuration says", "%s does not answer: %s", url, err)
		return
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		f.add(check, Warn, "look at the host's log", "%s answers %s", url, resp.Status)
		return
	}
	f.add(check, OK, "", "the host answers at %s", url)
}
