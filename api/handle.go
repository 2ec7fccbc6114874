package api

import (
	"context"
	"crypto/sha256"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/receipts"
	"github.com/relaydesk/relaydesk/tenants"
)

// reach is whose data an operation is about, which decides what the
// Relaydesk-Workspace header means for it.
type reach int

const (
	// oneWorkspace needs a workspace: the key's own, or one that is named.
	oneWorkspace reach = iota
	// acrossWorkspaces reads in one workspace, or in all of the agency's when
	// an agency key names none.
	acrossWorkspaces
	// wholeAgency is about the agency's own objects. A workspace's key sees of
	// them what concerns its workspace.
	wholeAgency
	// agencyKeyOnly is about the agency's own objects, and not for a
	// workspace's key.
	agencyKeyOnly
	// visitorSession takes a publishable key, visitorOwn a visitor's token.
	visitorSession
	visitorOwn
)

// isVisitors tells what browsers of visitors do, from pages of other origins.
func (r reach) isVisitors() bool { return r == visitorSession || r == visitorOwn }

// route is one operation: a row of the table in routes.go.
type route struct {
	method, path string
	scope        string
	reach        reach
	id           string // verb and noun, for those who generate clients
	tag          string
	summary      string
	status       int // of success
	noReceipt    bool
	mayWait      bool
	nullable     map[string]bool // of a PATCH: the fields that null empties
	about        string
	example      string // of the body; empty: made of its fields' examples
	also         int    // another status of success, and when
	alsoWhen     string
	register     func(huma.API, huma.Operation)
	content      func(huma.API) map[string]*huma.MediaType // of an answer that the handler writes itself
}

// Call is one request, as far as it is known before its handler runs, and what
// the handler says about the answer besides its body.
type Call struct {
	RequestID     string
	Principal     tenants.Principal
	Workspace     postgres.Workspace // ID 0: none was named
	WorkspaceUUID ids.ID
	Receipt       *receipts.Receipt // nil: no Idempotency-Key
	IfVersion     int64             // 0: no If-Match
	Wait          time.Duration     // 0: no Prefer: wait

	// Status and Version are set by a handler that answers with another status
	// than its route's, or whose object has a version.
	Status  int
	Version int64

	key    string            // by which a stream looks whether it may go on
	bind   [sha256.Size]byte // what the cursors of this list are made with
	header http.Header
	route  *route
	fail   func(context.Context, error) *Problem
}

// Scope is how far a read goes.
func (c *Call) Scope() tenants.Scope {
	return tenants.Scope{AgencyID: c.Principal.AgencyID, Workspace: c.Workspace}
}

type callKey struct{}

// handler is an endpoint: a function that needs no HTTP.
type handler[I, O any] func(ctx context.Context, c *Call, in *I) (O, error)

// output is what huma makes an answer of.
type output[O any] struct {
	Status int
	Body   O
}

// none is the body of an answer without one.
type none struct{}

func get[I, O any](path, scope string, r reach, id, tag, summary string, h handler[I, O]) route {
	return row(http.MethodGet, path, scope, r, id, tag, summary, http.StatusOK, h)
}

// post makes something.
func post[I, O any](path, scope string, r reach, id, tag, summary string, h handler[I, O]) route {
	return row(http.MethodPost, path, scope, r, id, tag, summary, http.StatusCreated, h)
}

// act does something to what exists.
func act[I, O any](path, scope string, r reach, id, tag, summary string, h handler[I, O]) route {
	return row(http.MethodPost, path, scope, r, id, tag, summary, http.StatusOK, h)
}

func patch[I, O any](path, scope string, r reach, id, tag, summary string, h handler[I, O]) route {
	return row(http.MethodPatch, path, scope, r, id, tag, summary, http.StatusOK, h)
}

func remove[I any](path, scope string, r reach, id, tag, summary string, h handler[I, none]) route {
	return row(http.MethodDelete, path, scope, r, id, tag, summary, http.StatusNoContent, h)
}

// order does something about which there is nothing to say.
func order[I any](path, scope string, r reach, id, tag, summary string, h handler[I, none]) route {
	return row(http.MethodPost, path, scope, r, id, tag, summary, http.StatusNoContent, h)
}

