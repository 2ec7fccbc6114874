package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/relaydesk/relaydesk/internal/ids"
)

// The floor is the least that keeps promise P1: net/http and pgx, nothing
// between them, and one statement that commits message, event and job. Nobody
// is asked who they are, no walls, no turn, no deadline, no receipt, no relay.
// Its tables have our columns and indexes, but neither row security nor foreign
// keys; the job is one of River's.
const floorTables = `
create schema floor;
create table floor.conversations (like public.conversations including all) with (fillfactor = 80);
insert into floor.conversations select * from public.conversations;
create table floor.messages (like public.messages including all);
create table floor.events (like public.events including all);
create table floor.jobs (like river.river_job including all);
create sequence floor.refs;
grant usage on schema floor to relaydesk_bench;
grant select, insert, update on all tables in schema floor to relaydesk_bench;
grant usage on all sequences in schema floor to relaydesk_bench;
grant usage on schema river to relaydesk_bench;
grant usage on all sequences in schema river to relaydesk_bench;
grant execute on all functions in schema river to relaydesk_bench;`

const floorSQL = `
with c as (
  update floor.conversations set last_seq = last_seq + 1, last_public_seq = last_seq + 1, updated_at = $6
  where workspace_id = $1 and id = $2 returning agency_id, last_seq
), m as (
  insert into floor.messages (agency_id, workspace_id, id, conversation_id, seq, author, text, created_at, updated_at)
  select agency_id, $1, $3, $2, last_seq, 'visitor', $4, $6, $6 from c
), e as (
  insert into floor.events (agency_id, workspace_id, ref, id, type, object_id, conversation_id, created_at)
  select agency_id, $1, nextval('floor.refs'), $5, 'message.created', $3, $2, $6 from c
), j as (
  insert into floor.jobs (args, kind, max_attempts, priority, queue, scheduled_at, state)
  select jsonb_build_object('workspace_id', $1::bigint, 'message_id', $3::uuid), 'answer_turn', 5, 1, 'answers', $6, 'available' from c
)
select last_seq from c`

func serveFloor(ctx context.Context, listen, database string) error {
	config, err := pgxpool.ParseConfig(database)
	if err != nil {
		return fmt.Errorf("read the database's URL: %w", err)
	}
	config.MaxConns = connections
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer pool.Close()
	return listenAndServe(ctx, listen, func(w http.ResponseWriter, r *http.Request) {
		var in posted
		conversation, err := ids.Parse(ids.Conversation, r.PathValue("id"))
		if err == nil {
			err = json.NewDecoder(r.Body).Decode(&in)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		now := time.Now().UTC()
		message, seq := ids.New(now), int64(0)
		err = pool.QueryRow(r.Context(), floorSQL, workspaceOf(conversation), conversation, message, in.Text, ids.New(now), now).Scan(&seq)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, http.StatusCreated, map[string]any{
			"id": ids.Format(ids.Message, message), "object": "message", "seq": seq, "text": in.Text, "created_at": now,
		})
	})
}
