// Package api is HTTP: it turns requests into calls of the domain and what
// they give into the API's objects. It decides nothing and knows no SQL.
//
// routes.go is the table of all operations. Each names the scope that it needs
// and whose data it is about, and each handler is a function of a Call and its
// typed input that a test can call without HTTP. On its way to a handler a
// request passes Base (request id, panics, unknown routes, the access log) and
// authorize (key, scope, workspace, limits, idempotency), and only then huma,
// which checks it against the document.
package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/relaydesk/relaydesk/assistant"
	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/docs"
	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/secrets"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/objects"
	"github.com/relaydesk/relaydesk/openapi"
	"github.com/relaydesk/relaydesk/tenants"
	"github.com/relaydesk/relaydesk/webhooks"
)

// Version is the API's version, which every answer names.
const Version = "2026-11-01"

// Deps is what the API stands on.
type Deps struct {
	Tenants       *tenants.Tenants
	Knowledge     *knowledge.Knowledge
	Conversations *conversations.Conversations
	Handoff       *handoff.Handoff
	Assistant     *assistant.Assistant
	Webhooks      *webhooks.Webhooks
	Hub           *events.Hub // its Stop ends the streams of a server that shuts down
	Positions     events.Positions
	Renderer      *objects.Renderer

	Clock clock.Clock
	Log   *slog.Logger
	Box   *secrets.Box // seals receipts and positions
	// Ready tells why the server can't serve; nil: it can.
	Ready func(context.Context) error
	// Served is told of each request when it was answered; r.Pattern is its
	// route, empty if there is none. nil: nobody is told.
	Served func(r *http.Request, status int, took time.Duration)
	// LimitFactor multiplies the rate limits; 0 is 1.
	LimitFactor int
}

// Server serves the API.
type Server struct {
	tenants       *tenants.Tenants
	knowledge     *knowledge.Knowledge
	conversations *conversations.Conversations
	handoff       *handoff.Handoff
	assistant     *assistant.Assistant
	webhooks      *webhooks.Webhooks
	hub           *events.Hub
	positions     events.Positions
	renderer      *objects.Renderer

	clock   clock.Clock
	log     *slog.Logger
	box     *secrets.Box
	ready   func(context.Context) error
	served  func(r *http.Request, status int, took time.Duration)
	limits  limits
	streams streams
	// cursorKey is the same on all nodes.
	cursorKey []byte
	handler   http.Handler
}

// New makes the API's server.
func New(d Deps) (*Server, error) {
	s := newServer(d)
	if d.Conversations != nil {
		d.Conversations.OnErase(d.Tenants.EraseTokens)
	}
	mux := http.NewServeMux()
	api := s.register(mux)
	doc31, doc30, err := openapi.Publish(api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("publish the API's document: %w", err)
	}
	published := openapi.Handler(doc31, doc30)
	for _, path := range []string{"/openapi.json", "/openapi-3.0.json", "/docs", "/docs/"} {
		mux.Handle("GET "+path, published)
	}
	guide := docs.Handler()
	mux.Handle("GET /guide", guide)
	mux.Handle("GET /guide/", guide)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, "ok\n") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("OPTIONS /v1/visitor/", s.preflight)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/guide", http.StatusFound) })
	s.handler = s.base(mux)
	return s, nil
}

// ServeHTTP serves everything: the API, its document and reference, the guide,
// and the checks of health.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Document is the API's document as huma writes it, for those who publish it
// without a server.
func Document() *huma.OpenAPI { return newServer(Deps{}).register(http.NewServeMux()).OpenAPI() }

func newServer(d Deps) *Server {
	s := &Server{
		tenants: d.Tenants, knowledge: d.Knowledge, conversations: d.Conversations, handoff: d.Handoff, assistant: d.Assistant,
		webhooks: d.Webhooks, hub: d.Hub, positions: d.Positions, renderer: d.Renderer,
		clock: d.Clock, log: d.Log, box: d.Box, ready: d.Ready, served: d.Served,
		limits: limits{factor: max(1, d.LimitFactor)},
	}
	if d.Box != nil {
		s.cursorKey = cursorKey(d.Box)
	}
	return s
}

// configureHuma sets what huma keeps for the whole process.
var configureHuma = sync.OnceFunc(func() {
	huma.DefaultArrayNullable = false
	huma.ValidateStrictCasing = true
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return newError("", status, message, errs)
	}
	huma.NewErrorWithContext = func(hc huma.Context, status int, message string, errs ...error) huma.StatusError {
		return newError(requestID(hc.Context()), status, message, errs)
	}
})

func (s *Server) register(mux *http.ServeMux) huma.API {
	configureHuma()
	config := huma.DefaultConfig("Relaydesk", Version)
	config.CreateHooks, config.SchemasPath, config.DocsPath, config.OpenAPIPath = nil, "", "", ""
	config.Formats = map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}
	config.Info.Description = "AI-to-human support handoff. The guide is at /guide."
	config.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key": {Type: "http", Scheme: "bearer", Description: "An API key, or a token that one made: `Authorization: Bearer rd_sk_…`"},
	}
	config.Tags = tags
	config.Transformers = []huma.Transformer{}
	api := humago.New(mux, config)
	for _, r := range s.routes() {
		s.handle(api, r)
	}
	webhookTypes(api, schemaOf[objects.Event](api))
	return api
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if s.ready != nil {
		if err := s.ready(r.Context()); err != nil {
			s.log.WarnContext(r.Context(), "not ready", "error", err)
			send(w, problem(requestID(r.Context()), "unavailable", "Not ready yet."))
			return
		}
	}
	plain(w, "ready\n")
}

func plain(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(text))
}
