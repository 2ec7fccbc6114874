package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/receipts"
)

const (
	workspaceHeader = "Relaydesk-Workspace"
	keyHeader       = "Idempotency-Key"
	maxWait         = 60 * time.Second
)

// authorize stands before each operation: who is it, what may they do, whose
// data is it, is it too much, was it sent before. Only then is the request
// read for its meaning, so that a stranger learns nothing from its mistakes.
func (s *Server) authorize(r *route) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		request, w := unwrap(hc)
		c := &Call{RequestID: requestID(request.Context()), Status: r.status, header: w.Header(), route: r, fail: s.problem}
		if err := s.admit(request, w, c); err != nil {
			send(w, s.problem(request.Context(), err))
			return
		}
		next(huma.WithValue(hc, callKey{}, c))
	}
}

func (s *Server) admit(r *http.Request, w http.ResponseWriter, c *Call) error {
	ctx, now := r.Context(), s.clock.Now()
	if c.route.reach.isVisitors() {
		if err := s.fromOrigin(ctx, r, w); err != nil {
			return err
		}
	}
	if err := s.authenticate(ctx, r, w, c, now); err != nil {
		return err
	}
	p := c.Principal
	if entry := entryOf(ctx); entry != nil {
		entry.principal = p
	}
	if !p.Scopes.Allow(c.route.scope) {
		return fault.New(fault.Denied, "scope_missing", "This needs the scope %s, which the key has not.", c.route.scope)
	}
	if c.route.reach == agencyKeyOnly && (p.Workspace.ID != 0 || p.Confined) {
		return fault.New(fault.Denied, "scope_missing", "This is the agency's; whoever belongs to a workspace may not do it.")
	}
	if err := s.chooseWorkspace(ctx, r, c); err != nil {
		return err
	}
	if c.route.reach.isVisitors() {
		if err := s.letIn(ctx, r, w, c, now); err != nil {
			return err
		}
	} else if err := s.limit(w, c, now); err != nil {
		return err
	}
	query, err := checkQuery(r.URL.RawQuery, c.RequestID)
	if err != nil {
		return err
	}
	c.bind = bindOf(s.cursorKey, r.URL.Path, query, strconv.FormatInt(p.AgencyID, 10)+" "+strconv.FormatInt(c.Workspace.ID, 10))
	if err := c.readPreconditions(r, w); err != nil {
		return err
	}
	return s.readBody(r, w, c, now)
}

// limit counts a request of a key, or of a member's token.
func (s *Server) limit(w http.ResponseWriter, c *Call, now time.Time) error {
	quotas := []quota{{"key", string(c.Principal.KeyID[:])}}
	if c.Workspace.ID != 0 {
		quotas = append(quotas, quota{"workspace", strconv.FormatInt(c.Workspace.ID, 10)})
	}
	if !s.limits.take(w.Header(), now, quotas...) {
		return fault.New(fault.Limited, "rate_limited", "Too many requests in this second. Wait for Retry-After.")
	}
	return nil
}

// authenticate lets addresses that have no valid key try few times.
func (s *Server) authenticate(ctx context.Context, r *http.Request, w http.ResponseWriter, c *Call, now time.Time) (err error) {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		key = ""
	}
	c.Principal, err = s.tenants.Authenticate(ctx, strings.TrimSpace(key))
	if err == nil || fault.Of(err).Code != "unauthorized" {
		c.key = strings.TrimSpace(key)
		return err
	}
	if !s.limits.take(w.Header(), now, quota{"address", addressOf(r)}) {
		return fault.New(fault.Limited, "rate_limited", "Too many requests without a valid key. Wait for Retry-After.")
	}
	return err
}

// chooseWorkspace finds whose data the request is about.
func (s *Server) chooseWorkspace(ctx context.Context, r *http.Request, c *Call) error {
	p := c.Principal
	c.Workspace, c.WorkspaceUUID = p.Workspace, p.WorkspaceUUID
	named := r.Header.Get(workspaceHeader)
	if named == "" && p.Confined && len(p.Places) == 1 {
		named = ids.Format(ids.Workspace, p.Places[0])
	}
	if named != "" {
		id, err := parse(ids.Workspace, named, "workspace")
		if err != nil {
			return err
		}
		if p.Workspace.ID != 0 && id != p.WorkspaceUUID || !p.Reaches(id) {
			return noSuch("workspace")
		}
		w, err := s.tenants.Workspace(ctx, p.AgencyID, id)
		if err != nil {
			return err
		}
		c.Workspace, c.WorkspaceUUID = w.Workspace, w.UUID
	}
	switch reach := c.route.reach; {
	case reach == oneWorkspace || reach.isVisitors() || p.Confined:
		// A member who works in some workspaces only acts in one at a time, as a
		// workspace's key would.
		if c.Workspace.ID == 0 {
			return fault.New(fault.Invalid, "workspace_required", "A workspace has to be named: %s: ws_…", workspaceHeader)
		}
	case reach == wholeAgency, reach == agencyKeyOnly:
		// A workspace's key stays in its workspace; an agency's is not narrowed by
		// the header, so that what is the agency's own is always reached.
		c.Workspace, c.WorkspaceUUID = p.Workspace, p.WorkspaceUUID
	}
	if entry := entryOf(ctx); entry != nil {
		entry.workspace = c.Workspace.ID
	}
	return nil
}

