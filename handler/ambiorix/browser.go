package ambiorix

import (
	"bytes"
	_ "embed"
	"net/http"
	"slices"
	"time"
)

var (
	//go:embed browser/core.js
	clientCore []byte
	//go:embed browser/global.js
	clientGlobal []byte
	//go:embed browser/ambiorix.d.mts
	clientTypes []byte

	// A page may include the script twice; only the first counts.
	clientScript = slices.Concat(clientBanner, []byte("(() => {\n\"use strict\";\nif (globalThis.Ambiorix !== undefined) {\n  return;\n}\n\n"),
		clientCore, []byte("\n"), clientGlobal, []byte("})();\n"))
	clientModule = slices.Concat(clientBanner, clientCore, []byte("\nexport { Ambiorix, Ambiorix as default };\n"))
	clientBanner = []byte("// The browser's part of github.com/weirws/weir/handler/ambiorix: named messages over a WebSocket.\n\n")
)

// Script returns the browser client as a classic script, ambiorix.js. It defines the
// class Ambiorix, which has the methods that Types describes, and opens the connection
// to the page's server when it is loaded. Pages written for the R framework run with it
// as they are. The slice is the caller's.
func Script() []byte { return bytes.Clone(clientScript) }

// Module returns the browser client as an ES module, ambiorix.mjs. It exports the class
// Ambiorix, by name and as default, and opens a connection when one is needed. The
// slice is the caller's.
func Module() []byte { return bytes.Clone(clientModule) }

// Types returns the TypeScript declarations of Module, ambiorix.d.mts. The slice is the
// caller's.
func Types() []byte { return bytes.Clone(clientTypes) }

// ServeClient serves the browser client below a path: with "/static" as
// /static/ambiorix.js, /static/ambiorix.mjs and /static/ambiorix.d.mts. These go before
// files of Static. It panics as Handle does.
func (a *App) ServeClient(uri string) {
	for _, f := range []struct {
		name, mime string
		content    []byte
	}{
		{"ambiorix.js", "text/javascript; charset=utf-8", clientScript},
		{"ambiorix.mjs", "text/javascript; charset=utf-8", clientModule},
		{"ambiorix.d.mts", "text/plain; charset=utf-8", clientTypes},
	} {
		a.Handle(cleanPrefix(uri)+f.name, readOnly(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", f.mime)
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Header().Set("Cache-Control", "no-cache")
			http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(f.content))
		}))
	}
}
