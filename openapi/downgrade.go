package openapi

import (
	"encoding/json"
	"slices"
)

// downgrade turns a 3.1 document into 3.0.3. What 3.0 can't say is left out;
// nothing is left in that a reader of 3.0 would misunderstand.
func downgrade(tree object) {
	tree["openapi"] = "3.0.3"
	delete(tree, "webhooks")
	delete(tree, "jsonSchemaDialect")
	delete(child(tree, "info"), "summary")
	license := child(tree, "info", "license")
	if id, ok := license["identifier"].(string); ok {
		if license["url"] == nil {
			license["url"] = "https://spdx.org/licenses/" + id + ".html"
		}
		delete(license, "identifier")
	}
	delete(child(tree, "components"), "pathItems")
	eachSchema(tree, func(s object) { downgradeSchema(tree, s) })
	for _, op := range operations(tree, "paths") {
		media := child(op, "requestBody", "content")
		for _, response := range child(op, "responses") {
			if response, ok := response.(object); ok {
				binary(child(response, "content"))
			}
		}
		binary(media)
	}
}

// binary spells out a body of bytes, which 3.1 writes as no schema at all.
func binary(content object) {
	if media, ok := content["application/octet-stream"].(object); ok && len(media) == 0 {
		media["schema"] = object{"type": "string", "format": "binary"}
	}
}

// only31 are the keywords that 3.0 doesn't have and that only narrow a schema.
var only31 = []string{
	"$anchor", "$comment", "$defs", "$dynamicAnchor", "$dynamicRef", "$id", "$schema", "$vocabulary",
	"contains", "contentMediaType", "contentSchema", "dependentRequired", "dependentSchemas", "else", "if",
	"maxContains", "minContains", "patternProperties", "prefixItems", "propertyNames", "then",
	"unevaluatedItems", "unevaluatedProperties",
}

func downgradeSchema(tree, s object) {
	for _, key := range only31 {
		delete(s, key)
	}
	if value, ok := s["const"]; ok {
		s["enum"] = []any{value}
		delete(s, "const")
	}
	if examples, ok := s["examples"].([]any); ok {
		if s["example"] == nil && len(examples) > 0 {
			s["example"] = examples[0]
		}
		delete(s, "examples")
	}
	if encoding, ok := s["contentEncoding"]; ok {
		if encoding == "base64" {
			s["format"] = "byte"
		}
		delete(s, "contentEncoding")
	}
	for limit, plain := range map[string]string{"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"} {
		if bound, ok := s[limit].(json.Number); ok {
			s[plain], s[limit] = bound, true
		}
	}
	downgradeTypes(s)
	for _, key := range []string{"anyOf", "oneOf"} {
		downgradeNull(tree, s, key)
	}
	// What stands beside a reference is ignored by readers of 3.0.
	if ref, ok := s["$ref"]; ok && len(s) > 1 {
		delete(s, "$ref")
		s["allOf"] = append([]any{object{"$ref": ref}}, anys(s["allOf"])...)
	}
}

// downgradeTypes writes a list of types as one type that may be null, or as a
// choice of them.
func downgradeTypes(s object) {
	types, ok := s["type"].([]any)
	if !ok {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(types), func(t any) bool { return t == "null" })
	switch len(rest) {
	case 1:
		s["type"] = rest[0]
	default:
		delete(s, "type")
		var choice []any
		for _, t := range rest {
			choice = append(choice, object{"type": t})
		}
		if choice != nil {
			s["allOf"] = append(anys(s["allOf"]), object{"anyOf": choice})
		}
	}
	if len(rest) < len(types) {
		s["nullable"] = true
	}
}

// downgradeNull takes {"type": "null"} out of a choice. The inner schemas have
// been downgraded before.
func downgradeNull(tree, s object, key string) {
	choice := list(s[key])
	rest := slices.DeleteFunc(slices.Clone(choice), func(o object) bool { return o["type"] == "null" })
	if len(rest) == len(choice) {
		return
	}
	s["nullable"] = true
	if len(rest) == 1 {
		delete(s, key)
		delete(s, "discriminator")
		s["allOf"] = append([]any{rest[0]}, anys(s["allOf"])...)
	} else {
		s[key] = toAny(rest)
	}
	// In 3.0.3 "nullable" counts only beside "type".
	if t := commonType(tree, rest); t != "" && s["type"] == nil {
		s["type"] = t
	}
}

// commonType is the type that all of the schemas have, else nothing.
func commonType(tree object, schemas []object) string {
	common := ""
	for _, s := range schemas {
		for range 8 { // references to references
			name, ok := refName(s)
			if !ok {
				break
			}
			s = child(tree, "components", "schemas", name)
		}
		t, _ := s["type"].(string)
		if t == "" && (s["properties"] != nil || s["discriminator"] != nil) {
			t = "object"
		}
		if t == "" || common != "" && t != common {
			return ""
		}
		common = t
	}
	return common
}

func anys(node any) []any {
	items, _ := node.([]any)
	return items
}

func toAny(schemas []object) []any {
	out := make([]any, len(schemas))
	for i, s := range schemas {
		out[i] = s
	}
	return out
}
