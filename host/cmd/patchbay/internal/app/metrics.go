package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/supervisor"
)

// scrapeTimeout bounds what one scrape asks of the ledger.
const scrapeTimeout = 5 * time.Second

var (
	processesMetric = prometheus.NewDesc("patchbay_adapter_processes",
		"Adapter processes by state.", []string{"adapter", "version", "state"}, nil)
	restartsMetric = prometheus.NewDesc("patchbay_adapter_restarts_total",
		"Starts of an adapter process after its first.", []string{"adapter", "version"}, nil)
	entriesMetric = prometheus.NewDesc("patchbay_message_logs",
		"Ledger entries by state.", []string{"state"}, nil)
)

// collector counts processes and ledger entries when it is asked.
type collector struct {
	fleet  interface{ Status() []supervisor.Status }
	ledger interface {
		CountStates(ctx context.Context, tenant string) (map[ledger.State]int, error)
	}
	log *slog.Logger
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	to <- processesMetric
	to <- restartsMetric
	to <- entriesMetric
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	type version struct{ adapter, version string }
	states := map[version]map[supervisor.State]int{}
	restarts := map[version]int{}
	for _, s := range c.fleet.Status() {
		v := version{s.Key.Adapter, s.Key.Version}
		if states[v] == nil {
			states[v] = map[supervisor.State]int{}
		}
		states[v][s.State]++
		restarts[v] += s.Restarts
	}
	for v, counts := range states {
		for state, n := range counts {
			to <- prometheus.MustNewConstMetric(processesMetric, prometheus.GaugeValue, float64(n), v.adapter, v.version, string(state))
		}
		to <- prometheus.MustNewConstMetric(restartsMetric, prometheus.CounterValue, float64(restarts[v]), v.adapter, v.version)
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	counts, err := c.ledger.CountStates(ctx, "")
	if err != nil {
		c.log.Warn("ledger not counted", keyError, err)
		return
	}
	for _, state := range ledger.States() {
		to <- prometheus.MustNewConstMetric(entriesMetric, prometheus.GaugeValue, float64(counts[state]), string(state))
	}
}
