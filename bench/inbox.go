package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/relaydesk/relaydesk/bench/internal/load"
	"github.com/relaydesk/relaydesk/internal/ids"
)

const (
	inboxOpen    = 100_000 // conversations of one workspace that are open; as many are closed
	inboxMembers = 20
	inboxPages   = 25
	inboxKeys    = 8 // no key may ask 100 times a second
)

// inboxRows fills workspace 1 of agency 1. Open and closed conversations take
// turns; of the open ones half are the assistant's, three in ten wait, two in
// ten are a member's. named() makes the uuid of the n-th of a kind, in the order
// of time.
const inboxRows = `
create function named(kind text, n bigint) returns uuid language sql immutable as $$
  select (lpad(to_hex(1764000000000 + n * 37), 12, '0') || '7' || substr(md5(kind || n), 1, 3) || '8' || substr(md5(kind || n), 4, 15))::uuid
$$;
insert into members (agency_id, id, name, email, role, status, created_at, updated_at)
select 1, named('member', n), 'Member ' || n, 'member' || n || '@example.test', 'agent', 'active', now(), now() from generate_series(1, %[2]d) n;
insert into contacts (agency_id, workspace_id, id, external_id, name, email, created_at, updated_at)
select 1, 1, named('contact', n), 'person-' || n, 'Jo Doe ' || n, 'jo' || n || '@example.test', now(), now() from generate_series(1, %[1]d) n;
insert into conversations (agency_id, workspace_id, id, contact_id, channel, language, subject, status, owner, member_id, assignee_id, epoch, last_seq, last_public_seq,
  escalation_id, waiting_since, active_at, tags, created_at, updated_at)
select 1, 1, named('conversation', n), named('contact', (n + 1) / 2), 'api', 'en', 'A question', case when n %% 2 = 0 then 'open' else 'resolved' end,
  case when n %% 2 = 1 or share < 50 then 'assistant' when share < 80 then 'team' else 'member' end,
  case when n %% 2 = 0 and share >= 80 then named('member', 1 + dice %% %[2]d) end,
  case when n %% 2 = 0 and share between 60 and 79 then named('member', 1 + dice %% %[2]d) end,
  2, 3, 3, case when n %% 2 = 0 and share >= 50 then named('escalation', n) end,
  case when n %% 2 = 0 and share >= 50 then at end, at, '{billing}', at - interval '1 hour', at
from (select n, abs(hashint8(n)) %% 100 as share, abs(hashint8(n + 7)) as dice, timestamptz '2026-01-01' + (abs(hashint8(n + 13)) %% 20000000) * interval '1 second' as at
  from generate_series(1, 2 * %[1]d) n) n;
insert into messages (agency_id, workspace_id, id, conversation_id, seq, author, text, created_at, updated_at)
select 1, 1, named('message', n), named('conversation', n), 3, 'visitor', 'I asked this before, and I still wait for somebody who tells me when my order comes. Number ' || n, now(), now()
from generate_series(1, 2 * %[1]d) n;
insert into escalations (agency_id, workspace_id, id, conversation_id, contact_id, status, trigger, triggers, priority, summary, promise, opened_at, created_at, updated_at)
select 1, 1, escalation_id, id, contact_id, case owner when 'member' then 'accepted' else 'open' end, 'visitor_asked',
  '[{"Kind": "visitor_asked", "Evidence": "talk to a person", "Score": 1, "Effect": "escalate", "Seq": 1}]', 'normal', 'Wants a person', null, active_at, active_at, active_at
from conversations where escalation_id is not null;
drop function named;`

