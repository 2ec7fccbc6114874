package rank

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// CodeLines tells of each line of a text whether it is code rather than
// language: a command, JSON, HTML, a program's line. Lines in the middle of code
// that could be either are code. Rows of tables ("a | b") are not.
//
// It is a guess by signs: a text does not keep how the page showed it.
func CodeLines(text string) []bool {
	lines := strings.Split(text, "\n")
	code := make([]bool, len(lines))
	for i, line := range lines {
		code[i] = codeLine(strings.TrimSpace(line))
	}
	before := false // the last line with something in it is code
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if !code[i] && before && !endsSentence(line) {
			code[i] = followed(lines[i+1:], code[i+1:])
		}
		if line != "" {
			before = code[i]
		}
	}
	return code
}

// WithoutCode is a text without its lines of code, or all of it if it has no
// others.
func WithoutCode(text string) string {
	code := CodeLines(text)
	if !slices.Contains(code, true) {
		return text
	}
	var kept []string
	for i, line := range strings.Split(text, "\n") {
		if !code[i] {
			kept = append(kept, line)
		}
	}
	if prose := strings.Join(kept, "\n"); strings.TrimSpace(prose) != "" {
		return prose
	}
	return text
}

// AboutCode tells whether a text asks for code, or has some in it.
func AboutCode(text string) bool {
	return aboutCode.MatchString(text) || slices.Contains(CodeLines(text), true)
}

// followed tells whether code comes next, with nothing before that ends like a
// sentence.
func followed(lines []string, code []bool) bool {
	for i, line := range lines[:min(len(lines), 5)] {
		if code[i] {
			return true
		}
		if endsSentence(strings.TrimSpace(line)) {
			return false
		}
	}
	return false
}

func endsSentence(line string) bool {
	return strings.HasSuffix(line, ".") || strings.HasSuffix(line, "!") || strings.HasSuffix(line, "?") || strings.HasSuffix(line, ":") || strings.HasSuffix(line, "。")
}

var (
	aboutCode = regexp.MustCompile(`(?i)\b(curl|json|html|javascript|typescript|python|golang|bash|sql|snippets?|source code|code examples?|example code|codebeispiele?)\b`)
	// Signs that hardly any sentence has.
	codeSigns = []*regexp.Regexp{
		regexp.MustCompile(`\$[({]|\$[A-Z_]{2,}\b|[^ ]=>|&&|\|\|`),                  // shells' and programs' own
		regexp.MustCompile(`^(\$ |#!|//|/\*|</|<!|-{1,2}[A-Za-z][\w-]*[ =]["'{$])`), // a prompt, a comment, a tag, a flag with its value
		regexp.MustCompile(`^(curl|wget|sudo|export|echo|npm|pip3?|docker|git|cd|apt-get) [-"'/$.\w]+[^.!?]*$`),
		regexp.MustCompile(`[\\{]$|[)}\]"'];$|\)\s*\|\s*\w|^[\w.]+\(.*\)[;:]?$|^[\w.\[\]"']+(, [\w.]+)* (:=|\+?=) \S*["'(\[{]`),
		regexp.MustCompile(`^(import|return|func|function|def|const)\b.*[(){}\[\]=;]|^(return|import|const) \S+$|^import \w+, `),
		regexp.MustCompile(`^(class|if|for|while|try|except|else)\b.*[{:;]$|^(from|var|let) \S+ (import|=)`),
		regexp.MustCompile(`^[A-Za-z_]\w*=\S`),                // a variable
		regexp.MustCompile(`^["'][\w.-]+["']\s*:.*[,{}\["]$`), // a line of JSON
		regexp.MustCompile(`^<\w[^>]*>|<\w[^>]*>.*</\w+>`),
		regexp.MustCompile(`^[A-Z]+ /\S* HTTP/`),
	}
	jsonKey = regexp.MustCompile(`\\?["'][\w.-]+\\?["']\s*:\s*[\\"'\d{\[tfn]`)
)

func codeLine(line string) bool {
	if line == "" {
		return false
	}
	if strings.IndexFunc(line, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) < 0 {
		return true
	}
	if len(jsonKey.FindAllStringIndex(line, 2)) > 1 && !strings.HasSuffix(line, ".") {
		return true
	}
	if (line[0] == '{' || line[0] == '[') && strings.ContainsAny(line[len(line)-1:], "}],{[") && strings.ContainsAny(line, `"'`) {
		return true
	}
	for _, sign := range codeSigns {
		if sign.MatchString(line) {
			return true
		}
	}
	return dense(line)
}

// dense tells a line of which a fifth and more are signs; of one that ends like
// a sentence, two fifths.
func dense(line string) bool {
	all, signs := 0, 0
	for _, r := range line {
		switch {
		case unicode.IsSpace(r):
			continue
		case strings.ContainsRune("{}[]<>$\\=|^~`\"@#*", r):
			signs++
		}
		all++
	}
	if endsSentence(line) {
		signs /= 2
	}
	return all >= 8 && signs*5 >= all
}
