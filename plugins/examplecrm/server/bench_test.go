package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// processor returns how much processor time this process has used.
func processor(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkCreate measures creates over HTTP, client and CRM on the same machine.
// This CRM must not be the slowest part of a benchmark of the host. The processor
// time is that of client and CRM together; it says more than the rate on a machine
// that does other work too.
func BenchmarkCreate(b *testing.B) {
	for name, file := range map[string]string{"memory": "", "sqlite": "crm.db"} {
		b.Run(name, func(b *testing.B) {
			c := Config{Tokens: []string{testToken}}
			if file != "" {
				c.Database = filepath.Join(b.TempDir(), file)
			}
			s, err := New(c)
			if err != nil {
				b.Fatal(err)
			}
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx, ln) }()
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
			body := draft(strings.Repeat("k", 48))
			body = body[:len(body)-1] + `,"note":"` + strings.Repeat("n", 1500) + `"}`
			url := "http://" + ln.Addr().String() + "/activities"
			var failed atomic.Int64
			b.SetParallelism(16)
			used := processor(b)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
					if err != nil {
						failed.Add(1)
						continue
					}
					req.Header.Set("Authorization", "Bearer "+testToken)
					resp, err := client.Do(req)
					if err != nil {
						failed.Add(1)
						continue
					}
					_, err = io.Copy(io.Discard, resp.Body) // or the connection is not used again
					if err != nil || resp.StatusCode != http.StatusCreated || resp.Body.Close() != nil {
						failed.Add(1)
					}
				}
			})
			b.StopTimer()
			b.ReportMetric(float64((processor(b)-used).Microseconds())/float64(b.N), "cpu-µs/op")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creates/s")
			if n := s.Counts().Activities; n != b.N || failed.Load() != 0 {
				b.Errorf("%d of %d were stored, %d failed", n, b.N, failed.Load())
			}
			client.CloseIdleConnections()
			stop()
			if err := <-ended; err != nil {
				b.Error(err)
			}
			if err := s.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}