// readPreconditions reads If-Match, where there is something to match, and Prefer.
func (c *Call) readPreconditions(r *http.Request, w http.ResponseWriter) error {
	if tag := strings.TrimSpace(r.Header.Get("If-Match")); tag != "" && tag != "*" && (r.Method == http.MethodPatch || r.Method == http.MethodDelete) {
		tag = strings.TrimPrefix(tag, "W/")
		unquoted, ok := strings.CutPrefix(tag, `"`)
		unquoted, ok2 := strings.CutSuffix(unquoted, `"`)
		version, err := strconv.ParseInt(unquoted, 10, 64)
		if !ok || !ok2 || err != nil || version <= 0 {
			return fault.New(fault.Conflict, "precondition_failed", "If-Match takes one ETag, as it was given: \"3\".")
		}
		c.IfVersion = version
	}
	if !c.route.mayWait {
		return nil
	}
	for _, preference := range strings.FieldsFunc(strings.Join(r.Header.Values("Prefer"), ","), func(r rune) bool { return r == ',' || r == ';' }) {
		name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		seconds, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`))
		if err != nil || seconds < 0 {
			continue // RFC 7240: a preference that can't be kept is ignored
		}
		c.Wait = min(time.Duration(min(seconds, 3600))*time.Second, maxWait)
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(c.Wait/time.Second)))
	}
	return nil
}

// readBody takes the body and, with an Idempotency-Key, makes the receipt.
func (s *Server) readBody(r *http.Request, w http.ResponseWriter, c *Call, now time.Time) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	body, err := readBody(w, r, c.RequestID)
	if err != nil {
		return err
	}
	if err := checkBody(body, c.RequestID); err != nil {
		return err
	}
	if err := checkNull(body, c.route.nullable, c.RequestID); err != nil {
		return err
	}
	key := r.Header.Get(keyHeader)
	if len(r.Header.Values(keyHeader)) == 0 || c.route.noReceipt || r.Method != http.MethodPost && r.Method != http.MethodPatch {
		return nil
	}
	// The draft of the header's standard has it in quotes, most clients don't.
	if unquoted := strings.TrimSuffix(strings.TrimPrefix(key, `"`), `"`); len(key) == len(unquoted)+2 {
		key = unquoted
	}
	if len(key) == 0 || len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fault.New(fault.Invalid, "malformed_request", "An Idempotency-Key has 1 to 255 printable ASCII characters.")
	}
	sum := sha256.New()
	for _, part := range []string{r.Method, r.URL.Path, r.URL.RawQuery, strconv.FormatInt(c.Workspace.ID, 10)} {
		sum.Write([]byte(part))
		sum.Write([]byte{0})
	}
	sum.Write(body)
	c.Receipt = &receipts.Receipt{
		Workspace: postgres.Workspace{AgencyID: c.Principal.AgencyID, ID: c.Workspace.ID},
		Principal: c.Principal.KeyID, Key: key, Fingerprint: [sha256.Size]byte(sum.Sum(nil)), Now: now, Box: s.box,
	}
	return nil
}

// parse reads an id of the path, a header or the body. One that is malformed
// is answered like one that is unknown.
func parse(p ids.Prefix, text, what string) (ids.ID, error) {
	id, err := ids.Parse(p, text)
	if err != nil {
		return ids.ID{}, noSuch(what)
	}
	return id, nil
}

func noSuch(what string) error { return fault.New(fault.NotFound, "not_found", "No such %s.", what) }

// problem translates an error and logs it where it is ours.
func (s *Server) problem(ctx context.Context, err error) *Problem {
	p := problemOf(requestID(ctx), err)
	if p.Status >= http.StatusInternalServerError && !(errors.Is(err, context.Canceled) && ctx.Err() != nil) {
		s.log.ErrorContext(ctx, "answer a request", "request_id", requestID(ctx), "error", err)
	}
	return p
}
