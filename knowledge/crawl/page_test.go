package crawl

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func read(body string) Page {
	return Read(Fetched{URL: "https://example.com/docs/page.html", MediaType: HTML, Body: body})
}

// outline writes blocks so that a test can show them.
func outline(blocks []Block) string {
	var b strings.Builder
	for _, block := range blocks {
		switch block.Kind {
		case Heading:
			fmt.Fprintf(&b, "h%d#%s %s\n", block.Level, block.Anchor, block.Text)
		case Close:
			fmt.Fprintf(&b, "/%d\n", block.Level)
		case Item:
			b.WriteString("- " + block.Text + "\n")
		case Row:
			b.WriteString("| " + block.Text + "\n")
		case Code:
			b.WriteString("``" + block.Text + "``\n")
		case Paragraph:
			b.WriteString(block.Text + "\n")
		}
	}
	return b.String()
}

func checkOutline(t *testing.T, name, body, want string) {
	t.Helper()
	want = strings.ReplaceAll(strings.TrimSpace(want), "\n\t\t", "\n")
	if got := strings.TrimSpace(outline(read(body).Blocks)); got != want {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func TestThePagesContentIsKeptWithHeadingsAndAnchors(t *testing.T) {
	t.Parallel()
	checkOutline(t, "page", `<!doctype html><html lang="en"><head><title>Refunds | Shop</title><style>p{}</style></head><body>
		<header><a href="/">Shop</a></header><nav><ul><li><a href="/a">A</a></ul></nav>
		<div class="cookie-banner"><p>We use cookies.</p><button>Accept</button></div>
		<main id="main"><h1>Refunds <a class="headerlink" href="#refunds">¶</a></h1>
		<p>You can return   goods
		within <b>30 days</b>.<br>No questions asked.</p>
		<section id="how"><h2>How to return</h2><ol><li>Pack it.</li><li><p>Send it.</p><p>Keep the receipt.</p></li></ol></section>
		<h2><a name="fees"></a>Fees</h2>
		<table><thead><tr><th>Country<th>Fee</tr></thead><tr><td>Austria<td>3&nbsp;€</tr></table>
		<pre><code>curl \
  --get x</code></pre>
		<aside class="note"><p>Gifts are different.</p></aside>
		<script>var x = "no"</script><footer>Was this helpful?</footer></main><footer>© Shop</footer></body></html>`, `
		h1#refunds Refunds
		You can return goods within 30 days.
No questions asked.
		h2#how How to return
		- Pack it.
		- Send it.
		- Keep the receipt.
		h2#fees Fees
		| Country | Fee
		| Austria | 3 €
		`+"``curl \\\n  --get x``"+`
		Gifts are different.`)
}

func TestAccordionsAreKeptAndTheirQuestionsAreHeadings(t *testing.T) {
	t.Parallel()
	checkOutline(t, "accordions", `<main><h1>FAQ</h1>
		<details id="q1"><summary>Can I pay by card?</summary><p>Yes.</p></details>
		<p>Between.</p>
		<h3><button aria-expanded="false" aria-controls="p2">Where is my order?</button></h3>
		<div id="p2" hidden aria-hidden="true" style="display:none"><p>In the post.</p></div>
		<dl><dt>Who are you?</dt><dd>A shop.</dd><dt>SKU</dt><dd>A number.</dd></dl><p>After.</p>
		<div role="heading" aria-level="3"><div>Do you</div><div>ship?</div></div><p>We do.</p></main>`, `
		h1# FAQ
		h7#q1 Can I pay by card?
		Yes.
		/7
		Between.
		h3# Where is my order?
		In the post.
		h7# Who are you?
		- A shop.
		/7
		SKU
		- A number.
		After.
		h3# Do you ship?
		We do.`)
}

func TestATermWithALongDescriptionIsAHeading(t *testing.T) {
	t.Parallel()
	long := strings.TrimSpace(strings.Repeat("It reclaims space. ", 40))
	checkOutline(t, "options", "<main><dl><dt id=full>FULL<dd>"+long+"<dt>-a<dt>--all<dd>Short.<dt>-b<dt>--both<dd>"+long+"</dl></main>",
		"h7#full FULL\n- "+long+"\n/7\n-a\n--all\n- Short.\n-b\n--both\n- "+long)
}

func TestNavigationIsLeftOutOfPagesThatNameNoMainContent(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("This is what the page has to say about it. ", 8)
	menu := ""
	for i := range 12 {
		menu += fmt.Sprintf(`<li><a href="/p%d">Entry %d</a></li>`, i, i)
	}
	got := outline(read(`<body><div class="navheader"><a href="prev.html">Prev</a> Chapter 3</div><div id="sidebar"><ul>` + menu + `</ul></div>
		<table width="100%"><tr><td><ul>` + menu + `</ul></td><td><h1>Chapter 3</h1><div class="toc"><a href="page.html#a">Part A</a> <a href="page.html#b">Part B</a></div>
		<p>` + text + `</p><h2 id="a">Part A</h2><p>` + text + `</p></td></tr></table>
		<div role="contentinfo">Imprint</div><div id="onetrust-consent-sdk"><h2>Your privacy</h2><p>Cookies!</p></div></body>`).Blocks)
	want := "h1# Chapter 3\n" + strings.TrimSpace(text) + "\nh2#a Part A\n" + strings.TrimSpace(text) + "\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAPageOfLinksIsItsLinks(t *testing.T) {
	t.Parallel()
	const list = `<li><a href="/a">Returns</a></li><li><a href="/b">Payment</a></li><li><a href="/c">Delivery</a></li><li><a href="/d">Contact</a></li>`
	for name, body := range map[string]string{
		"in main":     "<title>Help</title><main><h1>Help</h1><ul>" + list + "</ul></main>",
		"without":     "<title>Help</title><body><ul>" + list + "</ul></body>",
		"menu only":   "<title>Help</title><body><nav><ul>" + list + "</ul></nav></body>",
		"sidebar too": `<title>Help</title><body><div class="sidebar"><ul>` + list + "</ul></div></body>",
	} {
		p := read(body)
		if passages := p.Passages(); p.Title != "Help" || !p.LinksOnly || p.Reason() != "" || len(passages) != 1 || passages[0].Text != "Returns\nPayment\nDelivery\nContact" {
			t.Errorf("%s: %+v, passages %+v", name, p, passages)
		}
	}
}

func TestPagesWithoutTextAreEmpty(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"", "<html></html>", "<title>App</title><div id=root></div><noscript>You need JavaScript.</noscript><script>run()</script>", "<p>—</p>",
	} {
		if p := read(body); p.Reason() != Empty || p.Title == "" {
			t.Errorf("%q: reason %q, title %q", body, p.Reason(), p.Title)
		}
	}
}

func TestAMainElementThatAScriptWouldFillDoesNotHideTheText(t *testing.T) {
	t.Parallel()
	if p := read("<main></main><div><h1>Shop</h1><p>Open on Mondays.</p></div>"); outline(p.Blocks) != "h1# Shop\nOpen on Mondays.\n" {
		t.Errorf("got %s", outline(p.Blocks))
	}
}

func TestAPageNamesItsLanguageItsOriginalAndWhetherItMayBeIndexed(t *testing.T) {
	t.Parallel()
	p := read(`<html xml:lang="pt_BR"><head><link rel="canonical" href="/docs/other?utm_source=x"><meta name="ROBOTS" content="NoIndex, nofollow"></head><p>Olá <a href="/x">x</a>`)
	if p.Language != "pt-BR" || p.Canonical != "https://example.com/docs/other" || !p.NoIndex || p.Reason() != NoIndex || len(p.Links) != 0 {
		t.Errorf("got %+v", p)
	}
	if p := read(`<link rel=canonical href="https://example.com/docs/other"><p>x`); p.Reason() != Duplicate || len(p.Links) != 1 {
		t.Errorf("the copy of another page: %q", p.Reason())
	}
	for _, same := range []string{"page.html#top", "page", "/docs/page/", "/docs/Page/index.html", "/", "https://elsewhere.example/docs/page", "http://[broken"} {
		if p := read(`<link rel=canonical href="` + same + `"><p>x`); p.Reason() != "" {
			t.Errorf("canonical %s: %q", same, p.Reason())
		}
	}
	if p := Read(Fetched{URL: "https://example.com/", MediaType: HTML, Language: "de", Body: "<p>x"}); p.Language != "de" {
		t.Errorf("the language of the header: %q", p.Language)
	}
}

func TestLinksAreResolvedOnceEach(t *testing.T) {
	t.Parallel()
	p := read(`<base href="/de/"><base href="/no/"><meta http-equiv="refresh" content="0; url='start'">
		<a href="a">1</a><a href="a#x">2</a><a href="#top">3</a><a href="/b?utm_source=x&y=1">4</a><a rel="noopener nofollow" href="n">5</a>
		<a href="mailto:x@example.com">6</a><a href="javascript:void(0)">7</a><a href="http://[broken">8</a><a href=" ../c d ">9</a>
		<a href="//other.example/z">10</a><map><area href="m"></map><iframe src="f"></iframe>`)
	want := []string{
		"https://example.com/de/start", "https://example.com/de/a", "https://example.com/b?y=1", "https://example.com/c%20d",
		"https://other.example/z", "https://example.com/de/m", "https://example.com/de/f",
	}
	if !slices.Equal(p.Links, want) {
		t.Errorf("got %q", p.Links)
	}
}

func TestTheTitleIsThePagesNotTheSites(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"<title>Refunds | Shop</title><main><h1>Refunds</h1><p>x</main>":             "Refunds",
		"<title>Refunds</title><main><h1>Welcome</h1><p>x</main>":                    "Refunds",
		"<title>Refunds – Shop</title><meta property=og:site_name content=Shop><p>x": "Refunds",
		"<h2>Only a heading</h2><p>x":                                                "Only a heading",
		"<meta property=og:title content='From the graph'><p>x":                      "From the graph",
		"<p>x": "page",
		"<svg><title>Logo</title></svg><title>Real</title><p>x": "Real",
		"<title> " + strings.Repeat("ä", 400) + "</title><p>x":  strings.Repeat("ä", 300) + "…",
	} {
		if got := read(body).Title; got != want {
			t.Errorf("%.60s: got %q, want %q", body, got, want)
		}
	}
	if got := Read(Fetched{URL: "https://example.com/", MediaType: HTML, Body: "<p>x"}).Title; got != "example.com" {
		t.Errorf("a start page without title: %q", got)
	}
}

