package openapi

import (
	"embed"
	"net/http"
	"time"

	"github.com/relaydesk/relaydesk/internal/static"
)

//go:embed reference/scalar.js.gz reference/init.js reference/index.html reference/page.css reference/LICENSE.scalar.txt
var reference embed.FS

// policy lets the reference page load from its own origin and nothing else. The
// script writes styles into the page, and "try it" calls this server's API.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
	"font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the documents at /openapi.json and /openapi-3.0.json, and the
// reference page with its parts at /docs and below. What it doesn't know is
// answered by http.NotFound.
func Handler(doc31, doc30 []byte) http.Handler {
	mux := http.NewServeMux()
	for path, doc := range map[string][]byte{"/openapi.json": doc31, "/openapi-3.0.json": doc30} {
		// The documents are public, and tools in a browser may read them from anywhere.
		mux.Handle(path, static.New("application/json", doc).With("Access-Control-Allow-Origin", "*"))
	}
	page := static.New("text/html; charset=utf-8", part("index.html")).With("Content-Security-Policy", policy)
	mux.Handle("/docs", page)
	mux.Handle("/docs/{$}", page)
	mux.Handle("/docs/init.js", static.New("text/javascript; charset=utf-8", part("init.js")))
	mux.Handle("/docs/page.css", static.New("text/css; charset=utf-8", part("page.css")))
	mux.Handle("/docs/LICENSE.scalar.txt", static.New("text/plain; charset=utf-8", part("LICENSE.scalar.txt")))
	script, err := static.NewPacked("text/javascript; charset=utf-8", part("scalar.js.gz"))
	if err != nil {
		panic(err) // it is part of the program, and a test has read it
	}
	mux.Handle("/docs/scalar.js", script.Cached(24*time.Hour))
	return mux
}

func part(name string) []byte {
	b, err := reference.ReadFile("reference/" + name)
	if err != nil {
		panic(err) // the compiler has embedded it
	}
	return b
}
