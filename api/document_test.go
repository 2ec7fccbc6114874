package api_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/relaydesk/relaydesk/api"
	"github.com/relaydesk/relaydesk/openapi"
)

var update = flag.Bool("update", false, "write the API's documents anew")

// The document is what outside programs are generated from: a change of it is
// a change of the API, and has to be seen in a review.
func TestThePublishedDocumentIsTheOneThatIsCommitted(t *testing.T) {
	t.Parallel()
	doc31, doc30, err := openapi.Publish(api.Document())
	if err != nil {
		t.Fatal(err)
	}
	for name, doc := range map[string][]byte{"openapi.json": doc31, "openapi-3.0.json": doc30} {
		path := "../openapi/" + name
		if *update {
			if err := os.WriteFile(path, doc, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		committed, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(committed, doc) {
			t.Errorf("%s differs from what the API says (%v). If that is meant: go test ./api -run Document -update, and a line in CHANGELOG.md", name, err)
		}
	}
}
