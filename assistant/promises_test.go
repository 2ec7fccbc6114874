package assistant

import "testing"

func TestAModelsPromiseOfAPersonIsSeenInEachLanguage(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"Someone will get back to you within two hours.", "Our support team will contact you shortly.", "I'll connect you with a colleague.",
		"You will hear from us tomorrow.", "We'll reply by Monday.",
		"Wir melden uns morgen bei Ihnen.", "Ein Kollege wird sich in zwei Stunden bei dir melden.", "Ich verbinde Sie jetzt.",
		"Notre équipe vous répondra demain.", "Nous vous recontacterons dans l'heure.", "Je vous mets en relation avec un conseiller.",
		"Le responderemos mañana.", "Nos pondremos en contacto con usted.",
		"La ricontatteremo domani.", "Ti metto in contatto con un collega.",
		"Entraremos em contato em breve.", "Nossa equipe vai responder amanhã.",
		"We nemen morgen contact met je op.", "Een collega neemt snel contact met u op.",
		"Skontaktujemy się jutro.", "Odpowiemy.",
	} {
		if promised(text, nil) == "" {
			t.Errorf("not seen: %s", text)
		}
	}
	for _, text := range []string{
		"Parcels to Norway arrive within nine working days.", "You can contact our team by e-mail.", "Call the shop from Monday to Friday.",
		"After pairing, the app will connect to your lamp.", "We ship to Norway.", "We will refund the price within 14 days.",
		"Die Lampe meldet sich nach fünf Sekunden mit einem Blinken.", "Sie können uns unter dieser Nummer anrufen.",
		"Vous pouvez contacter l'équipe par e-mail.", "Puede responder a este correo.", "Può rispondere a questa e-mail.",
		"Você pode responder a este e-mail.", "Je kunt contact opnemen met de winkel.", "Można odpowiedzieć na ten e-mail.",
	} {
		if found := promised(text, nil); found != "" {
			t.Errorf("%q is taken for a promise: %s", found, text)
		}
	}
	const own = "We will reply to e-mails within two days."
	if found := promised("We will reply to e-mails within two days!", []string{own}); found != "" {
		t.Errorf("%q is the company's own", found)
	}
}

func TestSmallTalkIsNothingElse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]courtesy{
		"Hello!": greeting, "hello??": greeting, "Grüß Gott": greeting, "Dzień dobry": greeting, "Hi, thanks": thanks, "Ok danke!": thanks, "Merci beaucoup.": thanks,
		"ok": closing, "👍🏽": closing, "Tschüss": closing, "Great, thanks!": thanks,
		"": none, "???": none, "Hello, where is my parcel?": none, "ok but when": none, "thanks for nothing": none, "no": none, "yes": none, "5": none,
	} {
		if got, _ := courtesyOf(text, "en"); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
	for _, c := range []courtesy{greeting, thanks, closing} {
		for _, lang := range spoken {
			if replies[c][lang] == "" || len(said[c][lang]) == 0 {
				t.Errorf("%d has no %s", c, lang)
			}
		}
	}
}
