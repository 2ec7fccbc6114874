package e5

import "math"

// The portable kernels: what runs on arm64, and on amd64 without AVX2. They are
// some 25 times slower than kernels_amd64.s, which does the same in assembly.

// quantizeGo rounds one token's activations to 8 bits, a scale for each block.
func quantizeGo(x []float32, to []act) {
	for b := 0; b*block < len(x); b++ {
		v, a := x[b*block:][:block], &to[b*8]
		var top float32
		for _, f := range v {
			top = max(top, f, -f)
		}
		a.scale = top / 127
		inv := float32(0)
		if top > 0 {
			inv = 1 / a.scale
		}
		sum := int32(0)
		for j, f := range v {
			q := int32(math.Float32bits(f*inv+12582912)) - 0x4b400000 // round to even
			a.q[j] = int8(q)
			sum += q
		}
		a.corr = -8 * sum
	}
}

// mulPanelGo multiplies four weights at once, as 16-bit lanes of a word: a
// nibble times an activation moved to 1..255, at most 16 times 15*255, fits.
func mulPanelGo(n, nb int, w []uint32, acts []act, bias, y []float32, ldy int) {
	for t := range n {
		copy(y[t*ldy:t*ldy+16], bias[:16])
	}
	var lanes [block][4]uint64
	for b := range nb {
		words := w[b*panelWords+16:][:64]
		var scale [16]float32
		var sum [16]int32 // of the weights, times 128
		clear(lanes[:])
		for i, word := range words {
			c, o := i/16, i%16
			shift := o % 4 * 16
			for k := range 4 {
				lo, hi := word>>(8*k)&15, word>>(8*k+4)&15
				lanes[4*c+k][o/4] |= uint64(lo) << shift
				lanes[4*c+k+16][o/4] |= uint64(hi) << shift
				sum[o] += int32(lo+hi) * 128
			}
		}
		for o := range scale {
			scale[o] = math.Float32frombits(w[b*panelWords+o])
		}
		for t := range n {
			a := &acts[(t/8*nb+b)*8+t%8]
			var l0, l1, l2, l3, h0, h1, h2, h3 uint64
			for k := range 16 {
				p, l := uint64(uint8(a.q[k])^128), &lanes[k]
				l0 += l[0] * p
				l1 += l[1] * p
				l2 += l[2] * p
				l3 += l[3] * p
				q, h := uint64(uint8(a.q[k+16])^128), &lanes[k+16]
				h0 += h[0] * q
				h1 += h[1] * q
				h2 += h[2] * q
				h3 += h[3] * q
			}
			out := (*[16]float32)(y[t*ldy:])
			lo, hi := [4]uint64{l0, l1, l2, l3}, [4]uint64{h0, h1, h2, h3}
			for g := range 4 {
				l, h, o, s, d := lo[g], hi[g], out[4*g:4*g+4], sum[4*g:4*g+4], scale[4*g:4*g+4]
				o[0] += d[0] * a.scale * float32(int32(l&0xffff+h&0xffff)-s[0]+a.corr)
				o[1] += d[1] * a.scale * float32(int32(l>>16&0xffff+h>>16&0xffff)-s[1]+a.corr)
				o[2] += d[2] * a.scale * float32(int32(l>>32&0xffff+h>>32&0xffff)-s[2]+a.corr)
				o[3] += d[3] * a.scale * float32(int32(l>>48+h>>48)-s[3]+a.corr)
			}
		}
	}
}

// gemmGo sets 16 columns of c to a*b.
func gemmGo(rows, k int, a []float32, lda int, b, c []float32, ldc int) {
	for r := range rows {
		var s [16]float32
		for i, x := range a[r*lda : r*lda+k] {
			bb := (*[16]float32)(b[i*16:])
			for j := range s {
				s[j] += x * bb[j]
			}
		}
		copy(c[r*ldc:r*ldc+16], s[:])
	}
}

// addGo adds y to x and normalizes the sum.
func (g *layerNorm) addGo(x, y []float32) {
	var sum, dev float32
	for i, v := range y {
		x[i] += v
		sum += x[i]
	}
	mean := sum / float32(len(x))
	for _, v := range x {
		dev += (v - mean) * (v - mean)
	}
	f := float32(1 / math.Sqrt(float64(dev/float32(len(x)))+1e-12))
	for i := range x {
		x[i] = (x[i]-mean)*f*g.gain[i] + g.shift[i]
	}
}

// exp is e^x for x <= 0.
func exp(x float32) float32 {
	y := max(x*math.Log2E, -125)
	n := float32(math.Floor(float64(y)))
	f := y - n
	p := 1 + f*(0.69314718+f*(0.24022651+f*(0.05550411+f*(0.00961813+f*(0.00133336+f*0.000154)))))
	return math.Float32frombits(math.Float32bits(p) + uint32(int32(n))<<23)
}

// softmaxGo works in place.
func softmaxGo(x []float32) {
	top := x[0]
	for _, v := range x {
		top = max(top, v)
	}
	var sum float32
	for i, v := range x {
		x[i] = exp(v - top)
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
}

// geluGo uses Abramowitz and Stegun 7.1.26 for the error function.
func geluGo(x []float32) {
	for i, v := range x {
		a := max(v, -v)
		t := 1 / (1 + 0.3275911*math.Sqrt2/2*a)
		e := t * (0.254829592 + t*(-0.284496736+t*(1.421413741+t*(-1.453152027+t*1.061405429)))) * exp(-0.5*a*a)
		x[i] = max(v, 0) - 0.5*a*e
	}
}
