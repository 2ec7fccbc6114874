package assistant

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relaydesk/relaydesk/assistant/confidence"
	"github.com/relaydesk/relaydesk/assistant/extract"
	"github.com/relaydesk/relaydesk/assistant/provider"
	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff/notices"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// answer is what content says, and how sure that is.
type answer struct {
	text       string // empty: content says nothing
	citations  []conversations.Citation
	confidence float64 // a calibrated probability, 0–1
	repeated   bool    // the visitor was told so already
	found      knowledge.Found
}

var errPanicked = errors.New("making an answer panicked")

// attempt makes an answer. A panic on the way is a failure like others, so that
// the visitor need not wait for a second one.
func (a *Assistant) attempt(ctx context.Context, q ask, lang string) (made answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			a.Log.ErrorContext(ctx, "making an answer panicked", "workspace", q.w.ID, "panic", p, "trace", string(debug.Stack()))
			err = errPanicked
		}
	}()
	return a.make(ctx, q, lang)
}

// make searches content and makes an answer from what it finds.
func (a *Assistant) make(ctx context.Context, q ask, lang string) (answer, error) {
	vector, made, err := a.look(ctx, q.w, q.question(), lang)
	if err != nil {
		return made, err
	}
	// A few words may only make sense after those before. They are tried alone
	// first: who begins with something new wants no answer about the old.
	if whole := q.inContext(); made.confidence < confidence.Upper && whole != "" {
		v, m, err := a.look(ctx, q.w, whole, lang)
		if err != nil {
			return made, err
		}
		if m.confidence > made.confidence+clearly {
			vector, made = v, m
		}
	}
	if len(made.found.Hits) == 0 {
		made.confidence = 0
		return made, nil
	}
	if a.Model != nil {
		return a.ask(ctx, q, lang, made)
	}
	return a.quote(ctx, q, lang, vector, made)
}

// clearly is how much surer a question must be with the one before it to be
// taken for its continuation.
const clearly = .05

// look searches content for a question, and tells how sure it is that what was
// found answers it.
func (a *Assistant) look(ctx context.Context, w postgres.Workspace, question, lang string) (vector []float32, made answer, err error) {
	vectors, err := a.Embedder.Query(ctx, question)
	if err != nil {
		return nil, made, fmt.Errorf("embed a question: %w", err)
	}
	if len(vectors) != 1 {
		return nil, made, fmt.Errorf("embed a question: %d vectors", len(vectors))
	}
	made.found, err = a.Knowledge.Search(ctx, w, knowledge.Query{Text: question, Vector: vectors[0], Language: lang, Limit: mostHits, Answering: true})
	if err != nil {
		return nil, made, err
	}
	made.confidence = chance(a.calibrations.of(ctx, w).Probability(made.found.Signals))
	return vectors[0], made, nil
}

// choosing is how long the sentences to be quoted may be embedded for. They
// share a core with what is being indexed; after that words choose alone.
const choosing = time.Second

// quote answers with sentences of the content.
func (a *Assistant) quote(ctx context.Context, q ask, lang string, vector []float32, made answer) (answer, error) {
	// What extract reads of a hit; the rest has done its work in the search.
	read := make([]rank.Hit, len(made.found.Hits))
	for i, h := range made.found.Hits {
		read[i] = rank.Hit{Candidate: rank.Candidate{Title: h.Title, HeadingPath: h.HeadingPath, Text: h.Text}, Index: i, Score: h.Score}
	}
	embed := func(sentences []string) ([][]float32, error) {
		within, cancel := context.WithTimeout(ctx, choosing)
		defer cancel()
		return a.Embedder.Passages(within, sentences...)
	}
	quoted, err := extract.Answer(made.found.Question, vector, read, embed, extract.Options{})
	if err != nil {
		if ctx.Err() != nil {
			return made, ctx.Err()
		}
		a.Log.WarnContext(ctx, "sentences are chosen by their words alone", "workspace", q.w.ID, "error", err)
	}
	if quoted.Text == "" {
		made.confidence = 0
		return made, nil
	}
	for _, x := range quoted.Quotes {
		made.citations = append(made.citations, cite(made.found.Hits[x.Hit], x.Text))
	}
	made.text = notices.FromPages(lang) + "\n\n" + quoted.Text
	made.repeated = q.told(quoted.Text)
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
	nothing := func() (answer, error) {
		made.confidence = min(made.confidence, confidence.Lower/2)
		return made, nil
	}
	switch {
	case errors.Is(err, provider.ErrUngrounded), errors.Is(err, provider.ErrRefused):
		a.Log.WarnContext(ctx, "the model has no answer from content", "workspace", q.w.ID, "error", err)
		return nothing()
	case err != nil:
		return made, err
	case reply.Action == provider.ActionEscalate:
		return nothing()
	}
	if reply.Confidence > 0 {
		made.confidence = (made.confidence + chance(reply.Confidence)) / 2
	}
	if !reply.Answered { // a part of it, or what is near
		made.confidence = min(made.confidence, partly)
	}
	var passages []string
	for _, c := range reply.Citations {
		hit := issued[c.ID]
		passages = append(passages, hit.Text)
		made.citations = append(made.citations, cite(hit, c.Quote))
	}
	if promised(reply.Text, passages) != "" {
		a.Log.WarnContext(ctx, "the model made a promise of its own; its answer is not said", "workspace", q.w.ID)
		made.citations = nil
		return nothing()
	}
	made.text, made.repeated = reply.Text, q.told(reply.Text)
	return made, nil
}

// partly is how sure an answer is at most that a model says answers a part.
const partly = (confidence.Lower + confidence.Upper) / 2

// told tells whether the assistant has said a text before. Who asks again was
// not helped by it.
func (q ask) told(text string) bool {
	return slices.ContainsFunc(q.history, func(m conversations.Message) bool {
		return m.Author == conversations.Assistant && strings.Contains(m.Text, text)
	})
}

func cite(h knowledge.Hit, quote string) conversations.Citation {
	return conversations.Citation{PageID: h.PageID, URL: link(h), Title: h.Title, HeadingPath: h.HeadingPath, Quote: quote, Passage: h.Text}
}

// episode is what was said before, for a model: visitor and assistant since a
// person last wrote as the thread; what persons wrote as dated facts, which no
// later answer should repeat as if it had just happened. Nobody is named, so
// that the model can name nobody.
func episode(history []conversations.Message) (thread []provider.Line, facts []string) {
	question := ""
	for _, m := range history {
		switch m.Author {
		case conversations.Visitor:
			question = strings.TrimSpace(m.Text)
			thread = append(thread, provider.Line{Author: m.Author, Text: m.Text, At: m.CreatedAt})
		case conversations.Assistant:
			thread = append(thread, provider.Line{Author: m.Author, Text: m.Text, At: m.CreatedAt})
		case conversations.Member:
			fact := fmt.Sprintf("On %s a person of the team wrote: %s", m.CreatedAt.UTC().Format("2006-01-02 15:04 MST"), strings.TrimSpace(m.Text))
			if question != "" {
				fact += fmt.Sprintf(" (The visitor had written: %s)", question)
			}
			facts = append(facts, fact)
			thread, question = nil, ""
		}
	}
	return thread, facts
}
