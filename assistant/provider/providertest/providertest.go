// Package providertest is a model server for tests. It speaks OpenAI's chat
// completions over real HTTP, answers what its script says, step by step, and
// misbehaves on demand in the ways that providers do. It keeps what it was
// asked, so that a test can look at it.
package providertest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// Server answers chat completions by script.
type Server struct {
	t      testing.TB
	http   *httptest.Server
	closed chan struct{}

	mu       sync.Mutex
	script   []Step
	requests []Request
	arrived  chan struct{} // closed and replaced at each request
}

// New starts a server that ends with the test. Each request takes one step; one
// more than the script has fails the test and gets a 500.
func New(t testing.TB, script ...Step) *Server {
	t.Helper()
	s := &Server{t: t, closed: make(chan struct{}), arrived: make(chan struct{}), script: script}
	s.http = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// URL is the base URL to configure, with the version.
func (s *Server) URL() string { return s.http.URL + "/v1" }

// Close ends the server and every step that still hangs. The test's end does it too.
func (s *Server) Close() {
	s.mu.Lock()
	select {
	case <-s.closed:
		s.mu.Unlock()
		return
	default:
		close(s.closed)
	}
	s.mu.Unlock()
	s.http.CloseClientConnections()
	s.http.Close()
}

// Script replaces the steps that are left.
func (s *Server) Script(script ...Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// Requests are those that came so far, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Await waits until n requests came; it fails the test after ten seconds.
func (s *Server) Await(n int) {
	s.t.Helper()
	late := time.After(10 * time.Second)
	for {
		s.mu.Lock()
		count, next := len(s.requests), s.arrived
		s.mu.Unlock()
		if count >= n {
			return
		}
		select {
		case <-next:
		case <-late:
			s.t.Fatalf("the model server got %d requests, %d were awaited", count, n)
		}
	}
}

// ServeHTTP takes the next step of the script.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	request := Request{Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone(), Body: body}
	known := json.Unmarshal(body, &request.fields) == nil && r.Method == http.MethodPost && r.URL.Path == "/v1/chat/completions"
	step, left := s.next(request)
	switch {
	case !known:
		http.Error(w, `{"error":{"message":"unknown","type":"invalid_request_error"}}`, http.StatusNotFound)
	case !left:
		s.t.Errorf("the model server was asked once more than its script has steps")
		http.Error(w, `{"error":{"message":"script ended"}}`, http.StatusInternalServerError)
	default:
		step.play(s, w, r, request)
	}
}

func (s *Server) next(request Request) (step Step, left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, request)
	close(s.arrived)
	s.arrived = make(chan struct{})
	if len(s.script) == 0 {
		return step, false
	}
	step = s.script[0]
	if !step.forever {
		s.script = s.script[1:]
	}
	return step, true
}

// Request is what the server was asked.
type Request struct {
	Method, Path string
	Header       http.Header
	Body         []byte
	fields       struct {
		Model    string `json:"model"`
		Stream   bool   `json:"stream"`
		Messages []struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		} `json:"messages"`
		ResponseFormat struct {
			Type string `json:"type"`
		} `json:"response_format"`
	}
}

// Model is the model that was asked for.
func (r Request) Model() string { return r.fields.Model }

// Stream tells whether a stream was asked for.
func (r Request) Stream() bool { return r.fields.Stream }

// Format is the response format: json_schema, json_object or "".
func (r Request) Format() string { return r.fields.ResponseFormat.Type }

// Message is the text of all messages with the role.
func (r Request) Message(role string) (text string) {
	for _, m := range r.fields.Messages {
		if m.Role == role {
			text += m.Content
		}
	}
	return text
}

// Passage is one that the request gives the model to cite.
type Passage struct {
	ID      string `json:"id"`
	Heading string `json:"heading"`
	Text    string `json:"text"`
}

// Document is the data that the request holds for the model.
type Document struct {
	Workspace string   `json:"workspace"`
	Language  string   `json:"language"`
	Facts     []string `json:"facts"`
	Thread    []struct {
		Author string `json:"author"`
		At     string `json:"at"`
		Text   string `json:"text"`
	} `json:"thread"`
	Passages []Passage `json:"passages"`
	Question string    `json:"question"`
}

// Document reads the data; it is empty if there is none.
func (r Request) Document() (d Document) {
	if json.Unmarshal([]byte(r.Message("user")), &d) != nil {
		return Document{}
	}
	return d
}
