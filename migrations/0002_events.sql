-- The log of changes. A business transaction appends to events and puts a
-- pointer into event_inbox; the relay numbers what was committed, per agency,
-- into event_log. Events hold ids and changes without personal data.

create sequence event_refs as bigint cache 1;
grant usage on sequence event_refs to relaydesk_workspace, relaydesk_agency;

create table events (
  agency_id       bigint not null,
  workspace_id    bigint, -- null: the agency's own
  ref             bigint not null,
  id              uuid not null,
  type            text not null,
  object_id       uuid not null,
  conversation_id uuid,
  changes         jsonb,
  created_at      timestamptz not null,
  primary key (agency_id, ref, created_at)
) partition by range (created_at);

alter table events enable row level security;
alter table events force row level security;
create policy workspace on events to relaydesk_workspace
  using (workspace_id = current_setting('relaydesk.workspace_id')::bigint
    and agency_id = current_setting('relaydesk.agency_id')::bigint);
create policy agency on events to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
grant select, insert on events to relaydesk_workspace, relaydesk_agency;

-- Makes the partitions of a month and the one after it. Events that were
-- written before there was one for them move into it. Nobody is granted
-- anything on a partition itself.
create function make_event_partitions(at timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, public as $$
declare
  first timestamptz;
  beyond timestamptz;
  named text;
begin
  for i in 0..1 loop
    first := date_trunc('month', at, 'UTC') + make_interval(months => i);
    beyond := (first at time zone 'UTC' + interval '1 month') at time zone 'UTC';
    named := 'events_' || to_char(first at time zone 'UTC', 'YYYYMM');
    if to_regclass('public.' || named) is null then
      execute format('create table public.%I (like public.events including all)', named);
      execute format('alter table public.%I enable row level security', named);
      if to_regclass('public.events_unplaced') is not null then
        -- Nobody writes into it between the move and the attaching.
        -- Its owner, who does this, is otherwise held by its walls, too.
        alter table public.events_unplaced no force row level security;
        execute format('insert into public.%I select * from public.events_unplaced where created_at >= %L and created_at < %L', named, first, beyond);
        delete from public.events_unplaced where created_at >= first and created_at < beyond;
        alter table public.events_unplaced force row level security;
      end if;
      execute format('alter table public.%I force row level security', named);
      execute format('alter table public.events attach partition public.%I for values from (%L) to (%L)', named, first, beyond);
    end if;
  end loop;
end $$;
revoke execute on function make_event_partitions(timestamptz) from public;
grant execute on function make_event_partitions(timestamptz) to relaydesk_system;
-- What comes when no partition was made for it: nothing is refused.
create table events_unplaced partition of events default;
alter table events_unplaced enable row level security;
alter table events_unplaced force row level security;

-- The relay's lanes: an agency's events are numbered by whoever holds its lane.
create table event_lanes (lane smallint primary key);
insert into event_lanes select generate_series(0, 15);
grant select, update on event_lanes to relaydesk_system;

-- Plumbing: ids only, without walls between tenants. Tenants' roles may only
-- put something in.
create table event_inbox (
  lane            smallint not null,
  ref             bigint not null,
  agency_id       bigint not null,
  workspace_id    bigint,
  id              uuid not null,
  kind            smallint not null, -- the type's number
  conversation_id uuid,
  created_at      timestamptz not null,
  primary key (lane, ref)
);
alter table event_inbox enable row level security;
alter table event_inbox force row level security;
create policy workspace on event_inbox for insert to relaydesk_workspace
  with check (agency_id = current_setting('relaydesk.agency_id')::bigint
    and workspace_id = current_setting('relaydesk.workspace_id')::bigint);
create policy agency on event_inbox for insert to relaydesk_agency
  with check (agency_id = current_setting('relaydesk.agency_id')::bigint);
create policy system on event_inbox to relaydesk_system using (true);
grant insert on event_inbox to relaydesk_workspace, relaydesk_agency;
grant select, delete on event_inbox to relaydesk_system;

create table event_positions (
  agency_id bigint primary key,
  last      bigint not null
) with (fillfactor = 50);
alter table event_positions enable row level security;
alter table event_positions force row level security;
create policy workspace on event_positions for select to relaydesk_workspace
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
create policy agency on event_positions for select to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
create policy system on event_positions to relaydesk_system using (true);
grant select on event_positions to relaydesk_workspace, relaydesk_agency;
grant select, insert, update on event_positions to relaydesk_system;

create table event_log (
  agency_id       bigint not null,
  position        bigint not null,
  ref             bigint not null,
  workspace_id    bigint,
  id              uuid not null,
  kind            smallint not null,
  conversation_id uuid,
  created_at      timestamptz not null,
  primary key (agency_id, position)
);
comment on table events is 'erasure: holds ids and changes without personal data';
comment on table event_inbox is 'erasure: holds ids only';
comment on table event_positions is 'erasure: holds numbers only';
comment on table event_log is 'erasure: holds ids only';
comment on table event_lanes is 'erasure: holds numbers only';
create index event_log_workspace on event_log (agency_id, workspace_id, position);
alter table event_log enable row level security;
alter table event_log force row level security;
create policy workspace on event_log for select to relaydesk_workspace
  using (workspace_id = current_setting('relaydesk.workspace_id')::bigint
    and agency_id = current_setting('relaydesk.agency_id')::bigint);
create policy agency on event_log for select to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
create policy system on event_log to relaydesk_system using (true);
grant select on event_log to relaydesk_workspace, relaydesk_agency;
grant select, insert, delete on event_log to relaydesk_system;

select make_event_partitions(now());
