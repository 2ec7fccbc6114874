package provider

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
)

const (
	// retryPause lets a hiccup pass; half as much again at most is added by
	// chance, so that turns that failed together don't come back together.
	retryPause = 200 * time.Millisecond
	// retryLeast is the time that a second attempt must have left after the
	// pause: with less it would cost the provider work and never be of use.
	retryLeast = time.Second
)

// failure is an attempt that brought nothing.
type failure struct {
	kind      error  // one of the exported errors
	what      string // what happened, in words of our own only
	status    int    // 0 if no response came
	transient bool   // worth one more attempt
	after     time.Duration
}

func (f *failure) Error() string { return f.kind.Error() + ": " + f.what }
func (f *failure) Unwrap() error { return f.kind }

// ask gets a message in the shape of the schema, or as near to it as the server
// can force its model.
func (m *Model) ask(ctx context.Context, p prompt) (openai.ChatCompletionChoice, error) {
	retries := 1 // of the whole question, whatever form it is asked in
	if m.schemaRefused.Load() {
		return m.attempt(ctx, p, jsonObject(), &retries)
	}
	choice, err := m.attempt(ctx, p, jsonSchema(), &retries)
	if !refusesRequest(err) {
		return choice, err
	}
	// The refusal may have other reasons; only if the same question passes
	// without the schema was it the schema.
	plain, plainErr := m.attempt(ctx, p, jsonObject(), &retries)
	if plainErr == nil {
		m.schemaRefused.Store(true)
	}
	return plain, plainErr
}

func refusesRequest(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && (f.status == http.StatusBadRequest || f.status == http.StatusUnprocessableEntity) && f.kind == ErrUnavailable //nolint:errorlint // a kind is one of four values
}

// attempt sends the request, and once more if that may help, a retry is left and time too.
func (m *Model) attempt(
	ctx context.Context, p prompt, format openai.ChatCompletionNewParamsResponseFormatUnion, retries *int,
) (openai.ChatCompletionChoice, error) {
	params := openai.ChatCompletionNewParams{
		Model: m.name,
		Messages: []openai.ChatCompletionMessageParamUnion{
			openai.SystemMessage(p.rules),
			openai.UserMessage(p.data),
		},
		ResponseFormat: format,
		// No temperature and no token limit: reasoning models refuse the one and
		// spend the other on thinking. Time and the body's limit bound an answer.
	}
	choice, err := m.send(ctx, params)
	f, ok := errors.AsType[*failure](err)
	if !ok || !f.transient || *retries == 0 {
		return choice, err
	}
	*retries--
	pause := f.after
	if pause == 0 {
		pause = retryPause + rand.N(retryPause/2)
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < pause+retryLeast {
		return choice, err
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return choice, err
	case <-timer.C:
		return m.send(ctx, params)
	}
}

// send makes one request.
func (m *Model) send(ctx context.Context, params openai.ChatCompletionNewParams) (choice openai.ChatCompletionChoice, err error) {
	var (
		res  *http.Response
		body []byte
	)
	// The body is taken as it is: the SDK's own errors on parsing repeat pieces
	// of it, and only the raw bytes show whether they are UTF-8.
	_, err = m.chat.New(ctx, params, option.WithResponseInto(&res), option.WithResponseBodyInto(&body))
	switch {
	case err != nil && ctx.Err() != nil:
		return choice, &failure{kind: ErrUnavailable, what: "no answer in time"}
	case timedOut(err):
		// Not transient: who kept us waiting that long once will do so again.
		return choice, &failure{kind: ErrUnavailable, what: "no answer in time"}
	case res == nil:
		return choice, &failure{kind: ErrUnavailable, what: "no connection" + dialled(err), transient: true}
	case res.StatusCode >= http.StatusMultipleChoices:
		return choice, refused(res, err)
	case errors.Is(err, errTooLarge):
		return choice, &failure{kind: ErrNonsense, what: "the response is too large", status: res.StatusCode}
	case err != nil:
		return choice, &failure{kind: ErrUnavailable, what: "the response broke off", status: res.StatusCode, transient: true}
	}
	return parse(res, body)
}

// refused tells what a response without an answer means.
func refused(res *http.Response, err error) *failure {
	f := &failure{kind: ErrUnavailable, what: "status " + strconv.Itoa(res.StatusCode), status: res.StatusCode}
	switch {
	case res.StatusCode < http.StatusBadRequest:
		f.what += ", a redirect, which is not followed"
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		f.what += ", the key is not accepted"
	case res.StatusCode == http.StatusNotFound:
		f.what += ", is the base URL right, and does the model exist?"
	case res.StatusCode == http.StatusTooManyRequests, res.StatusCode >= http.StatusInternalServerError:
		f.transient = res.Header.Get("X-Should-Retry") != "false"
		f.after = retryAfter(res.Header)
	}
	if apiErr, ok := errors.AsType[*openai.Error](err); ok && apiErr.Code == "content_filter" {
		f.kind, f.transient = ErrRefused, false
	}
	return f
}

// retryAfter reads how long the server wants to be left alone, 0 if it doesn't say.
func retryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseUint(h.Get("Retry-After-Ms"), 10, 31); err == nil {
		return time.Duration(ms) * time.Millisecond
	}
	value := h.Get("Retry-After")
	if s, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// timedOut tells whether the client's own limit ended the request.
func timedOut(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// dialled names what went wrong on the way, if it is an error of the network:
// others may repeat what the server sent.
func dialled(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return ": " + op.Error()
	}
	return ""
}

func parse(res *http.Response, body []byte) (choice openai.ChatCompletionChoice, err error) {
	nonsense := func(what string) (openai.ChatCompletionChoice, error) {
		return choice, &failure{kind: ErrNonsense, what: what, status: res.StatusCode}
	}
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if media != "application/json" && !strings.HasSuffix(media, "+json") {
		return nonsense("the response is not JSON by its content type")
	}
	// A decoder would put U+FFFD in place of broken bytes and say nothing.
	if !utf8.Valid(body) {
		return nonsense("the response is not UTF-8")
	}
	var completion openai.ChatCompletion
	if err := json.Unmarshal(body, &completion); err != nil {
		return nonsense("the response is not a chat completion")
	}
	if len(completion.Choices) == 0 {
		return nonsense("the response holds no message")
	}
	return completion.Choices[0], nil
}

func jsonSchema() (f openai.ChatCompletionNewParamsResponseFormatUnion) {
	f.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{
		JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
			Name: "support_answer", Strict: openai.Bool(true), Schema: json.RawMessage(schema),
		},
	}
	return f
}

func jsonObject() (f openai.ChatCompletionNewParamsResponseFormatUnion) {
	f.OfJSONObject = &shared.ResponseFormatJSONObjectParam{}
	return f
}
