// Command train makes the weights of package words. See docs/triggers.md.
//
//	go run ./handoff/words/train -data DIR -weights PATH
//
// DIR holds dev/handoff_utterances.jsonl; PATH is the embedder's weights file.
// The same input gives the same bytes on the same kind of processor.
package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/relaydesk/relaydesk/handoff/words/recipe"
	"github.com/relaydesk/relaydesk/internal/e5"
)

func main() {
	data := flag.String("data", "", "the data `folder`")
	weights := flag.String("weights", "", "the embedder's weights `file`")
	out := flag.String("out", "handoff/words/weights.bin", "the `file` to write")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *data, *weights, *out); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, data, weights, out string) error {
	model, err := e5.Load(weights)
	if err != nil {
		return fmt.Errorf("load the embedder: %w", err)
	}
	rows, err := recipe.Own()
	if err != nil {
		return err
	}
	others, err := recipe.Read(data)
	if err != nil {
		return err
	}
	counts := map[string]int{}
	var order []string
	for _, r := range append(rows, others...) {
		if !r.Trainable() {
			continue
		}
		key := r.Source + " (" + r.Licence + ")"
		if counts[key]++; counts[key] == 1 {
			order = append(order, key)
		}
	}
	for _, r := range others {
		if r.Trainable() {
			rows = append(rows, r)
		}
	}
	for _, key := range order {
		fmt.Printf("%5d rows of %s\n", counts[key], key)
	}
	set, err := recipe.Embed(ctx, rows, model, os.Stderr)
	if err != nil {
		return err
	}
	trained, err := set.Train(os.Stderr)
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, trained.Full, 0o644); err != nil { //nolint:gosec // it is published
		return fmt.Errorf("write weights: %w", err)
	}
	sum := sha256.Sum256(trained.Full)
	if err := os.WriteFile(out+".sha256", fmt.Appendf(nil, "%x\n", sum), 0o644); err != nil { //nolint:gosec // it is published
		return fmt.Errorf("write checksum: %w", err)
	}
	fmt.Printf("%d rows, %d bytes, sha256 %x\n", len(rows), len(trained.Full), sum)
	return nil
}
