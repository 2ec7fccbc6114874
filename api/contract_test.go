package api_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/relaydesk/relaydesk/api"
	"github.com/relaydesk/relaydesk/tenants"
)

var document = sync.OnceValue(api.Document)

// operationOf finds the operation that a request is answered by.
func operationOf(method, path string) *huma.Operation {
	path, _, _ = strings.Cut(path, "?")
	have := strings.Split(path, "/")
	var found *huma.Operation
	for template, item := range document().Paths {
		want := strings.Split(template, "/")
		if len(want) != len(have) {
			continue
		}
		fits, literal := true, true
		for i := range want {
			if strings.HasPrefix(want[i], "{") {
				literal = false
			} else if want[i] != have[i] {
				fits = false
			}
		}
		if op := operations(item)[method]; fits && op != nil && (found == nil || literal) {
			found = op
		}
	}
	return found
}

func operations(item *huma.PathItem) map[string]*huma.Operation {
	all := map[string]*huma.Operation{}
	for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PATCH": item.Patch, "DELETE": item.Delete, "PUT": item.Put} {
		if op != nil {
			all[method] = op
		}
	}
	return all
}

// asDocumented holds every answer that any test gets against the document.
func (b *bench) asDocumented(method, path string, a answer) {
	b.t.Helper()
	op := operationOf(method, path)
	if op == nil {
		return
	}
	said := op.Responses[strconv.Itoa(a.Status)]
	if said == nil {
		said = op.Responses[strconv.Itoa(a.Status/100)+"XX"]
	}
	if said == nil {
		b.t.Errorf("%s %s: %d is not documented", method, path, a.Status)
		return
	}
	media, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	content := said.Content[media]
	if content == nil {
		if len(a.Raw) > 0 {
			b.t.Errorf("%s %s: %d with %s is not documented", method, path, a.Status, media)
		}
		return
	}
	if !strings.HasSuffix(media, "json") {
		return
	}
	var tree any
	if err := json.Unmarshal(a.Raw, &tree); err != nil {
		b.t.Errorf("%s %s: %v", method, path, err)
		return
	}
	result := &huma.ValidateResult{}
	huma.Validate(document().Components.Schemas, content.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, tree, result)
	for _, err := range result.Errors {
		b.t.Errorf("%s %s: the answer is not as documented: %v\n%.600s", method, path, err, a.Raw)
	}
}

func TestEveryOperationSaysWhatItNeeds(t *testing.T) {
	t.Parallel()
	n := 0
	for path, item := range document().Paths {
		for method, op := range operations(item) {
			n++
			scope, _ := op.Metadata["scope"].(string)
			if strings.HasPrefix(path, "/v1/visitor/") {
				if scope != tenants.VisitorScope && scope != tenants.SessionScope {
					t.Errorf("%s %s needs %s", method, path, scope)
				}
				continue
			}
			if !(tenants.Scopes{scope}).Allow(scope) || !tenantsHas(scope) {
				t.Errorf("%s %s needs the scope %q, which there is not", method, path, scope)
			}
			if len(op.Security) == 0 || op.Summary == "" || len(op.Tags) != 1 || op.Responses["4XX"] == nil || op.Responses["5XX"] == nil {
				t.Errorf("%s %s lacks its security, summary, tag or problems", method, path)
			}
			if read := method == http.MethodGet; read != strings.HasSuffix(scope, ":read") && !strings.HasSuffix(path, "/search") && !strings.HasSuffix(path, "/answers") {
				t.Errorf("%s %s needs %s", method, path, scope)
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d operations", n)
	}
}

func tenantsHas(scope string) bool {
	for _, s := range tenants.AllScopes {
		if s == scope {
			return true
		}
	}
	return false
}

func TestEveryOperationHasExamplesThatFit(t *testing.T) {
	t.Parallel()
	fits := func(what string, media *huma.MediaType, mode huma.ValidateMode) {
		t.Helper()
		if media == nil {
			return
		}
		raw, err := json.Marshal(media.Example)
		if err != nil || media.Example == nil {
			t.Errorf("%s has no example: %v", what, err)
			return
		}
		var tree any
		if err := json.Unmarshal(raw, &tree); err != nil {
			t.Fatal(err)
		}
		result := &huma.ValidateResult{}
		huma.Validate(document().Components.Schemas, media.Schema, huma.NewPathBuffer(nil, 0), mode, tree, result)
		for _, err := range result.Errors {
			t.Errorf("the example of %s: %v in %s", what, err, raw)
		}
	}
	for _, item := range document().Paths {
		for _, op := range operations(item) {
			if op.RequestBody != nil {
				fits(op.OperationID+"'s body", op.RequestBody.Content["application/json"], huma.ModeWriteToServer)
			}
			if answer := op.Responses[strconv.Itoa(op.DefaultStatus)]; answer != nil {
				fits(op.OperationID+"'s answer", answer.Content["application/json"], huma.ModeReadFromServer)
			}
		}
	}
}

func TestEveryExampleFitsItsSchema(t *testing.T) {
	t.Parallel()
	for name, s := range document().Components.Schemas.Map() {
		for field, p := range s.Properties {
			for _, example := range p.Examples {
				raw, err := json.Marshal(example)
				if err != nil {
					t.Fatal(err)
				}
				var tree any
				if err := json.Unmarshal(raw, &tree); err != nil {
					t.Fatal(err)
				}
				result := &huma.ValidateResult{}
				huma.Validate(document().Components.Schemas, p, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, tree, result)
				for _, err := range result.Errors {
					t.Errorf("the example of %s.%s: %v", name, field, err)
				}
			}
			if p.Ref == "" && p.Description == "" && field != "$schema" {
				t.Errorf("%s.%s says nothing about itself", name, field)
			}
		}
	}
}
