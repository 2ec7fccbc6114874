package webhooks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/clock/clocktest"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/outbound"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/queue"
	"github.com/relaydesk/relaydesk/internal/secrets"
	"github.com/relaydesk/relaydesk/tenants"
	"github.com/relaydesk/relaydesk/webhooks"
)

type renderer struct{}

func (renderer) WebhookBody(_ context.Context, e events.Event, _ bool) ([]byte, error) {
	return json.Marshal(map[string]string{"id": ids.Format(ids.Event, e.ID), "type": string(e.Type)})
}

// receiver answers with the status that the test sets, and keeps what it got.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	answer func(http.ResponseWriter, *http.Request)
	got    []request
}

type request struct {
	header http.Header
	body   []byte
}

func newReceiver(t *testing.T, answer func(http.ResponseWriter, *http.Request)) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.got = append(r.got, request{q.Header.Clone(), body})
		answer := r.answer
		r.mu.Unlock()
		answer(w, q)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) requests() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) setAnswer(answer func(http.ResponseWriter, *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

type bench struct {
	db    *postgres.DB
	owner *pgx.Conn
	w     postgres.Workspace
	clock *clocktest.Fake
	hooks *webhooks.Webhooks
	relay *events.Relay
}

func setup(t *testing.T, policy outbound.Policy) *bench {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	db, _, url := postgrestest.Alone(t)
	owner, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = owner.Close(context.WithoutCancel(t.Context())) })
	q, err := queue.New(log)
	if err != nil {
		t.Fatal(err)
	}
	box, err := secrets.NewBox(secrets.NewEncryptionKey())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{db: db, owner: owner, w: postgrestest.TenantIn(t, db), clock: clocktest.At(time.Now().UTC().Truncate(time.Millisecond))}
	b.hooks = webhooks.New(webhooks.Deps{
		DB: db, Queue: q, Clock: b.clock, Box: box, Client: outbound.NewClient(policy, webhooks.Timeout), Renderer: renderer{}, Log: log,
	})
	b.relay = events.NewRelay(db, log, b.hooks.FanOut, nil)
	return b
}

var loopback = outbound.Policy{AllowLoopback: true}

