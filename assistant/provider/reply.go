package provider

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/openai/openai-go/v3"
)

const (
	maxText      = 4_000 // characters
	maxCitations = 20
)

// content is the agreed shape. Fields that nobody asked for are ignored: they
// do no harm, and models like to add some.
type content struct {
	Action     string     `json:"action"`
	Text       string     `json:"text"`
	Citations  []citation `json:"citations"`
	Answered   bool       `json:"answered"`
	Confidence float64    `json:"confidence"`
}

type citation struct {
	ID    string `json:"id"`
	Quote string `json:"quote"`
}

// check makes a Reply of what the model sent, believing none of it. shown are
// the passages that it was given.
func check(choice openai.ChatCompletionChoice, shown map[string]string) (Reply, error) {
	switch {
	case choice.Message.Refusal != "":
		return Reply{}, ErrRefused
	case choice.FinishReason == "content_filter":
		return Reply{}, fmt.Errorf("%w: its filter cut the answer off", ErrRefused)
	case choice.FinishReason == "length":
		// Even if the JSON happens to be whole, the text may end in mid-sentence.
		return Reply{}, fmt.Errorf("%w: cut off at its length limit", ErrNonsense)
	}
	c, err := decode(choice.Message.Content)
	if err != nil {
		return Reply{}, err
	}
	reply := Reply{Action: c.Action, Answered: c.Answered}
	if c.Confidence >= 0 && c.Confidence <= 1 { // else it is no probability, and none is safest
		reply.Confidence = c.Confidence
	}
	if reply.Text, err = checkText(c.Text); err != nil {
		return Reply{}, err
	}
	reply.cite(c.Citations, shown)
	switch {
	case c.Action == ActionEscalate:
		return reply, nil
	case c.Action != ActionAnswer:
		return Reply{}, fmt.Errorf("%w: an action that doesn't exist", ErrNonsense)
	case reply.Text == "":
		return Reply{}, fmt.Errorf("%w: an answer without a text", ErrNonsense)
	case len(reply.Citations) == 0:
		return Reply{}, fmt.Errorf("%w (%d of its citations were foreign)", ErrUngrounded, reply.Foreign)
	}
	return reply, nil
}

// decode reads exactly one object. Models that aren't held to a schema like to
// put it into a fence, which is taken off; nothing is ever searched for in prose.
func decode(text string) (c content, err error) {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "```"); ok {
		inner = strings.TrimPrefix(inner, "json")
		text = strings.TrimSuffix(strings.TrimSpace(inner), "```")
	}
	if text == "" {
		return c, fmt.Errorf("%w: an empty message", ErrNonsense)
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	if decoder.Decode(&c) != nil {
		return c, fmt.Errorf("%w: its message is not the agreed JSON", ErrNonsense)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return c, fmt.Errorf("%w: its message goes on after the JSON", ErrNonsense)
	}
	return c, nil
}

// checkText refuses what no visitor should see and no database takes, and caps
// the rest.
func checkText(text string) (string, error) {
	// U+FFFD stands where the decoder found half a surrogate pair: something is lost.
	if strings.ContainsRune(text, 0) || strings.ContainsRune(text, utf8.RuneError) {
		return "", fmt.Errorf("%w: broken characters in its text", ErrNonsense)
	}
	text = strings.TrimSpace(text)
	if !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsSymbol(r) }) {
		return "", nil // punctuation and invisible characters say nothing
	}
	if utf8.RuneCountInString(text) <= maxText {
		return text, nil
	}
	runes := []rune(text)[:maxText-1]
	end := len(runes)
	for i := end - 1; i > end-200; i-- {
		if unicode.IsSpace(runes[i]) {
			end = i
			break
		}
	}
	return strings.TrimRightFunc(string(runes[:end]), unicode.IsSpace) + "…", nil
}

// cite keeps the citations of passages that were given, and their quotes if
// they are there. A passage that is cited with a quote isn't listed without one too.
func (r *Reply) cite(citations []citation, shown map[string]string) {
	quoted := make(map[string]bool, len(shown))
	listed := make(map[Citation]bool, len(shown))
	var bare []string
	for _, c := range citations {
		id := strings.TrimSpace(c.ID)
		passage, ok := shown[id]
		if !ok {
			r.Foreign++
			continue
		}
		quote, found := findQuote(passage, c.Quote)
		if !found {
			if strings.TrimSpace(c.Quote) != "" {
				r.Misquoted++
			}
			bare = append(bare, id)
		}
		quoted[id] = quoted[id] || found
		if entry := (Citation{ID: id, Quote: quote}); !listed[entry] && len(r.Citations) < maxCitations {
			listed[entry] = true
			r.Citations = append(r.Citations, entry)
		}
	}
	if len(bare) == 0 {
		return
	}
	kept := r.Citations[:0]
	for _, c := range r.Citations {
		if c.Quote != "" || !quoted[c.ID] {
			kept = append(kept, c)
		}
	}
	r.Citations = kept
}
