package crawl

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// walk crawls a whole site as package knowledge does, without keeping anything.
func walk(t *testing.T, start string, scope Scope) (indexed map[string]Page, reasons map[string]Reason) {
	t.Helper()
	indexed, reasons = map[string]Page{}, map[string]Reason{}
	f := newFetcher(t, loopback, Options{})
	scope.Site = mustSite(t, start)
	robots, err := f.Robots(t.Context(), scope.Site)
	if err != nil {
		t.Fatal(err)
	}
	maps, err := f.Sitemaps(t.Context(), scope.Site, robots)
	if err != nil {
		t.Fatal(err)
	}
	known := Known{URLs: map[string]bool{}, Variants: map[string]int{}}
	var queue []string
	discover := func(links []string) {
		for _, found := range Discover(scope, robots, known, links) {
			known.URLs[found.URL] = true
			if found.Reason != "" {
				reasons[found.URL] = found.Reason
				continue
			}
			known.Pages++
			known.Variants[VariantKey(found.URL)]++
			queue = append(queue, found.URL)
		}
	}
	discover(append([]string{start}, maps.URLs...))
	for len(queue) > 0 {
		url := queue[0]
		queue = queue[1:]
		got, err := f.Fetch(t.Context(), Request{URL: url, Site: scope.Site, Robots: robots})
		if err != nil {
			t.Fatal(err)
		}
		if got.Reason != "" {
			reasons[url] = got.Reason
			continue
		}
		page := Read(got)
		discover(page.Links)
		if reason := page.Reason(); reason != "" {
			reasons[url] = reason
			continue
		}
		indexed[url] = page
	}
	return indexed, reasons
}

func serveHTML(w http.ResponseWriter, format string, args ...any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, format, args...)
}

func TestASiteIsCrawledWholeAndWhatIsLeftOutHasItsReason(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/robots.txt":
			_, _ = io.WriteString(w, "User-agent: *\nDisallow: /private")
		case "/sitemap.xml":
			_, _ = io.WriteString(w, urlset("http://"+r.Host+"/only-in-the-sitemap"))
		case "/":
			serveHTML(w, `<p>Start</p><a href=/a>A</a><a href="a#x">A</a><a href=/private/x>P</a><a href=/gone>G</a><a href=/err>E</a><a href=/file.pdf>F</a>
				<a href=/bin>B</a><a href=/old/x>O</a><a href=/hidden>H</a><a href=/copy>C</a><a href=/empty>M</a><a href=http://other.example/>X</a>`)
		case "/a", "/only-in-the-sitemap":
			serveHTML(w, "<p>%s</p><a href=/>back</a>", r.URL.Path)
		case "/gone":
			w.WriteHeader(http.StatusGone)
		case "/err":
			w.WriteHeader(http.StatusInternalServerError)
		case "/bin":
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "\x7fELF\x02\x01\x01\x00\x00\x00")
		case "/hidden":
			serveHTML(w, "<meta name=robots content=noindex><p>x")
		case "/copy":
			serveHTML(w, "<link rel=canonical href=/a><p>x")
		case "/empty":
			serveHTML(w, "<div id=app></div>")
		default:
			t.Errorf("%s was asked for", r.URL)
		}
	})
	indexed, reasons := walk(t, base+"/", Scope{Exclude: []string{"/old"}})
	for _, path := range []string{"/", "/a", "/only-in-the-sitemap"} {
		if _, ok := indexed[base+path]; !ok {
			t.Errorf("%s is not indexed: %q", path, reasons[base+path])
		}
	}
	want := map[string]Reason{
		"/private/x": RobotsDisallowed, "/gone": Gone, "/err": "http_500", "/file.pdf": UnsupportedType, "/bin": UnsupportedType, "/old/x": Excluded,
		"/hidden": NoIndex, "/copy": Duplicate, "/empty": Empty,
	}
	for path, reason := range want {
		if reasons[base+path] != reason {
			t.Errorf("%s: %q, want %q", path, reasons[base+path], reason)
		}
	}
	if len(indexed) != 3 || len(reasons) != len(want) {
		t.Errorf("indexed %d, left out %v", len(indexed), reasons)
	}
}

func TestEndlessSitesEnd(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]func(r *http.Request) string{
		"calendar of queries": func(r *http.Request) string {
			n := 0
			_, _ = fmt.Sscanf(r.URL.RawQuery, "month=%d", &n)
			return fmt.Sprintf("<p>Month %d</p><a href='/?month=%d'>next</a>", n, n+1)
		},
		"calendar of paths": func(r *http.Request) string {
			year, month := 2000, 1
			_, _ = fmt.Sscanf(r.URL.Path, "/%d/%d", &year, &month)
			at := time.Date(year, time.Month(month)+1, 1, 0, 0, 0, 0, time.UTC)
			return "<p>" + r.URL.Path + at.Format("</p><a href='/2006/01'>next</a>")
		},
		"relative links": func(r *http.Request) string { return "<p>" + r.URL.Path + "</p><a href='docs/page/'>again</a>" },
		"two by two": func(r *http.Request) string {
			return "<p>" + r.URL.Path + "</p><a href='a1b/'>a</a><a href='c2d/'>c</a>"
		},
		"ever longer": func(r *http.Request) string { return "<p>x</p><a href='?" + r.URL.RawQuery + "&xyz=1'>more</a>" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, ".txt") || strings.HasSuffix(r.URL.Path, ".xml") {
					http.NotFound(w, r)
					return
				}
				serveHTML(w, "%s", page(r))
			})
			indexed, reasons := walk(t, base+"/", Scope{MaxPages: 1000})
			endless := 0
			for _, reason := range reasons {
				if reason == EndlessSite {
					endless++
				}
			}
			if len(indexed) > maxVariants+2 && name != "two by two" || len(indexed) > 1000 || endless == 0 && name != "two by two" {
				t.Errorf("indexed %d, endless %d", len(indexed), endless)
			}
		})
	}
}

func TestTheLimitOfPagesNamesTheRest(t *testing.T) {
	t.Parallel()
	scope := Scope{Site: Site{Origin: "https://example.com"}, MaxPages: 3}
	links := []string{"https://example.com/a", "https://example.com/b", "https://example.com/a", "https://example.com/c", "https://example.com/x.png"}
	got := Discover(scope, nil, Known{Pages: 1, URLs: map[string]bool{"https://example.com/a": true}}, append(links, "https://example.com/d"))
	want := []Found{{"https://example.com/b", ""}, {"https://example.com/c", ""}, {"https://example.com/x.png", UnsupportedType}, {"https://example.com/d", PageLimit}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v", got)
	}
}

func TestASiteThatForbidsAllIsNotAskedForMore(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/robots.txt" {
			t.Errorf("%s was asked for", r.URL)
		}
		_, _ = io.WriteString(w, "User-agent: *\nDisallow: /")
	})
	indexed, reasons := walk(t, base+"/", Scope{})
	if len(indexed) != 0 || reasons[base+"/"] != RobotsDisallowed {
		t.Errorf("indexed %v, reasons %v", indexed, reasons)
	}
}
