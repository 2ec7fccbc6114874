package crawl

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRobotsRulesAreThoseOfRFC9309(t *testing.T) {
	t.Parallel()
	const site = "http://example.com"
	for name, c := range map[string]struct {
		robots  string
		allowed string // paths
		refused string
	}{
		"nothing said":           {"", "/ /a", ""},
		"all forbidden":          {"User-agent: *\nDisallow: /", "/robots.txt", "/ /a /?q"},
		"empty disallow":         {"User-agent: *\nDisallow:", "/ /a", ""},
		"own group before *":     {"User-agent: *\nDisallow: /\n\nUser-agent: Relaydesk/2.0\nDisallow: /x", "/ /a", "/x /xy"},
		"own group without rule": {"User-agent: *\nDisallow: /\nUser-agent: relaydesk", "/ /a", ""},
		"prefix is not ours":     {"User-agent: relay\nDisallow: /\nUser-agent: relaydesk-x\nDisallow: /", "/ /a", ""},
		"groups add up":          {"User-agent: relaydesk\nDisallow: /a\nUser-agent: b\nDisallow: /b\nUser-agent: relaydesk\nDisallow: /c", "/b", "/a /c"},
		"several names":          {"User-agent: a\nUser-agent: relaydesk\nDisallow: /x", "/", "/x"},
		"the longest wins":       {"User-agent: *\nDisallow: /\nAllow: /docs\nDisallow: /docs/old", "/docs /docs/new", "/ /docs/old/1"},
		"allow wins a tie":       {"User-agent: *\nDisallow: /a\nAllow: /a", "/a", ""},
		"stars and ends":         {"User-agent: *\nDisallow: /*.php$\nDisallow: /*/private/*/x", "/a.php5 /private/a/x", "/a.php /b/c.php /b/private/c/d/x/y"},
		"escapes":                {"User-agent: *\nDisallow: /über\nDisallow: /%61b\nDisallow: /c%2fd", "/c/d", "/%C3%BCber /ab /c%2Fd"},
		"comments, CR, mark":     {"\ufeffUser-agent: * # all\rDisallow: /x # that\r\n#Disallow: /", "/", "/x"},
		"lines that lack sense":  {"<html>\nfoo\nDisallow: /\nUser-agent: *\n:\nDisallow /y", "/x", "/y"},
		"addresses of others":    {"User-agent: *\nDisallow: https://shop.example.com/", "/ /x", ""},
		"sitemap parts no group": {"User-agent: *\nSitemap: /s.xml\nDisallow: /x", "/", "/x"},
	} {
		robots := ParseRobots(c.robots)
		for path := range strings.FieldsSeq(c.allowed) {
			if !robots.Allowed(site + path) {
				t.Errorf("%s: %s is refused", name, path)
			}
		}
		for path := range strings.FieldsSeq(c.refused) {
			if robots.Allowed(site + path) {
				t.Errorf("%s: %s is allowed", name, path)
			}
		}
	}
}

func TestSitemapsAndDelaysAreReadFromRobots(t *testing.T) {
	t.Parallel()
	r := ParseRobots("Sitemap: http://example.com/a.xml\nUser-agent: *\nCrawl-delay: 2.5\nDisallow:\nsitemap:/b.xml\nUser-agent: other\nCrawl-delay: 9")
	if len(r.Sitemaps) != 2 || r.Delay != 2500*time.Millisecond {
		t.Errorf("got %v and %v", r.Sitemaps, r.Delay)
	}
	for delay, want := range map[string]time.Duration{"3600": maxDelay, "Inf": maxDelay, "NaN": 0, "-1": 0, "soon": 0} {
		if r := ParseRobots("User-agent: *\nCrawl-delay: " + delay); r.Delay != want {
			t.Errorf("%s: %v, want %v", delay, r.Delay, want)
		}
	}
	for origin, none := range map[string]bool{"http://127.0.0.1:80": true, "http://[::1]:80": true, "http://localhost": true, "https://example.com": false, "http://10.0.0.1": false} {
		if pause := r.Pause(Site{Origin: origin}); (pause == 0) != none {
			t.Errorf("%s: a pause of %v", origin, pause)
		}
	}
}

func TestWhatHappensToRobotsDecidesForTheSite(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct {
		status  int
		reason  Reason
		allowed bool
	}{
		"missing":   {404, "", true},
		"forbidden": {403, "", true},
		"broken":    {500, RobotsUnavailable, false},
		"away":      {503, RobotsUnavailable, false},
		"limited":   {429, RobotsUnavailable, false},
	} {
		base := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(want.status) })
		robots, err := newFetcher(t, loopback, Options{}).Robots(t.Context(), mustSite(t, base))
		if err != nil || robots.Reason != want.reason || robots.Allowed(base+"/") != want.allowed {
			t.Errorf("%s: %+v, %v", path, robots, err)
		}
	}
	robots, err := newFetcher(t, loopback, Options{}).Robots(t.Context(), mustSite(t, "http://no-such-host.invalid/"))
	if err != nil || robots.Reason != RobotsUnavailable || robots.Cause != Unreachable {
		t.Errorf("a site that is down: %+v, %v", robots, err)
	}
}

func TestOnlyTheStartOfAnEndlessRobotsIsRead(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" {
			http.Redirect(w, r, "/other.txt", http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "User-agent: *\nDisallow: /x\n")
		line := strings.Repeat("# nothing\n", 1000)
		for {
			if _, err := io.WriteString(w, line); err != nil {
				return
			}
		}
	})
	robots, err := newFetcher(t, loopback, Options{}).Robots(t.Context(), mustSite(t, base))
	if err != nil || robots.Reason != "" || robots.Allowed(base+"/x") || !robots.Allowed(base+"/y") || len(robots.Text) > maxRobots {
		t.Errorf("got reason %q and %d bytes, %v", robots.Reason, len(robots.Text), err)
	}
}

func TestHostilePatternsTakeNoTime(t *testing.T) {
	t.Parallel()
	robots := ParseRobots("User-agent: *\n" + strings.Repeat("Disallow: /"+strings.Repeat("*a", 1000)+"b$\n", 200))
	start := time.Now()
	if !robots.Allowed("http://example.com/" + strings.Repeat("a", 1900)) {
		t.Error("refused")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}
