package conversations

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/receipts"
	"github.com/relaydesk/relaydesk/internal/timers"
)

// MaxTags is how many tags a conversation may have, MaxTag how long one may be.
const (
	MaxTags = 50
	MaxTag  = 60
)

// change opens a thread, lets do change it, and saves it.
func (c *Conversations) change(ctx context.Context, w postgres.Workspace, id ids.ID, r *receipts.Receipt, do func(t *Thread) error) (out Conversation, err error) {
	var ended ids.ID
	err = c.in(ctx, w, func(tx pgx.Tx) (err error) {
		kept, err := receipts.Once(ctx, tx, r, func() (changed, error) {
			t, err := c.Lock(ctx, tx, w, id)
			if err != nil {
				return changed{}, err
			}
			ended = t.TurnID
			if err := do(t); err != nil {
				return changed{}, err
			}
			return changed{t.Conversation}, t.Save(ctx)
		})
		out = kept.Conversation
		return err
	})
	if err == nil && !ended.IsZero() && ended != out.TurnID {
		c.Ended(ended)
	}
	return out, err
}

// changed is a conversation as a receipt keeps it.
type changed struct{ Conversation }

// ReceiptContact names the person, for erasing.
func (c changed) ReceiptContact() ids.ID { return c.ContactID }

// A Change of a conversation's own fields; nil: as it is.
type Change struct {
	Version  int64 // only if this is still the version; 0: whatever it is
	Subject  *string
	Language *string
	Tags     *[]string
	Metadata *map[string]string
}

// Update changes what people note about a conversation.
func (c *Conversations) Update(ctx context.Context, w postgres.Workspace, id ids.ID, in Change, r *receipts.Receipt) (Conversation, error) {
	return c.change(ctx, w, id, r, func(t *Thread) error {
		if in.Version != 0 && in.Version != t.Version {
			return stale()
		}
		if in.Subject != nil {
			t.Subject = *in.Subject
		}
		if in.Language != nil {
			t.Language = *in.Language
		}
		if in.Tags != nil {
			tags, err := cleanTags(*in.Tags)
			if err != nil {
				return err
			}
			t.Tags = tags
		}
		if in.Metadata != nil && !maps.Equal(t.Metadata, *in.Metadata) {
			t.Metadata = *in.Metadata
			t.Log(events.ConversationUpdated, t.ID, map[string]any{"fields": []string{"metadata"}})
		}
		return nil
	})
}

func stale() error {
	return fault.New(fault.Conflict, "precondition_failed", "It was changed meanwhile. Read it again.")
}

// cleanTags gives the tags sorted, each once.
func cleanTags(in []string) ([]string, error) {
	tags := []string{}
	for _, tag := range in {
		tag = strings.TrimSpace(tag)
		if tag == "" || len(tag) > MaxTag || !storable(tag) {
			return nil, fault.New(fault.Invalid, "validation_failed", "A tag has 1 to %d bytes of UTF-8.", MaxTag)
		}
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	if tags = slices.Compact(tags); len(tags) > MaxTags {
		return nil, fault.New(fault.Invalid, "validation_failed", "A conversation has at most %d tags.", MaxTags)
	}
	return tags, nil
}

// Assign names the member who should take care; the zero id takes it back. It
// changes neither owner nor state.
func (c *Conversations) Assign(ctx context.Context, w postgres.Workspace, id, member ids.ID, r *receipts.Receipt) (Conversation, error) {
	return c.change(ctx, w, id, r, func(t *Thread) error {
		if t.Status == Resolved {
			return ErrResolved()
		}
		if !member.IsZero() {
			if err := t.checkMember(ctx, member); err != nil {
				return err
			}
		}
		t.AssigneeID = member
		return nil
	})
}

// Snooze puts a conversation away until a moment, or until the visitor writes.
// What was pending needs no answer any more. One that is snoozed gets the new
// moment.
func (c *Conversations) Snooze(ctx context.Context, w postgres.Workspace, id ids.ID, until time.Time, r *receipts.Receipt) (Conversation, error) {
	return c.change(ctx, w, id, r, func(t *Thread) error {
		switch {
		case t.Status == Resolved:
			return ErrResolved()
		case !until.After(t.Now) || until.After(t.Now.AddDate(5, 0, 0)):
			return fault.New(fault.Invalid, "validation_failed", "until has to be a moment within the next five years.")
		}
		until = until.UTC().Truncate(time.Microsecond)
		t.Status, t.SnoozedUntil = Snoozed, &until
		t.EndTurn(Handled, ids.ID{}, ids.ID{})
		t.Timer(timers.Wake, t.ID, until)
		return nil
	})
}

// Wake opens a snoozed conversation whose moment has come; its owner is who it
// was. Anything else is left as it is: a timer may fire late or twice.
func (c *Conversations) Wake(ctx context.Context, w postgres.Workspace, id ids.ID) error {
	err := c.in(ctx, w, func(tx pgx.Tx) error {
		t, err := c.Lock(ctx, tx, w, id)
		if err != nil {
			if fault.Of(err).Kind == fault.NotFound {
				return timers.Clear(ctx, tx, w, timers.Wake, id)
			}
			return err
		}
		switch {
		case t.Status != Snoozed:
			return timers.Clear(ctx, tx, w, timers.Wake, id)
		case t.SnoozedUntil != nil && t.SnoozedUntil.After(t.Now):
			return nil
		}
		t.Reopen()
		t.ActiveAt = t.Now
		return t.Save(ctx)
	})
	return err
}

// Reopen opens a resolved conversation again, with the assistant, and wakes one
// that is snoozed. One that is open stays as it is.
func (c *Conversations) Reopen(ctx context.Context, w postgres.Workspace, id ids.ID, r *receipts.Receipt) (Conversation, error) {
	return c.change(ctx, w, id, r, func(t *Thread) error {
		if t.Status == Open {
			return nil
		}
		if t.Status == Resolved {
			t.Give(Assistant, ids.ID{})
			t.WaitingSince = nil
		}
		t.Reopen()
		t.ActiveAt = t.Now
		return nil
	})
}

// Read tells that somebody of the team has seen what is there.
func (c *Conversations) Read(ctx context.Context, w postgres.Workspace, id ids.ID) (Conversation, error) {
	return c.change(ctx, w, id, nil, func(t *Thread) error {
		t.Unread = false
		return nil
	})
}
