package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// MaxBody is how much a request may bring.
	MaxBody = 1 << 20
	// patience is how long it may take to arrive.
	patience = 10 * time.Second
)

// readBody takes the whole body, so that it can be fingerprinted and looked
// over before anything is made of it.
func readBody(w http.ResponseWriter, r *http.Request, requestID string) ([]byte, error) {
	// Once a request has arrived, its answer may take longer than its arrival
	// might have: nothing is read any more.
	control := http.NewResponseController(w)
	arrived := func() { _ = control.SetReadDeadline(time.Time{}) }
	if r.Body == nil || r.Body == http.NoBody {
		arrived()
		return nil, nil
	}
	stop := time.AfterFunc(patience, func() { _ = control.SetReadDeadline(time.Unix(1, 0)) })
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	late := !stop.Stop()
	if err == nil {
		arrived()
	}
	switch _, tooLarge := errors.AsType[*http.MaxBytesError](err); {
	case tooLarge:
		return nil, problem(requestID, "body_too_large", "A request may bring at most 1 MiB.")
	case late && err != nil:
		// The deadline stays: net/http would otherwise wait for the rest before it answers.
		w.Header().Set("Connection", "close")
		return nil, problem(requestID, "request_timeout", "The body did not arrive in time.")
	case err != nil:
		w.Header().Set("Connection", "close")
		return nil, problem(requestID, "malformed_request", "The body could not be read.")
	case !utf8.Valid(body):
		return nil, problem(requestID, "malformed_request", "The body is no UTF-8.")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}

// checkNull refuses null for a field that can't be emptied. nullable is nil for
// what is no PATCH.
func checkNull(body []byte, nullable map[string]bool, requestID string) error {
	if nullable == nil || !bytes.Contains(body, []byte("null")) {
		return nil
	}
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(body, &fields) // who reads it for good says what is wrong with it
	p := problem(requestID, "validation_failed", "A field that can't be empty is null; see errors.")
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if may, known := nullable[name]; known && !may && string(fields[name]) == "null" {
			p.Errors = append(p.Errors, ProblemField{Pointer: "#/" + escapePointer(name), Code: "type", Detail: "This field can't be null; leave it out to keep it."})
		}
	}
	if len(p.Errors) == 0 {
		return nil
	}
	return p
}

// checkQuery refuses what would be read in one way by one reader and in
// another by the next: a parameter given twice, and texts that are none.
func checkQuery(raw, requestID string) (url.Values, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, problem(requestID, "malformed_request", "The query can't be read.")
	}
	var nul []ProblemField
	for name, values := range query {
		if len(values) > 1 {
			p := problem(requestID, "malformed_request", "A query parameter is given twice; lists are written with commas.")
			if utf8.ValidString(name) {
				p.Errors = []ProblemField{{Pointer: "query/" + name, Code: "repeated", Detail: "This parameter is given twice."}}
			}
			return nil, p
		}
		if !utf8.ValidString(name) || !utf8.ValidString(values[0]) {
			return nil, problem(requestID, "malformed_request", "The query is no UTF-8.")
		}
		if strings.ContainsRune(values[0], 0) {
			nul = append(nul, nulAt("query/"+name))
		}
	}
	return query, withUnwritable(requestID, nul)
}
