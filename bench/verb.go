package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/queue"
	"github.com/relaydesk/relaydesk/internal/receipts"
	"github.com/relaydesk/relaydesk/internal/secrets"
	"github.com/relaydesk/relaydesk/tenants"
)

// The verb is conversations.Post as the API calls it, key, receipt and relay
// included, behind a bare handler: what is between it and the product is the
// price of package api, and what is between it and the floor that of the domain.
func serveVerb(ctx context.Context, listen, database, key string, log *slog.Logger) error {
	box, err := secrets.NewBox(key)
	if err != nil {
		return err
	}
	db, err := postgres.Open(ctx, database, connections)
	if err != nil {
		return err
	}
	defer db.Close()
	q, err := queue.New(log)
	if err != nil {
		return err
	}
	now := clock.System()
	who, conv := tenants.New(db, now, log, tenants.Options{}), conversations.New(db, now, q)
	relay := events.NewRelay(db, log, nil, func([]events.Numbered) {})
	db.OnAnnounce(relay.Wake)
	relayed := make(chan struct{})
	go func() {
		relay.Run(ctx)
		close(relayed)
	}()
	defer func() { <-relayed }()
	return listenAndServe(ctx, listen, func(w http.ResponseWriter, r *http.Request) {
		out, err := post(r, who, conv, box)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, http.StatusCreated, out)
	})
}

func post(r *http.Request, who *tenants.Tenants, conv *conversations.Conversations, box *secrets.Box) (conversations.Posted, error) {
	principal, err := who.Authenticate(r.Context(), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if err != nil {
		return conversations.Posted{}, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return conversations.Posted{}, err
	}
	var in posted
	if err := json.Unmarshal(body, &in); err != nil {
		return conversations.Posted{}, err
	}
	conversation, err := ids.Parse(ids.Conversation, r.PathValue("id"))
	if err != nil {
		return conversations.Posted{}, err
	}
	return conv.Post(r.Context(), principal.Workspace, conversation, conversations.Post{Text: in.Text}, &receipts.Receipt{
		Workspace: principal.Workspace, Principal: principal.KeyID, Key: r.Header.Get("Idempotency-Key"),
		Fingerprint: sha256.Sum256(append([]byte(r.URL.Path), body...)), Now: time.Now(), Box: box,
	})
}

func stopping(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}
