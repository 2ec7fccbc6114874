package e5

import "golang.org/x/sys/cpu"

var (
	useAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA
	useVNNI = useAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VNNI
)

// lanes holds the constants of the assembly, each in all eight lanes; the
// assembly counts on their order.
var lanes = func() (c [24][8]float32) { //nolint:unused // the assembly reads it
	for i, v := range []float32{
		1.44269504, -125, 0.000154, 0.00133336, 0.00961813, 0.05550411, 0.24022651, 0.69314718, 1, // exp
		0.3275911 * 0.70710678, 1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, -0.5, // gelu
		127, 0, // quantize
		1e-12, // norm
	} {
		for j := range c[i] {
			c[i][j] = v
		}
	}
	return c
}()

//go:noescape
func mulVNNI(nb int, w *uint32, a *act, bias, y *float32, ldy int)

//go:noescape
func mulAVX2(nb int, w *uint32, a *act, bias, y *float32, ldy int)

//go:noescape
func gemm4x16(k int, a *float32, lda int, b, c *float32, ldc int)

//go:noescape
func quantizeAVX2(nb int, x *float32, to *act)

//go:noescape
func addNormAVX2(n int, x, y, gain, shift *float32)

//go:noescape
func softmaxAVX2(n int, x *float32)

//go:noescape
func geluAVX2(n int, x *float32)

func quantize(x []float32, to []act) {
	if useAVX2 {
		quantizeAVX2(len(x)/block, &x[0], &to[0])
	} else {
		quantizeGo(x, to)
	}
}

// mulPanel sets 16 columns of y for n tokens. It works in tiles of four or
// eight tokens, so acts and y must have room up to the next multiple of eight.
func mulPanel(n, nb int, w []uint32, acts []act, bias, y []float32, ldy int) {
	switch {
	case useVNNI:
		for t := 0; t < n; t += 8 {
			mulVNNI(nb, &w[0], &acts[t*nb], &bias[0], &y[t*ldy], 4*ldy)
		}
	case useAVX2:
		for t := 0; t < n; t += 4 {
			a := &acts[t/8*8*nb+t%8]
			mulAVX2(nb, &w[0], a, &bias[0], &y[t*ldy], 4*ldy)
			mulAVX2(nb, &w[8], a, &bias[8], &y[t*ldy+8], 4*ldy)
		}
	default:
		mulPanelGo(n, nb, w, acts, bias, y, ldy)
	}
}

func (g *layerNorm) add(n int, x, y []float32) {
	for t := range n {
		x, y := x[t*hidden:(t+1)*hidden], y[t*hidden:(t+1)*hidden]
		if useAVX2 {
			addNormAVX2(len(x), &x[0], &y[0], &g.gain[0], &g.shift[0])
		} else {
			g.addGo(x, y)
		}
	}
}

func softmax(x []float32) {
	if useAVX2 {
		softmaxAVX2(len(x), &x[0])
	} else {
		softmaxGo(x)
	}
}

func gelu(x []float32) {
	if useAVX2 {
		geluAVX2(len(x), &x[0])
	} else {
		geluGo(x)
	}
}

// gemm sets c = a*b for b in panels of 16 columns. The last tile of four rows
// overlaps the one before.
func gemm(rows, n, k int, a []float32, lda int, b, c []float32, ldc int) {
	for p := range n / 16 {
		if !useAVX2 || rows < 4 {
			gemmGo(rows, k, a, lda, b[p*k*16:], c[p*16:], ldc)
			continue
		}
		for r := 0; r < rows; r += 4 {
			r := min(r, rows-4)
			gemm4x16(k, &a[r*lda], 4*lda, &b[p*k*16], &c[r*ldc+p*16], 4*ldc)
		}
	}
}
