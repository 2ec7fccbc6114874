package openapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/relaydesk/relaydesk/openapi"
)

// An API with everything that documents get wrong: an object and a value that
// may be null, a union, enumerations, lists in a query, an upload, bytes, a
// stream, webhooks, and a type that only a webhook uses.

type Problem struct {
	Type  string `json:"type" doc:"What went wrong."`
	Code  string `json:"code" doc:"Stable code."`
	Title string `json:"title" doc:"Short text."`
}

type Owner struct {
	Name string `json:"name" doc:"Their name."`
}

type MaybeOwner struct{ *Owner }

func (MaybeOwner) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{Description: "Nobody, or somebody.", AnyOf: []*huma.Schema{
		r.Schema(reflect.TypeFor[Owner](), true, ""), {Type: "null"},
	}}
}

type Level string

func (Level) Schema(r huma.Registry) *huma.Schema {
	if r.Map()["Level"] == nil {
		r.Map()["Level"] = &huma.Schema{Type: "string", Description: "How urgent.", Enum: []any{"low", "high"}}
	}
	return &huma.Schema{Ref: "#/components/schemas/Level"}
}

type Cat struct {
	Type  string `json:"type" enum:"cat" doc:"Which animal."`
	Lives int    `json:"lives" minimum:"1" exclusiveMaximum:"10" doc:"Lives left."`
}

type Dog struct {
	Type string `json:"type" enum:"dog" doc:"Which animal."`
	Good bool   `json:"good" doc:"Always."`
}

type Animal struct{ Cat }

func (Animal) Schema(r huma.Registry) *huma.Schema {
	cat, dog := r.Schema(reflect.TypeFor[Cat](), true, ""), r.Schema(reflect.TypeFor[Dog](), true, "")
	r.Map()["Animal"] = &huma.Schema{
		Type: "object", Description: "One of them.", OneOf: []*huma.Schema{cat, dog},
		Discriminator: &huma.Discriminator{PropertyName: "type", Mapping: map[string]string{"cat": cat.Ref, "dog": dog.Ref}},
	}
	return &huma.Schema{Ref: "#/components/schemas/Animal"}
}

type Thing struct {
	ID      string     `json:"id" doc:"Its id." example:"thing_1"`
	Subject *string    `json:"subject" nullable:"true" doc:"What it is about."`
	Mood    *string    `json:"mood" enum:"good,bad" nullable:"true" doc:"How it is."`
	Owner   MaybeOwner `json:"owner" doc:"Whose it is."`
	Level   Level      `json:"level" doc:"How urgent it is."`
	Animal  Animal     `json:"animal" doc:"What it lives with."`
	Raw     []byte     `json:"raw" doc:"Bytes of it."`
	Tags    []string   `json:"tags" nullable:"false" doc:"Its tags."`
}

type NewThing struct {
	Subject *string `json:"subject,omitempty" nullable:"true" maxLength:"200" doc:"What it is about."`
	Slug    string  `json:"slug,omitempty" pattern:"^[a-z]+$" patternDescription:"letters" doc:"Its name in addresses."`
}

type ThingMade struct {
	Type string `json:"type" enum:"thing.made" doc:"The event's type."`
	Data Thing  `json:"data" doc:"The thing."`
}

type OnlySent struct {
	Note string `json:"note" doc:"For the receiver."`
}

type Unused struct {
	X string `json:"x"`
}

type (
	listInput struct {
		Status []string `query:"status" enum:"open,closed" doc:"Which to list."`
		Limit  int      `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"How many."`
	}
	listOutput struct {
		Body struct {
			Data []Thing `json:"data" nullable:"false" doc:"The things."`
		}
	}
	makeInput   struct{ Body NewThing }
	makeOutput  struct{ Body Thing }
	uploadInput struct {
		RawBody huma.MultipartFormFiles[struct {
			File huma.FormFile `form:"file" required:"true" doc:"The file."`
		}]
	}
)

