// Package openapi holds the OpenAPI 3.1 descriptions of the two planes, made
// from the .proto files by proto/generate.sh.
package openapi

import _ "embed"

//go:embed auth.yaml
var auth []byte

//go:embed admin.yaml
var admin []byte

// Auth returns the description of biocore.auth.v1, as YAML.
func Auth() []byte { return append([]byte(nil), auth...) }

// Admin returns the description of biocore.admin.v1, as YAML.
func Admin() []byte { return append([]byte(nil), admin...) }
