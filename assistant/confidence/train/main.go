// Command train makes the weights of package confidence. See docs/confidence.md.
//
//	go run ./assistant/confidence/train -data DIR -weights PATH
//
// DIR holds dev/qa_xquad_*.jsonl and what else the benchmarks read; PATH is the
// embedder's weights file. Nothing is drawn at random.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"

	"github.com/relaydesk/relaydesk/assistant/confidence"
	"github.com/relaydesk/relaydesk/bench/eval/retrieval"
	"github.com/relaydesk/relaydesk/internal/e5"
)

// strength is C, the inverse of the penalty.
const strength = .1

func main() {
	data := flag.String("data", "", "the data `folder`")
	weights := flag.String("weights", "", "the embedder's weights `file`")
	out := flag.String("out", "assistant/confidence/weights.json", "the `file` to write")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *data, *weights, *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, data, weights, out string) error {
	model, err := e5.Load(weights)
	if err != nil {
		return fmt.Errorf("load the embedder: %w", err)
	}
	samples, err := retrieval.XQuAD(ctx, data, model)
	if err != nil {
		return err
	}
	var all []retrieval.Sample
	for _, s := range samples {
		if !s.Signals.CrossLanguage {
			all = append(all, s)
		}
	}
	w := confidence.Weights{
		All:     rounded(fit(examples(all, len(confidence.Features(all[0].Signals))), strength)),
		Vectors: rounded(fit(examples(samples, confidence.VectorFeatures), strength)),
	}
	b, err := json.MarshalIndent(w, "", " ")
	if err != nil {
		return fmt.Errorf("write weights: %w", err)
	}
	b = append(b, '\n')
	if err := os.WriteFile(out, b, 0o644); err != nil { //nolint:gosec // it is published
		return fmt.Errorf("write weights: %w", err)
	}
	sum := sha256.Sum256(b)
	if err := os.WriteFile(out+".sha256", fmt.Appendf(nil, "%x\n", sum), 0o644); err != nil { //nolint:gosec // it is published
		return fmt.Errorf("write checksum: %w", err)
	}
	fmt.Printf("%d samples, %d of one language, sha256 %x\n", len(samples), len(all), sum)
	return nil
}

// examples weighs each set and kind by the root of its size, and both answers alike.
func examples(samples []retrieval.Sample, features int) []example {
	type group struct{ set, kind string }
	sizes := map[group]float64{}
	for _, s := range samples {
		sizes[group{s.Set, s.Kind}]++
	}
	sums := map[bool]float64{}
	out := make([]example, len(samples))
	for i, s := range samples {
		out[i] = example{confidence.Features(s.Signals)[:features], s.Answered, 1 / math.Sqrt(sizes[group{s.Set, s.Kind}])}
		sums[s.Answered] += out[i].weight
	}
	for i := range out {
		out[i].weight *= float64(len(out)) / sums[out[i].answered]
	}
	return out
}

// rounded keeps six digits: what is beyond differs between processors.
func rounded(l confidence.Linear) confidence.Linear {
	for _, x := range [][]float64{l.Mean, l.Deviation, l.Weight, {0}} {
		for i, v := range x {
			x[i] = round(v)
		}
	}
	l.Bias = round(l.Bias)
	return l
}

func round(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 5-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}
