package words_test

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/relaydesk/relaydesk/handoff/words"
	"github.com/relaydesk/relaydesk/internal/artifacts/artifactstest"
	"github.com/relaydesk/relaydesk/internal/e5"
)

var embedder struct {
	once  sync.Once
	model *e5.Model
	err   error
}

func reader(t testing.TB) func(text string) []words.Finding {
	t.Helper()
	path := artifactstest.Weights(t)
	embedder.once.Do(func() { embedder.model, embedder.err = e5.Load(path) })
	if embedder.err != nil {
		t.Fatal(embedder.err)
	}
	d, err := words.New()
	if err != nil {
		t.Fatal(err)
	}
	return func(text string) []words.Finding {
		s := words.Sentences(text)
		return d.Read(s, embedder.model.Query(s...))
	}
}

func effect(found []words.Finding, kind, topic string) string {
	for _, f := range found {
		if f.Kind == kind && (topic == "" || f.Topic == topic) {
			return f.Effect
		}
	}
	return ""
}

var asks = strings.Split(strings.TrimSpace(`
agent
human!!
REPRESENTATIVE
operator
I want to talk to a person
how do I contact an agent?
I don't know how to get through to a human
why can't I talk to a real person?
I don't want to talk to a bot
can somebody from your team call me back?
no, I want a human
I want a person
je veux une personne
quero uma pessoa agora
are you a human? I want to talk to a person.
you can't help me, get me a supervisor
forward me to your team
someone from your team please
customer support please
a person please
can you escalate this to a person
Geben Sie mir einen Vorgesetzten
Póngame con su supervisor
Kunt u mij doorverbinden?
Mitarbeiter bitte
Ich möchte mit einem Menschen sprechen
ich moechte einen mitarbeiter sprechen
Können Sie mich weiterleiten?
Ich will nicht mit einem Roboter reden
je veux parler à quelqu'un
je veux parler à quelqu’un
un humain svp
Comment puis-je joindre un conseiller ?
Je ne veux pas parler à un robot
quiero hablar con una persona
agente por favor
no quiero un bot, quiero un humano
¿Me puede llamar alguien?
vorrei parlare con un operatore
operatore
mi passi qualcuno
quero falar com um atendente
me passa pra um atendente
atendente
ik wil een medewerker spreken
mens graag
kan iemand mij terugbellen?
kan ik doorgeschakeld worden?
chcę rozmawiać z człowiekiem
konsultant proszę
czy mogę porozmawiać z kimś z obsługi?`), "\n")

var doesNotAsk = strings.Split(strings.TrimSpace(`
I don't need a person
are you a human?
are you a real person or a bot?
am I talking to a human?
wow, you sound like a real human
can you act like a real person
I prefer talking to you
please forward me the invoice
Come posso aggiungere una persona al team?
what is your refund policy?
how do I add an agent to my team?
please don't transfer me
no human needed
thanks, the agent was very friendly
how many people can use the account?
puis-je venir avec une autre personne ?
¿Puedo ir con otra persona?
posso venire con un'altra persona?
where is my order?
hello
thank you
Bist du ein Mensch?
Ich brauche keinen Mitarbeiter
Ich möchte mit niemandem sprechen
Wie lösche ich einen Mitarbeiter?
Es-tu un humain ?
Je n'ai pas besoin de parler à un conseiller
Comment ajouter un agent à mon équipe ?
¿Eres una persona?
no quiero hablar con un agente
¿Cuánto cuesta?
Sei un essere umano?
Non voglio parlare con un operatore
Você é humano?
não quero falar com um atendente
Ben je een mens?
Ik hoef geen medewerker te spreken
Jesteś człowiekiem?
Nie potrzebuję konsultanta
Jak dodać pracownika do zespołu?`), "\n")

func TestAskingForAPersonEscalatesInEightLanguages(t *testing.T) {
	t.Parallel()
	read := reader(t)
	for _, text := range asks {
		if got := effect(read(text), words.VisitorAsked, ""); got != words.Escalate {
			t.Errorf("%q: %q, %+v", text, got, read(text))
		}
	}
}

