-- Tokens for browsers: the keys that sign them, and what was revoked.

-- Each agency signs with a key of its own. The one without an end signs; the
-- others only verify, until the last token that they signed has expired.
create table signing_keys (
  agency_id  bigint not null references agencies,
  id         uuid not null unique, -- a token's kid
  sealed     bytea not null,
  created_at timestamptz not null,
  expires_at timestamptz,
  primary key (agency_id, id)
);
comment on table signing_keys is 'erasure: not a person''s';
create unique index signing_keys_signing on signing_keys (agency_id) where expires_at is null;
alter table signing_keys enable row level security;
alter table signing_keys force row level security;
create policy agency on signing_keys to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
create policy lookup on signing_keys for select to relaydesk_lookup using (true);
grant select, insert, update, delete on signing_keys to relaydesk_agency;
grant select on signing_keys to relaydesk_lookup;

-- What is refused although its signature is right: one token, or all that a
-- subject (a member, a contact) was given up to a moment. A row is needed for
-- as long as such a token could live.
create table revoked_tokens (
  agency_id  bigint not null references agencies,
  id         uuid not null, -- the token's, or the subject's
  revoked_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (agency_id, id)
);
comment on table revoked_tokens is 'erasure: holds ids and times only';
alter table revoked_tokens enable row level security;
alter table revoked_tokens force row level security;
create policy agency on revoked_tokens to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
-- Erasing a contact, in its workspace's scope, revokes the contact's tokens.
create policy workspace on revoked_tokens to relaydesk_workspace
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
grant select, insert, update, delete on revoked_tokens to relaydesk_agency;
grant select, insert, update on revoked_tokens to relaydesk_workspace;

-- With this secret a client's site proves who its visitor is.
create table identity_secrets (
  agency_id    bigint not null,
  workspace_id bigint not null,
  id           uuid not null,
  sealed       bytea not null,
  created_at   timestamptz not null,
  expires_at   timestamptz, -- null: the present one
  primary key (workspace_id, id),
  foreign key (agency_id, workspace_id) references workspaces (agency_id, workspace_id)
);
comment on table identity_secrets is 'erasure: not a person''s';
create unique index identity_secrets_present on identity_secrets (workspace_id) where expires_at is null;
alter table identity_secrets enable row level security;
alter table identity_secrets force row level security;
create policy workspace on identity_secrets to relaydesk_workspace
  using (workspace_id = current_setting('relaydesk.workspace_id')::bigint);
create policy agency on identity_secrets to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
grant select, insert, update, delete on identity_secrets to relaydesk_workspace, relaydesk_agency;

-- A browser asks whether it may ask before it shows a key: only whether any
-- workspace knows its origin can be told then.
create index workspace_settings_origins on workspace_settings using gin ((settings -> 'allowed_origins'));
create policy lookup on workspace_settings for select to relaydesk_lookup using (true);
grant select on workspace_settings to relaydesk_lookup;

create function find_signing_key(wanted uuid)
returns table (agency_id bigint, agency uuid, sealed bytea, expires_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, public as $$
#variable_conflict use_column
begin
  return query
    select k.agency_id, a.id, k.sealed, k.expires_at
    from public.signing_keys k join public.agencies a on a.agency_id = k.agency_id
    where k.id = wanted;
end $$;

create function origin_is_known(wanted text) returns boolean
language sql stable security definer set search_path = pg_catalog, public as $$
  select exists (select from public.workspace_settings s where s.settings -> 'allowed_origins' ? wanted)
$$;

grant create on schema public to relaydesk_lookup;
alter function find_signing_key(uuid) owner to relaydesk_lookup;
alter function origin_is_known(text) owner to relaydesk_lookup;
revoke create on schema public from relaydesk_lookup;
revoke execute on function find_signing_key(uuid), origin_is_known(text) from public;
grant execute on function find_signing_key(uuid), origin_is_known(text) to relaydesk_system;
