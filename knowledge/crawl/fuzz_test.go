package crawl

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{"http://example.com/a%2fb?x=%zz#f", "HTTPS://[::1]:8/../%2e/", "http://ex\tample.com\\a;jsessionid=1", "//x", "http://a.:1/", "http://xn--a/", "http://é/%FF"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		canonical, err := Canonical(raw)
		if err != nil {
			return
		}
		if again, err := Canonical(canonical); err != nil || again != canonical {
			t.Errorf("%q becomes %q and then %q, %v", raw, canonical, again, err)
		}
		site, err := SiteOf(canonical)
		if err != nil {
			t.Fatalf("%q has no site: %v", canonical, err)
		}
		if adopted, ok := site.Adopt(canonical); !ok || adopted != canonical {
			t.Errorf("%q is not of its own site %q", canonical, site.Origin)
		}
		Endless(canonical, 0)
		Allowed(canonical, []string{raw}, []string{"/**/x*"})
	})
}

func FuzzParseRobots(f *testing.F) {
	f.Add("User-agent: *\nDisallow: /a*b$\nAllow: /\nCrawl-delay: 1e9\nSitemap: x", "/ab")
	f.Add("\ufeffuser-agent relaydesk\rdisallow %zz**$$", "/%")
	f.Fuzz(func(t *testing.T, text, path string) {
		robots := ParseRobots(text)
		if robots.Delay < 0 || robots.Delay > maxDelay || len(robots.Sitemaps) > maxMaps {
			t.Errorf("delay %v, %d sitemaps", robots.Delay, len(robots.Sitemaps))
		}
		if !robots.Allowed("https://example.com/robots.txt") {
			t.Error("robots.txt itself is refused")
		}
		if canonical, err := Resolve("https://example.com/", path); err == nil {
			robots.Allowed(canonical)
		}
	})
}

func FuzzParseSitemap(f *testing.F) {
	f.Add([]byte(urlset("http://example.com/a", "/b")))
	f.Add(packed(urlset("http://example.com/a")))
	f.Add([]byte("\xef\xbb\xbfhttp://example.com/\nx"))
	f.Add([]byte("<!DOCTYPE x [<!ENTITY a '&b;'>]><sitemapindex><sitemap><loc>&a;&amp;</loc>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		found := 0
		parseSitemap(body, func(loc string, _ bool) bool {
			if found++; len(loc) > 64<<10 {
				t.Errorf("a location of %d bytes", len(loc))
			}
			return found < 100
		})
		if found > 100 {
			t.Error("went on after it was told to stop")
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add("<title>T</title><base href=x><main><h1 id=a>A</h1><p>x<details><summary>Q<table><tr><td>1<td>2</table><pre>\n a", "text/html")
	f.Add("<dl><dt>Q?<dd>A<dl><dt>R?</dl></dl><h2><h3><button aria-expanded>x</button><a href='#q'>#</a>", "text/html")
	f.Add(strings.Repeat("<b><div>", 600)+"x\x00\xff", "text/html; charset=utf-16")
	f.Add("# a\n```\n| a | b | c |\n---\n[x](y)\n- z", "text/markdown")
	f.Fuzz(func(t *testing.T, body, declared string) {
		text := decodeText([]byte(body), declared)
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			t.Fatalf("decoded to %q", text)
		}
		kind := HTML
		if strings.Contains(declared, "markdown") {
			kind = Markdown
		}
		page := Read(Fetched{URL: "https://example.com/a/b.html", MediaType: kind, Body: text})
		if page.Title == "" {
			t.Error("no title")
		}
		for _, link := range page.Links {
			if canonical, err := Canonical(link); err != nil || canonical != link {
				t.Errorf("the link %q is not canonical: %q, %v", link, canonical, err)
			}
		}
		for _, p := range page.Passages() {
			if !hasLetter(p.Text) || !utf8.ValidString(p.Text) || strings.ContainsRune(p.Text, 0) || cost(p.Text) > maxCost {
				t.Errorf("the passage %q", p.Text)
			}
			for _, h := range p.HeadingPath {
				if h == "" || !utf8.ValidString(h) {
					t.Errorf("the heading %q", h)
				}
			}
		}
	})
}
