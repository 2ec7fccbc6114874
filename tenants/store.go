package tenants

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/secrets"
)

const (
	agencyColumns = `agency_id, id, name, version, created_at, updated_at`

	readAgencySQL   = `select ` + agencyColumns + ` from agencies where agency_id = @agency_id`
	updateAgencySQL = `
update agencies set name = coalesce(@name, name), version = version + 1, updated_at = @now
where agency_id = @agency_id and (@if_version::bigint = 0 or version = @if_version)
returning ` + agencyColumns
)

func readAgency(ctx context.Context, tx pgx.Tx, agencyID int64) (Agency, error) {
	return one[Agency](ctx, tx, "read an agency", readAgencySQL, pgx.StrictNamedArgs{"agency_id": agencyID})
}

func updateAgency(ctx context.Context, tx pgx.Tx, agencyID int64, c AgencyChange, now time.Time) (Agency, error) {
	a, err := one[Agency](ctx, tx, "update", updateAgencySQL, pgx.StrictNamedArgs{"agency_id": agencyID, "name": c.Name, "if_version": c.IfVersion, "now": now})
	if errors.Is(err, pgx.ErrNoRows) {
		return a, stale("agency")
	}
	return a, err
}

const (
	workspaceColumns = `agency_id, workspace_id as id, id as uuid, name, slug, time_zone, languages, status, metadata, version, created_at, updated_at`

	readWorkspaceSQL = `
select ` + workspaceColumns + ` from workspaces where agency_id = @agency_id and id = @id and status <> 'deleting'`
	listWorkspacesSQL = `
select ` + workspaceColumns + ` from workspaces
where agency_id = @agency_id and status <> 'deleting' and (@after::uuid is null or id < @after)
  and (@slug = '' or slug = @slug) and (@status = '' or status = @status)
order by workspaces.id desc limit @limit` // not the output's id, which is the number
	insertWorkspaceSQL = `
insert into workspaces (agency_id, id, name, slug, time_zone, languages, metadata, created_at, updated_at)
values (@agency_id, @id, @name, @slug, @time_zone, @languages, @metadata, @now, @now) returning workspace_id`
	updateWorkspaceSQL = `
update workspaces set name = coalesce(@name, name), slug = coalesce(@slug, slug), time_zone = coalesce(@time_zone, time_zone),
  languages = coalesce(@languages, languages), status = coalesce(@status, status), metadata = coalesce(@metadata, metadata),
  version = version + 1, updated_at = @now
where agency_id = @agency_id and id = @id and status <> 'deleting' and (@if_version::bigint = 0 or version = @if_version)
  and (@only::bigint = 0 or workspace_id = @only)
returning ` + workspaceColumns
	workspaceExistsSQL = `
select exists (select from workspaces where agency_id = @agency_id and id = @id and status <> 'deleting' and (@only::bigint = 0 or workspace_id = @only))`
	numbersSQL = `select id, workspace_id from workspaces where agency_id = @agency_id and id = any (@ids) and status <> 'deleting'`
)

func readWorkspace(ctx context.Context, tx pgx.Tx, agencyID int64, id ids.ID) (Workspace, error) {
	w, err := one[Workspace](ctx, tx, "read a workspace", readWorkspaceSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "id": id})
	if errors.Is(err, pgx.ErrNoRows) {
		return Workspace{}, noWorkspace()
	}
	return w, err
}

func listWorkspaces(ctx context.Context, tx pgx.Tx, agencyID int64, f WorkspaceFilter, p Page) ([]Workspace, error) {
	return many[Workspace](ctx, tx, "list workspaces", listWorkspacesSQL, pgx.StrictNamedArgs{
		"agency_id": agencyID, "after": p.After.OrNil(), "limit": p.Limit + 1, "slug": f.Slug, "status": f.Status,
	})
}

