package provider_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/assistant/provider"
	"github.com/relaydesk/relaydesk/assistant/provider/providertest"
)

const (
	key     = "sk-secret-canary-4711"
	canary  = "my card ends in 9876-canary"
	garbage = "provider-body-canary"
)

func question() provider.Question {
	return provider.Question{
		Workspace: "Acme",
		Language:  "en",
		Text:      "How long do I have to return a lamp? " + canary,
		Passages: []provider.Passage{
			{ID: "p1", Title: "Returns", HeadingPath: []string{"How long"}, Text: "You may return any lamp within 30 days of\n  delivery, without giving a reason."},
			{ID: "p2", Title: "Shipping", Text: "Parcels leave our house on the same day."},
		},
	}
}

func model(t *testing.T, s *providertest.Server, timeout time.Duration) *provider.Model {
	t.Helper()
	m, err := provider.New(provider.Options{BaseURL: s.URL(), APIKey: key, Model: "scripted-1", Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ask puts the question to a server with the script and checks what holds for
// every outcome: a bounded number of requests, and errors that give nothing away.
func ask(t *testing.T, script ...providertest.Step) (provider.Reply, *providertest.Server, error) {
	t.Helper()
	s := providertest.New(t, script...)
	reply, err := model(t, s, 0).Answer(t.Context(), question())
	if got := len(s.Requests()); got != len(script) {
		t.Errorf("%d requests, want %d", got, len(script))
	}
	quiet(t, err)
	return reply, s, err
}

func quiet(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, secret := range []string{key, "canary", "9876"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error holds %q: %v", secret, err)
		}
	}
}

func TestAnAnswerComesWithItsCitationsAndTheirQuotesAsTheyStandInThePassage(t *testing.T) {
	t.Parallel()
	reply, s, err := ask(t, providertest.AnswerJSON(map[string]any{
		"action": "answer", "text": " Within 30 days. ", "answered": true, "confidence": 0.8, "mood": "fine",
		"citations": []map[string]any{{"id": "p1", "quote": "RETURN any lamp within 30 days of delivery", "page": 3}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	if reply.Action != provider.ActionAnswer || reply.Text != "Within 30 days." || !reply.Answered || reply.Confidence != 0.8 {
		t.Errorf("reply = %+v", reply)
	}
	want := provider.Citation{ID: "p1", Quote: "return any lamp within 30 days of\n  delivery"}
	if len(reply.Citations) != 1 || reply.Citations[0] != want {
		t.Errorf("citations = %+v, want %+v", reply.Citations, want)
	}
	r := s.Requests()[0]
	if r.Model() != "scripted-1" || r.Format() != "json_schema" || r.Header.Get("Authorization") != "Bearer "+key {
		t.Errorf("asked for %s in the form %s with %q", r.Model(), r.Format(), r.Header.Get("Authorization"))
	}
	if r.Stream() || strings.Contains(string(r.Body), `"stream"`) {
		t.Error("a stream was asked for")
	}
	body := string(r.Body)
	if !strings.Contains(body, `"strict":true`) || strings.Index(body, `"citations":{`) > strings.Index(body, `"text":{"type"`) {
		t.Errorf("the schema is not strict, or has the text before the evidence: %s", body)
	}
}

func TestAnEscalationNeedsNeitherTextNorCitation(t *testing.T) {
	t.Parallel()
	reply, _, err := ask(t, providertest.Escalate(""))
	if err != nil || reply.Action != provider.ActionEscalate || len(reply.Citations) != 0 || reply.Answered {
		t.Errorf("reply %+v, error %v", reply, err)
	}
}

func TestWhatWasNotGivenCannotBeCited(t *testing.T) {
	t.Parallel()
	if _, _, err := ask(t, providertest.CitesForeign("Trust me.")); !errors.Is(err, provider.ErrUngrounded) {
		t.Errorf("only foreign citations: %v", err)
	}
	if _, _, err := ask(t, providertest.AnswerJSON(map[string]any{"action": "answer", "text": "Yes."})); !errors.Is(err, provider.ErrUngrounded) {
		t.Errorf("no citations: %v", err)
	}
	reply, _, err := ask(t, providertest.AnswerJSON(map[string]any{
		"action": "answer", "text": "Yes.",
		"citations": []map[string]any{
			{"id": "p3", "quote": "You may return"},
			{"id": "p2", "quote": "Parcels leave on Sundays"},
			{"id": "p1", "quote": ""},
			{"id": "p1", "quote": "without giving a reason"},
			{"id": "p1", "quote": "without giving a reason"},
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	if reply.Foreign != 1 || reply.Misquoted != 1 {
		t.Errorf("foreign %d, misquoted %d, want 1 and 1", reply.Foreign, reply.Misquoted)
	}
	want := []provider.Citation{{ID: "p2"}, {ID: "p1", Quote: "without giving a reason"}}
	if len(reply.Citations) != 2 || reply.Citations[0] != want[0] || reply.Citations[1] != want[1] {
		t.Errorf("citations = %+v, want %+v", reply.Citations, want)
	}
}

// What a model or its server does wrong, and what that is called. The script is
// as long as the number of requests that it may cost.
func TestEachFailureIsToldByItsKind(t *testing.T) {
	t.Parallel()
	good := providertest.Answer("Within 30 days.")
	body := `{"error":{"message":"` + garbage + `","type":"x","code":"y"}}`
	for name, c := range map[string]struct {
		script []providertest.Step
		want   error // nil: an answer
	}{
		"nonsense":                      {[]providertest.Step{providertest.Nonsense()}, provider.ErrNonsense},
		"truncated JSON":                {[]providertest.Step{providertest.TruncatedJSON()}, provider.ErrNonsense},
		"two objects":                   {[]providertest.Step{providertest.Content(`{"action":"escalate"}{"action":"answer"}`, "stop")}, provider.ErrNonsense},
		"an array":                      {[]providertest.Step{providertest.Content(`[]`, "stop")}, provider.ErrNonsense},
		"null":                          {[]providertest.Step{providertest.Content(`null`, "stop")}, provider.ErrNonsense},
		"an empty message":              {[]providertest.Step{providertest.Content("", "stop")}, provider.ErrNonsense},
		"a tool call":                   {[]providertest.Step{providertest.Content("", "tool_calls")}, provider.ErrNonsense},
		"an unknown action":             {[]providertest.Step{providertest.AnswerJSON(map[string]any{"action": "sleep", "text": "x"})}, provider.ErrNonsense},
		"wrong types":                   {[]providertest.Step{providertest.AnswerJSON(map[string]any{"action": "answer", "text": 7})}, provider.ErrNonsense},
		"an empty text":                 {[]providertest.Step{providertest.Answer(" \n ")}, provider.ErrNonsense},
		"an invisible text":             {[]providertest.Step{providertest.Answer("\u200b\u2060…")}, provider.ErrNonsense},
		"NUL in the text":               {[]providertest.Step{providertest.Answer("a\x00b")}, provider.ErrNonsense},
		"half a surrogate":              {[]providertest.Step{providertest.Content(`{"action":"answer","text":"a\ud83d","citations":[{"id":"p1"}]}`, "stop")}, provider.ErrNonsense},
		"broken UTF-8":                  {[]providertest.Step{providertest.Body("application/json", brokenUTF8)}, provider.ErrNonsense},
		"cut at its length":             {[]providertest.Step{providertest.Content(`{"action":"answer","text":"a","citations":[{"id":"p1"}]}`, "length")}, provider.ErrNonsense},
		"cut by the filter":             {[]providertest.Step{providertest.Content(`{"action":"answer","text":"a","citations":[{"id":"p1"}]}`, "content_filter")}, provider.ErrRefused},
		"a refusal":                     {[]providertest.Step{providertest.Refusal(garbage)}, provider.ErrRefused},
		"a filtered prompt":             {[]providertest.Step{providertest.Status(400, `{"error":{"message":"x","type":"y","code":"content_filter"}}`)}, provider.ErrRefused},
		"a wrong content type":          {[]providertest.Step{providertest.WrongContentType("x")}, provider.ErrNonsense},
		"a stream that nobody wanted":   {[]providertest.Step{providertest.Body("text/event-stream", "data: {}\n\ndata: [DONE]\n\n")}, provider.ErrNonsense},
		"no choices":                    {[]providertest.Step{providertest.Body("application/json", `{"choices":[]}`)}, provider.ErrNonsense},
		"JSON of another kind":          {[]providertest.Step{providertest.Body("application/json", `"`+garbage+`"`)}, provider.ErrNonsense},
		"broken JSON":                   {[]providertest.Step{providertest.Body("application/json", `{"choices":[`+garbage)}, provider.ErrNonsense},
		"an empty body":                 {[]providertest.Step{providertest.Body("application/json", "")}, provider.ErrNonsense},
		"a huge body":                   {[]providertest.Step{providertest.Huge(64<<20, false)}, provider.ErrNonsense},
		"a huge body, zipped":           {[]providertest.Step{providertest.Huge(64<<20, true)}, provider.ErrNonsense},
		"401":                           {[]providertest.Step{providertest.Status(401, body)}, provider.ErrUnavailable},
		"404":                           {[]providertest.Step{providertest.Status(404, "<html>"+garbage)}, provider.ErrUnavailable},
		"400 to both forms":             {[]providertest.Step{providertest.Status(400, body), providertest.Status(400, body)}, provider.ErrUnavailable},
		"a redirect":                    {[]providertest.Step{providertest.Status(307, "", "Location", "/v1/"+garbage)}, provider.ErrUnavailable},
		"429 twice":                     {[]providertest.Step{providertest.Status(429, body), providertest.Status(429, body)}, provider.ErrUnavailable},
		"429 for longer than there is":  {[]providertest.Step{providertest.Status(429, body, "Retry-After", "60")}, provider.ErrUnavailable},
		"429 that says don't":           {[]providertest.Step{providertest.Status(429, body, "X-Should-Retry", "false")}, provider.ErrUnavailable},
		"500 twice":                     {[]providertest.Step{providertest.Status(500, body), providertest.Status(500, garbage)}, provider.ErrUnavailable},
		"500 with a huge body, twice":   {[]providertest.Step{providertest.Status(500, strings.Repeat("x", 3<<20)), providertest.Status(500, "")}, provider.ErrUnavailable},
		"dropped twice":                 {[]providertest.Step{providertest.Drop(), providertest.Drop()}, provider.ErrUnavailable},
		"half a body twice":             {[]providertest.Step{providertest.HalfBody("x"), providertest.HalfBody("x")}, provider.ErrUnavailable},
		"500, then an answer":           {[]providertest.Step{providertest.Status(500, "<html>"), good}, nil},
		"429, then an answer":           {[]providertest.Step{providertest.Status(429, body, "Retry-After-Ms", "10"), good}, nil},
		"dropped, then an answer":       {[]providertest.Step{providertest.Drop(), good}, nil},
		"half a body, then an answer":   {[]providertest.Step{providertest.HalfBody("x"), good}, nil},
		"500, 400 to the schema, again": {[]providertest.Step{providertest.Status(500, body), providertest.Status(400, body), providertest.Status(500, body)}, provider.ErrUnavailable},
		"an answer in a fence":          {[]providertest.Step{providertest.Content("```json\n{\"action\":\"escalate\"}\n```", "stop")}, nil},
		"a slow answer":                 {[]providertest.Step{providertest.SlowDrip("Within 30 days.", 10*time.Microsecond)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reply, _, err := ask(t, c.script...)
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if c.want != nil && (reply.Text != "" || reply.Action != "" || reply.Citations != nil) {
				t.Errorf("a failure came with the reply %+v", reply)
			}
		})
	}
}

const brokenUTF8 = `{"id":"1","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant",` +
	`"content":"{\"action\":\"answer\",\"text\":\"gr` + "\xfc" + `n\",\"citations\":[{\"id\":\"p1\"}]}"}}]}`

func TestRetryAfterIsKept(t *testing.T) {
	t.Parallel()
	s := providertest.New(t, providertest.Status(503, "", "Retry-After", "1"), providertest.Answer("Within 30 days."))
	start := time.Now()
	if _, err := model(t, s, 0).Answer(t.Context(), question()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < time.Second {
		t.Errorf("came back after %v, 1 s was asked for", took)
	}
}

func TestNoRetryIsMadeThatTheDeadlineLeavesNoTimeFor(t *testing.T) {
	t.Parallel()
	s := providertest.New(t, providertest.Status(500, ""))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	start := time.Now()
	if _, err := model(t, s, 0).Answer(ctx, question()); !errors.Is(err, provider.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(start); took > 500*time.Millisecond || len(s.Requests()) != 1 {
		t.Errorf("%d requests in %v", len(s.Requests()), took)
	}
}

func TestAServerThatRefusesTheSchemaIsAskedForPlainJSONFromThenOn(t *testing.T) {
	t.Parallel()
	s := providertest.New(t,
		providertest.Status(400, `{"error":{"message":"response_format json_schema is not supported"}}`),
		providertest.Answer("Within 30 days."), providertest.Answer("Within 30 days."),
	)
	m := model(t, s, 0)
	for range 2 {
		if _, err := m.Answer(t.Context(), question()); err != nil {
			t.Fatal(err)
		}
	}
	var formats []string
	for _, r := range s.Requests() {
		formats = append(formats, r.Format())
	}
	if got := strings.Join(formats, " "); got != "json_schema json_object json_object" {
		t.Errorf("forms asked for: %s", got)
	}
}

func TestARequestRefusedForAnotherReasonDoesNotGiveTheSchemaUp(t *testing.T) {
	t.Parallel()
	tooLong := providertest.Status(400, `{"error":{"message":"context length exceeded","code":"context_length_exceeded"}}`)
	s := providertest.New(t, tooLong, tooLong, providertest.Answer("Within 30 days."))
	m := model(t, s, 0)
	if _, err := m.Answer(t.Context(), question()); !errors.Is(err, provider.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	if _, err := m.Answer(t.Context(), question()); err != nil {
		t.Fatal(err)
	}
	if r := s.Requests(); r[2].Format() != "json_schema" {
		t.Errorf("asked for %s afterwards", r[2].Format())
	}
}

// Whatever the server does, the caller gets its goroutine back at once. A busy
// machine may be slow once, but not three times.
func TestAnEndedContextReturnsWithin100Milliseconds(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]providertest.Step{
		"while it hangs":       providertest.Hang(),
		"while the body drips": providertest.SlowDrip("Within 30 days.", 20*time.Millisecond),
		"while a retry is due": providertest.Status(500, "", "Retry-After", "8"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var took time.Duration
			for range 3 {
				s := providertest.New(t, step)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() {
					_, err := model(t, s, 0).Answer(ctx, question())
					done <- err
				}()
				s.Await(1)
				start := time.Now()
				cancel()
				err := <-done
				took = time.Since(start)
				if !errors.Is(err, context.Canceled) || errors.Is(err, provider.ErrUnavailable) {
					t.Fatalf("error %v", err)
				}
				quiet(t, err)
				if took < 100*time.Millisecond {
					return
				}
			}
			t.Errorf("returned after %v", took)
		})
	}
}

func TestTheTimeoutAndTheDeadlineBoundAnAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ timeout, deadline time.Duration }{
		"its own timeout":      {50 * time.Millisecond, time.Minute},
		"the caller's context": {time.Minute, 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := providertest.New(t, providertest.Hang())
			ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
			defer cancel()
			_, err := model(t, s, c.timeout).Answer(ctx, question())
			if !errors.Is(err, provider.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
			quiet(t, err)
		})
	}
}

func TestAClientsOwnLimitIsNoReasonToAskAgain(t *testing.T) {
	t.Parallel()
	s := providertest.New(t, providertest.Hang())
	m, err := provider.New(provider.Options{BaseURL: s.URL(), Model: "x", HTTP: &http.Client{Timeout: 50 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Answer(t.Context(), question()); !errors.Is(err, provider.ErrUnavailable) || len(s.Requests()) != 1 {
		t.Errorf("error %v after %d requests", err, len(s.Requests()))
	}
}

func TestAServerThatIsNotThereIsUnavailable(t *testing.T) {
	t.Parallel()
	s := providertest.New(t)
	m := model(t, s, 0)
	s.Close()
	if _, err := m.Answer(t.Context(), question()); !errors.Is(err, provider.ErrUnavailable) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error %v", err)
	}
}

func TestALongTextIsCapped(t *testing.T) {
	t.Parallel()
	reply, _, err := ask(t, providertest.Answer(strings.Repeat("gründlich ", 900)))
	if err != nil {
		t.Fatal(err)
	}
	if n := len([]rune(reply.Text)); n > 4000 || n < 3800 || !strings.HasSuffix(reply.Text, "gründlich…") {
		t.Errorf("%d characters, ending in %q", n, reply.Text[len(reply.Text)-20:])
	}
}

func TestAConfidenceThatIsNoProbabilityCountsAsNone(t *testing.T) {
	t.Parallel()
	for _, confidence := range []float64{95, -1} {
		reply, _, err := ask(t, providertest.AnswerJSON(map[string]any{"action": "escalate", "confidence": confidence}))
		if err != nil || reply.Confidence != 0 {
			t.Errorf("%v became %v (%v)", confidence, reply.Confidence, err)
		}
	}
}

func TestOneModelServesManyAtOnce(t *testing.T) {
	t.Parallel()
	s := providertest.New(t, providertest.Forever(providertest.Answer("Within 30 days.")))
	m := model(t, s, 0)
	failed := make(chan error, 32)
	for range cap(failed) {
		go func() {
			_, err := m.Answer(t.Context(), question())
			failed <- err
		}()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

func TestTheGivenClientIsUsedAndLeftAsItWas(t *testing.T) {
	t.Parallel()
	s := providertest.New(t, providertest.Huge(2<<20, false), providertest.Status(307, "", "Location", "/v1/chat/completions"))
	client := &http.Client{Transport: &http.Transport{}}
	before := client.Transport
	m, err := provider.New(provider.Options{BaseURL: s.URL(), Model: "x", HTTP: client})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Answer(t.Context(), question()); !errors.Is(err, provider.ErrNonsense) {
		t.Errorf("error %v", err)
	}
	if _, err := m.Answer(t.Context(), question()); !errors.Is(err, provider.ErrUnavailable) || len(s.Requests()) != 2 {
		t.Errorf("a redirect: error %v after %d requests", err, len(s.Requests()))
	}
	if client.Transport != before || client.CheckRedirect != nil {
		t.Error("the caller's client was changed")
	}
	if got := s.Requests()[0].Header.Get("Authorization"); got != "" {
		t.Errorf("without a key %q was sent", got)
	}
}

func TestOptionsThatCannotWorkAreToldAtTheStart(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]provider.Options{
		"no address":      {Model: "m"},
		"no scheme":       {BaseURL: "localhost:11434/v1", Model: "m"},
		"another scheme":  {BaseURL: "ftp://example.com/v1", Model: "m"},
		"a password":      {BaseURL: "https://u:" + key + "@example.com/v1", Model: "m"},
		"a query":         {BaseURL: "https://example.com/v1?key=" + key, Model: "m"},
		"no model":        {BaseURL: "https://example.com/v1", Model: " "},
		"a key with a nl": {BaseURL: "https://example.com/v1", Model: "m", APIKey: key + "\n"},
	} {
		_, err := provider.New(o)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		quiet(t, err)
	}
}

func TestNothingIsTakenFromTheEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"OPENAI_API_KEY": key, "OPENAI_ADMIN_KEY": key, "OPENAI_ORG_ID": "org-canary", "OPENAI_PROJECT_ID": "proj-canary",
		"OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "OPENAI_CUSTOM_HEADERS": "X-Canary: canary",
	} {
		t.Setenv(name, value)
	}
	s := providertest.New(t, providertest.Answer("Within 30 days."))
	m, err := provider.New(provider.Options{BaseURL: s.URL(), Model: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Answer(t.Context(), question()); err != nil {
		t.Fatal(err)
	}
	for name, values := range s.Requests()[0].Header {
		if got := strings.Join(values, " "); strings.Contains(got, "canary") {
			t.Errorf("%s: %s was sent", name, got)
		}
	}
}
