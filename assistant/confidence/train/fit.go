package main

import (
	"math"

	"github.com/relaydesk/relaydesk/assistant/confidence"
)

// An example is a row of features with its label and weight.
type example struct {
	features []float64
	answered bool
	weight   float64
}

// fit is logistic regression with an L2 penalty of 1/C on standardised features,
// by Newton's method: no randomness, no step size. The bias is not penalised.
func fit(examples []example, c float64) confidence.Linear {
	n := len(examples[0].features)
	l := confidence.Linear{Mean: make([]float64, n), Deviation: make([]float64, n), Weight: make([]float64, n)}
	for i := range n {
		for _, e := range examples {
			l.Mean[i] += e.features[i] / float64(len(examples))
		}
		for _, e := range examples {
			d := e.features[i] - l.Mean[i]
			l.Deviation[i] += d * d / float64(len(examples))
		}
		l.Deviation[i] = math.Sqrt(l.Deviation[i]) + 1e-9
	}
	w := make([]float64, n+1) // the bias is last
	x := make([]float64, n+1)
	for range 50 {
		gradient := make([]float64, n+1)
		hessian := make([][]float64, n+1)
		for i := range hessian {
			hessian[i] = make([]float64, n+1)
			if i < n {
				hessian[i][i] = 1 / c
				gradient[i] = w[i] / c
			}
		}
		for _, e := range examples {
			z := w[n]
			x[n] = 1
			for i := range n {
				x[i] = (e.features[i] - l.Mean[i]) / l.Deviation[i]
				z += w[i] * x[i]
			}
			p := 1 / (1 + math.Exp(-z))
			y := 0.0
			if e.answered {
				y = 1
			}
			for i, xi := range x {
				gradient[i] += e.weight * (p - y) * xi
				for j := range i + 1 {
					hessian[i][j] += e.weight * p * (1 - p) * xi * x[j]
				}
			}
		}
		step := solve(hessian, gradient)
		size := 0.0
		for i := range w {
			w[i] -= step[i]
			size = math.Max(size, math.Abs(step[i]))
		}
		if size < 1e-9 {
			break
		}
	}
	copy(l.Weight, w)
	l.Bias = w[n]
	return l
}

// solve solves a x = b for a symmetric, positive definite a, of which it reads
// the lower half, by Cholesky's method.
func solve(a [][]float64, b []float64) []float64 {
	n := len(b)
	for i := range n {
		for j := range i + 1 {
			sum := a[i][j]
			for k := range j {
				sum -= a[i][k] * a[j][k]
			}
			if i == j {
				a[i][i] = math.Sqrt(sum)
			} else {
				a[i][j] = sum / a[j][j]
			}
		}
	}
	x := make([]float64, n)
	for i := range n {
		x[i] = b[i]
		for k := range i {
			x[i] -= a[i][k] * x[k]
		}
		x[i] /= a[i][i]
	}
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			x[i] -= a[k][i] * x[k]
		}
		x[i] /= a[i][i]
	}
	return x
}
