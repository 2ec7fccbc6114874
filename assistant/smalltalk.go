package assistant

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Small talk asks nothing, so content need not answer it: a greeting is
// returned, and thanks are. Only messages that are nothing else count.

// courtesy is one kind of small talk: what visitors say, folded, and what is
// said in return, by language.
type courtesy struct {
	words   []string
	replies map[string]string
}

var courtesies = []courtesy{
	{
		words: []string{
			"hi", "hello", "hey", "hiya", "hi there", "hello there", "hey there", "good morning", "good afternoon", "good evening", "good day", "greetings",
			"hallo", "guten tag", "guten morgen", "guten abend", "moin", "servus", "gruss gott", "gruezi",
			"bonjour", "bonsoir", "salut", "coucou",
			"hola", "buenos dias", "buenas tardes", "buenas noches", "buenas",
			"ciao", "buongiorno", "buonasera", "salve",
			"ola", "oi", "bom dia", "boa tarde", "boa noite",
			"hoi", "goedemorgen", "goedemiddag", "goedenavond", "goedendag",
			"dzien dobry", "dobry wieczor", "czesc", "witam",
		},
		replies: map[string]string{
			"en": "Hello! What can I help you with?",
			"de": "Hallo! Womit kann ich helfen?",
			"fr": "Bonjour ! En quoi puis-je vous aider ?",
			"es": "¡Hola! ¿En qué puedo ayudarle?",
			"it": "Buongiorno! In cosa posso aiutarla?",
			"pt": "Olá! Em que posso ajudar?",
			"nl": "Hallo! Waarmee kan ik helpen?",
			"pl": "Dzień dobry! W czym mogę pomóc?",
		},
	},
	{
		words: []string{
			"thanks", "thank you", "thank you very much", "thanks a lot", "many thanks", "thx", "ty", "cheers", "great thanks", "ok thanks", "okay thanks", "perfect thanks", "thanks bye", "that helped", "that helps thanks", "got it thanks",
			"danke", "danke schon", "vielen dank", "dankeschon", "super danke", "ok danke", "besten dank",
			"merci", "merci beaucoup", "parfait merci", "ok merci",
			"gracias", "muchas gracias", "perfecto gracias", "ok gracias", "vale gracias",
			"grazie", "grazie mille", "perfetto grazie", "ok grazie",
			"obrigado", "obrigada", "muito obrigado", "muito obrigada", "ok obrigado",
			"dank je", "dank u", "dank je wel", "bedankt", "dank u wel",
			"dziekuje", "dzieki", "dziekuje bardzo", "super dzieki",
		},
		replies: map[string]string{
			"en": "You're welcome!",
			"de": "Gern geschehen!",
			"fr": "Avec plaisir !",
			"es": "¡De nada!",
			"it": "Prego!",
			"pt": "De nada!",
			"nl": "Graag gedaan!",
			"pl": "Proszę bardzo!",
		},
	},
}

// smallTalk is the reply to a turn that is small talk and nothing else, empty
// to any other.
func smallTalk(text, lang string) string {
	folded := fold(text)
	if folded == "" || len(folded) > 40 {
		return ""
	}
	primary, _, _ := strings.Cut(strings.ToLower(lang), "-")
	for _, c := range courtesies {
		for _, word := range c.words {
			if folded == word {
				if reply, ok := c.replies[primary]; ok {
					return reply
				}
				return c.replies["en"]
			}
		}
	}
	return ""
}

// fold leaves the letters of a text in lower case, without accents, one space
// between words.
func fold(text string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ReplaceAll(strings.ToLower(text), "ß", "ss")) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case r == 'ł':
			b.WriteByte('l')
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '?':
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
