-- Contacts, conversations, their messages and turns, and what was computed too
-- late to be said.
--
-- The lock on a conversation's row is the lock on all that belongs to it.

create table contacts (
  agency_id    bigint not null,
  workspace_id bigint not null,
  id           uuid not null,
  external_id  text check (length(external_id) between 1 and 255),
  name         text not null default '' check (length(name) <= 200),
  email        text not null default '' check (length(email) <= 320),
  phone        text not null default '' check (length(phone) <= 50),
  language     text not null default '' check (length(language) <= 35),
  verified     boolean not null default false,
  attributes   jsonb not null default '{}',
  metadata     jsonb not null default '{}',
  status       text not null default 'active' check (status in ('active', 'erased')),
  version      bigint not null default 1,
  created_at   timestamptz not null,
  updated_at   timestamptz not null,
  primary key (workspace_id, id),
  foreign key (agency_id, workspace_id) references workspaces (agency_id, workspace_id)
);
comment on table contacts is 'erasure: emptied; the id stays';
create unique index contacts_external_id on contacts (workspace_id, external_id) where external_id is not null;
create index contacts_agency on contacts (agency_id, id) where status = 'active';

create table conversations (
  agency_id        bigint not null,
  workspace_id     bigint not null,
  id               uuid not null,
  contact_id       uuid not null,
  channel          text not null,
  language         text not null default '',
  subject          text not null default '',
  status           text not null default 'open',
  owner            text not null default 'assistant',
  member_id        uuid,
  assignee_id      uuid,
  epoch            bigint not null default 1, -- counts changes of ownership
  last_seq         bigint not null default 0,
  last_public_seq  bigint not null default 0,
  last_visitor_seq bigint not null default 0, -- also the end of the pending turn
  pending_offer    bigint not null default 0, -- seq of the message that offers a person; 0: none
  unsure_turns     smallint not null default 0, -- turns in a row that were answered with an offer
  turn_id          uuid, -- the pending one
  escalation_id    uuid, -- the open one
  waiting_since    timestamptz, -- since when somebody waits for a person
  snoozed_until    timestamptz,
  active_at        timestamptz not null, -- when something last happened that an inbox moves for
  tags             text[] not null default '{}',
  metadata         jsonb not null default '{}',
  unread           boolean not null default true,
  erased           boolean not null default false, -- the contact was erased
  version          bigint not null default 1,
  created_at       timestamptz not null,
  updated_at       timestamptz not null,
  primary key (workspace_id, id),
  foreign key (workspace_id, contact_id) references contacts (workspace_id, id),
  -- One check, because each costs every message a few microseconds.
  constraint conversations_state check (status in ('open', 'snoozed', 'resolved') and owner in ('assistant', 'team', 'member')
    and (owner = 'member') = (member_id is not null))
) with (fillfactor = 80);
comment on table conversations is 'erasure: emptied; ids, states and times stay';
create index conversations_contact on conversations (workspace_id, contact_id, id);
create index conversations_agency on conversations (agency_id, id);
-- A page of the inbox is a range of one of these, whatever its view.
create index inbox_open on conversations (workspace_id, active_at, id) where status = 'open';
create index inbox_open_agency on conversations (agency_id, active_at, id) where status = 'open';
create index inbox_waiting on conversations (workspace_id, waiting_since, id) where status = 'open' and owner = 'team';
create index inbox_waiting_agency on conversations (agency_id, waiting_since, id) where status = 'open' and owner = 'team';
create index inbox_unassigned on conversations (workspace_id, waiting_since, id) where status = 'open' and owner = 'team' and assignee_id is null;
create index inbox_unassigned_agency on conversations (agency_id, waiting_since, id) where status = 'open' and owner = 'team' and assignee_id is null;
create index inbox_owned on conversations (workspace_id, member_id, active_at, id) where status = 'open' and owner = 'member';
create index inbox_owned_agency on conversations (agency_id, member_id, active_at, id) where status = 'open' and owner = 'member';
create index inbox_assigned on conversations (workspace_id, assignee_id, active_at, id) where status = 'open' and assignee_id is not null;
create index inbox_assigned_agency on conversations (agency_id, assignee_id, active_at, id) where status = 'open' and assignee_id is not null;
create index inbox_snoozed on conversations (workspace_id, snoozed_until, id) where status = 'snoozed';
create index inbox_snoozed_agency on conversations (agency_id, snoozed_until, id) where status = 'snoozed';
create index inbox_resolved on conversations (workspace_id, active_at, id) where status = 'resolved';
create index inbox_resolved_agency on conversations (agency_id, active_at, id) where status = 'resolved';

