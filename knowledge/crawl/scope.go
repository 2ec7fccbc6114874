package crawl

import (
	"path"
	"strings"
)

// Scope is which pages a source learns from.
type Scope struct {
	Site     Site
	Include  []string // globs, see Allowed; none means all
	Exclude  []string
	MaxPages int // 0: no limit
}

// Known is what a crawl has found so far, as far as it concerns the addresses
// that Discover is asked about.
type Known struct {
	Pages    int             // found already and not left out
	URLs     map[string]bool // those of the candidates that were found already
	Variants map[string]int  // by VariantKey
}

// Found is an address of the site that was not known before.
type Found struct {
	URL    string
	Reason Reason // empty: to be fetched
}

// Discover picks what is new and belongs to the site among the links of a page
// or the addresses of a sitemap. What is of the site but is not to be fetched is
// listed with its reason; other sites are not.
func Discover(scope Scope, robots *Robots, known Known, links []string) []Found {
	var out []Found
	seen := make(map[string]bool, len(links))
	variants := make(map[string]int, len(links))
	pages := known.Pages
	for _, link := range links {
		url, ok := scope.Site.Adopt(link)
		if !ok || seen[url] || known.URLs[url] {
			continue
		}
		seen[url] = true
		key := VariantKey(url)
		found := Found{URL: url, Reason: scope.check(url, robots, known.Variants[key]+variants[key])}
		if found.Reason == "" && scope.MaxPages > 0 && pages >= scope.MaxPages {
			found.Reason = PageLimit
		}
		if found.Reason == "" {
			pages++
			variants[key]++
		}
		out = append(out, found)
	}
	return out
}

// Candidates are the links as Discover will write them if they are of the site:
// what to look up for Known.
func Candidates(site Site, links []string) []string {
	out := make([]string, 0, len(links))
	seen := make(map[string]bool, len(links))
	for _, link := range links {
		if url, ok := site.Adopt(link); ok && !seen[url] {
			seen[url] = true
			out = append(out, url)
		}
	}
	return out
}

func (s Scope) check(url string, robots *Robots, variants int) Reason {
	switch {
	case !Allowed(url, s.Include, s.Exclude):
		return Excluded
	case robots != nil && robots.Reason == "" && !robots.Allowed(url):
		return RobotsDisallowed
	case noText[strings.ToLower(path.Ext(PathKey(url)))]:
		return UnsupportedType
	case Endless(url, variants):
		return EndlessSite
	}
	return ""
}

// noText are the names of files that hold no page, which spares the site being
// asked for them.
var noText = func() map[string]bool {
	set := map[string]bool{}
	for ext := range strings.FieldsSeq(`.7z .aac .apk .avi .avif .bin .bmp .bz2 .css .csv .deb .dmg .doc .docx .eot .eps .epub .exe
		.flac .gif .gz .ico .ics .img .ipa .iso .jar .jpeg .jpg .js .json .m4a .m4v .mjs .mkv .mov .mp3 .mp4 .mpeg .mpg .msi .odp .ods
		.odt .ogg .ogv .otf .pdf .pkg .png .ppt .pptx .ps .rar .rpm .rss .svg .swf .tar .tgz .tif .tiff .ttf .wasm .wav .webm .webp
		.wmv .woff .woff2 .xls .xlsx .xz .zip .zst`) {
		set[ext] = true
	}
	return set
}()
