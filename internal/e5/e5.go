// Package e5 computes sentence embeddings with multilingual-e5-small, in pure
// Go, with weights of four bits.
//
// A text becomes 384 numbers of unit length; texts that mean the same, in any
// of about a hundred languages, point the same way, so that the dot product of
// two vectors is their likeness. The model was trained on pairs of a search
// query and the passage that answers it, and wants to be told which it sees:
// hence Query and Passage.
//
// On the way from text to vector: the text is cut at MaxBytes, composed (NFC)
// and split into tokens (tokenizer.go); the tokens, at most MaxTokens, are cut
// into windows of 510; each window runs through twelve transformer layers
// (encoder.go); the mean of its tokens' vectors, averaged over the windows, is
// brought to unit length. The weights file is read by file.go. The arithmetic
// (kernels*.go) has versions for AVX-512 VNNI and AVX2; on other processors,
// arm64 among them, a portable one runs that gives the same vectors about 25
// times slower: 70 ms for a query instead of 3.
//
// The vectors agree with the reference engine's to a cosine of .999 and better,
// and do not depend on what else is in the same call.
package e5

import (
	"math"
	"sync"
)

const (
	// Dim is the length of an embedding.
	Dim = hidden

	// MaxTokens is how many tokens of a text count. What follows is ignored:
	// a vector of so many words says little, and one call must not occupy a
	// core for more than about a second.
	MaxTokens = 8000

	// MaxQueryTokens is how many tokens of a query count: one window. Anybody may
	// ask, and a letter of three bytes may stand for a dozen tokens.
	MaxQueryTokens = positions - 2

	// MaxBytes is how much of a text is looked at in search of its tokens.
	MaxBytes = 128 << 10
)

// batchTokens is about how many tokens one pass through the encoder takes:
// enough to reuse each weight that was fetched, few enough to stay in cache.
const batchTokens = 512

// Model is multilingual-e5-small. It is safe for concurrent use.
type Model struct {
	tokens    tokenizer
	words     []byte    // the token table in 4 bits, left in the mapped file
	positions []float32 // one row a position, the token type's row added
	embedded  layerNorm
	layers    []layer

	open  sync.RWMutex // held for reading while words is in use
	unmap func() error // nil when closed
}

// Load opens the weights in the file at path (artifacts.Weights gives it) and
// checks every count and offset in it. The file is mapped, not read: most of
// it is the table of tokens, of which a language uses a small part. It must
// not be shortened while the model is open.
func Load(path string) (*Model, error) {
	image, unmap, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	m, err := parse(image, e5small)
	if err != nil {
		_ = unmap()
		return nil, err
	}
	forget(image) // what was copied need not stay resident twice
	m.unmap = unmap
	return m, nil
}

// Close releases the weights when the calls under way have returned. Using the
// model afterwards panics. Closing twice is harmless.
func (m *Model) Close() error {
	m.open.Lock()
	defer m.open.Unlock()
	if m.unmap == nil {
		return nil
	}
	unmap := m.unmap
	m.unmap, m.words = nil, nil
	return unmap()
}

// Query embeds search queries, one vector of Dim numbers for each.
func (m *Model) Query(texts ...string) [][]float32 {
	return m.embed("query: ", texts, MaxQueryTokens)
}

// Passage embeds texts that are to be found, one vector of Dim numbers for each.
func (m *Model) Passage(texts ...string) [][]float32 {
	return m.embed("passage: ", texts, MaxTokens)
}

// Tokens counts the tokens of text, without the prefix of Query or Passage.
func (m *Model) Tokens(text string) int { return len(m.tokens.encode("", text)) }

// embed averages the mean vectors of each text's windows, weighted by their tokens.
func (m *Model) embed(prefix string, texts []string, most int) [][]float32 {
	m.open.RLock()
	defer m.open.RUnlock()
	if m.words == nil {
		panic("e5: the model is closed")
	}
	vectors := make([][]float32, len(texts))
	var windows [][]int32
	var owners []int // the text of each window
	total := 0
	flush := func() {
		for i, mean := range m.encode(windows) {
			weight := float32(len(windows[i]) - 2)
			for j, v := range mean {
				vectors[owners[i]][j] += weight * v
			}
		}
		windows, owners, total = windows[:0], owners[:0], 0
	}
	for i, text := range texts {
		vectors[i] = make([]float32, Dim)
		ids := m.tokens.encode(prefix, text)
		ids = ids[:min(len(ids), most)]
		for len(ids) > 0 {
			n := min(len(ids), positions-2)
			window := make([]int32, 0, n+2)
			window = append(append(append(window, m.tokens.bos), ids[:n]...), m.tokens.eos)
			if total > 0 && total+len(window) > batchTokens {
				flush()
			}
			windows, owners, total = append(windows, window), append(owners, i), total+len(window)
			ids = ids[n:]
		}
	}
	if total > 0 {
		flush()
	}
	for _, v := range vectors {
		unit(v)
	}
	return vectors
}

func unit(v []float32) {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	f := float32(1 / math.Sqrt(max(sum, 1e-12)))
	for i := range v {
		v[i] *= f
	}
}
