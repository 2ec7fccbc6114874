package words

import (
	"slices"
	"strings"
	"unicode"

	"github.com/relaydesk/relaydesk/handoff/words/internal/linear"
)

// A kind is what a word does in a sentence about people. A word can be several.
type kind uint32

const (
	person  kind = 1 << iota // agent, Mitarbeiter: somebody of the team
	someone                  // jemand, alguien: a person only if one talks to them
	genuine                  // real, echt
	talk                     // speak, contact, connect
	pass                     // transfer me, put me through: needs no object
	want                     // I want, give me, please
	never                    // not, kein
	able                     // can, know, why: "can't reach anybody" refuses nothing
	robot                    // bot, machine
	manage                   // add, invite, delete: people are what is managed
	sales                    // their sales people have a way of their own
	but                      // ends what a negation reaches
	filler                   // please, now, the
	you                      // are you, bist du
	me
	nobody // talking to them is refusing to talk
)

// lexicon lists the words, folded; a star stands for any ending.
var lexicon = []struct {
	kind  kind
	words string
}{
	{person, `agent agents human humans operator operators representative representatives rep reps supervisor manager staff employee advisor adviser consultant
		mensch menschen mitarbeiter* berater* kundenberater* ansprechpartner* vorgesetzte* kundendienst kundenservice kollege* kollegin sachbearbeiter*
		humain humaine humains conseiller conseillere conseillers operateur operatrice responsable employe
		humano humana humanos agente agentes operador operadora asesor asesora representante representantes encargado supervisora
		umano umana operatore operatori operatrice consulente addetto responsabile
		atendente atendentes gerente
		mens medewerker medewerkers medewerkster leidinggevende adviseur collega
		czlowiek* konsultant* pracownik* doradc* kierownik* operatorem`},
	{someone, `person persons someone somebody anyone anybody people colleague team boss jemand* person personen team chef quelqu personne equipe alguien persona personas equipo qualcuno persona persone collega
		alguem pessoa pessoas equipe iemand persoon personen mensen ktos kims kogos osoba osobe osoby zywym zywa support soporte assistenza suporte apoio helpdesk klantenservice obsluga obslugi obslugą infolinia service servizio atencion atendimento`},
	{genuine, `real live actual living echt echte echten echter echtes richtigen vrai vraie reel reelle verdad vero vera reale verdade prawdziw* zyw* menschlich* humaine humana umana humano menselijk*`},
	{talk, `talk talking speak speaking chat chatting contact contacting reach discuss connect connected connecting escalate
		sprechen reden chatten telefonieren erreichen kontaktieren verbinden
		parler discuter echanger joindre contacter relation
		hablar chatear contactar comunicarme comunicar comuniqueme atendido atienda pasame paseme ponme pongame
		parlare chattare contattare comunicare
		falar conversar contactar contatar contato
		praten spreken spreek chatten bereiken
		rozmawiac porozmawiac pogadac skontaktowac rozmowy rozmowe kontakt polaczyc polacz`},
	{pass, `transfer forward escalate weiterleiten durchstellen weiterverbinden transferez transferer transfereme transfiereme transfiera transfiereme transfiriame pasame paseme ponme
		trasferiscimi trasferitemi trasferisca passami transfira transfere passa doorverbinden doorverbind przelacz przelaczyc`},
	{want, `want wanna need give get prefer request let like may please demand
		will mochte moechte brauche brauch gib geben hol will verlange bitte
		veux voudrais souhaite besoin prefere passez donnez demande aimerais svp
		quiero necesito quisiera prefiero deme dame solicito requiero favor
		voglio vorrei bisogno serve preferisco favore dammi mi
		quero preciso gostaria prefiro queria chama favor
		wil graag heb nodig geef liever alstublieft
		chce chcialbym chcialabym potrzebuje prosze wole daj`},
	{never, `not no dont doesnt didnt never without nobody wont isnt
		nicht kein keine keinen keinem keiner nie niemand niemanden niemandem ohne
		ne pas aucun aucune sans jamais
		nunca ningun ninguna nadie sin
		non nessun nessuno nessuna senza mai
		nao nenhum nenhuma ninguem nem sem
		niet geen niemand nooit zonder hoef
		nie bez nikt nikim`},
	{able, `can could cant cannot couldnt know why able unable able how understand help helping helpful
		kann kannst konnte koennte weiss warum wieso hilft hilfst verstehe verstehst
		peux peut puis sais pourquoi aide comprends arrive
		puedo puede se ayuda entiendes consigo
		posso riesco puo so perche aiuta capisci
		posso pode sei ajuda consigo entende
		kan kunt weet waarom helpt begrijp snap
		moge moze wiem dlaczego pomaga rozumiesz`},
	{robot, `bot bots robot robots chatbot machine computer roboter maschine robo robos macchina maquina maszyna maszyna botem robotem robota bota automat`},
	{manage, `add invite remove delete assign create hire become train many role roles permission permissions thanks friendly was install open source included plan price
		hinzufugen hinzufuege fuge lade einladen hinzufugen entferne entfernen loschen losche loeschen viele rolle freundlich inbegriffen enthalten
		ajouter inviter supprimer combien aimable inclus
		anado agregar anadir invitar eliminar quitar invito elimino cuantos cuantas amable incluye fue
		aggiungo aggiungere invito invitare elimino eliminare rimuovere quanti quante gentile gentilissimo inclusi stato
		adiciono adicionar convido convidar removo remover quantos quantas simpatico inclui foi
		voeg toevoegen uitnodigen verwijderen verwijder hoeveel vriendelijk was
		dodac zaprosic usunac ilu ile mily byl`},
	{sales, `sales vertrieb verkauf commercial commerciale ventas vendite vendas verkoop sprzedazy`},
	{but, `but instead just rather sondern aber lieber mais plutot sino pero ma bensi mas sim maar ale lecz tylko`},
	{filler, `please pls plz now hey hi hello ok the a an to for me my with from your some any and i it this bitte ein eine einen einem einer sofort jetzt mit von dem der den
		svp vous plait s il un une le la de d du maintenant por favor ahora el los con per favore adesso il lo con uno agora o os um uma com alstublieft graag nu een met prosze teraz z do damn fucking goddamn stop`},
	{you, `you du sie vous tu usted eres sei voce tu jij je u ty jestes`},
	{nobody, `nobody noone niemand niemanden niemandem nadie nessuno ninguem nikim`},
	{me, `me mich mir moi me mi mij mnie`},
}