func build() *huma.OpenAPI {
	config := huma.DefaultConfig("Things", "2026-11-01")
	config.CreateHooks, config.SchemasPath, config.DocsPath, config.OpenAPIPath = nil, "", "", ""
	config.Info.Description = "An API to test documents with."
	config.Info.Contact = &huma.Contact{Name: "Things", URL: "https://things.test"}
	config.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	config.Tags = []*huma.Tag{{Name: "things", Description: "All about things."}}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"key": {Type: "http", Scheme: "bearer"}}
	config.Security = []map[string][]string{{"key": {}}}
	api := humago.New(http.NewServeMux(), config)
	registry := api.OpenAPI().Components.Schemas
	problem := registry.Schema(reflect.TypeFor[Problem](), true, "")
	registry.Schema(reflect.TypeFor[Unused](), true, "")
	operation := func(id, method, path string) huma.Operation {
		responses := map[string]*huma.Response{}
		for status, text := range map[string]string{"4XX": "The request is at fault.", "5XX": "We are."} {
			responses[status] = &huma.Response{Description: text, Content: map[string]*huma.MediaType{"application/problem+json": {Schema: problem}}}
		}
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: id, Description: "Does " + id + ".", Tags: []string{"things"}, Responses: responses}
	}
	huma.Register(api, operation("listThings", "GET", "/v1/things"), func(context.Context, *listInput) (*listOutput, error) { return nil, nil })
	huma.Register(api, operation("createThing", "POST", "/v1/things"), func(context.Context, *makeInput) (*makeOutput, error) { return nil, nil })
	huma.Register(api, operation("uploadThing", "POST", "/v1/uploads"), func(context.Context, *uploadInput) (*makeOutput, error) { return nil, nil })
	stream := operation("streamThings", "GET", "/v1/things/stream")
	stream.Responses["200"] = &huma.Response{Description: "The events.", Content: map[string]*huma.MediaType{
		"text/event-stream": {Schema: registry.Schema(reflect.TypeFor[ThingMade](), true, "")},
	}}
	huma.Register(api, stream, func(context.Context, *struct{}) (*huma.StreamResponse, error) { return nil, nil })
	api.OpenAPI().Webhooks = map[string]*huma.PathItem{"thing.made": {Post: &huma.Operation{
		OperationID: "onThingMade", Summary: "A thing was made", Description: "Sent once it is.", Tags: []string{"things"},
		Security: []map[string][]string{},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{
			AnyOf: []*huma.Schema{registry.Schema(reflect.TypeFor[ThingMade](), true, ""), registry.Schema(reflect.TypeFor[OnlySent](), true, "")},
		}}}},
		Responses: map[string]*huma.Response{"2XX": {Description: "Taken."}, "4XX": {Description: "410 ends deliveries."}},
	}}}
	return api.OpenAPI()
}

func init() {
	huma.DefaultArrayNullable = false
}

type node = map[string]any

