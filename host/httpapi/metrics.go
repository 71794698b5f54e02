package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// The labels of a call that succeeded, and of adapters that are not installed.
const (
	codeOK       = "ok"
	noLabel      = "none"
	otherAdapter = "other"
)

// metrics are what /metrics shows. Labels have few values: installed adapters,
// codes, classes and sources; nothing that a caller can choose.
type metrics struct {
	catalog  Catalog
	registry *prometheus.Registry
	handler  http.Handler
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	answers  *prometheus.CounterVec
	adapters sync.Map // names that are, or were, installed
}

func newMetrics(deps Deps) (*metrics, error) {
	m := &metrics{
		catalog:  deps.Catalog,
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "patchbay_calls_total",
			Help: "addMessageLog calls answered, by adapter, problem code (ok: logged), class and source.",
		}, []string{"adapter", "code", "class", "source"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "patchbay_call_duration_seconds",
			Help:    "Time to answer an addMessageLog call.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"adapter"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "patchbay_calls_in_flight",
			Help: "addMessageLog calls being answered.",
		}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "patchbay_http_responses_total",
			Help: "HTTP answers, by status.",
		}, []string{"status"}),
	}
	all := append([]prometheus.Collector{
		m.calls, m.duration, m.inFlight, m.answers,
		processCollector{deps.Processes},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}, deps.Collectors...)
	var faults []error
	for _, c := range all {
		faults = append(faults, m.registry.Register(c))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
	m.prepare()
	return m, nil
}

// maxScrapes is how many scrapes are answered at once.
const maxScrapes = 8

// prepare has every installed adapter stand there with zero calls, so that the
// first call shows as an increase.
func (m *metrics) prepare() {
	names := []string{otherAdapter}
	for _, a := range m.catalog.Adapters() {
		m.adapters.Store(a.Name, true)
		names = append(names, a.Name)
	}
	for _, name := range names {
		m.calls.WithLabelValues(name, codeOK, noLabel, noLabel)
		m.duration.WithLabelValues(name)
	}
}

// label returns the adapter's name when it is, or was, installed, else "other".
func (m *metrics) label(adapter string) string {
	if _, ok := m.adapters.Load(adapter); ok {
		return adapter
	}
	for _, a := range m.catalog.Adapters() {
		if a.Name == adapter {
			m.adapters.Store(adapter, true)
			return adapter
		}
	}
	return otherAdapter
}

// call notes the begin of a call. The function that it returns notes the end.
func (m *metrics) call() (done func(adapter string, err error)) {
	began := time.Now()
	m.inFlight.Inc()
	return func(adapter string, err error) {
		m.inFlight.Dec()
		name := m.label(adapter)
		m.duration.WithLabelValues(name).Observe(time.Since(began).Seconds())
		if err == nil {
			m.calls.WithLabelValues(name, codeOK, noLabel, noLabel).Inc()
			return
		}
		code, source := fault.CodeOf(err), fault.SourceOf(err)
		if _, ok := problems[code]; !ok {
			code = fault.Internal
		}
		if !slices.Contains(sources, source) {
			source = code.Source()
		}
		m.calls.WithLabelValues(name, string(code), fault.ClassOf(err).String(), string(source)).Inc()
	}
}

var sources = []fault.Source{fault.Caller, fault.Host, fault.Adapter, fault.CRM}

// answered counts an HTTP answer.
func (m *metrics) answered(status int) {
	m.answers.WithLabelValues(strconv.Itoa(status)).Inc()
}

// ServeHTTP shows the metrics.
func (m *metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.prepare() // adapters may have been installed since
	m.handler.ServeHTTP(w, r)
}

// processStates are the states that a process can be in.
var processStates = []string{"stopped", "starting", "ready", "draining", "backoff", "quarantined"}

var (
	processesDesc = prometheus.NewDesc("patchbay_adapter_processes",
		"Adapter processes, by adapter and state.", []string{"adapter", "state"}, nil)
	processCallsDesc = prometheus.NewDesc("patchbay_adapter_calls_in_flight",
		"Calls that adapter processes work on, by adapter.", []string{"adapter"}, nil)
	processWaitingDesc = prometheus.NewDesc("patchbay_adapter_calls_waiting",
		"Calls that wait for a place in an adapter process, by adapter.", []string{"adapter"}, nil)
)

// processCollector shows the states of processes as they are at each scrape.
type processCollector struct{ processes Processes }

// Describe implements prometheus.Collector.
func (c processCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- processesDesc
	descs <- processCallsDesc
	descs <- processWaitingDesc
}

// Collect implements prometheus.Collector.
func (c processCollector) Collect(out chan<- prometheus.Metric) {
	type sums struct {
		states            map[string]int
		inFlight, waiting int
	}
	byAdapter := map[string]*sums{}
	for _, p := range c.processes.Statuses() {
		s := byAdapter[p.Adapter]
		if s == nil {
			s = &sums{states: map[string]int{}}
			byAdapter[p.Adapter] = s
		}
		s.states[p.State]++
		s.inFlight += p.InFlight
		s.waiting += p.Waiting
	}
	gauge := func(desc *prometheus.Desc, value int, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	for adapter, s := range byAdapter {
		for _, state := range processStates {
			gauge(processesDesc, s.states[state], adapter, state)
		}
		gauge(processCallsDesc, s.inFlight, adapter)
		gauge(processWaitingDesc, s.waiting, adapter)
	}
}
