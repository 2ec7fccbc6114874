package extract_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/relaydesk/relaydesk/assistant/extract"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

func ask(question string, candidates ...rank.Candidate) (*rank.Question, []rank.Hit) {
	c := rank.Corpus{Passages: 200, DF: map[string]int{"the": 150, "is": 140, "to": 150, "do": 60, "i": 60, "how": 50, "a": 150, "can": 90, "you": 120, "what": 40, "are": 90}}
	for _, p := range candidates {
		for _, w := range rank.Distinct(p.Whole()) {
			c.DF[w] = max(c.DF[w], 2)
		}
	}
	q := rank.Ask(question, c)
	return q, q.Rank(candidates)
}

var (
	returns = rank.Candidate{ID: 1, Title: "Returns", Cosine: .85, Text: "We want you to be happy. Goods can be sent back within 30 days of delivery. The refund takes a week. Our team is small."}
	opening = rank.Candidate{ID: 2, Title: "Visit us", Cosine: .82, Text: "Our shop stands by the river.\nOpening hours:\n- Monday to Friday, 9 to 18\n- Saturday, 10 to 14\nParking is free."}
	faq     = rank.Candidate{ID: 3, Title: "Questions", Cosine: .80, Text: "Do you gift-wrap? Yes, for 3 euros. Can I pay by invoice? Companies can, others pay by card."}
)

