package receipts_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/receipts"
	"github.com/relaydesk/relaydesk/internal/secrets"
)

type result struct {
	Contact ids.ID
	Words   string
}

func (r result) ReceiptContact() ids.ID { return r.Contact }

type bench struct {
	db  *postgres.DB
	w   postgres.Workspace
	box *secrets.Box
	who ids.ID
}

func setup(t *testing.T) bench {
	t.Helper()
	box, err := secrets.NewBox(secrets.NewEncryptionKey())
	if err != nil {
		t.Fatal(err)
	}
	return bench{postgrestest.New(t), postgrestest.Tenant(t), box, ids.New(time.Now())}
}

func (b bench) receipt(key, body string) *receipts.Receipt {
	return &receipts.Receipt{Workspace: b.w, Principal: b.who, Key: key, Fingerprint: sha256.Sum256([]byte(body)), Now: time.Now(), Box: b.box}
}

func (b bench) once(t *testing.T, r *receipts.Receipt, do func() (result, error)) (out result, err error) {
	t.Helper()
	err = b.db.InWorkspace(t.Context(), b.w, func(tx pgx.Tx) error {
		out, err = receipts.Once(t.Context(), tx, r, do)
		return err
	})
	return out, err
}

func TestARepeatedRequestGetsTheFirstResultAndAnotherOneIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := result{ids.New(time.Now()), "the canary sings"}
	if out, err := b.once(t, b.receipt("k", "body"), func() (result, error) { return made, nil }); err != nil || out != made {
		t.Fatal(out, err)
	}
	again := b.receipt("k", "body")
	out, err := b.once(t, again, func() (result, error) { t.Error("ran again"); return result{}, nil })
	if err != nil || out != made || !again.Replayed {
		t.Errorf("replay = %+v, %v, replayed %v", out, err, again.Replayed)
	}
	_, err = b.once(t, b.receipt("k", "another body"), func() (result, error) { t.Error("ran"); return result{}, nil })
	if f := fault.Of(err); f.Kind != fault.Invalid || f.Code != "idempotency_mismatch" {
		t.Errorf("another body: %v", err)
	}
	late := b.receipt("k", "another body")
	late.Now = time.Now().Add(receipts.Kept + time.Minute)
	if _, err := b.once(t, late, func() (result, error) { return result{Words: "new"}, nil }); err != nil || late.Replayed {
		t.Errorf("a day later: %v", err)
	}
	stranger := b.receipt("k", "another body")
	stranger.Principal = ids.New(time.Now())
	if _, err := b.once(t, stranger, func() (result, error) { return result{}, nil }); err != nil || stranger.Replayed {
		t.Errorf("another principal: %v, replayed %v", err, stranger.Replayed)
	}
}

func TestAFailureKeepsNothing(t *testing.T) {
	t.Parallel()
	b, broken := setup(t), errors.New("broken")
	if _, err := b.once(t, b.receipt("k", "body"), func() (result, error) { return result{}, broken }); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	r := b.receipt("k", "body")
	if _, err := b.once(t, r, func() (result, error) { return result{}, nil }); err != nil || r.Replayed {
		t.Errorf("after a failure: %v, replayed %v", err, r.Replayed)
	}
}

func TestTwentyAtOnceAreDoneOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var ran, inFlight, good atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r := b.receipt("k", "body")
			out, err := b.once(t, r, func() (result, error) { ran.Add(1); return result{Words: "one"}, nil })
			switch {
			case err == nil && out.Words == "one":
				good.Add(1)
			case fault.Of(err).Code == "idempotency_in_flight":
				inFlight.Add(1)
			default:
				t.Errorf("%+v, %v", out, err)
			}
		})
	}
	wg.Wait()
	if ran.Load() != 1 || good.Load() < 1 || good.Load()+inFlight.Load() != 20 {
		t.Errorf("ran %d times, %d good, %d in flight", ran.Load(), good.Load(), inFlight.Load())
	}
}

func TestWhatIsKeptIsUnreadableAndKnowsItsContact(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := result{ids.New(time.Now()), "the canary sings"}
	if _, err := b.once(t, b.receipt("k", "body"), func() (result, error) { return made, nil }); err != nil {
		t.Fatal(err)
	}
	var sealed []byte
	var contact ids.ID
	err := postgrestest.Owner(t).QueryRow(t.Context(), "select sealed, contact_id from receipts where workspace_id = $1", b.w.ID).Scan(&sealed, &contact)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("canary")) || contact != made.Contact {
		t.Errorf("kept as %q for %v", sealed, contact)
	}
}

func TestOldReceiptsExpire(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, age := range []time.Duration{receipts.Kept + time.Hour, 0} {
		r := b.receipt("k"+age.String(), "body")
		r.Now = r.Now.Add(-age)
		if _, err := b.once(t, r, func() (result, error) { return result{}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.db.InSystem(t.Context(), func(tx pgx.Tx) error {
		_, err := receipts.Expire(t.Context(), tx, time.Now())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	rows, err := postgrestest.Owner(t).Query(t.Context(), "select key from receipts where workspace_id = $1", b.w.ID)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || strings.Join(left, " ") != "k0s" {
		t.Errorf("left: %v, %v", left, err)
	}
}
