package api

import (
	"context"
	"net/http"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/objects"
)

type listContacts struct {
	Paged
	ExternalID string `query:"external_id" maxLength:"255" doc:"Only the contact with this id of yours."`
}

func (s *Server) listContacts(ctx context.Context, c *Call, in *listContacts) (List[objects.Contact], error) {
	page, err := c.page(in.Paged)
	if err != nil {
		return List[objects.Contact]{}, err
	}
	all, more, err := s.conversations.Contacts(ctx, c.Workspace, in.ExternalID, page)
	return list(c, all, more, func(k conversations.Contact) ids.ID { return k.ID }, c.contact), err
}

// contact renders a contact of the call's workspace.
func (c *Call) contact(k conversations.Contact) objects.Contact {
	return objects.FromContact(k, c.WorkspaceUUID)
}

// ContactID is the contact of a path.
type ContactID struct {
	ID string `path:"id" doc:"The contact's id." example:"cont_01kb2m3n4p5q6r7s8t9v0wxyza"`
}

func (s *Server) getContact(ctx context.Context, c *Call, in *ContactID) (objects.Contact, error) {
	id, err := parse(ids.Contact, in.ID, "contact")
	if err != nil {
		return objects.Contact{}, err
	}
	k, err := s.conversations.Contact(ctx, c.Workspace, id)
	c.Version = k.Version
	return c.contact(k), err
}

// ContactCreate is what a contact is made of.
type ContactCreate struct {
	ExternalID string             `json:"external_id,omitempty" maxLength:"255" doc:"Your own id of them. The contact that has it is changed; else a new one is made." example:"customer-1042"`
	Name       *string            `json:"name,omitempty" maxLength:"200" doc:"Their name." example:"Ada Moreau"`
	Email      *string            `json:"email,omitempty" maxLength:"320" doc:"Their address." example:"ada@example.com"`
	Phone      *string            `json:"phone,omitempty" maxLength:"50" doc:"Their phone number." example:"+49 30 1234567"`
	Language   *string            `json:"language,omitempty" maxLength:"35" doc:"The language that they prefer." example:"de"`
	Attributes map[string]*string `json:"attributes,omitempty" doc:"What else is known of them. Merged; null removes one."`
	Metadata   *map[string]string `json:"metadata,omitempty" doc:"Your own keys and values, all of them anew: at most 50, of 40 and 500 characters."`
}

// input is what the domain makes of it; at is the contact's place in the body.
func (b ContactCreate) input(at string) (conversations.ContactInput, error) {
	if err := spoken(b.Language, at+"/language"); err != nil {
		return conversations.ContactInput{}, err
	}
	out := conversations.ContactInput{
		ExternalID: b.ExternalID, Name: b.Name, Email: b.Email, Phone: b.Phone, Language: b.Language, Attributes: b.Attributes, Metadata: b.Metadata,
	}
	if b.Metadata != nil {
		return out, checkMetadata(*b.Metadata)
	}
	return out, nil
}

type putContact struct{ Body ContactCreate }

func (s *Server) putContact(ctx context.Context, c *Call, in *putContact) (objects.Contact, error) {
	contact, err := in.Body.input("")
	if err != nil {
		return objects.Contact{}, err
	}
	put, err := s.conversations.PutContact(ctx, c.Workspace, contact, false, c.Receipt)
	c.Version = put.Contact.Version
	if !put.Created {
		c.Status = http.StatusOK
	}
	return c.contact(put.Contact), err
}

// ContactUpdate changes a contact.
type ContactUpdate struct {
	ExternalID *string                     `json:"external_id,omitempty" minLength:"1" maxLength:"255" doc:"Your own id of them." example:"customer-1042"`
	Name       Nullable[string]            `json:"name,omitzero" maxLength:"200" doc:"Their name." example:"Ada Moreau"`
	Email      Nullable[string]            `json:"email,omitzero" maxLength:"320" doc:"Their address." example:"ada@example.com"`
	Phone      Nullable[string]            `json:"phone,omitzero" maxLength:"50" doc:"Their phone number." example:"+49 30 1234567"`
	Language   Nullable[string]            `json:"language,omitzero" maxLength:"35" doc:"The language that they prefer." example:"de"`
	Attributes map[string]*string          `json:"attributes,omitempty" doc:"What else is known of them. Merged; null removes one."`
	Metadata   Nullable[map[string]string] `json:"metadata,omitzero" doc:"Your own keys and values, all of them anew; null: none."`
}

type updateContact struct {
	ContactID
	Body ContactUpdate
}

func (s *Server) updateContact(ctx context.Context, c *Call, in *updateContact) (objects.Contact, error) {
	id, err := parse(ids.Contact, in.ID, "contact")
	if err == nil {
		err = checkMetadata(in.Body.Metadata.Value)
	}
	if err == nil {
		err = spoken(&in.Body.Language.Value, "/language")
	}
	if err != nil {
		return objects.Contact{}, err
	}
	change := conversations.ContactInput{
		Name: in.Body.Name.Pointer(), Email: in.Body.Email.Pointer(), Phone: in.Body.Phone.Pointer(), Language: in.Body.Language.Pointer(),
		Attributes: in.Body.Attributes, Metadata: emptied(in.Body.Metadata),
	}
	if in.Body.ExternalID != nil {
		change.ExternalID = *in.Body.ExternalID
	}
	put, err := s.conversations.UpdateContact(ctx, c.Workspace, id, c.IfVersion, change, c.Receipt)
	c.Version = put.Contact.Version
	return c.contact(put.Contact), err
}

// emptied gives an empty map for null.
func emptied(n Nullable[map[string]string]) *map[string]string {
	if n.Set && n.Value == nil {
		return &map[string]string{}
	}
	return n.Pointer()
}

func (s *Server) eraseContact(ctx context.Context, c *Call, in *ContactID) (none, error) {
	id, err := parse(ids.Contact, in.ID, "contact")
	if err != nil {
		return none{}, err
	}
	if _, err := s.conversations.Contact(ctx, c.Workspace, id); err != nil {
		return none{}, err
	}
	return none{}, s.conversations.Erase(ctx, c.Workspace, id)
}
