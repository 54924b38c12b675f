// Package docs has those of the documents beside it that kavach prints.
//
// What this package does not protect: anything; it is text.
package docs

import _ "embed"

// Session describes what goes over the pipes of kavach session, in Markdown.
//
//go:embed session.md
var Session string
