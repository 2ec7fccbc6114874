// Package linear holds the linear classifiers behind package words: how a text
// becomes numbers, and the file that the weights come in.
//
// A class is judged twice: by the sentence's embedding, and by the character
// sequences in it. Each judgement is a dot product, brought to the scale of
// ordinary messages (how many standard deviations above the mean of messages
// that are nothing special), so that the two can be added. Both are kept with
// weights of eight bits; they decide as the full ones do.
package linear

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Dim is the length of an embedding, Buckets the number of buckets that
// character sequences are hashed into.
const (
	Dim     = 384
	Buckets = 1 << 14
)

// GramShare is the weight of the characters' judgement beside the embedding's.
const GramShare = 0.5

// A Judge is one dot product on the scale of ordinary messages: (scale·Σ q·x +
// bias) is what logistic regression found, and then has Mean taken away and is
// divided by Dev.
type Judge struct {
	Q           []int8
	Scale, Bias float32
	Mean, Dev   float32
}

// Quantize makes a Judge of full weights; Mean and Dev are left to the caller.
func Quantize(w []float32, bias float32) Judge {
	var top float32
	for _, v := range w {
		top = max(top, float32(math.Abs(float64(v))))
	}
	j := Judge{Q: make([]int8, len(w)), Scale: top / 127, Bias: bias, Dev: 1}
	if top == 0 {
		return j
	}
	for i, v := range w {
		j.Q[i] = int8(math.Round(float64(v / j.Scale)))
	}
	return j
}

// Dense judges an embedding of Dim numbers.
func (j *Judge) Dense(x []float32) float32 {
	var sum float32
	for i, q := range j.Q {
		sum += float32(q) * x[i]
	}
	return (sum*j.Scale + j.Bias - j.Mean) / j.Dev
}

// Sparse judges a text by its Grams.
func (j *Judge) Sparse(grams []uint16) float32 {
	var sum int
	for _, g := range grams {
		sum += int(j.Q[g])
	}
	return (float32(sum)*j.Scale/length(len(grams)) + j.Bias - j.Mean) / j.Dev
}

func length(n int) float32 { return float32(math.Sqrt(float64(max(n, 1)))) }

// A Class is something that a message can be about. A score of Sure and more
// is taken as certain enough to act, one of Maybe and more as worth a mention;
// BlindSure stands in for Sure where there is no embedding and the characters
// decide alone.
type Class struct {
	Name                   string
	Vector, Chars          Judge
	Sure, Maybe, BlindSure float32
}

// Score adds both judgements.
func (c *Class) Score(vector []float32, grams []uint16) float32 {
	return c.Vector.Dense(vector) + GramShare*c.Chars.Sparse(grams)
}

// Weights is the content of a weights file: first the class that asks for a
// person, then that of all sensitive topics together, then each topic.
type Weights struct{ Classes []Class }

// Judge gives how much a text asks for a person, how much it touches a
// sensitive topic, and which (an index of Classes). That it touches any is
// learnt from many more examples than each topic has, so it counts double.
func (w *Weights) Judge(vector []float32, grams []uint16) (person, topic float32, class int) {
	class = 2
	best := float32(math.Inf(-1))
	for c := 2; c < len(w.Classes); c++ {
		if s := w.Classes[c].Score(vector, grams); s > best {
			best, class = s, c
		}
	}
	return w.Classes[0].Score(vector, grams), w.Classes[1].Score(vector, grams) + best/2, class
}

var magic = [4]byte{'R', 'D', 'W', '1'}

// Encode gives the bytes of the file: the same weights give the same bytes.
func (w *Weights) Encode() []byte {
	out := append([]byte(nil), magic[:]...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(w.Classes))) //nolint:gosec // a handful
	f := func(values ...float32) {
		for _, v := range values {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
		}
	}
	for _, c := range w.Classes {
		var name [32]byte
		copy(name[:], c.Name)
		out = append(out, name[:]...)
		f(c.Sure, c.Maybe, c.BlindSure)
		for _, j := range []Judge{c.Vector, c.Chars} {
			f(j.Scale, j.Bias, j.Mean, j.Dev)
			for _, q := range j.Q {
				out = append(out, byte(q)) //nolint:gosec // two's complement, undone by Decode
			}
		}
	}
	return out
}

var errFormat = errors.New("not a weights file of this version")

// Decode reads what Encode wrote.
func Decode(data []byte) (*Weights, error) {
	r := bytes.NewReader(data)
	var head struct {
		Magic   [4]byte
		Classes uint32
	}
	if err := binary.Read(r, binary.LittleEndian, &head); err != nil || head.Magic != magic || head.Classes < 3 || head.Classes > 64 {
		return nil, errFormat
	}
	w := &Weights{}
	for range head.Classes {
		var fixed struct {
			Name                   [32]byte
			Sure, Maybe, BlindSure float32
		}
		if err := binary.Read(r, binary.LittleEndian, &fixed); err != nil {
			return nil, fmt.Errorf("%w: %w", errFormat, err)
		}
		c := Class{
			Name: string(bytes.TrimRight(fixed.Name[:], "\x00")),
			Sure: fixed.Sure, Maybe: fixed.Maybe, BlindSure: fixed.BlindSure,
		}
		for _, part := range []struct {
			into *Judge
			n    int
		}{{&c.Vector, Dim}, {&c.Chars, Buckets}} {
			var scales [4]float32
			q := make([]int8, part.n)
			if err := binary.Read(r, binary.LittleEndian, &scales); err != nil {
				return nil, fmt.Errorf("%w: %w", errFormat, err)
			}
			if err := binary.Read(r, binary.LittleEndian, q); err != nil {
				return nil, fmt.Errorf("%w: %w", errFormat, err)
			}
			*part.into = Judge{Q: q, Scale: scales[0], Bias: scales[1], Mean: scales[2], Dev: scales[3]}
		}
		w.Classes = append(w.Classes, c)
	}
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, errFormat
	}
	return w, nil
}
