package knowledge

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/relaydesk/relaydesk/knowledge/crawl"
)

// outcome is what a crawl found at an address.
type outcome string

const (
	outIndexed   outcome = "indexed"
	outUnchanged outcome = "unchanged"
	outSkipped   outcome = "skipped"
	outFailed    outcome = "failed"
)

// A result is what a slice learnt of one task.
type result struct {
	task
	postponed  bool // goes back into the frontier
	retryAfter time.Duration
	outcome    outcome
	reason     crawl.Reason
	passing    bool // the reason may be over next time: what is indexed stays
	title      string
	language   string
	validators crawl.Validators
	hash       []byte
	pieces     []piece
	links      []string
	linksOnly  bool // the page hardly says anything itself
}

// fetchOne fetches and reads one page. The error is that of a ctx that ended.
func (k *Knowledge) fetchOne(ctx context.Context, v *visit, robots *crawl.Robots, t task) (*result, error) {
	r := &result{task: t}
	if t.attempts > maxAttempts {
		// Each worker that read it died. Another one need not.
		r.outcome, r.reason = outFailed, crawl.BadResponse
		return r, nil
	}
	request := crawl.Request{URL: t.url, Site: v.site.Site, Robots: robots}
	if t.status == Indexed {
		request.Validators = t.validators
	}
	fetched, err := k.fetcher.Fetch(ctx, request)
	if err != nil {
		return nil, err
	}
	r.read(v, robots, fetched, func(p any) {
		k.log.ErrorContext(ctx, "reading a page panicked", "source_id", fmt.Sprintf("%x", v.ID), "page_id", fmt.Sprintf("%x", t.id), "panic", fmt.Sprint(p))
	})
	return r, nil
}

// read turns a server's answer into a result. A page that the reader can't cope
// with must not end the crawl.
func (r *result) read(v *visit, robots *crawl.Robots, fetched crawl.Fetched, panicked func(any)) {
	defer func() {
		if p := recover(); p != nil {
			panicked(p)
			*r = result{task: r.task, outcome: outFailed, reason: crawl.BadResponse}
		}
	}()
	switch {
	case fetched.NotModified:
		r.outcome, r.title, r.language, r.hash, r.validators = outUnchanged, r.task.title, r.task.language, r.task.hash, r.task.validators
		r.reason = notModified
		return
	case fetched.Reason != "":
		r.refused(fetched)
		return
	}
	if at, ok := v.site.Site.Adopt(fetched.URL); ok && at != r.url {
		// The page lives elsewhere on the site, and is fetched there.
		r.outcome, r.reason, r.links = outSkipped, crawl.Duplicate, []string{at}
		return
	}
	page := crawl.Read(fetched)
	r.links = page.Links
	r.title, r.language, r.validators = clean(page.Title), page.Language, fetched.Validators
	reason := page.Reason()
	if reason == crawl.Duplicate {
		if original, ok := v.site.Site.Adopt(page.Canonical); ok && original != r.url && crawl.Allowed(original, v.Include, v.Exclude) && robots.Allowed(original) {
			r.links = append(slices.Clip(r.links), original)
		} else {
			page.Canonical = ""
			reason = page.Reason()
		}
	}
	if reason == "" && !crawl.Allowed(r.url, v.Include, v.Exclude) {
		reason = crawl.Excluded // a start page outside of what the source wants is only read for its links
	}
	if reason != "" {
		r.outcome, r.reason = outSkipped, reason
		return
	}
	digest := page.Digest()
	r.hash = digest[:]
	if r.status == Indexed && bytes.Equal(r.hash, r.task.hash) {
		r.outcome = outUnchanged
		return
	}
	r.outcome, r.linksOnly = outIndexed, page.LinksOnly
	passages := page.Passages()
	r.language = cmp.Or(r.language, spokenIn(passages))
	for _, p := range passages {
		r.pieces = append(r.pieces, piece{
			title: r.title, headingPath: p.HeadingPath, anchor: clean(p.Anchor), text: clean(p.Text), language: r.language,
		})
	}
}

// refused takes over why there is no page.
func (r *result) refused(f crawl.Fetched) {
	r.reason, r.outcome = f.Reason, outFailed
	switch f.Reason {
	case crawl.RobotsDisallowed, crawl.OffSite, crawl.LoginRequired, crawl.TooLarge, crawl.UnsupportedType, crawl.Empty:
		r.outcome = outSkipped
	default:
	}
	r.passing = passing(f.Reason, f.Status)
	if r.passing && r.attempts < maxAttempts {
		r.postponed = true
		r.retryAfter = max(backoff(r.attempts), min(f.RetryAfter, time.Minute))
	}
}

// passing tells the troubles of a site from what it says about a page.
func passing(reason crawl.Reason, status int) bool {
	switch reason {
	case crawl.RobotsUnavailable, crawl.BlockedAddress, crawl.Unreachable, crawl.TLSFailed, crawl.Timeout, crawl.BadResponse, crawl.RateLimited:
		return true
	default:
		return status >= 500
	}
}
