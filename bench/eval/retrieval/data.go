package retrieval

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
)

// Embedder is internal/e5, in practice.
type Embedder interface {
	Query(texts ...string) [][]float32
	Passage(texts ...string) [][]float32
}

// A question of any of the sets.
type question struct {
	ID           string   `json:"id"`
	Question     string   `json:"question"`
	Answerable   bool     `json:"answerable"`
	Answers      []string `json:"answers"`
	Plausible    []string `json:"plausible"`
	DocID        string   `json:"doc_id"`
	ParallelDoc  string   `json:"parallel_doc"`
	Lang         string   `json:"lang"`
	Site         string   `json:"site"`
	AskedOfSite  string   `json:"asked_of_site"`
	MustNotCite  string   `json:"must_not_cite_site"`
	GoldPages    []string `json:"gold_pages"`
	GoldStrength string   `json:"gold_strength"`

	vector []float32
}

type document struct {
	DocID string `json:"doc_id"`
	Title string `json:"title"`
	Lang  string `json:"lang"`
	Text  string `json:"text"`
}

// rows reads a file of JSON objects, one a line.
func rows[T any](path string) ([]T, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the data: %w", err)
	}
	defer f.Close()
	var out []T
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<24)
	for s.Scan() {
		var row T
		if err := json.Unmarshal(s.Bytes(), &row); err != nil {
			return nil, fmt.Errorf("read %s, line %d: %w", path, len(out)+1, err)
		}
		out = append(out, row)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return out, nil
}

// A cache keeps vectors in a folder, in files named by the checksum of what was
// embedded: embedding everything takes minutes.
type cache struct {
	dir   string
	embed Embedder
}

// cached gives the vectors of all texts.
func (c cache) vectors(kind string, texts []string, embed func(...string) [][]float32) ([][]float32, error) {
	h := sha256.New()
	fmt.Fprintf(h, "e5-small-q4 %s %d\n", kind, len(texts))
	for _, t := range texts {
		fmt.Fprintf(h, "%d %s\n", len(t), t)
	}
	path := filepath.Join(c.dir, kind+"-"+hex.EncodeToString(h.Sum(nil)[:12])+".f32")
	raw, err := os.ReadFile(path)
	if err == nil && len(texts) > 0 && len(raw)%(4*len(texts)) == 0 {
		return unpack(raw, len(texts)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the vectors' cache: %w", err)
	}
	var out [][]float32
	for from := 0; from < len(texts); from += 64 {
		out = append(out, embed(texts[from:min(from+64, len(texts))]...)...)
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the vectors' cache: %w", err)
	}
	if err := os.WriteFile(path, pack(out), 0o644); err != nil {
		return nil, fmt.Errorf("keep vectors: %w", err)
	}
	return out, nil
}

func pack(vectors [][]float32) []byte {
	var out []byte
	for _, v := range vectors {
		for _, x := range v {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
		}
	}
	return out
}

func unpack(raw []byte, n int) [][]float32 {
	dim := len(raw) / 4 / n
	all := make([]float32, n*dim)
	for i := range all {
		all[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	out := make([][]float32, n)
	for i := range out {
		out[i] = all[i*dim : (i+1)*dim]
	}
	return out
}

// questions embeds the questions.
func (c cache) questions(qs []question) error {
	texts := make([]string, len(qs))
	for i := range qs {
		texts[i] = qs[i].Question
	}
	vectors, err := c.vectors("query", texts, c.embed.Query)
	if err != nil {
		return err
	}
	for i := range qs {
		qs[i].vector = vectors[i]
	}
	return nil
}
