package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func demoCommand() *cobra.Command {
	var site, server, key string
	var ask []string
	c := &cobra.Command{
		Use: "demo", Short: "the whole story against a running server: a website becomes an assistant that hands over to a person", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := newClient(server, key)
			if err != nil {
				return err
			}
			d := &demo{api: api, out: os.Stdout, fancy: isTerminal(os.Stdout), site: site, ask: ask}
			return d.run(cmd.Context())
		},
	}
	c.Flags().StringVar(&site, "url", "", "the website to learn from (default: the server's own guide)")
	c.Flags().StringArrayVar(&ask, "ask", nil, "a question to ask; may be given several times (default: a few that fit)")
	c.Flags().StringVar(&server, "server", "", "the server's address (default: the one of `make dev`)")
	c.Flags().StringVar(&key, "key", "", "an agency's API key (default: the one of `make dev`)")
	return c
}

// demo tells the story. Each step is a call that any program could make.
type demo struct {
	api   *client
	out   io.Writer
	fancy bool
	site  string
	ask   []string

	member   string
	receiver *receiver
}

// The parts of the API's objects that the story shows.
type (
	demoMessage struct {
		Seq        int64    `json:"seq"`
		Text       string   `json:"text"`
		Confidence *float64 `json:"confidence"`
		Author     struct {
			Type string `json:"type"`
			Name string `json:"name"`
		} `json:"author"`
		Citations []struct {
			URL   string `json:"url"`
			Title string `json:"title"`
			Quote string `json:"quote"`
		} `json:"citations"`
	}
	demoEscalation struct {
		ID      string `json:"id"`
		Trigger string `json:"trigger"`
		Status  string `json:"status"`
		Summary string `json:"summary"`
		Promise *struct {
			Text  string `json:"text"`
			Basis string `json:"basis"`
		} `json:"promise"`
	}
	demoTurn struct {
		Status     string          `json:"status"`
		Message    *demoMessage    `json:"message"`
		Escalation *demoEscalation `json:"escalation"`
	}
	demoSource struct {
		ID     string `json:"id"`
		Status string `json:"status"`
		Error  string `json:"error"`
		Pages  struct {
			Found, Fetched, Indexed, Unchanged, Skipped, Failed int
		} `json:"pages"`
	}
)

func (d *demo) run(ctx context.Context) error {
	steps := []func(context.Context) error{d.prepare, d.learn, d.answers, d.handoff, d.webhooks}
	defer func() {
		if d.receiver != nil {
			d.receiver.close()
		}
	}()
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes a workspace for the demo, and lets a receiver of our own be told.
func (d *demo) prepare(ctx context.Context) error {
	if d.site == "" {
		d.site = d.api.base + "/guide"
	}
	u, err := url.Parse(d.site)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%q is no web address; write it as https://example.com", d.site)
	}
	d.title("A workspace for %s", u.Host)
	var made struct{ ID, Name string }
	if err := d.api.call(ctx, "POST", "/v1/workspaces", map[string]any{"name": "Demo " + u.Host, "time_zone": "Europe/Berlin"}, &made); err != nil {
		return err
	}
	d.api.workspace = made.ID
	d.say("POST /v1/workspaces → %s", made.ID)
	var hours []map[string]string
	for _, day := range []string{"monday", "tuesday", "wednesday", "thursday", "friday"} {
		hours = append(hours, map[string]string{"day": day, "from": "09:00", "to": "17:00"})
	}
	if err := d.api.call(ctx, "PATCH", "/v1/workspace/settings", map[string]any{"support_hours": hours}, nil); err != nil {
		return err
	}
	d.say("PATCH /v1/workspace/settings → the team works Monday to Friday, 9 to 17 h, Berlin time")
	if d.member, err = d.findMember(ctx); err != nil {
		return err
	}
	if d.receiver, err = newReceiver(ctx); err != nil {
		return err
	}
	var endpoint struct{ ID, Secret string }
	err = d.api.call(ctx, "POST", "/v1/webhook_endpoints", map[string]any{"url": d.receiver.url, "event_types": []string{"*"}}, &endpoint)
	if err != nil {
		return err
	}
	d.say("POST /v1/webhook_endpoints → %s, which tells %s", endpoint.ID, d.receiver.url)
	return d.receiver.trust(endpoint.Secret)
}

// findMember gives a member who can act, made for the demo if there is none.
func (d *demo) findMember(ctx context.Context) (string, error) {
	var members struct {
		Data []struct{ ID, Status string } `json:"data"`
	}
	if err := d.api.call(ctx, "GET", "/v1/members?limit=100", nil, &members); err != nil {
		return "", err
	}
	for _, m := range members.Data {
		if m.Status != "disabled" {
			return m.ID, nil
		}
	}
	var made struct{ ID string }
	err := d.api.call(ctx, "POST", "/v1/members", map[string]any{"name": "Demo member", "email": "demo@example.com", "role": "agent"}, &made)
	return made.ID, err
}

