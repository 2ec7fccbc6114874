package rank_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/relaydesk/relaydesk/knowledge/rank"
)

var nan = float32(math.NaN())

// corpus counts the candidates as if they were all passages there are.
func corpus(candidates []rank.Candidate) rank.Corpus {
	c := rank.Corpus{Passages: len(candidates), DF: map[string]int{}}
	for _, p := range candidates {
		for _, w := range rank.Distinct(p.Whole()) {
			c.DF[w]++
		}
	}
	return c
}

var shop = []rank.Candidate{
	{ID: 1, Title: "Returns", HeadingPath: []string{"Returns", "How long do I have?"}, Text: "Goods can be sent back within 30 days of delivery.", Cosine: .85},
	{ID: 2, Title: "Delivery", Text: "Delivery takes two days in Germany and four days elsewhere. We deliver to Switzerland for 9 euros.", Cosine: .84},
	{ID: 3, Title: "Payment", Text: "We take cards, bank transfer and cash on delivery.", Cosine: .80},
	{ID: 4, Title: "Opening hours", Text: "The shop is open from Monday to Friday.", Cosine: .78},
	{ID: 5, Title: "Jobs", Text: "We look for a driver.", Cosine: .77},
}

func TestWordsDecideWhereVectorsAreClose(t *testing.T) {
	t.Parallel()
	q := rank.Ask("Delivery to Switzerland, how many euros?", corpus(shop))
	hits := q.Rank(shop)
	if hits[0].ID != 2 || hits[0].Index != 1 {
		t.Errorf("first is %+v", hits[0])
	}
	for _, h := range hits {
		if h.BM25 < 0 || h.BM25 > 1 {
			t.Errorf("%d: BM25 %f", h.ID, h.BM25)
		}
	}
}

func TestWithoutVectorsWordsRankAlone(t *testing.T) {
	t.Parallel()
	bare := slices.Clone(shop)
	for i := range bare {
		bare[i].Cosine = nan
	}
	q := rank.Ask("How many days do I have to send goods back?", corpus(shop))
	hits := q.Rank(bare)
	if hits[0].ID != 1 || math.IsNaN(hits[0].Score) {
		t.Errorf("first is %+v", hits[0])
	}
	if s := q.Signals(hits, false); !s.NoVectors || s.Cosine != 0 || s.Passage == 0 {
		t.Errorf("signals %+v", s)
	}
	bare[1].Cosine = .9 // one new page has its vector already: it must not win by that
	if hits := q.Rank(bare); hits[0].ID != 1 {
		t.Errorf("first is %+v", hits[0])
	}
}

func TestTheRarestKnownWordsAreSearchedFor(t *testing.T) {
	t.Parallel()
	c := rank.Corpus{Passages: 100, DF: map[string]int{"the": 90, "how": 60, "refund": 3, "ticket": 5, "train": 9}}
	q := rank.Ask("How do I get a refund for the train ticket zyzzyva?", c)
	if got := q.Rarest(2); !slices.Equal(got, []string{"refund", "ticket"}) {
		t.Errorf("two rarest: %q", got)
	}
	if got := q.Rarest(9); !slices.Equal(got, []string{"refund", "ticket", "train"}) {
		t.Errorf("all rare: %q", got)
	}
	if got := rank.Ask("the zyzzyva", c).Rarest(3); !slices.Equal(got, []string{"the"}) {
		t.Errorf("only a frequent one: %q", got)
	}
	if got := rank.Ask("", c).Rarest(3); len(got) != 0 {
		t.Errorf("nothing: %q", got)
	}
}

func TestSignalsTellAnAnswerFromAForeignQuestion(t *testing.T) {
	t.Parallel()
	c := corpus(shop)
	ask := func(question string) rank.Signals {
		q := rank.Ask(question, c)
		return q.Signals(q.Rank(shop), false)
	}
	known, foreign := ask("How many days does delivery take in Germany?"), ask("Which planet has the most moons?")
	if known.Passage <= foreign.Passage || known.Sentence <= foreign.Sentence || known.Missing > foreign.Missing || known.Unknown >= foreign.Unknown || known.BM25 <= foreign.BM25 {
		t.Errorf("known %+v\nforeign %+v", known, foreign)
	}
}

func TestSignalsAreFiniteForAnything(t *testing.T) {
	t.Parallel()
	for _, question := range []string{"", "?!", "refund", strings.Repeat("one two three four ", 500), strings.Repeat("语", 3000)} {
		for _, candidates := range [][]rank.Candidate{nil, shop[:1], shop, {{ID: 9, Cosine: nan}}, {{ID: 8, Text: question, Cosine: 1}}} {
			for _, c := range []rank.Corpus{{}, corpus(candidates), {Passages: 3, DF: map[string]int{"refund": 7}}} {
				q := rank.Ask(question, c)
				s := q.Signals(q.Rank(candidates), false)
				if strings.ContainsAny(fmt.Sprint(s), "NI") { // NaN, Inf
					t.Errorf("%.20q over %d: %+v", question, len(candidates), s)
				}
			}
		}
	}
}

func candidates100(language string) []rank.Candidate {
	sentence := map[string]string{
		"english": "You can change the address of a delivery until the parcel has left our warehouse, which is shown in your account. ",
		"russian": "Адрес доставки можно изменить, пока посылка не покинула наш склад, что показано в вашем личном кабинете. ",
	}[language]
	text := strings.Repeat(sentence, 20)
	out := make([]rank.Candidate, 100)
	for i := range out {
		out[i] = rank.Candidate{ID: int64(i), Title: "Delivery", HeadingPath: []string{"Orders", fmt.Sprint("Part ", i)}, Text: string([]rune(text)[:900]), Cosine: .8 + float32(i%17)/100}
	}
	return out
}

// 100 candidates of 900 letters. On one core of an EPYC: .7 ms in English, 1.6 in Russian.
func BenchmarkRankAndSignals(b *testing.B) {
	for language, question := range map[string]string{"english": "How do I change the address of my delivery?", "russian": "Как изменить адрес доставки моей посылки?"} {
		b.Run(language, func(b *testing.B) {
			c := candidates100(language)
			corpus := corpus(c)
			for b.Loop() {
				q := rank.Ask(question, corpus)
				q.Signals(q.Rank(c), false)
			}
		})
	}
}