var (
	exact = map[string]kind{}
	stems = map[string]kind{}
)

func init() {
	for _, l := range lexicon {
		for _, w := range strings.Fields(l.words) {
			if stem, ok := strings.CutSuffix(w, "*"); ok {
				stems[linear.Fold(stem)] |= l.kind
			} else {
				exact[linear.Fold(w)] |= l.kind
			}
		}
	}
}

func kindOf(word string) kind {
	k := exact[word]
	for n := 3; n <= len(word) && n <= 16; n++ {
		k |= stems[word[:n]]
	}
	return k
}

// A token is a word with its clause: commas and "but" start a new one.
type token struct {
	word   string
	kind   kind
	clause int
}

func tokens(folded string) []token {
	out := make([]token, 0, len(folded)/5+1)
	clause, start := 0, -1
	flush := func(end int) {
		if start < 0 {
			return
		}
		w := folded[start:end]
		start = -1
		k := kindOf(w)
		if k&but != 0 {
			clause++
		}
		out = append(out, token{w, k, clause})
	}
	for i, r := range folded {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			if start < 0 {
				start = i
			}
			continue
		}
		if r == '\'' && start >= 0 && strings.HasSuffix(folded[start:i], "n") && strings.HasPrefix(folded[i:], "'t") {
			continue // don't stays one word
		}
		flush(i)
		if strings.ContainsRune(",;:.!?()\n", r) || r == '—' || r == '–' {
			clause++
		}
	}
	flush(len(folded))
	for i := range out {
		if strings.Contains(out[i].word, "'") {
			out[i].word = strings.ReplaceAll(out[i].word, "'", "")
			out[i].kind = kindOf(out[i].word)
		}
		// "I'd like a person" wishes, "you sound like a person" does not.
		if out[i].word == "like" && (i == 0 || !slices.Contains([]string{"would", "d", "id", "wed", "please"}, out[i-1].word)) {
			out[i].kind &^= want
		}
	}
	return out
}

