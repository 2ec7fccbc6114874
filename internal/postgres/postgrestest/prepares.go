package postgrestest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Prepares lets Postgres prepare every statement of the package that the test
// belongs to, against the migrated schema: the string constants whose names end
// in SQL, and those that are computed when it starts, by name. A column that was renamed, or a type that doesn't fit, is found
// without a test that runs the statement.
func Prepares(tb testing.TB, computed map[string]string) {
	tb.Helper()
	values, err := statements(".")
	if err != nil {
		tb.Fatal(err)
	}
	if len(values) == 0 {
		tb.Fatal("the package has no constants with names that end in SQL")
	}
	maps.Copy(values, computed)
	conn := Owner(tb)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		sql, _, err := pgx.NamedArgs{}.RewriteQuery(tb.Context(), nil, strings.ReplaceAll(values[name], "{workspace}", "1"), nil)
		if err == nil {
			_, err = conn.Prepare(tb.Context(), "", sql)
		}
		if err != nil {
			tb.Errorf("%s: %v", name, err)
		}
	}
}

// statements gives the values of a package's constants with names that end in SQL.
func statements(dir string) (map[string]string, error) {
	files, err := parser.ParseDir(token.NewFileSet(), dir, nil, parser.SkipObjectResolution) //nolint:staticcheck // build tags don't matter here
	if err != nil {
		return nil, fmt.Errorf("read the package's source: %w", err)
	}
	known := map[string]ast.Expr{}
	for name, p := range files {
		if strings.HasSuffix(name, "_test") {
			continue
		}
		for file, f := range p.Files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, d := range f.Decls {
				g, ok := d.(*ast.GenDecl)
				if !ok || g.Tok != token.CONST {
					continue
				}
				for _, s := range g.Specs {
					v := s.(*ast.ValueSpec)
					for i := range v.Values {
						known[v.Names[i].Name] = v.Values[i]
					}
				}
			}
		}
	}
	values := map[string]string{}
	for name, e := range known {
		if !strings.HasSuffix(name, "SQL") {
			continue
		}
		if values[name], err = text(e, known); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return values, nil
}

// text is the value of a constant expression of strings.
func text(e ast.Expr, known map[string]ast.Expr) (string, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return strconv.Unquote(e.Value)
	case *ast.ParenExpr:
		return text(e.X, known)
	case *ast.Ident:
		if of, ok := known[e.Name]; ok {
			return text(of, known)
		}
		return "", fmt.Errorf("there is no constant %s", e.Name)
	case *ast.BinaryExpr:
		a, err := text(e.X, known)
		if err != nil {
			return "", err
		}
		b, err := text(e.Y, known)
		return a + b, err
	}
	return "", errors.New("is no string of constants of this package")
}
