package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/pprof"
	"time"
)

// role is what this program is when it was started by itself: one of the
// servers that the product is compared with, in a process of its own so that
// what it uses can be told from what the clients use.
type role struct{ name, listen string }

// connections is what each server's pool holds: as many as the product leaves
// to requests by default.
const connections = 16

func (r role) orRun(ctx context.Context, run func() error) error {
	if r.name == "" {
		return run()
	}
	// Stopped as operators stop servers.
	ctx, stop := stopping(ctx)
	defer stop()
	if path := os.Getenv("BENCH_PROFILE"); path != "" {
		file, err := os.Create(path)
		if err != nil {
			return fmt.Errorf("make a profile: %w", err)
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return fmt.Errorf("make a profile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	database := os.Getenv("RELAYDESK_DATABASE_URL")
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	switch r.name {
	case "floor":
		return serveFloor(ctx, r.listen, database)
	case "verb":
		return serveVerb(ctx, r.listen, database, os.Getenv("RELAYDESK_ENCRYPTION_KEY"), log)
	}
	return fmt.Errorf("there is no role %q", r.name)
}

// listenAndServe serves until ctx ends.
func listenAndServe(ctx context.Context, address string, post http.HandlerFunc) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /v1/conversations/{id}/messages", post)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// posted is the body of a POST, of which only the text counts here.
type posted struct {
	Text string `json:"text"`
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