func row[I, O any](method, path, scope string, r reach, id, tag, summary string, status int, h handler[I, O]) route {
	return route{
		method: method, path: "/v1" + path, scope: scope, reach: r, id: id, tag: tag, summary: summary, status: status,
		register: func(api huma.API, op huma.Operation) {
			if status == http.StatusNoContent {
				huma.Register(api, op, func(ctx context.Context, in *I) (*struct{}, error) {
					_, err := call(ctx, in, h)
					return nil, err
				})
				return
			}
			huma.Register(api, op, func(ctx context.Context, in *I) (*output[O], error) {
				out, err := call(ctx, in, h)
				if err != nil {
					return nil, err
				}
				return &output[O]{Status: callOf(ctx).Status, Body: out}, nil
			})
		},
	}
}

// raw is a GET whose handler writes the answer itself: a stream, or a text.
// What it returns runs when nothing can fail any more but the connection.
func raw[I any](path, scope string, r reach, id, tag, summary string, content func(huma.API) map[string]*huma.MediaType, h handler[I, func(huma.Context)]) route {
	return route{
		method: http.MethodGet, path: "/v1" + path, scope: scope, reach: r, id: id, tag: tag, summary: summary, status: http.StatusOK, content: content,
		register: func(api huma.API, op huma.Operation) {
			huma.Register(api, op, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
				write, err := call(ctx, in, h)
				if err != nil {
					return nil, err
				}
				return &huma.StreamResponse{Body: write}, nil
			})
		},
	}
}

// content is that of one media type.
func content[T any](media string) func(huma.API) map[string]*huma.MediaType {
	return func(api huma.API) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{media: {Schema: schemaOf[T](api)}}
	}
}

func schemaOf[T any](api huma.API) *huma.Schema {
	return api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")
}

// storesNothing marks a POST for which an Idempotency-Key has no meaning.
func (r route) storesNothing() route { r.noReceipt = true; return r }

// waits marks what Prefer: wait has a meaning for.
func (r route) waits() route { r.mayWait = true; return r }

// more adds a paragraph to what the reference says.
func (r route) more(about string) route { r.about = about; return r }

// call runs a handler and puts into the headers what it said about the answer.
func call[I, O any](ctx context.Context, in *I, h handler[I, O]) (O, error) {
	c := callOf(ctx)
	out, err := h(ctx, c, in)
	if err != nil {
		return out, c.fail(ctx, err)
	}
	if c.Version != 0 {
		c.header.Set("ETag", `"`+strconv.FormatInt(c.Version, 10)+`"`)
	}
	if c.Receipt != nil && c.Receipt.Replayed {
		c.header.Set("Idempotent-Replayed", "true")
	}
	return out, nil
}

func callOf(ctx context.Context) *Call {
	c, ok := ctx.Value(callKey{}).(*Call)
	if !ok {
		panic("an operation was reached past authorize")
	}
	return c
}

// handle registers an operation. It is the only place that does, so that none
// can be without a scope, a limit, or its place in the document.
func (s *Server) handle(api huma.API, r route) {
	if r.scope == "" || r.id == "" || r.summary == "" || r.tag == "" {
		panic("the route " + r.method + " " + r.path + " lacks a scope, an id, a summary or a tag")
	}
	problems := &huma.Response{
		Description: "A problem; code tells which.",
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schemaOf[Problem](api)}},
	}
	op := huma.Operation{
		Method: r.method, Path: r.path, OperationID: r.id, Summary: r.summary, Tags: []string{r.tag},
		Description:   description(r),
		DefaultStatus: r.status,
		// The body was read before, with a limit of our own; huma's timeout would
		// stay on the connection and end whatever takes longer.
		BodyReadTimeout: -1, MaxBodyBytes: MaxBody + 1,
		RejectUnknownQueryParameters: true,
		Security:                     []map[string][]string{{"key": {}}},
		Parameters:                   parameters(r),
		Responses:                    map[string]*huma.Response{"4XX": problems, "5XX": problems},
		Metadata:                     map[string]any{"scope": r.scope},
		Extensions:                   map[string]any{"x-scope": r.scope},
		Middlewares:                  huma.Middlewares{s.authorize(&r)}, // reads r when it is complete
	}
	if r.content != nil {
		op.Responses[strconv.Itoa(r.status)] = &huma.Response{Description: http.StatusText(r.status), Content: r.content(api)}
	}
	r.register(api, op)
	if r.method == http.MethodPatch {
		r.nullable = nullableFields(api, api.OpenAPI().Paths[r.path].Patch)
	}
	answerHeaders(op.Responses[strconv.Itoa(r.status)], r)
	item := api.OpenAPI().Paths[r.path]
	for _, registered := range []*huma.Operation{item.Get, item.Post, item.Patch, item.Delete} {
		if registered != nil && registered.OperationID == r.id {
			addExamples(api, registered, r)
		}
	}
}

