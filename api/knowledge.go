package api

import (
	"context"
	"strconv"

	"github.com/relaydesk/relaydesk/assistant"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/objects"
	"github.com/relaydesk/relaydesk/tenants"
)

func (s *Server) listSources(ctx context.Context, c *Call, in *struct{ Paged }) (List[objects.Source], error) {
	page, err := c.page(in.Paged)
	if err != nil {
		return List[objects.Source]{}, err
	}
	all, more, err := s.knowledge.Sources(ctx, c.Workspace, page)
	return list(c, all, more, func(v knowledge.Source) ids.ID { return v.ID }, objects.FromSource), err
}

// SourceID is the source of a path.
type SourceID struct {
	ID string `path:"id" doc:"The source's id." example:"src_01kb2m3n4p5q6r7s8t9v0wxyza"`
}

func (in SourceID) parse() (ids.ID, error) { return parse(ids.Source, in.ID, "source") }

func (s *Server) getSource(ctx context.Context, c *Call, in *SourceID) (objects.Source, error) {
	id, err := in.parse()
	if err != nil {
		return objects.Source{}, err
	}
	src, err := s.knowledge.Source(ctx, c.Workspace, id)
	c.Version = src.Version
	return objects.FromSource(src), err
}

// SourceCreate is what a source is made of.
type SourceCreate struct {
	Type     string            `json:"type" enum:"website,text" doc:"A website, which is read from its address on, or a text." example:"website"`
	URL      string            `json:"url,omitempty" maxLength:"2000" doc:"Of a website: where reading begins." example:"https://example.com/help"`
	Title    string            `json:"title,omitempty" maxLength:"500" doc:"Its title; a text needs one." example:"Help centre"`
	Text     string            `json:"text,omitempty" doc:"Of a text: its words, plain or in Markdown." example:"# Delivery\n\nWe deliver within three working days."`
	Include  []string          `json:"include,omitempty" maxItems:"100" doc:"Of a website: only addresses that fit one of these patterns." example:"[\"/help/*\"]"`
	Exclude  []string          `json:"exclude,omitempty" maxItems:"100" doc:"Of a website: no address that fits one of these patterns." example:"[\"/help/old/*\"]"`
	MaxPages *int              `json:"max_pages,omitempty" minimum:"1" maximum:"100000" doc:"Of a website: how many pages are read at most; 1,000 when absent." example:"1000"`
	Refresh  string            `json:"refresh,omitempty" enum:"none,daily,weekly" doc:"Of a website: how often it is read again; none when absent." example:"weekly"`
	Metadata map[string]string `json:"metadata,omitempty" doc:"Your own keys and values: at most 50, of 40 and 500 characters."`
}

type createSource struct{ Body SourceCreate }

func (s *Server) createSource(ctx context.Context, c *Call, in *createSource) (objects.Source, error) {
	b := in.Body
	if err := checkMetadata(b.Metadata); err != nil {
		return objects.Source{}, err
	}
	if b.URL != "" {
		if why := tenants.WrongAddress(b.URL); why != "" {
			return objects.Source{}, invalid("/url", "The url "+why)
		}
	}
	made := knowledge.NewSource{
		Type: b.Type, URL: b.URL, Title: b.Title, Text: b.Text, Include: b.Include, Exclude: b.Exclude, Refresh: b.Refresh, Metadata: b.Metadata,
	}
	if b.MaxPages != nil {
		made.MaxPages = *b.MaxPages
	}
	src, err := s.knowledge.CreateSource(ctx, c.Workspace, made, c.Receipt)
	c.Version = src.Version
	return objects.FromSource(src), err
}