func TestPagesNestedWithoutEndAreStillRead(t *testing.T) {
	t.Parallel()
	p := read("<title>Deep</title>" + strings.Repeat("<div><span><ul><li>", 50_000) + "<h2>Down here</h2>The text. <a href=/x>Link</a>")
	if got := outline(p.Blocks); got != "h2# Down here\nThe text. Link\n" || len(p.Links) != 1 {
		t.Errorf("got %.200q, %d links", got, len(p.Links))
	}
}

func TestTheDigestChangesWithTheTextAndNotWithTheFrame(t *testing.T) {
	t.Parallel()
	page := func(frame, text string) [32]byte {
		return read("<title>T</title><nav>" + frame + "</nav><main><p>" + text + "</p></main>").Digest()
	}
	if page("a", "x") != page("b", "x") || page("a", "x") == page("a", "y") {
		t.Error("the digest follows the frame, or not the text")
	}
}

func TestMarkdownAndPlainTextArePagesToo(t *testing.T) {
	t.Parallel()
	p := Read(Fetched{URL: "https://example.com/guide.md", MediaType: Markdown, Body: "---\ntitle: x\n---\n# Guide\n\nFirst [link](/x).\n\n## Part {#p}\n\n- one\n- two\n\n```sh\nmake\n```\n| a | b |\n|---|---|\n| 1 | 2 |\n"})
	want := "h1# Guide\nFirst link.\nh2#p Part\n- one\n- two\n``make``\n| a | b\n| 1 | 2\n"
	if got := outline(p.Blocks); got != want || p.Title != "Guide" || p.Reason() != "" {
		t.Errorf("title %q, got\n%s", p.Title, got)
	}
}
