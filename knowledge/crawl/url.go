package crawl

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	whatwg "github.com/nlnwa/whatwg-url/url"
)

const (
	maxURL       = 2000 // bytes of a whole address
	maxSegments  = 30
	maxRepeats   = 3   // of one segment within a path
	maxVariants  = 300 // honest sites put some hundred pages into one path's queries
	maxParameter = 12
)

var errNotWeb = errors.New("not an http or https address")

// urlParser reads addresses as browsers do, WHATWG's URL Standard; what its
// library lets through and the standard does not is refused here.
var urlParser = whatwg.NewParser()

// ParseURL resolves ref against base, which may be empty, by the WHATWG URL
// Standard and returns the address as written there ("href").
func ParseURL(base, ref string) (string, error) {
	u, err := parse(base, ref)
	if err != nil {
		return "", err
	}
	return u.Href(false), nil
}

func parse(base, ref string) (*whatwg.Url, error) {
	if base == "" {
		return urlParser.Parse(ref)
	}
	return urlParser.ParseRef(base, ref)
}

// Canonical is the one form in which an address is stored and compared: as the
// URL Standard writes it, without fragment, credentials, tracking parameters and
// an empty query, with percent-encoding only where it is needed. The order of
// parameters and a trailing slash mean something to some sites and stay.
func Canonical(raw string) (string, error) { return Resolve("", raw) }

// Resolve is Canonical for a link on a page whose base is given.
func Resolve(base, ref string) (string, error) {
	u, err := parse(base, ref)
	if err != nil {
		return "", fmt.Errorf("resolve %q: %w", clip(ref), err)
	}
	if s := u.Scheme(); s != "http" && s != "https" {
		return "", fmt.Errorf("resolve %q: %w", clip(ref), errNotWeb)
	}
	if u.Hostname() == "" {
		return "", fmt.Errorf("resolve %q: %w", clip(ref), errNotWeb)
	}
	var b strings.Builder
	b.WriteString(u.Scheme() + "://")
	host := u.Host()
	// "example.com." and "example.com" are one server.
	if name, port, ok := strings.Cut(host, ":"); ok && !strings.HasPrefix(host, "[") {
		host = strings.TrimSuffix(name, ".") + ":" + port
	} else {
		host = strings.TrimSuffix(host, ".")
	}
	if host == "" || host[0] == '.' || host[0] == ':' || strings.Contains(host, "..") || strings.Contains(host, ".:") {
		return "", fmt.Errorf("resolve %q: %w", clip(ref), errNotWeb)
	}
	b.WriteString(host)
	b.WriteString(normaliseEscapes(dropSession(u.Pathname())))
	if query := dropTracking(u.Query()); query != "" {
		b.WriteString("?" + normaliseEscapes(query))
	}
	return b.String(), nil
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200]
	}
	return s
}

// normaliseEscapes decodes what RFC 3986 calls unreserved and writes the other
// escapes in upper case (RFC 3986, 6.2.2).
func normaliseEscapes(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
			b.WriteByte(s[i])
			continue
		}
		if c := unhex(s[i+1])<<4 | unhex(s[i+2]); isUnreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(s[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	default:
		return c - 'a' + 10
	}
}

// isUnreserved leaves the dot out: a decoded %2E could become a dot segment.
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '~'
}

var session = regexp.MustCompile(`(?i);(jsessionid|phpsessid|sid)=[^/;?]*`)

func dropSession(path string) string {
	if !strings.Contains(path, ";") {
		return path
	}
	return session.ReplaceAllString(path, "")
}

var tracking = map[string]bool{
	"gclid": true, "gclsrc": true, "dclid": true, "gbraid": true, "wbraid": true, "fbclid": true, "msclkid": true, "yclid": true,
	"twclid": true, "ttclid": true, "igshid": true, "mc_cid": true, "mc_eid": true, "_ga": true, "_gl": true, "_hsenc": true,
	"_hsmi": true, "hsctatracking": true, "mkt_tok": true, "oly_anon_id": true, "oly_enc_id": true, "vero_id": true,
	"phpsessid": true, "jsessionid": true,
}

