-- Escalations, and the packets that were frozen when they were opened.

create table escalations (
  agency_id       bigint not null,
  workspace_id    bigint not null,
  id              uuid not null,
  conversation_id uuid not null,
  contact_id      uuid not null,
  status          text not null default 'open' check (status in ('open', 'accepted', 'answered', 'resolved', 'withdrawn')),
  trigger         text not null check (trigger in ('visitor_asked', 'sensitive_topic', 'rule', 'assistant_unsure', 'visitor_stuck', 'assistant_failed', 'member_asked', 'member_took_over')),
  triggers        jsonb not null,
  priority        text not null default 'normal' check (priority in ('normal', 'high', 'urgent')),
  summary         text not null default '',
  promise         jsonb, -- text, reply_by, basis
  repeated        boolean not null default false, -- the visitor was told again what was promised
  accepted_by     uuid,
  opened_at       timestamptz not null,
  accepted_at     timestamptz,
  first_reply_at  timestamptz,
  resolved_at     timestamptz,
  overdue_at      timestamptz, -- when it was told that the promise is about to break
  version         bigint not null default 1,
  created_at      timestamptz not null,
  updated_at      timestamptz not null,
  primary key (workspace_id, id),
  foreign key (workspace_id, conversation_id) references conversations (workspace_id, id)
);
comment on table escalations is 'erasure: emptied; ids, kinds, states and times stay';
create unique index escalations_open on escalations (workspace_id, conversation_id) where status in ('open', 'accepted', 'answered');
create index escalations_conversation on escalations (workspace_id, conversation_id, id);
create index escalations_status on escalations (workspace_id, status, id);
create index escalations_agency on escalations (agency_id, id);

create table packets (
  agency_id       bigint not null,
  workspace_id    bigint not null,
  id              uuid not null, -- the escalation's
  conversation_id uuid not null,
  contact_id      uuid not null,
  packet          jsonb not null,
  created_at      timestamptz not null,
  primary key (workspace_id, id),
  foreign key (workspace_id, id) references escalations (workspace_id, id)
);
comment on table packets is 'erasure: deleted with the contact';
create index packets_contact on packets (workspace_id, contact_id);

do $$
declare named text;
begin
  foreach named in array array['escalations', 'packets'] loop
    execute format('alter table %I enable row level security', named);
    execute format('alter table %I force row level security', named);
    execute format('create policy workspace on %I to relaydesk_workspace using (workspace_id = current_setting(''relaydesk.workspace_id'')::bigint)', named);
    execute format('create policy agency on %I to relaydesk_agency using (agency_id = current_setting(''relaydesk.agency_id'')::bigint)', named);
    execute format('grant select, insert, update, delete on %I to relaydesk_workspace', named);
    execute format('grant select, delete on %I to relaydesk_agency', named);
  end loop;
end $$;