func insertWorkspace(ctx context.Context, tx pgx.Tx, w *Workspace) error {
	return tx.QueryRow(ctx, insertWorkspaceSQL, pgx.StrictNamedArgs{
		"agency_id": w.AgencyID, "id": w.UUID, "name": w.Name, "slug": w.Slug, "time_zone": w.TimeZone,
		"languages": w.Languages, "metadata": w.Metadata, "now": w.CreatedAt,
	}).Scan(&w.ID)
}

func updateWorkspace(ctx context.Context, tx pgx.Tx, s Scope, id ids.ID, c WorkspaceChange, now time.Time) (Workspace, error) {
	w, err := one[Workspace](ctx, tx, "update", updateWorkspaceSQL, pgx.StrictNamedArgs{
		"agency_id": s.AgencyID, "only": s.Workspace.ID, "id": id, "name": c.Name, "slug": c.Slug, "time_zone": c.TimeZone,
		"languages": c.Languages, "status": c.Status, "metadata": c.Metadata, "if_version": c.IfVersion, "now": now,
	})
	return w, changed(ctx, tx, err, "workspace", workspaceExistsSQL, pgx.StrictNamedArgs{"agency_id": s.AgencyID, "id": id, "only": s.Workspace.ID})
}

// readNumbers gives the numbers of workspaces by the ids that the API shows.
func readNumbers(ctx context.Context, tx pgx.Tx, agencyID int64, wanted []ids.ID) (map[ids.ID]int64, error) {
	rows, err := tx.Query(ctx, numbersSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "ids": wanted})
	if err != nil {
		return nil, fmt.Errorf("read workspaces: %w", err)
	}
	known := map[ids.ID]int64{}
	var id ids.ID
	var number int64
	if _, err := pgx.ForEachRow(rows, []any{&id, &number}, func() error { known[id] = number; return nil }); err != nil {
		return nil, fmt.Errorf("read workspaces: %w", err)
	}
	return known, nil
}

const (
	// In a workspace's scope the inner query sees that workspace only.
	memberColumns = `m.agency_id, m.id, m.name, m.email, m.role, m.status, m.workspace_ids is null as everywhere,
  array(select w.id from workspaces w where w.agency_id = m.agency_id and w.workspace_id = any (m.workspace_ids) and w.status <> 'deleting' order by w.id) as workspace_ids,
  m.version, m.created_at, m.updated_at`

	readMemberSQL  = `select ` + memberColumns + ` from members m where m.agency_id = @agency_id and m.id = @id`
	readMembersSQL = `select ` + memberColumns + ` from members m where m.id = any (@ids)`
	listMembersSQL = `
select ` + memberColumns + ` from members m
where m.agency_id = @agency_id and (@after::uuid is null or m.id < @after)
  and (@email = '' or lower(m.email) = lower(@email)) and (@role = '' or m.role = @role) and (@status = '' or m.status = @status)
order by m.id desc limit @limit`
	insertMemberSQL = `
insert into members (agency_id, id, name, email, role, workspace_ids, status, created_at, updated_at)
values (@agency_id, @id, @name, @email, @role, @workspace_ids, @status, @now, @now)`
	updateMemberSQL = `
update members m set name = coalesce(@name, name), email = coalesce(@email, email), role = coalesce(@role, role), status = coalesce(@status, status),
  workspace_ids = case when @everywhere::boolean then null else coalesce(@workspace_ids, workspace_ids) end,
  version = version + 1, updated_at = @now
where agency_id = @agency_id and id = @id and (@if_version::bigint = 0 or version = @if_version)
returning ` + memberColumns
	deleteMemberSQL = `
delete from members where agency_id = @agency_id and id = @id and (@if_version::bigint = 0 or version = @if_version) returning id`
	memberExistsSQL = `select exists (select from members where agency_id = @agency_id and id = @id)`
)

func readMember(ctx context.Context, tx pgx.Tx, agencyID int64, id ids.ID) (Member, error) {
	m, err := one[Member](ctx, tx, "read a member", readMemberSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "id": id})
	if errors.Is(err, pgx.ErrNoRows) {
		return Member{}, fault.New(fault.NotFound, "not_found", "No such member.")
	}
	return m, err
}

