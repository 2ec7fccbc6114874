-- Agencies, their workspaces, the people who work there, and the API keys.
--
-- Inside the database a tenant is a bigint; the uuid is what the API shows.

grant usage on schema public to relaydesk_workspace, relaydesk_agency, relaydesk_system, relaydesk_lookup;

create table agencies (
  agency_id  bigint generated always as identity primary key,
  id         uuid not null unique,
  name       text not null check (length(name) between 1 and 200),
  version    bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null
);

create table workspaces (
  agency_id    bigint not null references agencies,
  workspace_id bigint generated always as identity primary key,
  id           uuid not null unique,
  name         text not null check (length(name) between 1 and 200),
  slug         text not null check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 80),
  time_zone    text not null default 'UTC',
  languages    text[] not null default '{}',
  status       text not null default 'active' check (status in ('active', 'suspended', 'deleting')),
  metadata     jsonb not null default '{}',
  version      bigint not null default 1,
  created_at   timestamptz not null,
  updated_at   timestamptz not null,
  unique (agency_id, slug),
  unique (agency_id, workspace_id)
);

-- Settings have a row of their own: a workspace's row is locked by everything
-- that must not outlive its deletion.
create table workspace_settings (
  agency_id    bigint not null,
  workspace_id bigint primary key,
  settings     jsonb not null default '{}',
  version      bigint not null default 1,
  updated_at   timestamptz not null,
  foreign key (agency_id, workspace_id) references workspaces (agency_id, workspace_id)
);

create table members (
  agency_id     bigint not null references agencies,
  id            uuid not null,
  name          text not null check (length(name) between 1 and 200),
  email         text not null check (length(email) between 3 and 320),
  role          text not null check (role in ('owner', 'admin', 'agent', 'viewer')),
  workspace_ids bigint[], -- null: every workspace of the agency
  status        text not null default 'invited' check (status in ('invited', 'active', 'disabled')),
  version       bigint not null default 1,
  created_at    timestamptz not null,
  updated_at    timestamptz not null,
  primary key (agency_id, id)
);
comment on table agencies is 'erasure: not a visitor''s';
comment on table workspaces is 'erasure: not a visitor''s';
comment on table workspace_settings is 'erasure: not a visitor''s';
comment on table members is 'erasure: a member is deleted by the agency';
create unique index members_email on members (agency_id, lower(email));

create table api_keys (
  agency_id    bigint not null references agencies,
  id           uuid not null,
  workspace_id bigint, -- null: a key of the whole agency
  name         text not null check (length(name) between 1 and 200),
  hash         bytea not null unique check (length(hash) = 32),
  last4        text not null check (length(last4) = 4),
  scopes       text[] not null,
  expires_at   timestamptz,
  last_used_at timestamptz,
  version      bigint not null default 1,
  created_at   timestamptz not null,
  updated_at   timestamptz not null,
  primary key (agency_id, id),
  foreign key (agency_id, workspace_id) references workspaces (agency_id, workspace_id)
);

comment on table api_keys is 'erasure: not a person''s';

create index workspaces_list on workspaces (agency_id, id);

comment on table agencies is 'erasure: not a person''s';
comment on table workspaces is 'erasure: not a person''s';
comment on table workspace_settings is 'erasure: not a person''s';
comment on table members is 'erasure: deleted with the member';
comment on table api_keys is 'erasure: not a person''s';

alter table agencies enable row level security;
alter table agencies force row level security;
create policy workspace on agencies for select to relaydesk_workspace
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
create policy agency on agencies to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
grant select on agencies to relaydesk_workspace;
grant select, update on agencies to relaydesk_agency;

alter table workspaces enable row level security;
alter table workspaces force row level security;
create policy workspace on workspaces to relaydesk_workspace
  using (workspace_id = current_setting('relaydesk.workspace_id')::bigint);
create policy agency on workspaces to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
grant select, update on workspaces to relaydesk_workspace;
grant select, insert, update, delete on workspaces to relaydesk_agency;

alter table workspace_settings enable row level security;
alter table workspace_settings force row level security;
create policy workspace on workspace_settings to relaydesk_workspace
  using (workspace_id = current_setting('relaydesk.workspace_id')::bigint);
create policy agency on workspace_settings to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
grant select, insert, update on workspace_settings to relaydesk_workspace;
grant select, insert, update, delete on workspace_settings to relaydesk_agency;

alter table members enable row level security;
alter table members force row level security;
create policy workspace on members for select to relaydesk_workspace
  using (agency_id = current_setting('relaydesk.agency_id')::bigint
    and (workspace_ids is null or current_setting('relaydesk.workspace_id')::bigint = any (workspace_ids)));
create policy agency on members to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
grant select on members to relaydesk_workspace;
grant select, insert, update, delete on members to relaydesk_agency;

alter table api_keys enable row level security;
alter table api_keys force row level security;
create policy agency on api_keys to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
create policy lookup on api_keys to relaydesk_lookup using (true);
create policy lookup on workspaces for select to relaydesk_lookup using (true);
create policy lookup on agencies for select to relaydesk_lookup using (true);
create policy lookup_insert on agencies for insert to relaydesk_lookup with check (true);
grant select, insert, update, delete on api_keys to relaydesk_agency;
grant select on api_keys, workspaces to relaydesk_lookup;
grant select, insert on agencies to relaydesk_lookup;

-- The three questions that come before a scope is known. Each answers for one
-- exact key that the caller must already hold, so none can be used to look around.
-- The first two are asked all the time: plpgsql keeps their plans, where a
-- function in sql is planned at each call (a key took 250 µs, now 50).
create function find_api_key(wanted bytea)
returns table (agency_id bigint, agency uuid, workspace_id bigint, workspace uuid, id uuid, scopes text[], expires_at timestamptz, last_used_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, public as $$
#variable_conflict use_column
begin
  return query
    select k.agency_id, a.id, k.workspace_id, w.id, k.id, k.scopes, k.expires_at, k.last_used_at
    from public.api_keys k
    join public.agencies a on a.agency_id = k.agency_id
    left join public.workspaces w on w.agency_id = k.agency_id and w.workspace_id = k.workspace_id
    where k.hash = wanted and (w.workspace_id is null or w.status <> 'deleting');
end $$;

create function find_workspace(wanted bigint)
returns table (agency_id bigint, workspace_id bigint, id uuid, status text)
language plpgsql stable security definer set search_path = pg_catalog, public as $$
#variable_conflict use_column
begin
  return query select w.agency_id, w.workspace_id, w.id, w.status from public.workspaces w where w.workspace_id = wanted;
end $$;

create function create_agency(wanted uuid, named text, at timestamptz) returns bigint
language sql security definer set search_path = pg_catalog, public as $$
  insert into public.agencies (id, name, created_at, updated_at) values (wanted, named, at, at) returning agency_id
$$;

grant create on schema public to relaydesk_lookup;
alter function find_api_key(bytea) owner to relaydesk_lookup;
alter function find_workspace(bigint) owner to relaydesk_lookup;
alter function create_agency(uuid, text, timestamptz) owner to relaydesk_lookup;
revoke create on schema public from relaydesk_lookup;
revoke execute on function find_api_key(bytea), find_workspace(bigint), create_agency(uuid, text, timestamptz) from public;
grant execute on function find_api_key(bytea), find_workspace(bigint), create_agency(uuid, text, timestamptz) to relaydesk_system;
