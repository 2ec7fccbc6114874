package openapi

import (
	"slices"
	"strings"
)

// child follows keys through objects and gives an empty object where one is
// missing, which is only ever read.
func child(node object, keys ...string) object {
	for _, key := range keys {
		next, ok := node[key].(object)
		if !ok {
			return object{}
		}
		node = next
	}
	return node
}

func list(node any) []object {
	items, _ := node.([]any)
	var out []object
	for _, item := range items {
		if item, ok := item.(object); ok {
			out = append(out, item)
		}
	}
	return out
}

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

// operations are those of the named sections, by "paths /v1/things get".
func operations(tree object, sections ...string) map[string]object {
	out := map[string]object{}
	for _, section := range sections {
		for path, item := range child(tree, section) {
			item, _ := item.(object)
			for _, method := range methods {
				if op, ok := item[method].(object); ok {
					out[section+" "+path+" "+method] = op
				}
			}
		}
	}
	return out
}

// eachSchema visits every schema once, the inner ones first, wherever schemas
// stand. It knows the places, so that a property named "type" or an example
// that looks like a schema is left alone.
func eachSchema(tree object, visit func(s object)) {
	var walk func(s object)
	walk = func(s object) {
		for _, sub := range subschemas(s) {
			walk(sub)
		}
		visit(s)
	}
	var holder func(node object)
	holder = func(node object) { // a parameter, header, body or response
		if s, ok := node["schema"].(object); ok {
			walk(s)
		}
		for _, media := range child(node, "content") {
			if media, ok := media.(object); ok {
				holder(media)
			}
		}
		for _, header := range child(node, "headers") {
			if header, ok := header.(object); ok {
				holder(header)
			}
		}
	}
	for _, op := range operations(tree, "paths", "webhooks") {
		for _, p := range list(op["parameters"]) {
			holder(p)
		}
		holder(child(op, "requestBody"))
		for _, response := range child(op, "responses") {
			if response, ok := response.(object); ok {
				holder(response)
			}
		}
	}
	for _, s := range child(tree, "components", "schemas") {
		if s, ok := s.(object); ok {
			walk(s)
		}
	}
	for _, section := range []string{"parameters", "headers", "requestBodies", "responses"} {
		for _, node := range child(tree, "components", section) {
			if node, ok := node.(object); ok {
				holder(node)
			}
		}
	}
}

// subschemas are the schemas directly inside one.
func subschemas(s object) []object {
	var out []object
	for _, key := range []string{"items", "additionalProperties", "not"} {
		if sub, ok := s[key].(object); ok {
			out = append(out, sub)
		}
	}
	for _, key := range []string{"properties", "patternProperties"} {
		for _, sub := range child(s, key) {
			if sub, ok := sub.(object); ok {
				out = append(out, sub)
			}
		}
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf", "prefixItems"} {
		out = append(out, list(s[key])...)
	}
	return out
}

func refName(s object) (string, bool) {
	ref, _ := s["$ref"].(string)
	return strings.CutPrefix(ref, schemaRef)
}

func nullable(s object) bool {
	types, _ := s["type"].([]any)
	return slices.Contains(types, any("null"))
}
