package retrieval

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/relaydesk/relaydesk/knowledge/crawl"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// A page of one of the sites, cut into passages as the server does.
type page struct {
	path     string // from the site's root, as links show it
	lang     string
	passages []rank.Candidate
}

// sites reads the three help centres.
func sites(dataDir string) (map[string][]page, error) {
	f, err := os.Open(filepath.Join(dataDir, "sites", "sites.tar.gz"))
	if err != nil {
		return nil, fmt.Errorf("read the sites: %w", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("read the sites: %w", err)
	}
	out := map[string][]page{}
	archive := tar.NewReader(z)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the sites: %w", err)
		}
		name := strings.TrimPrefix(h.Name, "./")
		site, path, ok := strings.Cut(name, "/")
		if !ok || !strings.HasSuffix(path, ".html") {
			continue
		}
		body, err := io.ReadAll(archive)
		if err != nil {
			return nil, fmt.Errorf("read the page %s: %w", name, err)
		}
		out[site] = append(out[site], read("/"+strings.TrimSuffix(path, "index.html"), string(body)))
	}
	for _, pages := range out {
		slices.SortFunc(pages, func(a, b page) int { return strings.Compare(a.path, b.path) })
	}
	return out, nil
}

// read reads a page. Pages that only list links are left out, so that they can't
// be cited in place of what they link to.
func read(path, body string) page {
	read := crawl.Read(crawl.Fetched{URL: "http://site.test" + path, MediaType: crawl.HTML, Body: body})
	p := page{path: path, lang: "en"}
	if len(read.Language) >= 2 {
		p.lang = read.Language[:2]
	}
	if first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/"); len(first) == 2 {
		p.lang = first // Debian's pages don't say
	}
	if read.LinksOnly {
		return p
	}
	for _, x := range read.Passages() {
		p.passages = append(p.passages, rank.Candidate{Title: read.Title, HeadingPath: x.HeadingPath, Text: x.Text})
	}
	return p
}

// siteIndex makes a workspace of a site's pages.
func siteIndex(pages []page) *workspace {
	w := &workspace{}
	for _, p := range pages {
		for _, c := range p.passages {
			w.add(p.path, p.lang, c)
		}
	}
	return w
}