create table messages (
  agency_id       bigint not null,
  workspace_id    bigint not null,
  id              uuid not null,
  conversation_id uuid not null,
  seq             bigint not null,
  author          text not null,
  member_id       uuid,
  visibility      text not null default 'public',
  status          text not null default 'complete',
  text            text not null,
  citations       jsonb,
  confidence      double precision,
  offers          boolean not null default false, -- it ends with the offer of a person
  client_id       text,
  turn_id         uuid,
  metadata        jsonb,
  created_at      timestamptz not null,
  updated_at      timestamptz not null,
  primary key (workspace_id, id),
  -- Written only under the conversation's lock, which is what a foreign key
  -- would take a second time for every message.
  unique (workspace_id, conversation_id, seq),
  constraint messages_kind check (author in ('visitor', 'assistant', 'member', 'system') and (author = 'member') = (member_id is not null)
    and visibility in ('public', 'team') and status in ('complete', 'streaming', 'interrupted'))
);
comment on table messages is 'erasure: emptied; ids, authors and times stay';
create unique index messages_client_id on messages (workspace_id, conversation_id, client_id) where client_id is not null;

create table turns (
  agency_id       bigint not null,
  workspace_id    bigint not null,
  id              uuid not null,
  conversation_id uuid not null,
  status          text not null default 'pending' check (status in ('pending', 'answered', 'escalated', 'superseded', 'handled')),
  first_seq       bigint not null,
  last_seq        bigint not null, -- while it is pending, the conversation's last_visitor_seq counts
  due_at          timestamptz not null,
  lease           bigint not null default 1, -- the fence: only the job that carries it may store
  leased_at       timestamptz, -- when its job was enqueued, or last gave a sign of life; null: not pending
  requeued        smallint not null default 0,
  runs            smallint not null default 0, -- how often an answer came too late for a message that joined
  message_id      uuid,
  escalation_id   uuid,
  next_turn_id    uuid,
  created_at      timestamptz not null,
  updated_at      timestamptz not null,
  primary key (workspace_id, id) -- no foreign key, as with messages
) with (fillfactor = 80);
comment on table turns is 'erasure: holds ids only';
-- No index but the key's: every message that opens a turn would pay for it. The
-- pending one is named by its conversation; all that are pending, by their timers.

create table suggestions (
  agency_id       bigint not null,
  workspace_id    bigint not null,
  id              uuid not null,
  conversation_id uuid not null,
  turn_id         uuid,
  text            text not null,
  citations       jsonb,
  confidence      double precision,
  created_at      timestamptz not null,
  updated_at      timestamptz not null,
  primary key (workspace_id, id),
  foreign key (workspace_id, conversation_id) references conversations (workspace_id, id)
);
comment on table suggestions is 'erasure: deleted with the contact';
create index suggestions_conversation on suggestions (workspace_id, conversation_id, id);

do $$
declare named text;
begin
  foreach named in array array['contacts', 'conversations', 'messages', 'turns', 'suggestions'] loop
    execute format('alter table %I enable row level security', named);
    execute format('alter table %I force row level security', named);
    execute format('create policy workspace on %I to relaydesk_workspace using (workspace_id = current_setting(''relaydesk.workspace_id'')::bigint)', named);
    execute format('create policy agency on %I to relaydesk_agency using (agency_id = current_setting(''relaydesk.agency_id'')::bigint)', named);
    execute format('grant select, insert, update, delete on %I to relaydesk_workspace', named);
    execute format('grant select, delete on %I to relaydesk_agency', named);
  end loop;
end $$;
-- The sweep looks across tenants, by the timers of pending turns, for jobs that
-- gave no sign of life.
create policy system on turns for select to relaydesk_system using (true);
grant select (agency_id, workspace_id, id, due_at, leased_at, requeued) on turns to relaydesk_system;

