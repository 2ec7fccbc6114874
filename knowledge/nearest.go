package knowledge

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/relaydesk/relaydesk/knowledge/rank"
)

const (
	// Sentences of a small workspace's nearest passages that are compared with the
	// question one by one.
	comparedPassages  = 3
	comparedSentences = 24
	// comparing is how long they may be embedded for: they share a core with what
	// is being indexed. After that the passages' own vectors have to do.
	comparing = time.Second
	// keptSentences is how many vectors are kept: 1.5 kB each.
	keptSentences = 4000
)

// nearestSentence is the greatest cosine of a question and a sentence, read under
// its heading, of the passages nearest to it; 0 if that can't be told in time.
func (k *Knowledge) nearestSentence(ctx context.Context, vector []float32, nearest []rank.Candidate) (float64, error) {
	var texts []string
	for _, c := range nearest {
		for _, text := range c.SentencesInContext() {
			if len(texts) < comparedSentences && !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	within, cancel := context.WithTimeout(ctx, comparing)
	defer cancel()
	vectors, err := k.sentences.vectors(within, k.embed, texts)
	if err != nil {
		return 0, err
	}
	best := float32(0)
	for _, v := range vectors {
		best = max(best, rank.Dot(vector, v))
	}
	return float64(best), nil
}

// sentences remembers vectors, so that a workspace's few sentences are embedded
// once. A vector follows from its text alone, so that whose it is does not matter.
type sentences struct {
	mu   sync.Mutex
	made map[[sha256.Size]byte][]float32
}

func (s *sentences) vectors(ctx context.Context, embed Embedder, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	var missing []string
	var at []int
	s.mu.Lock()
	for i, text := range texts {
		if out[i] = s.made[sha256.Sum256([]byte(text))]; out[i] == nil {
			missing, at = append(missing, text), append(at, i)
		}
	}
	s.mu.Unlock()
	if len(missing) == 0 {
		return out, nil
	}
	vectors, err := embed.Passages(ctx, missing...)
	if err == nil {
		err = checkVectors(vectors, len(missing))
	}
	if err != nil {
		return nil, fmt.Errorf("embed sentences: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made == nil || len(s.made)+len(missing) > keptSentences {
		s.made = map[[sha256.Size]byte][]float32{}
	}
	for i, v := range vectors {
		out[at[i]] = v
		s.made[sha256.Sum256([]byte(missing[i]))] = v
	}
	return out, nil
}
