package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/rivertype"

	"github.com/relaydesk/relaydesk/api"
	"github.com/relaydesk/relaydesk/assistant"
	"github.com/relaydesk/relaydesk/assistant/provider"
	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/artifacts"
	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/config"
	"github.com/relaydesk/relaydesk/internal/e5"
	"github.com/relaydesk/relaydesk/internal/embedder"
	"github.com/relaydesk/relaydesk/internal/outbound"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/queue"
	"github.com/relaydesk/relaydesk/internal/secrets"
	"github.com/relaydesk/relaydesk/internal/telemetry"
	"github.com/relaydesk/relaydesk/jobs"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/objects"
	"github.com/relaydesk/relaydesk/tenants"
	"github.com/relaydesk/relaydesk/webhooks"
)

// roles are what a process does.
type roles struct{ serve, work bool }

// node is one process of an installation, all parts of it put together.
type node struct {
	cfg       config.Config
	log       *slog.Logger
	started   time.Time
	db        *postgres.DB
	queuePool *pgxpool.Pool
	model     *e5.Model
	tenants   *tenants.Tenants
	knowledge *knowledge.Knowledge
	relay     *events.Relay
	hub       *events.Hub
	runner    *jobs.Runner
	api       http.Handler
	draining  atomic.Bool // no new requests are wanted
	metrics   *telemetry.Metrics
	traces    *telemetry.Traces // nil: nothing is traced
}

// The queue's own connections, out of those that a process may hold.
const queueConnections = 4

// options are what only the dev command chooses, and tests.
type options struct {
	dev    bool
	traces *telemetry.Traces // nil: as configured
}

func newNode(ctx context.Context, cfg config.Config, o options, log *slog.Logger, progress io.Writer) (n *node, err error) {
	n = &node{cfg: cfg, log: log, started: clock.System().Now(), metrics: telemetry.New(clock.System())}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	box, err := secrets.NewBox(cfg.EncryptionKey.Reveal())
	if err != nil {
		return nil, err
	}
	weights, err := artifacts.Weights(ctx, cfg.DataDir, progress)
	if err != nil {
		return nil, fmt.Errorf("no embedder: %w", err)
	}
	if n.model, err = e5.Load(weights); err != nil {
		return nil, err
	}
	if n.traces, err = startTraces(ctx, cfg, o, log); err != nil {
		return nil, err
	}
	traced, direct := postgres.Traced(n.traces.Statements()), postgres.Direct(cfg.DatabaseDirectURL.Reveal())
	if n.db, err = postgres.Open(ctx, cfg.DatabaseURL.Reveal(), int32(cfg.DatabaseConnections-queueConnections), traced, direct); err != nil { //nolint:gosec // at most 1,000
		return nil, err
	}
	if n.queuePool, err = postgres.OpenQueue(ctx, cfg.Direct().Reveal(), queueConnections); err != nil {
		return nil, err
	}
	return n, n.assemble(o, box)
}

