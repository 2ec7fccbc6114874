package main

import (
	"context"
	"fmt"
	"time"

	"github.com/relaydesk/relaydesk/bench/internal/cost"
)

// idleFor is how long the server is left alone before it is looked at.
const idleFor = 8 * time.Second

// benchIdle measures the memory of a server that has started with all its
// workers and the embedder, and has nothing to do. That of Postgres is not
// counted: there is one for a whole installation.
func benchIdle(ctx context.Context, w *world) error {
	d, err := w.database(ctx)
	if err != nil {
		return err
	}
	defer d.drop(w)
	began := time.Now()
	s, err := w.serve(ctx, d.server)
	if err != nil {
		return err
	}
	defer s.stop()
	w.note("start until ready", time.Since(began).Seconds(), "s")
	before, err := cost.CPU(s.process.Pid)
	if err != nil {
		w.remark("not measured: %v", err)
		return nil
	}
	select {
	case <-time.After(idleFor):
	case <-ctx.Done():
		return fmt.Errorf("wait: %w", ctx.Err())
	}
	resident, anonymous, err := cost.Memory(s.process.Pid)
	if err != nil {
		return err
	}
	after, err := cost.CPU(s.process.Pid)
	if err != nil {
		return err
	}
	w.atMost("memory of the idle server with the embedder (RSS)", float64(resident)/(1<<20), "MB", 350)
	w.note("of this not backed by a file", float64(anonymous)/(1<<20), "MB")
	w.note("CPU of the idle server", float64(after-before)/float64(idleFor)*100, "% of a core")
	return nil
}
