package rest

import (
	"net/http"

	"github.com/biocore-id/biocore/proto/openapi"
	"github.com/biocore-id/biocore/web/static/apiref"
)

// Reference serves the descriptions of the two planes at /openapi/auth.yaml and
// /openapi/admin.yaml, and the page to read and try them at /docs/api.
func Reference() http.Handler { return apiref.Handler(openapi.Auth(), openapi.Admin()) }
