// Package js carries the JavaScript SDK as build.mjs made it of src, so that
// the binary can serve it and nobody needs npm to run Biocore. `make verify`
// fails when dist is not what src gives.
package js

import _ "embed" // for Module

// Module is the text of dist/biocore.js: browser and server part in one ES
// module without dependencies.
//
//go:embed dist/biocore.js
var Module string
