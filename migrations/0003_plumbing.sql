-- Receipts, which make a repeated request the same request, and timers, by
-- which something is done at its time although a node died.

create table receipts (
  agency_id    bigint not null,
  workspace_id bigint not null, -- 0: an operation on the agency's own objects
  principal    uuid not null,
  key          text not null check (length(key) between 1 and 255),
  fingerprint  bytea not null check (length(fingerprint) = 32),
  sealed       bytea not null,
  contact_id   uuid,
  created_at   timestamptz not null,
  primary key (agency_id, workspace_id, principal, key)
);
comment on table receipts is 'erasure: deleted with the contact; otherwise after a day';
create index receipts_contact on receipts (workspace_id, contact_id) where contact_id is not null;
create index receipts_created_at on receipts (created_at);
alter table receipts enable row level security;
alter table receipts force row level security;
create policy workspace on receipts to relaydesk_workspace
  using (workspace_id = current_setting('relaydesk.workspace_id')::bigint);
create policy agency on receipts to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
create policy lookup on receipts to relaydesk_lookup using (true);
grant select, insert, update, delete on receipts to relaydesk_workspace, relaydesk_agency;
grant select, delete on receipts to relaydesk_lookup;

-- Deletes at most a few thousand receipts that are older than the moment.
create function expire_receipts(before timestamptz) returns bigint
language sql security definer set search_path = pg_catalog, public as $$
  with gone as (
    delete from public.receipts where (agency_id, workspace_id, principal, key) in (
      select agency_id, workspace_id, principal, key from public.receipts where created_at < before limit 5000)
    returning 1)
  select count(*) from gone
$$;

create table timers (
  agency_id     bigint not null,
  workspace_id  bigint not null,
  kind          smallint not null,
  object_id     uuid not null,
  due_at        timestamptz not null,
  claimed_until timestamptz not null default '-infinity',
  primary key (workspace_id, kind, object_id)
);
comment on table timers is 'erasure: holds ids and times only';
create index timers_due_at on timers (due_at);
alter table timers enable row level security;
alter table timers force row level security;
create policy workspace on timers to relaydesk_workspace
  using (workspace_id = current_setting('relaydesk.workspace_id')::bigint);
create policy agency on timers to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
create policy system on timers to relaydesk_system using (true);
grant select, insert, update, delete on timers to relaydesk_workspace, relaydesk_agency;
grant select, update, delete on timers to relaydesk_system;

grant create on schema public to relaydesk_lookup;
alter function expire_receipts(timestamptz) owner to relaydesk_lookup;
revoke create on schema public from relaydesk_lookup;
revoke execute on function expire_receipts(timestamptz) from public;
grant execute on function expire_receipts(timestamptz) to relaydesk_system;
