package api

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/tenants"
)

// entry is a line of the access log in the making. It holds ids and numbers,
// never what was asked or answered.
type entry struct {
	requestID string
	principal tenants.Principal
	workspace int64
}

type entryKey struct{}

func entryOf(ctx context.Context) *entry {
	e, _ := ctx.Value(entryKey{}).(*entry)
	return e
}

// requestID names a request; empty outside of one.
func requestID(ctx context.Context) string {
	if e := entryOf(ctx); e != nil {
		return e.requestID
	}
	return ""
}

// base stands before everything: it names the request, turns a panic and what
// the router says by itself into problems, and writes the access log.
func (s *Server) base(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(raw http.ResponseWriter, r *http.Request) {
		began := s.clock.Now()
		e := &entry{requestID: ids.Format("req", ids.New(began))}
		w := &watched{ResponseWriter: raw}
		w.Header().Set("Request-Id", e.requestID)
		w.Header().Set("Relaydesk-Version", Version)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		r = r.WithContext(context.WithValue(r.Context(), entryKey{}, e))
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // it is this very value
					panic(p)
				}
				s.log.ErrorContext(r.Context(), "panic", "request_id", e.requestID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				if w.status == 0 {
					send(w, problem(e.requestID, "internal_error", "Something went wrong on our side."))
				}
			}
			took := s.clock.Now().Sub(began)
			if s.served != nil {
				s.served(r, w.status, took)
			}
			s.log.InfoContext(r.Context(), "request", "request_id", e.requestID, "method", r.Method, "route", r.Pattern,
				"status", w.status, "bytes", w.bytes, "ms", took.Milliseconds(),
				"agency", e.principal.AgencyID, "workspace", e.workspace, "key", actorName(e.principal))
		}()
		if _, pattern := mux.Handler(r); pattern == "" {
			s.unrouted(mux, w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// actorName is the id of the key, or of whose token it is.
func actorName(p tenants.Principal) string {
	switch {
	case p.KeyID.IsZero():
		return ""
	case !p.Member.IsZero():
		return ids.Format(ids.Member, p.Member)
	case !p.Visitor.IsZero():
		return ids.Format(ids.Contact, p.Visitor)
	}
	return ids.Format(ids.Key, p.KeyID)
}

// unrouted answers for paths and methods that there are not, as the router
// would, but with a problem.
func (s *Server) unrouted(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	said := &discarded{header: http.Header{}}
	h, _ := mux.Handler(r)
	h.ServeHTTP(said, r)
	if said.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", said.header.Get("Allow"))
		send(w, problem(requestID(r.Context()), "method_not_allowed", "This path has no such method; see Allow."))
		return
	}
	send(w, problem(requestID(r.Context()), "not_found", "There is nothing at this path."))
}

// watched notices what was answered. Unwrap keeps flushing and deadlines.
type watched struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *watched) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// discarded keeps what a handler says in its headers only.
type discarded struct {
	header http.Header
	status int
}

func (d *discarded) Header() http.Header         { return d.header }
func (d *discarded) Write(b []byte) (int, error) { return len(b), nil }
func (d *discarded) WriteHeader(status int)      { d.status = status }
