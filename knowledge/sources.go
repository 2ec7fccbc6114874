package knowledge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/receipts"
	"github.com/relaydesk/relaydesk/internal/timers"
	"github.com/relaydesk/relaydesk/knowledge/crawl"
	"github.com/relaydesk/relaydesk/tenants"
)

const (
	defaultMaxPages = 1000
	maxMaxPages     = 100_000
	maxText         = 1 << 20
	maxTitle        = 500
	maxPatterns     = 100
	maxPattern      = 500
)

// NewSource is what a source is made of.
type NewSource struct {
	Type             string // Website or Text
	URL              string // of a website
	Title            string
	Text             string // of a text
	Include, Exclude []string
	MaxPages         int    // 0: 1,000
	Refresh          string // empty: none
	Metadata         map[string]string
}

// SourceChange says what to change; nil leaves a field as it is. Another text is
// indexed at once; patterns and limits count from the next crawl on.
type SourceChange struct {
	Title            *string
	Text             *string
	Include, Exclude *[]string
	MaxPages         *int
	Refresh          *string
	Metadata         *map[string]string
	IfVersion        int64 // 0: whatever it is now
}

// CreateSource makes a source. A website's crawl is started; a text is
// searchable by its words when this returns, and its vectors follow.
func (k *Knowledge) CreateSource(ctx context.Context, w postgres.Workspace, made NewSource, r *receipts.Receipt) (s Source, err error) {
	if err := made.check(); err != nil {
		return Source{}, err
	}
	now := k.clock.Now()
	err = k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		s, err = receipts.Once(ctx, tx, r, func() (Source, error) { return k.createSource(ctx, tx, w, made, now) })
		return err
	})
	if errors.Is(err, errGone) {
		err = fault.New(fault.NotFound, "not_found", "No such workspace.")
	}
	if err != nil {
		return Source{}, fmt.Errorf("create a source: %w", err)
	}
	return s, nil
}

func (k *Knowledge) createSource(ctx context.Context, tx pgx.Tx, w postgres.Workspace, made NewSource, now time.Time) (Source, error) {
	if err := liveWorkspace(ctx, tx, w); err != nil {
		return Source{}, err
	}
	s := Source{
		ID: ids.New(now), Type: made.Type, URL: made.URL, Title: made.Title, Text: made.Text, Include: made.Include, Exclude: made.Exclude,
		MaxPages: made.MaxPages, Refresh: made.Refresh, Metadata: made.Metadata, Status: Pending, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if err := insertSource(ctx, tx, w, s); err != nil {
		return Source{}, err
	}
	if s.Type == Website {
		if err := startCrawl(ctx, tx, w, s.ID, Pending, now); err != nil {
			return Source{}, err
		}
		return s, k.wakeLane(ctx, tx, w, laneCrawl, now)
	}
	if err := k.indexText(ctx, tx, w, s, now); err != nil {
		return Source{}, err
	}
	return readSource(ctx, tx, w, s.ID, readSourceSQL)
}

// Sources lists a workspace's sources, newest first, and tells whether there
// are more. Their texts are left out.
func (k *Knowledge) Sources(ctx context.Context, w postgres.Workspace, p tenants.Page) (all []Source, more bool, err error) {
	err = k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		all, err = listSources(ctx, tx, w, p)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("list sources: %w", err)
	}
	if len(all) > p.Limit {
		return all[:p.Limit], true, nil
	}
	return all, false, nil
}

// Source gives one source.
func (k *Knowledge) Source(ctx context.Context, w postgres.Workspace, id ids.ID) (s Source, err error) {
	err = k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		s, err = readSource(ctx, tx, w, id, readSourceSQL)
		return err
	})
	return s, err
}

// UpdateSource changes a source.
func (k *Knowledge) UpdateSource(ctx context.Context, w postgres.Workspace, id ids.ID, c SourceChange, r *receipts.Receipt) (s Source, err error) {
	if err := c.check(); err != nil {
		return Source{}, err
	}
	err = k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		s, err = receipts.Once(ctx, tx, r, func() (Source, error) { return k.updateSource(ctx, tx, w, id, c, k.clock.Now()) })
		return err
	})
	if err != nil {
		return Source{}, fmt.Errorf("update a source: %w", err)
	}
	return s, nil
}