func publish(t *testing.T) (doc31, doc30 node) {
	t.Helper()
	b31, b30, err := openapi.Publish(build())
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("OPENAPI_OUT"); dir != "" { // for linters that live outside of Go
		for name, b := range map[string][]byte{"openapi.json": b31, "openapi-3.0.json": b30} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for b, doc := range map[*[]byte]*node{&b31: &doc31, &b30: &doc30} {
		if err := json.Unmarshal(*b, doc); err != nil {
			t.Fatal(err)
		}
	}
	return doc31, doc30
}

func at(t *testing.T, doc node, path ...string) any {
	t.Helper()
	var here any = doc
	for i, key := range path {
		inner, ok := here.(node)
		if !ok || inner[key] == nil {
			t.Fatalf("nothing at %s", strings.Join(path[:i+1], " / "))
		}
		here = inner[key]
	}
	return here
}

func same(t *testing.T, got any, want string) {
	t.Helper()
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

func TestPublishingTwiceGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	doc := build()
	first31, first30, err := openapi.Publish(doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, again := range []*huma.OpenAPI{doc, build()} {
		next31, next30, err := openapi.Publish(again)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first31, next31) || !bytes.Equal(first30, next30) {
			t.Error("the bytes differ")
		}
	}
}

func TestAnswersMayGainFieldsAndRequestsMayNot(t *testing.T) {
	t.Parallel()
	doc31, doc30 := publish(t)
	for _, doc := range []node{doc31, doc30} {
		for _, sent := range []string{"Thing", "Owner", "Cat", "Problem"} {
			if _, closed := at(t, doc, "components", "schemas", sent).(node)["additionalProperties"]; closed {
				t.Errorf("%s is sent and closed", sent)
			}
		}
		same(t, at(t, doc, "components", "schemas", "NewThing").(node)["additionalProperties"], "false")
	}
	if _, closed := at(t, doc31, "components", "schemas", "OnlySent").(node)["additionalProperties"]; closed {
		t.Error("what a webhook sends is closed")
	}
}

func TestWhatNobodyRefersToIsLeftOut(t *testing.T) {
	t.Parallel()
	doc31, doc30 := publish(t)
	for _, name := range []string{"Unused", "FormFile"} {
		if at(t, doc31, "components", "schemas").(node)[name] != nil {
			t.Errorf("%s stands in 3.1", name)
		}
	}
	if doc30["webhooks"] != nil || at(t, doc30, "components", "schemas").(node)["OnlySent"] != nil {
		t.Error("3.0 knows of webhooks")
	}
	at(t, doc31, "components", "schemas", "OnlySent")
	at(t, doc31, "webhooks", "thing.made", "post")
}

func TestNullMeansTheSameInBothVersions(t *testing.T) {
	t.Parallel()
	doc31, doc30 := publish(t)
	thing31, thing30 := at(t, doc31, "components", "schemas", "Thing", "properties").(node), at(t, doc30, "components", "schemas", "Thing", "properties").(node)
	same(t, thing31["owner"], `{"anyOf":[{"$ref":"#/components/schemas/Owner"},{"type":"null"}],"description":"Whose it is."}`)
	same(t, thing30["owner"], `{"allOf":[{"$ref":"#/components/schemas/Owner"}],"description":"Whose it is.","nullable":true,"type":"object"}`)
	same(t, thing31["subject"], `{"description":"What it is about.","type":["string","null"]}`)
	same(t, thing30["subject"], `{"description":"What it is about.","nullable":true,"type":"string"}`)
	same(t, thing31["mood"], `{"description":"How it is.","enum":["good","bad",null],"type":["string","null"]}`)
	same(t, thing30["mood"], `{"description":"How it is.","enum":["good","bad",null],"nullable":true,"type":"string"}`)
}

func TestThreeZeroHoldsNothingThatItsReadersMisunderstand(t *testing.T) {
	t.Parallel()
	_, doc30 := publish(t)
	same(t, doc30["openapi"], `"3.0.3"`)
	same(t, at(t, doc30, "components", "schemas", "Cat", "properties", "lives"),
		`{"description":"Lives left.","exclusiveMaximum":true,"format":"int64","maximum":10,"minimum":1,"type":"integer"}`)
	same(t, at(t, doc30, "components", "schemas", "Thing", "properties", "id", "example"), `"thing_1"`)
	same(t, at(t, doc30, "components", "schemas", "Thing", "properties", "raw"), `{"description":"Bytes of it.","format":"byte","type":"string"}`)
	same(t, at(t, doc30, "info", "license"), `{"name":"Apache-2.0","url":"https://spdx.org/licenses/Apache-2.0.html"}`)
	var walk func(path string, here any)
	walk = func(path string, here any) {
		switch here := here.(type) {
		case node:
			for key, inner := range here {
				switch key {
				case "const", "examples", "contentEncoding", "contentMediaType":
					t.Errorf("%s has %s", path, key)
				}
				if _, list := inner.([]any); key == "type" && list || inner == "null" {
					t.Errorf("%s has type %v", path, inner)
				}
				if key == "$ref" && len(here) > 1 {
					t.Errorf("%s has something beside its reference", path)
				}
				walk(path+"/"+key, inner)
			}
		case []any:
			for _, inner := range here {
				walk(path, inner)
			}
		}
	}
	walk("", doc30)
}

func TestNoWordsOfTheFrameworkAreLeft(t *testing.T) {
	t.Parallel()
	doc31, _ := publish(t)
	same(t, at(t, doc31, "components", "schemas", "NewThing", "properties", "slug"), `{"description":"Its name in addresses.","pattern":"^[a-z]+$","type":"string"}`)
}

func TestUploadsAndListsSayWhatTheyMean(t *testing.T) {
	t.Parallel()
	doc31, _ := publish(t)
	same(t, at(t, doc31, "paths", "/v1/uploads", "post", "requestBody", "required"), "true")
	for _, p := range at(t, doc31, "paths", "/v1/things", "get", "parameters").([]any) {
		p := p.(node)
		if _, says := p["explode"]; says != (p["name"] == "status") {
			t.Errorf("%v: explode is there: %v", p["name"], says)
		}
	}
}

func TestADocumentThatGeneratorsTripOverIsRefused(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(doc *huma.OpenAPI){
		"no usable name": func(doc *huma.OpenAPI) {
			doc.Components.Schemas.Map()["Page struct{}"] = &huma.Schema{Type: "object"}
			doc.Paths["/v1/things"].Get.Responses["200"].Content["application/json"].Schema = &huma.Schema{Ref: "#/components/schemas/Page struct{}"}
		},
		"not defined": func(doc *huma.OpenAPI) {
			doc.Paths["/v1/things"].Get.Responses["200"].Content["application/json"].Schema = &huma.Schema{Ref: "#/components/schemas/Nowhere"}
		},
		"share the operation id": func(doc *huma.OpenAPI) { doc.Paths["/v1/things"].Get.OperationID = "createThing" },
		"has no operation id":    func(doc *huma.OpenAPI) { doc.Webhooks["thing.made"].Post.OperationID = "" },
	} {
		doc := build()
		spoil(doc)
		if _, _, err := openapi.Publish(doc); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
