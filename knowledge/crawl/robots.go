package crawl

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxRobots     = 500 << 10 // RFC 9309, 2.5
	maxRobotsLine = 4 << 10
	maxDelay      = 5 * time.Second
	usualDelay    = 250 * time.Millisecond
)

// Robots is what a site's robots.txt says to this crawler, read as RFC 9309
// demands. It is our own because the libraries for Go take a group for "r" as
// one for "relaydesk" too, and compare paths without undoing their escapes.
type Robots struct {
	// Reason is set when nothing may be fetched: RobotsUnavailable, or
	// BlockedAddress. Cause says what kept the file from being read.
	Reason   Reason
	Cause    Reason
	Text     string        // the file, at most 500 KiB; ParseRobots reads it again
	Sitemaps []string      // as written, not yet checked
	Delay    time.Duration // what Crawl-delay asks for, at most 5 s

	rules []rule
}

type rule struct {
	allow    bool
	length   int      // of the pattern, by which the most specific rule wins
	parts    []string // what stands between its stars
	toTheEnd bool     // it ends in $
}

// Robots fetches and reads the site's robots.txt. A file that does not exist
// allows everything; one that cannot be read because of the server forbids
// everything for now. The error is only ever that of a ctx that ended.
func (f *Fetcher) Robots(ctx context.Context, site Site) (*Robots, error) {
	limited, cancel := context.WithTimeout(ctx, f.options.Timeout)
	defer cancel()
	var text string
	out := f.follow(limited, site.Origin+"/robots.txt", Validators{},
		// RFC 9309 follows redirects across hosts; the dialled address is checked.
		func(string) Reason { return "" },
		func(res *http.Response, _ *Fetched) Reason {
			// What lies beyond the limit is ignored, not refused.
			body, err := io.ReadAll(io.LimitReader(res.Body, maxRobots))
			if err != nil {
				return failure(err)
			}
			text = clean(body)
			return ""
		})
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("fetch robots.txt of %s: %w", site.Origin, err)
	}
	switch {
	case out.Reason == "":
		return ParseRobots(text), nil
	case out.Reason == BlockedAddress, out.Reason == BadAddress:
		return &Robots{Reason: out.Reason, Cause: out.Reason}, nil
	case out.Reason == RateLimited, out.Status < 300, out.Status >= 500:
		return &Robots{Reason: RobotsUnavailable, Cause: out.Reason}, nil
	default:
		return &Robots{}, nil
	}
}

// Allowed tells whether the page at a canonical address may be fetched.
func (r *Robots) Allowed(canonical string) bool {
	if r.Reason != "" {
		return false
	}
	path := normaliseEscapes(pathOf(canonical))
	if path == "/robots.txt" {
		return true
	}
	allow, length := true, -1
	for i := range r.rules {
		// Of two rules as specific as each other, the one that allows wins.
		if rule := &r.rules[i]; (rule.length > length || rule.length == length && rule.allow) && rule.matches(path) {
			allow, length = rule.allow, rule.length
		}
	}
	return allow
}

// Pause is how long to wait between two fetches from the site; nothing on the
// machine itself.
func (r *Robots) Pause(site Site) time.Duration {
	if isLoopback(site.Origin) {
		return 0
	}
	return max(r.Delay, usualDelay)
}

func isLoopback(o string) bool {
	u, err := url.Parse(o)
	if err != nil {
		return false
	}
	host := u.Hostname()
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// ParseRobots reads the text of a robots.txt. It never fails: lines that make no
// sense are ignored.
func ParseRobots(text string) *Robots { return parseRobots(text, Agent) }

// parseRobots collects the rules of all groups for the agent, or of those for *
// when there is none.
func parseRobots(text, agent string) *Robots {
	r := &Robots{Text: text}
	var own, general []rule
	var ownDelay, generalDelay time.Duration
	var named, forOwn, forGeneral, inRules bool
	for line := range strings.FieldsFuncSeq(strings.TrimPrefix(text, "\ufeff"), func(c rune) bool { return c == '\n' || c == '\r' }) {
		key, value, ok := robotsLine(line)
		if !ok {
			continue
		}
		switch key {
		case "user-agent":
			if inRules {
				forOwn, forGeneral, inRules = false, false, false
			}
			if value == "*" || strings.HasPrefix(value, "* ") {
				forGeneral = true
			} else if token := productToken(value); token != "" && strings.EqualFold(token, agent) {
				forOwn, named = true, true
			}
		case "allow", "disallow":
			inRules = true
			if value == "" {
				continue
			}
			rule := newRule(key == "allow", value)
			if forOwn {
				own = append(own, rule)
			}
			if forGeneral {
				general = append(general, rule)
			}
		case "crawl-delay":
			// It does not end a group's names: RFC 9309, 2.2.4.
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil || !(seconds > 0) {
				continue
			}
			delay := time.Duration(min(seconds, maxDelay.Seconds()) * float64(time.Second))
			if forOwn {
				ownDelay = delay
			}
			if forGeneral {
				generalDelay = delay
			}
		case "sitemap":
			if value != "" && len(r.Sitemaps) < maxMaps {
				r.Sitemaps = append(r.Sitemaps, value)
			}
		}
	}
	if r.rules, r.Delay = general, generalDelay; named {
		r.rules, r.Delay = own, ownDelay
	}
	return r
}

// robotsLine splits "key: value # comment". Some write a space for the colon.
func robotsLine(line string) (key, value string, ok bool) {
	if len(line) > maxRobotsLine {
		line = line[:maxRobotsLine]
	}
	line, _, _ = strings.Cut(line, "#")
	line = strings.TrimSpace(line)
	if key, value, ok = strings.Cut(line, ":"); !ok {
		if fields := strings.Fields(line); len(fields) == 2 {
			key, value, ok = fields[0], fields[1], true
		}
	}
	key = strings.ToLower(strings.TrimSpace(key))
	switch key {
	case "useragent", "user agent":
		key = "user-agent"
	case "dissallow", "dissalow", "disalow", "diasllow", "disallaw":
		key = "disallow"
	case "site-map":
		key = "sitemap"
	case "crawldelay", "crawl delay":
		key = "crawl-delay"
	}
	return key, strings.TrimSpace(value), ok
}

// productToken is the name before a version: "Relaydesk/1.0" addresses relaydesk.
func productToken(s string) string {
	for i, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return s[:i]
		}
	}
	return s
}

func newRule(allow bool, pattern string) rule {
	pattern = escapePattern(pattern)
	r := rule{allow: allow, length: len(pattern)}
	if rest, ok := strings.CutSuffix(pattern, "$"); ok {
		pattern, r.toTheEnd = rest, true
	}
	r.parts = strings.Split(pattern, "*")
	return r
}

// matches looks for the parts from left to right, each as early as it occurs,
// which takes a time of the path's length whatever the pattern.
func (r *rule) matches(path string) bool {
	rest, ok := strings.CutPrefix(path, r.parts[0])
	if !ok {
		return false
	}
	if len(r.parts) == 1 {
		return !r.toTheEnd || rest == ""
	}
	last := len(r.parts) - 1
	for i, part := range r.parts[1:] {
		if i+1 == last && r.toTheEnd {
			return strings.HasSuffix(rest, part)
		}
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return true
}

// escapePattern writes a pattern as canonical addresses are written: without
// letters beyond ASCII, and nothing escaped that need not be.
func escapePattern(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 0x80 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return normaliseEscapes(b.String())
}
