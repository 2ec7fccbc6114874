package packet

import (
	"slices"
	"strings"
	"unicode"

	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/handoff/words"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// maxWants is how long the sentence of what a visitor wants may be, in characters.
const maxWants = 300

// Wants gives what the visitor wants, in one sentence of their own. The
// sentence that touched a sensitive topic says it; else the fullest of what is
// unanswered, rather than a greeting or the mere wish for a person, which says
// how but not what. Nothing found: the evidence of the first trigger.
func Wants(messages []Message, found []Trigger) string {
	unanswered := 0
	for i, m := range messages {
		if m.Visibility != "team" && (m.Author == "assistant" || m.Author == "member") {
			unanswered = i + 1
		}
	}
	best, bestScore := "", 0.0
	for i, m := range messages {
		if m.Author != "visitor" {
			continue
		}
		pieces := words.Sentences(m.Text)
		if n := len(pieces); n > 2 && strings.HasPrefix(pieces[n-1], pieces[0]) {
			pieces = pieces[:n-1] // the whole of a short message
		}
		for _, s := range pieces {
			if idle(s) {
				continue
			}
			score := 1 + weigh(s, found)
			if i >= unanswered {
				score += 1.5
			}
			// Of what is equal, the newest: earlier questions were answered.
			if score += float64(i) / float64(len(messages)); best == "" || score > bestScore {
				best, bestScore = s, score
			}
		}
	}
	for _, t := range found {
		if best == "" {
			best = t.Evidence
		}
	}
	return shorten(oneLine(best), maxWants)
}

// weigh says how much a sentence tells of what is wanted.
func weigh(sentence string, found []Trigger) float64 {
	score := 2 * float64(min(len(strings.Fields(sentence)), 16)) / 16
	if strings.ContainsAny(sentence, "?？¿") {
		score += .5
	}
	for _, t := range found {
		if t.Kind == triggers.SensitiveTopic && t.Evidence != "" && strings.HasPrefix(sentence, strings.TrimSuffix(t.Evidence, "…")) {
			score += 3
			if t.Effect == triggers.EffectEscalate {
				score++
			}
			break
		}
	}
	if words.MeansHuman(sentence) {
		score -= 2
	}
	return score
}

// greetings, folded to lower case, say nothing of what is wanted.
var greetings = strings.Fields(`hello hi hey hiya there good morning afternoon evening day thanks thank you please yes no ok okay anyone anybody
	hallo guten tag morgen abend moin servus danke bitte ja nein jemand da
	bonjour salut bonsoir merci oui non allô
	hola buenos buenas días dias tardes noches gracias sí si
	ciao buongiorno buonasera salve grazie sì
	olá ola oi bom boa dia tarde noite obrigado obrigada sim não
	hoi goedemorgen goedemiddag goedendag goedenavond dank je wel bedankt nee
	cześć czesc dzień dzien dobry witam dziękuję dziekuje tak nie`)

// idle tells whether a sentence consists of greetings only.
func idle(s string) bool {
	for _, w := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if !slices.Contains(greetings, w) {
			return false
		}
	}
	return true
}

// reasons say in English, for the team, why a person was called.
var reasons = map[string]string{
	triggers.VisitorAsked:    "Asked for a person",
	triggers.SensitiveTopic:  "Sensitive topic",
	triggers.Rule:            "A rule applied",
	triggers.AssistantUnsure: "The content has no sure answer",
	triggers.VisitorStuck:    "The visitor gets no further",
	triggers.AssistantFailed: "The assistant failed or took too long",
	triggers.MemberAsked:     "Handed over by the team",
	triggers.MemberTookOver:  "Taken over by the team",
}

// topics are the sensitive topics in words.
var topics = map[string]string{
	"danger": "danger", "fraud_lost_stolen": "fraud, loss or theft", "billing_dispute": "a disputed charge", "account_access": "access to an account",
	"refund": "a refund", "account_closure": "closing an account", "complaint": "a complaint", "legal_privacy": "law or privacy",
}

// Reason says in a few English words why a person was called.
func Reason(t Trigger) string {
	reason, ok := reasons[t.Kind]
	if !ok {
		reason = t.Kind
	}
	if t.Topic == "" {
		return reason
	}
	if topic, ok := topics[t.Topic]; ok {
		return reason + " (" + topic + ")"
	}
	return reason + " (" + t.Topic + ")"
}

// Summary says in one line why a person was called and what the visitor wants.
func Summary(found []Trigger, wants string) string {
	reason := "Handed over"
	if len(found) > 0 {
		reason = Reason(found[0])
	}
	if wants == "" {
		return reason
	}
	return reason + ": “" + wants + "”"
}

// Next gives the sentence that shares most words with what is wanted, of the
// best hit that has one. Code is none of them, unless it is what the hit
// consists of. It is nil where none shares two words and a third of all: a
// wrong hint is worse than none.
func Next(wants string, hits []Hit) *NextStep {
	for _, h := range hits {
		pieces := words.Sentences(rank.WithoutCode(h.Text))
		if len(pieces) == 0 {
			continue
		}
		if n := len(pieces); n > 2 && strings.HasPrefix(pieces[n-1], pieces[0]) {
			pieces = pieces[:n-1]
		}
		wanted := stems(wants)
		best, most := "", 0
		for _, s := range pieces {
			n := 0
			for stem := range stems(s) {
				if wanted[stem] {
					n++
				}
			}
			if n > most {
				best, most = s, n
			}
		}
		if most < max(min(2, len(wanted)), 1) || 3*most < len(wanted) {
			continue
		}
		return &NextStep{Text: shorten(oneLine(best), maxWants), URL: h.URL, Title: h.Title}
	}
	return nil
}

// stems are the beginnings of the longer words.
func stems(s string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if r := []rune(w); len(r) >= 4 {
			out[string(r[:min(len(r), 5)])] = true
		}
	}
	return out
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// shorten bounds a text to so many characters, the sign of it included.
func shorten(s string, limit int) string {
	n, last := 0, 0
	for i := range s {
		if n++; n > limit {
			return strings.TrimRightFunc(s[:last], unicode.IsSpace) + "…"
		}
		last = i
	}
	return s
}