// nullableFields are the fields of a body that may be null. huma takes null for
// absent where a field is optional; of a PATCH that would be a silence.
func nullableFields(api huma.API, op *huma.Operation) map[string]bool {
	schema := op.RequestBody.Content["application/json"].Schema
	if schema.Ref != "" {
		schema = api.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
	}
	fields := map[string]bool{}
	for name, p := range schema.Properties {
		fields[name] = p.Nullable || slices.ContainsFunc(p.AnyOf, func(s *huma.Schema) bool { return s.Type == "null" })
	}
	return fields
}

func description(r route) string {
	lines := []string{"Scope: `" + r.scope + "`."}
	if r.about != "" {
		lines = append([]string{r.about}, lines...)
	}
	switch r.reach {
	case oneWorkspace:
		lines = append(lines, "An agency's key names the workspace in the `Relaydesk-Workspace` header.")
	case acrossWorkspaces:
		lines = append(lines, "An agency's key may name a workspace in the `Relaydesk-Workspace` header; without it, all of the agency's are read.")
	case agencyKeyOnly:
		lines = append(lines, "Not for a workspace's key.")
	case visitorSession:
		lines[len(lines)-1] = "Takes a publishable key, from a page of one of the workspace's `allowed_origins`."
	case visitorOwn:
		lines[len(lines)-1] = "Takes a visitor's token, from a page of one of the workspace's `allowed_origins`."
	case wholeAgency:
	}
	return strings.Join(lines, "\n\n")
}

// parameters are the headers that the middleware reads.
func parameters(r route) []*huma.Param {
	header := func(name, doc, example string) *huma.Param {
		return &huma.Param{Name: name, In: "header", Description: doc, Schema: &huma.Schema{Type: "string"}, Example: example}
	}
	var all []*huma.Param
	if r.reach == oneWorkspace || r.reach == acrossWorkspaces {
		all = append(all, header("Relaydesk-Workspace", "The workspace that an agency's key acts in. A workspace's key needs none.", exampleID(ids.Workspace)))
	}
	if r.method == http.MethodPatch || r.method == http.MethodPost && !r.noReceipt {
		all = append(all, header("Idempotency-Key", "Sent again with the same key, a request is done once; kept for 24 hours.", "3f1c6b1e-reply-1"))
	}
	if r.mayWait {
		all = append(all, header("Prefer", "wait=20 waits up to 20 seconds (at most 60) for what becomes of the turn.", "wait=20"))
	}
	if r.method == http.MethodPatch || r.method == http.MethodDelete {
		all = append(all, header("If-Match", "The ETag that the change was made from; 412 if it is no longer that.", `"3"`))
	}
	return all
}

func answerHeaders(answer *huma.Response, r route) {
	if answer == nil {
		return
	}
	text := func(doc string) *huma.Header {
		return &huma.Header{Description: doc, Schema: &huma.Schema{Type: "string"}}
	}
	answer.Headers = map[string]*huma.Header{
		"Request-Id": text("Names this request in our logs."), "Relaydesk-Version": text("The version of the API."),
		"RateLimit": text("What is left of each quota."), "RateLimit-Policy": text("The quotas."),
	}
	if strings.HasSuffix(r.path, "}") || r.method == http.MethodPatch {
		answer.Headers["ETag"] = text("The version of the object, for If-Match.")
	}
	if r.method == http.MethodPatch || r.method == http.MethodPost && !r.noReceipt {
		answer.Headers["Idempotent-Replayed"] = text("true when this is the answer of an earlier request with the same Idempotency-Key.")
	}
}

// exampleID is an id as one may look, always the same.
func exampleID(p ids.Prefix) string { return string(p) + "_01kb2m3n4p5q6r7s8t9v0wxyza" }

// unwrap gives what huma's context hides.
func unwrap(ctx huma.Context) (*http.Request, http.ResponseWriter) { return humago.Unwrap(ctx) }
