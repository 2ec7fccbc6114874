// Package crawl reads a website: which addresses belong to it, what its
// robots.txt allows, what its sitemaps list, what a page says and which passages
// that makes. It keeps nothing. The frontier, what was found and what is still to
// be fetched, lives in the tables of package knowledge, so that a crawl can stop
// and go on anywhere; here are the pure steps between one row and the next:
//
//	Fetcher.Robots, Fetcher.Sitemaps   once per crawl
//	Fetcher.Fetch → Read → Discover    once per page
//	Split                              once per page whose text changed
//
// What a site answers is hostile until shown otherwise: every loop, size and
// depth has a cap, and whatever is wrong with a page ends as a Reason, not as an
// error.
package crawl

import (
	"net/http"
	"strconv"
	"strings"
)

// Agent is the product token that robots.txt addresses this crawler by.
const Agent = "relaydesk"

// UserAgent is sent with each request unless a Fetcher names another.
const UserAgent = "Mozilla/5.0 (compatible; relaydesk/1.0; +https://github.com/relaydesk/relaydesk)"

// Reason says why a page could not be fetched or is not indexed. The empty
// Reason means that nothing is wrong.
type Reason string

// The reasons. Besides these there is http_NNN for every other status, e.g.
// http_500.
const (
	RobotsDisallowed  Reason = "robots_disallowed"
	RobotsUnavailable Reason = "robots_unavailable"
	OffSite           Reason = "off_site"
	RedirectLoop      Reason = "redirect_loop"
	TooManyRedirects  Reason = "too_many_redirects"
	BadRedirect       Reason = "bad_redirect"
	BadAddress        Reason = "bad_address"
	BlockedAddress    Reason = "blocked_address"
	Unreachable       Reason = "unreachable"
	TLSFailed         Reason = "tls_failed"
	Timeout           Reason = "timeout"
	BadResponse       Reason = "bad_response"
	RateLimited       Reason = "rate_limited"
	LoginRequired     Reason = "login_required"
	NotFound          Reason = "not_found"
	Gone              Reason = "gone"
	TooLarge          Reason = "too_large"
	UnsupportedType   Reason = "unsupported_type"
	NoIndex           Reason = "noindex"
	Empty             Reason = "empty"
	Duplicate         Reason = "duplicate"
	Excluded          Reason = "excluded"
	EndlessSite       Reason = "endless_site"
	PageLimit         Reason = "page_limit"
)

var reasonTexts = map[Reason]string{
	RobotsDisallowed:  "The site's robots.txt does not allow fetching this page.",
	RobotsUnavailable: "The site's robots.txt could not be read because of a server error; until it can, nothing is fetched.",
	OffSite:           "The page redirects to another site.",
	RedirectLoop:      "The page redirects in a circle.",
	TooManyRedirects:  "The page redirects too many times.",
	BadRedirect:       "The page redirects to an address that is not valid.",
	BadAddress:        "The address is not a valid web address.",
	BlockedAddress:    "The address leads into a network that this installation may not connect to.",
	Unreachable:       "The server could not be reached.",
	TLSFailed:         "A secure connection to the server failed; its certificate may be wrong.",
	Timeout:           "The server took too long to answer.",
	BadResponse:       "The server's answer could not be read.",
	RateLimited:       "The server asks for fewer requests; the page is fetched again later.",
	LoginRequired:     "The page is not public.",
	NotFound:          "The page does not exist.",
	Gone:              "The page was removed.",
	TooLarge:          "The page is larger than 5 MiB.",
	UnsupportedType:   "The address does not lead to a page of text.",
	NoIndex:           "The page asks not to be indexed.",
	Empty:             "The page has no text.",
	Duplicate:         "The page names another page as its original, or has the same text as one.",
	Excluded:          "The source's include and exclude patterns leave this page out.",
	EndlessSite:       "The address looks like one of endlessly many made by the site itself, as a calendar does.",
	PageLimit:         "The source's limit of pages was reached.",
}

// Text is the reason as a sentence for people.
func (r Reason) Text() string {
	if text, ok := reasonTexts[r]; ok {
		return text
	}
	if status, ok := strings.CutPrefix(string(r), "http_"); ok {
		return "The server answered with the status " + status + "."
	}
	return string(r)
}

// Temporary tells whether the page may be there again later: until then what is
// known of it stays. Any other reason means that the page is gone or not for us.
func (r Reason) Temporary() bool {
	switch r {
	case RobotsUnavailable, Unreachable, TLSFailed, Timeout, BadResponse, RateLimited, httpReason(http.StatusRequestTimeout), httpReason(http.StatusTooEarly):
		return true
	}
	return strings.HasPrefix(string(r), "http_5")
}

func httpReason(status int) Reason { return Reason("http_" + strconv.Itoa(status)) }
