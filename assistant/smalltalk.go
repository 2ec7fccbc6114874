package assistant

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/handoff/words"
)

// Small talk asks nothing, so content need not answer it: a greeting is
// returned, thanks are, and who is content, or wants no person, is let go. Only
// turns that are nothing else count.

// courtesy is one kind of small talk.
type courtesy int

const (
	none courtesy = iota
	greeting
	thanks
	closing // all is well, goodbye, or no to the offer of a person
)

// said is what visitors say, folded, by language.
var said = map[courtesy]map[string][]string{
	greeting: {
		"en": {"hi", "hello", "hey", "hiya", "hi there", "hello there", "hey there", "good morning", "good afternoon", "good evening", "good day", "greetings"},
		"de": {"hallo", "guten tag", "guten morgen", "guten abend", "moin", "servus", "gruss gott", "gruezi", "hallo zusammen", "tag"},
		"fr": {"bonjour", "bonsoir", "salut", "coucou", "allo"},
		"es": {"hola", "buenos dias", "buenas tardes", "buenas noches", "buenas"},
		"it": {"ciao", "buongiorno", "buonasera", "salve"},
		"pt": {"ola", "oi", "bom dia", "boa tarde", "boa noite"},
		"nl": {"hallo", "hoi", "goedemorgen", "goedemiddag", "goedenavond", "goedendag", "dag"},
		"pl": {"dzien dobry", "dobry wieczor", "czesc", "witam", "halo"},
	},
	thanks: {
		"en": {"thanks", "thank you", "thank you very much", "thank you so much", "thanks a lot", "many thanks", "thx", "ty", "cheers", "great thanks", "ok thanks", "okay thanks", "ok thank you", "perfect thanks", "thanks bye", "that helped", "that helps thanks", "got it thanks", "thanks for your help"},
		"de": {"danke", "danke schon", "vielen dank", "dankeschon", "super danke", "ok danke", "besten dank", "danke dir", "danke ihnen", "alles klar danke", "perfekt danke"},
		"fr": {"merci", "merci beaucoup", "parfait merci", "ok merci", "merci bien"},
		"es": {"gracias", "muchas gracias", "perfecto gracias", "ok gracias", "vale gracias"},
		"it": {"grazie", "grazie mille", "perfetto grazie", "ok grazie", "molte grazie"},
		"pt": {"obrigado", "obrigada", "muito obrigado", "muito obrigada", "ok obrigado", "ok obrigada"},
		"nl": {"dank je", "dank u", "dank je wel", "bedankt", "dank u wel", "ok bedankt", "hartelijk dank"},
		"pl": {"dziekuje", "dzieki", "dziekuje bardzo", "super dzieki", "ok dzieki"},
	},
	closing: {
		"en": {"ok", "okay", "k", "kk", "great", "perfect", "good", "cool", "nice", "alright", "all right", "got it", "i see", "understood", "bye", "goodbye", "bye bye", "see you", "have a nice day", "never mind", "nevermind", "thats all", "that s all", "no problem"},
		"de": {"alles klar", "verstanden", "super", "perfekt", "gut", "prima", "tschuss", "auf wiedersehen", "schonen tag", "schonen tag noch", "das war s", "das wars"},
		"fr": {"d accord", "parfait", "super", "tres bien", "compris", "au revoir", "bonne journee", "c est bon", "c est tout"},
		"es": {"vale", "perfecto", "de acuerdo", "entendido", "muy bien", "adios", "hasta luego", "eso es todo"},
		"it": {"va bene", "perfetto", "capito", "d accordo", "arrivederci", "buona giornata", "e tutto"},
		"pt": {"tudo bem", "perfeito", "entendi", "ta bom", "certo", "tchau", "ate logo", "e so isso"},
		"nl": {"oke", "prima", "perfect", "duidelijk", "begrepen", "tot ziens", "doei", "fijne dag", "dat is alles"},
		"pl": {"dobrze", "super", "rozumiem", "jasne", "do widzenia", "na razie", "to wszystko", "milego dnia"},
	},
}

