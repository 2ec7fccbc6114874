package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/secrets"
)

// tenant is a workspace with a key of its own.
type tenant struct {
	agency, workspace int64
	key               string
}

// numbered makes ids as they come over time, one a millisecond, that carry the
// number of their workspace in their random part: the floor, which knows no
// keys, reads it from there.
type numbered struct{ at time.Time }

func (n *numbered) next(workspace int64) ids.ID {
	n.at = n.at.Add(time.Millisecond)
	id := ids.New(n.at)
	binary.BigEndian.PutUint32(id[12:], uint32(workspace))
	return id
}

func workspaceOf(id ids.ID) int64 { return int64(binary.BigEndian.Uint32(id[12:])) }

// addTenants makes agencies with workspaces, each of which has a key that may do
// everything. Agencies and workspaces are numbered from 1.
func (d *database) addTenants(ctx context.Context, agencies, workspaces int) ([]tenant, error) {
	now := time.Now().UTC()
	var all []tenant
	var agencyRows, workspaceRows, keyRows [][]any
	for a := 1; a <= agencies; a++ {
		agencyRows = append(agencyRows, []any{int64(a), [16]byte(ids.New(now)), fmt.Sprintf("Agency %d", a), now, now})
	}
	for i := 1; i <= workspaces; i++ {
		t := tenant{agency: int64(i%agencies) + 1, workspace: int64(i), key: secrets.NewKey(secrets.SecretLive)}
		hash := secrets.Hash(t.key)
		all = append(all, t)
		workspaceRows = append(workspaceRows, []any{t.agency, t.workspace, [16]byte(ids.New(now)), fmt.Sprintf("Workspace %d", i), "w" + strconv.Itoa(i), []string{"en"}, now, now})
		keyRows = append(keyRows, []any{t.agency, [16]byte(ids.New(now)), t.workspace, "bench", hash[:], secrets.Last4(t.key), []string{"*"}, now, now, now})
	}
	for _, table := range []struct {
		name    string
		columns []string
		rows    [][]any
	}{
		{"agencies", []string{"agency_id", "id", "name", "created_at", "updated_at"}, agencyRows},
		{"workspaces", []string{"agency_id", "workspace_id", "id", "name", "slug", "languages", "created_at", "updated_at"}, workspaceRows},
		{"api_keys", []string{"agency_id", "id", "workspace_id", "name", "hash", "last4", "scopes", "last_used_at", "created_at", "updated_at"}, keyRows},
	} {
		if err := d.copy(ctx, table.name, table.columns, table.rows); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// agencyKey makes a key of a whole agency.
func (d *database) agencyKey(ctx context.Context, agency int64) (string, error) {
	now, key := time.Now().UTC(), secrets.NewKey(secrets.SecretLive)
	hash := secrets.Hash(key)
	return key, d.copy(ctx, "api_keys", []string{"agency_id", "id", "name", "hash", "last4", "scopes", "last_used_at", "created_at", "updated_at"},
		[][]any{{agency, [16]byte(ids.New(now)), "bench", hash[:], secrets.Last4(key), []string{"*"}, now, now, now}})
}

func (d *database) copy(ctx context.Context, table string, columns []string, rows [][]any) error {
	if _, err := d.admin.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(rows)); err != nil {
		return fmt.Errorf("fill %s: %w", table, err)
	}
	return nil
}

// addConversations gives each tenant people and conversations that are under
// way, and returns those in an order in which neighbours are strangers.
func (d *database) addConversations(ctx context.Context, all []tenant, people, conversations int) ([]ids.ID, []int, error) {
	now := time.Now().UTC()
	number := numbered{now.Add(-time.Hour * 24)}
	var contacts, threads [][]any
	var made []ids.ID
	var owners []int
	for n := range conversations {
		for i, t := range all {
			if n < people {
				contacts = append(contacts, []any{t.agency, t.workspace, [16]byte(number.next(t.workspace)), fmt.Sprintf("person-%d", n), "Jo Doe", "jo@example.test", now, now})
			}
			id := number.next(t.workspace)
			made, owners = append(made, id), append(owners, i)
			threads = append(threads, []any{t.agency, t.workspace, [16]byte(id), contacts[n%people*len(all)+i][2], "api", "en", now, number.at, now})
		}
	}
	err := d.copy(ctx, "contacts", []string{"agency_id", "workspace_id", "id", "external_id", "name", "email", "created_at", "updated_at"}, contacts)
	if err == nil {
		err = d.copy(ctx, "conversations", []string{"agency_id", "workspace_id", "id", "contact_id", "channel", "language", "active_at", "created_at", "updated_at"}, threads)
	}
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(made), func(i, j int) {
		made[i], made[j] = made[j], made[i]
		owners[i], owners[j] = owners[j], owners[i]
	})
	return made, owners, err
}
