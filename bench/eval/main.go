// Command eval measures quality on a folder of evaluation sets: how well the
// triggers on words find who needs a person, and how well content answers. It
// prints tables in Markdown; docs/quality.md keeps them with the method.
//
//	go run ./bench/eval [-only triggers|retrieval|leaks] DATA
//
// The sets are not part of the repository (their licences differ). The
// embedder's weights are downloaded at the first run.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/relaydesk/relaydesk/bench/eval/retrieval"
	"github.com/relaydesk/relaydesk/bench/eval/triggers"
	"github.com/relaydesk/relaydesk/internal/artifacts"
	"github.com/relaydesk/relaydesk/internal/e5"
	"github.com/relaydesk/relaydesk/internal/pgserver"
)

// evaluations are run in this order.
var evaluations = []struct {
	name  string
	needs string // a file in the folder that it can't do without
	run   func(ctx context.Context, dataDir string, model *e5.Model, out io.Writer) error
}{
	{"triggers", "dev/handoff_utterances.jsonl", func(ctx context.Context, dataDir string, model *e5.Model, out io.Writer) error {
		return triggers.Run(ctx, dataDir, model, out)
	}},
	{"retrieval", "dev/qa_squad2-en_docs.jsonl", func(ctx context.Context, dataDir string, model *e5.Model, out io.Writer) error {
		return retrieval.Run(ctx, dataDir, model, out)
	}},
	{"leaks", "dev/crosstenant_unanswerable.jsonl", leaks},
}

func main() {
	data := flag.String("data", "", "the `folder` of evaluation sets; may also be the argument")
	only := flag.String("only", "", "measure only this `part`: "+names())
	flag.Parse()
	if *data == "" {
		*data = flag.Arg(0)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *data, *only, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "eval:", err)
		os.Exit(1)
	}
}

// leaks needs a Postgres, which it starts for itself.
func leaks(ctx context.Context, dataDir string, model *e5.Model, out io.Writer) (err error) {
	programs, err := artifacts.Postgres(ctx, store(), os.Stderr)
	if err != nil {
		return fmt.Errorf("get Postgres: %w", err)
	}
	dir, err := os.MkdirTemp("", "relaydesk-eval-")
	if err != nil {
		return fmt.Errorf("make a folder for Postgres: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return fmt.Errorf("open the folder for Postgres: %w", err)
	}
	server, err := pgserver.Start(ctx, pgserver.Options{DataDir: filepath.Join(dir, "postgres"), BinDir: programs})
	if err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, server.Stop(stopping))
	}()
	return retrieval.Leaks(ctx, dataDir, model, server.URL(), out)
}

// store is the folder of what is downloaded.
func store() string {
	return cmp.Or(os.Getenv("RELAYDESK_DATA_DIR"), ".relaydesk")
}

func names() string {
	all := make([]string, len(evaluations))
	for i, e := range evaluations {
		all[i] = e.name
	}
	return strings.Join(all, ", ")
}

func run(ctx context.Context, dataDir, only string, out, progress io.Writer) error {
	if dataDir == "" {
		return errors.New("which folder? make eval DATA=folder, or go run ./bench/eval folder; it holds dev/*.jsonl and sites/")
	}
	known := only == ""
	for _, e := range evaluations {
		if only != "" && only != e.name {
			continue
		}
		known = true
		if _, err := os.Stat(filepath.Join(dataDir, filepath.FromSlash(e.needs))); err != nil {
			return fmt.Errorf("%s can't be measured without %s in %s: %w", e.name, e.needs, dataDir, err)
		}
	}
	if !known {
		return fmt.Errorf("there is no part %q: %s", only, names())
	}
	weights, err := artifacts.Weights(ctx, store(), progress)
	if err != nil {
		return fmt.Errorf("get the embedder: %w", err)
	}
	model, err := e5.Load(weights)
	if err != nil {
		return fmt.Errorf("load the embedder: %w", err)
	}
	defer model.Close()
	for _, e := range evaluations {
		if only != "" && only != e.name {
			continue
		}
		fmt.Fprintf(progress, "measuring %s…\n", e.name)
		if err := e.run(ctx, dataDir, model, out); err != nil {
			return fmt.Errorf("measure %s: %w", e.name, err)
		}
	}
	return nil
}
