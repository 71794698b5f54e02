package e2e

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver with which a test spoils a database

	"github.com/patchbay-crm/patchbay/plugins/examplecrm/server"
)

// hostRefusals are those of a host that is in trouble itself, or whose adapter
// never works.
var hostRefusals = refusals{
	"adapter_unavailable/quarantined":     {status: 503, class: "retryable", source: "host", wait: [2]int{1, 60}, do: quarantined},
	"adapter_unavailable/not serving":     {status: 503, class: "retryable", source: "host", wait: [2]int{1, 6}, do: sick},
	"crm_unavailable/refuses connections": {status: 503, class: "retryable", source: "crm", do: closed},
	"adapter_disabled/switched off":       {status: 403, class: "permanent", source: "host", written: 1, do: switchedOff},
	"shutting_down/draining":              {status: 503, class: "retryable", source: "host", wait: [2]int{1, 1}, written: 2, do: draining},
	"internal/unreadable request":         {status: 500, class: "unknown", source: "host", do: unreadable},
}

// start gives the bench its host.
func (b *bench) start(t *testing.T, s setup) {
	t.Helper()
	s.crm = b.crm
	b.host = startHost(t, s)
}

func starting(how string) setup {
	return setup{adapters: map[string]object{"faulty": {
		"env": object{"FAULTY_START": how}, "limits": object{"startTimeout": "2s"},
	}}}
}

func quarantined(t *testing.T, b *bench) reply {
	b.start(t, starting("exit:1"))
	b.tenant(t, "acme", "faulty")
	eventually(t, "faulty is in quarantine", func() bool {
		all := b.processes(t, "faulty")
		return len(all) == 1 && all[0].State == "quarantined"
	})
	if p := b.processes(t, "faulty")[0]; p.NextStart == nil || p.PID != 0 {
		t.Errorf("process %+v", p)
	}
	r := b.faulty("ok")
	if detail := r.refused(t, 503, "adapter_unavailable").Detail; !strings.Contains(detail, "crash_loop") {
		t.Errorf("the cause is not named: %q", detail)
	}
	return r
}

func sick(t *testing.T, b *bench) reply {
	b.start(t, starting("sick"))
	b.tenant(t, "acme", "faulty")
	eventually(t, "faulty says that it is sick", func() bool {
		all := b.processes(t, "faulty")
		return len(all) == 1 && all[0].Health != ""
	})
	return b.faulty("ok")
}

// closed has a CRM that does not listen. The adapter has no connection left from
// before on which a call could get lost.
func closed(t *testing.T, b *bench) reply {
	b.start(t, setup{})
	b.tenant(t, "acme", "examplecrm")
	b.crm.stop()
	return b.add("acme", "examplecrm", b.next(nil))
}

func switchedOff(t *testing.T, b *bench) reply {
	b.start(t, setup{})
	b.tenant(t, "acme", "examplecrm")
	body := b.next(nil)
	b.add("acme", "examplecrm", body).logged(t, 201)
	b.send(request{Method: http.MethodPatch, Path: "/v1/tenants/acme/adapters/examplecrm", Body: `{"enabled":false}`}).into(t, 200, nil)
	return b.add("acme", "examplecrm", body)
}

// draining sends a request on an open connection to a host that stops, but still
// has a call in flight.
func draining(t *testing.T, b *bench) reply {
	b.start(t, setup{})
	b.tenant(t, "acme", "examplecrm")
	var dial net.Dialer
	conn, err := dial.DialContext(context.Background(), "tcp", strings.TrimPrefix(b.url, "http://"))
	must(t, err)
	defer conn.Close()
	answers := bufio.NewReader(conn)
	exchange := func(body string) reply {
		_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: patchbay\r\nAuthorization: Bearer %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path("acme", "examplecrm"), b.admin, len(body), body)
		must(t, err)
		resp, err := http.ReadResponse(answers, nil)
		return b.read(resp, err)
	}
	exchange(b.next(nil)).logged(t, 201)
	b.crm.set(server.Switches{AnswerDelay: time.Second})
	last := b.goAdd("acme", "examplecrm", b.next(nil))
	b.crm.arrived(2)
	stopped := make(chan error, 1)
	go func() { stopped <- b.stop() }()
	eventually(t, "the host drains", func() bool { return len(b.log.records(t, "HTTP edge draining")) == 1 })
	r := exchange(b.next(nil))
	last.wait(t).logged(t, 201)
	must(t, <-stopped)
	return r
}

// unreadable has a failed entry sent again whose stored request was spoilt.
func unreadable(t *testing.T, b *bench) reply {
	b.start(t, setup{})
	b.tenant(t, "acme", "examplecrm")
	b.crm.next(server.Fault{Do: server.Status, Status: 422})
	id := b.failedEntry(t, b.add("acme", "examplecrm", b.next(nil)).refused(t, 424, "crm_rejected"))
	must(t, b.stop())
	db, err := sql.Open("sqlite", filepath.Join(b.data, "patchbay.db"))
	must(t, err)
	_, err = db.ExecContext(t.Context(), "UPDATE payloads SET body = x'00'")
	must(t, err)
	must(t, db.Close())
	b.start(t, setup{data: b.data})
	return b.settle("acme", id, "retry", "")
}
