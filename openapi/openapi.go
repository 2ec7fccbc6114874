// Package openapi makes the API's published document out of the one that huma
// writes, and serves it with a reference page that needs nothing from outside.
//
// What huma writes describes how requests are checked. A published document is
// read by generators of clients too, for years, so it differs: an answer may
// gain fields without breaking anybody, a named type is defined once, and what
// nobody refers to is left out. It comes in two versions, because many tools
// still read OpenAPI 3.0 only.
package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Publish makes the two documents: OpenAPI 3.1 and, with what that version can
// express, 3.0.3. The same API gives the same bytes. It refuses a document that
// generators trip over: names that are none, references that lead nowhere,
// operations without or with the same id.
func Publish(doc *huma.OpenAPI) (doc31, doc30 []byte, err error) {
	raw, err := doc.MarshalJSON()
	if err != nil {
		return nil, nil, fmt.Errorf("write the API's document: %w", err)
	}
	tree, err := decode(raw)
	if err != nil {
		return nil, nil, err
	}
	finish(tree)
	openAnswers(tree)
	prune(tree)
	if err := check(tree); err != nil {
		return nil, nil, err
	}
	if doc31, err = encode(tree); err != nil {
		return nil, nil, err
	}
	downgrade(tree)
	prune(tree)
	if doc30, err = encode(tree); err != nil {
		return nil, nil, err
	}
	return doc31, doc30, nil
}

// object is a JSON object of the document.
type object = map[string]any

const schemaRef = "#/components/schemas/"

func decode(raw []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // a limit such as 1<<53 must come out as it went in
	var tree object
	if err := d.Decode(&tree); err != nil {
		return nil, fmt.Errorf("read the API's document: %w", err)
	}
	return tree, nil
}

// encode writes keys in order and leaves &, < and > readable.
func encode(tree object) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(tree); err != nil {
		return nil, fmt.Errorf("write the API's document: %w", err)
	}
	return out.Bytes(), nil
}

// finish mends what huma writes differently from what it means.
func finish(tree object) {
	if servers, _ := tree["servers"].([]any); len(servers) == 0 {
		tree["servers"] = []any{object{"url": "/", "description": "This installation"}}
	}
	for _, op := range operations(tree, "paths", "webhooks") {
		for _, p := range list(op["parameters"]) {
			schema := child(p, "schema")
			// How a list is spelt in a query says nothing about one value.
			if schema["type"] != "array" && schema["type"] != "object" && schema["$ref"] == nil {
				delete(p, "explode")
			}
			if p["description"] != nil && p["description"] == schema["description"] {
				delete(schema, "description")
			}
		}
		form := child(op, "requestBody", "content", "multipart/form-data")
		if len(form) == 0 {
			continue
		}
		child(op, "requestBody")["required"] = true
		for _, property := range child(form, "schema", "properties") {
			if property, ok := property.(object); ok && property["format"] == "binary" {
				delete(property, "contentEncoding")
			}
		}
	}
	eachSchema(tree, func(s object) {
		delete(s, "patternDescription") // huma's own word, for its messages
		values, ok := s["enum"].([]any)
		if ok && nullable(s) && !slices.Contains(values, nil) {
			s["enum"] = append(values, nil)
		}
	})
}

// openAnswers lets everything that the server sends carry more fields than the
// document says, so that a client that checks strictly survives a new one.
// Requests stay closed: a misspelt field is an error, not a silence.
func openAnswers(tree object) {
	seen := map[string]bool{}
	var open func(s object)
	open = func(s object) {
		if s["additionalProperties"] == false {
			delete(s, "additionalProperties")
		}
		if name, ok := refName(s); ok && !seen[name] {
			seen[name] = true
			open(child(tree, "components", "schemas", name))
		}
		for _, sub := range subschemas(s) {
			open(sub)
		}
	}
	content := func(holder object) {
		for _, media := range child(holder, "content") {
			if media, ok := media.(object); ok {
				open(child(media, "schema"))
			}
		}
	}
	for _, op := range operations(tree, "paths", "webhooks") {
		for _, response := range child(op, "responses") {
			if response, ok := response.(object); ok {
				content(response)
			}
		}
	}
	for _, op := range operations(tree, "webhooks") {
		content(child(op, "requestBody")) // what we send
	}
	for _, response := range child(tree, "components", "responses") {
		if response, ok := response.(object); ok {
			content(response)
		}
	}
}

// prune drops the types that nothing refers to.
func prune(tree object) {
	schemas := child(tree, "components", "schemas")
	used := map[string]bool{}
	var mark func(node any)
	mark = func(node any) {
		switch node := node.(type) {
		case object:
			for _, v := range node {
				mark(v)
			}
		case []any:
			for _, v := range node {
				mark(v)
			}
		case string:
			name, ok := strings.CutPrefix(node, schemaRef)
			if ok && !used[name] {
				used[name] = true
				mark(schemas[name])
			}
		}
	}
	for key, part := range tree {
		if key != "components" {
			mark(part)
		}
	}
	for key, part := range child(tree, "components") {
		if key != "schemas" {
			mark(part)
		}
	}
	maps.DeleteFunc(schemas, func(name string, _ any) bool { return !used[name] })
}

var componentName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// check refuses what would only fail later, in somebody's generator.
func check(tree object) error {
	var errs []error
	schemas := child(tree, "components", "schemas")
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		if !componentName.MatchString(name) {
			errs = append(errs, fmt.Errorf("the type %q has no usable name", name))
		}
	}
	missing := map[string]bool{}
	eachSchema(tree, func(s object) {
		if name, ok := refName(s); ok && schemas[name] == nil {
			missing[name] = true
		}
	})
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		errs = append(errs, fmt.Errorf("the type %q is referred to and not defined", name))
	}
	ids := map[string]string{}
	ops := operations(tree, "paths", "webhooks")
	for _, at := range slices.Sorted(maps.Keys(ops)) {
		id, _ := ops[at]["operationId"].(string)
		switch {
		case id == "":
			errs = append(errs, fmt.Errorf("%s has no operation id", at))
		case ids[id] != "":
			errs = append(errs, fmt.Errorf("%s and %s share the operation id %q", ids[id], at, id))
		}
		ids[id] = at
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("the API's document can't be published: %w", err)
	}
	return nil
}