-- Locks a conversation. That its person or its workspace is not removed under a
-- write needs no lock on their rows: who erases a person, or removes a workspace,
-- locks that row against new conversations, and then each conversation that there
-- is. No row: there is no such conversation.
create function lock_conversation(ws bigint, conv uuid)
returns table (workspace_status text, c conversations)
language plpgsql as $$
begin
  select x.* into c from conversations x where x.workspace_id = ws and x.id = conv and not x.erased for update;
  if not found then return; end if;
  select w.status into workspace_status from workspaces w where w.workspace_id = ws;
  return next;
end $$;

-- What a visitor writes, in one round trip: the message with the next seq, its
-- place in the pending turn or a new one with its job and its deadline, what the
-- conversation becomes, the events, and the receipt of the request, if it has a
-- key. Ids and whatever is encrypted come from the caller. outcome is 'in_flight'
-- if another has the key in hand, 'kept' if it was used before (that receipt is
-- given), 'gone' if conversation, person or workspace is no more, 'repeat' if the
-- conversation has a message of that client id, else 'stored'.
create function post_message(
  ws bigint, agency bigint, conv uuid, msg uuid, body text, client text, meta jsonb,
  new_turn uuid, at timestamptz, event_ids uuid[],
  receipt text, r_principal uuid, receipt_key text, print bytea, seal bytea, kept_since timestamptz,
  job_args jsonb, job_meta jsonb, job_kind text, job_queue text, job_priority smallint, job_attempts smallint, wake boolean)
returns table (outcome text, message_id uuid, message_seq bigint, contact uuid, turn uuid, turn_first bigint, turn_due timestamptz,
  kept_print bytea, kept_seal bytea)
language plpgsql as $$
declare
  standing text; was text; hands text; pending uuid; called uuid; since timestamptz; active timestamptz; seconds int; changed jsonb; kept_at timestamptz;
