package conversations

import (
	"strings"

	"github.com/jackc/pgx/v5"
)

// zero stands for an absent id outside of the database.
const zero = "'00000000-0000-0000-0000-000000000000'::uuid"

// columns writes a list of columns, of a table or alias: those after a "?" give
// the zero id where they are null, those after a "[" an empty list, "{" an empty
// object, "-" an empty text.
func columns(of string, names ...string) string {
	out := make([]string, len(names))
	for i, n := range names {
		switch name := n[1:]; n[0] {
		case '?':
			out[i] = "coalesce(" + of + name + ", " + zero + ") as " + name
		case '[':
			out[i] = "coalesce(" + of + name + ", '[]') as " + name
		case '{':
			out[i] = "coalesce(" + of + name + ", '{}') as " + name
		case '-':
			out[i] = "coalesce(" + of + name + ", '') as " + name
		default:
			out[i] = of + n
		}
	}
	return strings.Join(out, ", ")
}

var (
	conversationFields = []string{
		"id", "contact_id", "workspace_id", "channel", "language", "subject", "status", "owner", "?member_id", "?assignee_id",
		"epoch", "last_seq", "last_public_seq", "last_visitor_seq", "pending_offer", "unsure_turns", "?turn_id", "?escalation_id",
		"waiting_since", "snoozed_until", "active_at", "tags", "metadata", "unread", "version", "created_at", "updated_at",
	}
	messageFields = []string{
		"id", "conversation_id", "seq", "author", "?member_id", "visibility", "status", "text", "[citations", "confidence", "offers",
		"-client_id", "?turn_id", "{metadata", "created_at", "updated_at",
	}
	// As selectTurns and claimSQL write them, and last_seq, which is the
	// conversation's as long as the turn is pending.
	turnFields = []string{
		"id", "conversation_id", "status", "first_seq", "due_at", "lease", "runs", "?message_id", "?escalation_id", "?next_turn_id",
		"created_at", "updated_at",
	}
	contactFields = []string{
		"id", "workspace_id", "-external_id", "name", "email", "phone", "language", "verified", "attributes", "metadata", "status", "version",
		"created_at", "updated_at",
	}
	suggestionFields = []string{"id", "conversation_id", "?turn_id", "text", "[citations", "confidence", "created_at", "updated_at"}
)

// selectMessages reads messages as m, with their members' names. What follows is
// the condition.
var selectMessages = "select " + columns("m.", messageFields...) + `, coalesce(mm.name, '') as member_name
from messages m left join members mm on mm.agency_id = m.agency_id and mm.id = m.member_id `

const lastOfTurn = ", case t.status when 'pending' then c.last_visitor_seq else t.last_seq end as last_seq"

// selectTurns reads turns as t, with their conversations as c. What follows may
// be more joins and is the condition.
var selectTurns = "select " + columns("t.", turnFields...) + lastOfTurn + `
from turns t join conversations c on c.workspace_id = t.workspace_id and c.id = t.conversation_id `

var (
	lockSQL = "select l.workspace_status, " + columns("(l.c).", conversationFields...) +
		" from lock_conversation(@workspace_id, @id) l"
	pendingTurnSQL     = selectTurns + `where t.workspace_id = @workspace_id and c.workspace_id = @workspace_id and c.id = @id and t.id = c.turn_id`
	getConversationSQL = "select " + columns("c.", conversationFields...) + " from conversations c where %s and c.id = @id"
	getTurnSQL         = selectTurns + "where t.workspace_id = @workspace_id and t.id = @id"
	turnOfMessageSQL   = selectTurns + `join messages m on m.workspace_id = t.workspace_id and m.turn_id = t.id
where m.workspace_id = @workspace_id and m.id = @id`
	getContactSQL = "select " + columns("k.", contactFields...) + " from contacts k where k.workspace_id = @workspace_id and k.id = @id"
)

const (
	// By places, because to write named ones out takes longer than to send them.
	postSQL = `select outcome, coalesce(message_id, '00000000-0000-0000-0000-000000000000'), coalesce(message_seq, 0),
  coalesce(contact, '00000000-0000-0000-0000-000000000000'), coalesce(turn, '00000000-0000-0000-0000-000000000000'),
  coalesce(turn_first, 0), turn_due, kept_print, kept_seal
from post_message($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)`

	updateConversationSQL = `
update conversations set channel = @channel, language = @language, subject = @subject, status = @status, owner = @owner, member_id = @member_id,
  assignee_id = @assignee_id, epoch = @epoch, last_seq = @last_seq, last_public_seq = @last_public_seq, last_visitor_seq = @last_visitor_seq, pending_offer = @pending_offer,
  unsure_turns = @unsure_turns, turn_id = @turn_id, escalation_id = @escalation_id, waiting_since = @waiting_since, snoozed_until = @snoozed_until,
  active_at = @active_at, tags = @tags, metadata = @metadata, unread = @unread, version = @version, updated_at = @now
where workspace_id = @workspace_id and id = @id`

	insertConversationSQL = `
insert into conversations (agency_id, workspace_id, id, contact_id, channel, language, subject, metadata, active_at, created_at, updated_at)
values (@agency_id, @workspace_id, @id, @contact_id, @channel, @language, @subject, @metadata, @now, @now, @now)`

	insertMessageSQL = `
insert into messages (agency_id, workspace_id, id, conversation_id, seq, author, member_id, visibility, status, text, citations, confidence, offers, client_id,
  turn_id, metadata, created_at, updated_at)
values (@agency_id, @workspace_id, @id, @conversation_id, @seq, @author, @member_id, @visibility, @status, @text, @citations, @confidence, @offers, @client_id,
  @turn_id, @metadata, @now, @now)`

	insertTurnSQL = `
insert into turns (agency_id, workspace_id, id, conversation_id, first_seq, last_seq, due_at, leased_at, created_at, updated_at)
values (@agency_id, @workspace_id, @id, @conversation_id, @first_seq, @last_seq, @due_at, @now, @now, @now)`

	endTurnSQL = `
update turns set status = @status, last_seq = @last_seq, leased_at = null, message_id = @message_id, escalation_id = @escalation_id,
  next_turn_id = @next_turn_id, runs = @runs, updated_at = @now
where workspace_id = @workspace_id and id = @id`

	moveMessagesSQL = `
update messages set turn_id = @turn_id
where workspace_id = @workspace_id and conversation_id = @conversation_id and seq between @first_seq and @last_seq
  and author = 'visitor' and visibility = 'public'`

	insertSuggestionSQL = `
insert into suggestions (agency_id, workspace_id, id, conversation_id, turn_id, text, citations, confidence, created_at, updated_at)
values (@agency_id, @workspace_id, @id, @conversation_id, @turn_id, @text, @citations, @confidence, @now, @now)`
)

// textOrNull does so for a text.
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// citationsOrNull does so for citations, as json.
func citationsOrNull(c []Citation) any {
	if len(c) == 0 {
		return nil
	}
	return c
}

func metadataOrNull(m map[string]string) any {
	if len(m) == 0 {
		return nil
	}
	return m
}

// args is short for what every statement takes.
type args = pgx.StrictNamedArgs
