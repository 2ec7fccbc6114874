package crawl

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/relaydesk/relaydesk/internal/outbound"
)

const (
	maxBody      = 5 << 20
	maxRedirects = 5
	maxWait      = 24 * time.Hour
)

// Options change how a Fetcher behaves; zero values mean the defaults.
type Options struct {
	UserAgent string        // default UserAgent
	Timeout   time.Duration // for one page with its redirects, body included; default 20 s
	MapTime   time.Duration // for all sitemaps of a site together; default 25 s
}

// Fetcher fetches pages, robots.txt and sitemaps. It is safe for concurrent use.
type Fetcher struct {
	client  *http.Client
	options Options
}

// NewFetcher makes a Fetcher of a client from internal/outbound, which decides
// which networks may be reached and follows no redirect.
func NewFetcher(client *http.Client, options Options) *Fetcher {
	if options.UserAgent == "" {
		options.UserAgent = UserAgent
	}
	if options.Timeout <= 0 {
		options.Timeout = 20 * time.Second
	}
	if options.MapTime <= 0 {
		options.MapTime = 25 * time.Second
	}
	return &Fetcher{client: client, options: options}
}

// Validators are what a server said about the version of a page that is known
// already; sent back, they let it answer that nothing has changed.
type Validators struct {
	ETag         string
	LastModified string
}

// Request names a page to fetch.
type Request struct {
	URL        string     // canonical
	Site       Site       // what redirects may lead to; the zero Site means that of URL
	Robots     *Robots    // asked about each redirect's target too; nil allows all
	Validators Validators // of the version that is known
}

// Fetched is a server's answer.
type Fetched struct {
	URL         string // canonical, where the redirects led
	Status      int    // 0 when there was no answer
	Reason      Reason // empty: Body is the page, or NotModified
	NotModified bool   // the version that the validators name is still current
	Validators  Validators
	MediaType   string        // HTML or PlainText or Markdown
	Language    string        // of the Content-Language header, may be empty
	NoIndex     bool          // by the X-Robots-Tag header
	NoFollow    bool          // by the X-Robots-Tag header
	Body        string        // UTF-8, at most 5 MiB before decoding
	RetryAfter  time.Duration // what a 429 or 503 asks for, 0: nothing
}

// Fetch gets one page. The error is only ever that of a ctx that ended; all else
// is a Reason. Redirects are followed within the site, and to the places where
// Site.Rebase finds the same site: when URL on return is none of Site's own, the
// site has moved.
func (f *Fetcher) Fetch(ctx context.Context, r Request) (Fetched, error) {
	site := r.Site
	if site.Origin == "" {
		var err error
		if site, err = SiteOf(r.URL); err != nil {
			return Fetched{URL: r.URL, Reason: BadAddress}, nil
		}
	}
	limited, cancel := context.WithTimeout(ctx, f.options.Timeout)
	defer cancel()
	allow := func(canonical string) Reason {
		moved, ok := site.Rebase(canonical)
		if !ok {
			return OffSite
		}
		// The rules are those of the site, under whichever of its names.
		if adopted, ok := moved.Adopt(canonical); ok && r.Robots != nil && !r.Robots.Allowed(adopted) {
			return RobotsDisallowed
		}
		return ""
	}
	out := f.follow(limited, r.URL, r.Validators, allow, readPage)
	if err := ctx.Err(); err != nil {
		return Fetched{}, fmt.Errorf("fetch %s: %w", r.URL, err)
	}
	return out, nil
}

// reader takes what it needs of a 2xx response.
type reader func(res *http.Response, out *Fetched) Reason

// follow asks for the address and for what it redirects to.
func (f *Fetcher) follow(ctx context.Context, target string, known Validators, allow func(canonical string) Reason, read reader) Fetched {
	out := Fetched{URL: target}
	seen := make(map[string]bool, maxRedirects+1)
	for hop := 0; ; hop++ {
		canonical, err := Canonical(target)
		if err != nil {
			if out.Reason = BadAddress; hop > 0 {
				out.Reason = BadRedirect
			}
			return out
		}
		switch {
		case seen[target]:
			out.Reason = RedirectLoop
			return out
		case hop > maxRedirects:
			out.Reason = TooManyRedirects
			return out
		}
		if reason := allow(canonical); reason != "" {
			out.Reason = reason
			return out
		}
		seen[target], out.URL = true, canonical
		location := f.once(ctx, target, known, read, &out)
		if location == "" {
			return out
		}
		// The address goes out as the server wrote it, not in canonical form: a
		// server that redirects to add a parameter would be asked in circles.
		next, err := ParseURL(target, location)
		if err != nil {
			out.Reason = BadRedirect
			return out
		}
		target, _, _ = strings.Cut(next, "#")
	}
}