func (b *bench) endpoint(t *testing.T, s tenants.Scope, url string, types ...string) webhooks.Endpoint {
	t.Helper()
	e, err := b.hooks.Create(t.Context(), s, webhooks.NewEndpoint{URL: url, EventTypes: types}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// happen appends an event and lets the relay number it.
func (b *bench) happen(t *testing.T, w postgres.Workspace, kind events.Type) ids.ID {
	t.Helper()
	id := ids.New(b.clock.Now())
	err := b.db.InWorkspace(t.Context(), w, func(tx pgx.Tx) error {
		return events.Append(t.Context(), tx, events.Event{ID: id, AgencyID: w.AgencyID, WorkspaceID: w.ID, Type: kind, Object: id, At: b.clock.Now()})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.relay.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	return id
}

// jobs are the deliveries that the queue holds, with the time of each.
func (b *bench) jobs(t *testing.T) (all []webhooks.Deliver, at []time.Time) {
	t.Helper()
	rows, err := b.owner.Query(t.Context(), "select args, scheduled_at from river.river_job where kind = 'deliver_webhook' order by id")
	if err != nil {
		t.Fatal(err)
	}
	var args []byte
	var when time.Time
	if _, err := pgx.ForEachRow(rows, []any{&args, &when}, func() error {
		var job webhooks.Deliver
		all, at = append(all, job), append(at, when)
		return json.Unmarshal(args, &all[len(all)-1])
	}); err != nil {
		t.Fatal(err)
	}
	return all, at
}

func (b *bench) deliver(t *testing.T, job webhooks.Deliver) {
	t.Helper()
	if err := b.hooks.Deliver(t.Context(), job, nil); err != nil {
		t.Fatal(err)
	}
}

func TestADeliveryIsSignedSoThatTheStandardLibraryAcceptsItAndNothingElse(t *testing.T) {
	t.Parallel()
	b, r := setup(t, loopback), newReceiver(t, status(204))
	e := b.endpoint(t, tenants.Of(b.w), r.URL, "*")
	event := b.happen(t, b.w, events.MessageCreated)
	jobs, _ := b.jobs(t)
	if len(jobs) != 1 {
		t.Fatalf("%d jobs", len(jobs))
	}
	b.deliver(t, jobs[0])
	b.deliver(t, jobs[0]) // the job rings twice
	got := r.requests()
	if len(got) != 1 || got[0].header.Get("Webhook-Id") != ids.Format(ids.Event, event) {
		t.Fatalf("received %+v", got)
	}
	verifier, err := standardwebhooks.NewWebhook(e.Secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(got[0].body, got[0].header); err != nil {
		t.Error(err)
	}
	if err := verifier.Verify(append(got[0].body, ' '), got[0].header); err == nil {
		t.Error("a changed body is accepted")
	}
	var stored []byte
	if err := b.owner.QueryRow(t.Context(), "select secret from webhook_endpoints").Scan(&stored); err != nil || bytes.Contains(stored, []byte(e.Secret[6:])) {
		t.Errorf("the secret is stored readably, or: %v", err)
	}
	if again, err := b.hooks.Endpoint(t.Context(), tenants.Of(b.w), e.ID); err != nil || again.Secret != "" {
		t.Errorf("the secret is told again, or: %v", err)
	}
}

func TestAReceiverThatFailsNineTimesLosesNothing(t *testing.T) {
	t.Parallel()
	b, r := setup(t, loopback), newReceiver(t, status(500))
	e := b.endpoint(t, tenants.Of(b.w), r.URL, "*")
	b.happen(t, b.w, events.MessageCreated)
	waits := []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
	for nth := range 10 {
		jobs, at := b.jobs(t)
		if len(jobs) != nth+1 {
			t.Fatalf("before attempt %d: %d jobs", nth+1, len(jobs))
		}
		if nth > 0 {
			if waited := at[nth].Sub(b.clock.Now()); waited < waits[nth-1]*9/10 || waited > waits[nth-1]*11/10 {
				t.Errorf("attempt %d waits %s, want about %s", nth+1, waited, waits[nth-1])
			}
			b.clock.Set(at[nth])
		}
		if nth == 9 {
			r.setAnswer(status(200))
		}
		b.deliver(t, jobs[nth])
	}
	got := r.requests()
	for _, q := range got {
		if q.header.Get("Webhook-Id") != got[0].header.Get("Webhook-Id") {
			t.Error("the webhook-id changed")
		}
	}
	deliveries, _, err := b.hooks.Deliveries(t.Context(), tenants.Of(b.w), e.ID, tenants.Page{Limit: 10})
	if err != nil || len(got) != 10 || len(deliveries) != 1 || deliveries[0].State != webhooks.Succeeded {
		t.Errorf("%d attempts, deliveries %+v, %v", len(got), deliveries, err)
	}
	attempts, err := b.hooks.Attempts(t.Context(), tenants.Of(b.w), e.ID, 100)
	if err != nil || len(attempts) != 10 || attempts[0].Nth != 10 || *attempts[1].Status != 500 {
		t.Errorf("attempts %+v, %v", attempts, err)
	}
}

func TestTheTenthFailureIsTheLastAndCanBeSentAgain(t *testing.T) {
	t.Parallel()
	b, r := setup(t, loopback), newReceiver(t, status(302))
	e := b.endpoint(t, tenants.Of(b.w), r.URL, "*")
	b.happen(t, b.w, events.MessageCreated)
	for nth := range 10 {
		jobs, at := b.jobs(t)
		b.clock.Set(at[nth].Add(time.Millisecond))
		b.deliver(t, jobs[nth])
	}
	find := func() webhooks.Delivery {
		all, _, err := b.hooks.Deliveries(t.Context(), tenants.Of(b.w), e.ID, tenants.Page{Limit: 10})
		if err != nil || len(all) != 1 {
			t.Fatalf("%+v, %v", all, err)
		}
		return all[0]
	}
	jobs, _ := b.jobs(t)
	if d := find(); d.State != webhooks.Failed || len(jobs) != 10 {
		t.Fatalf("after ten failures: %+v, %d jobs", d, len(jobs))
	}
	r.setAnswer(status(200))
	if _, err := b.hooks.Resend(t.Context(), tenants.Of(b.w), find().ID, nil); err != nil {
		t.Fatal(err)
	}
	jobs, _ = b.jobs(t)
	b.deliver(t, jobs[10])
	if d := find(); d.State != webhooks.Succeeded || d.Attempts != 11 {
		t.Errorf("sent again: %+v", d)
	}
}

func TestGoneDisablesAnEndpointAndTheOthersAreTold(t *testing.T) {
	t.Parallel()
	b, r, other := setup(t, loopback), newReceiver(t, status(410)), newReceiver(t, status(200))
	gone := b.endpoint(t, tenants.Of(b.w), r.URL, "message.created")
	b.endpoint(t, tenants.Scope{AgencyID: b.w.AgencyID}, other.URL, "webhook_endpoint.disabled")
	b.happen(t, b.w, events.MessageCreated)
	jobs, _ := b.jobs(t)
	b.deliver(t, jobs[0])
	e, err := b.hooks.Endpoint(t.Context(), tenants.Of(b.w), gone.ID)
	if err != nil || e.Status != webhooks.Disabled || e.DisabledReason == "" {
		t.Errorf("%+v, %v", e, err)
	}
	b.happen(t, b.w, events.MessageCreated)
	if jobs, _ = b.jobs(t); len(jobs) != 2 {
		t.Fatalf("%d jobs", len(jobs))
	}
	b.deliver(t, jobs[1])
	if got := other.requests(); len(got) != 1 || !bytes.Contains(got[0].body, []byte("webhook_endpoint.disabled")) || len(r.requests()) != 1 {
		t.Errorf("the other received %+v", got)
	}
	enabled := webhooks.Enabled
	if _, err := b.hooks.Update(t.Context(), tenants.Of(b.w), gone.ID, webhooks.EndpointChange{Status: &enabled}, nil); err != nil {
		t.Fatal(err)
	}
	b.happen(t, b.w, events.MessageCreated)
	if jobs, _ = b.jobs(t); len(jobs) != 3 {
		t.Errorf("enabled again: %d jobs", len(jobs))
	}
}

func TestFiveDaysOfFailuresDisableAnEndpointUnlessOneSucceeds(t *testing.T) {
	t.Parallel()
	b, r := setup(t, loopback), newReceiver(t, status(500))
	e := b.endpoint(t, tenants.Of(b.w), r.URL, "*")
	deliverNew := func() {
		b.happen(t, b.w, events.MessageCreated)
		deliveries, _, err := b.hooks.Deliveries(t.Context(), tenants.Of(b.w), e.ID, tenants.Page{Limit: 1})
		if err != nil || len(deliveries) != 1 {
			t.Fatalf("%+v, %v", deliveries, err)
		}
		b.deliver(t, webhooks.Deliver{AgencyID: b.w.AgencyID, DeliveryID: deliveries[0].ID, EndpointID: e.ID})
	}
	is := func(when, want string) {
		if got, err := b.hooks.Endpoint(t.Context(), tenants.Of(b.w), e.ID); err != nil || got.Status != want {
			t.Errorf("%s: %s, %v", when, got.Status, err)
		}
	}
	deliverNew()
	b.clock.Advance(4 * 24 * time.Hour)
	r.setAnswer(status(200))
	deliverNew()
	r.setAnswer(status(500))
	b.clock.Advance(2 * 24 * time.Hour)
	deliverNew()
	is("after one success in between", webhooks.Enabled)
	b.clock.Advance(5 * 24 * time.Hour)
	deliverNew()
	is("after five days", webhooks.Disabled)
}

func TestAWorkerThatWasBelievedDeadStoresNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, loopback)
	entered, release := make(chan struct{}, 2), make(chan struct{})
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-release
		w.WriteHeader(http.StatusInternalServerError)
	})
	e := b.endpoint(t, tenants.Of(b.w), r.URL, "*")
	b.happen(t, b.w, events.MessageCreated)
	jobs, _ := b.jobs(t)
	var slow sync.WaitGroup
	slow.Go(func() {
		if err := b.hooks.Deliver(t.Context(), jobs[0], nil); err != nil {
			t.Error(err)
		}
	})
	<-entered
	b.deliver(t, jobs[0]) // a second worker, while the first holds the lease
	if len(r.requests()) != 1 {
		t.Error("two workers delivered at once")
	}
	b.clock.Advance(time.Minute) // the lease runs out
	r.setAnswer(status(200))
	b.deliver(t, jobs[0])
	close(release)
	slow.Wait()
	deliveries, _, err := b.hooks.Deliveries(t.Context(), tenants.Of(b.w), e.ID, tenants.Page{Limit: 10})
	if err != nil || deliveries[0].State != webhooks.Succeeded || deliveries[0].Attempts != 1 || len(r.requests()) != 2 {
		t.Errorf("%+v, %d requests, %v", deliveries[0], len(r.requests()), err)
	}
}

func TestAnEndpointThatNeverAnswersHoldsItsShareOfWorkersOnly(t *testing.T) {
	t.Parallel()
	b := setup(t, loopback)
	entered, release := make(chan struct{}, 100), make(chan struct{})
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-release
		w.WriteHeader(http.StatusInternalServerError)
	})
	other := newReceiver(t, status(http.StatusOK))
	b.endpoint(t, tenants.Of(b.w), r.URL, "message.created")
	b.endpoint(t, tenants.Of(b.w), other.URL, "contact.created")
	for range 17 {
		b.happen(t, b.w, events.MessageCreated)
	}
	b.happen(t, b.w, events.ContactCreated)
	jobs, _ := b.jobs(t)
	var slow sync.WaitGroup
	for _, job := range jobs[:16] {
		slow.Go(func() {
			if err := b.hooks.Deliver(t.Context(), job, nil); err != nil {
				t.Error(err)
			}
		})
		<-entered
	}
	if err := b.hooks.Deliver(t.Context(), jobs[16], nil); !errors.Is(err, webhooks.ErrBusy) {
		t.Errorf("a seventeenth worker: %v", err)
	}
	b.deliver(t, jobs[17])
	if len(other.requests()) != 1 {
		t.Error("another endpoint has to wait")
	}
	close(release)
	slow.Wait()
	// It failed: from now on it gets less, until it takes something.
	r.setAnswer(status(http.StatusOK))
	b.deliver(t, jobs[16])
	if n := len(r.requests()); n != 17 {
		t.Errorf("%d requests", n)
	}
}

