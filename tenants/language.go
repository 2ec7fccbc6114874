package tenants

import "golang.org/x/text/language"

// Language writes the name of a language in its canonical form, or tells that
// BCP 47 knows none of this name.
func Language(name string) (canonical string, ok bool) {
	tag, err := language.Parse(name)
	if err != nil || tag == language.Und {
		return "", false
	}
	return tag.String(), true
}