// once makes one request and returns where it redirects to, if it does.
func (f *Fetcher) once(ctx context.Context, target string, known Validators, read reader, out *Fetched) (location string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		out.Reason = BadAddress
		return ""
	}
	req.Header.Set("User-Agent", f.options.UserAgent)
	req.Header.Set("Accept", "text/html,application/xhtml+xml,text/markdown;q=0.9,text/plain;q=0.8,*/*;q=0.1")
	if known.ETag != "" {
		req.Header.Set("If-None-Match", known.ETag)
	}
	if known.LastModified != "" {
		req.Header.Set("If-Modified-Since", known.LastModified)
	}
	res, err := f.client.Do(req)
	if err != nil {
		out.Reason = failure(err)
		return ""
	}
	defer func() { _ = res.Body.Close() }() // what was read counts
	out.Status = res.StatusCode
	switch s := res.StatusCode; {
	case s == http.StatusNotModified && known != Validators{}:
		out.NotModified, out.Validators = true, known
	case s == http.StatusMovedPermanently, s == http.StatusFound, s == http.StatusSeeOther,
		s == http.StatusTemporaryRedirect, s == http.StatusPermanentRedirect:
		if location = res.Header.Get("Location"); location == "" {
			out.Reason = BadRedirect
		}
		return location
	case s == http.StatusNoContent, s == http.StatusResetContent:
		out.Reason = Empty
	case s == http.StatusOK, s == http.StatusNonAuthoritativeInfo:
		out.Reason = read(res, out)
	default:
		out.Reason = statusReason(s)
		out.RetryAfter = retryAfter(res.Header)
	}
	return ""
}

func statusReason(status int) Reason {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return LoginRequired
	case http.StatusNotFound:
		return NotFound
	case http.StatusGone:
		return Gone
	case http.StatusTooManyRequests:
		return RateLimited
	default:
		return httpReason(status)
	}
}

// retryAfter reads seconds or a date, which counts from the server's own Date:
// its clock may be wrong, the difference is not.
func retryAfter(h http.Header) time.Duration {
	value := textproto.TrimString(h.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return min(max(time.Duration(seconds)*time.Second, 0), maxWait)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxWait)
}

// failure names what kept a request from being answered, or its body from being
// read.
func failure(err error) Reason {
	var (
		timeout     interface{ Timeout() bool }
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		unknown     x509.UnknownAuthorityError
		op          *net.OpError
		dns         *net.DNSError
	)
	switch {
	case errors.Is(err, outbound.ErrBlocked):
		return BlockedAddress
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return Timeout
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &alert), errors.As(err, &unknown),
		strings.Contains(err.Error(), "tls: "):
		return TLSFailed
	case errors.As(err, &dns), errors.As(err, &op) && op.Op == "dial":
		return Unreachable
	default:
		return BadResponse
	}
}

// bytesOf reads a body up to a limit.
func bytesOf(res *http.Response, limit int64) ([]byte, Reason) {
	if res.ContentLength > limit {
		return nil, TooLarge
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case int64(len(body)) > limit:
		return nil, TooLarge
	case err != nil:
		return nil, failure(err)
	}
	return body, ""
}

// readPage takes a page of text.
func readPage(res *http.Response, out *Fetched) Reason {
	// The transport undoes the gzip that it asked for; another coding was not
	// asked for and is not understood.
	if c := res.Header.Get("Content-Encoding"); c != "" && !strings.EqualFold(c, "identity") {
		return BadResponse
	}
	declared := res.Header.Get("Content-Type")
	if !mayBeText(declared) {
		return UnsupportedType
	}
	body, reason := bytesOf(res, maxBody)
	if reason != "" {
		return reason
	}
	if out.MediaType = mediaType(declared, out.URL, body); out.MediaType == "" {
		return UnsupportedType
	}
	out.Validators = Validators{ETag: short(res.Header.Get("ETag")), LastModified: short(res.Header.Get("Last-Modified"))}
	out.Language = languageTag(res.Header.Get("Content-Language"))
	out.NoIndex, out.NoFollow = headerDirectives(res.Header.Values("X-Robots-Tag"))
	out.Body = decodeText(body, declared)
	return ""
}

// short keeps headers that are stored and sent back to a reasonable size.
func short(s string) string {
	if len(s) > 500 {
		return ""
	}
	return s
}

// headerDirectives reads X-Robots-Tag, whose values may be addressed to one
// crawler: "googlebot: noindex".
func headerDirectives(values []string) (noIndex, noFollow bool) {
	for _, value := range values {
		if agent, rest, ok := strings.Cut(value, ":"); ok && !strings.Contains(agent, ",") {
			name := strings.ToLower(strings.TrimSpace(agent))
			if name == Agent {
				value = rest
			} else if name != "unavailable_after" && !strings.HasPrefix(name, "max-") {
				continue
			}
		}
		i, f := directives(value)
		noIndex, noFollow = noIndex || i, noFollow || f
	}
	return noIndex, noFollow
}

// directives reads the words that robots meta tags and headers share.
func directives(content string) (noIndex, noFollow bool) {
	for _, word := range strings.FieldsFunc(strings.ToLower(content), func(r rune) bool { return r == ',' || r == ' ' }) {
		switch word {
		case "noindex":
			noIndex = true
		case "nofollow":
			noFollow = true
		case "none":
			noIndex, noFollow = true, true
		}
	}
	return noIndex, noFollow
}
