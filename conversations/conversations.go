// Package conversations holds what is said: contacts, their conversations, the
// messages in them, and the turns by which the assistant answers.
//
// A conversation has a status (open, snoozed, resolved) and an owner (the
// assistant, the team, one member); what the API calls its state follows from
// the two. Every change of owner bumps its epoch, and what was computed under
// an older epoch is not sent any more. The lock on the conversation's row is
// the lock on all that belongs to it: a Thread is a conversation under that
// lock, and every verb is a transaction that opens one, changes it and saves it.
//
// A turn is the visitor's messages that nobody has answered yet. Post opens one,
// or lets its message join the one that is pending, and enqueues the job that
// answers it. The job claims the turn with a lease. Who stores an answer shows
// the lease: a job that was believed dead, and whose turn was given to another,
// can store nothing.
//
// Handing over to people, and the answer itself, are package handoff's.
package conversations

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/queue"
)

// Who owns a conversation.
const (
	Assistant = "assistant"
	Team      = "team"
	Member    = "member"
)

// Who else writes messages.
const (
	Visitor = "visitor"
	System  = "system"
)

// The status of a conversation.
const (
	Open     = "open"
	Snoozed  = "snoozed"
	Resolved = "resolved"
)

// Who may read a message.
const (
	Public   = "public"
	TeamOnly = "team"
)

// The status of a turn.
const (
	Pending    = "pending"
	Answered   = "answered"
	Escalated  = "escalated"
	Superseded = "superseded" // a person answered
	Handled    = "handled"    // nobody needs to answer any more
)

// A Conversation is one thread.
type Conversation struct {
	ID, ContactID        ids.ID
	WorkspaceID          int64
	Channel, Language    string
	Subject              string
	Status               string
	Owner                string
	MemberID, AssigneeID ids.ID
	Epoch                int64
	LastSeq              int64
	LastPublicSeq        int64
	LastVisitorSeq       int64
	PendingOffer         int64  // seq of the message that offers a person; counts for the next turn only; 0: none
	UnsureTurns          int    // turns in a row that were answered with an offer
	TurnID, EscalationID ids.ID // the pending turn, the open escalation
	WaitingSince         *time.Time
	SnoozedUntil         *time.Time
	ActiveAt             time.Time
	Tags                 []string
	Metadata             map[string]string
	Unread               bool
	Version              int64
	CreatedAt, UpdatedAt time.Time
}

// State is what the API shows: an open conversation's owner, else its status.
func (c Conversation) State() string {
	switch {
	case c.Status != Open:
		return c.Status
	case c.Owner == Team:
		return "waiting"
	}
	return c.Owner
}

// A Message is one entry of a conversation. Seq counts up without gaps.
type Message struct {
	ID, ConversationID   ids.ID
	Seq                  int64
	Author               string
	MemberID             ids.ID
	MemberName           string
	Visibility, Status   string
	Text                 string
	Citations            []Citation
	Confidence           *float64
	Offers               bool // it ends with the offer of a person
	ClientID             string
	TurnID               ids.ID
	Metadata             map[string]string
	CreatedAt, UpdatedAt time.Time
}

// A Citation is the passage that an answer rests on.
type Citation struct {
	PageID      ids.ID
	URL, Title  string
	HeadingPath []string
	Quote       string
	Passage     string // as it was when the answer was given; only the packet shows it
}

// A Turn is the visitor's messages that nobody had answered, from the first to
// the last.
type Turn struct {
	ID, ConversationID                  ids.ID
	Status                              string
	FirstSeq, LastSeq                   int64
	DueAt                               time.Time
	Lease                               int64
	Runs                                int
	MessageID, EscalationID, NextTurnID ids.ID
	CreatedAt, UpdatedAt                time.Time
}

// A Suggestion is an answer that came too late to be sent, kept for the team.
type Suggestion struct {
	ID, ConversationID, TurnID ids.ID
	Text                       string
	Citations                  []Citation
	Confidence                 *float64
	CreatedAt, UpdatedAt       time.Time
}

// A Contact is the record of a visitor.
type Contact struct {
	ID                                       ids.ID
	WorkspaceID                              int64
	ExternalID, Name, Email, Phone, Language string
	Verified                                 bool
	Attributes                               map[string]string
	Metadata                                 map[string]string
	Status                                   string // active, erased
	Version                                  int64
	CreatedAt, UpdatedAt                     time.Time
}

// AnswerTurn are the arguments of the job that answers a turn.
type AnswerTurn struct {
	AgencyID    int64
	WorkspaceID int64
	TurnID      ids.ID
	Lease       int64
}

// Kind names the job.
func (AnswerTurn) Kind() string { return "answer_turn" }

// InsertOpts says what the job is worth.
func (AnswerTurn) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queue.Answers, Priority: 1, MaxAttempts: 5}
}

// Workspace is where the turn belongs.
func (a AnswerTurn) Workspace() postgres.Workspace {
	return postgres.Workspace{AgencyID: a.AgencyID, ID: a.WorkspaceID}
}

// Conversations serves contacts, conversations and turns. It is safe for
// concurrent use.
type Conversations struct {
	db    *postgres.DB
	clock clock.Clock
	queue *queue.Queue
	waits waits
	erase []Eraser
	adopt []Adopter
}

// New makes the service.
func New(db *postgres.DB, c clock.Clock, q *queue.Queue) *Conversations {
	return &Conversations{db: db, clock: c, queue: q}
}

// Now is the moment of one operation, as precise as the database keeps it.
func (c *Conversations) Now() time.Time { return c.clock.Now().UTC().Truncate(time.Microsecond) }

// in runs do in the workspace's scope.
func (c *Conversations) in(ctx context.Context, w postgres.Workspace, do func(tx pgx.Tx) error) error {
	return c.db.InWorkspace(ctx, w, do)
}

// The faults that verbs of this package and of handoff give.
func noConversation() error { return fault.New(fault.NotFound, "not_found", "No such conversation.") }

// ErrResolved is what a verb gets that needs a conversation which goes on.
func ErrResolved() error {
	return fault.New(fault.Conflict, "conversation_resolved", "The conversation is resolved; reopen it first.")
}
