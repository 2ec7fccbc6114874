package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// exampleDepth ends what refers to itself.
const exampleDepth = 6

// addExamples gives an operation's body and answer an example each, made of
// those of their fields, unless the route has its own.
func addExamples(api huma.API, op *huma.Operation, r route) {
	e := exampler{api.OpenAPI().Components.Schemas}
	if op.RequestBody != nil {
		body := op.RequestBody.Content["application/json"]
		if r.example == "" {
			body.Example = e.of(body.Schema, 0)
		} else if err := json.Unmarshal([]byte(r.example), &body.Example); err != nil {
			panic("the example of " + r.id + ": " + err.Error()) // part of the program, and tested
		}
	}
	if answer := op.Responses[strconv.Itoa(r.status)]; answer != nil && answer.Content["application/json"] != nil {
		content := answer.Content["application/json"]
		content.Example = e.of(content.Schema, 0)
	}
	if r.also != 0 {
		also := *op.Responses[strconv.Itoa(r.status)]
		also.Description = r.alsoWhen
		op.Responses[strconv.Itoa(r.also)] = &also
	}
}

type exampler struct{ schemas huma.Registry }

// of makes a value that fits a schema.
func (e exampler) of(s *huma.Schema, depth int) any {
	if s.Ref != "" {
		s = e.schemas.SchemaFromRef(s.Ref)
	}
	switch {
	case depth > exampleDepth:
		return nil
	case len(s.Examples) > 0:
		return s.Examples[0]
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.AnyOf) > 0:
		return e.of(s.AnyOf[0], depth)
	case s.Format == "date-time":
		return "2026-11-25T09:00:00.000Z"
	}
	switch s.Type {
	case huma.TypeString:
		return "text"
	case huma.TypeBoolean:
		return false
	case huma.TypeInteger, huma.TypeNumber:
		return 1
	case huma.TypeArray:
		if item := e.of(s.Items, depth+1); item != nil {
			return []any{item}
		}
		return []any{}
	}
	return e.object(s, depth)
}

func (e exampler) object(s *huma.Schema, depth int) any {
	out := map[string]any{}
	for name, p := range s.Properties {
		needed := slices.Contains(s.Required, name)
		if depth == exampleDepth && !needed {
			continue
		}
		if v := e.of(p, depth+1); v != nil || needed {
			out[name] = v
		}
	}
	if _, open := s.AdditionalProperties.(*huma.Schema); open && len(out) == 0 {
		out["key"] = "value"
	}
	return out
}

// sends gives a body its own example, where those of the fields don't fit
// together.
func (r route) sends(example string) route { r.example = example; return r }

// or200 documents that what was there already is answered with 200.
func (r route) or200(when string) route {
	r.also, r.alsoWhen = http.StatusOK, when
	return r
}
