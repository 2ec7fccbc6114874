package objects

import (
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/knowledge"
)

// Source is a website or a text to learn from.
type Source struct {
	Object    string            `json:"object" enum:"source" doc:"Always source."`
	ID        string            `json:"id" doc:"Its id." example:"src_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Type      string            `json:"type" enum:"website,text" doc:"What it is." example:"website"`
	URL       string            `json:"url,omitempty" doc:"Of a website: where reading begins." example:"https://example.com/help"`
	Title     string            `json:"title,omitempty" doc:"Its title." example:"Help centre"`
	Text      string            `json:"text,omitempty" doc:"Of a text: its words; absent in lists." example:"We deliver within three working days."`
	Include   []string          `json:"include" doc:"Of a website: only addresses that fit one of these patterns." example:"[\"/help/*\"]"`
	Exclude   []string          `json:"exclude" doc:"Of a website: no address that fits one of these patterns." example:"[\"/help/old/*\"]"`
	MaxPages  int               `json:"max_pages" doc:"How many pages are read at most." example:"1000"`
	Refresh   string            `json:"refresh" enum:"none,daily,weekly" doc:"How often it is read again." example:"weekly"`
	Status    string            `json:"status" enum:"pending,crawling,ready,failed" doc:"ready: every page is found by words and by meaning. failed: the last reading failed; what was found before still is." example:"ready"`
	Pages     SourcePages       `json:"pages" doc:"How many pages."`
	Error     string            `json:"error,omitempty" doc:"Why it failed." example:"unreachable"`
	CrawledAt string            `json:"crawled_at,omitempty" format:"date-time" doc:"When it was last read to its end."`
	Metadata  map[string]string `json:"metadata" doc:"Your own keys and values."`
	CreatedAt string            `json:"created_at" format:"date-time" doc:"When it was made."`
	UpdatedAt string            `json:"updated_at" format:"date-time" doc:"When it was last changed."`
}

// SourcePages counts a source's pages.
type SourcePages struct {
	Found     int `json:"found" doc:"Addresses that were found." example:"212"`
	Fetched   int `json:"fetched" doc:"Pages that were fetched." example:"210"`
	Indexed   int `json:"indexed" doc:"Pages that are searchable now." example:"208"`
	Unchanged int `json:"unchanged" doc:"Pages that were as before." example:"0"`
	Skipped   int `json:"skipped" doc:"Pages that were left out on purpose." example:"2"`
	Failed    int `json:"failed" doc:"Pages that something is wrong with." example:"2"`
}

// FromSource renders a source.
func FromSource(s knowledge.Source) Source {
	return Source{
		"source", id(ids.Source, s.ID), s.Type, s.URL, s.Title, s.Text, list(s.Include), list(s.Exclude), s.MaxPages, s.Refresh, s.Status,
		SourcePages(s.Pages), s.Error, maybe(s.CrawledAt), metadata(s.Metadata), at(s.CreatedAt), at(s.UpdatedAt),
	}
}

// Page is one document of a source.
type Page struct {
	Object    string `json:"object" enum:"page" doc:"Always page."`
	ID        string `json:"id" doc:"Its id." example:"page_01kb2m3n4p5q6r7s8t9v0wxyza"`
	SourceID  string `json:"source_id" doc:"The source that it belongs to." example:"src_01kb2m3n4p5q6r7s8t9v0wxyza"`
	URL       string `json:"url,omitempty" doc:"Its address; absent for a text." example:"https://example.com/help/delivery"`
	Title     string `json:"title" doc:"Its title." example:"Delivery"`
	Language  string `json:"language" doc:"Its language; empty: not known." example:"en"`
	Status    string `json:"status" enum:"indexed,skipped,failed" doc:"Whether it is searchable." example:"indexed"`
	Reason    string `json:"reason,omitempty" doc:"Why it is not, or why it could not be read again." example:"not_found"`
	Passages  int    `json:"passages" doc:"Into how many passages it was cut." example:"6"`
	FetchedAt string `json:"fetched_at,omitempty" format:"date-time" doc:"When it was last fetched."`
	CreatedAt string `json:"created_at" format:"date-time" doc:"When it was found."`
	UpdatedAt string `json:"updated_at" format:"date-time" doc:"When it last changed."`
}

// FromPage renders a page.
func FromPage(p knowledge.Page) Page {
	return Page{
		"page", id(ids.Page, p.ID), id(ids.Source, p.SourceID), p.URL, p.Title, p.Language, p.Status, p.Reason, p.Passages,
		maybe(p.FetchedAt), at(p.CreatedAt), at(p.UpdatedAt),
	}
}

// Hit is a passage that was found.
type Hit struct {
	PageID      string   `json:"page_id" doc:"The page that it is of." example:"page_01kb2m3n4p5q6r7s8t9v0wxyza"`
	SourceID    string   `json:"source_id" doc:"The source that it is of." example:"src_01kb2m3n4p5q6r7s8t9v0wxyza"`
	URL         string   `json:"url,omitempty" doc:"The page's address." example:"https://example.com/help/delivery"`
	Title       string   `json:"title" doc:"The page's title." example:"Delivery"`
	HeadingPath []string `json:"heading_path" doc:"The headings above it, from the outermost." example:"[\"Delivery\",\"Islands\"]"`
	Text        string   `json:"text" doc:"The passage." example:"Delivery to an island takes five working days."`
	Language    string   `json:"language,omitempty" doc:"Its language." example:"en"`
	Score       float64  `json:"score" doc:"By which hits are ordered; not comparable between questions." example:"5.3"`
}

// FromHit renders a hit.
func FromHit(h knowledge.Hit) Hit {
	return Hit{id(ids.Page, h.PageID), id(ids.Source, h.SourceID), h.URL, h.Title, list(h.HeadingPath), h.Text, h.Language, h.Score}
}