begin
  if receipt is not null then
    -- As receipts.Once takes it: the look is a statement of its own, so that it
    -- sees what the lock's last holder left.
    if not pg_try_advisory_xact_lock(hashtextextended(receipt, 0)) then
      outcome := 'in_flight'; return next; return;
    end if;
    select r.fingerprint, r.sealed, r.created_at into kept_print, kept_seal, kept_at from receipts r
    where r.agency_id = agency and r.workspace_id = ws and r.principal = r_principal and r.key = receipt_key;
    -- The age is no condition of the query, which might then look by age.
    if kept_at > kept_since then outcome := 'kept'; return next; return; end if;
  end if;
  outcome := 'gone';
  -- The lock, as lock_conversation takes it. Where it had to be waited for, what
  -- the turn's columns show may be older than the conversation's.
  select w.status, x.contact_id, x.status, x.owner, x.turn_id, x.escalation_id, x.waiting_since, x.active_at, x.last_seq + 1, t.first_seq, t.due_at,
    (s.settings->>'turn_deadline_seconds')::int
  into standing, contact, was, hands, pending, called, since, active, message_seq, turn_first, turn_due, seconds
  from conversations x
  join workspaces w on w.workspace_id = ws
  left join turns t on t.workspace_id = ws and t.id = x.turn_id
  left join workspace_settings s on s.workspace_id = ws
  where x.workspace_id = ws and x.id = conv and not x.erased
  for update of x;
  if not found or standing = 'deleting' then return next; return; end if;

  if client is not null then
    select m.id into message_id from messages m where m.workspace_id = ws and m.conversation_id = conv and m.client_id = client;
    if found then outcome := 'repeat'; return next; return; end if;
  end if;

  if was = 'resolved' then
    hands := 'assistant';
    since := null;
  elsif was = 'snoozed' then
    delete from timers t where t.workspace_id = ws and t.kind = 3 and t.object_id = conv;
  end if;

  if hands = 'member' then
    active := at;
    if since is null then
      since := at;
      if called is not null then
        -- The standing promise begins to count: handoff looks soon when it breaks.
        insert into timers as t (agency_id, workspace_id, kind, object_id, due_at) values (agency, ws, 2, called, at + interval '1 minute')
        on conflict (workspace_id, kind, object_id) do update set due_at = excluded.due_at, claimed_until = '-infinity';
      end if;
    end if;
  elsif pending is not null then
    if turn_due is null then
      select t.first_seq, t.due_at into turn_first, turn_due from turns t where t.workspace_id = ws and t.id = pending;
    end if;
  else
    pending := new_turn;
    turn_first := message_seq;
    turn_due := at + make_interval(secs => coalesce(seconds, 45));
    with o as (
      insert into turns (agency_id, workspace_id, id, conversation_id, first_seq, last_seq, due_at, leased_at, created_at, updated_at)
      values (agency, ws, new_turn, conv, message_seq, message_seq, turn_due, at, at, at)
    ), j as (
      insert into river.river_job (args, metadata, kind, queue, priority, max_attempts, state, scheduled_at)
      values (job_args, coalesce(job_meta, '{}'), job_kind, job_queue, job_priority, job_attempts, 'available', now())
    )
    insert into timers (agency_id, workspace_id, kind, object_id, due_at) values (agency, ws, 1, new_turn, turn_due);
    if wake then perform pg_notify('river.river_insert', '{"queue": "' || job_queue || '"}'); end if;
    -- An inbox's order by activity is worth an index entry now and then, not one a turn.
    if active < at - interval '10 minutes' then active := at; end if;
  end if;

  -- The events as events.Append writes them.
  with m as (
    insert into messages (agency_id, workspace_id, id, conversation_id, seq, author, text, client_id, turn_id, metadata, created_at, updated_at)
    values (agency, ws, msg, conv, message_seq, 'visitor', body, client, pending, meta, at, at)
  ), r as materialized (
    select nextval('event_refs') as ref
  ), e as (
    insert into events (agency_id, workspace_id, ref, id, type, object_id, conversation_id, created_at)
    select agency, ws, r.ref, event_ids[1], 'message.created', msg, conv, at from r
  )
  insert into event_inbox (lane, ref, agency_id, workspace_id, id, kind, conversation_id, created_at)
  select agency % 16, r.ref, agency, ws, event_ids[1], 5, conv, at from r;

  if was = 'open' then
    update conversations x set last_seq = message_seq, last_public_seq = message_seq, last_visitor_seq = message_seq, turn_id = pending, waiting_since = since, active_at = active,
      unread = true, version = x.version + 1, updated_at = at
    where x.workspace_id = ws and x.id = conv;
  else
    update conversations x set last_seq = message_seq, last_public_seq = message_seq, last_visitor_seq = message_seq, turn_id = pending, waiting_since = since, active_at = at,
      unread = true, version = x.version + 1, updated_at = at,
      status = 'open', snoozed_until = null, owner = hands, member_id = case when hands = 'member' then x.member_id end,
      epoch = x.epoch + case when x.owner <> hands then 1 else 0 end
    where x.workspace_id = ws and x.id = conv;
    changed := jsonb_build_object('status', 'open', 'owner', hands, 'state', case hands when 'team' then 'waiting' else hands end);
    with r as materialized (
      select nextval('event_refs') as ref
    ), e as (
      insert into events (agency_id, workspace_id, ref, id, type, object_id, conversation_id, changes, created_at)
      select agency, ws, r.ref, event_ids[2], case was when 'resolved' then 'conversation.reopened' else 'conversation.updated' end, conv, conv, changed, at from r
    )
    insert into event_inbox (lane, ref, agency_id, workspace_id, id, kind, conversation_id, created_at)
    select agency % 16, r.ref, agency, ws, event_ids[2], case was when 'resolved' then 4 else 2 end, conv, at from r;
  end if;

  if receipt is not null then
    insert into receipts as r (agency_id, workspace_id, principal, key, fingerprint, sealed, contact_id, created_at)
    values (agency, ws, r_principal, receipt_key, print, seal, contact, at)
    on conflict (agency_id, workspace_id, principal, key) do update
    set fingerprint = excluded.fingerprint, sealed = excluded.sealed, contact_id = excluded.contact_id, created_at = excluded.created_at;
  end if;

  outcome := 'stored';
  message_id := msg;
  turn := pending;
  return next;
end $$;

revoke execute on function lock_conversation(bigint, uuid), post_message(bigint, bigint, uuid, uuid, text, text, jsonb, uuid, timestamptz, uuid[], text, uuid, text, bytea, bytea, timestamptz, jsonb, jsonb, text, text, smallint, smallint, boolean) from public;
grant execute on function lock_conversation(bigint, uuid), post_message(bigint, bigint, uuid, uuid, text, text, jsonb, uuid, timestamptz, uuid[], text, uuid, text, bytea, bytea, timestamptz, jsonb, jsonb, text, text, smallint, smallint, boolean) to relaydesk_workspace;