// replies are what is said in return.
var replies = map[courtesy]map[string]string{
	greeting: {
		"en": "Hello! What can I help you with?",
		"de": "Hallo! Womit kann ich helfen?",
		"fr": "Bonjour ! En quoi puis-je vous aider ?",
		"es": "¡Hola! ¿En qué puedo ayudarle?",
		"it": "Buongiorno! In cosa posso aiutarla?",
		"pt": "Olá! Em que posso ajudar?",
		"nl": "Hallo! Waarmee kan ik helpen?",
		"pl": "Dzień dobry! W czym mogę pomóc?",
	},
	thanks: {
		"en": "You're welcome!",
		"de": "Gern geschehen!",
		"fr": "Avec plaisir !",
		"es": "¡De nada!",
		"it": "Prego!",
		"pt": "De nada!",
		"nl": "Graag gedaan!",
		"pl": "Proszę bardzo!",
	},
	closing: {
		"en": "All right! Just write here if anything else comes up.",
		"de": "Alles klar! Bei weiteren Fragen genügt hier eine Nachricht.",
		"fr": "Très bien ! Pour toute autre question, il suffit d'écrire ici.",
		"es": "¡De acuerdo! Para cualquier otra pregunta, basta con escribir aquí.",
		"it": "Va bene! Per qualsiasi altra domanda basta scrivere qui.",
		"pt": "Tudo bem! Para qualquer outra pergunta, basta escrever aqui.",
		"nl": "Prima! Bij een andere vraag is een bericht hier genoeg.",
		"pl": "Dobrze! W razie innych pytań wystarczy tu napisać.",
	},
}

// smallTalk tells which kind of small talk a turn is, and the language of its
// words, that of the conversation if it has them.
func smallTalk(messages []triggers.Message, offered bool, lang string) (kind courtesy, tag string) {
	for _, m := range messages {
		k, l := courtesyOf(m.Text, lang)
		if k == none && offered && refuses(m.Text) {
			k, l = closing, lang
		}
		if k == none {
			return none, ""
		}
		kind, tag = max(kind, k), l
	}
	return kind, tag
}

// mostlyWords is how many words a message may have that only refuses a person.
const mostlyWords = 3

func refuses(text string) bool {
	return len(strings.Fields(text)) <= mostlyWords && !strings.Contains(text, "?") && words.Declines(text)
}

// approving are signs that people send instead of words.
const approving = "👍👌🙏❤♥😊🙂😀😃😄✅🎉💯😉️🏻🏼🏽🏾🏿"

func courtesyOf(text, lang string) (courtesy, string) {
	if len(text) > 4*longest {
		return none, ""
	}
	if text = strings.TrimSpace(text); text != "" && strings.Trim(text, approving) == "" {
		return closing, lang
	}
	kind, tag := phrase(fold(text), lang)
	if kind != none {
		return kind, tag
	}
	// "Ok thanks, that helped!" is small talk if its parts are.
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(",.!;\n", r) }) {
		if fold(part) == "" {
			continue
		}
		k, l := phrase(fold(part), lang)
		if k == none {
			return none, ""
		}
		kind, tag = max(kind, k), l
	}
	return kind, tag
}

// longest is how long a phrase of small talk is, in bytes.
const longest = 40

func phrase(folded, lang string) (courtesy, string) {
	if folded == "" || len(folded) > longest {
		return none, ""
	}
	primary, _, _ := strings.Cut(strings.ToLower(lang), "-")
	for _, kind := range []courtesy{greeting, thanks, closing} {
		for _, l := range append([]string{primary}, spoken...) {
			if slices.Contains(said[kind][l], folded) {
				return kind, l
			}
		}
	}
	return none, ""
}

// reply is what is said in return, in English where the language has none.
func (c courtesy) reply(lang string) string {
	primary, _, _ := strings.Cut(strings.ToLower(lang), "-")
	if text, ok := replies[c][primary]; ok {
		return text
	}
	return replies[c]["en"]
}

// fold leaves the letters and digits of a text in lower case, without accents,
// one space between words.
func fold(text string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ReplaceAll(strings.ToLower(text), "ß", "ss")) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case r == 'ł':
			b.WriteByte('l')
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
