package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/objects"
)

// codes are all the codes that a problem can have, with the status that each
// is answered with. A code that is not here is answered by its kind: the domain
// may say something new before anybody has thought of its status.
var codes = map[string]struct {
	status int
	title  string
}{
	"malformed_request":      {http.StatusBadRequest, "The request can't be read"},
	"workspace_required":     {http.StatusBadRequest, "A workspace has to be named"},
	"cursor_invalid":         {http.StatusBadRequest, "The cursor doesn't fit"},
	"unauthorized":           {http.StatusUnauthorized, "No valid key"},
	"scope_missing":          {http.StatusForbidden, "The key may not do this"},
	"origin_not_allowed":     {http.StatusForbidden, "A page of another site"},
	"identity_invalid":       {http.StatusUnprocessableEntity, "The visitor's identity is not proven"},
	"another_member":         {http.StatusForbidden, "Another member"},
	"not_found":              {http.StatusNotFound, "Not found"},
	"method_not_allowed":     {http.StatusMethodNotAllowed, "Method not allowed"},
	"request_timeout":        {http.StatusRequestTimeout, "The request took too long to arrive"},
	"already_accepted":       {http.StatusConflict, "Already accepted"},
	"stale_reply":            {http.StatusConflict, "The reply misses a message"},
	"not_owner":              {http.StatusConflict, "Somebody else's conversation"},
	"conversation_resolved":  {http.StatusConflict, "The conversation is resolved"},
	"idempotency_in_flight":  {http.StatusConflict, "The same request is being worked on"},
	"email_taken":            {http.StatusConflict, "The address is another member's"},
	"external_id_taken":      {http.StatusConflict, "The id is another contact's"},
	"member_in_use":          {http.StatusConflict, "The member is still needed"},
	"key_expired":            {http.StatusConflict, "The key has expired"},
	"position_expired":       {http.StatusGone, "The position is no longer kept"},
	"precondition_failed":    {http.StatusPreconditionFailed, "It was changed meanwhile"},
	"body_too_large":         {http.StatusRequestEntityTooLarge, "The body is too large"},
	"unsupported_media_type": {http.StatusUnsupportedMediaType, "The body is no JSON"},
	"idempotency_mismatch":   {http.StatusUnprocessableEntity, "The key was used for another request"},
	"validation_failed":      {http.StatusUnprocessableEntity, "Something in the request is not right"},
	"rate_limited":           {http.StatusTooManyRequests, "Too many requests"},
	"internal_error":         {http.StatusInternalServerError, "Something went wrong on our side"},
	"unavailable":            {http.StatusServiceUnavailable, "Not available at the moment"},
}

// byStatus names the code of a failure of which only the status is known.
var byStatus = map[int]string{
	http.StatusBadRequest:            "malformed_request",
	http.StatusUnauthorized:          "unauthorized",
	http.StatusForbidden:             "scope_missing",
	http.StatusNotFound:              "not_found",
	http.StatusMethodNotAllowed:      "method_not_allowed",
	http.StatusRequestTimeout:        "request_timeout",
	http.StatusRequestEntityTooLarge: "body_too_large",
	http.StatusUnsupportedMediaType:  "unsupported_media_type",
	http.StatusUnprocessableEntity:   "validation_failed",
	http.StatusTooManyRequests:       "rate_limited",
	http.StatusServiceUnavailable:    "unavailable",
}

var byKind = map[fault.Kind]int{
	fault.Internal:    http.StatusInternalServerError,
	fault.NotFound:    http.StatusNotFound,
	fault.Conflict:    http.StatusConflict,
	fault.Invalid:     http.StatusUnprocessableEntity,
	fault.Denied:      http.StatusForbidden,
	fault.Limited:     http.StatusTooManyRequests,
	fault.Unavailable: http.StatusServiceUnavailable,
}