// learn crawls the site, with a bar.
func (d *demo) learn(ctx context.Context) error {
	d.title("Learning from %s", d.site)
	var source demoSource
	err := d.api.call(ctx, "POST", "/v1/sources", map[string]any{"type": "website", "url": d.site, "max_pages": 1000}, &source)
	if err != nil {
		return err
	}
	started := time.Now()
	for source.Status != "ready" && source.Status != "failed" {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
		if err := d.api.call(ctx, "GET", "/v1/sources/"+source.ID, nil, &source); err != nil {
			return err
		}
		d.bar(source, time.Since(started))
	}
	if d.fancy {
		fmt.Fprintln(d.out)
	}
	p := source.Pages
	d.say("%s after %.0f s: %d pages found, %d searchable, %d skipped, %d failed",
		source.Status, time.Since(started).Seconds(), p.Found, p.Indexed, p.Skipped, p.Failed)
	if source.Status == "failed" {
		return fmt.Errorf("the site could not be learnt from: %s", source.Error)
	}
	return d.notIndexed(ctx, source.ID)
}

// notIndexed names a few of the pages that were left out, and why.
func (d *demo) notIndexed(ctx context.Context, source string) error {
	for _, status := range []string{"failed", "skipped"} {
		var pages struct {
			Data []struct{ URL, Reason string } `json:"data"`
		}
		if err := d.api.call(ctx, "GET", "/v1/pages?limit=3&source_id="+source+"&status="+status, nil, &pages); err != nil {
			return err
		}
		for _, p := range pages.Data {
			d.say("  %s: %s (%s)", status, p.URL, p.Reason)
		}
	}
	return nil
}

func (d *demo) bar(s demoSource, took time.Duration) {
	if !d.fancy {
		return
	}
	const width = 30
	done := s.Pages.Indexed + s.Pages.Skipped + s.Pages.Failed
	full := 0
	if s.Pages.Found > 0 {
		full = min(width*done/s.Pages.Found, width)
	}
	note := ""
	if done >= s.Pages.Found && done > 0 {
		note = "; vectors are being made"
	}
	fmt.Fprintf(d.out, "\r  [%s%s] %d of %d pages, %.0f s%s   ", strings.Repeat("█", full), strings.Repeat("·", width-full), done, s.Pages.Found, took.Seconds(), note)
}

// questions are those of the flags, or some that fit: for another site its own
// pages' titles.
func (d *demo) questions(ctx context.Context) ([]string, error) {
	if len(d.ask) > 0 {
		return d.ask, nil
	}
	if d.site == d.api.base+"/guide" {
		return []string{"How do I make a webhook endpoint?", "What does the person who takes over get to see?"}, nil
	}
	var pages struct {
		Data []struct{ Title string } `json:"data"`
	}
	if err := d.api.call(ctx, "GET", "/v1/pages?limit=20&status=indexed", nil, &pages); err != nil {
		return nil, err
	}
	var titles []string
	for _, p := range pages.Data {
		title, _, _ := strings.Cut(p.Title, " | ")
		if len(strings.Fields(title)) > 2 {
			titles = append(titles, title)
		}
	}
	return titles[:min(2, len(titles))], nil
}

// answers asks, each question in a conversation of its own.
func (d *demo) answers(ctx context.Context) error {
	questions, err := d.questions(ctx)
	if err != nil {
		return err
	}
	for _, question := range questions {
		d.title("A visitor asks")
		d.speak("visitor", question)
		var started struct{ Turn *demoTurn }
		if err := d.api.call(ctx, "POST", "/v1/conversations", map[string]any{
			"contact": map[string]any{"name": "Demo visitor"}, "message": map[string]any{"text": question},
		}, &started, "Prefer", "wait=30"); err != nil {
			return err
		}
		d.turn(started.Turn)
	}
	return nil
}

func (d *demo) turn(t *demoTurn) {
	switch {
	case t == nil:
		d.say("(no turn)")
	case t.Message != nil:
		d.message(*t.Message)
	case t.Escalation != nil:
		d.escalation(*t.Escalation)
	default:
		d.say("(the turn is %s)", t.Status)
	}
}