func (k *Knowledge) updateSource(ctx context.Context, tx pgx.Tx, w postgres.Workspace, id ids.ID, c SourceChange, now time.Time) (Source, error) {
	s, err := readSource(ctx, tx, w, id, lockSourceSQL)
	switch {
	case err != nil:
		return Source{}, err
	case c.IfVersion != 0 && c.IfVersion != s.Version:
		return Source{}, staleSource()
	case s.Type == Website && c.Text != nil:
		return Source{}, invalid("/text", "A website has no text of its own.")
	case s.Type == Text && (c.Include != nil || c.Exclude != nil || c.MaxPages != nil || c.Refresh != nil && *c.Refresh != RefreshNone):
		return Source{}, invalid("", "A text is not crawled: it has no patterns, no limit of pages and no refresh.")
	}
	retitled := c.Title != nil && *c.Title != s.Title
	refreshed := c.Refresh != nil && *c.Refresh != s.Refresh
	reworded := c.Text != nil && *c.Text != s.Text
	c.apply(&s)
	s.Version, s.UpdatedAt = s.Version+1, now
	if err := writeSource(ctx, tx, w, s); err != nil {
		return Source{}, err
	}
	if s.Type == Text && (reworded || retitled) {
		if err := k.indexText(ctx, tx, w, s, now); err != nil {
			return Source{}, err
		}
	}
	if refreshed {
		if err := setRefresh(ctx, tx, w, s, now); err != nil {
			return Source{}, err
		}
	}
	return readSource(ctx, tx, w, id, readSourceSQL)
}

// DeleteSource deletes a source with all its pages. From now on nothing of it
// is found; the rows of a big one are removed by jobs.
func (k *Knowledge) DeleteSource(ctx context.Context, w postgres.Workspace, id ids.ID, ifVersion int64) error {
	now := k.clock.Now()
	err := k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		s, err := readSource(ctx, tx, w, id, lockSourceToDeleteSQL)
		if err != nil {
			return err
		}
		if ifVersion != 0 && ifVersion != s.Version {
			return staleSource()
		}
		if err := timers.Clear(ctx, tx, w, timers.Refresh, id); err != nil {
			return err
		}
		if err := markDeleting(ctx, tx, w, id, now); err != nil {
			return err
		}
		done, err := k.purge(ctx, tx, w, id, now)
		if err != nil || done {
			return err
		}
		return k.wakeLane(ctx, tx, w, laneCrawl, now)
	})
	if err != nil {
		return fmt.Errorf("delete a source: %w", err)
	}
	return nil
}

// Crawl starts reading a website again. A crawl that is under way goes on, and
// its source is returned, as is a text's, which has nothing to be read again.
func (k *Knowledge) Crawl(ctx context.Context, w postgres.Workspace, id ids.ID, r *receipts.Receipt) (s Source, err error) {
	now := k.clock.Now()
	err = k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		s, err = receipts.Once(ctx, tx, r, func() (Source, error) {
			s, err := readSource(ctx, tx, w, id, lockSourceSQL)
			if err != nil || s.Type != Website {
				return s, err
			}
			if err := k.crawlAgain(ctx, tx, w, s, now); err != nil {
				return Source{}, err
			}
			return readSource(ctx, tx, w, id, readSourceSQL)
		})
		return err
	})
	if err != nil {
		return Source{}, fmt.Errorf("start a crawl: %w", err)
	}
	return s, nil
}

// Refresh is called when the timer of a source is due: its time to be read
// again has come.
func (k *Knowledge) Refresh(ctx context.Context, w postgres.Workspace, id ids.ID) error {
	now := k.clock.Now()
	err := k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		if err := timers.Clear(ctx, tx, w, timers.Refresh, id); err != nil {
			return err
		}
		if err := liveWorkspace(ctx, tx, w); err != nil {
			return ignoreGone(err)
		}
		s, err := readSource(ctx, tx, w, id, lockSourceSQL)
		if fault.Of(err).Kind == fault.NotFound {
			return nil
		}
		if err != nil || s.Type != Website || s.Refresh == RefreshNone {
			return err
		}
		// The next timer is set when the crawl ends.
		return k.crawlAgain(ctx, tx, w, s, now)
	})
	if err != nil {
		return fmt.Errorf("refresh a source: %w", err)
	}
	return nil
}

// crawlAgain starts a crawl of a locked website unless one is under way.
func (k *Knowledge) crawlAgain(ctx context.Context, tx pgx.Tx, w postgres.Workspace, s Source, now time.Time) error {
	walking, err := isWalking(ctx, tx, w, s.ID)
	if err != nil {
		return err
	}
	if !walking {
		if err := startCrawl(ctx, tx, w, s.ID, Crawling, now); err != nil {
			return err
		}
	}
	return k.wakeLane(ctx, tx, w, laneCrawl, now)
}