func TestAnEndpointGetsItsOwnTenantsEventsOfItsTypes(t *testing.T) {
	t.Parallel()
	b, r := setup(t, loopback), newReceiver(t, status(200))
	stranger := postgrestest.TenantIn(t, b.db)
	second := postgrestest.MoreWorkspaceIn(t, b.db, b.w.AgencyID, "second")
	for name, c := range map[string]struct {
		scope tenants.Scope
		types []string
	}{
		"one":      {tenants.Of(b.w), []string{"message.created"}},
		"agency":   {tenants.Scope{AgencyID: b.w.AgencyID}, []string{"*"}},
		"stranger": {tenants.Of(stranger), []string{"*"}},
	} {
		b.endpoint(t, c.scope, r.URL+"/"+name, c.types...)
	}
	b.happen(t, b.w, events.MessageCreated)      // one, agency
	b.happen(t, b.w, events.ConversationCreated) // agency
	b.happen(t, second, events.MessageCreated)   // agency
	b.happen(t, stranger, events.MessageCreated) // stranger
	var paths []string
	r.setAnswer(func(_ http.ResponseWriter, q *http.Request) { paths = append(paths, q.URL.Path) })
	jobs, _ := b.jobs(t)
	for _, job := range jobs {
		b.deliver(t, job)
	}
	slices.Sort(paths)
	if !slices.Equal(paths, []string{"/agency", "/agency", "/agency", "/one", "/stranger"}) {
		t.Errorf("delivered to %v", paths)
	}
	if _, err := b.hooks.Endpoint(t.Context(), tenants.Of(second), jobs[0].DeliveryID); err == nil {
		t.Error("a foreign endpoint is found")
	}
}

