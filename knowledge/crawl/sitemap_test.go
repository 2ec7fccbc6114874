package crawl

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func sitemaps(t *testing.T, base string, robots *Robots, options Options) Sitemaps {
	t.Helper()
	got, err := newFetcher(t, loopback, options).Sitemaps(t.Context(), mustSite(t, base), robots)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func urlset(locs ...string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url><loc>` +
		strings.Join(locs, "</loc></url>\n<url><loc>") + "</loc></url></urlset>"
}

func packed(s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.Bytes()
}

func TestSitemapsOfAllKindsAreRead(t *testing.T) {
	t.Parallel()
	var base string
	base = serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/index.xml":
			_, _ = io.WriteString(w, `<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><sitemap><loc>`+base+`/packed.xml.gz</loc></sitemap>
				<sitemap><loc>/index.xml</loc></sitemap><sitemap><loc>http://other.example/s.xml</loc></sitemap><sitemap><loc> /text.txt </loc></sitemap></sitemapindex>`)
		case "/packed.xml.gz":
			_, _ = w.Write(packed(urlset(base+"/a", base+"/b?x=1&amp;y=2", "http://other.example/no", "mailto:x", base+"/a#part")))
		case "/text.txt":
			_, _ = io.WriteString(w, "\ufeff"+base+"/c\r\n"+base+"/d\r\nnonsense\n")
		case "/sitemap.xml":
			_, _ = io.WriteString(w, " \n\ufeff"+`<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
				<url><loc><![CDATA[`+base+`/e]]></loc><image:image><image:loc>`+base+`/e.png</image:loc></image:image></url><url><loc>`+base+`/f</loc></url><url><loc>broken & <</urlset>`)
		default:
			http.NotFound(w, r)
		}
	})
	got := sitemaps(t, base, ParseRobots("Sitemap: /index.xml\nSitemap: /missing.xml\nSitemap: http://other.example/s.xml"), Options{})
	for i := range got.URLs {
		got.URLs[i] = strings.TrimPrefix(got.URLs[i], base)
	}
	slices.Sort(got.URLs)
	want := []string{"/a", "/b?x=1&y=2", "/c", "/d", "/e", "/f"}
	if !slices.Equal(got.URLs, want) || got.Partial || got.Read != 4 {
		t.Errorf("got %+v, want %v", got, want)
	}
}

func TestPagesThatAreNoSitemapListNothing(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "<!doctype html><html><body>Not found <loc>http://example.com/x</loc>", "\x1f\x8bbroken", "\x00\x01", `{"loc": "http://example.com/"}`, "<urlset", "<?xml encoding='none'?><urlset>"} {
		parseSitemap([]byte(body), func(loc string, _ bool) bool {
			t.Errorf("%q lists %s", body, loc)
			return true
		})
	}
}

func TestSitemapBombsAreBounded(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	var base string
	huge := packed("<urlset><url><loc>" + strings.Repeat("\x20", 30<<20))
	base = serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		switch {
		case strings.HasPrefix(r.URL.Path, "/deep"):
			_, _ = fmt.Fprintf(w, "<sitemapindex><sitemap><loc>%s/deep%d</loc></sitemap></sitemapindex>", base, n)
		case r.URL.Path == "/zip":
			_, _ = w.Write(huge)
		case r.URL.Path == "/long":
			_, _ = io.WriteString(w, "<urlset>")
			for i := range 51_000 {
				_, _ = fmt.Fprintf(w, "<url><loc>%s/%d</loc></url>", base, i)
			}
		default:
			_, _ = io.WriteString(w, "<sitemapindex>")
			for i := range 1000 {
				_, _ = fmt.Fprintf(w, "<sitemap><loc>%s/wide%d-%d</loc></sitemap>", base, n, i)
			}
		}
	})
	for path, most := range map[string]int64{"/deep": maxMapDepth + 2, "/wide": maxMaps, "/long": 2, "/zip": 2} {
		asked.Store(0)
		robots := ParseRobots("Sitemap: " + path + "\nUser-agent: *\nDisallow: /sitemap.xml")
		got := sitemaps(t, base, robots, Options{MapTime: time.Minute})
		if n := asked.Load(); n > most {
			t.Errorf("%s: %d files were asked for", path, n)
		}
		if !got.Partial && path != "/zip" || len(got.URLs) > maxMapURLs {
			t.Errorf("%s: partial %v, %d addresses", path, got.Partial, len(got.URLs))
		}
	}
}

func TestSitemapsTakeNoMoreThanTheirTime(t *testing.T) {
	t.Parallel()
	base := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	got := sitemaps(t, base, ParseRobots("Sitemap: /a.xml"), Options{MapTime: 50 * time.Millisecond})
	if !got.Partial || len(got.URLs) != 0 {
		t.Errorf("got %+v", got)
	}
}
