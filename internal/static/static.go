// Package static serves what is known when the program starts: pages, their
// styles and scripts, published documents. Each is served from memory, with an
// entity tag and compressed if the client can read that.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// File is one thing to serve. It is safe for concurrent use.
type File struct {
	kind   string
	plain  []byte // nil: only the compressed form is kept
	packed []byte
	tag    string
	header http.Header
}

// New makes a file of a media type out of its bytes.
func New(kind string, body []byte) *File {
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level is a valid one
	_, _ = w.Write(body)                                       // a buffer never fails
	_ = w.Close()
	return &File{kind: kind, plain: body, packed: packed.Bytes(), tag: tag(body), header: http.Header{}}
}

// NewPacked makes a file out of bytes that are compressed by gzip already, and
// keeps only these: a large script is rarely asked for in another form.
func NewPacked(kind string, packed []byte) (*File, error) {
	f := &File{kind: kind, packed: packed, tag: tag(packed), header: http.Header{}}
	if _, err := f.unpack(); err != nil {
		return nil, err
	}
	return f, nil
}

// Cached lets clients keep the file for a while without asking again. Without
// it they ask each time and are told when nothing has changed.
func (f *File) Cached(d time.Duration) *File {
	return f.With("Cache-Control", "public, max-age="+strconv.Itoa(int(d.Seconds())))
}

// With adds a header to each answer.
func (f *File) With(name, value string) *File {
	f.header.Set(name, value)
	return f
}

// Tag is the file's entity tag, quoted.
func (f *File) Tag() string { return f.tag }

func (f *File) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	for name, values := range f.header {
		h[name] = slices.Clone(values)
	}
	h.Set("ETag", f.tag)
	h.Set("Vary", "Accept-Encoding")
	if matches(r.Header.Get("If-None-Match"), f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.kind)
	body := f.packed
	if accepts(r.Header.Values("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
	} else if body = f.plain; body == nil {
		plain, err := f.unpack()
		if err != nil {
			http.Error(w, "the file is damaged", http.StatusInternalServerError)
			return
		}
		body = plain
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(body)
	}
}

func (f *File) unpack() ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(f.packed))
	if err != nil {
		return nil, fmt.Errorf("unpack a %s: %w", f.kind, err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("unpack a %s: %w", f.kind, err)
	}
	return plain, nil
}

// tag is weak: the same tag stands for the plain and for the compressed form.
func tag(body []byte) string {
	sum := sha256.Sum256(body)
	return `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// matches compares weakly, as RFC 9110 asks for If-None-Match.
func matches(header, tag string) bool {
	if header == "" {
		return false
	}
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// accepts tells whether Accept-Encoding names gzip without refusing it by q=0.
func accepts(headers []string) bool {
	for coding := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		name, params, _ := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		q, found := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		if !found {
			return true
		}
		weight, err := strconv.ParseFloat(q, 64)
		return err == nil && weight > 0
	}
	return false
}