// SourceUpdate changes a source.
type SourceUpdate struct {
	Title    *string                     `json:"title,omitempty" maxLength:"500" doc:"Its title." example:"Help centre"`
	Text     *string                     `json:"text,omitempty" minLength:"1" doc:"Of a text: its words." example:"We deliver within two working days."`
	Include  *[]string                   `json:"include,omitempty" maxItems:"100" doc:"Of a website: only addresses that fit one of these patterns, from the next reading on." example:"[\"/help/*\"]"`
	Exclude  *[]string                   `json:"exclude,omitempty" maxItems:"100" doc:"Of a website: no address that fits one of these patterns, from the next reading on." example:"[\"/help/old/*\"]"`
	MaxPages *int                        `json:"max_pages,omitempty" minimum:"1" maximum:"100000" doc:"Of a website: how many pages are read at most, from the next reading on." example:"1000"`
	Refresh  *string                     `json:"refresh,omitempty" enum:"none,daily,weekly" doc:"Of a website: how often it is read again." example:"weekly"`
	Metadata Nullable[map[string]string] `json:"metadata,omitzero" doc:"Your own keys and values, all of them anew; null: none."`
}

type updateSource struct {
	SourceID
	Body SourceUpdate
}

func (s *Server) updateSource(ctx context.Context, c *Call, in *updateSource) (objects.Source, error) {
	id, err := in.parse()
	if err == nil {
		err = checkMetadata(in.Body.Metadata.Value)
	}
	if err != nil {
		return objects.Source{}, err
	}
	b := in.Body
	src, err := s.knowledge.UpdateSource(ctx, c.Workspace, id, knowledge.SourceChange{
		Title: b.Title, Text: b.Text, Include: b.Include, Exclude: b.Exclude, MaxPages: b.MaxPages, Refresh: b.Refresh,
		Metadata: emptied(b.Metadata), IfVersion: c.IfVersion,
	}, c.Receipt)
	c.Version = src.Version
	return objects.FromSource(src), err
}

func (s *Server) deleteSource(ctx context.Context, c *Call, in *SourceID) (none, error) {
	id, err := in.parse()
	if err != nil {
		return none{}, err
	}
	return none{}, s.knowledge.DeleteSource(ctx, c.Workspace, id, c.IfVersion)
}

type crawlSource struct {
	SourceID
	Body *EmptyBody
}

func (s *Server) crawlSource(ctx context.Context, c *Call, in *crawlSource) (objects.Source, error) {
	id, err := in.parse()
	if err != nil {
		return objects.Source{}, err
	}
	src, err := s.knowledge.Crawl(ctx, c.Workspace, id, c.Receipt)
	c.Version = src.Version
	return objects.FromSource(src), err
}

type listPages struct {
	Paged
	SourceID string `query:"source_id" doc:"Only of this source."`
	Status   string `query:"status" enum:"indexed,skipped,failed" doc:"Only with this status."`
}

func (s *Server) listPages(ctx context.Context, c *Call, in *listPages) (out List[objects.Page], err error) {
	page, err := c.page(in.Paged)
	if err != nil {
		return out, err
	}
	f := knowledge.PageFilter{Status: in.Status}
	if f.SourceID, err = optional(ids.Source, in.SourceID, "source"); err != nil {
		return out, err
	}
	all, more, err := s.knowledge.Pages(ctx, c.Workspace, f, page)
	return list(c, all, more, func(p knowledge.Page) ids.ID { return p.ID }, objects.FromPage), err
}

type getPage struct {
	ID string `path:"id" doc:"The page's id." example:"page_01kb2m3n4p5q6r7s8t9v0wxyza"`
}

func (s *Server) getPage(ctx context.Context, c *Call, in *getPage) (objects.Page, error) {
	id, err := parse(ids.Page, in.ID, "page")
	if err != nil {
		return objects.Page{}, err
	}
	p, err := s.knowledge.Page(ctx, c.Workspace, id)
	return objects.FromPage(p), err
}

// SearchBody is what is looked for.
type SearchBody struct {
	Query    string `json:"query" minLength:"1" maxLength:"2000" doc:"A question, or words." example:"How long does delivery to an island take?"`
	Limit    *int   `json:"limit,omitempty" minimum:"1" maximum:"100" doc:"How many passages at most; 10 when absent." example:"5"`
	Language string `json:"language,omitempty" maxLength:"35" doc:"The language of the query, if it is known." example:"en"`
}