func readMembers(ctx context.Context, tx pgx.Tx, wanted []ids.ID) (map[ids.ID]Member, error) {
	all, err := many[Member](ctx, tx, "read members", readMembersSQL, pgx.StrictNamedArgs{"ids": wanted})
	if err != nil {
		return nil, err
	}
	found := make(map[ids.ID]Member, len(all))
	for _, m := range all {
		found[m.ID] = m
	}
	return found, nil
}

func listMembers(ctx context.Context, tx pgx.Tx, agencyID int64, f MemberFilter, p Page) ([]Member, error) {
	return many[Member](ctx, tx, "list members", listMembersSQL, pgx.StrictNamedArgs{
		"agency_id": agencyID, "after": p.After.OrNil(), "limit": p.Limit + 1, "email": f.Email, "role": f.Role, "status": f.Status,
	})
}

func insertMember(ctx context.Context, tx pgx.Tx, m Member, places []int64) error {
	_, err := tx.Exec(ctx, insertMemberSQL, pgx.StrictNamedArgs{
		"agency_id": m.AgencyID, "id": m.ID, "name": m.Name, "email": m.Email, "role": m.Role,
		"workspace_ids": places, "status": m.Status, "now": m.CreatedAt,
	})
	return err
}

func updateMember(ctx context.Context, tx pgx.Tx, agencyID int64, id ids.ID, c MemberChange, places []int64, now time.Time) (Member, error) {
	m, err := one[Member](ctx, tx, "update", updateMemberSQL, pgx.StrictNamedArgs{
		"agency_id": agencyID, "id": id, "name": c.Name, "email": c.Email, "role": c.Role, "status": c.Status,
		"everywhere": c.Everywhere, "workspace_ids": places, "if_version": c.IfVersion, "now": now,
	})
	return m, changed(ctx, tx, err, "member", memberExistsSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "id": id})
}

func deleteMember(ctx context.Context, tx pgx.Tx, agencyID int64, id ids.ID, ifVersion int64) error {
	err := tx.QueryRow(ctx, deleteMemberSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "id": id, "if_version": ifVersion}).Scan(&id)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == foreignKeyViolation {
		return fault.New(fault.Conflict, "member_in_use", "Conversations name this member. Set the status to disabled instead.").Because(err)
	}
	return changed(ctx, tx, err, "member", memberExistsSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "id": id})
}

const foreignKeyViolation = "23503"

const (
	keyColumns = `k.agency_id, k.id, k.name,
  coalesce((select w.id from workspaces w where w.agency_id = k.agency_id and w.workspace_id = k.workspace_id), '00000000-0000-0000-0000-000000000000') as workspace,
  k.scopes, k.last4, k.expires_at, k.last_used_at, k.version, k.created_at, k.updated_at`

	readKeySQL  = `select ` + keyColumns + ` from api_keys k where k.agency_id = @agency_id and k.id = @id`
	lockKeySQL  = readKeySQL + ` for update of k`
	listKeysSQL = `
select ` + keyColumns + ` from api_keys k
where k.agency_id = @agency_id and (@after::uuid is null or k.id < @after) order by k.id desc limit @limit`
	// No row: there is no such workspace.
	insertKeySQL = `
insert into api_keys (agency_id, id, workspace_id, name, hash, last4, scopes, expires_at, created_at, updated_at)
select @agency_id, @id, w.workspace_id, @name, @hash, @last4, @scopes, @expires_at, @now, @now
from (select 1) as once
left join workspaces w on w.agency_id = @agency_id and w.id = @workspace and w.status <> 'deleting'
where @workspace::uuid is null or w.workspace_id is not null
returning id`
	updateKeySQL = `
update api_keys k set name = coalesce(@name, name), scopes = coalesce(@scopes, scopes),
  expires_at = case when @expires::boolean then @expires_at else expires_at end, version = version + 1, updated_at = @now
where agency_id = @agency_id and id = @id and (@if_version::bigint = 0 or version = @if_version)
returning ` + keyColumns
	deleteKeySQL = `
delete from api_keys where agency_id = @agency_id and id = @id and (@if_version::bigint = 0 or version = @if_version) returning id`
	keyExistsSQL = `select exists (select from api_keys where agency_id = @agency_id and id = @id)`
)

