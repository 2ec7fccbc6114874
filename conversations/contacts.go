package conversations

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/receipts"
	"github.com/relaydesk/relaydesk/tenants"
)

// ContactInput is what somebody says about a visitor; nil: nothing. Attributes
// are merged, an attribute that is nil is removed; metadata replaces.
type ContactInput struct {
	ExternalID                   string
	Name, Email, Phone, Language *string
	Attributes                   map[string]*string
	Metadata                     *map[string]string
}

// Put is what became of a contact.
type Put struct {
	Contact Contact
	Created bool
}

// ReceiptContact names the person, for erasing.
func (p Put) ReceiptContact() ids.ID { return p.Contact.ID }

// PutContact makes a contact, or changes the one of the external id. Only who
// is trusted to know the visitor may call it so: with unverified data, typed
// into a form or sent by a browser, a contact is always a new one, and the
// external id stays a mere claim among its attributes.
func (c *Conversations) PutContact(ctx context.Context, w postgres.Workspace, in ContactInput, unverified bool, r *receipts.Receipt) (out Put, err error) {
	err = c.in(ctx, w, func(tx pgx.Tx) (err error) {
		out, err = receipts.Once(ctx, tx, r, func() (Put, error) {
			contact, created, err := c.put(ctx, tx, w, in, unverified, c.Now())
			return Put{contact, created}, err
		})
		return err
	})
	return out, err
}

const (
	insertContactSQL = `
insert into contacts (agency_id, workspace_id, id, external_id, name, email, phone, language, verified, attributes, metadata, created_at, updated_at)
values (@agency_id, @workspace_id, @id, @external_id, @name, @email, @phone, @language, @verified, @attributes, @metadata, @now, @now)
on conflict (workspace_id, external_id) where external_id is not null do nothing`

	updateContactSQL = `
update contacts set external_id = @external_id, name = @name, email = @email, phone = @phone, language = @language, verified = @verified,
  attributes = @attributes, metadata = @metadata, version = @version, updated_at = @now
where workspace_id = @workspace_id and id = @id`

	keyShareWorkspaceSQL = `select w.status from workspaces w where w.workspace_id = @workspace_id for key share`
)

var (
	contactByExternalSQL = "select " + columns("k.", contactFields...) + ` from contacts k
where k.workspace_id = @workspace_id and k.external_id = @external_id for no key update`
	contactForUpdateSQL = getContactSQL + " and k.status = 'active' for no key update"
	contactKeyShareSQL  = getContactSQL + " and k.status = 'active' for key share"
)

// claimed is where an external id is kept that nobody vouched for.
const claimed = "claimed_external_id"

// alive keeps the workspace from being removed until tx ends.
func alive(ctx context.Context, tx pgx.Tx, w postgres.Workspace) error {
	var status string
	err := tx.QueryRow(ctx, keyShareWorkspaceSQL, args{"workspace_id": w.ID}).Scan(&status)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && status == "deleting" {
		return fault.New(fault.NotFound, "not_found", "No such workspace.")
	}
	return err
}

// contact reads a contact and keeps it from being removed until tx ends.
func contact(ctx context.Context, tx pgx.Tx, w postgres.Workspace, id ids.ID) (Contact, error) {
	if err := alive(ctx, tx, w); err != nil {
		return Contact{}, err
	}
	k, err := one[Contact](ctx, tx, contactKeyShareSQL, args{"workspace_id": w.ID, "id": id})
	if errors.Is(err, pgx.ErrNoRows) {
		return k, noContact()
	}
	return k, err
}

func noContact() error { return fault.New(fault.NotFound, "not_found", "No such contact.") }

