// Package handoff hands conversations over to people, and takes them back.
//
// Whatever calls a person opens an escalation: with the packet that tells who
// picks up all there is to know, frozen as it was; with a promise about time
// that the visitor is told; and with the events, all in one transaction. A
// conversation has one open escalation at most; who calls again adds to it.
//
// Members accept it, reply, release the conversation to the team or to the
// assistant, and resolve it. What the assistant has decided about a turn comes
// in by Settle. It checks under the conversation's lock that the decision still
// fits: an answer that came too late becomes a suggestion for the team; a wish
// for a person is never dropped.
//
// Deadline and Overdue are called by timers, so that no turn and no promise is
// forgotten when everything else fails.
package handoff

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff/packet"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/receipts"
)

// The status of an escalation. The first three are open.
const (
	StatusOpen      = "open"
	StatusAccepted  = "accepted"
	StatusAnswered  = "answered"
	StatusResolved  = "resolved"
	StatusWithdrawn = "withdrawn"
)

// The priority of an escalation.
const (
	Normal = "normal"
	High   = "high"
	Urgent = "urgent"
)

// An Escalation is one handoff.
type Escalation struct {
	ID, ConversationID, ContactID ids.ID
	WorkspaceID                   int64
	Status                        string
	Trigger                       string // the kind of the first
	Triggers                      []Trigger
	Priority, Summary             string
	Promise                       *Promise // nil: member_took_over
	Repeated                      bool     // the visitor was told the promise again
	AcceptedBy                    ids.ID
	OpenedAt                      time.Time
	AcceptedAt, FirstReplyAt      *time.Time
	ResolvedAt, OverdueAt         *time.Time
	Version                       int64
	CreatedAt, UpdatedAt          time.Time
}

// A Trigger is what set a handoff off.
type Trigger struct {
	Kind     string
	Topic    string
	Evidence string // the words that did
	RuleID   ids.ID
	Score    float64
	Effect   string
	Seq      int64 // of the message that the words stand in; 0: none
	At       time.Time
}

// A Promise is what the visitor was told about time.
type Promise = packet.Promise

// Read turns what the words set off into triggers.
func Read(found []triggers.Trigger, at time.Time) []Trigger {
	out := make([]Trigger, len(found))
	for i, f := range found {
		out[i] = Trigger{Kind: f.Kind, Topic: f.Topic, Evidence: f.Evidence, Score: f.Score, Effect: f.Effect, Seq: f.Seq, At: at}
	}
	return out
}

// StaleReply says that a member's reply missed public messages.
type StaleReply struct { //nolint:errname // the word of the house
	*fault.Fault
	Missed []conversations.Message
}

// Unwrap gives the fault.
func (s *StaleReply) Unwrap() error { return s.Fault }

// Handoff serves escalations. It is safe for concurrent use.
type Handoff struct {
	db   *postgres.DB
	conv *conversations.Conversations
}

// New makes the service, and has it take part in erasing contacts.
func New(db *postgres.DB, conv *conversations.Conversations) *Handoff {
	h := &Handoff{db: db, conv: conv}
	conv.OnErase(erase)
	conv.OnAdopt(adopt)
	return h
}

// Outcome is what a verb made of a conversation and its escalation.
type Outcome struct {
	Conversation conversations.Conversation
	Escalation   *Escalation // nil: there is none
	Opened       bool        // by this call
}

// ReceiptContact names the person, for erasing.
func (o Outcome) ReceiptContact() ids.ID { return o.Conversation.ContactID }

// verb locks a conversation, lets do change it, saves it, and tells who waits
// for a turn that ended.
func (h *Handoff) verb(ctx context.Context, w postgres.Workspace, id ids.ID, r *receipts.Receipt,
	do func(t *thread) (*Escalation, bool, error),
) (out Outcome, err error) {
	var ended ids.ID
	err = h.db.InWorkspace(ctx, w, func(tx pgx.Tx) (err error) {
		out, err = receipts.Once(ctx, tx, r, func() (Outcome, error) {
			t, err := h.lock(ctx, tx, w, id)
			if err != nil {
				return Outcome{}, err
			}
			ended = t.TurnID
			escalation, opened, err := do(t)
			if err != nil {
				return Outcome{}, err
			}
			if err := t.save(ctx); err != nil {
				return Outcome{}, err
			}
			return Outcome{t.Conversation, escalation, opened}, nil
		})
		return err
	})
	if err == nil && !ended.IsZero() {
		h.conv.Ended(ended)
	}
	return out, err
}

func notOwner() error {
	return fault.New(fault.Conflict, "not_owner", "The conversation is not in these hands.")
}

func noEscalation() error { return fault.New(fault.NotFound, "not_found", "No such escalation.") }