func answer(t *testing.T, question string, embed extract.Embed, candidates ...rank.Candidate) extract.Answered {
	t.Helper()
	q, hits := ask(question, candidates...)
	a, err := extract.Answer(q, []float32{1, 0}, hits, embed, extract.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, quote := range a.Quotes {
		if text := hits[quote.Hit].Text; text[quote.Start:quote.Start+len(quote.Text)] != quote.Text {
			t.Errorf("%q is not in %q", quote.Text, text)
		}
		if !strings.Contains(a.Text, quote.Text) {
			t.Errorf("%q is not in the answer %q", quote.Text, a.Text)
		}
	}
	return a
}

func TestTheSentenceThatAnswersIsQuoted(t *testing.T) {
	t.Parallel()
	a := answer(t, "Within how many days can goods be sent back?", nil, returns, opening)
	if a.Quotes[0].Text != "Goods can be sent back within 30 days of delivery." || strings.Contains(a.Text, "happy") {
		t.Errorf("%+v", a)
	}
}

func TestAListComesWholeWithWhatLeadsItIn(t *testing.T) {
	t.Parallel()
	a := answer(t, "What are your opening hours on Saturday?", nil, opening, returns)
	if a.Text != "Opening hours:\n- Monday to Friday, 9 to 18\n- Saturday, 10 to 14" {
		t.Errorf("%q", a.Text)
	}
}

func TestAQuestionInTheTextIsAnsweredByWhatFollows(t *testing.T) {
	t.Parallel()
	a := answer(t, "Can I pay by invoice?", nil, faq, returns)
	if a.Text != "Companies can, others pay by card." {
		t.Errorf("%q", a.Text)
	}
}

func TestUnderAHeadingThatIsTheQuestionTheBeginningAnswers(t *testing.T) {
	t.Parallel()
	a := answer(t, "Is delivery abroad possible?", nil, rank.Candidate{
		ID: 4, Title: "Help", HeadingPath: []string{"Help", "Is delivery abroad possible?"}, Cosine: .9,
		Text: "Yes, all over Europe. Switzerland takes longer. Ask us about islands.",
	})
	if !strings.HasPrefix(a.Text, "Yes, all over Europe.") {
		t.Errorf("%q", a.Text)
	}
}

func TestVectorsFindWhatWordsDoNot(t *testing.T) {
	t.Parallel()
	embed := func(sentences []string) ([][]float32, error) {
		out := make([][]float32, len(sentences))
		for i, s := range sentences {
			out[i] = []float32{.75, 0}
			if strings.Contains(s, "refund") {
				out[i] = []float32{.95, 0}
			}
		}
		return out, nil
	}
	a := answer(t, "When do I get my money?", embed, returns)
	if !strings.HasPrefix(a.Text, "The refund takes a week.") {
		t.Errorf("%q", a.Text)
	}
}

func TestAFailingEmbedderStillGivesAnAnswer(t *testing.T) {
	t.Parallel()
	q, hits := ask("Within how many days can goods be sent back?", returns)
	broken := errors.New("broken")
	a, err := extract.Answer(q, []float32{1}, hits, func([]string) ([][]float32, error) { return nil, broken }, extract.Options{})
	if !errors.Is(err, broken) || !strings.Contains(a.Text, "30 days") {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestTheAnswerIsBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("You need these for the kitchen:\n")
	for i := range 400 {
		fmt.Fprintf(&b, "- kitchen part %d\n", i)
	}
	embedded := 0
	embed := func(s []string) ([][]float32, error) {
		embedded = len(s)
		for _, x := range s {
			if len(x) > 240 {
				t.Errorf("%d bytes are embedded", len(x))
			}
		}
		return nil, nil
	}
	a := answer(t, "Which kitchen part do I need?", embed, rank.Candidate{ID: 1, Text: b.String(), Cosine: .9}, returns)
	if len(a.Text) > 900 || len(a.Quotes) > 3 || embedded > 6 || !strings.HasPrefix(a.Text, "You need these for the kitchen:\n- kitchen part 0\n") {
		t.Errorf("%d bytes, %d embedded: %.80q", len(a.Text), embedded, a.Text)
	}
}

var endpoint = rank.Candidate{
	ID: 5, Title: "Webhooks", HeadingPath: []string{"How do I make a webhook endpoint?"}, Cosine: .9,
	Text: "In the settings of the shop. Name the address of the endpoint:\ncurl \"$URL/endpoint\" -H \"Authorization: Bearer $KEY\" \\\n  -d '{\"make\": \"webhook endpoint\"}'\nThe answer holds the secret, which is shown once.",
}

func TestCodeIsQuotedOnlyToWhoAsksForIt(t *testing.T) {
	t.Parallel()
	a := answer(t, "How do I make a webhook endpoint?", nil, endpoint, returns)
	if strings.ContainsAny(a.Text, "{$") || !strings.Contains(a.Text, "Name the address of the endpoint") || strings.Contains(a.Text, ":") {
		t.Errorf("%q", a.Text)
	}
	if a := answer(t, "How do I make a webhook endpoint with curl?", nil, endpoint, returns); !strings.Contains(a.Text, `curl "$URL/endpoint"`) || !strings.Contains(a.Text, "endpoint\"}'") {
		t.Errorf("asked for code: %q", a.Text)
	}
	only := rank.Candidate{ID: 6, Text: "make \"$URL/webhook\" && endpoint", Cosine: .8}
	if a := answer(t, "How do I make a webhook endpoint?", nil, only); a.Text != only.Text {
		t.Errorf("there is nothing else: %q", a.Text)
	}
}

func TestAQuestionInCodeIsNoQuestionOfThePage(t *testing.T) {
	t.Parallel()
	a := answer(t, "Can I talk to a person about my order?", nil, rank.Candidate{
		ID: 7, Cosine: .9, Text: "In their own words, a visitor asks for a person.\nrd \"$URL/messages\" -d '{\"text\": \"Thanks. Can I talk to a person about my order?\"}' | field turn.status\nIt prints escalated.",
	})
	if !strings.HasPrefix(a.Text, "In their own words") || strings.Contains(a.Text, "field") {
		t.Errorf("%q", a.Text)
	}
}

func TestARowOfATableStandsUnderItsHeader(t *testing.T) {
	t.Parallel()
	prices := rank.Candidate{ID: 8, Title: "Parcels", Cosine: .9, Text: "What a parcel costs:\nparcel | price | takes\nsmall | 4 euros | two days\nlarge | 9 euros | four days\nOthers on request."}
	if a := answer(t, "How much is a large parcel?", nil, prices); !strings.HasSuffix(a.Text, "\nlarge | 9 euros | four days") || strings.Count(a.Text, "parcel | price | takes\n") != 1 {
		t.Errorf("%q", a.Text)
	}
	if a := answer(t, "How much is a small parcel?", nil, prices); !strings.Contains(a.Text, "parcel | price | takes\nsmall | 4 euros | two days") || strings.Count(a.Text, "price") != 1 {
		t.Errorf("%q", a.Text)
	}
	days := rank.Candidate{ID: 9, Title: "Hours", Cosine: .9, Text: "Monday | 9 to 18\nSaturday | 10 to 14"}
	if a := answer(t, "What are your hours on Saturday?", nil, days); strings.Count(a.Text, "Monday") > 1 || !strings.HasSuffix(a.Text, "Saturday | 10 to 14") {
		t.Errorf("a table without a header: %q", a.Text)
	}
}

func TestYesComesWithWhatItSays(t *testing.T) {
	t.Parallel()
	a := answer(t, "Do you ship abroad?", nil, rank.Candidate{
		ID: 10, HeadingPath: []string{"Do you ship abroad?"}, Cosine: .9, Text: "Yes. Parcels to Norway take a week. It is dear.",
	})
	if !strings.HasPrefix(a.Quotes[0].Text, "Yes. Parcels to Norway take a week.") {
		t.Errorf("%+v", a.Quotes)
	}
}

func TestNothingIsSaidTwice(t *testing.T) {
	t.Parallel()
	a := answer(t, "What is a locker?", nil,
		rank.Candidate{ID: 11, Cosine: .9, Text: "A locker is a box at the station, open day and night."},
		rank.Candidate{ID: 12, Cosine: .9, Text: "A locker is a box."})
	if len(a.Quotes) != 1 {
		t.Errorf("%q", a.Text)
	}
}

func TestNothingToQuoteIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range [][]rank.Candidate{nil, {{ID: 1}}, {{ID: 1, Text: " \n\n"}}, {{ID: 1, Text: "Really?"}}} {
		if a := answer(t, "What?", nil, c...); a.Text != "" || len(a.Quotes) != 0 {
			t.Errorf("%+v", a)
		}
	}
}

// Whatever a page says, quotes are parts of it and units never split a letter.
func FuzzAnswer(f *testing.F) {
	f.Add("What are hours?", "Hours:\n- Mon. 9\n1) Tue\n\nOpen! 水。はい？ a")
	f.Add("x", "a | b\nx | y\n{\nYes. No:\n}\nx = f(\n")
	f.Add("x", "x. x\n-\n- x\r\n- \tx.\x00 \xff. X")
	f.Fuzz(func(t *testing.T, question, text string) {
		answer(t, question, nil, rank.Candidate{ID: 1, Text: text, Cosine: .8}, rank.Candidate{ID: 2, Text: question + "\n" + text, Cosine: .7})
	})
}

// Without embedding: three passages of 900 letters, .1 ms.
func BenchmarkAnswer(b *testing.B) {
	text := strings.Repeat("You can change the address of a delivery until the parcel has left our warehouse, as your account shows. ", 9)
	q, hits := ask("How do I change the address of my delivery?", rank.Candidate{ID: 1, Text: text}, rank.Candidate{ID: 2, Text: text}, rank.Candidate{ID: 3, Text: text})
	for b.Loop() {
		if _, err := extract.Answer(q, nil, hits, nil, extract.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
