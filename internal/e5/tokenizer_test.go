package e5

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/relaydesk/relaydesk/internal/artifacts/artifactstest"
)

func TestSpecialTokensInATextAreOnlyText(t *testing.T) {
	t.Parallel()
	m := model(t)
	tok := &m.tokens
	for _, s := range []string{"<s>", "</s>", "<mask>", "<pad>", "<unk>"} {
		for _, text := range []string{s, "a" + s + "b", "write " + s + " here", strings.Repeat(s, 50)} {
			ids := tok.encode("query: ", text)
			for _, id := range ids {
				piece := string(tok.blob[tok.offsets[id]:tok.offsets[id+1]])
				if id == tok.bos || id == tok.eos || id == tok.pad || id == tok.unk || piece == mask {
					t.Errorf("%q became the special token %q", text, piece)
				}
			}
			if spelled := tok.spell(ids); !strings.HasSuffix(spelled, strings.ReplaceAll(text, " ", metaspace)) {
				t.Errorf("%q became %q", text, spelled)
			}
		}
	}
}

// spell puts pieces together again.
func (t *tokenizer) spell(ids []int32) string {
	var b []byte
	for _, id := range ids {
		b = append(b, t.blob[t.offsets[id]:t.offsets[id+1]]...)
	}
	return string(b)
}

func TestHowAnAccentOrSpaceIsWrittenMakesNoDifference(t *testing.T) {
	t.Parallel()
	m := model(t)
	for _, pair := range [][2]string{
		{"Où est ma café crème?", "Ou\u0300 est ma cafe\u0301 cre\u0300me?"},
		{"tiếng Việt", "tie\u0302\u0301ng Vie\u0323\u0302t"},
		{"한국어", "\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165"},
		{"two words", "  two \t\n words \u00a0"},
	} {
		if a, b := m.tokens.encode("query: ", pair[0]), m.tokens.encode("query: ", pair[1]); !slices.Equal(a, b) {
			t.Errorf("%q: %v, but %q: %v", pair[0], a, pair[1], b)
		}
	}
}

func TestInvalidUTF8IsSafe(t *testing.T) {
	t.Parallel()
	m := model(t)
	for _, text := range []string{"\xff\xfe", "caf\xe9 au lait", "\xed\xa0\x80", "ok\xc3", strings.Repeat("\x80", MaxBytes+5)} {
		want := m.tokens.encode("query: ", strings.ToValidUTF8(text, "\ufffd"))
		if ids := m.tokens.encode("query: ", text); !slices.Equal(ids, want) {
			t.Errorf("%.20q has the tokens %v instead of %v", text, ids, want)
		}
	}
}

func TestOnlyTheFirstTokensAndBytesCount(t *testing.T) {
	t.Parallel()
	m := model(t)
	long := strings.Repeat("a b c d ", MaxTokens/4)
	if n := m.Tokens(long + long); n != MaxTokens {
		t.Errorf("%d tokens", n)
	}
	if a, b := m.tokens.encode("", long), m.tokens.encode("", long+"and so on"); !slices.Equal(a, b) {
		t.Error("what follows the cap changed the tokens")
	}
	for n := range 4 { // a character across the border
		text := strings.Repeat("x", MaxBytes-n) + "€€"
		if got := cut(text, MaxBytes); len(got) > MaxBytes || len(got) < MaxBytes-3 || !utf8.ValidString(got) || !strings.HasPrefix(text, got) {
			t.Errorf("cut to %d bytes", len(got))
		}
	}
}

// Every text gives ids of the vocabulary, at most MaxTokens, none special, and
// those that are known spell the normalized text.
func FuzzTokenize(f *testing.F) {
	for _, text := range []string{
		"", " ", "hello", "<s></s>", "e\u0301", "\xff", "ﬁn \u00a0\u200b\u3000", "日本語のテスト", "👩‍👩‍👧", "▁▁", strings.Repeat("\u0301", 100), "ﷺ",
	} {
		f.Add(text)
	}
	m, err := Load(artifactstest.Weights(f))
	if err != nil {
		f.Fatal(err)
	}
	tok := &m.tokens
	f.Fuzz(func(t *testing.T, text string) {
		ids := tok.encode("passage: ", text)
		if len(ids) == 0 || len(ids) > MaxTokens {
			t.Fatalf("%d tokens", len(ids))
		}
		known := true
		for _, id := range ids {
			if id < 0 || int(id) >= len(tok.scores) || id == tok.bos || id == tok.eos || id == tok.pad {
				t.Fatalf("token %d", id)
			}
			known = known && id != tok.unk
		}
		if want := string(tok.normalize("passage: " + cut(text, MaxBytes))); known && len(ids) < MaxTokens && tok.spell(ids) != want {
			t.Errorf("tokens spell %q instead of %q", tok.spell(ids), want)
		}
	})
}
