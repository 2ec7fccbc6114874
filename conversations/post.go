package conversations

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/receipts"
)

// MaxText is how many characters a message may have.
const MaxText = 20_000

// Start is a new conversation with its visitor's first message.
type Start struct {
	ContactID  ids.ID       // whose it is; zero: Contact says
	Contact    ContactInput // joins the contact of the external id, or makes one
	Unverified bool         // what Contact says comes from a browser: it never joins a contact
	Channel    string       // "": api
	Language   string       // "": the contact's, else the workspace's first, which the assistant corrects
	Subject    string
	Metadata   map[string]string
	Message    Post
}

// Started is what came of it.
type Started struct {
	Conversation Conversation
	Contact      Contact
	Message      Message
	Turn         *Turn // nil: the assistant is silent
}

// ReceiptContact names the person, for erasing.
func (s Started) ReceiptContact() ids.ID { return s.Contact.ID }

// A Post is what a visitor writes.
type Post struct {
	Text     string
	ClientID string // unique in the conversation for ever: a repeat gives the first message
	Metadata map[string]string
}

// Posted is what came of it.
type Posted struct {
	ContactID ids.ID
	Message   Message
	Turn      *Turn // nil: a member owns the conversation, or the assistant is silent
	Repeated  bool  // the client id was known; nothing was stored
}

// ReceiptContact names the person, for erasing.
func (p Posted) ReceiptContact() ids.ID { return p.ContactID }

// A Note is what a member writes for the team.
type Note struct {
	MemberID ids.ID
	Text     string
	ClientID string
	Metadata map[string]string
}

// Start opens a conversation.
func (c *Conversations) Start(ctx context.Context, w postgres.Workspace, in Start, r *receipts.Receipt) (out Started, err error) {
	if err := in.Message.check(); err != nil {
		return out, err
	}
	err = c.in(ctx, w, func(tx pgx.Tx) (err error) {
		out, err = receipts.Once(ctx, tx, r, func() (Started, error) { return c.start(ctx, tx, w, in) })
		return err
	})
	return out, err
}

func (c *Conversations) start(ctx context.Context, tx pgx.Tx, w postgres.Workspace, in Start) (out Started, err error) {
	now := c.Now()
	if in.ContactID.IsZero() {
		out.Contact, _, err = c.put(ctx, tx, w, in.Contact, in.Unverified, now)
	} else {
		out.Contact, err = contact(ctx, tx, w, in.ContactID)
	}
	if err != nil {
		return out, err
	}
	if in.Channel == "" {
		in.Channel = "api"
	}
	if in.Language == "" {
		in.Language = out.Contact.Language
	}
	if in.Metadata == nil {
		in.Metadata = map[string]string{}
	}
	id := ids.New(now)
	_, err = tx.Exec(ctx, insertConversationSQL, args{
		"agency_id": w.AgencyID, "workspace_id": w.ID, "id": id, "contact_id": out.Contact.ID, "channel": in.Channel, "language": in.Language,
		"subject": in.Subject, "metadata": in.Metadata, "now": now,
	})
	if err != nil {
		return out, fmt.Errorf("start a conversation: %w", err)
	}
	err = events.Append(ctx, tx, events.Event{
		ID: ids.New(now), AgencyID: w.AgencyID, WorkspaceID: w.ID, Type: events.ConversationCreated, Object: id, Conversation: id, At: now,
	})
	if err != nil {
		return out, err
	}
	posted, err := c.post(ctx, tx, w, id, in.Message, now)
	if err != nil {
		return out, err
	}
	out.Message, out.Turn = posted.Message, posted.Turn
	out.Conversation, err = get(ctx, tx, "c.workspace_id = @workspace_id", w.ID, id)
	return out, err
}

// Post stores what a visitor writes, and has it answered: it joins the pending
// turn or opens one, unless a member owns the conversation. All of it, with the
// receipt and the job, is one round trip.
func (c *Conversations) Post(ctx context.Context, w postgres.Workspace, conversation ids.ID, in Post, r *receipts.Receipt) (out Posted, err error) {
	if err := in.check(); err != nil {
		return out, err
	}
	p, err := c.posting(ctx, w, conversation, in, c.Now(), r)
	if err != nil {
		return out, err
	}
	if err := c.db.OneTrip(ctx, w, true, postSQL, p.args, p.scan); err != nil {
		return out, fmt.Errorf("post to conversation %x: %w", conversation, err)
	}
	switch p.outcome {
	case "in_flight":
		return out, receipts.InFlight()
	case "kept":
		kept, err := receipts.Found[keptPost](r, p.keptPrint, p.keptSeal)
		if err != nil {
			return out, err
		}
		out, err = c.earlier(ctx, w, kept.Message, p.contact)
		out.Repeated = false // it is the answer that the first request got
		return out, err
	case "repeat":
		return c.earlier(ctx, w, p.message, p.contact)
	}
	return p.posted()
}

// keptPost is what the receipt of a post holds: a message does not change, and
// what became of its turn is read again.
type keptPost struct{ Message ids.ID }

// posting is a message on its way: what is sent, and what came back.
type posting struct {
	conversation ids.ID
	in           Post
	now          time.Time
	args         []any

	outcome                string
	message, contact, turn ids.ID
	seq, first             int64
	due                    *time.Time
	keptPrint, keptSeal    []byte
}

