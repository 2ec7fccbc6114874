package notices_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/handoff/hours"
	"github.com/relaydesk/relaydesk/handoff/notices"
)

var digit = regexp.MustCompile(`\d`)

func office(t testing.TB) hours.Week {
	t.Helper()
	var spans []hours.Span
	for d := time.Monday; d <= time.Friday; d++ {
		spans = append(spans, hours.Span{Day: d, From: 9 * 60, To: 17 * 60})
	}
	w, err := hours.New(spans, "Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func at(t testing.TB, s string) time.Time {
	t.Helper()
	m, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var languages = append([]string{"en-US", "pt-BR", "de_CH", "zh", "", "x"}, hours.Languages...)

func TestATimeIsNamedOnlyFromSupportHours(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-11-25T14:32:10+01:00")
	for _, lang := range languages {
		for _, working := range []time.Duration{0, time.Hour, 1000 * time.Hour} {
			p := notices.Compose(lang, hours.Week{}, "Europe/Berlin", now, working)
			if p.ReplyBy != nil || p.Basis != notices.BasisNone || p.Text == "" || digit.MatchString(p.Text) {
				t.Errorf("%s: %+v", lang, p)
			}
			for _, text := range []string{notices.Handoff(lang, "", p), notices.StillWaiting(lang, p, hours.Week{}, "", now), notices.ReleasedToTeam(lang, p)} {
				if digit.MatchString(text) {
					t.Errorf("%s: %q names a time", lang, text)
				}
			}
		}
		// Known hours, but nobody knows how long a reply takes: no moment is promised.
		if p := notices.Compose(lang, office(t), "", now, 0); p.ReplyBy != nil || p.Basis != notices.BasisSupportHours {
			t.Errorf("%s: %+v", lang, p)
		}
	}
}

func TestThePromiseIsInTheVisitorsZoneAndLanguage(t *testing.T) {
	t.Parallel()
	open, closed := "2026-11-25T14:32:10+01:00", "2026-11-27T20:00:00+01:00"
	for _, c := range []struct {
		lang, zone, now string
		working         time.Duration
		by, want        string
	}{
		{"en", "Europe/Berlin", open, time.Hour, "2026-11-25T15:35:00+01:00", "A person from the team will reply here by 15:35 today."},
		{"en-US", "America/New_York", open, time.Hour, "2026-11-25T15:35:00+01:00", "A person from the team will reply here by 9:35 am today."},
		{"en", "", open, time.Hour, "2026-11-25T15:35:00+01:00", "A person from the team will reply here by 15:35 today (CET)."},
		{"en", "nonsense", open, time.Hour, "2026-11-25T15:35:00+01:00", "A person from the team will reply here by 15:35 today (CET)."},
		{"de", "Asia/Tokyo", open, 2 * time.Hour, "2026-11-25T16:35:00+01:00", "Jemand aus dem Team antwortet hier morgen bis 0:35 Uhr."},
		{"es", "America/Bogota", "2026-11-25T11:00:00+01:00", 7 * time.Hour, "2026-11-26T10:00:00+01:00", "Una persona del equipo responderá aquí mañana antes de las 4:00."},
		{"it", "America/New_York", "2026-11-26T16:00:00+01:00", 0, "", "Il team è qui oggi fino alle 11:00. Una persona del team risponderà qui appena possibile."},
		{"en", "", open, 0, "", "The team is here until 17:00 today (CET). A person from the team will reply here as soon as they can."},
		{"de", "Europe/Berlin", open, 0, "", "Das Team ist heute bis 17:00 Uhr da. Jemand aus dem Team antwortet hier so bald wie möglich."},
		{"fr", "Europe/Paris", closed, 4 * time.Hour, "2026-11-30T13:00:00+01:00", "L'équipe est absente pour le moment. Elle est joignable aux horaires suivants : lun.–ven. 9h00–17h00 (CET). Elle sera de retour lundi à 9h00. Une personne de l'équipe répondra ici lundi avant 13h00."},
		{"en", "America/New_York", closed, 4 * time.Hour, "2026-11-30T13:00:00+01:00", "The team is away right now. Support hours are Mon–Fri 9:00–17:00 (CET); they start again on Monday at 3:00 (EST). A person from the team will reply here by 7:00 on Monday (EST)."},
		{"pl", "Europe/Warsaw", closed, 0, "", "W tej chwili nikogo z zespołu nie ma. Godziny pracy: pon.–pt. 9:00–17:00 (CET); zespół wraca w poniedziałek o 9:00. Potem ktoś z zespołu odpowie tutaj."},
		{"en-US", "Europe/Berlin", open, 100 * time.Hour, "2026-12-14T10:35:00+01:00", "A person from the team will reply here by 10:35 am on Monday, December 14."},
		{"pt", "Europe/Lisbon", "2026-11-25T11:00:00+01:00", 3 * time.Hour, "2026-11-25T14:00:00+01:00", "Uma pessoa da equipe responderá aqui hoje até as 13:00."},
		{"es", "Atlantic/Azores", "2026-11-25T12:00:00+01:00", 2*time.Hour + 30*time.Minute, "2026-11-25T14:30:00+01:00", "Una persona del equipo responderá aquí hoy antes de las 12:30."},
		{"it", "America/New_York", "2026-11-26T22:00:00+01:00", 0, "", "In questo momento il team non c'è. Gli orari dell'assistenza sono lun–ven 9:00–17:00 (CET); si riprende domani alle 3:00 (EST). Dopo, una persona risponderà qui."},
	} {
		p := notices.Compose(c.lang, office(t), c.zone, at(t, c.now), c.working)
		if p.Text != c.want {
			t.Errorf("%s in %s:\n%s\nwant\n%s", c.lang, c.zone, p.Text, c.want)
		}
		if c.by == "" != (p.ReplyBy == nil) || p.ReplyBy != nil && !p.ReplyBy.Equal(at(t, c.by)) || p.Basis != notices.BasisSupportHours {
			t.Errorf("%s: by %v on %s, want %s", c.lang, p.ReplyBy, p.Basis, c.by)
		}
	}
}

func TestOneOClockIsSaidInTheSingular(t *testing.T) {
	t.Parallel()
	w, err := hours.New([]hours.Span{{Day: time.Wednesday, From: 0, To: 1440}}, "UTC")
	if err != nil {
		t.Fatal(err)
	}
	now := at(t, "2026-11-25T00:10:00Z")
	for lang, want := range map[string]string{"es": "antes de la 1:10", "it": "entro l'1:10", "pt": "até a 1:10", "en": "by 1:10"} {
		if p := notices.Compose(lang, w, "UTC", now, time.Hour); !strings.Contains(p.Text, want) {
			t.Errorf("%s: %s", lang, p.Text)
		}
	}
}

func TestWhatIsPromisedIsNeverEarlierThanTheWorkingTime(t *testing.T) {
	t.Parallel()
	w := office(t)
	for m := at(t, "2026-03-27T00:00:00Z"); m.Before(at(t, "2026-04-01T00:00:00Z")); m = m.Add(37*time.Minute + 11*time.Second) {
		exact, ok := w.ReplyBy(m, 90*time.Minute)
		p := notices.Compose("en", w, "", m, 90*time.Minute)
		if !ok || p.ReplyBy == nil || p.ReplyBy.Before(exact) || p.ReplyBy.Sub(exact) >= 5*time.Minute {
			t.Fatalf("%v: %v, exactly %v", m, p.ReplyBy, exact)
		}
	}
}

func TestAStandingPromiseIsRepeatedAndABrokenOneOwnedUpTo(t *testing.T) {
	t.Parallel()
	w, now := office(t), at(t, "2026-11-25T14:32:10+01:00")
	p := notices.Compose("en", w, "Europe/Berlin", now, 10*time.Hour)
	if got := notices.StillWaiting("en", p, w, "Europe/Berlin", now); got != "The team will see this message too. As promised, a person will reply here by 16:35 tomorrow." {
		t.Error(got)
	}
	if got := notices.StillWaiting("en", p, w, "Europe/Berlin", now.Add(20*time.Hour)); !strings.HasSuffix(got, "by 16:35 today.") {
		t.Error(got)
	}
	none := notices.Compose("en", w, "Europe/Berlin", now, 0)
	if got := notices.StillWaiting("en", none, w, "Europe/Berlin", now.Add(5*time.Hour)); got != "The team will see this message too. The team is away right now. Support hours are Mon–Fri 9:00–17:00 (CET); they start again tomorrow at 9:00. A person will reply here after that." {
		t.Error(got)
	}
	for _, lang := range languages {
		got := notices.StillWaiting(lang, p, w, "Europe/Berlin", p.ReplyBy.Add(time.Minute))
		if digit.MatchString(got) || got == notices.StillWaiting(lang, notices.Promise{}, w, "", now) {
			t.Errorf("%s, late: %s", lang, got)
		}
	}
}

func TestEveryNoticeIsWholeInEveryLanguage(t *testing.T) {
	t.Parallel()
	w, now := office(t), at(t, "2026-11-28T01:00:00+01:00")
	for _, lang := range languages {
		p := notices.Compose(lang, w, "", now, time.Hour)
		texts := []string{
			notices.StillWaiting(lang, p, w, "", now), notices.ReleasedToTeam(lang, p), notices.ReleasedToAssistant(lang),
			notices.Offer(lang), notices.FromPages(lang), notices.NotAnswered(lang),
		}
		for _, reason := range []string{notices.VisitorAsked, notices.SensitiveTopic, notices.AssistantUnsure, notices.VisitorStuck, notices.AssistantFailed, notices.Deadline, "rule", "member_asked", ""} {
			texts = append(texts, notices.Handoff(lang, reason, p))
		}
		for _, text := range texts {
			if text == "" || strings.ContainsAny(text, "{}|—") || strings.Contains(text, "  ") || strings.TrimSpace(text) != text {
				t.Errorf("%s: %q", lang, text)
			}
		}
	}
	if notices.Offer("pt-BR") != notices.Offer("pt") || notices.Offer("fi") != notices.Offer("en") {
		t.Error("tags are not matched by their beginning")
	}
}
