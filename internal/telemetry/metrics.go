// Package telemetry is what an operator sees of a node: numbers for Prometheus,
// and traces that join a request, its statements and its jobs.
//
// Neither names a tenant or holds anything that a person wrote. Numbers are
// labelled by what the program itself names (routes, queues, states); spans
// carry names, codes and times, no statement's arguments and no texts.
package telemetry

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/relaydesk/relaydesk/internal/clock"
)

// Metrics are a node's numbers. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	clock    clock.Clock

	requests  *prometheus.CounterVec
	took      *prometheus.HistogramVec
	underWay  prometheus.Gauge
	embedded  *prometheus.CounterVec
	embedding *prometheus.CounterVec
	worked    *prometheus.CounterVec
	working   *prometheus.HistogramVec
}

// buckets go from a small read to a request that waits for an answer.
var buckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// New makes a node's numbers, with those of the Go runtime and the process.
func New(c clock.Clock) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(), clock: c,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relaydesk_http_requests_total", Help: "Requests that were answered.",
		}, []string{"route", "method", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "relaydesk_http_request_seconds", Help: "How long answering took; streams and what waits for an answer included.", Buckets: buckets,
		}, []string{"route", "method"}),
		underWay: prometheus.NewGauge(prometheus.GaugeOpts{Name: "relaydesk_http_requests_under_way", Help: "Requests that are being answered."}),
		embedded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relaydesk_embedder_texts_total", Help: "Texts that became vectors, by what for.",
		}, []string{"kind"}),
		embedding: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relaydesk_embedder_seconds_total", Help: "Seconds spent on that, waiting for a core included.",
		}, []string{"kind"}),
		worked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relaydesk_jobs_total", Help: "Jobs that this node worked, by how they ended.",
		}, []string{"kind", "result"}),
		working: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "relaydesk_job_seconds", Help: "How long they took.", Buckets: buckets,
		}, []string{"kind"}),
	}
	m.registry.MustRegister(m.requests, m.took, m.underWay, m.embedded, m.embedding, m.worked, m.working,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the numbers in Prometheus' format. What could not be measured
// is left out of the answer; the rest is served.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, Timeout: scrapeTimeout + time.Second})
}

// Around counts the requests under way.
func (m *Metrics) Around(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.underWay.Inc()
		defer m.underWay.Dec()
		h.ServeHTTP(w, r)
	})
}

// Served counts a request that was answered. The route is the router's
// pattern, never the path that was asked for.
func (m *Metrics) Served(r *http.Request, status int, took time.Duration) {
	route, method := routeOf(r), methodOf(r)
	m.requests.WithLabelValues(route, method, class(status)).Inc()
	m.took.WithLabelValues(route, method).Observe(took.Seconds())
}

// routeOf is the pattern without its method.
func routeOf(r *http.Request) string {
	if r.Pattern == "" {
		return "none"
	}
	return r.Pattern[strings.IndexByte(r.Pattern, ' ')+1:]
}

// methodOf keeps out what somebody made up: each value is a series of its own.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

func class(status int) string {
	if status < 100 || status > 599 {
		return "none" // the client had gone
	}
	return strconv.Itoa(status/100) + "xx"
}

// Embedder turns texts into vectors.
type Embedder interface {
	Query(ctx context.Context, texts ...string) ([][]float32, error)
	Passages(ctx context.Context, texts ...string) ([][]float32, error)
}

// Embedder counts what another one does.
func (m *Metrics) Embedder(e Embedder) Embedder { return &embedder{e, m} }

type embedder struct {
	Embedder
	m *Metrics
}

func (e *embedder) Query(ctx context.Context, texts ...string) ([][]float32, error) {
	return e.observe(ctx, "query", e.Embedder.Query, texts)
}

func (e *embedder) Passages(ctx context.Context, texts ...string) ([][]float32, error) {
	return e.observe(ctx, "passage", e.Embedder.Passages, texts)
}

func (e *embedder) observe(ctx context.Context, kind string, do func(context.Context, ...string) ([][]float32, error), texts []string) ([][]float32, error) {
	began := e.m.clock.Now()
	vectors, err := do(ctx, texts...)
	e.m.embedded.WithLabelValues(kind).Add(float64(len(vectors)))
	e.m.embedding.WithLabelValues(kind).Add(e.m.clock.Now().Sub(began).Seconds())
	return vectors, err
}

// Pool adds the numbers of a pool of connections, under a name for it.
func (m *Metrics) Pool(name string, stat func() *pgxpool.Stat) {
	label := prometheus.Labels{"pool": name}
	gauge := func(metric, help string, value func(*pgxpool.Stat) float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: metric, Help: help, ConstLabels: label},
			func() float64 { return value(stat()) }))
	}
	counter := func(metric, help string, value func(*pgxpool.Stat) float64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: metric, Help: help, ConstLabels: label},
			func() float64 { return value(stat()) }))
	}
	gauge("relaydesk_pool_connections", "Connections to Postgres that are open.", func(s *pgxpool.Stat) float64 { return float64(s.TotalConns()) })
	gauge("relaydesk_pool_connections_in_use", "Those that somebody works with.", func(s *pgxpool.Stat) float64 { return float64(s.AcquiredConns()) })
	gauge("relaydesk_pool_connections_most", "How many there may be.", func(s *pgxpool.Stat) float64 { return float64(s.MaxConns()) })
	counter("relaydesk_pool_acquired_total", "How often one was taken.", func(s *pgxpool.Stat) float64 { return float64(s.AcquireCount()) })
	counter("relaydesk_pool_waited_total", "How often somebody had to wait for one.", func(s *pgxpool.Stat) float64 { return float64(s.EmptyAcquireCount()) })
	counter("relaydesk_pool_wait_seconds_total", "How long, all together.", func(s *pgxpool.Stat) float64 { return s.AcquireDuration().Seconds() })
}
