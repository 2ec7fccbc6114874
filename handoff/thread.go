package handoff

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/handoff/notices"
	"github.com/relaydesk/relaydesk/handoff/packet"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/timers"
	"github.com/relaydesk/relaydesk/tenants"
)

// thread is a locked conversation with its open escalation.
type thread struct {
	*conversations.Thread
	tx       pgx.Tx
	w        postgres.Workspace
	open     *Escalation // nil: none
	changed  bool        // open needs to be written
	settings *tenants.Settings
	contact  *conversations.Contact
}

func (h *Handoff) lock(ctx context.Context, tx pgx.Tx, w postgres.Workspace, id ids.ID) (*thread, error) {
	inner, err := h.conv.Lock(ctx, tx, w, id)
	if err != nil {
		return nil, err
	}
	t := &thread{Thread: inner, tx: tx, w: w}
	if t.EscalationID.IsZero() {
		return t, nil
	}
	e, err := readOne(ctx, tx, getSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": t.EscalationID})
	if err != nil {
		return nil, fmt.Errorf("read the open escalation: %w", err)
	}
	t.open = &e
	return t, nil
}

// save writes the escalation, if it changed, and the conversation.
func (t *thread) save(ctx context.Context) error {
	if t.open != nil && t.changed {
		t.open.Version++
		t.open.UpdatedAt = t.Now
		t.Queue(updateSQL, t.open.args(t.w))
		t.changed = false
	}
	return t.Save(ctx)
}

// ended lets go of the escalation: it is not open any more.
func (t *thread) endEscalation(status string) *Escalation {
	e := t.open
	t.EscalationID = ids.ID{}
	t.WaitingSince = nil
	if e == nil {
		return nil
	}
	now := t.Now
	e.Status, e.ResolvedAt = status, &now
	t.changed = true
	t.ClearTimer(timers.Overdue, e.ID)
	t.Log(events.EscalationResolved, e.ID, map[string]any{"status": status})
	return e
}

// load reads what promises need: settings and contact, once.
func (t *thread) load(ctx context.Context) (err error) {
	if t.settings != nil {
		return nil
	}
	settings, err := tenants.LoadSettings(ctx, t.tx, t.w)
	if err != nil {
		return err
	}
	contact, err := conversations.LoadContact(ctx, t.tx, t.w, t.ContactID)
	if err != nil {
		return err
	}
	t.settings, t.contact = &settings, &contact
	return nil
}

// call is what calls a person.
type call struct {
	triggers []Trigger // the one that decides first
	draft    *packet.Draft
	hits     []packet.Hit
	member   ids.ID // takes the conversation over at once; zero: it goes to the team
	replied  bool   // that member has replied already
	notice   bool   // the visitor is told, with a promise
	upTo     int64  // the newest message that was read; what came later becomes a turn
}

// escalate opens the conversation's escalation, or adds to the one that is open.
func (t *thread) escalate(ctx context.Context, in call) (opened bool, err error) {
	for i := range in.triggers {
		if in.triggers[i].At.IsZero() {
			in.triggers[i].At = t.Now
		}
	}
	if t.open != nil {
		t.again(in.triggers)
		return false, nil
	}
	if err := t.load(ctx); err != nil {
		return false, err
	}
	kept := t.Owner == conversations.Member && t.Status != conversations.Resolved
	if kept && in.member.IsZero() {
		in.member, in.notice = t.MemberID, false // stays with who has it
	}
	now := t.Now
	e := &Escalation{
		ID: ids.New(now), ConversationID: t.ID, ContactID: t.ContactID, WorkspaceID: t.w.ID, Status: StatusOpen,
		Trigger: in.triggers[0].Kind, Triggers: in.triggers, Priority: priority(in.triggers), OpenedAt: now, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	var spoken notices.Promise
	if in.notice || e.Trigger != triggers.MemberTookOver {
		if spoken, e.Promise, err = t.promise(ctx); err != nil {
			return false, err
		}
	}
	if !in.member.IsZero() {
		e.Status, e.AcceptedBy, e.AcceptedAt = StatusAccepted, in.member, &now
		if in.replied {
			e.Status, e.FirstReplyAt = StatusAnswered, &now
		}
	}
	frozen, err := t.freeze(ctx, e, in)
	if err != nil {
		return false, err
	}
	e.Summary = frozen.Summary
	t.Queue(insertSQL, e.first(t.w))
	t.Queue(insertPacketSQL, pgx.StrictNamedArgs{
		"agency_id": t.w.AgencyID, "workspace_id": t.w.ID, "id": e.ID, "conversation_id": t.ID, "contact_id": t.ContactID, "packet": frozen, "now": now,
	})
	t.Log(events.EscalationOpened, e.ID, map[string]any{"status": e.Status, "trigger": e.Trigger, "priority": e.Priority})
	t.Reopen()
	if in.member.IsZero() {
		t.Give(conversations.Team, ids.ID{})
	} else {
		t.Give(conversations.Member, in.member)
	}
	t.open, t.EscalationID, t.PendingOffer, t.UnsureTurns = e, e.ID, 0, 0
	t.ActiveAt = now
	if !in.replied && (t.Turn != nil || in.member.IsZero()) && t.WaitingSince == nil {
		t.WaitingSince = &now
	}
	if in.notice {
		t.Say(conversations.Message{Author: conversations.System, Text: notices.Handoff(t.language(), e.Trigger, spoken)})
	}
	if !in.replied {
		t.watch(e)
	}
	if in.member.IsZero() {
		seq := in.upTo
		if seq == 0 {
			seq = t.LastSeq
		}
		t.EndTurnAt(seq, conversations.Escalated, ids.ID{}, e.ID, t.settings.TurnDeadline)
	}
	return true, nil
}

// again adds to the open escalation: what is new, and more urgency.
func (t *thread) again(more []Trigger) {
	e, news := t.open, false
	for _, m := range more {
		known := slices.ContainsFunc(e.Triggers, func(k Trigger) bool {
			return k.Kind == m.Kind && k.Topic == m.Topic && k.Seq == m.Seq && k.Evidence == m.Evidence && m.Seq != 0
		})
		news = news || !known
		if !known && len(e.Triggers) < maxTriggers {
			e.Triggers = append(e.Triggers, m)
		}
	}
	if news { // what is only told once more raises nothing
		e.Priority = raised(e.Priority, priority(more))
	}
	t.changed = true
	if t.Status == conversations.Snoozed {
		t.Reopen()
		t.ActiveAt = t.Now
	}
	t.Log(events.EscalationUpdated, e.ID, map[string]any{"priority": e.Priority, "triggers": len(e.Triggers)})
}

// maxTriggers bounds what one escalation collects.
const maxTriggers = 50

// priority is what triggers are worth together.
func priority(all []Trigger) string {
	worth := Normal
	for _, t := range all {
		switch {
		case t.Kind == triggers.SensitiveTopic && slices.Contains([]string{"danger", "fraud_lost_stolen"}, t.Topic):
			return Urgent
		case t.Kind == triggers.SensitiveTopic, t.Kind == triggers.VisitorStuck, t.Kind == triggers.Rule:
			worth = High
		}
	}
	return worth
}

// raised is one step more than before, or what the new triggers are worth.
func raised(before, now string) string {
	steps := []string{Normal, High, Urgent}
	return steps[min(max(slices.Index(steps, before)+1, slices.Index(steps, now)), len(steps)-1)]
}

// stillWaiting repeats the standing promise to a visitor who writes on, once
// for each promise.
func (t *thread) stillWaiting(ctx context.Context) error {
	e := t.open
	if e == nil || e.Repeated {
		return nil
	}
	if err := t.load(ctx); err != nil {
		return err
	}
	e.Repeated, t.changed = true, true
	p := notices.Promise{Basis: notices.BasisNone}
	if e.Promise != nil {
		p = notices.Promise{Text: e.Promise.Text, ReplyBy: e.Promise.ReplyBy, Basis: e.Promise.Basis}
	}
	t.Say(conversations.Message{Author: conversations.System, Text: notices.StillWaiting(t.language(), p, t.week(), t.zone(), t.Now)})
	return nil
}

// freeze composes the packet from what is there now.
func (t *thread) freeze(ctx context.Context, e *Escalation, in call) (packet.Packet, error) {
	thread, err := t.Messages(ctx, maxThread)
	if err != nil {
		return packet.Packet{}, err
	}
	k := t.contact
	input := packet.Input{
		Escalation: packet.Escalation{ID: e.ID, ConversationID: t.ID, Status: e.Status, Priority: e.Priority, OpenedAt: e.OpenedAt},
		Contact: packet.Contact{
			ID: k.ID, ExternalID: k.ExternalID, Name: k.Name, Email: k.Email, Phone: k.Phone, Language: k.Language, Verified: k.Verified, Attributes: k.Attributes,
		},
		Channel: t.Channel, Language: t.Language, Subject: t.Subject, PageURL: t.Metadata["page_url"], Draft: in.draft, Hits: in.hits, Promise: e.Promise,
	}
	for _, trigger := range e.Triggers {
		input.Escalation.Triggers = append(input.Escalation.Triggers, packet.Trigger{
			Kind: trigger.Kind, Topic: trigger.Topic, Evidence: trigger.Evidence, Score: trigger.Score, Effect: trigger.Effect, Seq: trigger.Seq, At: trigger.At,
		})
	}
	for _, m := range thread {
		input.Messages = append(input.Messages, packet.Message{
			Entry: packet.Entry{
				MessageID: m.ID, Seq: m.Seq, Author: m.Author, MemberName: m.MemberName, Visibility: m.Visibility, Text: m.Text,
				Confidence: m.Confidence, At: m.CreatedAt,
			},
			Cited: Cited(m.Citations), Unsure: m.Offers,
		})
	}
	if k.Verified {
		if input.Earlier, err = t.earlier(ctx); err != nil {
			return packet.Packet{}, err
		}
	}
	return packet.Compose(input), nil
}

// maxThread is how many messages a packet holds, the newest.
const maxThread = 500

// Cited turns citations into those of a packet.
func Cited(all []conversations.Citation) []packet.Citation {
	out := make([]packet.Citation, len(all))
	for i, c := range all {
		out[i] = packet.Citation{PageID: c.PageID, URL: c.URL, Title: c.Title, HeadingPath: c.HeadingPath, Quote: c.Quote, Passage: c.Passage}
	}
	return out
}

func (t *thread) earlier(ctx context.Context) ([]packet.Earlier, error) {
	rows, err := t.tx.Query(ctx, earlierSQL, pgx.StrictNamedArgs{"workspace_id": t.w.ID, "contact_id": t.ContactID, "id": t.ID})
	if err != nil {
		return nil, fmt.Errorf("read earlier conversations: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e packet.Earlier, err error) {
		err = row.Scan(&e.ConversationID, &e.At, &e.Status, &e.Summary)
		return e, err
	})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("read earlier conversations: %w", err)
	}
	return all, nil
}
