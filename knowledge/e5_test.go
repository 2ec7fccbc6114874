package knowledge_test

import (
	"strings"
	"testing"

	"github.com/relaydesk/relaydesk/internal/artifacts/artifactstest"
	"github.com/relaydesk/relaydesk/internal/e5"
	"github.com/relaydesk/relaydesk/internal/embedder"
	"github.com/relaydesk/relaydesk/knowledge"
)

func TestTheRealModelFindsWhatIsMeantAlsoInAnotherLanguage(t *testing.T) {
	t.Parallel()
	model, err := e5.Load(artifactstest.Weights(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = model.Close() })
	b, s := setup(t), newSite(t, help())
	b.Knowledge = b.with(embedder.New(model))
	src := b.website(s.URL)
	b.drain()
	if got := b.source(src.ID); got.Status != knowledge.Ready {
		t.Fatalf("%s %s", got.Status, got.Error)
	}
	for _, asked := range []struct {
		question, language, finds string
		cross                     bool
	}{
		{"How much is a bicycle?", "en", "four euros", false},
		{"Does my dog need a ticket?", "en", "leash", false},
		{"Bekomme ich mein Geld zurück, wenn die Fähre ausfällt?", "de", "fourteen days", true},
		{"Wie viel Gepäck darf ich mitnehmen?", "de", "two suitcases", true},
	} {
		f, err := b.Search(t.Context(), b.w, knowledge.Query{Text: asked.question, Language: asked.language, Limit: 3, OnePerPage: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Hits) != 3 || !strings.Contains(f.Hits[0].Text, asked.finds) || f.CrossLanguage != asked.cross || f.Signals.CrossLanguage != asked.cross {
			t.Errorf("%q: cross %v, %+v", asked.question, f.CrossLanguage, f.Hits)
		}
	}
}