// setRefresh plans a website's next reading.
func setRefresh(ctx context.Context, tx pgx.Tx, w postgres.Workspace, s Source, now time.Time) error {
	switch s.Refresh {
	case RefreshDaily:
		return timers.Set(ctx, tx, w, timers.Refresh, s.ID, now.Add(24*time.Hour))
	case RefreshWeekly:
		return timers.Set(ctx, tx, w, timers.Refresh, s.ID, now.Add(7*24*time.Hour))
	}
	return timers.Clear(ctx, tx, w, timers.Refresh, s.ID)
}

func staleSource() error {
	return fault.New(fault.Conflict, "precondition_failed", "This source was changed meanwhile. Read it again.")
}

func ignoreGone(err error) error {
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// check completes what was left out and refuses what makes no sense.
func (n *NewSource) check() error {
	n.Title = clean(n.Title)
	if n.Refresh == "" {
		n.Refresh = RefreshNone
	}
	n.Metadata = maps.Clone(n.Metadata)
	if n.Metadata == nil {
		n.Metadata = map[string]string{}
	}
	switch n.Type {
	case Website:
		if n.Text != "" {
			return invalid("/text", "A website has no text of its own.")
		}
		if n.MaxPages == 0 {
			n.MaxPages = defaultMaxPages
		}
		url, err := crawl.Canonical(n.URL)
		if err != nil || len(url) > 2000 {
			return invalid("/url", "This is no address of a website, such as https://example.com/help.")
		}
		n.URL = url
	case Text:
		if n.URL != "" || len(n.Include)+len(n.Exclude) > 0 || n.MaxPages != 0 || n.Refresh != RefreshNone {
			return invalid("", "A text is not crawled: it has no address, no patterns, no limit of pages and no refresh.")
		}
		n.MaxPages = 1
		if n.Title == "" {
			return invalid("/title", "A text needs a title.")
		}
	default:
		return invalid("/type", "A source is a website or a text.")
	}
	c := SourceChange{Title: &n.Title, Include: &n.Include, Exclude: &n.Exclude, MaxPages: &n.MaxPages, Refresh: &n.Refresh}
	if n.Type == Text {
		c.Text = &n.Text
	}
	return c.check()
}

func (c *SourceChange) check() error {
	if c.Title != nil {
		if *c.Title = clean(*c.Title); len(*c.Title) > maxTitle {
			return invalid("/title", "A title has at most %d bytes.", maxTitle)
		}
	}
	if c.Text != nil {
		switch *c.Text = clean(*c.Text); {
		case *c.Text == "":
			return invalid("/text", "There is no text.")
		case len(*c.Text) > maxText:
			return invalid("/text", "A text has at most 1 MiB. Longer ones are several sources.")
		}
	}
	if c.MaxPages != nil && (*c.MaxPages < 1 || *c.MaxPages > maxMaxPages) {
		return invalid("/max_pages", "A source has between 1 and %d pages.", maxMaxPages)
	}
	if c.Refresh != nil && *c.Refresh != RefreshNone && *c.Refresh != RefreshDaily && *c.Refresh != RefreshWeekly {
		return invalid("/refresh", "A source is refreshed daily, weekly or not at all (none).")
	}
	if err := checkPatterns("/include", c.Include); err != nil {
		return err
	}
	return checkPatterns("/exclude", c.Exclude)
}

func checkPatterns(pointer string, patterns *[]string) error {
	if patterns == nil {
		return nil
	}
	if *patterns == nil {
		*patterns = []string{}
	}
	if len(*patterns) > maxPatterns {
		return invalid(pointer, "There are at most %d patterns.", maxPatterns)
	}
	for _, p := range *patterns {
		if p == "" || len(p) > maxPattern || strings.ContainsRune(p, 0) {
			return invalid(pointer, "A pattern has between 1 and %d bytes.", maxPattern)
		}
	}
	return nil
}

func (c *SourceChange) apply(s *Source) {
	set(&s.Title, c.Title)
	set(&s.Text, c.Text)
	set(&s.Include, c.Include)
	set(&s.Exclude, c.Exclude)
	set(&s.MaxPages, c.MaxPages)
	set(&s.Refresh, c.Refresh)
	set(&s.Metadata, c.Metadata)
	if s.Metadata == nil {
		s.Metadata = map[string]string{}
	}
}

func set[T any](field, to *T) {
	if to != nil {
		*field = *to
	}
}

// clean makes a text storable: Postgres takes neither NUL nor broken UTF-8.
func clean(s string) string {
	return strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", ""))
}