func TestAnAddressThatTheOperatorForbidsIsNotDialled(t *testing.T) {
	t.Parallel()
	b, r := setup(t, outbound.Policy{}), newReceiver(t, status(200))
	e := b.endpoint(t, tenants.Of(b.w), r.URL, "*")
	b.happen(t, b.w, events.MessageCreated)
	jobs, _ := b.jobs(t)
	b.deliver(t, jobs[0])
	attempts, err := b.hooks.Attempts(t.Context(), tenants.Of(b.w), e.ID, 10)
	if err != nil || len(attempts) != 1 || attempts[0].Error != "address_not_allowed" || attempts[0].Status != nil || len(r.requests()) != 0 {
		t.Errorf("%+v, %v, %d requests", attempts, err, len(r.requests()))
	}
}

func TestADeliveryWhoseJobGotLostIsFound(t *testing.T) {
	t.Parallel()
	b, r := setup(t, loopback), newReceiver(t, status(200))
	b.endpoint(t, tenants.Of(b.w), r.URL, "*")
	b.happen(t, b.w, events.MessageCreated)
	if _, err := b.owner.Exec(t.Context(), "delete from river.river_job"); err != nil {
		t.Fatal(err)
	}
	if n, err := b.hooks.Recover(t.Context()); n != 0 || err != nil {
		t.Errorf("at once: %d, %v", n, err)
	}
	b.clock.Advance(2 * time.Minute)
	if n, err := b.hooks.Recover(t.Context()); n != 1 || err != nil {
		t.Fatalf("two minutes later: %d, %v", n, err)
	}
	jobs, _ := b.jobs(t)
	b.deliver(t, jobs[0])
	if len(r.requests()) != 1 {
		t.Errorf("%d requests", len(r.requests()))
	}
}

func TestAWrongEndpointIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, loopback)
	for _, c := range []webhooks.NewEndpoint{
		{URL: "ftp://example.com", EventTypes: []string{"*"}},
		{URL: "https://", EventTypes: []string{"*"}},
		{URL: "https://user:secret@example.com", EventTypes: []string{"*"}},
		{URL: "http://0.0.0.0/hook", EventTypes: []string{"*"}},
		{URL: "https://example.com", EventTypes: nil},
		{URL: "https://example.com", EventTypes: []string{"message.eaten"}},
	} {
		if _, err := b.hooks.Create(t.Context(), tenants.Of(b.w), c, nil); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
