package hours

import (
	"fmt"
	"strings"
	"time"
)

// ParseClock reads a time of day as the API writes it ("09:00", "9:30",
// "24:00"), in minutes since midnight.
func ParseClock(s string) (int, error) {
	hour, minute, ok := strings.Cut(s, ":")
	h, okHour := digits(hour, 1)
	m, okMinute := digits(minute, 2)
	if !ok || !okHour || !okMinute || m > 59 || h > 24 || h == 24 && m > 0 {
		return 0, fmt.Errorf("%q is no time of day: write one like 09:00, up to 24:00", s)
	}
	return h*60 + m, nil
}

// digits reads one or two decimal digits, at least as many as said.
func digits(s string, atLeast int) (int, bool) {
	if len(s) < atLeast || len(s) > 2 {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// FormatClock writes minutes since midnight as ParseClock reads them.
func FormatClock(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

// ParseDay reads the English name of a day as the API writes it ("monday").
func ParseDay(s string) (time.Weekday, error) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if s == FormatDay(d) {
			return d, nil
		}
	}
	return 0, fmt.Errorf("%q is no day: write monday, tuesday, wednesday, thursday, friday, saturday or sunday", s)
}

// FormatDay writes a day as ParseDay reads it.
func FormatDay(d time.Weekday) string { return strings.ToLower(d.String()) }