func TestWhatLooksLikeAskingDoesNotEscalate(t *testing.T) {
	t.Parallel()
	read := reader(t)
	for _, text := range doesNotAsk {
		if got := effect(read(text), words.VisitorAsked, ""); got == words.Escalate {
			t.Errorf("%q escalates: %+v", text, read(text))
		}
	}
}

func TestAWishForSalesPeopleIsAWishForAPerson(t *testing.T) {
	t.Parallel()
	read := reader(t)
	for _, text := range []string{"How many sales representatives can I add?", "do your sales people work on Sundays?", "our sales staff uses your app", "call Tom", "text someone that I'm late"} {
		if got := effect(read(text), words.VisitorAsked, ""); got == words.Escalate {
			t.Errorf("%q escalates", text)
		}
	}
	for _, text := range []string{
		"I want to talk to a sales representative", "can I talk to a sales representative?", "connect me to the sales team", "Ich möchte mit einem Mitarbeiter vom Vertrieb sprechen", "quiero hablar con una persona de ventas", "je veux parler à un conseiller commercial",
		"I want a person, not sales", "not sales, get me a human from support",
	} {
		if got := effect(read(text), words.VisitorAsked, ""); got != words.Escalate {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestTheLexiconAloneFindsAndRefusesTheSame(t *testing.T) {
	t.Parallel()
	for _, text := range asks {
		if !words.MeansHuman(text) {
			t.Errorf("%q is missed", text)
		}
	}
	for _, text := range doesNotAsk {
		if words.MeansHuman(text) {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestARequestBuriedInALongMessageCounts(t *testing.T) {
	t.Parallel()
	read := reader(t)
	story := strings.Repeat("I ordered the blue lamp on Monday and it came with the wrong plug. ", 20)
	for _, ask := range []string{"I want to talk to a person.", "Could you please put me through to somebody?", "Ich möchte mit einem Menschen sprechen."} {
		if got := effect(read(story+ask+" "+story), words.VisitorAsked, ""); got != words.Escalate {
			t.Errorf("%q in a long story: %q", ask, got)
		}
		if !words.MeansHuman(story + ask + " " + story) {
			t.Errorf("%q in a long story is missed by the lexicon", ask)
		}
	}
}

func TestWithoutAnEmbeddingAPersonIsStillFound(t *testing.T) {
	t.Parallel()
	d, err := words.New()
	if err != nil {
		t.Fatal(err)
	}
	bad := make([]float32, e5.Dim)
	bad[3] = float32(math.NaN())
	for _, vectors := range [][][]float32{nil, {nil}, {{1, 2}}, {bad}, {make([]float32, e5.Dim)}} {
		if got := effect(d.Read([]string{"get me a human"}, vectors), words.VisitorAsked, ""); got != words.Escalate {
			t.Errorf("%v: %q", vectors, got)
		}
	}
}

func TestSensitiveTopicsCarryTheirEffect(t *testing.T) {
	t.Parallel()
	read := reader(t)
	for _, c := range []struct{ text, topic, effect string }{
		{"I want to kill myself", "danger", words.Escalate},
		{"Ich will mich umbringen", "danger", words.Escalate},
		{"Sento odore di gas in casa", "danger", words.Escalate},
		{"my card was stolen", "fraud_lost_stolen", words.Escalate},
		{"Me robaron la tarjeta", "fraud_lost_stolen", words.Escalate},
		{"I was charged twice", "billing_dispute", words.Escalate},
		{"I'm locked out of my account", "account_access", words.Escalate},
		{"Je n'arrive plus à me connecter à mon compte", "account_access", words.Escalate},
		{"I want a refund", "refund", words.Offer},
		{"how do I get a refund?", "refund", words.Tag},
		{"Ich möchte mein Konto löschen", "account_closure", words.Offer},
		{"Come elimino il mio account?", "account_closure", words.Tag},
		{"Quero fazer uma reclamação", "complaint", words.Offer},
		{"U hoort van mijn advocaat", "legal_privacy", words.Offer},
	} {
		found := read(c.text)
		if got := effect(found, words.SensitiveTopic, c.topic); got != c.effect {
			t.Errorf("%q: %+v, want %s %s", c.text, found, c.topic, c.effect)
		}
	}
}

func TestAnOfferIsAcceptedAndRefusedInEightLanguages(t *testing.T) {
	t.Parallel()
	const yes, no, neither = "yes", "no", "neither"
	for text, want := range map[string]string{
		"yes": yes, "Yes please": yes, "yes!!": yes, "sure, go ahead": yes, "ok": yes, "please do": yes, "yes but how long does it take?": yes, "that would be great": yes, "a human please": yes, "no problem, go ahead": neither,
		"ja bitte": yes, "Ja, gerne": yes, "klar": yes, "oui": yes, "oui s'il vous plaît": yes, "d'accord": yes, "sí": yes, "si por favor": yes, "claro": yes,
		"sì grazie": yes, "va bene": yes, "sim": yes, "sim, por favor": yes, "pode ser": yes, "ja graag": yes, "graag": yes, "tak": yes, "tak, poproszę": yes,
		"no": no, "no thanks": no, "not now": no, "I don't need that": no, "nein danke": no, "nein": no, "non merci": no, "no, gracias": no, "no grazie": no, "não, obrigado": no, "nee dank je": no, "nie, dziękuję": no,
		"no, I want a human": yes, "how much is shipping?": neither, "ok thanks, that helped": neither, "what is your refund policy?": neither, "wie lange dauert das?": neither, "please tell me the price": neither, "": neither,
	} {
		got := neither
		switch a, d := words.Affirms(text), words.Declines(text); {
		case a && d:
			got = "both"
		case a:
			got = yes
		case d:
			got = no
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestTheWeightsAreThoseOfTheChecksum(t *testing.T) {
	t.Parallel()
	weights, err := os.ReadFile("weights.bin")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("weights.bin.sha256")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(weights)
	if got := hex.EncodeToString(sum[:]); got != strings.TrimSpace(string(want)) {
		t.Errorf("weights.bin is %s, weights.bin.sha256 says %s", got, want)
	}
}

func TestDamagedWeightsAreRefused(t *testing.T) {
	t.Parallel()
	weights, err := os.ReadFile("weights.bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, weights[:10], weights[:len(weights)-1], append([]byte("XXXX"), weights[4:]...)} {
		if _, err := words.Open(bad); err == nil {
			t.Errorf("%d bytes were accepted", len(bad))
		}
	}
}

func FuzzReadNeverPanics(f *testing.F) {
	d, err := words.New()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range append(asks, "\xff\xfe", "a.b!c?\n\n…", strings.Repeat("é", 3000), "n't'n't", "👍") {
		f.Add(s)
	}
	vector := make([]float32, e5.Dim)
	vector[0] = 1
	f.Fuzz(func(_ *testing.T, text string) {
		s := words.Sentences(text)
		d.Read(s, nil)
		d.Read(append(s, text), [][]float32{vector})
		words.Affirms(text)
		words.Declines(text)
		words.MeansHuman(text)
	})
}

func BenchmarkReadWithoutEmbedding(b *testing.B) {
	d, err := words.New()
	if err != nil {
		b.Fatal(err)
	}
	vector := make([]float32, e5.Dim)
	vector[0] = 1
	s := []string{"I ordered the blue lamp on Monday and it came with the wrong plug, can I talk to somebody?"}
	b.ReportAllocs()
	for b.Loop() {
		d.Read(s, [][]float32{vector})
	}
}

func FuzzSentencesLoseNoWord(f *testing.F) {
	for _, s := range append(asks, "\xff\xfe", "a.b!c?\n\n…", "3.50 at example.com. Yes!No", strings.Repeat("a! ", 200), "。！", "…a") {
		f.Add(s)
	}
	wordsOf := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				return r
			}
			return -1
		}, s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pieces := words.Sentences(text)
		valid := strings.ToValidUTF8(text, " ")
		if n := len(pieces); n > 2 && pieces[n-1] == strings.TrimSpace(valid) {
			pieces = pieces[:n-1] // a short message comes whole, too
		}
		if got, want := wordsOf(strings.Join(pieces, " ")), wordsOf(valid); got != want {
			t.Fatalf("%q becomes %q", text, pieces)
		}
		for _, p := range pieces {
			if wordsOf(p) == "" || p != strings.TrimSpace(p) {
				t.Fatalf("%q holds %q", pieces, p)
			}
		}
	})
}
