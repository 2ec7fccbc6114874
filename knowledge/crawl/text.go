package crawl

import (
	"bytes"
	"mime"
	"net/http"
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/language"
)

// The kinds of text that are read.
const (
	HTML      = "text/html"
	PlainText = "text/plain"
	Markdown  = "text/markdown"
)

// mayBeText tells by the declared type whether a body is worth loading.
func mayBeText(declared string) bool {
	switch essence(declared) {
	case "", HTML, "application/xhtml+xml", PlainText, Markdown, "text/x-markdown", "text/xml", "application/xml",
		"application/octet-stream", "binary/octet-stream", "unknown/unknown", "application/unknown", "*/*":
		return true
	}
	return false
}

func essence(declared string) string {
	kind, _, err := mime.ParseMediaType(declared)
	if err != nil {
		kind, _, _ = strings.Cut(declared, ";")
	}
	return strings.ToLower(strings.TrimSpace(kind))
}

// mediaType is what a body is by its declared type and its first bytes; empty
// when it is none that is read. A declaration does not make a picture a page.
func mediaType(declared, url string, body []byte) string {
	head := body[:min(len(body), 1024)]
	sniffed := essence(http.DetectContentType(head))
	if !strings.HasPrefix(sniffed, "text/") && (sniffed != "application/octet-stream" || isBinary(head)) {
		return ""
	}
	kind := essence(declared)
	isMarkdown := kind == Markdown || kind == "text/x-markdown"
	if !isMarkdown && (kind == PlainText || kind == "") {
		switch strings.ToLower(path.Ext(PathKey(url))) {
		case ".md", ".markdown", ".mdx":
			isMarkdown = true
		}
	}
	start := strings.ToLower(string(bytes.TrimLeft(head, "\xef\xbb\xbf \t\r\n")))
	document := strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html")
	switch kind {
	case HTML, "application/xhtml+xml":
		return HTML
	case "text/xml", "application/xml":
		// XHTML by its root; feeds and data are not pages.
		if strings.Contains(start, "<html") {
			return HTML
		}
		return ""
	case PlainText:
		if document {
			return HTML
		}
	case Markdown, "text/x-markdown":
	case "":
		if sniffed == HTML {
			return HTML
		}
	default:
		if !document {
			return ""
		}
		return HTML
	}
	if isMarkdown {
		return Markdown
	}
	return PlainText
}

// isBinary looks for bytes that no text has. UTF-16 declares itself by its mark.
func isBinary(head []byte) bool {
	if bytes.HasPrefix(head, []byte("\xfe\xff")) || bytes.HasPrefix(head, []byte("\xff\xfe")) {
		return false
	}
	for _, c := range head {
		// Escape introduces characters in ISO-2022-JP.
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b {
			return true
		}
	}
	return false
}

// decodeText turns a body into UTF-8.
func decodeText(body []byte, declared string) string {
	enc, name := detect(body, declared)
	if name == "utf-8" {
		return clean(body)
	}
	decoded, err := enc.NewDecoder().Bytes(body)
	if err != nil {
		return clean(body)
	}
	return clean(decoded)
}

// lateMeta finds a declaration that stands behind the first 1,024 bytes, where
// the standard's prescan stops and its parser goes on.
func lateMeta(body []byte) (encoding.Encoding, string) {
	tokens := html.NewTokenizer(bytes.NewReader(body[:min(len(body), 64<<10)]))
	for kind := tokens.Next(); kind != html.ErrorToken; kind = tokens.Next() {
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			continue
		}
		t := tokens.Token()
		if t.DataAtom != atom.Meta {
			continue
		}
		n := &html.Node{Attr: t.Attr}
		label := attr(n, "charset")
		if label == "" && strings.EqualFold(attr(n, "http-equiv"), "content-type") {
			if _, params, err := mime.ParseMediaType(attr(n, "content")); err == nil {
				label = params["charset"]
			}
		}
		// Whoever could read this in UTF-16 would not have to be told.
		if enc, name := charset.Lookup(label); enc != nil && !strings.HasPrefix(name, "utf-16") {
			return enc, name
		}
	}
	return nil, ""
}

// detect names the encoding of a body. What is declared (mark, header, meta
// element, in this order) is believed unless the bytes contradict it: valid UTF-8
// beyond ASCII is never something else by chance, and text that is not UTF-8
// does not become so by a header.
func detect(body []byte, declared string) (encoding.Encoding, string) {
	enc, name, certain := charset.DetermineEncoding(body, declared)
	isUTF8, isASCII := utf8.Valid(body), isASCII(body)
	if isUTF8 && !isASCII && isSingleByte(name) {
		return encoding.Nop, "utf-8"
	}
	if !certain && len(body) > 1024 {
		if late, lateName := lateMeta(body); late != nil {
			enc, name = late, lateName
		}
	}
	if isUTF8 || name != "utf-8" {
		return enc, name
	}
	if other, otherName, _ := charset.DetermineEncoding(body, ""); otherName != "utf-8" {
		return other, otherName
	}
	if mostlyBroken(body) {
		return charmap.Windows1252, "windows-1252"
	}
	return encoding.Nop, "utf-8"
}

func isASCII(body []byte) bool {
	for _, c := range body {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// isSingleByte is true of the encodings that pages written in UTF-8 are wrongly
// declared as.
func isSingleByte(name string) bool {
	return strings.HasPrefix(name, "windows-125") || strings.HasPrefix(name, "iso-8859") || name == "macintosh"
}

// mostlyBroken tells a page in another encoding from one in UTF-8 with a few
// damaged characters.
func mostlyBroken(body []byte) bool {
	broken, whole := 0, 0
	for i := 0; i < len(body); {
		r, n := utf8.DecodeRune(body[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			broken++
		case n > 1:
			whole++
		}
		i += max(n, 1)
	}
	return broken > whole
}

// clean takes out what neither a page needs nor a database's text stores.
func clean(body []byte) string {
	s := strings.ToValidUTF8(string(body), "\ufffd")
	s = strings.TrimPrefix(s, "\ufeff")
	return strings.ReplaceAll(s, "\x00", "")
}

// languageTag is the first of a list of languages in BCP 47 form, or empty when
// it is none.
func languageTag(s string) string {
	s, _, _ = strings.Cut(s, ",")
	s = strings.ReplaceAll(strings.TrimSpace(s), "_", "-")
	if s == "" || len(s) > 35 {
		return ""
	}
	tag, err := language.Parse(s)
	if err != nil || tag == language.Und {
		return ""
	}
	return tag.String()
}
