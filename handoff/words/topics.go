package words

import "strings"

// known are words that name a topic so plainly that no score is needed, folded;
// they begin a word. The topics with the least examples in public data, and
// the most to lose.
var known = []struct {
	topic string
	words []string
}{
	{"danger", []string{
		"kill myself", "killing myself", "suicid", "end my life", "hurt myself", "harm myself", "dont want to live", "want to die", "caught fire", "on fire and", "smell gas", "cant breathe", "stopped breathing", "electric shock", "bomb in", "threatening to kill",
		"umbringen", "selbstmord", "nicht mehr leben", "gas in der wohnung", "rieche gas", "atmet nicht", "stromschlag",
		"me tuer", "mettre fin a mes jours", "respire plus", "a pris feu", "sent le gaz", "decharge electrique",
		"matarme", "quitarme la vida", "no quiero vivir", "huele a gas", "no respira", "descarga electrica",
		"uccidermi", "ammazzarmi", "togliermi la vita", "odore di gas", "non respira", "preso fuoco",
		"me matar", "tirar minha vida", "cheiro de gas", "nao respira", "pegou fogo", "choque eletrico",
		"zelfmoord", "wil niet meer leven", "ruik gas", "ademt niet", "staat in brand",
		"samoboj", "zabic sie", "sie zabic", "nie chce juz zyc", "czuje gaz", "nie oddycha",
	}},
	{"legal_privacy", []string{
		"my lawyer", "my attorney", "legal action", "sue you", "take you to court", "gdpr request", "right to erasure", "delete all my personal data", "data protection officer",
		"meinem anwalt", "mein anwalt", "rechtliche schritte", "verklage", "personenbezogenen daten", "datenschutzbehorde",
		"mon avocat", "poursuivre en justice", "donnees personnelles", "action en justice",
		"mi abogado", "acciones legales", "datos personales", "demandar",
		"mio avvocato", "vie legali", "dati personali",
		"meu advogado", "medidas legais", "dados pessoais",
		"mijn advocaat", "juridische stappen", "persoonsgegevens",
		"moj prawnik", "kroki prawne", "dane osobowe", "danych osobowych",
	}},
}

func topicWords(folded string) (topic, phrase string) {
	flat := flatten(folded)
	for _, k := range known {
		for _, w := range k.words {
			if i := strings.Index(flat, w); i > 0 && flat[i-1] == ' ' {
				return k.topic, w
			}
		}
	}
	if phrase := dispute(flat); phrase != "" {
		return "billing_dispute", phrase
	}
	return "", ""
}

// flatten leaves words with one space before and after each.
func flatten(folded string) string {
	var b strings.Builder
	b.Grow(len(folded) + 2)
	b.WriteByte(' ')
	for _, t := range tokens(folded) {
		b.WriteString(t.word)
		b.WriteByte(' ')
	}
	return b.String()
}

var questionStarts = []string{
	"how", "what", "when", "where", "which", "who", "do", "does", "can", "could", "is", "are", "will", "would", "in what",
	"wie", "was", "wann", "wo", "welche", "wer", "kann", "konnen", "ist", "gibt",
	"comment", "quel", "quelle", "quels", "quelles", "quand", "ou", "qui", "est ce", "puis", "y a",
	"como", "cual", "cuando", "donde", "que", "quien", "puedo", "cuanto", "hay",
	"come", "quale", "quali", "quando", "dove", "chi", "posso", "quanto",
	"qual", "onde", "quem", "quantos",
	"hoe", "wat", "wanneer", "waar", "wie", "kan", "mag",
	"jak", "jaki", "jaka", "jakie", "kiedy", "gdzie", "kto", "czy", "ile",
}

var happened = []string{
	"i was", "i have been", "ive been", "you charged", "was charged", "been charged", "i got", "i didnt", "i did not", "twice", "double charged", "stolen", "stole", "lost my", "hacked", "without my", "my card was",
	"wurde", "zweimal", "doppelt", "gestohlen", "verloren", "abgebucht", "ai ete", "m a vole", "perdu", "deux fois", "me cobraron", "robaron", "perdi", "dos veces", "addebitato", "rubato", "perso", "due volte",
	"fui cobrado", "cobraram", "roubaram", "duas vezes", "afgeschreven", "twee keer", "tweemaal", "dubbel", "gestolen", "kwijt", "pobrano", "dwa razy", "dwukrotnie", "podwojnie", "skradziono", "ukradl", "zgubil",
}

// asksInformation tells whether a sentence asks a question in general, rather
// than telling what has happened or what is wished.
func asksInformation(folded string) bool {
	flat := flatten(folded)
	for _, h := range happened {
		if i := strings.Index(flat, h); i > 0 && flat[i-1] == ' ' {
			return false
		}
	}
	for _, q := range questionStarts {
		if strings.HasPrefix(flat[1:], q) && strings.HasPrefix(flat[1+len(q):], " ") {
			return true
		}
	}
	return strings.Contains(folded, "?") && !strings.Contains(flat, " want ")
}

var failures = []string{
	"cant", "cannot", "can not", "could not", "couldnt", "locked", "blocked", "suspended", "disabled", "doesnt work", "not working", "wont", "no access", "lost access", "wrong password", "never arrives", "not receive", "dont get", "deactivated", "frozen", "unable", "on hold", "denied", "not accepted", "isnt accepted", "hacked", "error", "fail",
	"nicht", "gesperrt", "ausgesperrt", "deaktiviert", "kein", "keine", "keinen",
	"n arrive", "bloque", "plus acces", "ne recois", "desactive", "ne fonctionne", "ne marche",
	"no puedo", "bloquead", "no recibo", "no me llega", "desactivad", "perdido el acceso", "no funciona",
	"non riesco", "bloccat", "non ricevo", "non arriva", "disattivat", "perso l accesso", "non funziona",
	"nao consigo", "bloquead", "nao recebo", "nao chega", "desativad", "perdi o acesso", "nao funciona",
	"niet", "geblokkeerd", "geen toegang", "krijg geen", "uitgeschakeld",
	"nie moge", "zablokowan", "nie dostaje", "nie przychodzi", "wylaczon", "stracil", "nie dziala",
}

// failed tells whether a sentence reports that something did not work.
func failed(folded string) bool {
	flat := flatten(folded)
	for _, w := range failures {
		if i := strings.Index(flat, w); i > 0 && flat[i-1] == ' ' {
			return true
		}
	}
	return false
}
