package words_test

import (
	"testing"

	"github.com/relaydesk/relaydesk/handoff/words"
)

func TestMoneyTakenTwiceIsADisputeWithoutAnyScore(t *testing.T) {
	t.Parallel()
	d, err := words.New()
	if err != nil {
		t.Fatal(err)
	}
	dispute := func(text string) string {
		// Without a vector nothing but words speaks.
		return effect(d.Read([]string{text}, nil), words.SensitiveTopic, "billing_dispute")
	}
	for _, text := range []string{
		"I paid twice", "I paid for my order twice!", "You charged my card twice", "Why was I charged twice?", "I've been double charged", "there is a double charge on my card",
		"I was billed twice for March", "You billed me again", "I was billed again for the same month", "I got charged two times",
		"Ich habe zweimal bezahlt", "Mir wurde der Betrag doppelt abgebucht", "Warum wurde mir zweimal abgebucht?", "Sie haben erneut abgebucht", "Die Rechnung wurde mir doppelt berechnet",
		"J'ai payé deux fois", "J'ai payé ma commande deux fois", "On m'a débité deux fois", "J'ai été facturée en double", "Il y a un double prélèvement",
		"Pagué dos veces", "Me han cobrado dos veces", "Me cobraron el pedido dos veces", "Tengo un cargo duplicado",
		"Ho pagato due volte", "Mi avete addebitato l'importo due volte", "C'è un doppio addebito",
		"Paguei duas vezes", "Fui cobrada duas vezes", "Cobraram-me em dobro", "Há uma cobrança duplicada",
		"Ik heb twee keer betaald", "Het bedrag is dubbel afgeschreven", "Er is opnieuw afgeschreven",
		"Zapłaciłem dwa razy", "Zapłaciłam za zamówienie dwukrotnie", "Pobrano pieniądze dwa razy", "Obciążono mnie podwójnie",
	} {
		if got := dispute(text); got != words.Escalate {
			t.Errorf("%q: %q", text, got)
		}
	}
	for _, text := range []string{
		"Is the salary paid twice a month?", "We are billed twice per year, is that right?", "Die Gebühr wird zweimal im Jahr berechnet", "La cotisation est facturée deux fois par an",
		"Se cobra dos veces al mes", "Wordt er twee keer per jaar gefactureerd?", "I tried twice to log in", "Do I get a double room if I have paid for a single one last year at the desk?",
		"How much is charged for delivery?", "Can I pay by card?", "Wo finde ich meine Rechnung?",
	} {
		if got := dispute(text); got != "" {
			t.Errorf("%q: %q", text, got)
		}
	}
}
