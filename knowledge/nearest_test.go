package knowledge_test

import (
	"fmt"
	"testing"

	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

func TestAnAnswerFromAFewPassagesIsJudgedByItsNearestSentence(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.text("Ferry", "# Bicycles\n\nA bicycle costs four euros. Nobody may smoke on deck.\n\n# Dogs\n\nDogs travel free.")
	b.drain()
	asked := knowledge.Query{Text: "a bicycle costs four euros", Language: "en", Answering: true}
	ask := func(q knowledge.Query) rank.Signals {
		t.Helper()
		f, err := b.Search(t.Context(), b.w, q)
		if err != nil {
			t.Fatal(err)
		}
		return f.Signals
	}
	b.model.fail.Store(true)
	vectors, _ := (&wordEmbedder{}).Query(t.Context(), asked.Text)
	asked.Vector = vectors[0]
	if s := ask(asked); s.NearestSentence != 0 || s.Passages != 2 || s.Cosine <= 0 {
		t.Errorf("without an embedder %+v", s)
	}
	b.model.fail.Store(false)
	s := ask(asked)
	if s.NearestSentence <= s.Cosine || s.NearestSentence > 1.001 {
		t.Errorf("the sentence has %.3f, its passage %.3f", s.NearestSentence, s.Cosine)
	}
	calls := b.model.calls.Load()
	if again := ask(asked); again != s || b.model.calls.Load() != calls {
		t.Errorf("asked again %+v, after %d calls", again, b.model.calls.Load()-calls)
	}
	asked.Answering = false
	if s := ask(asked); s.NearestSentence != 0 {
		t.Errorf("a search that answers nothing compares sentences: %+v", s)
	}
}

func TestAWorkspaceOfSixtyPassagesIsJudgedAsEver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	text := ""
	for i := range rank.Small {
		text += fmt.Sprintf("# Number %d\n\nThe ferry number %d sails at %d o'clock.\n\n", i, i, i)
	}
	b.text("Ferries", text)
	b.drain()
	f, err := b.Search(t.Context(), b.w, knowledge.Query{Text: "When does ferry number seven sail?", Language: "en", Answering: true})
	if err != nil {
		t.Fatal(err)
	}
	if f.Signals.Passages != 0 || f.Signals.NearestSentence != 0 || len(f.Hits) == 0 {
		t.Errorf("%+v", f.Signals)
	}
}
