-- What the assistant learns from: sources, their pages, the passages that are
-- searched, and what a search needs to know about a workspace's words.
--
-- A passage's lexemes carry the number of the workspace in front ("42:refund").
-- One GIN index then serves all tenants, and what a tenant's search costs
-- depends on that tenant's passages alone.

create extension if not exists vector;

create table sources (
  agency_id    bigint not null,
  workspace_id bigint not null,
  id           uuid not null,
  type         text not null check (type in ('website', 'text')),
  url          text not null default '' check (length(url) <= 2000),
  title        text not null default '' check (length(title) <= 500),
  body         text, -- of a text source
  include      text[] not null default '{}',
  exclude      text[] not null default '{}',
  max_pages    integer not null default 1000 check (max_pages between 1 and 100000),
  refresh      text not null default 'none' check (refresh in ('none', 'daily', 'weekly')),
  metadata     jsonb not null default '{}',
  status       text not null check (status in ('pending', 'crawling', 'ready', 'failed', 'deleting')),
  error        text not null default '', -- a reason's code; empty: none
  generation   bigint not null default 0, -- counts the crawls
  walking      boolean not null default false, -- addresses of this crawl are still to be fetched
  site         text, -- json: what belongs to the site and what its robots.txt allows, as of this crawl
  found        integer not null default 0,
  fetched      integer not null default 0,
  indexed      integer not null default 0,
  unchanged    integer not null default 0,
  skipped      integer not null default 0,
  failed       integer not null default 0,
  misses       integer not null default 0, -- fetches in a row that failed as those of a site that is down do
  next_at      timestamptz not null, -- its next slice is not before; the lane serves in this order
  crawled_at   timestamptz,
  version      bigint not null default 1,
  created_at   timestamptz not null,
  updated_at   timestamptz not null,
  primary key (workspace_id, id),
  foreign key (agency_id, workspace_id) references workspaces (agency_id, workspace_id)
) with (fillfactor = 70);
create index sources_work on sources (workspace_id, next_at) where walking or status = 'deleting';

-- An address of a source, and the page that was found there. The row is the
-- crawl's frontier and the page at once: state, lease and outcome are about the
-- crawl under way, status and what follows about what is searchable now. A page
-- keeps its id, and its place in the index, while it is fetched again.
create table pages (
  agency_id     bigint not null,
  workspace_id  bigint not null,
  id            uuid not null,
  source_id     uuid not null,
  url           text not null check (length(url) <= 4000), -- empty: the page of a text
  variant       text not null, -- what addresses that differ only in their parameters share
  depth         integer not null default 0,
  generation    bigint not null, -- of the crawl that last had it to fetch
  seen          bigint not null, -- the last crawl in which a link or a sitemap named it
  state         text not null check (state in ('queued', 'leased', 'done')),
  lease         uuid,
  not_before    timestamptz, -- when its lease ends, or when it may be tried again
  attempts      integer not null default 0,
  outcome       text not null default '' check (outcome in ('', 'indexed', 'unchanged', 'skipped', 'failed')),
  outcome_reason text not null default '',
  passing       boolean not null default false, -- the outcome is that of a site in trouble, which may be over next time
  status        text not null default '' check (status in ('', 'indexed', 'skipped', 'failed')), -- empty: not fetched yet
  reason        text not null default '',
  title         text not null default '',
  language      text not null default '',
  passages      integer not null default 0,
  links_only    boolean not null default false, -- what is indexed leads to answers and is none
  etag          text not null default '',
  last_modified text not null default '',
  hash          bytea, -- of what is indexed
  fetched_at    timestamptz,
  created_at    timestamptz not null,
  updated_at    timestamptz not null,
  primary key (workspace_id, id),
  unique (workspace_id, source_id, url),
  foreign key (workspace_id, source_id) references sources (workspace_id, id)
) with (fillfactor = 80);
create index pages_frontier on pages (workspace_id, source_id, depth, id) where state <> 'done';
create index pages_hash on pages (workspace_id, source_id, hash) where status = 'indexed';
create index pages_listed on pages (workspace_id, id) where status <> '';
create index pages_variant on pages (workspace_id, source_id, variant);

create table passages (
  agency_id    bigint not null,
  workspace_id bigint not null,
  id           bigint generated always as identity,
  page_id      uuid not null,
  source_id    uuid not null,
  ordinal      integer not null,
  heading_path text[] not null,
  anchor       text not null default '',
  text         text not null,
  language     text not null default '',
  length       integer not null, -- in words
  primary key (workspace_id, id),
  foreign key (workspace_id, page_id) references pages (workspace_id, id)
);
create index passages_page on passages (workspace_id, page_id, ordinal);
create index passages_source on passages (workspace_id, source_id, id);

-- The passages' words. A table of its own whose rows stay whole: to rank what
-- was found, some thousand vectors are read, and fetching each out of TOAST and
-- unpacking it took ten times as long.
create table passage_lexemes (
  agency_id    bigint not null,
  workspace_id bigint not null,
  id           bigint not null,
  tsv          tsvector storage main not null,
  primary key (workspace_id, id),
  foreign key (workspace_id, id) references passages (workspace_id, id)
) with (toast_tuple_target = 8160);
create index passage_lexemes_tsv on passage_lexemes using gin (tsv) with (fastupdate = off);