// Problem is what every failure is answered with (RFC 9457).
type Problem struct { //nolint:errname // the word of RFC 9457
	Type      string            `json:"type" doc:"Names the kind of problem." example:"urn:relaydesk:problem:validation_failed"`
	Title     string            `json:"title" doc:"The kind of problem in a few words." example:"Something in the request is not right"`
	Status    int               `json:"status" doc:"The status of the answer." example:"422"`
	Detail    string            `json:"detail" doc:"What went wrong this time, and what helps." example:"Something in the request is not right."`
	Code      string            `json:"code" doc:"A stable code for programs. New ones may be added." example:"validation_failed"`
	RequestID string            `json:"request_id" doc:"Names this request in our logs." example:"req_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Errors    []ProblemField    `json:"errors,omitempty" doc:"The fields that are not right."`
	Missed    []objects.Message `json:"missed,omitempty" doc:"With stale_reply: the public messages that the reply misses."`
	Oldest    string            `json:"oldest,omitempty" doc:"With position_expired: the oldest position that is kept."`

	header http.Header
}

// ProblemField is one field that is not right.
type ProblemField struct {
	Pointer string `json:"pointer" doc:"Where it is: a JSON pointer into the body, or query/… or header/… and a name." example:"#/message/text"`
	Code    string `json:"code" doc:"A stable code for programs. New ones may be added." example:"required"`
	Detail  string `json:"detail" doc:"What is wrong with it." example:"This field is required."`
}

func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// GetStatus, GetHeaders and ContentType are what huma asks an error for.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders are the headers that go with it.
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType is always that of problems.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// problem makes one with a known code.
func problem(requestID, code, detail string) *Problem {
	known, ok := codes[code]
	if !ok {
		known.status, known.title = http.StatusInternalServerError, codes["internal_error"].title
	}
	p := &Problem{
		Type: "urn:relaydesk:problem:" + code, Title: known.title, Status: known.status, Detail: detail, Code: code,
		RequestID: requestID, header: http.Header{},
	}
	switch {
	case code == "idempotency_in_flight":
		p.header.Set("Retry-After", "1")
	case code == "rate_limited":
		p.Type = "https://iana.org/assignments/http-problem-types#quota-exceeded"
	case code == "unauthorized":
		p.header.Set("WWW-Authenticate", `Bearer realm="relaydesk"`)
	case known.status == http.StatusConflict:
		p.header.Set("X-Should-Retry", "false")
	case known.status == http.StatusServiceUnavailable:
		p.header.Set("Retry-After", "1")
	}
	return p
}

// problemOf translates what a verb failed with. What nobody classified is
// internal: its text stays here.
func problemOf(requestID string, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	f := fault.Of(err)
	switch {
	case f.Kind != fault.Internal:
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return problem(requestID, "unavailable", "It took too long. Try again.")
	case away(err):
		return problem(requestID, "unavailable", "Something that is needed can't be reached at the moment. Try again.")
	}
	p := problem(requestID, f.Code, f.Detail)
	if _, known := codes[f.Code]; !known {
		p.Status = byKind[f.Kind]
		p.Title = http.StatusText(p.Status)
		if p.Status == http.StatusConflict {
			p.header.Set("X-Should-Retry", "false")
		}
	}
	if at, ok := errors.AsType[interface {
		error
		ProblemPointer() string
	}](err); ok {
		p.Errors = []ProblemField{{Pointer: "#" + at.ProblemPointer(), Code: fieldCode(f), Detail: f.Detail}}
	}
	extend(p, err)
	return p
}

// away tells whether a failure is one of reaching something, the database most
// of all, so that the same request may succeed in a moment.
func away(err error) bool {
	if e, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok {
		switch class := e.SQLState()[:min(2, len(e.SQLState()))]; class {
		case "08", "40", "53", "57": // connection, rolled back for another one, resources, shutting down
			return true
		}
		return false
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func fieldCode(f *fault.Fault) string {
	if f.Code == "validation_failed" {
		return "invalid"
	}
	return f.Code
}

// newError is how huma's own findings become problems. It is given what was
// wrong and the offending value; the value is left out, because it may be a
// secret or somebody's words.
func newError(requestID string, status int, message string, errs []error) *Problem {
	code, ok := byStatus[status]
	if !ok {
		code = "internal_error"
		if status < http.StatusInternalServerError {
			code = "malformed_request"
		}
	}
	detail := map[string]string{
		"malformed_request": "The body can't be read as JSON.",
		"validation_failed": "Something in the request is not right; see errors.",
		"internal_error":    fault.Of(nil).Detail,
	}[code]
	if detail == "" {
		detail = codes[code].title + "."
	}
	if code == "malformed_request" && strings.Contains(message, "body is required") {
		detail = "A body is needed."
	}
	p := problem(requestID, code, detail)
	if code != "validation_failed" {
		return p
	}
	for _, err := range errs {
		var d huma.ErrorDetailer
		if errors.As(err, &d) {
			p.Errors = append(p.Errors, fieldOf(d.ErrorDetail()))
		}
	}
	return p
}

// fieldOf translates "body.items[3].tags" into "#/items/3/tags", and what is
// wrong with it into a code.
func fieldOf(d *huma.ErrorDetail) ProblemField {
	place, rest, _ := strings.Cut(d.Location, ".")
	f := ProblemField{Code: "invalid", Detail: d.Message}
	for word, code := range map[string]string{
		"expected required property": "required", "parameter is missing": "required", "unexpected property": "unknown_field",
		"unknown query parameter": "unknown_field", "expected length <=": "too_long", "expected array length <=": "too_long",
		"expected length >=": "too_short", "expected array length >=": "too_short", "expected value to be one of": "not_one_of",
		"expected string to": "format",
	} {
		if strings.Contains(d.Message, word) {
			f.Code = code
		}
	}
	for _, kind := range []string{"string", "boolean", "number", "integer", "array", "object"} {
		if d.Message == "expected "+kind {
			f.Code = "type"
		}
	}
	if place != "body" {
		f.Pointer = place + "/" + rest
		return f
	}
	f.Pointer = "#"
	if strings.HasPrefix(d.Message, "json: ") {
		// What fits the schema and not the type: a number that is too large.
		f.Detail = "This value is out of range."
		if field := goField.FindStringSubmatch(d.Message); field != nil {
			rest = field[1]
		}
	}
	if rest != "" {
		for _, step := range strings.Split(strings.NewReplacer("[", ".", "]", "").Replace(rest), ".") {
			f.Pointer += "/" + escapePointer(step)
		}
	}
	// huma names the object that lacks something; we name what is lacking.
	if f.Code == "required" {
		if name := strings.Fields(strings.TrimPrefix(d.Message, "expected required property ")); len(name) > 0 {
			f.Pointer += "/" + escapePointer(name[0])
		}
	}
	return f
}

// goField finds the field that encoding/json names in the middle of our insides.
var goField = regexp.MustCompile(`Go struct field \w+\.([a-z0-9_.]+) of type`)

func escapePointer(step string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(step)
}

// send writes a problem where huma doesn't.
func send(w http.ResponseWriter, p *Problem) {
	body, err := json.Marshal(p)
	if err != nil {
		body = nil // it holds strings only
	}
	for name, values := range p.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}
