package providertest

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Step is what the server does with one request.
type Step struct {
	play    func(s *Server, w http.ResponseWriter, r *http.Request, request Request)
	forever bool
}

// Forever makes the step answer all requests from here on.
func Forever(step Step) Step {
	step.forever = true
	return step
}

// Answer answers with the text and cites the ids, each with the beginning of its
// passage as the quote. Without ids it cites the first passage that was given.
func Answer(text string, ids ...string) Step {
	return Reply(func(r Request) any {
		citations := []map[string]string{}
		for i, p := range r.Document().Passages {
			if (len(ids) == 0 && i == 0) || slices.Contains(ids, p.ID) {
				citations = append(citations, map[string]string{"id": p.ID, "quote": beginning(p.Text)})
			}
		}
		return answer("answer", text, citations)
	})
}

// Escalate hands over, with the text as the reason.
func Escalate(text string) Step {
	return AnswerJSON(map[string]any{
		"action": "escalate", "text": text, "citations": []any{}, "answered": false, "confidence": 0.1,
	})
}

// CitesForeign answers with the text and cites only what was not given.
func CitesForeign(text string) Step {
	return AnswerJSON(answer("answer", text, []map[string]string{
		{"id": "p999", "quote": "never written"}, {"id": "https://example.com/", "quote": ""},
	}))
}

// AnswerJSON sends the value as the message's JSON, whatever it is.
func AnswerJSON(v any) Step { return Reply(func(Request) any { return v }) }

// Reply makes the message's JSON from the request.
func Reply(f func(Request) any) Step {
	return play(func(w http.ResponseWriter, _ *http.Request, request Request) {
		content, err := json.Marshal(f(request))
		if err != nil {
			panic(err) // a test's own value
		}
		send(w, completion(string(content), "stop"))
	})
}

// Content sends the string as the message, with its finish reason.
func Content(content, finish string) Step {
	return play(func(w http.ResponseWriter, _ *http.Request, _ Request) { send(w, completion(content, finish)) })
}

// Nonsense sends prose, with a magic word in it, where JSON was agreed.
func Nonsense() Step { return Content("Sure! I will HANDOFF you to a person now.", "stop") }

// TruncatedJSON sends a message whose JSON ends in the middle, though the finish
// reason says that all is well.
func TruncatedJSON() Step {
	return Content(`{"citations":[{"id":"p1","quote":""}],"answered":true,"confidence":0.9,"action":"answer","text":"You can`, "stop")
}

// Refusal declines, in the field that is made for it.
func Refusal(text string) Step {
	return play(func(w http.ResponseWriter, _ *http.Request, _ Request) {
		c := completion("", "stop")
		c["choices"].([]map[string]any)[0]["message"] = map[string]any{"role": "assistant", "content": nil, "refusal": text}
		send(w, c)
	})
}

// Body sends any body as the response of the content type.
func Body(contentType, body string) Step {
	return play(func(w http.ResponseWriter, _ *http.Request, _ Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
	})
}

// WrongContentType sends a good answer that says it is HTML.
func WrongContentType(text string) Step {
	return play(func(w http.ResponseWriter, _ *http.Request, _ Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write(goodBody(text))
	})
}

// Status answers with the status and the body; header holds names and values in turn.
func Status(code int, body string, header ...string) Step {
	return play(func(w http.ResponseWriter, _ *http.Request, _ Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	})
}

// Hang answers nothing until the client goes or the server is closed.
func Hang() Step {
	return Step{play: func(s *Server, _ http.ResponseWriter, r *http.Request, _ Request) {
		select {
		case <-r.Context().Done():
		case <-s.closed:
		}
	}}
}

// Drop resets the connection without a byte of an answer.
func Drop() Step {
	return play(func(w http.ResponseWriter, _ *http.Request, _ Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	})
}

// HalfBody promises a whole answer and closes the connection in the middle of it.
func HalfBody(text string) Step {
	return play(func(w http.ResponseWriter, _ *http.Request, _ Request) {
		body := goodBody(text)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
}

// SlowDrip sends an answer byte by byte, with the pause after each.
func SlowDrip(text string, pause time.Duration) Step {
	return Step{play: func(s *Server, w http.ResponseWriter, r *http.Request, _ Request) {
		w.Header().Set("Content-Type", "application/json")
		for _, b := range goodBody(text) {
			if _, err := w.Write([]byte{b}); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(pause):
			case <-r.Context().Done():
				return
			case <-s.closed:
				return
			}
		}
	}}
}

// Huge sends an answer whose text is n bytes long; zipped, if wanted, to a
// thousandth of that.
func Huge(n int64, zipped bool) Step {
	return play(func(w http.ResponseWriter, _ *http.Request, _ Request) {
		w.Header().Set("Content-Type", "application/json")
		out := io.Writer(w)
		if zipped {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			defer func() { _ = z.Close() }()
			out = z
		}
		before, after, _ := strings.Cut(string(goodBody("@")), "@")
		_, err := io.WriteString(out, before)
		chunk := []byte(strings.Repeat("x", 64<<10))
		for left := n; left > 0 && err == nil; left -= int64(len(chunk)) {
			_, err = out.Write(chunk[:min(left, int64(len(chunk)))])
		}
		if err == nil {
			_, _ = io.WriteString(out, after)
		}
	})
}

func play(f func(w http.ResponseWriter, r *http.Request, request Request)) Step {
	return Step{play: func(_ *Server, w http.ResponseWriter, r *http.Request, request Request) { f(w, r, request) }}
}

func answer(action, text string, citations []map[string]string) map[string]any {
	return map[string]any{"citations": citations, "answered": true, "confidence": 0.9, "action": action, "text": text}
}

func completion(content, finish string) map[string]any {
	return map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "scripted",
		"choices": []map[string]any{{
			"index": 0, "finish_reason": finish,
			"message": map[string]any{"role": "assistant", "content": content, "refusal": nil},
		}},
		"usage": map[string]any{"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
	}
}

// goodBody is the whole body of an answer that cites p1.
func goodBody(text string) []byte {
	content, err := json.Marshal(answer("answer", text, []map[string]string{{"id": "p1", "quote": ""}}))
	if err != nil {
		panic(err)
	}
	body, err := json.Marshal(completion(string(content), "stop"))
	if err != nil {
		panic(err)
	}
	return body
}

func send(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(fmt.Sprintf("encode an answer: %v", err))
	}
}

// beginning is the first words of a text, whole ones where there are any.
func beginning(text string) string {
	words := strings.Fields(strings.TrimSuffix(text, "…"))
	return strings.Join(words[:min(6, len(words))], " ")
}
