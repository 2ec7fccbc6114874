package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	otel "go.opentelemetry.io/otel/trace"

	"github.com/relaydesk/relaydesk/internal/queue"
)

// Traces follows a request through its statements and the jobs that come of it.
// A nil *Traces follows nothing and costs nothing.
type Traces struct {
	provider *trace.TracerProvider
	tracer   otel.Tracer
}

// StartTraces sends traces to the collector that OpenTelemetry's own variables
// name (OTEL_EXPORTER_OTLP_ENDPOINT and the others of the protocol http/protobuf).
func StartTraces(ctx context.Context, version string) (*Traces, error) {
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("send traces: %w", err)
	}
	return NewTraces(ctx, exporter, version)
}

// NewTraces hands spans to an exporter, in batches.
func NewTraces(ctx context.Context, exporter trace.SpanExporter, version string) (*Traces, error) {
	// What the environment says (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) wins.
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "relaydesk"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("describe this node for traces: %w", err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(about))
	return &Traces{provider, provider.Tracer("github.com/relaydesk/relaydesk")}, nil
}

// Close sends what is left. The exporter's own timeouts bound it, and ctx.
func (t *Traces) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last traces: %w", err)
	}
	return nil
}

var wire = propagation.TraceContext{}

// Around begins a trace for each request. A trace that the client names is
// linked, not joined: clients are strangers, who must not choose what is
// recorded here, or write into somebody's trace.
func (t *Traces) Around(h http.Handler) http.Handler {
	if t == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		options := []otel.SpanStartOption{otel.WithSpanKind(otel.SpanKindServer), otel.WithNewRoot()}
		if theirs := otel.SpanContextFromContext(wire.Extract(r.Context(), propagation.HeaderCarrier(r.Header))); theirs.IsValid() {
			options = append(options, otel.WithLinks(otel.Link{SpanContext: theirs}))
		}
		ctx, span := t.tracer.Start(r.Context(), methodOf(r), options...)
		defer span.End()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Served tells the request's span what was answered.
func (t *Traces) Served(r *http.Request, status int, _ time.Duration) {
	if t == nil {
		return
	}
	span := otel.SpanFromContext(r.Context())
	span.SetName(methodOf(r) + " " + routeOf(r))
	span.SetAttributes(attribute.String("http.request.method", methodOf(r)), attribute.String("http.route", routeOf(r)),
		attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
}

// Statements traces what is sent to Postgres, of transactions that belong to a
// trace. Spans have the statement's first word and, of an error, its code:
// arguments, and messages that may quote them, stay out.
func (t *Traces) Statements() pgx.QueryTracer {
	if t == nil {
		return nil
	}
	return &statements{t.tracer}
}

type statements struct{ tracer otel.Tracer }

func (s *statements) start(ctx context.Context, name string) context.Context {
	if !otel.SpanContextFromContext(ctx).IsValid() {
		return ctx // the sweeps and the relay look each second; nobody asked for that
	}
	ctx, _ = s.tracer.Start(ctx, name, otel.WithSpanKind(otel.SpanKindClient), otel.WithAttributes(attribute.String("db.system.name", "postgresql")))
	return ctx
}

func (s *statements) end(ctx context.Context, err error) {
	span := otel.SpanFromContext(ctx)
	if !span.SpanContext().IsValid() {
		return
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		code := "failed"
		if e, ok := errors.AsType[*pgconn.PgError](err); ok {
			code = e.Code
		}
		span.SetAttributes(attribute.String("db.response.status_code", code))
		span.SetStatus(codes.Error, code)
	}
	span.End()
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return s.start(ctx, firstWord(data.SQL))
}

func (s *statements) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	s.end(ctx, data.Err)
}

func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return s.start(ctx, "batch")
}

func (s *statements) TraceBatchQuery(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	otel.SpanFromContext(ctx).AddEvent(firstWord(data.SQL))
}

func (s *statements) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	s.end(ctx, data.Err)
}

// firstWord is a statement's name: select, insert, begin.
func firstWord(sql string) string {
	sql = strings.TrimSpace(sql)
	end := strings.IndexFunc(sql, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
	switch {
	case end < 0:
		return strings.ToLower(sql)
	case end == 0:
		return "statement"
	}
	return strings.ToLower(sql[:end])
}

// Jobs is middleware for River that counts jobs, and goes on with the trace of
// the request that made them. t may be nil.
func Jobs(m *Metrics, t *Traces) rivertype.WorkerMiddleware { return &jobs{metrics: m, traces: t} }

type jobs struct {
	metrics *Metrics
	traces  *Traces
}

// IsMiddleware marks it for River.
func (*jobs) IsMiddleware() bool { return true }

// Work works a job.
func (j *jobs) Work(ctx context.Context, job *rivertype.JobRow, do func(context.Context) error) (err error) {
	began, result := j.metrics.clock.Now(), "panicked"
	ctx, span := j.begin(ctx, job)
	defer func() {
		j.metrics.worked.WithLabelValues(job.Kind, result).Inc()
		j.metrics.working.WithLabelValues(job.Kind).Observe(j.metrics.clock.Now().Sub(began).Seconds())
		if span != nil {
			if result != "done" {
				span.SetStatus(codes.Error, result)
			}
			span.End()
		}
	}()
	err = do(ctx)
	result = "done"
	if err != nil {
		result = "failed"
	}
	return err
}

func (j *jobs) begin(ctx context.Context, job *rivertype.JobRow) (context.Context, otel.Span) {
	if j.traces == nil {
		return ctx, nil
	}
	ctx, ok := queue.Traced(ctx, job.Metadata)
	if !ok {
		return ctx, nil // a sweep's, or the relay's
	}
	return j.traces.tracer.Start(ctx, "job "+job.Kind, otel.WithSpanKind(otel.SpanKindConsumer), otel.WithAttributes(
		attribute.String("messaging.system", "river"), attribute.String("messaging.destination.name", job.Queue),
		attribute.Int64("messaging.message.id", job.ID), attribute.Int("messaging.river.attempt", job.Attempt)))
}
