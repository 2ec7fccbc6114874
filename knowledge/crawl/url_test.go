package crawl

import (
	"strings"
	"testing"
	"time"
)

func TestAnAddressHasOneForm(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"HTTP://Example.COM:80":                             "http://example.com/",
		"https://example.com.:443/a/../b/./c?":              "https://example.com/b/c",
		"https://user:pw@example.com/#top":                  "https://example.com/",
		"https://bücher.example/größe?q=ä":                  "https://xn--bcher-kva.example/gr%C3%B6%C3%9Fe?q=%C3%A4",
		"https://example.com/%7euser/%c3%bc%2f%2e":          "https://example.com/~user/%C3%BC%2F%2E",
		"https://example.com/?utm_source=a&b=1&gclid=x&B=2": "https://example.com/?b=1&B=2",
		"https://example.com/a;jsessionid=0A1B?x":           "https://example.com/a?x",
		"https://[::1]:8080/":                               "https://[::1]:8080/",
		"http:\\\\example.com\\a":                           "http://example.com/a",
		" https://example.com/a b\n ":                       "https://example.com/a%20b",
		"http://0x7f.1/":                                    "http://127.0.0.1/",
		"https://example.com/a%20b%zz":                      "https://example.com/a%20b%zz",
		"https://example.com/list?b=2&a=1":                  "https://example.com/list?b=2&a=1",
	} {
		got, err := Canonical(raw)
		if err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", raw, got, err, want)
		}
		if again, err := Canonical(got); err != nil || again != got {
			t.Errorf("%q: its own form becomes %q, %v", got, again, err)
		}
	}
	for _, raw := range []string{"", "example.com", "/a", "ftp://example.com/", "mailto:a@example.com", "javascript:1", "http://", "https://./", "http://a b/", "http://[::1", "data:text/html,x"} {
		if got, err := Canonical(raw); err == nil {
			t.Errorf("%q became %q", raw, got)
		}
	}
}

func TestASiteIsOneHostUnderBothSchemesAndItsAliases(t *testing.T) {
	t.Parallel()
	site := mustSite(t, "https://example.com/start")
	site, ok := site.Rebase("https://www.example.com/start")
	if !ok || site.Origin != "https://www.example.com" {
		t.Fatalf("moved to %+v", site)
	}
	for url, want := range map[string]string{
		"https://www.example.com/a": "https://www.example.com/a", "https://example.com/a?b": "https://www.example.com/a?b", "http://example.com/a": "https://www.example.com/a",
		"https://help.example.com/a": "", "https://example.com.evil.example/": "", "https://www.example.com:8443/": "",
	} {
		if got, _ := site.Adopt(url); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

func TestPatternsIncludeAndExclude(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		include, exclude string
		url              string
		want             bool
	}{
		{"", "", "/a", true},
		{"/docs", "", "/docs/a/b", true},
		{"/docs", "", "/docs", true},
		{"/docs/", "", "/docs", true},
		{"/docs", "", "/docsets", false},
		{"/docs/**", "", "/docs", true},
		{"/docs/*", "", "/docs/a/b", false},
		{"/docs/*/b", "", "/docs/a/b", true},
		{"**/faq*", "", "/x/y/faq-1", true},
		{"docs", "", "/docs/a", true},
		{"https://example.com/docs", "", "/docs/a", true},
		{"/über/*", "", "/%C3%BCber/a", true},
		{"", "/docs/old", "/docs/old/a", false},
		{"/docs", "/docs/old", "/docs/old/a", false},
		{"", "*?print=1", "/a?print=1", false},
		{"", "/a", "/a?print=1", false},
	} {
		if got := Allowed("https://example.com"+c.url, strings.Fields(c.include), strings.Fields(c.exclude)); got != c.want {
			t.Errorf("%s with %q but not %q: %v", c.url, c.include, c.exclude, got)
		}
	}
	start := time.Now()
	Allowed("https://example.com/"+strings.Repeat("a", 1900), []string{strings.Repeat("*a", 500) + "b"}, nil)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("a hostile pattern took %v", took)
	}
}

func TestAddressesThatASiteMakesOfItselfAreEndless(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{
		"/a/b/c": false, "/2024/05/01/a": false, "/docs/docs/docs": true, "/a1b/cde/a1b/cde/a1b/cde": true, "/1/1/1/1/1": false,
		"/" + strings.Repeat("x/", 40): true, "/" + strings.Repeat("x", 2000): true, "/?" + strings.Repeat("a=1&", 20): true,
	} {
		if got := Endless("https://example.com"+url, 0); got != want {
			t.Errorf("%.60s: %v", url, got)
		}
	}
	if !Endless("https://example.com/a?b=1", maxVariants+1) {
		t.Error("one query more is no problem")
	}
	if VariantKey("https://example.com/cal/2024/05?x") != VariantKey("https://example.com/cal/2031/12") || VariantKey("https://example.com/a/12345678901") != "https://example.com/a/12345678901" {
		t.Error("dates make other variants, or ids none")
	}
}
