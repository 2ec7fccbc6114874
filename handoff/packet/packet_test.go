package packet_test

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"github.com/relaydesk/relaydesk/handoff/packet"
	"github.com/relaydesk/relaydesk/internal/ids"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func id(n byte) ids.ID { return ids.ID{15: n} }

func says(seq int64, author, text string, cited ...packet.Citation) packet.Message {
	return packet.Message{Entry: packet.Entry{
		MessageID: id(byte(seq)), Seq: seq, Author: author, Visibility: "public", Text: text, At: noon.Add(time.Duration(seq) * time.Minute),
	}, Cited: cited}
}

var plugs = packet.Citation{
	PageID: id(90), URL: "https://shop.example/help/plugs#uk", Title: "Plugs & adapters", HeadingPath: []string{"Help", "United Kingdom"},
	Quote: "We send an adapter for free.", Passage: "Lamps come with a European plug. We send an adapter for free.",
}

// input is a whole handoff, everything filled in.
func input() packet.Input {
	half, by := .52, noon.Add(2*time.Hour)
	unsure := says(6, "assistant", "We send an adapter for free.\n\nShall I connect you with a person?", plugs, plugs)
	unsure.Confidence, unsure.Unsure = &half, true
	note := says(8, "member", "VIP, be quick")
	note.Visibility, note.MemberName = "team", "Grace"
	return packet.Input{
		Escalation: packet.Escalation{
			ID: id(50), ConversationID: id(51), Status: "open", Priority: "high", OpenedAt: noon,
			Triggers: []packet.Trigger{
				{Kind: "visitor_asked", Evidence: "I want to talk to a person!", Effect: "escalate", Seq: 7, At: noon},
				{Kind: "sensitive_topic", Topic: "refund", Evidence: "I want my money back.", Effect: "offer", Seq: 7, Score: 5.1},
			},
		},
		Contact:  packet.Contact{ID: id(52), Name: "Ada Lovelace", Email: "ada@example.org", Verified: true, Attributes: map[string]string{"plan": "gold", "city": "London"}},
		Channel:  "widget",
		Language: "en-GB",
		PageURL:  "https://shop.example/cart?x=1",
		Messages: []packet.Message{
			says(1, "visitor", "Hello"), says(2, "visitor", "Do you ship to Malta?"),
			says(3, "assistant", "Yes.", packet.Citation{PageID: id(91), URL: "https://shop.example/ship", Title: "Shipping", Quote: "We ship to all of Europe."}),
			says(4, "visitor", "great!"), says(5, "visitor", "The lamp came with a wrong plug, what now?"),
			unsure,
			says(7, "visitor", "Hi! That is useless, the plug is broken too. I want my money back. I want to talk to a person!"), note,
		},
		Hits:    []packet.Hit{{URL: "https://shop.example/refunds", Title: "Refunds", Text: "We like lamps. Money comes back within 14 days after the return. Write to us."}},
		Promise: &packet.Promise{Text: "A person from the team will reply here by 15:00 today.", ReplyBy: &by, Basis: "support_hours"},
		Earlier: []packet.Earlier{{ConversationID: id(60), At: noon.AddDate(0, -1, 0), Status: "resolved", Summary: "Asked where the lamp was"}},
	}
}

func TestThePacketTellsAllThatIsNeededToTakeOver(t *testing.T) {
	t.Parallel()
	p := packet.Compose(input())
	if p.Wants != "I want my money back." {
		t.Errorf("wants %q", p.Wants)
	}
	if want := "Asked for a person: “I want my money back.”"; p.Summary != want {
		t.Errorf("summary %q", p.Summary)
	}
	if len(p.Thread) != 8 || len(p.Citations) != 2 || p.Citations[1].Passage != plugs.Passage || !reflect.DeepEqual(p.Thread[5].Citations, []int{2, 2}) {
		t.Errorf("%+v", p)
	}
	if len(p.Tried) != 2 || p.Tried[0].Question != "Do you ship to Malta?" || p.Tried[1].Question != "The lamp came with a wrong plug, what now?" ||
		!p.Tried[1].Unsure || len(p.Tried[1].Pages) != 1 || p.Tried[1].Pages[0].URL != plugs.URL || *p.Tried[1].Confidence != .52 {
		t.Errorf("%+v", p.Tried)
	}
	if p.NextStep == nil || p.NextStep.Text != "Money comes back within 14 days after the return." || p.NextStep.Title != "Refunds" {
		t.Errorf("%+v", p.NextStep)
	}
	if len(p.Earlier) != 1 || p.Promise == nil {
		t.Errorf("%+v", p)
	}
}