// A verdict is what the lexicon makes of a sentence.
type verdict struct {
	asks   bool
	toward bool // towards others, by what is no plain wish for one of the team: an offer is enough
	veto   bool // refuses, manages people, or asks what we are
	words  string
}

// phrases mean a person wherever they stand; asking what we are, the others.
var (
	phrases = []string{
		"human please", "call me back", "phone me", "have someone call", "someone call me", "somebody call me", "talk to human", "human support", "human help", "human agent", "live agent", "real person", "speak to agent", "take over", "forward me to", "transfer me to", "put me through", "hand me over", "is anyone there", "is anybody there", "customer service please", "who can i talk to", "who can i speak",
		"verbinden sie mich", "verbinde mich", "rufen sie mich", "ruckruf", "zuruckrufen", "zurueckrufen", "mich jemand anrufen", "mit wem kann ich", "ist da jemand", "leiten sie mich", "mich weiterleiten", "weitergeleitet werden", "durchgestellt werden", "kann ein mensch",
		"passez moi", "rappelez moi", "m appeler", "me rappeler", "a qui puis je parler", "mettez moi en", "transferez moi", "me transferer", "vraie personne", "aide humaine", "assistance humaine", "service client s il",
		"me puede llamar", "me llame", "llamenme", "con quien puedo hablar", "hay alguien", "ayuda humana", "atencion humana", "asistencia humana", "persona real", "persona de verdad", "me puede transferir", "me atienda",
		"richiamatemi", "richiamarmi", "puo chiamarmi", "con chi posso parlare", "c e qualcuno", "persona reale", "persona vera", "assistenza umana", "aiuto umano", "mi passi", "passami un", "passami qualcuno",
		"me liga", "me ligar", "me liguem", "com quem posso falar", "tem alguem ai", "pessoa real", "pessoa de verdade", "atendimento humano", "ajuda humana", "me passa", "me transfere", "me transferir", "passe me", "chama alguem", "me chama",
		"bel me terug", "mij bellen", "mij terugbellen", "me bellen", "mij doorverbinden", "met wie kan ik praten", "is daar iemand", "verbind me door", "zet me door", "schakel me door", "echt persoon", "echte persoon", "echt mens", "menselijke hulp", "teruggebeld", "me doorverbinden", "doorgeschakeld worden", "doorverbonden worden", "iemand bellen",
		"prosze oddzwonic", "do mnie zadzwonic", "moze oddzwonic", "z kim moge", "jest tam ktos", "zywa osoba", "zywej osoby", "zywym czlowiekiem", "przelacz mnie", "polacz mnie", "pomoc czlowieka", "pomocy czlowieka", "mnie polaczyc",
	}
	whoAreYou = []string{
		"are you", "are u", "r u", "you are a", "sound like", "like a real", "like real", "am i talking", "am i speaking", "am i chatting", "is this a", "is this an", "is this human", "are there humans working", "if you are", "you be a", "talking to me",
		"bist du", "sind sie ein", "rede ich", "spreche ich", "chatte ich",
		"es tu", "etes vous", "tu es", "suis je en train", "je parle a", "je parle avec",
		"eres un", "eres una", "eres humano", "es usted", "estoy hablando", "hablo con",
		"sei un", "sei una", "e un umano", "sto parlando", "parlo con",
		"voce e", "es uma", "es um", "estou falando", "falo com",
		"ben je", "bent u", "praat ik", "spreek ik",
		"jestes", "rozmawiam z", "mowie do", "czy to",
	}
)

