package docs_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/relaydesk/relaydesk/api"
	"github.com/relaydesk/relaydesk/docs"
	"github.com/relaydesk/relaydesk/openapi"
)

var (
	operation = regexp.MustCompile(`\b(GET|POST|PATCH|DELETE) (/v1[a-z_/{}]*)`)
	parameter = regexp.MustCompile(`\{[^}]*\}`)
)

func TestTheGuideNamesOnlyOperationsThatThereAre(t *testing.T) {
	t.Parallel()
	doc31, _, err := openapi.Publish(api.Document())
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(doc31, &doc); err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for path, item := range doc.Paths {
		for method := range item {
			there[strings.ToUpper(method)+" "+parameter.ReplaceAllString(path, "{}")] = true
		}
	}
	named := 0
	for _, page := range docs.Pages() {
		for _, m := range operation.FindAllStringSubmatch(page.Markdown, -1) {
			named++
			if !there[m[1]+" "+parameter.ReplaceAllString(strings.TrimRight(m[2], "/"), "{}")] {
				t.Errorf("%s names %s %s", page.Name, m[1], m[2])
			}
		}
	}
	if named < 20 {
		t.Errorf("only %d operations were seen", named)
	}
}