func readKey(ctx context.Context, tx pgx.Tx, agencyID int64, id ids.ID) (Key, error) {
	return keyBy(ctx, tx, readKeySQL, agencyID, id)
}

// lockKey reads a key that nobody else changes until tx ends.
func lockKey(ctx context.Context, tx pgx.Tx, agencyID int64, id ids.ID) (Key, error) {
	return keyBy(ctx, tx, lockKeySQL, agencyID, id)
}

func keyBy(ctx context.Context, tx pgx.Tx, sql string, agencyID int64, id ids.ID) (Key, error) {
	k, err := one[Key](ctx, tx, "read a key", sql, pgx.StrictNamedArgs{"agency_id": agencyID, "id": id})
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, fault.New(fault.NotFound, "not_found", "No such key.")
	}
	return k, err
}

func listKeys(ctx context.Context, tx pgx.Tx, agencyID int64, p Page) ([]Key, error) {
	return many[Key](ctx, tx, "list keys", listKeysSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "after": p.After.OrNil(), "limit": p.Limit + 1})
}

func insertKey(ctx context.Context, tx pgx.Tx, k MadeKey) error {
	hash := secrets.Hash(k.Secret)
	return tx.QueryRow(ctx, insertKeySQL, pgx.StrictNamedArgs{
		"agency_id": k.AgencyID, "id": k.ID, "workspace": k.Workspace.OrNil(), "name": k.Name, "hash": hash[:], "last4": k.Last4,
		"scopes": k.Scopes, "expires_at": k.ExpiresAt, "now": k.CreatedAt,
	}).Scan(&k.ID)
}

func updateKey(ctx context.Context, tx pgx.Tx, agencyID int64, id ids.ID, c KeyChange, now time.Time) (Key, error) {
	var expires *time.Time
	if c.ExpiresAt != nil {
		expires = timeOrNull(*c.ExpiresAt)
	}
	k, err := one[Key](ctx, tx, "update", updateKeySQL, pgx.StrictNamedArgs{
		"agency_id": agencyID, "id": id, "name": c.Name, "scopes": c.Scopes, "expires": c.ExpiresAt != nil, "expires_at": expires,
		"if_version": c.IfVersion, "now": now,
	})
	return k, changed(ctx, tx, err, "key", keyExistsSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "id": id})
}

func deleteKey(ctx context.Context, tx pgx.Tx, agencyID int64, id ids.ID, ifVersion int64) error {
	err := tx.QueryRow(ctx, deleteKeySQL, pgx.StrictNamedArgs{"agency_id": agencyID, "id": id, "if_version": ifVersion}).Scan(&id)
	return changed(ctx, tx, err, "key", keyExistsSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "id": id})
}

// one reads the one row of a statement; none is pgx.ErrNoRows.
func one[T any](ctx context.Context, tx pgx.Tx, what, sql string, args pgx.StrictNamedArgs) (T, error) {
	rows, err := tx.Query(ctx, sql, args)
	if err == nil {
		var row T
		if row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T]); err == nil {
			return row, nil
		}
	}
	var none T
	return none, fmt.Errorf("%s: %w", what, err)
}

func many[T any](ctx context.Context, tx pgx.Tx, what, sql string, args pgx.StrictNamedArgs) ([]T, error) {
	rows, err := tx.Query(ctx, sql, args)
	if err == nil {
		var all []T
		if all, err = pgx.CollectRows(rows, pgx.RowToStructByName[T]); err == nil {
			return all, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", what, err)
}