func TestAnAnswerThatWasNotSentIsAmongWhatWasTried(t *testing.T) {
	t.Parallel()
	in, nan := input(), math.NaN()
	in.Messages = []packet.Message{says(1, "visitor", "Can I dye the lamp?")}
	in.Draft = &packet.Draft{Text: "Lamps can be painted.", Cited: []packet.Citation{plugs}, Confidence: &nan}
	p := packet.Compose(in)
	if len(p.Tried) != 1 || p.Tried[0].Sent || p.Tried[0].Question != "Can I dye the lamp?" || len(p.Citations) != 1 || p.Tried[0].Confidence != nil {
		t.Errorf("%+v", p)
	}
}

func TestEarlierConversationsAreShownOfAVerifiedContactOnly(t *testing.T) {
	t.Parallel()
	in := input()
	in.Contact.Verified = false
	p := packet.Compose(in)
	if len(p.Earlier) != 0 || strings.Contains(p.Markdown(), "where the lamp was") {
		t.Errorf("%+v", p.Earlier)
	}
}

func TestWhatAVisitorWantsIsTheSentenceThatSaysIt(t *testing.T) {
	t.Parallel()
	asked := []packet.Trigger{{Kind: "visitor_asked", Evidence: "agent please"}}
	for _, c := range []struct {
		want     string
		messages []packet.Message
		found    []packet.Trigger
	}{
		{"My parcel to Lyon never arrived.", []packet.Message{says(1, "visitor", "Hello! My parcel to Lyon never arrived."), says(2, "visitor", "agent please"), says(3, "visitor", "hello?")}, asked},
		{"wo ist mein Paket?", []packet.Message{says(1, "visitor", "wo ist mein Paket?"), says(2, "assistant", "Unterwegs."), says(3, "visitor", "Mitarbeiter bitte")}, asked},
		{"Can I bring my dog to the hotel?", []packet.Message{says(1, "visitor", "What time is breakfast on Sundays in the main hall?"), says(2, "assistant", "At 8."), says(3, "visitor", "Can I bring my dog to the hotel?")}, nil},
		{"I want to talk to somebody about a group of twenty people", []packet.Message{says(1, "visitor", "I want to talk to somebody about a group of twenty people"), says(2, "visitor", "hello? thanks")}, asked},
		{"agent please", []packet.Message{says(1, "visitor", "hi")}, asked},
		{"", nil, nil},
		{"", []packet.Message{says(1, "visitor", "\x00\xff …")}, nil},
	} {
		if got := packet.Wants(c.messages, c.found); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestAPacketSurvivesBeingStored(t *testing.T) {
	t.Parallel()
	p := packet.Compose(input())
	stored, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back packet.Packet
	if err := json.Unmarshal(stored, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(p, back) {
		t.Errorf("%+v\n%+v", p, back)
	}
	empty, err := json.Marshal(packet.Compose(packet.Input{}))
	if err != nil || bytes.Contains(empty, []byte("null")) {
		t.Errorf("%s %v", empty, err)
	}
}

func TestACutPacketFitsAndKeepsTheNewest(t *testing.T) {
	t.Parallel()
	in := input()
	// Nothing that a visitor may send is as large as this, and escaped sixfold.
	huge := strings.Repeat("<\x01é>", 200)
	for seq := int64(9); seq < 60; seq++ {
		in.Messages = append(in.Messages, says(seq, []string{"visitor", "assistant", "member"}[seq%3], huge, packet.Citation{PageID: id(byte(seq)), URL: "https://x.example/" + huge, Title: huge, Passage: huge, Quote: huge, HeadingPath: []string{huge, huge}}))
	}
	for i := range 50 {
		in.Contact.Attributes[strings.Repeat("k", 30)+string(rune('a'+i))] = huge
	}
	in.PageURL, in.Subject = "https://x.example/"+huge, huge
	p := packet.Compose(in)
	before, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{64 << 10, 16 << 10, 4 << 10} {
		cut := p.Cut(20, limit)
		b, err := json.Marshal(cut)
		if err != nil || len(b) > limit {
			t.Fatalf("%d bytes of %d, %v", len(b), limit, err)
		}
		if n := len(cut.Thread); n > 20 || cut.Omitted+n != len(p.Thread) || n > 0 && cut.Thread[n-1].Seq != 59 {
			t.Errorf("%d entries, %d omitted", n, cut.Omitted)
		}
		if len(cut.Escalation.Triggers) == 0 || cut.Escalation.Triggers[0].Kind != "visitor_asked" || cut.Contact.Name == "" {
			t.Errorf("%+v", cut.Escalation)
		}
		numbers := map[int]bool{}
		for _, c := range cut.Citations {
			numbers[c.Number] = true
		}
		for _, e := range cut.Thread {
			for _, n := range e.Citations {
				if !numbers[n] {
					t.Errorf("entry %d cites %d, which is gone", e.Seq, n)
				}
			}
		}
	}
	if after, _ := json.Marshal(p); !bytes.Equal(before, after) {
		t.Error("cutting a copy changed the packet")
	}
	small := packet.Compose(input())
	if got := small.Cut(20, 64<<10); !reflect.DeepEqual(got, small) {
		t.Error("what fits was changed")
	}
	if got := small.Cut(3, 64<<10); len(got.Thread) != 3 || got.Omitted != 5 {
		t.Errorf("%d and %d", len(got.Thread), got.Omitted)
	}
}

func TestThePacketReadsWell(t *testing.T) {
	t.Parallel()
	got := packet.Compose(input()).Markdown()
	const want = `# I want my money back.

**Asked for a person** · opened 25 Nov 2026, 12:00 UTC · priority high

**Promised:** “A person from the team will reply here by 15:00 today.” (reply by 25 Nov 2026, 14:00 UTC)

## Visitor

- Name: Ada Lovelace
- E-mail: ada@example.org
- Identity: verified
- Language: English
- Channel: widget
- Page: <https://shop.example/cart?x=1>
- city: London
- plan: gold

## What set it off

- Asked for a person: “I want to talk to a person!” (message 7)
- Sensitive topic (a refund): “I want my money back.” (message 7)

## What was tried

- To “Do you ship to Malta?” the assistant said “Yes.”, from [Shipping](<https://shop.example/ship>)
- To “The lamp came with a wrong plug, what now?” the assistant said “We send an adapter for free. Shall I connect you with a person?”, from [Plugs & adapters](<https://shop.example/help/plugs#uk>) (unsure, confidence 52 %)

## A possible next step

Money comes back within 14 days after the return. ([Refunds](<https://shop.example/refunds>))

## Conversation

**Ada Lovelace** · 1 · 25 Nov 2026, 12:01 UTC
`
	if !strings.HasPrefix(got, want) {
		t.Errorf("%s", got)
	}
	for _, part := range []string{"**Grace** · 8 · 25 Nov 2026, 12:08 UTC · note for the team\n\n> VIP, be quick\n", "**2** · [Plugs & adapters](<https://shop.example/help/plugs#uk>) › Help › United Kingdom\n\n> Lamps come with a European plug. We send an adapter for free.\n", "- 25 Oct 2026, 12:00 UTC · resolved · Asked where the lamp was\n"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is missing in\n%s", part, got)
		}
	}
}

var markdown = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.TaskList, extension.Footnote, extension.DefinitionList))

