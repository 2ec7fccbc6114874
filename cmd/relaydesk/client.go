package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// client calls the API as any other program does.
type client struct {
	base, key, workspace string
	http                 http.Client
}

// problem is what the API answers when it refuses.
type problem struct {
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"`
	Errors    []struct {
		Pointer string `json:"pointer"`
		Detail  string `json:"detail"`
	} `json:"errors"`
}

func (p *problem) Error() string {
	text := fmt.Sprintf("%s (%d): %s", p.Code, p.Status, p.Detail)
	for _, e := range p.Errors {
		text += fmt.Sprintf(" [%s: %s]", e.Pointer, e.Detail)
	}
	if p.RequestID != "" {
		text += " (request " + p.RequestID + ")"
	}
	return oneLine(text)
}

// newClient finds the server and key: from the flags, else from what the dev
// command left in its data folder.
func newClient(base, key string) (*client, error) {
	cfg, _, err := configure()
	if err != nil {
		return nil, err
	}
	seeded, err := readSeed(filepath.Join(cfg.DataDir, "dev.json"))
	if err != nil {
		return nil, err
	}
	if key == "" {
		key = os.Getenv(apiKey)
	}
	if key == "" {
		key = seeded.APIKey
	}
	if base == "" {
		base = cfg.PublicURL
	}
	if key == "" {
		return nil, fmt.Errorf("no key: start `make dev` first (its key is kept in %s), or give --key, or set RELAYDESK_API_KEY", filepath.Join(cfg.DataDir, "dev.json"))
	}
	return &client{base: strings.TrimRight(base, "/"), key: key, http: newHTTP()}, nil
}

// newHTTP follows no redirect: the key is for the server that was named.
func newHTTP() http.Client {
	return http.Client{Timeout: 90 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// call sends in as JSON and reads the answer into out; either may be nil.
func (c *client) call(ctx context.Context, method, path string, in, out any, headers ...string) error {
	body, err := c.raw(ctx, method, path, in, headers...)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}

func (c *client) raw(ctx context.Context, method, path string, in any, headers ...string) ([]byte, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	if c.workspace != "" {
		request.Header.Set("Relaydesk-Workspace", c.workspace)
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s %s: is the server running? %w", method, path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode >= 300 {
		p := &problem{Status: response.StatusCode, Code: "http_error", Detail: http.StatusText(response.StatusCode)}
		_ = json.Unmarshal(text, p) // what is no problem document keeps the status
		return nil, fmt.Errorf("%s %s: %w", method, path, p)
	}
	return text, nil
}

// isRelaydesk tells whether one of us answers at the address.
func isRelaydesk(ctx context.Context, base string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if u, err := url.Parse(base); err != nil || u.Host == "" {
		return false
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/openapi.json", nil)
	if err != nil {
		return false
	}
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.Header.Get("Relaydesk-Version") != ""
}
