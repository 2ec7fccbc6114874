package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// The parts of the API's objects that tables show.
type (
	cliConversation struct {
		ID           string   `json:"id"`
		WorkspaceID  string   `json:"workspace_id"`
		ContactID    string   `json:"contact_id"`
		Subject      string   `json:"subject"`
		Language     string   `json:"language"`
		State        string   `json:"state"`
		Owner        cliOwner `json:"owner"`
		LastSeq      int64    `json:"last_seq"`
		Tags         []string `json:"tags"`
		WaitingSince string   `json:"waiting_since"`
		EscalationID string   `json:"escalation_id"`
		UpdatedAt    string   `json:"updated_at"`
	}
	cliOwner struct {
		Type     string `json:"type"`
		MemberID string `json:"member_id"`
	}
	cliMessage struct {
		ID         string        `json:"id"`
		Seq        int64         `json:"seq"`
		Author     cliAuthor     `json:"author"`
		Visibility string        `json:"visibility"`
		Text       string        `json:"text"`
		Confidence *float64      `json:"confidence"`
		Citations  []cliCitation `json:"citations"`
		CreatedAt  string        `json:"created_at"`
	}
	cliAuthor struct {
		Type string `json:"type"`
		Name string `json:"name"`
	}
	cliCitation struct {
		URL   string `json:"url"`
		Title string `json:"title"`
		Quote string `json:"quote"`
	}
	cliTrigger struct {
		Kind     string   `json:"kind"`
		Topic    string   `json:"topic"`
		Evidence string   `json:"evidence"`
		Score    *float64 `json:"score"`
		Effect   string   `json:"effect"`
	}
	cliEscalation struct {
		ID      string `json:"id"`
		Trigger string `json:"trigger"`
		Summary string `json:"summary"`
		Promise *struct {
			Text string `json:"text"`
		} `json:"promise"`
	}
)

func conversationsCommand() *cobra.Command {
	s := &session{}
	var status, owner, tag, contact, member string
	listing := s.paged(&cobra.Command{
		Use: "list", Short: "list conversations, the newest first", Args: cobra.NoArgs,
		RunE: s.run(func(ctx context.Context, _ []string) error {
			query := url.Values{"status": {status}, "owner": {owner}, "tag": {tag}, "contact_id": {contact}, "member_id": {member}}
			return fetchList(ctx, s, "/v1/conversations", query, []string{"id", "state", "messages", "language", "moved", "subject"}, func(c cliConversation) []string {
				return []string{c.ID, c.State, strconv.FormatInt(c.LastSeq, 10), c.Language, ago(c.UpdatedAt) + " ago", short(c.Subject, 50)}
			})
		}),
	})
	choice(listing, &status, "status", "", "only with this status", "open", "snoozed", "resolved")
	choice(listing, &owner, "owner", "", "only those of this kind of owner", "assistant", "team", "member")
	listing.Flags().StringVar(&tag, "tag", "", "only with this tag")
	listing.Flags().StringVar(&contact, "contact", "", "only those of this contact, by its id")
	listing.Flags().StringVar(&member, "member", "", "only those that this member owns, by their id")
	get := &cobra.Command{
		Use: "get CONVERSATION_ID", Short: "show a conversation with its thread", Args: cobra.ExactArgs(1),
		Long: "Shows a conversation and all that was said in it. With --json: an object of both, each as the API gives it.",
		RunE: s.run(func(ctx context.Context, args []string) error { return s.thread(ctx, args[0]) }),
	}
	return s.flags(group("conversations", "list, show and begin conversations", listing, get, startCommand(s)))
}