func benchInbox(ctx context.Context, w *world) error {
	d, err := w.database(ctx)
	if err != nil {
		return err
	}
	defer d.drop(w)
	if err := fillInbox(ctx, d, w.scaled(inboxOpen)); err != nil {
		return err
	}
	var member ids.ID
	if err := d.admin.QueryRow(ctx, "select id from members limit 1").Scan(&member); err != nil {
		return err
	}
	var keys []string
	for range inboxKeys {
		key, err := d.agencyKey(ctx, 1)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	var workspace ids.ID
	if err := d.admin.QueryRow(ctx, "select id from workspaces where workspace_id = 1").Scan(&workspace); err != nil {
		return err
	}
	w.say("  the conversations are in place")
	s, err := w.serve(ctx, d.server, "--no-workers")
	if err != nil {
		return err
	}
	defer s.stop()
	r := &reading{world: w, keys: keys, db: d, server: s}
	if r.client, err = load.Dial(s.address); err != nil {
		return err
	}
	defer r.client.Close()
	return r.views(ctx, ids.Format(ids.Workspace, workspace), ids.Format(ids.Member, member))
}

func fillInbox(ctx context.Context, d *database, open int) error {
	if _, err := d.addTenants(ctx, 1, inboxKeys); err != nil {
		return err
	}
	return d.execute(ctx, "set session_replication_role = replica", fmt.Sprintf(inboxRows, open, inboxMembers),
		"set session_replication_role = origin", "vacuum analyze", "checkpoint")
}

// reading asks for pages.
type reading struct {
	*world
	keys   []string
	db     *database
	server *server
	client *load.Client
	asked  int
}

func (r *reading) views(ctx context.Context, workspace, member string) error {
	var all, counts load.Times
	before, err := r.usage(ctx, r.db, r.server)
	if err != nil {
		return err
	}
	for _, scope := range []string{"", workspace} {
		named := "agency"
		if scope != "" {
			named = "workspace"
		}
		for _, view := range []string{"waiting", "unassigned", "mine", "all", "resolved"} {
			query := url.Values{"view": {view}, "limit": {"50"}}
			if view == "mine" {
				query.Set("member_id", member)
			}
			times, err := r.pages(ctx, scope, query)
			if err != nil {
				return fmt.Errorf("view %s: %w", view, err)
			}
			all = append(all, times...)
			r.note("a page of 50, "+view+", "+named+", p50", ms(times.Quantile(.5)), "ms")
			r.note("a page of 50, "+view+", "+named+", p95", ms(times.Quantile(.95)), "ms")
		}
		for range inboxPages {
			took, _, err := r.get(ctx, scope, "/v1/inbox/counts?member_id="+member)
			if err != nil {
				return err
			}
			counts = append(counts, took)
		}
	}
	r.atMost("a page of the inbox, p95 of all views", ms(all.Quantile(.95)), "ms", 10)
	r.note("a page of the inbox, p50 of all views", ms(all.Quantile(.5)), "ms")
	r.note("counts of all views, p95", ms(counts.Quantile(.95)), "ms")
	return r.noteUsage(ctx, r.db, r.server, before, "a page", r.asked)
}

// pages reads a view twice from its start: what is asked first is not counted.
func (r *reading) pages(ctx context.Context, scope string, query url.Values) (times load.Times, err error) {
	for n := range 2 {
		query.Del("cursor")
		for range inboxPages {
			took, body, err := r.get(ctx, scope, "/v1/inbox?"+query.Encode())
			if err != nil {
				return nil, err
			}
			var page struct {
				Data       []json.RawMessage `json:"data"`
				NextCursor string            `json:"next_cursor"`
			}
			if err := json.Unmarshal(body, &page); err != nil {
				return nil, fmt.Errorf("read a page: %w", err)
			}
			if n > 0 {
				times = append(times, took)
			}
			if page.NextCursor == "" {
				if len(page.Data) == 0 {
					return nil, fmt.Errorf("the view is empty: %.200s", body)
				}
				break
			}
			query.Set("cursor", page.NextCursor)
		}
	}
	return times, nil
}

func (r *reading) get(ctx context.Context, scope, path string) (time.Duration, []byte, error) {
	headers := []string{"Authorization", "Bearer " + r.keys[r.asked%len(r.keys)]}
	if scope != "" {
		headers = append(headers, "Relaydesk-Workspace", scope)
	}
	r.asked++
	select {
	case <-time.After(6 * time.Millisecond): // a workspace may be asked 200 times a second
	case <-ctx.Done():
		return 0, nil, ctx.Err()
	}
	sent := time.Now()
	status, body, err := r.client.Do(load.Request(nil, http.MethodGet, path, "", headers...))
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the server answered %s: %.300s", strconv.Itoa(status), strings.TrimSpace(string(body)))
	}
	return time.Since(sent), body, err
}
