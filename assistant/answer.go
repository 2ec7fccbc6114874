package assistant

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/relaydesk/relaydesk/assistant/confidence"
	"github.com/relaydesk/relaydesk/assistant/extract"
	"github.com/relaydesk/relaydesk/assistant/provider"
	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff/notices"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// answer is what content says, and how sure that is.
type answer struct {
	text       string // empty: content says nothing
	citations  []conversations.Citation
	confidence float64 // a calibrated probability, 0–1
	found      knowledge.Found
}

// make searches content and makes an answer from what it finds.
func (a *Assistant) make(ctx context.Context, q ask, lang string) (answer, error) {
	question := q.question()
	vectors, err := a.Embedder.Query(ctx, question)
	if err != nil {
		return answer{}, fmt.Errorf("embed a question: %w", err)
	}
	found, err := a.Knowledge.Search(ctx, q.w, knowledge.Query{Text: question, Vector: vectors[0], Language: lang, Limit: hits})
	if err != nil {
		return answer{}, err
	}
	made := answer{found: found, confidence: sure(a.calibrations.of(ctx, q.w).Probability(found.Signals))}
	if len(found.Hits) == 0 {
		made.confidence = 0
		return made, nil
	}
	if a.Model != nil {
		return a.ask(ctx, q, lang, made)
	}
	return a.quote(ctx, lang, vectors[0], made)
}

// quote answers with sentences of the content.
func (a *Assistant) quote(ctx context.Context, lang string, vector []float32, made answer) (answer, error) {
	read := make([]rank.Hit, len(made.found.Hits))
	for i, h := range made.found.Hits {
		read[i] = rank.Hit{
			Candidate: rank.Candidate{ID: h.PassageID, Title: h.Title, HeadingPath: h.HeadingPath, Text: h.Text, Cosine: float32(h.Cosine)},
			Index:     i, BM25: h.BM25, Score: h.Score,
		}
	}
	embed := func(sentences []string) ([][]float32, error) { return a.Embedder.Query(ctx, sentences...) }
	quoted, err := extract.Answer(made.found.Question, vector, read, embed, extract.Options{})
	if err != nil && ctx.Err() != nil {
		return answer{}, ctx.Err()
	}
	if quoted.Text == "" {
		made.confidence = 0
		return made, nil
	}
	for _, x := range quoted.Quotes {
		made.citations = append(made.citations, cite(made.found.Hits[x.Hit], x.Text))
	}
	made.text = notices.FromPages(lang) + "\n\n" + quoted.Text
	return made, nil
}

// ask lets the model answer from the passages. What it says of itself counts
// together with what search says.
func (a *Assistant) ask(ctx context.Context, q ask, lang string, made answer) (answer, error) {
	asked := provider.Question{Workspace: q.settings.AssistantName, Language: lang, Text: q.text()}
	asked.Thread, asked.Facts = episode(q.history)
	issued := map[string]knowledge.Hit{}
	for i, h := range made.found.Hits {
		id := "p" + strconv.Itoa(i+1)
		issued[id] = h
		asked.Passages = append(asked.Passages, provider.Passage{ID: id, Title: h.Title, URL: h.URL, HeadingPath: h.HeadingPath, Text: h.Text})
	}
	reply, err := a.Model.Answer(ctx, asked)
	switch {
	case errors.Is(err, provider.ErrUngrounded), errors.Is(err, provider.ErrRefused):
		// It has nothing to say from content: that is no failure.
		made.confidence = min(made.confidence, confidence.Lower/2)
		return made, nil
	case err != nil:
		return answer{}, err
	case reply.Action == provider.ActionEscalate || !reply.Answered:
		made.confidence = min(made.confidence, confidence.Lower/2)
	case reply.Confidence > 0:
		made.confidence = (made.confidence + sure(reply.Confidence)) / 2
	}
	made.text = reply.Text
	for _, c := range reply.Citations {
		made.citations = append(made.citations, cite(issued[c.ID], c.Quote))
	}
	return made, nil
}

func cite(h knowledge.Hit, quote string) conversations.Citation {
	return conversations.Citation{PageID: h.PageID, URL: link(h), Title: h.Title, HeadingPath: h.HeadingPath, Quote: quote, Passage: h.Text}
}

// episode is what was said before, for a model: visitor and assistant as the
// thread; what a person of the team said as dated facts, which no later answer
// should repeat as if it had just happened.
func episode(history []conversations.Message) (thread []provider.Line, facts []string) {
	for _, m := range history {
		switch m.Author {
		case conversations.Visitor, conversations.Assistant:
			thread = append(thread, provider.Line{Author: m.Author, Text: m.Text, At: m.CreatedAt})
		case conversations.Member:
			who := "A person of the team"
			if m.MemberName != "" {
				who = m.MemberName + ", of the team,"
			}
			facts = append(facts, fmt.Sprintf("On %s %s wrote: %s", m.CreatedAt.Format("2006-01-02 15:04 MST"), who, strings.TrimSpace(m.Text)))
		}
	}
	return thread, facts
}