// assemble makes the services, from the ground up.
func (n *node) assemble(o options, box *secrets.Box) error {
	now, embed := clock.System(), n.metrics.Embedder(embedder.New(n.model))
	policy := outbound.Policy{AllowLoopback: n.cfg.AllowLoopback, AllowPrivate: n.cfg.AllowPrivate}
	q, err := queue.New(n.log)
	if err != nil {
		return err
	}
	reader, err := triggers.New(embed, n.log)
	if err != nil {
		return err
	}
	var model assistant.Model
	if n.cfg.OpenAIBaseURL != "" {
		model, err = provider.New(provider.Options{BaseURL: n.cfg.OpenAIBaseURL, APIKey: n.cfg.OpenAIKey.Reveal(), Model: n.cfg.OpenAIModel})
		if err != nil {
			return err
		}
	}
	n.tenants = tenants.New(n.db, now, n.log, tenants.Options{TestKeys: o.dev, Box: box})
	n.knowledge = knowledge.New(knowledge.Deps{
		DB: n.db, Clock: now, Queue: q, Log: n.log, Embedder: embed, HTTP: outbound.NewClient(policy, crawlTimeout),
	})
	conv := conversations.New(n.db, now, q)
	hand := handoff.New(n.db, conv)
	brain := assistant.New(assistant.Deps{
		Conversations: conv, Handoff: hand, Knowledge: n.knowledge, Tenants: n.tenants, Embedder: embed, Triggers: reader, Model: model, Clock: now, Log: n.log,
	})
	positions := events.NewPositions(box.Block("positions"))
	render := objects.NewRenderer(n.db, positions)
	render.Knowledge = n.knowledge
	hooks := webhooks.New(webhooks.Deps{
		DB: n.db, Queue: q, Clock: now, Box: box, Client: outbound.NewClient(policy, webhooks.Timeout), Renderer: render, Log: n.log,
	})
	n.hub = events.NewHub(n.db, n.log)
	n.relay = events.NewRelay(n.db, n.log, hooks.FanOut, n.hub.Numbered)
	n.db.OnAnnounce(n.relay.Wake)
	factor := 1
	if o.dev {
		factor = 10
	}
	n.api, err = api.New(api.Deps{
		Tenants: n.tenants, Conversations: conv, Handoff: hand, Knowledge: n.knowledge, Assistant: brain, Webhooks: hooks,
		Hub: n.hub, Positions: positions, Renderer: render, Clock: now, Log: n.log, Box: box, Ready: n.ready, LimitFactor: factor, Served: n.served,
	})
	if err != nil {
		return err
	}
	n.observe()
	n.runner, err = jobs.New(jobs.Deps{
		Pool: n.queuePool, DB: n.db, Clock: now, Log: n.log, Conversations: conv, Handoff: hand, Assistant: brain, Knowledge: n.knowledge,
		Webhooks: hooks, Workers: n.cfg.Workers, Middleware: []rivertype.Middleware{telemetry.Jobs(n.metrics, n.traces)},
	})
	return err
}

const crawlTimeout = 20 * time.Second

// ready tells whether requests can be served.
func (n *node) ready(ctx context.Context) error {
	if n.draining.Load() {
		return errors.New("this node is stopping")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return n.db.InSystem(ctx, func(tx pgx.Tx) error { return tx.Conn().Ping(ctx) })
}

// run does the node's work until ctx ends, and stops in order: no new requests,
// then no new jobs, and what is under way is finished. ready is called when
// everything answers; its error ends the node.
func (n *node) run(ctx context.Context, r roles, listener net.Listener, ready func(context.Context) error) error {
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stopOperations, err := n.operate(background)
	if err != nil {
		return err
	}
	defer stopOperations()
	var requests, work sync.WaitGroup
	work.Go(func() { n.hub.Run(background) })
	work.Go(func() { n.relay.Run(background) })
	if r.serve {
		requests.Go(func() {
			if err := n.serve(ctx, listener); err != nil {
				stop(err)
			}
		})
	}
	working, stopWorking := context.WithCancel(background)
	defer stopWorking()
	work.Go(func() {
		if !r.work {
			n.runner.Sweep(working)
			return
		}
		if err := n.runner.Run(working, n.cfg.ShutdownTimeout); err != nil {
			stop(err)
		}
	})
	if err := ready(ctx); err != nil {
		stop(err)
	}
	<-ctx.Done()
	requests.Wait()
	stopWorking()
	stopBackground()
	work.Wait()
	n.tenants.Close()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// serve serves HTTP until ctx ends, and finishes the requests under way.
func (n *node) serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: n.drainable(n.traces.Around(n.metrics.Around(n.api))), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: stalled, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	n.drain()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.cfg.ShutdownTimeout)
	defer cancel()
	n.hub.Stop() // event streams never end by themselves
	if err := server.Shutdown(stopping); err != nil {
		return errors.Join(fmt.Errorf("stop serving: %w", err), server.Close())
	}
	return nil
}

// stalled is how long a request may take to arrive. Handlers that answer for
// longer (streams, waits) lift it when they have read what was sent.
const stalled = 30 * time.Second

// close lets go of what newNode opened.
func (n *node) close() {
	n.stopTraces()
	if n.queuePool != nil {
		n.queuePool.Close()
	}
	if n.db != nil {
		n.db.Close()
	}
	if n.model != nil {
		if err := n.model.Close(); err != nil {
			n.log.Warn("close the embedder", "error", err)
		}
	}
}