type search struct{ Body SearchBody }

// SearchResult is what was found.
type SearchResult struct {
	Object string        `json:"object" enum:"search_result" doc:"Always search_result."`
	Data   []objects.Hit `json:"data" doc:"The passages, best first."`
}

func (s *Server) search(ctx context.Context, c *Call, in *search) (SearchResult, error) {
	if err := spoken(&in.Body.Language, "/language"); err != nil {
		return SearchResult{}, err
	}
	q := knowledge.Query{Text: in.Body.Query, Language: in.Body.Language}
	if in.Body.Limit != nil {
		q.Limit = *in.Body.Limit
	}
	found, err := s.knowledge.Search(ctx, c.Workspace, q)
	if err != nil {
		return SearchResult{}, err
	}
	out := SearchResult{Object: "search_result", Data: make([]objects.Hit, len(found.Hits))}
	for i, h := range found.Hits {
		out.Data[i] = objects.FromHit(h)
	}
	return out, nil
}

// AnswerBody is what is asked.
type AnswerBody struct {
	Question string       `json:"question,omitempty" maxLength:"20000" doc:"What a visitor asks." example:"How long does delivery to an island take?"`
	Messages []AnswerLine `json:"messages,omitempty" maxItems:"100" doc:"Instead of question: what was said, the question last."`
	Language string       `json:"language,omitempty" maxLength:"35" doc:"Its language, if it is known." example:"en"`
}

// AnswerLine is a message that was said.
type AnswerLine struct {
	Author string `json:"author" enum:"visitor,assistant,member" doc:"Who said it." example:"visitor"`
	Text   string `json:"text" minLength:"1" maxLength:"20000" doc:"What they said." example:"How long does delivery to an island take?"`
}

type answerQuestion struct{ Body AnswerBody }

// AnswerResult is what the assistant would do.
type AnswerResult struct {
	Object     string             `json:"object" enum:"answer" doc:"Always answer."`
	Answer     string             `json:"answer,omitempty" doc:"What it would say." example:"Delivery to an island takes five working days."`
	Confidence float64            `json:"confidence" minimum:"0" maximum:"1" doc:"How probable it is that content answers the question." example:"0.93"`
	Citations  []objects.Citation `json:"citations" doc:"What the answer rests on."`
	Decision   string             `json:"decision" enum:"answer,escalate" doc:"Whether it would answer, or call a person." example:"answer"`
	Triggers   []objects.Trigger  `json:"triggers" doc:"All that the words or the answer set off."`
	Language   string             `json:"language,omitempty" doc:"The language that it would answer in." example:"en"`
}

func (s *Server) answerQuestion(ctx context.Context, c *Call, in *answerQuestion) (out AnswerResult, err error) {
	question, before := in.Body.Question, []assistant.Line(nil)
	if n := len(in.Body.Messages); n > 0 {
		if question != "" {
			return out, invalid("/messages", "Either question or messages.")
		}
		last := in.Body.Messages[n-1]
		if last.Author != "visitor" {
			return out, invalid("/messages/"+strconv.Itoa(n-1)+"/author", "The last message is the visitor's.")
		}
		question = last.Text
		for _, line := range in.Body.Messages[:n-1] {
			before = append(before, assistant.Line{Author: line.Author, Text: line.Text})
		}
	}
	if question == "" {
		return out, invalid("/question", "A question is needed, or messages.")
	}
	if err := spoken(&in.Body.Language, "/language"); err != nil {
		return out, err
	}
	tried, err := s.assistant.DryRun(ctx, c.Workspace, question, before, in.Body.Language)
	if err != nil {
		return out, err
	}
	return AnswerResult{
		"answer", tried.Answer, tried.Confidence, objects.FromCitations(tried.Citations), tried.Decision, objects.FromTriggers(tried.Triggers), tried.Language,
	}, nil
}
