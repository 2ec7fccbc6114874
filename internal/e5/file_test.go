package e5

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// small is the shape of a made-up file: one layer and few words, all zeros.
var small = shape{vocabulary: 40, layers: 1}

// Where the tensors of a made-up file begin, so that everything before can be
// fuzzed without the two megabytes behind it.
const headRoom = 4096

// head is the part of a made-up file before its tensors.
func head() []byte {
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
				panic(err)
			}
		}
	}
	put([]byte("E5S1"), uint32(1), []int32{hidden, 1, heads, ffn, 40, positions, 2}, float32(1e-12), int32(block))
	pieces := []string{"<s>", "<pad>", "</s>", "<unk>", metaspace, metaspace + "query", ":", "a", "ab", metaspace + "b", "é", mask}
	put(int32(len(pieces)), []int32{0, 2, 1, 3})
	var blob []byte
	offsets := []uint32{0}
	for _, p := range pieces {
		blob = append(blob, p...)
		offsets = append(offsets, uint32(len(blob)))
	}
	put(uint64(len(blob)), offsets)
	for i := range pieces {
		put(float32(-i))
	}
	put(blob)
	put(int32(2), uint32(0), uint32('\n'), uint8(1), uint32(' '), uint32('ﬁ'), uint8(2), uint32('f'), uint32('i'))

	sizes := []struct {
		name  string
		bytes int
	}{
		{"emb.word", 40 * hidden / block * q4Bytes},
		{"emb.pos", 4 * positions * hidden},
		{"emb.type", 8 * hidden},
		{"emb.ln.w", 4 * hidden},
		{"emb.ln.b", 4 * hidden},
	}
	for _, l := range []struct {
		name    string
		in, out int
	}{{"q", hidden, hidden}, {"k", hidden, hidden}, {"v", hidden, hidden}, {"ao", hidden, hidden}, {"fi", hidden, ffn}, {"fo", ffn, hidden}} {
		sizes = append(sizes, struct {
			name  string
			bytes int
		}{"l0." + l.name + ".w", l.in * l.out / block * q4Bytes}, struct {
			name  string
			bytes int
		}{"l0." + l.name + ".b", 4 * l.out})
	}
	for _, name := range []string{"l0.aln.w", "l0.aln.b", "l0.oln.w", "l0.oln.b"} {
		sizes = append(sizes, struct {
			name  string
			bytes int
		}{name, 4 * hidden})
	}
	put(int32(len(sizes)))
	for _, s := range sizes { // all zeros, so that they may share their place
		put(uint16(len(s.name)), []byte(s.name), uint8(0), uint32(0), uint64(headRoom), uint64(s.bytes))
	}
	return b.Bytes()
}

// image puts zeros behind a head.
func image(head []byte) []byte {
	b := make([]byte, headRoom+4*positions*hidden)
	copy(b[:headRoom], head)
	return b
}

func TestAMadeUpFileLoads(t *testing.T) {
	if n := len(head()); n > headRoom {
		t.Fatalf("the head has %d bytes", n)
	}
	m, err := parse(image(head()), small)
	if err != nil {
		t.Fatal(err)
	}
	if v := m.Query("ab ﬁ")[0]; len(v) != Dim {
		t.Error("no vector")
	}
}

func TestTruncatedWeightsAreRefusedAtEveryLength(t *testing.T) {
	whole := image(head())
	for n := range len(head()) {
		if _, err := parse(whole[:n], small); err == nil {
			t.Fatalf("%d bytes were accepted", n)
		}
	}
}

func TestLiesInTheFileAreRefused(t *testing.T) {
	const piecesAt = 8 + 7*4 + 4 + 4
	for name, lie := range map[string]func(b []byte){
		"another version":         func(b []byte) { b[4] = 2 },
		"another shape":           func(b []byte) { b[8]++ },
		"more pieces than words":  func(b []byte) { b[piecesAt] = 41 },
		"billions of pieces":      func(b []byte) { b[piecesAt+3] = 0x7f },
		"negative pieces":         func(b []byte) { b[piecesAt+3] = 0xff },
		"unknown outside":         func(b []byte) { b[piecesAt+16] = 12 },
		"a huge blob":             func(b []byte) { b[piecesAt+20+7] = 0xff },
		"offsets that fall":       func(b []byte) { b[piecesAt+28+4] = 50 },
		"an offset past the blob": func(b []byte) { b[piecesAt+28+4*12+1] = 1 },
		"a score that is no score": func(b []byte) {
			binary.LittleEndian.PutUint32(b[piecesAt+28+4*13:], math.Float32bits(float32(math.NaN())))
		},
		"a tensor past the end": func(b []byte) {
			at := bytes.Index(b, []byte("emb.pos")) + 7 + 5
			binary.LittleEndian.PutUint64(b[at:], math.MaxUint64-100)
		},
		"a tensor of another size": func(b []byte) { b[bytes.Index(b, []byte("l0.fo.w"))+7+5+8]++ },
		"a tensor missing":         func(b []byte) { b[bytes.Index(b, []byte("l0.oln.b"))] = 'x' },
	} {
		b := image(head())
		lie(b)
		if _, err := parse(b, small); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestLoadSaysWhatIsWrongWithAFile(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for _, body := range []string{"", "E5S1", "something else entirely"} {
		path := filepath.Join(t.TempDir(), "weights")
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil {
			t.Errorf("%q was loaded", body)
		}
	}
}

// Whatever a file says, parse gives an error or a model that works.
func FuzzLoad(f *testing.F) {
	f.Add(head())
	f.Add([]byte("E5S1"))
	f.Fuzz(func(t *testing.T, head []byte) {
		m, err := parse(image(head), small)
		if err != nil {
			return
		}
		if v := m.Query("ab é ﬁ \n <s>")[0]; len(v) != Dim {
			t.Error("no vector")
		}
	})
}