// thread shows a conversation with all its messages.
func (s *session) thread(ctx context.Context, id string) error {
	path := "/v1/conversations/" + url.PathEscape(id)
	head, err := s.api.raw(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	var raw []json.RawMessage
	for after := int64(0); ; {
		var part list[json.RawMessage]
		if err := s.api.call(ctx, "GET", fmt.Sprintf("%s/messages?limit=100&after_seq=%d", path, after), nil, &part); err != nil {
			return err
		}
		raw = append(raw, part.Data...)
		if !part.HasMore || len(part.Data) == 0 {
			break
		}
		var last cliMessage
		if err := json.Unmarshal(part.Data[len(part.Data)-1], &last); err != nil {
			return fmt.Errorf("read a message: %w", err)
		}
		after = last.Seq
	}
	if s.json {
		both, err := json.Marshal(struct {
			Conversation json.RawMessage   `json:"conversation"`
			Messages     []json.RawMessage `json:"messages"`
		}{head, raw})
		if err != nil {
			return fmt.Errorf("write the thread: %w", err)
		}
		return s.print(both)
	}
	if err := show(s, head, conversationFields); err != nil {
		return err
	}
	for _, text := range raw {
		var m cliMessage
		if err := json.Unmarshal(text, &m); err != nil {
			return fmt.Errorf("read a message: %w", err)
		}
		s.message(m)
	}
	return nil
}

func conversationFields(c cliConversation) [][]string {
	owner := c.Owner.Type
	if c.Owner.MemberID != "" {
		owner += " " + c.Owner.MemberID
	}
	return [][]string{
		{"id", c.ID},
		{"workspace", c.WorkspaceID},
		{"contact", c.ContactID},
		{"subject", c.Subject},
		{"language", c.Language},
		{"state", c.State},
		{"owner", owner},
		{"waiting since", c.WaitingSince},
		{"escalation", c.EscalationID},
		{"tags", strings.Join(c.Tags, ", ")},
	}
}

// message prints what somebody said, indented below who said it and when.
func (s *session) message(m cliMessage) {
	who := m.Author.Type
	if m.Author.Name != "" {
		who += " " + oneLine(m.Author.Name)
	}
	if m.Visibility == "team" {
		who += " (note for the team)"
	}
	if m.Confidence != nil {
		who += fmt.Sprintf(" (confidence %.2f)", *m.Confidence)
	}
	fmt.Fprintf(s.out, "\n#%d %s, %s\n", m.Seq, who, m.CreatedAt)
	s.indented(m.Text)
	s.citations(m.Citations)
}

func (s *session) indented(text string) {
	for line := range strings.SplitSeq(strings.TrimSpace(clean(text)), "\n") {
		fmt.Fprintf(s.out, "  %s\n", line)
	}
}

func (s *session) citations(all []cliCitation) {
	for i, c := range all {
		fmt.Fprintf(s.out, "  [%d] %s\n", i+1, strings.TrimSpace(oneLine(c.Title)+" "+oneLine(c.URL)))
	}
}

func startCommand(s *session) *cobra.Command {
	var name, email, external, language, subject string
	var wait int
	c := &cobra.Command{
		Use: "start TEXT", Short: "begin a conversation as a visitor, and wait for what becomes of it", Args: cobra.ExactArgs(1),
		RunE: s.run(func(ctx context.Context, args []string) error {
			if err := s.needWorkspace(); err != nil {
				return err
			}
			contact := map[string]any{}
			put := func(to map[string]any, field, value string) {
				if value != "" {
					to[field] = value
				}
			}
			put(contact, "name", name)
			put(contact, "email", email)
			put(contact, "external_id", external)
			in := map[string]any{"contact": contact, "message": map[string]any{"text": args[0]}}
			put(in, "language", language)
			put(in, "subject", subject)
			header, key := once()
			headers := []string{header, key}
			if wait > 0 {
				headers = append(headers, "Prefer", "wait="+strconv.Itoa(wait))
			}
			body, err := s.api.raw(ctx, "POST", "/v1/conversations", in, headers...)
			if err != nil {
				return err
			}
			return s.started(body)
		}),
	}
	f := c.Flags()
	f.StringVar(&name, "name", "", "the visitor's name")
	f.StringVar(&email, "email", "", "their address")
	f.StringVar(&external, "external-id", "", "your own id of them; a known one goes on as the same contact")
	f.StringVar(&language, "language", "", "the language, if it is known")
	f.StringVar(&subject, "subject", "", "what it is about")
	f.IntVar(&wait, "wait", 30, "how many seconds to wait for an answer, at most 60; 0 does not wait")
	return c
}

func (s *session) started(body []byte) error {
	if s.json {
		return s.print(body)
	}
	var made struct {
		cliConversation
		Turn *struct {
			ID         string         `json:"id"`
			Status     string         `json:"status"`
			DueAt      string         `json:"due_at"`
			Message    *cliMessage    `json:"message"`
			Escalation *cliEscalation `json:"escalation"`
		} `json:"turn"`
	}
	if err := json.Unmarshal(body, &made); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	fmt.Fprintf(s.out, "%s\n", made.ID)
	switch t := made.Turn; {
	case t == nil:
		fmt.Fprintln(s.out, "The assistant is silent here.")
	case t.Message != nil:
		s.message(*t.Message)
	case t.Escalation != nil:
		fmt.Fprintf(s.out, "\nHanded over to the team: %s (%s)\n", t.Escalation.ID, t.Escalation.Trigger)
		if t.Escalation.Promise != nil {
			s.indented(t.Escalation.Promise.Text)
		}
	default:
		fmt.Fprintf(s.out, "The turn %s is %s; it has an answer or an honest notice by %s.\n", t.ID, t.Status, t.DueAt)
	}
	return nil
}

func askCommand() *cobra.Command {
	s := &session{}
	var language string
	c := &cobra.Command{
		Use: "ask QUESTION", Short: "what the assistant would do with a question; nothing is stored and nobody is called", Args: cobra.MinimumNArgs(1),
		RunE: s.run(func(ctx context.Context, args []string) error {
			if err := s.needWorkspace(); err != nil {
				return err
			}
			in := map[string]any{"question": strings.Join(args, " ")}
			if language != "" {
				in["language"] = language
			}
			body, err := s.api.raw(ctx, "POST", "/v1/answers", in)
			if err != nil {
				return err
			}
			return s.answer(body)
		}),
	}
	c.Flags().StringVar(&language, "language", "", "its language, if it is known")
	return s.flags(c)
}

func (s *session) answer(body []byte) error {
	if s.json {
		return s.print(body)
	}
	var a struct {
		Answer     string        `json:"answer"`
		Confidence float64       `json:"confidence"`
		Decision   string        `json:"decision"`
		Citations  []cliCitation `json:"citations"`
		Triggers   []cliTrigger  `json:"triggers"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if a.Answer == "" {
		fmt.Fprintln(s.out, "(no answer)")
	} else {
		s.indented(a.Answer)
		s.citations(a.Citations)
	}
	fmt.Fprintf(s.out, "\ndecision    %s\nconfidence  %.2f\n", oneLine(a.Decision), a.Confidence)
	var rows [][]string
	for _, t := range a.Triggers {
		score := ""
		if t.Score != nil {
			score = fmt.Sprintf("%.2f", *t.Score)
		}
		rows = append(rows, []string{strings.TrimSpace(t.Kind + " " + t.Topic), t.Effect, score, short(t.Evidence, 60)})
	}
	if len(rows) > 0 {
		fmt.Fprintln(s.out)
		s.table([]string{"trigger", "effect", "score", "evidence"}, rows)
	}
	return nil
}

func inboxCommand() *cobra.Command {
	s := &session{}
	var view, member string
	var counts bool
	c := s.paged(&cobra.Command{
		Use: "inbox", Short: "what the team sees: who waits, since when, why, and what they said last", Args: cobra.NoArgs,
		RunE: s.run(func(ctx context.Context, _ []string) error {
			if counts {
				return s.counts(ctx, member)
			}
			return fetchList(ctx, s, "/v1/inbox", url.Values{"view": {view}, "member_id": {member}},
				[]string{"conversation", "state", "contact", "waits", "trigger", "last message"}, inboxRow)
		}),
	})
	choice(c, &view, "view", "waiting", "which part", "waiting", "mine", "unassigned", "all", "snoozed", "resolved")
	c.Flags().StringVar(&member, "member", "", "whose inbox it is, by the member's id; needed for mine")
	c.Flags().BoolVar(&counts, "counts", false, "count the views instead")
	return s.flags(c)
}

type cliInboxEntry struct {
	cliConversation
	Contact struct {
		ID    string `json:"id"`
		Name  string `json:"name"`
		Email string `json:"email"`
	} `json:"contact"`
	LastMessage *cliMessage    `json:"last_message"`
	Escalation  *cliEscalation `json:"escalation"`
}

func inboxRow(e cliInboxEntry) []string {
	waits, trigger, last := "", "", ""
	if e.WaitingSince != "" {
		waits = ago(e.WaitingSince)
	}
	if e.Escalation != nil {
		trigger = e.Escalation.Trigger
	}
	if e.LastMessage != nil {
		last = e.LastMessage.Author.Type + ": " + e.LastMessage.Text
	}
	return []string{e.ID, e.State, short(cmp.Or(e.Contact.Name, e.Contact.Email, e.Contact.ID), 30), waits, trigger, short(last, 60)}
}

func (s *session) counts(ctx context.Context, member string) error {
	query := ""
	if member != "" {
		query = "?member_id=" + url.QueryEscape(member)
	}
	body, err := s.api.raw(ctx, "GET", "/v1/inbox/counts"+query, nil)
	if err != nil {
		return err
	}
	if s.json {
		return s.print(body)
	}
	counts := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&counts); err != nil {
		return fmt.Errorf("read the counts: %w", err)
	}
	var rows [][]string
	for _, view := range []string{"waiting", "mine", "unassigned", "all", "snoozed", "resolved"} {
		if n, ok := counts[view]; ok {
			rows = append(rows, []string{view, fmt.Sprint(n)})
		}
	}
	s.table(nil, rows)
	return nil
}