func dropTracking(query string) string {
	if query == "" {
		return ""
	}
	kept := make([]string, 0, 8)
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		name = strings.ToLower(name)
		if pair == "" || tracking[name] || strings.HasPrefix(name, "utm_") {
			continue
		}
		kept = append(kept, pair)
	}
	return strings.Join(kept, "&")
}

// Site is what belongs to one source: the pages of one scheme, host and port.
// Aliases are other origins whose addresses mean the same pages, such as the
// apex of a site that lives at www.
type Site struct {
	Origin  string   `json:"origin"` // e.g. https://example.com:8443, canonical
	Aliases []string `json:"aliases,omitempty"`
}

// SiteOf is the site that an address belongs to. The same host under the other
// of http and https is an alias when both use their usual port.
func SiteOf(url string) (Site, error) {
	c, err := Canonical(url)
	if err != nil {
		return Site{}, err
	}
	s := Site{Origin: origin(c)}
	if other := otherScheme(s.Origin); other != "" {
		s.Aliases = []string{other}
	}
	return s, nil
}

// Adopt returns the address as the site itself would write it, and whether it
// belongs to the site at all.
func (s Site) Adopt(canonical string) (string, bool) {
	o := origin(canonical)
	if o == s.Origin {
		return canonical, true
	}
	for _, alias := range s.Aliases {
		if o == alias {
			return s.Origin + canonical[len(o):], true
		}
	}
	return "", false
}

// Rebase moves the site to where its first address redirects: from http to
// https, from the apex to www or back, on usual ports. Any other target is
// another site, and false.
func (s Site) Rebase(target string) (Site, bool) {
	if _, ok := s.Adopt(target); ok {
		// An alias that redirects to the site itself changes nothing; a site
		// that redirects to its alias lives there.
		if origin(target) == s.Origin {
			return s, true
		}
	} else if bareHost(origin(target)) != bareHost(s.Origin) {
		return s, false
	}
	moved := Site{Origin: origin(target)}
	for _, alias := range append([]string{s.Origin}, append(s.Aliases, otherScheme(moved.Origin))...) {
		if alias != "" && alias != moved.Origin && !contains(moved.Aliases, alias) {
			moved.Aliases = append(moved.Aliases, alias)
		}
	}
	return moved, true
}

func contains(list []string, s string) bool {
	for _, item := range list {
		if item == s {
			return true
		}
	}
	return false
}

// origin cuts a canonical address after its host and port.
func origin(canonical string) string {
	if i := strings.Index(canonical, "://"); i >= 0 {
		if j := strings.IndexAny(canonical[i+3:], "/?#"); j >= 0 {
			return canonical[:i+3+j]
		}
	}
	return canonical
}

func hasPort(o string) bool {
	_, host, _ := strings.Cut(o, "://")
	return strings.Contains(host[strings.LastIndexByte(host, ']')+1:], ":")
}

// otherScheme is the same host under http instead of https or the reverse. An
// explicit port belongs to one scheme only.
func otherScheme(o string) string {
	if hasPort(o) {
		return ""
	}
	if host, ok := strings.CutPrefix(o, "https://"); ok {
		return "http://" + host
	}
	host, _ := strings.CutPrefix(o, "http://")
	return "https://" + host
}

// bareHost is an origin's host without www, comparable between schemes.
func bareHost(o string) string {
	scheme, host, _ := strings.Cut(o, "://")
	if hasPort(o) {
		host = scheme + "://" + host
	}
	return strings.TrimPrefix(host, "www.")
}

// pathOf is the path and query of a canonical address.
func pathOf(canonical string) string {
	if p := canonical[len(origin(canonical)):]; p != "" {
		return p
	}
	return "/"
}

// PathKey is the address without its query.
func PathKey(canonical string) string {
	key, _, _ := strings.Cut(canonical, "?")
	return key
}

var date = regexp.MustCompile(`\b(?:19|20|21)\d\d(?:[/-]\d{1,2}){1,2}\b`)

// VariantKey is the address without its query and with its dates made equal:
// addresses of one key are what a site's own script may make endlessly many of.
func VariantKey(canonical string) string {
	return date.ReplaceAllString(PathKey(canonical), "0000-00")
}