func (c *Conversations) put(ctx context.Context, tx pgx.Tx, w postgres.Workspace, in ContactInput, unverified bool, now time.Time) (Contact, bool, error) {
	if err := alive(ctx, tx, w); err != nil {
		return Contact{}, false, err
	}
	if err := in.check(); err != nil {
		return Contact{}, false, err
	}
	if unverified && in.ExternalID != "" {
		in.Attributes = maps.Clone(in.Attributes)
		if in.Attributes == nil {
			in.Attributes = map[string]*string{}
		}
		claim := in.ExternalID
		in.Attributes[claimed], in.ExternalID = &claim, ""
	}
	fresh := Contact{
		ID: ids.New(now), WorkspaceID: w.ID, ExternalID: in.ExternalID, Verified: in.ExternalID != "", Status: "active",
		Attributes: map[string]string{}, Metadata: map[string]string{}, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	in.into(&fresh)
	// Whoever of two comes second finds the first one's contact.
	for range 3 {
		if in.ExternalID != "" {
			known, err := one[Contact](ctx, tx, contactByExternalSQL, args{"workspace_id": w.ID, "external_id": in.ExternalID})
			if err == nil {
				known, err := c.updateContact(ctx, tx, w, known, in, now)
				return known, false, err
			}
			if !errors.Is(err, pgx.ErrNoRows) {
				return Contact{}, false, fmt.Errorf("look for a contact: %w", err)
			}
		}
		tag, err := tx.Exec(ctx, insertContactSQL, args{
			"agency_id": w.AgencyID, "workspace_id": w.ID, "id": fresh.ID, "external_id": textOrNull(fresh.ExternalID), "name": fresh.Name,
			"email": fresh.Email, "phone": fresh.Phone, "language": fresh.Language, "verified": fresh.Verified, "attributes": fresh.Attributes,
			"metadata": fresh.Metadata, "now": now,
		})
		if err != nil {
			return Contact{}, false, fmt.Errorf("make a contact: %w", err)
		}
		if tag.RowsAffected() == 1 {
			return fresh, true, appendContact(ctx, tx, w, events.ContactCreated, fresh.ID, now)
		}
	}
	return Contact{}, false, fault.New(fault.Unavailable, "unavailable", "The contact is being changed by others; try again.")
}

func appendContact(ctx context.Context, tx pgx.Tx, w postgres.Workspace, kind events.Type, id ids.ID, now time.Time) error {
	return events.Append(ctx, tx, events.Event{ID: ids.New(now), AgencyID: w.AgencyID, WorkspaceID: w.ID, Type: kind, Object: id, At: now})
}

// updateContact writes a contact that tx has locked, unless nothing changes.
func (c *Conversations) updateContact(ctx context.Context, tx pgx.Tx, w postgres.Workspace, k Contact, in ContactInput, now time.Time) (Contact, error) {
	before := k
	k.Attributes = maps.Clone(k.Attributes)
	in.into(&k)
	if k.Name == before.Name && k.Email == before.Email && k.Phone == before.Phone && k.Language == before.Language && k.ExternalID == before.ExternalID &&
		len(in.Attributes) == 0 && maps.Equal(k.Metadata, before.Metadata) {
		return before, nil
	}
	k.Version, k.UpdatedAt, k.Verified = k.Version+1, now, k.ExternalID != ""
	_, err := tx.Exec(ctx, updateContactSQL, args{
		"workspace_id": w.ID, "id": k.ID, "external_id": textOrNull(k.ExternalID), "name": k.Name, "email": k.Email, "phone": k.Phone,
		"language": k.Language, "verified": k.Verified, "attributes": k.Attributes, "metadata": k.Metadata, "version": k.Version, "now": now,
	})
	if postgres.Violates(err, "contacts_external_id") {
		return k, fault.New(fault.Invalid, "validation_failed", "Another contact has this external_id.")
	}
	if err != nil {
		return k, fmt.Errorf("change contact %x: %w", k.ID, err)
	}
	return k, appendContact(ctx, tx, w, events.ContactUpdated, k.ID, now)
}

func (in ContactInput) into(k *Contact) {
	set := func(field *string, value *string) {
		if value != nil {
			*field = *value
		}
	}
	if in.ExternalID != "" {
		k.ExternalID = in.ExternalID
	}
	set(&k.Name, in.Name)
	set(&k.Email, in.Email)
	set(&k.Phone, in.Phone)
	set(&k.Language, in.Language)
	for name, value := range in.Attributes {
		if value == nil {
			delete(k.Attributes, name)
		} else {
			k.Attributes[name] = *value
		}
	}
	if in.Metadata != nil {
		k.Metadata = *in.Metadata
	}
}

func (in ContactInput) check() error {
	for _, f := range []struct {
		name  string
		value *string
		most  int
	}{
		{"external_id", &in.ExternalID, 255},
		{"name", in.Name, 200},
		{"email", in.Email, 320},
		{"phone", in.Phone, 50},
		{"language", in.Language, 35},
	} {
		if f.value != nil && (len([]rune(*f.value)) > f.most || !storable(*f.value)) {
			return fault.New(fault.Invalid, "validation_failed", "A contact's %s has at most %d characters of UTF-8.", f.name, f.most)
		}
	}
	return nil
}

// UpdateContact changes a contact; version 0: whatever it is.
func (c *Conversations) UpdateContact(ctx context.Context, w postgres.Workspace, id ids.ID, version int64, in ContactInput, r *receipts.Receipt) (out Put, err error) {
	if err := in.check(); err != nil {
		return out, err
	}
	err = c.in(ctx, w, func(tx pgx.Tx) (err error) {
		out, err = receipts.Once(ctx, tx, r, func() (Put, error) {
			if err := alive(ctx, tx, w); err != nil {
				return Put{}, err
			}
			k, err := one[Contact](ctx, tx, contactForUpdateSQL, args{"workspace_id": w.ID, "id": id})
			switch {
			case errors.Is(err, pgx.ErrNoRows):
				return Put{}, noContact()
			case err != nil:
				return Put{}, err
			case version != 0 && version != k.Version:
				return Put{}, stale()
			}
			k, err = c.updateContact(ctx, tx, w, k, in, c.Now())
			return Put{Contact: k}, err
		})
		return err
	})
	return out, err
}

// Contact reads a contact. One that was erased is not found.
func (c *Conversations) Contact(ctx context.Context, w postgres.Workspace, id ids.ID) (out Contact, err error) {
	err = c.in(ctx, w, func(tx pgx.Tx) (err error) {
		out, err = one[Contact](ctx, tx, getContactSQL+" and k.status = 'active'", args{"workspace_id": w.ID, "id": id})
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return out, noContact()
	}
	return out, err
}

var listContactsSQL = "select " + columns("k.", contactFields...) + ` from contacts k
where k.workspace_id = @workspace_id and k.status = 'active' and (@external_id::text = '' or k.external_id = @external_id)
  and (@after::uuid is null or k.id < @after)
order by k.id desc limit @limit`

// Contacts gives a page of contacts, newest first, and whether there are more.
// With an external id it is that one contact, or none.
func (c *Conversations) Contacts(ctx context.Context, w postgres.Workspace, externalID string, page tenants.Page) (out []Contact, more bool, err error) {
	err = c.in(ctx, w, func(tx pgx.Tx) (err error) {
		out, err = many[Contact](ctx, tx, listContactsSQL, args{
			"workspace_id": w.ID, "external_id": externalID, "after": page.After.OrNil(), "limit": page.Limit + 1,
		})
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("list contacts: %w", err)
	}
	out, more = cut(out, page.Limit)
	return out, more, nil
}

// LoadContact reads a contact within a transaction.
func LoadContact(ctx context.Context, tx pgx.Tx, w postgres.Workspace, id ids.ID) (Contact, error) {
	k, err := one[Contact](ctx, tx, getContactSQL, args{"workspace_id": w.ID, "id": id})
	if errors.Is(err, pgx.ErrNoRows) {
		return k, noContact()
	}
	return k, err
}
