-- Webhook endpoints of an agency, what is to be delivered to them, and what
-- became of it.

create table webhook_endpoints (
  agency_id       bigint not null references agencies,
  id              uuid not null,
  workspace_id    bigint, -- null: events of the whole agency
  url             text not null check (length(url) between 1 and 2000),
  description     text not null default '' check (length(description) <= 500),
  event_types     text[] not null,
  payload         text not null default 'full' check (payload in ('full', 'thin')),
  status          text not null default 'enabled' check (status in ('enabled', 'disabled')),
  disabled_reason text,
  failing_since   timestamptz,
  secret          bytea not null, -- sealed
  version         bigint not null default 1,
  created_at      timestamptz not null,
  updated_at      timestamptz not null,
  primary key (agency_id, id),
  foreign key (agency_id, workspace_id) references workspaces (agency_id, workspace_id)
);
comment on table webhook_endpoints is 'erasure: not a visitor''s';
alter table webhook_endpoints enable row level security;
alter table webhook_endpoints force row level security;
create policy workspace on webhook_endpoints to relaydesk_workspace
  using (workspace_id = current_setting('relaydesk.workspace_id')::bigint);
create policy agency on webhook_endpoints to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
grant select, insert, update, delete on webhook_endpoints to relaydesk_workspace, relaydesk_agency;

-- What the relay needs to know of the enabled endpoints: ids and numbers only.
create table webhook_subscriptions (
  agency_id    bigint not null,
  endpoint_id  uuid not null,
  workspace_id bigint, -- null: all
  kind         smallint not null, -- the event type's number; 0: all
  primary key (agency_id, endpoint_id, kind)
);
comment on table webhook_subscriptions is 'erasure: holds ids only';
alter table webhook_subscriptions enable row level security;
alter table webhook_subscriptions force row level security;
create policy workspace on webhook_subscriptions to relaydesk_workspace
  using (workspace_id = current_setting('relaydesk.workspace_id')::bigint);
create policy agency on webhook_subscriptions to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
create policy system on webhook_subscriptions for select to relaydesk_system using (true);
grant select, insert, delete on webhook_subscriptions to relaydesk_workspace, relaydesk_agency;
grant select on webhook_subscriptions to relaydesk_system;

-- One row for each event and endpoint, written by the relay.
create table webhook_deliveries (
  agency_id       bigint not null,
  id              uuid not null,
  workspace_id    bigint,
  endpoint_id     uuid not null,
  event_id        uuid not null,
  position        bigint not null,
  state           smallint not null default 0, -- 0 pending, 1 succeeded, 2 failed, 3 cancelled
  attempts        smallint not null default 0,
  lease           bigint not null default 0, -- counts up; who holds an older one stores nothing
  leased_until    timestamptz,
  next_attempt_at timestamptz,
  created_at      timestamptz not null,
  finished_at     timestamptz,
  primary key (agency_id, id),
  unique (agency_id, endpoint_id, event_id)
) with (fillfactor = 80);
comment on table webhook_deliveries is 'erasure: holds ids and times only';
create index webhook_deliveries_endpoint on webhook_deliveries (agency_id, endpoint_id, id desc);
create index webhook_deliveries_late on webhook_deliveries (next_attempt_at) where state = 0;
alter table webhook_deliveries enable row level security;
alter table webhook_deliveries force row level security;
create policy workspace on webhook_deliveries for select to relaydesk_workspace
  using (workspace_id = current_setting('relaydesk.workspace_id')::bigint);
create policy agency on webhook_deliveries to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
create policy system on webhook_deliveries to relaydesk_system using (true);
grant select on webhook_deliveries to relaydesk_workspace;
grant select, update, delete on webhook_deliveries to relaydesk_agency;
grant select, insert on webhook_deliveries to relaydesk_system;

create table webhook_attempts (
  agency_id    bigint not null,
  workspace_id bigint,
  delivery_id  uuid not null,
  endpoint_id  uuid not null,
  nth          smallint not null,
  status       smallint, -- null: no answer
  error        text,     -- a word for what went wrong, never a body
  response     text check (octet_length(response) <= 4096),
  milliseconds integer not null,
  created_at   timestamptz not null,
  primary key (agency_id, delivery_id, nth)
);
comment on table webhook_attempts is 'erasure: the responses of the agency''s own servers; deleted after 30 days';
create index webhook_attempts_endpoint on webhook_attempts (agency_id, endpoint_id, created_at desc);
alter table webhook_attempts enable row level security;
alter table webhook_attempts force row level security;
create policy workspace on webhook_attempts for select to relaydesk_workspace
  using (workspace_id = current_setting('relaydesk.workspace_id')::bigint);
create policy agency on webhook_attempts to relaydesk_agency
  using (agency_id = current_setting('relaydesk.agency_id')::bigint);
grant select on webhook_attempts to relaydesk_workspace;
grant select, insert, delete on webhook_attempts to relaydesk_agency;