// Endless tells whether an address looks like one of endlessly many that a site
// makes of itself: too long, too deep, the same segments over and over, too many
// parameters, or one more query of a path that already has many. The number of
// variants is that of known addresses with the same VariantKey.
func Endless(canonical string, variants int) bool {
	if len(canonical) > maxURL || variants > maxVariants {
		return true
	}
	path, query, _ := strings.Cut(pathOf(canonical), "?")
	if strings.Count(query, "&") >= maxParameter {
		return true
	}
	segments := strings.Split(strings.Trim(path, "/"), "/")
	if len(segments) > maxSegments {
		return true
	}
	seen := make(map[string]int, len(segments))
	for i, segment := range segments {
		// Empty segments and short numbers repeat in honest paths (dates).
		if seen[segment]++; seen[segment] > maxRepeats && len(segment) > 2 {
			return true
		}
		// a/b/a/b/a/b, or a/a/a: a relative link that climbs nowhere.
		for n := 1; n <= 3 && i+1 >= 3*n; n++ {
			tail := segments[i+1-3*n : i+1]
			if same(tail[:n], tail[n:2*n]) && same(tail[n:2*n], tail[2*n:]) && len(strings.Join(tail[:n], "")) > 2 {
				return true
			}
		}
	}
	return false
}

func same(a, b []string) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// Allowed applies a source's globs to an address's path: with include patterns
// one must match, and no exclude pattern may. In a pattern * stands for anything
// but a slash and ** for anything; a pattern without wildcard means itself and
// all below it. Patterns may start with the site's own origin. The query takes
// part only where the pattern has a question mark.
func Allowed(canonical string, include, exclude []string) bool {
	for _, pattern := range exclude {
		if globMatches(pattern, canonical) {
			return false
		}
	}
	for _, pattern := range include {
		if globMatches(pattern, canonical) {
			return true
		}
	}
	return len(include) == 0
}

func globMatches(pattern, canonical string) bool {
	pattern = strings.TrimSpace(pattern)
	if c := origin(canonical); strings.HasPrefix(pattern, c) {
		pattern = pattern[len(c):]
	}
	path := pathOf(canonical)
	if !strings.Contains(pattern, "?") {
		path = PathKey(path)
	}
	switch {
	case strings.HasPrefix(pattern, "*"):
		pattern = "**" + strings.TrimLeft(pattern, "*") // *.html means those in every folder
	case !strings.HasPrefix(pattern, "/"):
		pattern = "/" + pattern
	}
	if decoded := decode(path); glob(pattern, decoded) {
		return true
	}
	return glob(pattern, path)
}

// decode undoes percent-encoding, so that /über/* can be written as it reads.
func decode(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

// glob matches in time of pattern × path: a pattern of many stars comes from a
// customer and must not stall a worker.
func glob(pattern, path string) bool {
	if !strings.Contains(pattern, "*") {
		trimmed := strings.TrimSuffix(pattern, "/")
		return path == pattern || path == trimmed || strings.HasPrefix(path, trimmed+"/")
	}
	// "/docs/**" means /docs too.
	if head, ok := strings.CutSuffix(pattern, "/**"); ok && !strings.Contains(head, "*") && path == head {
		return true
	}
	// states[n] is true when the first n bytes of the pattern stand for what was
	// read of the path; a star stands for nothing, too.
	states, next := make([]bool, len(pattern)+1), make([]bool, len(pattern)+1)
	reach := func(set []bool, at int) {
		for set[at] = true; at < len(pattern) && pattern[at] == '*'; set[at] = true {
			at = afterStars(pattern, at)
		}
	}
	reach(states, 0)
	for i := range len(path) {
		alive := false
		clear(next)
		for at := range len(pattern) {
			switch {
			case !states[at]:
			case pattern[at] == '*':
				if afterStars(pattern, at) > at+1 || path[i] != '/' {
					reach(next, at)
					alive = true
				}
			case pattern[at] == path[i]:
				reach(next, at+1)
				alive = true
			}
		}
		if states, next = next, states; !alive {
			return false
		}
	}
	return states[len(pattern)]
}

func afterStars(pattern string, at int) int {
	for at < len(pattern) && pattern[at] == '*' {
		at++
	}
	return at
}