// consult reads one sentence. It refuses nothing that it does not understand:
// without a hit and without a veto, the classifiers decide.
func consult(folded string) verdict {
	toks := tokens(folded)
	if len(toks) == 0 {
		return verdict{}
	}
	var plain strings.Builder
	plain.Grow(len(folded) + 2)
	plain.WriteByte(' ')
	for i := range toks {
		plain.WriteString(toks[i].word)
		plain.WriteByte(' ')
	}
	flat := plain.String()

	var v verdict
	asksWhat := has(flat, whoAreYou) != ""
	hit := func(from, to int) {
		if from > to {
			from, to = to, from
		}
		v.asks = true
		if v.words == "" {
			parts := make([]string, 0, to-from+1)
			for _, t := range toks[from : to+1] {
				parts = append(parts, t.word)
			}
			v.words = strings.Join(parts, " ")
		}
	}
	// What each clause holds.
	var refused, managed, selling bool
	for i := range toks {
		t := toks[i]
		if t.kind&sales != 0 {
			selling = true
			for j := max(0, i-4); j < i; j++ { // "a person, not sales"
				selling = selling && (toks[j].clause != t.clause || toks[j].kind&never == 0)
			}
		}
		if t.kind&(person|someone|nobody) == 0 {
			continue
		}
		if t.word == "service" && !beside(toks, i, "customer", "client", "clients", "clienti", "care") {
			continue // a telephone service is nobody
		}
		neg, can, mng, wants, talks, reals, first := false, false, false, -1, -1, false, i
		for j := max(0, i-8); j < min(len(toks), i+6); j++ {
			o := toks[j]
			if o.clause != t.clause || j == i {
				continue
			}
			before := j < i
			if o.kind&never != 0 && (before || i-j >= -2) {
				neg = true
			}
			if o.kind&able != 0 {
				can = true
			}
			if o.kind&manage != 0 {
				mng = true
			}
			if o.kind&want != 0 && before && i-j <= 5 {
				wants, first = j, min(first, j)
			}
			if o.kind&talk != 0 && i-j <= 6 && j-i <= 4 {
				talks = j
			}
			if o.kind&genuine != 0 && (i-j == 1 || i-j == 2 || j-i == 1 || j-i == 2) {
				reals = true
			}
		}
		switch {
		case t.kind&nobody != 0:
			refused = refused || talks >= 0 && !can
		case neg && !can:
			refused = true
		case t.kind&person == 0 && talks < 0 && beside(toks, i, "other", "another", "second", "else", "andere", "anderen", "anderer", "zweite", "zweiten", "autre", "autres", "otra", "otras", "altra", "altre", "outra", "outras", "anders", "tweede", "inna", "innej", "inne", "drugiej"):
			managed = true // "may I come with another person?"
		case mng && talks < 0:
			managed = true
		case asksWhat && wants < 0:
		case talks >= 0:
			hit(talks, i)
		case t.kind&person != 0 && wants >= 0 && i-wants <= 4, reals && wants >= 0, wants >= 0 && wantedAlone(toks, i):
			hit(first, i)
		}
	}
	// "I don't want to talk to a bot."
	for i := range toks {
		if toks[i].kind&robot == 0 || asksWhat {
			continue
		}
		neg, verb := false, false
		for j := max(0, i-7); j < i; j++ {
			if toks[j].clause == toks[i].clause {
				neg = neg || toks[j].kind&never != 0
				verb = verb || toks[j].kind&(talk|want) != 0
			}
		}
		if neg && verb {
			hit(max(0, i-3), i)
		}
	}
	negated := false
	for i := range toks {
		negated = negated || toks[i].kind&never != 0 && toks[i].clause == toks[0].clause
	}
	if p := has(flat, phrases); p != "" && !v.asks && !asksWhat && !refused && !negated && !managed {
		v.asks, v.words = true, p
	}
	if !v.asks && !asksWhat && alone(toks) {
		hit(0, len(toks)-1)
	}
	if negated && !v.asks {
		for i := range toks {
			if toks[i].kind&pass != 0 {
				refused = true
			}
		}
	}
	v.toward = !v.asks && (selling || dials(toks) || withYou(toks))
	v.veto = !v.asks && (refused || managed || asksWhat)
	return v
}

