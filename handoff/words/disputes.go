package words

import (
	"slices"
	"strings"
)

// disputed names the ways of saying that money was taken twice: a word for
// paying near a word for twice, in either order. Both are folded and begin a
// word. What the classifiers think of it is not asked: hardly anything goes
// more often unsaid in training data and is meant more seriously.
var disputed = []struct{ pays, twice []string }{
	{
		[]string{"paid", "payed", "charged", "billed", "debited", "deducted", "invoiced"},
		[]string{"twice", "double", "doubly", "two times", "2 times", "2x", "a second time"},
	},
	{
		[]string{"bezahlt", "gezahlt", "abgebucht", "eingezogen", "berechnet", "belastet", "in rechnung gestellt"},
		[]string{"zweimal", "zwei mal", "2 mal", "2x", "doppelt", "ein zweites mal"},
	},
	{
		[]string{"paye", "facture", "debite", "preleve"},
		[]string{"deux fois", "2 fois", "2x", "en double", "doublement", "une deuxieme fois"},
	},
	{
		[]string{"pague", "pagado", "cobraron", "cobrado", "cobro", "cobrasteis", "cargado", "cargaron", "facturado", "facturaron"},
		[]string{"dos veces", "2 veces", "2x", "doble", "por duplicado", "una segunda vez"},
	},
	{
		[]string{"pagato", "pagata", "addebitat", "fatturat", "prelevat"},
		[]string{"due volte", "2 volte", "2x", "doppio", "una seconda volta"},
	},
	{
		[]string{"paguei", "pagou", "cobrad", "cobraram", "cobrou", "debitad", "debitaram", "faturad"},
		[]string{"duas vezes", "2 vezes", "2x", "em dobro", "em duplicado", "em duplicidade", "uma segunda vez"},
	},
	{
		[]string{"betaald", "afgeschreven", "in rekening gebracht", "gefactureerd", "geincasseerd"},
		[]string{"twee keer", "2 keer", "2x", "tweemaal", "dubbel", "een tweede keer"},
	},
	{
		[]string{"zaplacil", "pobrano", "pobraliscie", "pobrali", "obciazon", "policzon", "naliczon"},
		[]string{"dwa razy", "2 razy", "2x", "dwukrotnie", "podwojnie", "drugi raz"},
	},
}

// disputes are those that say it all by themselves.
var disputes = []string{
	"was charged again", "been charged again", "got charged again", "charged me again", "was billed again", "been billed again", "got billed again", "billed me again",
	"double charge", "double billing", "double billed", "double payment", "duplicate charge", "duplicate payment",
	"doppelte abbuchung", "doppelte zahlung", "doppelte belastung", "erneut abgebucht", "nochmal abgebucht", "noch einmal abgebucht", "wieder abgebucht", "erneut berechnet",
	"double prelevement", "double facturation", "double debit", "double paiement", "preleve a nouveau", "debite a nouveau", "facture a nouveau",
	"doble cobro", "cobro duplicado", "cargo duplicado", "pago duplicado", "cobraron de nuevo", "cobrado de nuevo", "cobraron otra vez", "cobrado otra vez",
	"doppio addebito", "doppia fatturazione", "doppio pagamento", "addebitato di nuovo", "addebitato nuovamente", "fatturato di nuovo",
	"cobranca duplicada", "cobranca dupla", "pagamento duplicado", "cobrado de novo", "cobrado novamente", "cobraram de novo", "cobraram novamente",
	"dubbele afschrijving", "dubbele betaling", "opnieuw afgeschreven", "opnieuw in rekening gebracht", "nog een keer afgeschreven",
	"podwojne obciazenie", "podwojna platnosc", "podwojna oplata", "pobrano ponownie", "ponownie pobrano", "ponownie obciazon",
}

// often follow a word for twice that tells how often something is due.
var often = []string{
	"a day", "a week", "a month", "a year", "a quarter", "per", "each", "every", "monthly", "yearly",
	"pro", "im monat", "im jahr", "in der woche", "jahrlich", "monatlich", "par mois", "par an", "par semaine", "al mes", "al ano", "por mes", "por ano", "a la semana", "por semana",
	"al mese", "all anno", "l anno", "alla settimana", "ao mes", "ao ano", "in de maand", "in het jaar", "w miesiacu", "w roku", "w tygodniu", "na rok", "na miesiac",
}

// near is how many words stand between paying and twice at most.
const near = 3

// dispute finds the words that say that money was taken twice in a flat text.
func dispute(flat string) string {
	for _, phrase := range disputes {
		if strings.Contains(flat, " "+phrase) {
			return phrase
		}
	}
	for _, d := range disputed {
		for _, twice := range d.twice {
			i := strings.Index(flat, " "+twice+" ")
			if i < 0 {
				continue
			}
			before, after := flat[:i+1], flat[i+len(twice)+1:]
			if slices.ContainsFunc(often, func(o string) bool { return strings.HasPrefix(after, " "+o+" ") }) {
				continue
			}
			for _, pays := range d.pays {
				if p := strings.LastIndex(before, " "+pays); p >= 0 && strings.Count(before[p+1:], " ") <= near+1 {
					return strings.TrimSpace(before[p:] + twice)
				}
				if p := strings.Index(after, " "+pays); p >= 0 && strings.Count(after[:p+1], " ") <= near+1 {
					end := p + 1 + len(pays)
					return twice + after[:end]
				}
			}
		}
	}
	return ""
}
