package language

import "testing"

func TestAMessageThatShowsItsLanguageIsTakenForIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, want string
		likely     []string
	}{
		{"How can I change the delivery address of an order that has been shipped already?", "en", []string{"de"}},
		{"Wie kann ich die Lieferadresse einer Bestellung ändern, die schon unterwegs ist?", "de", []string{"en"}},
		{"Comment puis-je changer l'adresse de livraison d'une commande déjà expédiée ?", "fr", []string{"en"}},
		{"¿Cómo puedo cambiar la dirección de entrega de un pedido que ya ha salido?", "es", []string{"en"}},
		{"Come posso cambiare l'indirizzo di consegna di un ordine già spedito?", "it", []string{"en"}},
		{"Como posso mudar o endereço de entrega de uma encomenda que já foi enviada?", "pt", []string{"en"}},
		{"Hoe kan ik het bezorgadres wijzigen van een bestelling die al onderweg is?", "nl", []string{"en"}},
		{"Jak mogę zmienić adres dostawy zamówienia, które zostało już wysłane?", "pl", []string{"en"}},
		{"Как изменить адрес доставки уже отправленного заказа?", "ru", []string{"en"}},
		{"How do I make a webhook endpoint?", "en", nil},
		{"I forgot my password", "en", nil},
		{"Where is my parcel?", "en", []string{"de"}},
		{"Wo ist mein Paket?", "de", []string{"en"}},
		{"Où est mon colis ?", "fr", []string{"en"}},
		{"¿Dónde está mi paquete?", "es", []string{"en"}},
		{"Dov'è il mio pacco?", "it", []string{"en"}},
		{"Onde está a minha encomenda?", "pt", []string{"en"}},
		{"Waar is mijn pakket?", "nl", []string{"en"}},
		{"Gdzie jest moja paczka?", "pl", []string{"en"}},
		{"如何更改已发货订单的送货地址？", "zh", []string{"en"}},
	} {
		if got := Detect(c.text, c.likely...); got != c.want {
			t.Errorf("%q is %s, want %s", c.text, got, c.want)
		}
	}
}

func TestAMessageThatShowsNothingIsInTheFirstLikelyLanguage(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "ok", "hello?", "42", "???", "foo@example.com"} {
		if got := Detect(text, "de-AT", "en"); got != "de-AT" {
			t.Errorf("%q is %s", text, got)
		}
	}
	if got := Detect("ok"); got != "" {
		t.Errorf("without likely ones: %q", got)
	}
}

func FuzzDetect(f *testing.F) {
	f.Add("hello", "en")
	f.Fuzz(func(t *testing.T, text, likely string) {
		if Detect(text, likely) == "" && likely != "" {
			t.Errorf("%q has no language", text)
		}
	})
}
