package queue

import (
	"context"
	"encoding/json"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// carried is what a job's metadata holds of the trace that made it.
type carried struct {
	TraceParent string `json:"traceparent,omitempty"`
}

// carry gives the metadata for a job that is made under ctx; nil if that
// belongs to no trace.
func carry(ctx context.Context) []byte {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return nil
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	metadata, err := json.Marshal(carried{carrier.Get("traceparent")})
	if err != nil {
		return nil // a string can always be written
	}
	return metadata
}

// Traced gives a context that belongs to the trace in which a job was made, by
// the job's metadata; false if it was made in none.
func Traced(ctx context.Context, metadata []byte) (context.Context, bool) {
	var from carried
	if json.Unmarshal(metadata, &from) != nil || from.TraceParent == "" {
		return ctx, false
	}
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": from.TraceParent})
	return ctx, trace.SpanContextFromContext(ctx).IsValid()
}
