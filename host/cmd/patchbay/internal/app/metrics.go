package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/patchbay-crm/patchbay/host/ledger"
)

// scrapeTimeout bounds what one scrape asks of the ledger.
const scrapeTimeout = 5 * time.Second

var entriesMetric = prometheus.NewDesc("patchbay_message_logs", "Ledger entries by state.", []string{"state"}, nil)

// collector counts ledger entries when it is asked. The HTTP edge counts calls
// and processes itself.
type collector struct {
	ledger interface {
		CountStates(ctx context.Context, tenant string) (map[ledger.State]int, error)
	}
	log *slog.Logger
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) { to <- entriesMetric }

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
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
