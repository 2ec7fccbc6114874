//go:build !amd64

package e5

func quantize(x []float32, to []act) { quantizeGo(x, to) }

func mulPanel(n, nb int, w []uint32, acts []act, bias, y []float32, ldy int) {
	mulPanelGo(n, nb, w, acts, bias, y, ldy)
}

func softmax(x []float32) { softmaxGo(x) }
func gelu(x []float32)    { geluGo(x) }

func (g *layerNorm) add(n int, x, y []float32) {
	for t := range n {
		g.addGo(x[t*hidden:(t+1)*hidden], y[t*hidden:(t+1)*hidden])
	}
}

func gemm(rows, n, k int, a []float32, lda int, b, c []float32, ldc int) {
	for p := 0; p < n/16; p++ {
		gemmGo(rows, k, a, lda, b[p*k*16:], c[p*16:], ldc)
	}
}
