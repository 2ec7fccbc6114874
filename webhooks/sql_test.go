package webhooks_test

import (
	"testing"

	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
)

func TestEveryStatementFitsTheSchema(t *testing.T) {
	t.Parallel()
	postgrestest.Prepares(t, nil)
}
