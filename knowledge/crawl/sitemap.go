package crawl

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"

	"golang.org/x/net/html/charset"
)

const (
	maxMaps       = 50
	maxMapURLs    = 50_000
	maxMapDepth   = 3
	maxMapBody    = 10 << 20 // as sent
	maxMapContent = 20 << 20 // unpacked; enough for as many addresses as are taken
)

// Sitemaps is what the sitemaps of a site list.
type Sitemaps struct {
	URLs    []string // canonical, of the site, each once, in the order found
	Read    int      // files that could be read
	Partial bool     // a limit of files, addresses, depth or time ended the reading
}

// Sitemaps reads the sitemaps that robots.txt names and /sitemap.xml. Files that
// are missing or broken are passed over, of broken ones what could be read is
// kept. The error is only ever that of a ctx that ended.
func (f *Fetcher) Sitemaps(ctx context.Context, site Site, robots *Robots) (Sitemaps, error) {
	limited, cancel := context.WithTimeout(ctx, f.options.MapTime)
	defer cancel()
	reading := mapReading{site: site, seen: map[string]bool{}, listed: map[string]bool{}}
	for _, named := range append(robots.Sitemaps[:len(robots.Sitemaps):len(robots.Sitemaps)], "/sitemap.xml") {
		reading.queue(named, site.Origin+"/", 0)
	}
	for len(reading.waiting) > 0 && !reading.full() {
		next := reading.waiting[0]
		reading.waiting = reading.waiting[1:]
		if !robots.Allowed(next.url) {
			continue
		}
		if limited.Err() != nil || reading.files >= maxMaps {
			reading.out.Partial = true
			break
		}
		reading.files++
		f.readMap(limited, next, &reading)
	}
	if err := ctx.Err(); err != nil {
		return Sitemaps{}, fmt.Errorf("read sitemaps of %s: %w", site.Origin, err)
	}
	return reading.out, nil
}

func (f *Fetcher) readMap(ctx context.Context, next waitingMap, reading *mapReading) {
	perFile, cancel := context.WithTimeout(ctx, f.options.Timeout)
	defer cancel()
	sameSite := func(canonical string) Reason {
		if _, ok := reading.site.Rebase(canonical); !ok {
			return OffSite
		}
		return ""
	}
	f.follow(perFile, next.url, Validators{}, sameSite, func(res *http.Response, out *Fetched) Reason {
		body, reason := bytesOf(res, maxMapBody)
		if reason != "" {
			reading.out.Partial = reading.out.Partial || reason == TooLarge
			return reason
		}
		if parseSitemap(body, func(loc string, isMap bool) bool {
			if isMap {
				reading.queue(loc, out.URL, next.depth+1)
			} else {
				reading.list(loc, out.URL)
			}
			return !reading.full()
		}) {
			reading.out.Read++
		}
		return ""
	})
}

type waitingMap struct {
	url   string
	depth int
}

type mapReading struct {
	site    Site
	waiting []waitingMap
	files   int
	seen    map[string]bool // sitemaps
	listed  map[string]bool // pages
	out     Sitemaps
}

func (m *mapReading) full() bool { return len(m.out.URLs) >= maxMapURLs }

func (m *mapReading) own(ref, base string) (string, bool) {
	canonical, err := Resolve(base, strings.TrimSpace(ref))
	if err != nil {
		return "", false
	}
	return m.site.Adopt(canonical)
}

func (m *mapReading) queue(ref, base string, depth int) {
	url, ok := m.own(ref, base)
	if !ok || m.seen[url] {
		return
	}
	if depth > maxMapDepth || len(m.seen) >= 10*maxMaps {
		m.out.Partial = true
		return
	}
	m.seen[url] = true
	m.waiting = append(m.waiting, waitingMap{url: url, depth: depth})
}

func (m *mapReading) list(ref, base string) {
	url, ok := m.own(ref, base)
	if !ok || m.listed[url] {
		return
	}
	m.listed[url] = true
	m.out.URLs = append(m.out.URLs, url)
	m.out.Partial = m.out.Partial || m.full()
}

// parseSitemap calls found with each location of a sitemap, an index or a list
// of addresses in plain text, packed or not, until found returns false. It
// returns whether the body was any of these.
func parseSitemap(body []byte, found func(loc string, isMap bool) bool) bool {
	var content io.Reader = bytes.NewReader(body)
	for range 2 { // a packed file that the server packed once more
		buffered := bufio.NewReaderSize(content, 4096)
		content = buffered
		if magic, err := buffered.Peek(2); err != nil || magic[0] != 0x1f || magic[1] != 0x8b {
			break
		}
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			return false
		}
		content = unpacked
	}
	buffered := bufio.NewReaderSize(io.LimitReader(content, maxMapContent), 4096)
	skipGarbage(buffered)
	start, _ := buffered.Peek(1)
	switch {
	case len(start) == 0:
		return false
	case start[0] == '<':
		return parseXMLMap(buffered, found)
	default:
		return parseTextMap(buffered, found)
	}
}

// skipGarbage drops a byte order mark and white space, which an XML declaration
// must not have before it but often has.
func skipGarbage(r *bufio.Reader) {
	for {
		c, err := r.ReadByte()
		if err != nil {
			return
		}
		switch c {
		case 0xef, 0xbb, 0xbf, ' ', '\t', '\r', '\n':
		default:
			_ = r.UnreadByte() // the byte was just read
			return
		}
	}
}

func parseXMLMap(r io.Reader, found func(loc string, isMap bool) bool) bool {
	decoder := xml.NewDecoder(r)
	decoder.Strict = false
	decoder.Entity = xml.HTMLEntity
	decoder.CharsetReader = charset.NewReaderLabel
	var isSitemap, inLoc bool
	var parent string
	var loc strings.Builder
	for {
		token, err := decoder.Token()
		if err != nil { // the end, or what is broken: what came before it counts
			return isSitemap
		}
		switch t := token.(type) {
		case xml.StartElement:
			switch name := strings.ToLower(t.Name.Local); name {
			case "urlset", "sitemapindex":
				isSitemap = true
			case "url", "sitemap":
				parent = name
			case "loc":
				// image:loc and video:… are of another namespace and not pages.
				inLoc = t.Name.Space == "" || strings.Contains(t.Name.Space, "sitemap/0") || strings.Contains(t.Name.Space, "sitemaps.org")
				loc.Reset()
			}
		case xml.CharData:
			if inLoc && loc.Len()+len(t) <= 2*maxURL {
				loc.Write(t)
			}
		case xml.EndElement:
			if inLoc && strings.EqualFold(t.Name.Local, "loc") {
				inLoc = false
				if isSitemap && !found(strings.TrimSpace(loc.String()), parent == "sitemap") {
					return true
				}
			}
		}
	}
}

func parseTextMap(r io.Reader, found func(loc string, isMap bool) bool) bool {
	lines := bufio.NewScanner(r)
	isSitemap := false
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if !strings.HasPrefix(line, "http://") && !strings.HasPrefix(line, "https://") {
			continue
		}
		isSitemap = true
		if !found(line, false) {
			break
		}
	}
	return isSitemap
}