// wantedAlone tells whether the word for somebody ends its clause and nothing
// but an article stands between it and the wish: "I want a person".
func wantedAlone(toks []token, i int) bool {
	switch toks[i].word {
	case "person", "persona", "personne", "pessoa", "persoon", "osoby", "osobe", "jemanden", "someone", "somebody", "alguien", "alguem", "qualcuno", "iemand", "kogos":
	default:
		return false
	}
	for j := i + 1; j < len(toks) && toks[j].clause == toks[i].clause; j++ {
		if toks[j].kind&(filler|want) == 0 {
			return false
		}
	}
	for j := i - 1; j >= 0 && toks[j].clause == toks[i].clause; j-- {
		if toks[j].kind&want != 0 {
			return true
		}
		if toks[j].kind&(filler|genuine) == 0 {
			return false
		}
	}
	return false
}

func beside(toks []token, i int, words ...string) bool {
	return i > 0 && slices.Contains(words, toks[i-1].word) || i+1 < len(toks) && slices.Contains(words, toks[i+1].word)
}

// dials tells whether somebody is to be called or written to for the visitor:
// "call Tom", "text someone".
func dials(toks []token) bool {
	found := false
	for _, t := range toks {
		switch t.word {
		case "call", "calls", "dial", "text", "phone", "sms":
			found = true
		case "me", "us", "back":
			return false
		}
		if t.kind&person != 0 {
			return false
		}
	}
	return found
}

// withYou tells whether the assistant itself is to be talked to: "I prefer
// talking to you". It may also mean the company.
func withYou(toks []token) bool {
	for i, t := range toks {
		if t.kind&talk == 0 {
			continue
		}
		for j := i + 1; j < min(len(toks), i+3) && toks[j].clause == t.clause; j++ {
			switch toks[j].word {
			case "you", "dir", "toi", "contigo", "ti", "voce", "jou", "toba":
				return true
			}
		}
	}
	return false
}

// alone tells whether nothing but a word for a person is said: "AGENT!!",
// "un humain svp"; somebody, or the team, needs a please.
func alone(toks []token) bool {
	if len(toks) > 5 {
		return false
	}
	found, anybody, polite := false, false, false
	for _, t := range toks {
		switch {
		case t.kind&person != 0, t.word == "persona" && len(toks) == 1:
			found = true
		case t.kind&never != 0 || t.kind&(filler|genuine|someone|talk) == 0 && t.word != "customer":
			return false
		}
		anybody = anybody || t.kind&someone != 0
		switch t.word {
		case "please", "pls", "plz", "bitte", "svp", "plait", "favor", "favore", "alstublieft", "alsjeblieft", "graag", "prosze":
			polite = true
		}
	}
	return found || anybody && polite
}

// has gives the first of the phrases that the words contain.
func has(flat string, phrases []string) string {
	for _, p := range phrases {
		if i := strings.Index(flat, p); i > 0 && flat[i-1] == ' ' && i+len(p) < len(flat) && flat[i+len(p)] == ' ' {
			return p
		}
	}
	return ""
}

// MeansHuman tells whether a message asks for a person by its words alone,
// without weights and without an embedding: the net for when those fail.
func MeansHuman(text string) bool {
	for _, s := range Sentences(text) {
		if consult(linear.Fold(s)).asks {
			return true
		}
	}
	return false
}
