package assistant

import (
	"regexp"
	"strings"
)

// A model is told to say nothing about who of the team replies and when: the
// server alone knows, and tells the visitor itself. What it says all the same
// would be a promise that nobody gave and nobody watches. So its text is read
// for the ways in which such promises are made, in the languages of the house,
// folded as fold does it. Words that stand in the content are the company's own.

// promising are the ways. Each names who acts, or to whom it is done, and that
// a person will do it.
var promising = regexp.MustCompile(`\b(` + strings.Join([]string{
	// English: "someone will get back to you", "our team is going to call you", "you will hear from us".
	`(we|i|someone|somebody|(the|our|a|an|your)( support| service)? (team|colleagues?|agents?|person|people|specialists?|experts?|representatives?|humans?|members?|staff|advisor|manager)( of (the|our) team| from (the|our) team)?)( ll| will| shall| is going to| are going to)( soon| shortly| then| also| gladly)? (get back|reply|respond|contact|call|reach out|follow up|get in touch|be in touch|be with you|take over|join|assist you (soon|shortly))`,
	`(get|getting) back to you`, `hear (back )?from (us|the team|our team|someone|a colleague)`, `you will be (contacted|called|transferred)`, `(i ll|i will|let me|i am|i m) (connect|connecting|transfer|transferring|forward|forwarding|escalate|escalating|hand|handing) (you|this|your|it)`,
	// German
	`(wir|ich|jemand|(das|unser|unserem)( support)? ?team|(ein|eine|einer|unsere?|ihre?) (kollege|kollegin|mitarbeiter|mitarbeiterin|berater|beraterin|mensch|person|ansprechpartner))( \S+){0,2} (melden|meldet|melde|kontaktieren|kontaktiert|ruft|rufen|rufe|antwortet|antworten)( uns| mich| sich| sie| dich| ihnen| dir)`,
	`(wird|werden|werde)( sich| uns| mich)?( \S+){0,6} (melden|zuruckmelden|antworten|kontaktieren|anrufen|zuruckrufen|schreiben|kummern)`, `ich (verbinde|leite) (sie|dich|das|es|ihre|deine)`,
	// French
	`(nous|on|quelqu un|(notre|l) equipe|un(e)? (collegue|conseiller|conseillere|agent|personne))( de l equipe)? (vous|te) (repondr\S+|recontact\S+|contacter\S+|rappell?er\S+|revien\S+|ecrir\S+)`, `je (vous|te) (mets en relation|transfere|connecte)`,
	// Spanish
	`(le|les|te|os) (contactaremos|responderemos|llamaremos|escribiremos|contactara|respondera|llamara|escribira)`, `(nos|se) (pondremos|pondra|pondran) en contacto`, `(le|te) (conecto|paso|transfiero|comunico) con`,
	// Italian
	`(la|le|ti|vi) (contatteremo|risponderemo|richiameremo|ricontatteremo|contattera|rispondera|richiamera|ricontattera|scriveremo)`, `(la|ti) (metto in contatto|collego|trasferisco|passo)`,
	// Portuguese
	`(entraremos|entrara|entrarao) em contato`, `(responderemos|retornaremos|ligaremos|contactaremos|contataremos)`, `(equipe|equipa|alguem|atendente|colega) (ira|vai|respondera|retornara|ligara)( \S+)? ?(responder|contactar|contatar|ligar|retornar|entrar)?`, `vou (transferir|encaminhar|conectar)`,
	// Dutch
	`(we|wij|iemand|ons team|het team|een (collega|medewerker))( \S+){0,3} (nemen|neemt|reageren|reageert|antwoorden|antwoordt|bellen|belt|contacteren)( \S+){0,3} (contact|je|u|terug|zo snel)`, `ik (verbind|schakel) (je|u)`,
	// Polish
	`(skontaktujemy|odpowiemy|oddzwonimy|odezwiemy|skontaktuje|oddzwoni|odezwie)( sie)?`, `(przekazuje|przekieruje|polacze) (cie|pana|pania|to|rozmowe)`,
}, "|") + `)\b`)

// promised gives the words of a text that promise somebody's reply, empty if
// none do. Those that stand in the content are not the model's.
func promised(text string, content []string) string {
	folded := fold(text)
	for _, found := range promising.FindAllString(folded, -1) {
		found = strings.TrimSpace(found)
		stands := false
		for _, c := range content {
			stands = stands || strings.Contains(fold(c), found)
		}
		if !stands {
			return found
		}
	}
	return ""
}