-- The vectors of multilingual-e5-small. Another model of another size is
-- another table. Plain storage: a scan reads them in a row, not out of TOAST.
create table passage_vectors (
  agency_id    bigint not null,
  workspace_id bigint not null,
  id           bigint not null,
  embedding    halfvec(384) storage plain not null,
  primary key (workspace_id, id),
  foreign key (workspace_id, id) references passages (workspace_id, id)
);

-- Passages that have no vector yet. A queue of its own, because a passage's row
-- is never changed: each change would enter its words into the index again.
create table passages_unembedded (
  agency_id    bigint not null,
  workspace_id bigint not null,
  id           bigint not null,
  source_id    uuid not null,
  primary key (workspace_id, id),
  foreign key (workspace_id, id) references passages (workspace_id, id)
);
create index passages_unembedded_source on passages_unembedded (workspace_id, source_id);

-- In how many passages of the workspace a word stands.
create table passage_words (
  agency_id    bigint not null,
  workspace_id bigint not null,
  word         text collate "C" not null,
  passages     integer not null,
  primary key (workspace_id, word)
) with (fillfactor = 80);

create table search_statistics (
  agency_id    bigint not null,
  workspace_id bigint primary key,
  passages     bigint not null,
  words        bigint not null, -- the sum of the passages' lengths
  changes      bigint not null, -- counts the transactions that changed the index
  updated_at   timestamptz not null
) with (fillfactor = 50);

-- How sure an answer is, learnt per workspace by the package above.
create table calibrations (
  agency_id    bigint not null,
  workspace_id bigint primary key,
  changes      bigint not null, -- the state of the index that it was made for
  data         jsonb not null,
  updated_at   timestamptz not null
);

-- A workspace's chain of slices: 1 crawls and purges, 2 embeds. At most one job
-- of a lane is alive, the one with its number.
create table knowledge_lanes (
  agency_id    bigint not null,
  workspace_id bigint not null,
  kind         smallint not null check (kind in (1, 2)),
  number       bigint not null,
  live         boolean not null,
  updated_at   timestamptz not null,
  primary key (workspace_id, kind)
) with (fillfactor = 50);
create index knowledge_lanes_live on knowledge_lanes (updated_at) where live;

do $$
declare name text;
begin
  foreach name in array array['sources', 'pages', 'passages', 'passage_lexemes', 'passage_vectors', 'passages_unembedded', 'passage_words', 'search_statistics', 'calibrations', 'knowledge_lanes'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy workspace on %I to relaydesk_workspace using (workspace_id = current_setting(''relaydesk.workspace_id'')::bigint)', name);
    execute format('create policy agency on %I to relaydesk_agency using (agency_id = current_setting(''relaydesk.agency_id'')::bigint)', name);
    execute format('grant select, insert, update, delete on %I to relaydesk_workspace', name);
    -- Purging a workspace is the agency's.
    execute format('grant select, delete on %I to relaydesk_agency', name);
  end loop;
end $$;
create policy system on knowledge_lanes for select to relaydesk_system using (true);
grant select on knowledge_lanes to relaydesk_system;

comment on table sources is 'erasure: not a person''s; goes with the workspace';
comment on table pages is 'erasure: not a person''s; goes with its source';
comment on table passages is 'erasure: not a person''s; goes with its page';
comment on table passage_lexemes is 'erasure: not a person''s; goes with its passage';
comment on table passage_vectors is 'erasure: not a person''s; goes with its passage';
comment on table passages_unembedded is 'erasure: holds ids only';
comment on table passage_words is 'erasure: not a person''s; a word goes with the last passage that has it';
comment on table search_statistics is 'erasure: holds numbers only';
comment on table calibrations is 'erasure: holds numbers only';
comment on table knowledge_lanes is 'erasure: holds ids only';

-- Row security would keep @@ from using the GIN index, because it is not
-- leakproof. So this one function looks past it, for the workspace of the scope
-- and no other. It gives the passages that have any of the words, which are
-- those of rank.Words.
create function search_words(wanted bigint, words text[], most integer)
returns table (id bigint, score real)
language plpgsql stable rows 50 security definer set search_path = pg_catalog, public set enable_seqscan = off as $$
declare
  query tsquery;
begin
  if wanted is distinct from current_setting('relaydesk.workspace_id')::bigint then
    raise exception 'search in another workspace' using errcode = 'insufficient_privilege';
  end if;
  select string_agg('''' || wanted || ':' || replace(replace(word, '\', '\\'), '''', '''''') || '''', ' | ')::tsquery
    into query from unnest(words) as word;
  if query is null then
    return;
  end if;
  -- Planned anew each time: how many passages a word has differs by far. A scan
  -- of all tenants' rows is never right, however few they are by the statistics.
  return query execute
    'select p.id, ts_rank(p.tsv, $1, 1) as score from public.passage_lexemes p where p.tsv @@ $1 and p.workspace_id = $2 order by score desc, p.id limit $3'
    using query, wanted, most;
end $$;
grant create on schema public to relaydesk_lookup;
create policy lookup on passage_lexemes for select to relaydesk_lookup using (true);
grant select on passage_lexemes to relaydesk_lookup;
alter function search_words(bigint, text[], integer) owner to relaydesk_lookup;
revoke create on schema public from relaydesk_lookup;
revoke execute on function search_words(bigint, text[], integer) from public;
grant execute on function search_words(bigint, text[], integer) to relaydesk_workspace;