func (c *Conversations) posting(ctx context.Context, w postgres.Workspace, conversation ids.ID, in Post, now time.Time, r *receipts.Receipt) (*posting, error) {
	message, turn := ids.New(now), ids.New(now)
	receipt, err := r.Inline(keptPost{message})
	if err != nil {
		return nil, err
	}
	job, err := c.queue.Inline(ctx, AnswerTurn{AgencyID: w.AgencyID, WorkspaceID: w.ID, TurnID: turn, Lease: 1}, now)
	if err != nil {
		return nil, err
	}
	p := &posting{conversation: conversation, in: in, now: now}
	p.args = []any{
		w.ID, w.AgencyID, conversation, message, in.Text, textOrNull(in.ClientID), metadataOrNull(in.Metadata), turn, now,
		[]ids.ID{ids.New(now), ids.New(now)},
		textOrNull(receipt.Place), receipt.Principal.OrNil(), textOrNull(receipt.Key), receipt.Fingerprint, receipt.Sealed, receipt.KeptSince,
		job.Args, job.Metadata, job.Kind, job.Queue, job.Priority, job.MaxAttempts, job.Notify,
	}
	return p, nil
}

func (p *posting) scan(row pgx.Row) error {
	return row.Scan(&p.outcome, &p.message, &p.seq, &p.contact, &p.turn, &p.first, &p.due, &p.keptPrint, &p.keptSeal)
}

// posted tells what was stored.
func (p *posting) posted() (out Posted, err error) {
	if p.outcome != "stored" {
		return out, noConversation()
	}
	out = Posted{ContactID: p.contact, Message: Message{
		ID: p.message, ConversationID: p.conversation, Seq: p.seq, Author: Visitor, Visibility: Public, Status: "complete", Text: p.in.Text,
		ClientID: p.in.ClientID, TurnID: p.turn, Metadata: p.in.Metadata, CreatedAt: p.now, UpdatedAt: p.now,
	}}
	if p.due != nil {
		out.Turn = &Turn{
			ID: p.turn, ConversationID: p.conversation, Status: Pending, FirstSeq: p.first, LastSeq: p.seq, DueAt: *p.due, CreatedAt: p.now, UpdatedAt: p.now,
		}
	}
	return out, nil
}

// post stores a message within a transaction, for Start.
func (c *Conversations) post(ctx context.Context, tx pgx.Tx, w postgres.Workspace, conversation ids.ID, in Post, now time.Time) (Posted, error) {
	p, err := c.posting(ctx, w, conversation, in, now, nil)
	if err != nil {
		return Posted{}, err
	}
	if err := p.scan(tx.QueryRow(ctx, postSQL, p.args...)); err != nil {
		return Posted{}, fmt.Errorf("post to conversation %x: %w", conversation, err)
	}
	postgres.Announce(tx)
	return p.posted()
}

// earlier gives a message that was posted before, with its turn as it is now.
func (c *Conversations) earlier(ctx context.Context, w postgres.Workspace, message, contact ids.ID) (out Posted, err error) {
	err = c.in(ctx, w, func(tx pgx.Tx) (err error) {
		out, err = c.repeated(ctx, tx, w, message, contact)
		return err
	})
	return out, err
}

// repeated gives a message that was posted before, with its turn as it is now.
func (c *Conversations) repeated(ctx context.Context, tx pgx.Tx, w postgres.Workspace, message, contactID ids.ID) (out Posted, err error) {
	out = Posted{ContactID: contactID, Repeated: true}
	if out.Message, err = getMessage(ctx, tx, "m.workspace_id = @workspace_id", w.ID, message); err != nil {
		return out, err
	}
	if turn, err := turnOfMessage(ctx, tx, w, message); err == nil {
		out.Turn = &turn
	} else if !errors.Is(err, pgx.ErrNoRows) {
		return out, err
	}
	return out, nil
}

// Note stores what a member writes for the team. It changes nothing else.
func (c *Conversations) Note(ctx context.Context, w postgres.Workspace, conversation ids.ID, in Note, r *receipts.Receipt) (out Posted, err error) {
	if err := (Post{Text: in.Text, ClientID: in.ClientID}).check(); err != nil {
		return out, err
	}
	err = c.in(ctx, w, func(tx pgx.Tx) (err error) {
		out, err = receipts.Once(ctx, tx, r, func() (Posted, error) {
			t, err := c.Lock(ctx, tx, w, conversation)
			if err != nil {
				return Posted{}, err
			}
			out := Posted{ContactID: t.ContactID}
			if first, err := t.Repeat(ctx, in.ClientID); err != nil || first != nil {
				if first != nil {
					out.Message, out.Repeated = *first, true
				}
				return out, err
			}
			if err := t.checkMember(ctx, in.MemberID); err != nil {
				return Posted{}, err
			}
			out.Message = t.Say(Message{
				Author: Member, MemberID: in.MemberID, Visibility: TeamOnly, Text: in.Text, ClientID: in.ClientID, Metadata: in.Metadata,
			})
			return out, t.Save(ctx)
		})
		return err
	})
	return out, err
}

func (p Post) check() error {
	if err := CheckText(p.Text); err != nil {
		return err
	}
	if len(p.ClientID) > 255 || !storable(p.ClientID) {
		return fault.New(fault.Invalid, "validation_failed", "A client_id has at most 255 bytes of UTF-8.")
	}
	return nil
}

// CheckText gives a fault unless a message may consist of the text.
func CheckText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return fault.New(fault.Invalid, "validation_failed", "A message needs a text.")
	case !storable(text):
		return fault.New(fault.Invalid, "validation_failed", "A message's text is UTF-8 without NUL.")
	case utf8.RuneCountInString(text) > MaxText:
		return fault.New(fault.Invalid, "validation_failed", "A message's text has at most %d characters.", MaxText)
	}
	return nil
}

// storable tells whether Postgres takes a text.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
