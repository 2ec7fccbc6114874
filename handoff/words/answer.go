package words

import (
	"strings"

	"github.com/relaydesk/relaydesk/handoff/words/internal/linear"
)

// yes and no are how people answer an offer, folded: the first words of a
// message. Longer ones come before their beginnings.
var (
	yes = []string{
		"yes", "yeah", "yep", "yup", "yea", "ya", "sure", "ok", "okay", "okey", "of course", "please do", "please", "go ahead", "do it", "do that", "absolutely", "definitely", "sounds good", "that would be", "thatd be", "i would like that", "id like that", "id love", "alright", "fine", "why not", "y",
		"ja", "jo", "jawohl", "gerne", "gern", "klar", "bitte", "in ordnung", "na klar", "unbedingt", "naturlich", "natuerlich", "auf jeden fall", "mach das", "machen sie das", "das ware", "einverstanden",
		"oui", "ouais", "d accord", "volontiers", "bien sur", "s il vous plait", "s il te plait", "svp", "avec plaisir", "pourquoi pas", "je veux bien", "ca marche", "allez y",
		"si", "claro", "vale", "por favor", "por supuesto", "de acuerdo", "dale", "adelante", "esta bien", "bueno", "desde luego",
		"certo", "va bene", "volentieri", "per favore", "certamente", "d accordo", "perche no", "grazie si", "magari",
		"sim", "pode ser", "com certeza", "por gentileza", "quero", "quero sim", "isso", "ta bom", "tudo bem", "pode",
		"graag", "ja graag", "prima", "alstublieft", "alsjeblieft", "is goed", "natuurlijk", "goed", "doe maar", "zeker",
		"tak", "poprosze", "prosze", "jasne", "dobrze", "chetnie", "oczywiscie", "pewnie", "zgoda", "niech bedzie",
	}
	no = []string{
		"no", "nope", "nah", "not now", "not yet", "no thanks", "no thank you", "not necessary", "dont", "do not", "never mind", "nevermind", "i dont", "id rather not", "not needed", "maybe later", "later", "n",
		"nein", "ne", "nee", "nicht notig", "nicht noetig", "nicht jetzt", "lieber nicht", "noch nicht", "spater", "brauche ich nicht", "ich brauche kein", "danke nein",
		"non", "pas maintenant", "pas besoin", "pas la peine", "ce n est pas", "plus tard", "ca va aller", "ca ira",
		"ahora no", "todavia no", "no gracias", "no hace falta", "mejor no", "mas tarde", "luego",
		"per ora no", "non serve", "meglio di no", "piu tardi", "non ora", "no grazie",
		"nao", "agora nao", "nao precisa", "melhor nao", "mais tarde", "depois", "obrigado nao",
		"niet nodig", "liever niet", "nu niet", "hoeft niet", "straks",
		"nie", "nie trzeba", "nie teraz", "raczej nie", "pozniej", "nie dziekuje",
	}
	// More words of agreement that may follow: then nothing else is asked.
	asides = " thanks thank you danke merci gracias grazie obrigado obrigada bedankt dank dziekuje that would be great nice good lovely wonderful perfect very much i want like would do it to talk "
)

// Affirms tells whether a message accepts the offer of a person. It is to be
// asked only while one is pending. "Yes, but how long does it take?" accepts:
// the person can answer that. "Ok, thanks, that helped" does not.
func Affirms(text string) bool {
	flat := flatten(linear.Fold(text))
	if Declines(text) {
		return false
	}
	word := starts(flat, yes)
	if word == "" {
		return strings.TrimSpace(text) == "👍" || strings.TrimSpace(text) == "+" || MeansHuman(text)
	}
	// "ok" and "please" and "fine" begin many messages that speak of something else.
	rest := strings.Fields(flat[1+len(word):])
	if weak[word] {
		return agrees(rest, word == "ja" || word == "si" || word == "por favor" || word == "per favore")
	}
	return true
}

// Lukewarm tells whether a message that Affirms does so by a word that people
// also end a conversation with: "ok".
func Lukewarm(text string) bool {
	return weak[starts(flatten(linear.Fold(text)), yes)] && !MeansHuman(text)
}

var weak = set("ok okay okey fine please bitte prosze por\u00a0favor per\u00a0favore bueno goed prima alright y svp isso pode quero dobrze si ja")

func set(words string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(words) {
		out[strings.ReplaceAll(w, "\u00a0", " ")] = true
	}
	return out
}

// agrees tells whether what follows a weak yes keeps to the subject: nothing,
// another yes, politeness, or a person. Thanks after "ja" accept; after "ok"
// they say goodbye.
func agrees(rest []string, thanksAccept bool) bool {
	if len(rest) == 0 {
		return true
	}
	if starts(" "+strings.Join(rest, " ")+" ", yes) != "" {
		return true
	}
	for _, w := range rest {
		if kindOf(w)&(talk|pass|person|someone) != 0 {
			return true
		}
	}
	for _, w := range rest {
		if !strings.Contains(asides, " "+w+" ") {
			return false
		}
	}
	return thanksAccept || !strings.Contains(" thanks thank danke merci gracias grazie obrigado obrigada bedankt dziekuje ", " "+rest[0]+" ")
}

// Declines tells whether a message refuses the offer of a person. A "no" that
// goes on to ask for one ("no, I want a human") refuses nothing, and a "yes,
// but …" neither.
func Declines(text string) bool {
	flat := flatten(linear.Fold(text))
	v := consult(linear.Fold(text))
	if v.asks {
		return false
	}
	if starts(flat, no) != "" {
		// "Why not", "no problem, go ahead" begin like a yes, or end in one.
		if strings.HasPrefix(flat, " no problem ") || strings.HasPrefix(flat, " kein problem ") {
			return false
		}
		return true
	}
	return starts(flat, yes) == "" && refuses(flat)
}

func refuses(flat string) bool {
	for _, w := range []string{
		"no need", "dont need", "do not need", "not necessary", "no thanks", "nein danke", "nicht notig", "brauche keinen", "pas besoin", "pas necessaire", "non merci", "no hace falta", "no necesito", "no gracias",
		"non serve", "non ho bisogno", "no grazie", "nao precisa", "nao preciso", "nao obrigado", "niet nodig", "nee dank", "hoeft niet", "nie trzeba", "nie potrzeb", "nie dziekuje",
	} {
		if strings.Contains(flat, " "+w) {
			return true
		}
	}
	return false
}

// starts gives the longest of the phrases that the words begin with.
func starts(flat string, phrases []string) string {
	best := ""
	for _, p := range phrases {
		if len(p) > len(best) && strings.HasPrefix(flat[1:], p) && strings.HasPrefix(flat[1+len(p):], " ") {
			best = p
		}
	}
	return best
}
