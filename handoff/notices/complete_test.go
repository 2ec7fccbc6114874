package notices

import (
	"reflect"
	"testing"

	"github.com/relaydesk/relaydesk/handoff/hours"
)

func TestEveryLanguageSaysEverything(t *testing.T) {
	t.Parallel()
	if len(written) != len(hours.Languages) || len(spoken) != len(hours.Languages) {
		t.Fatalf("%d and %d of %d languages", len(written), len(spoken), len(hours.Languages))
	}
	english := map[string]string{}
	var walk func(v reflect.Value, name string, each func(name, text string))
	walk = func(v reflect.Value, name string, each func(name, text string)) {
		switch v.Kind() {
		case reflect.String:
			each(name, v.String())
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i), name+"."+v.Type().Field(i).Name, each)
			}
		case reflect.Map:
			for _, key := range v.MapKeys() {
				walk(v.MapIndex(key), name+"."+key.String(), each)
			}
		case reflect.Array:
			for i := range v.Len() {
				walk(v.Index(i), name+string(rune('0'+i)), each)
			}
		default:
			t.Fatalf("%s is a %v", name, v.Kind())
		}
	}
	walk(reflect.ValueOf(*written["en"]), "", func(name, text string) { english[name] = text })
	for _, lang := range hours.Languages {
		seen := 0
		walk(reflect.ValueOf(*written[lang]), "", func(name, text string) {
			seen++
			if text == "" || lang != "en" && text == english[name] {
				t.Errorf("%s%s is %q", lang, name, text)
			}
			if text != "" && name == ".offer" && text[len(text)-1] != '?' {
				t.Errorf("%s offers without a question: %q", lang, text)
			}
		})
		if seen != len(english) {
			t.Errorf("%s has %d texts of %d", lang, seen, len(english))
		}
		walk(reflect.ValueOf(*spoken[lang]), "", func(name, text string) {
			if text == "" {
				t.Errorf("%s%s is empty", lang, name)
			}
		})
	}
}
