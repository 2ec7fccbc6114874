// Package provider asks a language model for an answer that rests on content.
//
// Any server that speaks OpenAI's chat completions will do. The model is asked
// for a structured answer (an action, a text, citations) and never for a magic
// word in prose. What comes back is not believed: a citation counts only if the
// server issued its id for this turn, a quote only if it stands in the passage,
// and an answer that rests on nothing is an error. So a model that is confused,
// or talked into something by a page or a visitor, can fail, but it can't cite
// what is not there.
//
// Errors tell what kind of failure it was (ErrUnavailable, ErrNonsense,
// ErrUngrounded, ErrRefused). They hold no text of a visitor, a page or the
// provider, and not the key, so that they may be logged.
package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/relaydesk/relaydesk/internal/outbound"
)

// The kinds of failure, to be asked for with errors.Is.
var (
	// ErrUnavailable says that no answer came: the provider can't be reached,
	// is overloaded, refuses the key or the request, or took too long.
	ErrUnavailable = errors.New("the model is unavailable")
	// ErrNonsense says that something came that is no answer in the agreed shape.
	ErrNonsense = errors.New("the model's answer is unusable")
	// ErrUngrounded says that an answer came that cites none of the passages.
	ErrUngrounded = errors.New("the model's answer cites no passage it was given")
	// ErrRefused says that the model or its filter declined to answer.
	ErrRefused = errors.New("the model refused to answer")
)

// What a model may decide.
const (
	ActionAnswer   = "answer"
	ActionEscalate = "escalate"
)

// Authors of a Line.
const (
	AuthorVisitor   = "visitor"
	AuthorAssistant = "assistant"
	AuthorMember    = "member"
	AuthorSystem    = "system"
)

// Passage is one excerpt that may be cited. ID is issued by the server for this
// turn ("p1", "p2", …) and means nothing outside of it.
type Passage struct {
	ID          string
	Title       string
	URL         string // not shown to the model: links are the server's to make
	HeadingPath []string
	Text        string
}

// Line is an earlier public message of the conversation.
type Line struct {
	Author string // visitor, assistant, member or system
	Text   string
	At     time.Time
}

// Question is all that the model gets to know in one turn.
type Question struct {
	Workspace string    // its name, for the assistant to speak in
	Language  string    // BCP 47 of the visitor, "" if unknown
	Thread    []Line    // earlier lines of this episode, oldest first
	Facts     []string  // dated facts of earlier handoffs, as sentences, oldest first
	Text      string    // what the visitor wants now: all messages of the turn
	Passages  []Passage // best first
}

// Citation is a passage that the answer rests on.
type Citation struct {
	ID string
	// Quote is a stretch of the passage's text, exactly as it stands there, or
	// "" if the model quoted none or what it quoted isn't there.
	Quote string
}

// Reply is a checked answer. An answer has a text and at least one citation; an
// escalation may have neither.
type Reply struct {
	Action     string // ActionAnswer or ActionEscalate
	Text       string // at most 4,000 characters
	Citations  []Citation
	Answered   bool    // the model's verdict that the passages answer the question
	Confidence float64 // the model's own estimate, 0 to 1; 0 if it gave none
	Foreign    int     // citations dropped, because their id was never issued
	Misquoted  int     // quotes dropped, because they aren't in their passage
}

// Options say which model to ask.
type Options struct {
	BaseURL string // up to and with the version: https://api.openai.com/v1
	APIKey  string // "" for servers that want none
	Model   string
	// HTTP is the client to use, its redirects switched off and its bodies
	// limited; nil takes one of internal/outbound that may reach private
	// addresses, because an operator chose this one.
	HTTP *http.Client
	// Timeout bounds a whole Answer, retries included; 0 means 20 seconds. The
	// context's deadline bounds it as well.
	Timeout time.Duration
}

const defaultTimeout = 20 * time.Second

// Model asks one model of one provider. It may be used by many at once.
type Model struct {
	chat    openai.ChatCompletionService
	name    string
	timeout time.Duration
	// schemaRefused remembers that the server knows no JSON schemas, which saves
	// every later question a request that fails.
	schemaRefused atomic.Bool
}

// New checks the options and makes a Model. It connects to nothing.
func New(o Options) (*Model, error) {
	base, err := url.Parse(o.BaseURL)
	switch {
	case err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https"):
		return nil, errors.New("the provider's base URL is not an http or https URL")
	case base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("the provider's base URL holds more than scheme, host and path")
	case strings.TrimSpace(o.Model) == "":
		return nil, errors.New("the provider's model has no name")
	case strings.ContainsFunc(o.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("the provider's key holds characters that no key has")
	case o.Timeout < 0:
		return nil, errors.New("the provider's timeout is negative")
	}
	timeout := o.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	client := o.HTTP
	if client == nil {
		// Its own limit is a net only: this package's context ends first, and says so.
		client = outbound.NewClient(outbound.Policy{AllowLoopback: true, AllowPrivate: true}, timeout+time.Second)
	}
	// The service is made directly and not through openai.NewClient, which would
	// take keys, headers and addresses from the environment.
	return &Model{
		chat: openai.NewChatCompletionService(
			option.WithBaseURL(o.BaseURL),
			option.WithAPIKey(o.APIKey),
			option.WithHTTPClient(limited(client)),
			option.WithMaxRetries(0), // this package's own retry knows the deadline
		),
		name:    o.Model,
		timeout: timeout,
	}, nil
}

// Answer asks the model once. It returns when the context ends, with an error
// that is the context's; a deadline that passed is ErrUnavailable as well.
func (m *Model) Answer(ctx context.Context, q Question) (Reply, error) {
	within, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	p := compose(q)
	message, err := m.ask(within, p)
	if err == nil {
		var reply Reply
		if reply, err = check(message, p.shown); err == nil {
			return reply, nil
		}
	}
	switch {
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return Reply{}, fmt.Errorf("ask the model: %w", ctx.Err())
	case within.Err() != nil:
		return Reply{}, fmt.Errorf("ask the model: %w: no answer in time: %w", ErrUnavailable, context.DeadlineExceeded)
	}
	return Reply{}, fmt.Errorf("ask the model: %w", err)
}
