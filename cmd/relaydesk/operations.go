package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"go.opentelemetry.io/otel"
	"riverqueue.com/riverui"

	"github.com/relaydesk/relaydesk/internal/config"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/telemetry"
)

// startTraces sends traces only where somebody collects them.
func startTraces(ctx context.Context, cfg config.Config, o options, log *slog.Logger) (*telemetry.Traces, error) {
	if o.traces != nil || cfg.TracesEndpoint == "" {
		return o.traces, nil
	}
	// It has one for the whole process, which would print by itself.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("send traces", "error", err) }))
	version := "unknown"
	if build, ok := debug.ReadBuildInfo(); ok {
		version = build.Main.Version
	}
	return telemetry.StartTraces(ctx, version)
}

func (n *node) stopTraces() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := n.traces.Close(ctx); err != nil {
		n.log.Warn("close the traces", "error", err)
	}
}

// served is told of each answered request.
func (n *node) served(r *http.Request, status int, took time.Duration) {
	n.metrics.Served(r, status, took)
	n.traces.Served(r, status, took)
}

// observe adds the numbers of what the node is made of.
func (n *node) observe() {
	n.metrics.Pool("api", n.db.Stat)
	n.metrics.Pool("queue", n.queuePool.Stat)
	n.metrics.Backlog(n.db, n.log)
}

// operate serves the operators' port, if there is to be one, until stop.
func (n *node) operate(ctx context.Context) (stop func(), err error) {
	if n.cfg.OperationsListen == "" {
		return func() {}, nil
	}
	handler, err := n.operations(ctx)
	if err != nil {
		return nil, err
	}
	listener, err := listen(ctx, n.cfg.OperationsListen)
	if err != nil {
		return nil, err
	}
	n.log.Info("serving operators", "address", listener.Addr().String())
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			n.log.Error("serve operators", "error", err)
		}
	}()
	return func() { _ = server.Close() }, nil
}

// operations is the operators' port: what a collector, a load balancer and a
// person who looks after the queue need. It serves nothing of a tenant's, and
// jobs hold ids and numbers only.
func (n *node) operations(ctx context.Context) (http.Handler, error) {
	// A client of its own, which can look and change but works no jobs.
	client, err := river.NewClient(riverpgxv5.New(n.queuePool), &river.Config{Schema: postgres.QueueSchema, Logger: n.log})
	if err != nil {
		return nil, fmt.Errorf("set up the queue's pages: %w", err)
	}
	quiet := slog.New(slog.DiscardHandler) // it logs each request
	pages, err := riverui.NewHandler(&riverui.HandlerOpts{Endpoints: riverui.NewEndpoints(client, nil), Prefix: "/ops/river", Logger: quiet})
	if err != nil {
		return nil, fmt.Errorf("set up the queue's pages: %w", err)
	}
	if err := pages.Start(ctx); err != nil {
		return nil, fmt.Errorf("set up the queue's pages: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", n.metrics.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := n.ready(r.Context()); err != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	// A page that an operator's browser has open elsewhere must not pause queues.
	mux.Handle("/ops/river/", http.NewCrossOriginProtection().Handler(pages))
	return mux, nil
}

// drain lets whoever sends requests notice that the node is about to stop, while
// it still serves: a request that meets a closed port has failed.
func (n *node) drain() {
	if n.cfg.DrainTime <= 0 {
		return
	}
	n.draining.Store(true)
	n.log.Info("draining", "for", n.cfg.DrainTime)
	time.Sleep(n.cfg.DrainTime) // a second signal ends the program
}

// drainable lets connections end after an answer while the node drains. One
// that is closed at another moment may just be getting its next request.
func (n *node) drainable(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}
