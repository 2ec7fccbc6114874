package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relaydesk/relaydesk/handoff/words"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/tenants"
)

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// preflight answers a browser that asks whether it may ask. It shows no key, so
// all that can be said is whether any workspace knows its origin; the request
// itself is held against its own workspace.
func (s *Server) preflight(w http.ResponseWriter, r *http.Request) {
	h, origin := w.Header(), r.Header.Get("Origin")
	h.Add("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	known, err := s.tenants.KnowsOrigin(r.Context(), origin)
	if err != nil {
		send(w, s.problem(r.Context(), err))
		return
	}
	if known {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, Prefer, Last-Event-ID")
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// fromOrigin lets a page read the answer if any workspace knows it, so that it
// learns that its token has ended. Whether it is let in is asked later.
func (s *Server) fromOrigin(ctx context.Context, r *http.Request, w http.ResponseWriter) error {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	known, err := s.tenants.KnowsOrigin(ctx, origin)
	if err == nil && known {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Expose-Headers", "Request-Id, RateLimit, RateLimit-Policy, Retry-After, Idempotent-Replayed, Preference-Applied")
	}
	return err
}

// letIn decides whether whoever shows a publishable key or a visitor's token
// may use it here: for this operation, from this page, so often.
func (s *Server) letIn(ctx context.Context, r *http.Request, w http.ResponseWriter, c *Call, now time.Time) error {
	p := c.Principal
	if c.route.reach == visitorSession && !slices.Contains(p.Scopes, tenants.SessionScope) {
		return fault.New(fault.Denied, "scope_missing", "This takes a publishable key: rd_pk_…")
	}
	if c.route.reach == visitorOwn && p.Visitor.IsZero() {
		return fault.New(fault.Denied, "scope_missing", "This takes a visitor's token.")
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		allowed, err := s.tenants.AllowsOrigin(ctx, c.Workspace, origin)
		if err != nil {
			return err
		}
		if !allowed {
			w.Header().Del("Access-Control-Allow-Origin")
			return fault.New(fault.Denied, "origin_not_allowed", "The workspace doesn't allow pages of this origin. Add it to allowed_origins.")
		}
	}
	who := quota{"visitor", string(p.Visitor[:])}
	if c.route.reach == visitorSession {
		who = quota{"session", addressOf(r)}
	}
	workspace := strconv.FormatInt(c.Workspace.ID, 10)
	if s.limits.take(w.Header(), now, who, quota{"visitors", workspace}) {
		return nil
	}
	limited := fault.New(fault.Limited, "rate_limited", "Too many requests in this second. Wait for Retry-After.")
	// However many write: the way to a person has room of its own.
	asks, err := s.asksForPerson(r, w, c)
	if err != nil {
		return err
	}
	if !asks || !s.limits.take(w.Header(), now, quota{"person", string(p.Visitor[:])}, quota{"workspace", workspace}) {
		return limited
	}
	w.Header().Del("Retry-After")
	return nil
}

// asksForPerson tells whether a request calls a person, by what it does or by
// its plain words.
func (s *Server) asksForPerson(r *http.Request, w http.ResponseWriter, c *Call) (bool, error) {
	if c.route.id == "escalateOwnConversation" {
		return true, nil
	}
	if c.route.reach != visitorOwn || r.Method != http.MethodPost {
		return false, nil
	}
	body, err := readBody(w, r, c.RequestID)
	if err != nil {
		return false, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var said struct {
		Text    string
		Message struct{ Text string }
	}
	if json.Unmarshal(body, &said) != nil {
		return false, nil //nolint:nilerr // who reads it for good says what is wrong with it
	}
	text := strings.TrimSpace(said.Text + "\n" + said.Message.Text)
	return len(text) < 20_000 && words.MeansHuman(text), nil
}

func addressOf(r *http.Request) string {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return address
}
