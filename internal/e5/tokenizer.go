package e5

import (
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// tokenizer is the XLM-R SentencePiece unigram model: the best path by summed
// piece scores, an unknown character costing the lowest score minus ten.
type tokenizer struct {
	blob               []byte              // all pieces, end to end
	offsets            []uint32            // piece i is blob[offsets[i]:offsets[i+1]]
	scores             []float32           // log-probabilities
	table              []int32             // open addressing over fnv1a; piece + 1, 0 empty
	prefixes           []uint64            // bit set of the hashes that begin some piece
	replace            map[rune]string     // per code point, much like NFKC
	plain              [utf8.RuneSelf]bool // code points that replace leaves alone
	bos, eos, pad, unk int32
	unkScore           float32
	maxBytes           int // of the longest piece
}

const (
	metaspace = "\u2581" // what a space is to the model
	mask      = "<mask>"
	fnvBasis  = 2166136261
	fnvPrime  = 16777619
)

// index prepares looking up pieces. The special tokens are left out: no text
// of a user may become one, "<s>" is three characters.
func (t *tokenizer) index() {
	size := 1
	for size < 2*len(t.scores) {
		size *= 2
	}
	t.table = make([]int32, size)
	t.prefixes = make([]uint64, 1<<16)
	low := float32(0)
	for i, s := range t.scores {
		low = min(low, s)
		p := t.blob[t.offsets[i]:t.offsets[i+1]]
		if id := int32(i); id == t.bos || id == t.eos || id == t.pad || id == t.unk || string(p) == mask {
			continue
		}
		t.maxBytes = max(t.maxBytes, len(p))
		h := uint32(fnvBasis)
		for _, c := range p {
			h = (h ^ uint32(c)) * fnvPrime
			t.prefixes[h>>16] |= 1 << (h >> 10 & 63)
		}
		slot := h & uint32(size-1)
		for t.table[slot] != 0 {
			slot = (slot + 1) & uint32(size-1)
		}
		t.table[slot] = int32(i) + 1
	}
	t.unkScore = low - 10
	for c := range t.plain {
		_, replaced := t.replace[rune(c)]
		t.plain[c] = !replaced
	}
}

func (t *tokenizer) lookup(h uint32, piece []byte) int32 {
	mask := uint32(len(t.table) - 1)
	for slot := h & mask; t.table[slot] != 0; slot = (slot + 1) & mask {
		i := t.table[slot] - 1
		if string(t.blob[t.offsets[i]:t.offsets[i+1]]) == string(piece) {
			return i
		}
	}
	return -1
}

// normalize composes, replaces each code point, squeezes runs of spaces to one
// metaspace, puts one in front and drops one at the end (the reference keeps
// it as a token of its own, and a stray space would change the vector). A byte
// that is not UTF-8 becomes U+FFFD.
func (t *tokenizer) normalize(text string) []byte {
	text = norm.NFC.String(text)
	out := make([]byte, 0, len(text)+len(text)/4+8)
	space := false // the last code point written was a space
	add := func(r rune) {
		if r == ' ' {
			if !space {
				out = append(out, metaspace...)
			}
			space = true
			return
		}
		if len(out) == 0 {
			out = append(out, metaspace...)
		}
		out, space = utf8.AppendRune(out, r), false
	}
	for _, r := range text {
		if r < utf8.RuneSelf && t.plain[r] {
			add(r)
		} else if s, ok := t.replace[r]; ok {
			for _, r := range s {
				add(r)
			}
		} else {
			add(r)
		}
	}
	if space {
		out = out[:len(out)-len(metaspace)]
	}
	return out
}

// cut shortens text to max bytes, not inside a character.
func cut(text string, max int) string {
	if len(text) <= max {
		return text
	}
	for i := range utf8.UTFMax {
		if utf8.RuneStart(text[max-i]) {
			return text[:max-i]
		}
	}
	return text[:max] // not UTF-8 anyway
}

// encode gives the token ids of prefix and text, at most MaxTokens, without
// the sentence marks: the best way through a lattice whose nodes are the
// offsets between characters and whose edges are pieces.
func (t *tokenizer) encode(prefix, text string) []int32 {
	b := t.normalize(prefix + cut(text, MaxBytes))
	type node struct {
		score float32
		piece int32 // the last one on the best way here
		from  int32 // where it begins
	}
	best := make([]node, len(b)+1)
	for i := range best {
		best[i].score = -1e30
	}
	best[0].score = 0
	for i := 0; i < len(b); {
		_, n := utf8.DecodeRune(b[i:])
		at, h := best[i].score, uint32(fnvBasis)
		for e := i; e < len(b) && e-i < t.maxBytes; {
			h = (h ^ uint32(b[e])) * fnvPrime
			e++
			if t.prefixes[h>>16]>>(h>>10&63)&1 == 0 {
				break
			}
			if e < len(b) && !utf8.RuneStart(b[e]) {
				continue
			}
			if id := t.lookup(h, b[i:e]); id >= 0 && at+t.scores[id] > best[e].score {
				best[e] = node{at + t.scores[id], id, int32(i)}
			}
		}
		if s := at + t.unkScore; s > best[i+n].score {
			best[i+n] = node{s, t.unk, int32(i)}
		}
		i += n
	}
	count := 0
	for i := len(b); i > 0; i = int(best[i].from) {
		count++
	}
	ids := make([]int32, count)
	for i := len(b); i > 0; i = int(best[i].from) {
		count--
		ids[count] = best[i].piece
	}
	return ids[:min(len(ids), MaxTokens)]
}