func (d *demo) message(m demoMessage) {
	who := m.Author.Type
	if m.Author.Name != "" {
		who += " " + m.Author.Name
	}
	d.speak(who, m.Text)
	for i, c := range m.Citations {
		d.say("      [%d] %s %s", i+1, c.Title, c.URL)
	}
	if m.Confidence != nil && m.Author.Type == "assistant" {
		d.say("      confidence %.2f", *m.Confidence)
	}
}

func (d *demo) escalation(e demoEscalation) {
	d.say("  → handed over to the team (%s): %s", e.Trigger, e.Summary)
	if e.Promise != nil {
		d.say("    promised: %s (rests on: %s)", e.Promise.Text, e.Promise.Basis)
	}
}

// handoff has a visitor ask for a person, and a person take over.
func (d *demo) handoff(ctx context.Context) error {
	d.title("A visitor asks for a person")
	const wish = "I paid twice for my order. Can I talk to a person, please?"
	d.speak("visitor", wish)
	var started struct {
		Conversation struct{ ID string } `json:"conversation"`
		ID           string              `json:"id"`
		Turn         *demoTurn           `json:"turn"`
	}
	if err := d.api.call(ctx, "POST", "/v1/conversations", map[string]any{
		"contact": map[string]any{"name": "Demo visitor", "email": "visitor@example.com"}, "message": map[string]any{"text": wish},
	}, &started, "Prefer", "wait=30"); err != nil {
		return err
	}
	conversation := started.ID
	if conversation == "" {
		conversation = started.Conversation.ID
	}
	d.turn(started.Turn)
	if started.Turn == nil || started.Turn.Escalation == nil {
		return errors.New("the visitor asked for a person and got none")
	}
	d.title("What the person sees: GET /v1/escalations/{id}/packet")
	packet, err := d.api.raw(ctx, "GET", "/v1/escalations/"+started.Turn.Escalation.ID+"/packet", nil, "Accept", "text/markdown")
	if err != nil {
		return err
	}
	d.indent(string(packet))
	if err := d.inbox(ctx); err != nil {
		return err
	}
	d.title("A person takes over and replies")
	by := map[string]any{"member_id": d.member}
	if err := d.api.call(ctx, "POST", "/v1/conversations/"+conversation+"/accept", by, nil); err != nil {
		return err
	}
	d.say("POST /v1/conversations/{id}/accept")
	if err := d.api.call(ctx, "POST", "/v1/conversations/"+conversation+"/messages", map[string]any{
		"author": map[string]any{"type": "member", "member_id": d.member}, "text": "Sorry about that! I have refunded the second payment; it is back within three days.",
	}, nil); err != nil {
		return err
	}
	d.say("POST /v1/conversations/{id}/messages")
	d.title("The thread, one for all")
	var thread struct {
		Data []demoMessage `json:"data"`
	}
	if err := d.api.call(ctx, "GET", "/v1/conversations/"+conversation+"/messages", nil, &thread); err != nil {
		return err
	}
	for _, m := range thread.Data {
		d.message(m)
	}
	return nil
}

func (d *demo) inbox(ctx context.Context) error {
	d.title("The inbox: GET /v1/inbox?view=waiting")
	var inbox struct {
		Data []struct {
			Contact      struct{ Name string } `json:"contact"`
			WaitingSince string                `json:"waiting_since"`
			Escalation   *demoEscalation       `json:"escalation"`
			LastMessage  *demoMessage          `json:"last_message"`
		} `json:"data"`
	}
	if err := d.api.call(ctx, "GET", "/v1/inbox?view=waiting", nil, &inbox); err != nil {
		return err
	}
	for _, e := range inbox.Data {
		trigger := ""
		if e.Escalation != nil {
			trigger = e.Escalation.Trigger
		}
		d.say("  %-20s waiting since %s  %s", e.Contact.Name, e.WaitingSince, trigger)
	}
	return nil
}

// webhooks shows what our receiver was told.
func (d *demo) webhooks(ctx context.Context) error {
	d.title("What the webhook told us, signatures verified")
	// They come in any order.
	for _, wanted := range []string{"escalation.opened", "escalation.accepted", "escalation.answered"} {
		if !d.receiver.await(ctx, wanted, 20*time.Second) {
			return fmt.Errorf("%s was not received within 20 s", wanted)
		}
	}
	for _, line := range d.receiver.lines() {
		d.say("  %s", line)
	}
	return nil
}

func (d *demo) title(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if d.fancy {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	fmt.Fprintf(d.out, "\n%s\n", text)
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, "  "+format+"\n", args...) }

func (d *demo) speak(who, text string) {
	fmt.Fprintf(d.out, "  %s:\n", who)
	d.indent(text)
}

func (d *demo) indent(text string) {
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		fmt.Fprintf(d.out, "    %s\n", line)
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
