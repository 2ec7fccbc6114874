package notices

import (
	"strconv"
	"strings"
	"time"

	"github.com/relaydesk/relaydesk/handoff/hours"
)

// A writer tells moments to one visitor.
type writer struct {
	lang  string
	week  hours.Week
	now   time.Time
	zone  string // of the visitor; empty or wrong: unknown
	hours bool   // the team's hours and their zone stand in the same text
}

// clock is the zone that times are told in, and whether it must be named:
// because it may not be the visitor's own, or because the text holds times of
// two clocks.
func (w writer) clock() (zone *time.Location, named bool) {
	zone, err := hours.Zone(w.zone)
	if err != nil {
		return w.week.Zone(), !w.hours
	}
	_, theirs := w.now.In(zone).Zone()
	_, ours := w.now.In(w.week.Zone()).Zone()
	return zone, w.hours && theirs != ours
}

// by tells before when: "by 15:40 today".
func (w writer) by(at time.Time) string { return w.moment(at, momentsOf(w.lang).by) }

// until tells up to when: "until 17:00 today".
func (w writer) until(at time.Time) string { return w.moment(at, momentsOf(w.lang).until) }

// at tells when: "on Monday at 9:00".
func (w writer) at(at time.Time) string { return w.moment(at, momentsOf(w.lang).at) }

// weekly tells the hours by the team's clock, which is named.
func (w writer) weekly() string {
	return w.week.Describe(w.lang) + " (" + hours.ZoneLabel(w.now, w.week.Zone()) + ")"
}

func (w writer) moment(at time.Time, pattern string) string {
	zone, named := w.clock()
	local, now := at.In(zone), w.now.In(zone)
	clock := hours.Clock(w.lang, local.Hour()*60+local.Minute())
	// Romance languages say "the one" but "the two" o'clock.
	hour := local.Hour()
	if hours.Twelve(w.lang) {
		hour = 0
	}
	if one, many, ok := strings.Cut(pattern, "|"); ok {
		if pattern = many; hour == 1 {
			pattern = one
		}
	}
	label := ""
	if named {
		label = " (" + hours.ZoneLabel(at, zone) + ")"
	}
	if !strings.Contains(pattern, "{zone}") {
		clock += label
	}
	return strings.NewReplacer("{day}", w.day(local, now), "{clock}", clock, "{zone}", label).Replace(pattern)
}

// day names a day as one says it: today, tomorrow, on Monday, the date beyond
// the next six days.
func (w writer) day(at, now time.Time) string {
	m := momentsOf(w.lang)
	switch days := daysBetween(now, at); {
	case days == 0:
		return m.today
	case days == 1:
		return m.tomorrow
	case days > 1 && days < 7:
		return m.on[at.Weekday()]
	}
	pattern := m.date
	if hours.Twelve(w.lang) && strings.HasSuffix(strings.ToUpper(w.lang), "US") {
		pattern = "{on}, {month} {n}"
	}
	month := m.months[at.Month()-1]
	return strings.NewReplacer("{on}", m.on[at.Weekday()], "{n}", strconv.Itoa(at.Day()), "{month}", month).Replace(pattern)
}

// daysBetween counts the midnights between two moments of one zone.
func daysBetween(from, to time.Time) int {
	a := time.Date(from.Year(), from.Month(), from.Day(), 0, 0, 0, 0, time.UTC)
	b := time.Date(to.Year(), to.Month(), to.Day(), 0, 0, 0, 0, time.UTC)
	return int(b.Sub(a) / (24 * time.Hour))
}

// moments are how a language speaks of days and times. In by, at and until,
// what stands before a bar is for one o'clock.
type moments struct {
	today, tomorrow string
	on              [7]string // from Sunday, with the preposition
	months          [12]string
	date            string // a day farther off than a week
	by, at, until   string
}

func momentsOf(lang string) *moments { return spoken[hours.Language(lang)] }

var spoken = map[string]*moments{
	"en": {
		today: "today", tomorrow: "tomorrow",
		on:     [7]string{"on Sunday", "on Monday", "on Tuesday", "on Wednesday", "on Thursday", "on Friday", "on Saturday"},
		months: [12]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
		date:   "{on}, {n} {month}", until: "until {clock} {day}{zone}", by: "by {clock} {day}{zone}", at: "{day} at {clock}",
	},
	"de": {
		today: "heute", tomorrow: "morgen",
		on:     [7]string{"am Sonntag", "am Montag", "am Dienstag", "am Mittwoch", "am Donnerstag", "am Freitag", "am Samstag"},
		months: [12]string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"},
		date:   "{on}, {n}. {month},", until: "{day} bis {clock} Uhr{zone}", by: "{day} bis {clock} Uhr{zone}", at: "{day} um {clock} Uhr{zone}",
	},
	"fr": {
		today: "aujourd'hui", tomorrow: "demain",
		on:     [7]string{"dimanche", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi"},
		months: [12]string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"},
		date:   "{on} {n} {month}", until: "{day} jusqu'à {clock}", by: "{day} avant {clock}", at: "{day} à {clock}",
	},
	"es": {
		today: "hoy", tomorrow: "mañana",
		on:     [7]string{"el domingo", "el lunes", "el martes", "el miércoles", "el jueves", "el viernes", "el sábado"},
		months: [12]string{"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"},
		date:   "{on} {n} de {month}", until: "{day} hasta la {clock}|{day} hasta las {clock}", by: "{day} antes de la {clock}|{day} antes de las {clock}", at: "{day} a la {clock}|{day} a las {clock}",
	},
	"it": {
		today: "oggi", tomorrow: "domani",
		on:     [7]string{"domenica", "lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato"},
		months: [12]string{"gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto", "settembre", "ottobre", "novembre", "dicembre"},
		date:   "{on} {n} {month}", until: "{day} fino all'{clock}|{day} fino alle {clock}", by: "{day} entro l'{clock}|{day} entro le {clock}", at: "{day} all'{clock}|{day} alle {clock}",
	},
	"pt": {
		today: "hoje", tomorrow: "amanhã",
		on:     [7]string{"no domingo", "na segunda-feira", "na terça-feira", "na quarta-feira", "na quinta-feira", "na sexta-feira", "no sábado"},
		months: [12]string{"janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto", "setembro", "outubro", "novembro", "dezembro"},
		date:   "{on}, {n} de {month},", until: "{day} até a {clock}|{day} até as {clock}", by: "{day} até a {clock}|{day} até as {clock}", at: "{day} à {clock}|{day} às {clock}",
	},
	"nl": {
		today: "vandaag", tomorrow: "morgen",
		on:     [7]string{"zondag", "maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag"},
		months: [12]string{"januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december"},
		date:   "{on} {n} {month}", until: "{day} tot {clock} uur{zone}", by: "{day} vóór {clock} uur{zone}", at: "{day} om {clock} uur{zone}",
	},
	"pl": {
		today: "dzisiaj", tomorrow: "jutro",
		on:     [7]string{"w niedzielę", "w poniedziałek", "we wtorek", "w środę", "w czwartek", "w piątek", "w sobotę"},
		months: [12]string{"stycznia", "lutego", "marca", "kwietnia", "maja", "czerwca", "lipca", "sierpnia", "września", "października", "listopada", "grudnia"},
		date:   "{on}, {n} {month},", until: "{day} do {clock}", by: "{day} do {clock}", at: "{day} o {clock}",
	},
}
