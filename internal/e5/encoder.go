package e5

import (
	"encoding/binary"
	"math"
	"sync"
)

// The shape of the network.
const (
	hidden    = 384
	heads     = 12
	headDim   = hidden / heads
	ffn       = 1536
	positions = 512 // sentence marks included
	block     = 32  // weights, or activations, that share one scale
	q4Bytes   = 18  // a stored block: float16 scale, 16 bytes of nibbles
)

// linear is a matrix in panels of 16 outputs. A panel holds, for each block
// of 32 inputs, 16 float32 scales and then 64 words: word c*16+o has the
// nibbles of output o for inputs 4c..4c+3 (low) and 16+4c..16+4c+3 (high).
type linear struct {
	w       []uint32
	bias    []float32
	in, out int
}

const panelWords = 16 + 64

type layerNorm struct{ gain, shift []float32 }

type layer struct {
	qkv, attnOut, up, down linear
	attnNorm, outNorm      layerNorm
}

// act is one block of one token's activations in 8 bits. Tokens stand in
// tiles of eight: block b of token t is at (t/8*blocks+b)*8 + t%8. The
// assembly counts on this layout.
type act struct {
	q     [block]int8
	scale float32
	corr  int32 // -8 times the sum of q: weights are stored plus eight
}

// scratch is the memory of one pass, reused by later ones.
type scratch struct {
	x, y, qkv, ctx, mid, score, keys, vals []float32
	acts                                   []act
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func grow[T any](p *[]T, n int) []T {
	if cap(*p) < n {
		*p = make([]T, n)
	}
	return (*p)[:n]
}

// encode runs the encoder over all windows at once and returns the mean of
// each window's token vectors.
func (m *Model) encode(windows [][]int32) [][]float32 {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	n := 0
	for _, w := range windows {
		n += len(w)
	}
	n8 := (n + 7) &^ 7 // the kernels work on tiles of eight tokens
	x, y, ctx := grow(&s.x, n8*hidden), grow(&s.y, n8*hidden), grow(&s.ctx, n8*hidden)
	qkv, mid := grow(&s.qkv, n8*3*hidden), grow(&s.mid, n8*ffn)
	acts := grow(&s.acts, n8*ffn/block)
	row := x
	for _, w := range windows {
		for p, id := range w {
			copy(row[:hidden], m.positions[p*hidden:])
			m.addWord(id, row)
			row = row[hidden:]
		}
	}
	clear(y)
	m.embedded.add(n, x, y)
	for i := range m.layers {
		l := &m.layers[i]
		l.qkv.mul(n, x, acts, qkv)
		start := 0
		for _, w := range windows {
			attend(s, len(w), qkv[start*3*hidden:], ctx[start*hidden:])
			start += len(w)
		}
		l.attnOut.mul(n, ctx, acts, y)
		l.attnNorm.add(n, x, y)
		l.up.mul(n, x, acts, mid)
		gelu(mid[:n*ffn])
		l.down.mul(n, mid, acts, y)
		l.outNorm.add(n, x, y)
	}
	means := make([][]float32, len(windows))
	row = x
	for i, w := range windows {
		means[i] = make([]float32, hidden)
		for range w {
			for j, v := range row[:hidden] {
				means[i][j] += v
			}
			row = row[hidden:]
		}
		for j := range means[i] {
			means[i][j] /= float32(len(w))
		}
	}
	return means
}

// addWord adds a row of the token table to x.
func (m *Model) addWord(id int32, x []float32) {
	b := m.words[int(id)*hidden/block*q4Bytes:]
	for i := 0; i < hidden; i += block {
		d := half(b)
		for j, q := range b[2:q4Bytes] {
			x[i+j] += float32(int(q&15)-8) * d
			x[i+j+16] += float32(int(q>>4)-8) * d
		}
		b = b[q4Bytes:]
	}
}

// half reads a float16 that is finite.
func half(b []byte) float32 {
	h := uint32(binary.LittleEndian.Uint16(b))
	if h&0x7fff == 0 {
		return 0
	}
	if h>>10&31 == 0 { // subnormal
		v := float32(h&0x3ff) / (1 << 24)
		if h&0x8000 != 0 {
			v = -v
		}
		return v
	}
	return math.Float32frombits(h&0x8000<<16 | (h&0x7fff<<13 + 112<<23))
}

// mul sets y = x*w + bias for n tokens, with x rounded to 8 bits.
func (l *linear) mul(n int, x []float32, acts []act, y []float32) {
	nb := l.in / block
	for t := range n {
		quantize(x[t*l.in:(t+1)*l.in], acts[t/8*nb*8+t%8:])
	}
	for p := range l.out / 16 {
		mulPanel(n, nb, l.w[p*nb*panelWords:(p+1)*nb*panelWords], acts, l.bias[p*16:], y[p*16:], l.out)
	}
}

// attend is the attention of one window of n tokens: for each head, every
// token's mixture of the values of all tokens.
func attend(s *scratch, n int, qkv, ctx []float32) {
	n16 := (n + 15) &^ 15
	score, keys, vals := grow(&s.score, n*n16), grow(&s.keys, n16*headDim), grow(&s.vals, n*headDim)
	clear(keys)
	for h := range heads {
		for t := range n {
			k, v := qkv[t*3*hidden+hidden+h*headDim:][:headDim], qkv[t*3*hidden+2*hidden+h*headDim:][:headDim]
			to := keys[t/16*16*headDim+t%16:]
			for d, z := range k {
				to[d*16] = z * 0.17677669529663687 // 1/sqrt(headDim)
			}
			copy(vals[t*16:t*16+16], v)
			copy(vals[(n+t)*16:(n+t)*16+16], v[16:])
		}
		gemm(n, n16, headDim, qkv[h*headDim:], 3*hidden, keys, score, n16)
		for t := range n {
			r := score[t*n16 : (t+1)*n16]
			for i := n; i < n16; i++ {
				r[i] = -1e30 // the padding gets no weight
			}
			softmax(r)
		}
		gemm(n, headDim, n, score, n16, vals, ctx[h*headDim:], hidden)
	}
}
