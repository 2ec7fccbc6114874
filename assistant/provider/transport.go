package provider

import (
	"errors"
	"io"
	"net/http"
)

// maxBody is many times what an answer needs. What is over it is not read, so
// that a provider gone wild can't fill our memory.
const maxBody = 1 << 20

var errTooLarge = errors.New("the response is larger than 1 MiB")

// limited returns a copy of the client that follows no redirect (the key would
// go along) and reads at most maxBody of a response.
func limited(client *http.Client) *http.Client {
	c := *client
	next := c.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	c.Transport = limitedTransport{next}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

type limitedTransport struct{ next http.RoundTripper }

func (t limitedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err //nolint:wrapcheck // a transport passes on
	}
	// Counted here, above decompression, so that a small body can't unfold.
	res.Body = &limitedBody{ReadCloser: res.Body, left: maxBody}
	return res, nil
}

type limitedBody struct {
	io.ReadCloser
	left int
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if len(p) > b.left+1 {
		p = p[:b.left+1] // one more than allowed tells "too large" from "just fits"
	}
	n, err := b.ReadCloser.Read(p)
	if n > b.left {
		return b.left, errTooLarge
	}
	b.left -= n
	return n, err //nolint:wrapcheck // io.EOF must stay what it is
}
