package hours

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Languages are those that texts are written in; the first stands in for all others.
var Languages = []string{"en", "de", "fr", "es", "it", "pt", "nl", "pl"}

// Language is the one of Languages that a BCP 47 tag belongs to ("pt-BR" is
// pt), English if there is none.
func Language(tag string) string {
	base, _, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(strings.TrimSpace(tag), "_", "-")), "-")
	if slices.Contains(Languages, base) {
		return base
	}
	return Languages[0]
}

// twelve are the regions where English is written with am and pm.
var twelve = []string{"US", "CA", "AU", "NZ", "IN", "PH", "PK", "SG", "MY", "ZA"}

// Twelve tells whether a tag's readers count hours to twelve.
func Twelve(tag string) bool {
	tag = strings.ReplaceAll(tag, "_", "-")
	if Language(tag) != "en" {
		return false
	}
	for _, part := range strings.Split(tag, "-")[1:] {
		if slices.Contains(twelve, strings.ToUpper(part)) {
			return true
		}
	}
	return false
}

// Clock writes a time of day, in minutes since midnight, as it is read in the
// language of a tag: "9:00", "5:30 pm", "9h00".
func Clock(tag string, minutes int) string {
	hour, minute := minutes/60, minutes%60
	switch {
	case Twelve(tag):
		half := "am"
		if hour%24 >= 12 {
			half = "pm"
		}
		return fmt.Sprintf("%d:%02d %s", (hour+11)%12+1, minute, half)
	case Language(tag) == "fr":
		return fmt.Sprintf("%dh%02d", hour, minute)
	}
	return fmt.Sprintf("%d:%02d", hour, minute)
}

// ZoneLabel names what clock a time is told by: "CET", "UTC+3".
func ZoneLabel(at time.Time, zone *time.Location) string {
	name, offset := at.In(zone).Zone()
	if name != "" && unicode.IsLetter(rune(name[0])) {
		return name
	}
	label := fmt.Sprintf("UTC%+d", offset/3600)
	if minutes := offset % 3600 / 60; minutes != 0 {
		label += fmt.Sprintf(":%02d", max(minutes, -minutes))
	}
	return label
}

// short names the days from Monday.
var short = map[string][7]string{
	"en": {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"},
	"de": {"Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"},
	"fr": {"lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."},
	"es": {"lun", "mar", "mié", "jue", "vie", "sáb", "dom"},
	"it": {"lun", "mar", "mer", "gio", "ven", "sab", "dom"},
	"pt": {"seg", "ter", "qua", "qui", "sex", "sáb", "dom"},
	"nl": {"ma", "di", "wo", "do", "vr", "za", "zo"},
	"pl": {"pon.", "wt.", "śr.", "czw.", "pt.", "sob.", "niedz."},
}

var and = map[string]string{"en": "and", "de": "und", "fr": "et", "es": "y", "it": "e", "pt": "e", "nl": "en", "pl": "i"}

var always = map[string]string{
	"en": "around the clock", "de": "rund um die Uhr", "fr": "24h/24 et 7j/7", "es": "las 24 horas, todos los días",
	"it": "24 ore su 24, tutti i giorni", "pt": "24 horas por dia, todos os dias", "nl": "dag en nacht, alle dagen", "pl": "całodobowo, codziennie",
}

// Describe writes the week compactly in the language of a tag: "Mon–Fri
// 9:00–17:00; Sat 10:00–14:00". It is empty where hours are unknown. The zone
// is not named: ZoneLabel does that.
func (w Week) Describe(tag string) string {
	if !w.Known() {
		return ""
	}
	lang := Language(tag)
	if len(w.pieces) == 1 && w.pieces[0] == (piece{0, week}) {
		return always[lang]
	}
	var days [7]string
	var order []string
	for day := range days {
		days[day] = w.day(tag, day)
		if days[day] != "" && !slices.Contains(order, days[day]) {
			order = append(order, days[day])
		}
	}
	groups := make([]string, 0, len(order))
	for _, times := range order {
		var runs []string
		for day := 0; day < 7; day++ {
			if days[day] != times {
				continue
			}
			last := day
			for last+1 < 7 && days[last+1] == times {
				last++
			}
			run := short[lang][day]
			if last > day {
				run += "–" + short[lang][last]
			}
			runs, day = append(runs, run), last
		}
		groups = append(groups, strings.Join(runs, ", ")+" "+times)
	}
	return strings.Join(groups, "; ")
}

// day writes the times of one day: "9:00–12:00 and 13:00–17:00". Spans that
// touch are one.
func (w Week) day(tag string, day int) string {
	var spans []Span
	for _, s := range w.spans {
		if fromMonday(s.Day) != day {
			continue
		}
		if n := len(spans); n > 0 && spans[n-1].To == s.From {
			spans[n-1].To = s.To
		} else {
			spans = append(spans, s)
		}
	}
	times := make([]string, len(spans))
	for i, s := range spans {
		dash := "–"
		if Twelve(tag) {
			dash = " – "
		}
		times[i] = Clock(tag, s.From) + dash + Clock(tag, s.To)
	}
	if n := len(times); n > 1 {
		return strings.Join(times[:n-1], ", ") + " " + and[Language(tag)] + " " + times[n-1]
	}
	return strings.Join(times, "")
}
