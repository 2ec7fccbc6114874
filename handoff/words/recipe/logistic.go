package recipe

import "math"

// example is one row as the solver sees it: dense numbers, or the sorted
// buckets that are set, each worth 1/√(their number).
type example struct {
	dense  []float32
	sparse []uint16
	y      float64 // +1 or -1
	weight float64
}

// logistic minimises ½|w|² + c·Σ weight·log(1+exp(-y·(w·x+b))) by L-BFGS; b is
// not pulled towards zero. The result depends on the order of the examples
// only, so that the same data gives the same weights.
func logistic(examples []example, dim int, c float64) (w []float32, bias float32) {
	n := dim + 1 // the last is b
	x := make([]float64, n)
	grad := make([]float64, n)
	f := lossAndGradient(examples, x, grad, c)

	const memory, rounds = 8, 120
	var steps, changes [][]float64
	for range rounds {
		dir := direction(grad, steps, changes)
		slope := dot(dir, grad)
		if slope > -1e-10 {
			break
		}
		rate := 1.0
		if len(steps) == 0 {
			rate = min(1, 1/math.Sqrt(dot(grad, grad)))
		}
		next, nextGrad := make([]float64, n), make([]float64, n)
		var fNext float64
		ok := false
		for range 30 {
			for i := range next {
				next[i] = x[i] + rate*dir[i]
			}
			fNext = lossAndGradient(examples, next, nextGrad, c)
			if fNext <= f+1e-4*rate*slope {
				ok = true
				break
			}
			rate /= 2
		}
		if !ok {
			break
		}
		step, change := make([]float64, n), make([]float64, n)
		for i := range step {
			step[i], change[i] = next[i]-x[i], nextGrad[i]-grad[i]
		}
		if dot(step, change) > 1e-12 {
			steps, changes = append(steps, step), append(changes, change)
			if len(steps) > memory {
				steps, changes = steps[1:], changes[1:]
			}
		}
		done := f-fNext < 1e-7*math.Abs(f)
		x, grad, f = next, nextGrad, fNext
		if done {
			break
		}
	}
	w = make([]float32, dim)
	for i := range w {
		w[i] = float32(x[i])
	}
	return w, float32(x[dim])
}

func lossAndGradient(examples []example, x, grad []float64, c float64) float64 {
	dim := len(x) - 1
	loss := 0.0
	for i := range dim {
		loss += x[i] * x[i] / 2
		grad[i] = x[i]
	}
	grad[dim] = 0
	for i := range examples {
		e := &examples[i]
		z := x[dim]
		var unit float64
		if e.dense != nil {
			for j, v := range e.dense {
				z += float64(v) * x[j]
			}
		} else {
			unit = 1 / math.Sqrt(float64(max(len(e.sparse), 1)))
			sum := 0.0
			for _, g := range e.sparse {
				sum += x[g]
			}
			z += sum * unit
		}
		m := e.y * z
		loss += c * e.weight * softplus(-m)
		pull := -c * e.weight * e.y / (1 + math.Exp(m))
		grad[dim] += pull
		if e.dense != nil {
			for j, v := range e.dense {
				grad[j] += pull * float64(v)
			}
		} else {
			pull *= unit
			for _, g := range e.sparse {
				grad[g] += pull
			}
		}
	}
	return loss
}

func softplus(x float64) float64 {
	if x > 30 {
		return x
	}
	return math.Log1p(math.Exp(x))
}

// direction is the two-loop recursion of L-BFGS.
func direction(grad []float64, steps, changes [][]float64) []float64 {
	d := make([]float64, len(grad))
	for i, g := range grad {
		d[i] = -g
	}
	alpha := make([]float64, len(steps))
	for k := len(steps) - 1; k >= 0; k-- {
		alpha[k] = dot(steps[k], d) / dot(steps[k], changes[k])
		axpy(d, -alpha[k], changes[k])
	}
	if k := len(steps) - 1; k >= 0 {
		scale := dot(steps[k], changes[k]) / dot(changes[k], changes[k])
		for i := range d {
			d[i] *= scale
		}
	}
	for k := range steps {
		beta := dot(changes[k], d) / dot(steps[k], changes[k])
		axpy(d, alpha[k]-beta, steps[k])
	}
	return d
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

func axpy(y []float64, a float64, x []float64) {
	for i, v := range x {
		y[i] += a * v
	}
}
