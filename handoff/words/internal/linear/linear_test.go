package linear

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func weights(seed uint64) *Weights {
	r := rand.New(rand.NewPCG(seed, 7))
	w := &Weights{}
	for _, name := range []string{"person", "any", "danger", "refund"} {
		full := func(n int) []float32 {
			out := make([]float32, n)
			for i := range out {
				out[i] = r.Float32()*2 - 1
			}
			return out
		}
		c := Class{Name: name, Sure: r.Float32(), Maybe: r.Float32(), BlindSure: r.Float32(), Vector: Quantize(full(Dim), .25), Chars: Quantize(full(Buckets), -1)}
		c.Vector.Mean, c.Vector.Dev, c.Chars.Mean, c.Chars.Dev = 1, 2, 3, 4
		w.Classes = append(w.Classes, c)
	}
	return w
}

func TestWeightsComeBackAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	w := weights(1)
	back, err := Decode(w.Encode())
	if err != nil || !reflect.DeepEqual(w, back) {
		t.Errorf("%v", err)
	}
}

func TestADamagedFileIsRefused(t *testing.T) {
	t.Parallel()
	file := weights(2).Encode()
	for n := 0; n < len(file); n += 1 + n/3 {
		if _, err := Decode(file[:n]); err == nil {
			t.Errorf("the first %d bytes are taken", n)
		}
	}
	if _, err := Decode(append(slices.Clone(file), 0)); err == nil {
		t.Error("a byte too many is taken")
	}
	huge := slices.Clone(file)
	huge[7] = 0xff // four thousand million classes
	if _, err := Decode(huge); err == nil {
		t.Error("any number of classes is taken")
	}
}

func TestEightBitsJudgeAsFullWeightsDo(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	full, x := make([]float32, Dim), make([]float32, Dim)
	for range 200 {
		var exact, norm float32
		for i := range full {
			full[i], x[i] = r.Float32()*2-1, r.Float32()*2-1
			exact += full[i] * x[i]
			norm += x[i] * x[i]
		}
		q := Quantize(full, .5)
		if diff := q.Dense(x) - (exact + .5); diff*diff > 1e-3*norm {
			t.Errorf("%f away from %f", diff, exact)
		}
	}
	zero := Quantize(make([]float32, Dim), 2)
	if got := zero.Dense(x); got != 2 {
		t.Errorf("no weights give %f", got)
	}
}

func TestTheSameWordIsFoldedTheSame(t *testing.T) {
	t.Parallel()
	for want, forms := range map[string][]string{
		"wurde": {"würde", "WÜRDE", "Wu\u0308rde"}, "quelqu'un": {"quelqu’un", "QUELQU'UN", "quelqu`un"}, "zolty": {"żółty"}, "strasse": {"Straße"},
		"fi": {"ﬁ"}, "a b": {"a\xffb"}, "ab": {"a\u200db", "a\u00adb"}, "": {"", "\u0301"},
	} {
		for _, form := range forms {
			if got := Fold(form); got != want {
				t.Errorf("%q becomes %q, want %q", form, got, want)
			}
		}
	}
}

func TestSequencesAreSortedOnceEachAndBlindToNumbersAndSigns(t *testing.T) {
	t.Parallel()
	a, b := Grams(nil, "call 112, now!"), Grams(nil, "call 337 now")
	if !slices.Equal(a, b) {
		t.Error("digits or signs tell texts apart")
	}
	if !slices.IsSorted(a) || len(slices.Compact(slices.Clone(a))) != len(a) {
		t.Errorf("%v", a)
	}
	if slices.Equal(a, Grams(nil, "call it now")) {
		t.Error("words don't tell texts apart")
	}
	if n := len(Grams(nil, strings.Repeat("abcdefghij", 100_000))); n > 3*MaxGramBytes {
		t.Errorf("%d of a long text", n)
	}
}

func FuzzAnyTextIsJudged(f *testing.F) {
	f.Add("Würde", []byte("RDW1"))
	f.Add("\xff\x00", weights(5).Encode()[:200])
	w := weights(6)
	f.Fuzz(func(t *testing.T, text string, file []byte) {
		folded := Fold(text)
		grams := Grams(nil, folded)
		if again := Fold(folded); Fold(again) != again {
			t.Fatalf("%q never settles", text)
		}
		for _, g := range grams {
			if g >= Buckets {
				t.Fatalf("bucket %d", g)
			}
		}
		w.Judge(make([]float32, Dim), grams)
		_, _ = Decode(file)
	})
}