func html(t testing.TB, source string) string {
	t.Helper()
	var b bytes.Buffer
	if err := markdown.Convert([]byte(source), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var tag = regexp.MustCompile(`<[^>]*>`)

// withWords puts a text everywhere where somebody else's words stand.
func withWords(s string) packet.Packet {
	in := input()
	in.Escalation.Triggers = []packet.Trigger{{Kind: "visitor_asked", Evidence: "x" + s}}
	in.Contact.Name, in.Contact.Email, in.Subject = "x"+s, "x"+s, "x"+s
	in.Contact.Attributes = map[string]string{"x": "x" + s}
	in.Messages = []packet.Message{says(1, "visitor", s+"x"), says(2, "assistant", "x\n"+s, packet.Citation{Title: "x" + s, URL: "https://x.example", Passage: "x\n\n" + s, HeadingPath: []string{"x" + s}})}
	in.Earlier[0].Summary = "x" + s
	in.Promise.Text = "x" + s
	in.Hits = nil
	p := packet.Compose(in)
	p.Wants, p.Tried[0].Question = "x"+s, "x"+s
	return p
}

// skeleton is the markup of a page without line ends and empty paragraphs that
// words may bring along.
func skeleton(page string) string {
	tags := tag.FindAllString(page, -1)
	out := strings.Join(tags, "")
	for _, soft := range []string{"<br>", "</p><p>"} {
		out = strings.ReplaceAll(out, soft, "")
	}
	return out
}

var hostile = []string{
	"# heading", "\n\n# heading\n", "a\n===", "a\n---", "**bold** *it* __b__ ~~gone~~", "[x](https://evil.example)", "![x](https://evil.example/a.png)", "<script>alert(1)</script>", "<https://evil.example>",
	"`code`", "```\ncode\n```", "    indented", "\tindented", "- item", "+ item", "* item", "1. item", "1) item", "999999999. item", "- [ ] task", "> quote", "a\n> b", "| a | b |\n|---|---|\n| 1 | 2 |", "&lt;b&gt; &#60;", "[^1]\n\n[^1]: note",
	"[x]: https://evil.example\n[x]", "\\", "\\*a*", "a\\", "***", "---", "___", "term\n: definition", "\x00\x00", "\u202Eabc", "\r\n\r\n# x", "\u2028# x", "x\u00a0", "\x0b# a", "![", "](", "javascript:alert(1)", "<!-- x -->", "<b", "a  \nb", "$x$", "~~~\nx",
}

func TestWordsOfOthersMakeNoMarkup(t *testing.T) {
	t.Parallel()
	want := skeleton(html(t, withWords("plain words").Markdown()))
	for _, s := range hostile {
		source := withWords(s).Markdown()
		if got := skeleton(html(t, source)); got != want {
			t.Errorf("%q:\n%s\n%s", s, got, want)
		}
		if strings.ContainsAny(source, "\x00\u202e") {
			t.Errorf("%q is in it", s)
		}
	}
}

func TestWhatWasTypedCanBeReadAsItWasTyped(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"2 * 3 < 7 & 8_9 [x](y) `z` \\ # ~~a~~ &lt; 1. $5", "5) a", "- a", "AT&T"} {
		page := html(t, withWords(s).Markdown())
		text := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&amp;", "&").Replace(tag.ReplaceAllString(page, ""))
		if n := strings.Count(text, s); n < 12 {
			t.Errorf("%q is there %d times:\n%s", s, n, text)
		}
	}
}

func TestOnlyPagesOfTheWebAreLinked(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"javascript:alert(1)", "data:text/html,x", "//evil.example", "https://a.example/x>y<z (a)[b]`\n# h", "https://a.example/\x00", "http://[::1", "file:///etc/passwd", "https://a.example/\" onclick=\"x"} {
		in := input()
		in.PageURL = url
		in.Messages[2].Cited[0].URL = url
		page := html(t, packet.Compose(in).Markdown())
		for _, href := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page, -1) {
			if !strings.HasPrefix(href[1], "https://shop.example/") && !strings.HasPrefix(href[1], "https://a.example/") {
				t.Errorf("%q links %q", url, href[1])
			}
		}
		if strings.Contains(page, "onclick=\"") || strings.Count(page, "<h1") != 1 || strings.Count(page, "<h2") != 8-1 {
			t.Errorf("%q:\n%s", url, page)
		}
	}
}

func FuzzMarkdown(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	want := skeleton(html(f, withWords("plain words").Markdown()))
	f.Fuzz(func(t *testing.T, s string) {
		if strings.TrimSpace(s) == "" {
			return
		}
		source := withWords(s).Markdown()
		if got := skeleton(html(t, source)); got != want {
			t.Fatalf("%q:\n%s\n%s\n%s", s, source, got, want)
		}
	})
}
