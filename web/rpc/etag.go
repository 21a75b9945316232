package rpc

import (
	"context"
	"strings"

	"connectrpc.com/connect/v2"
)

// IfMatch returns the entity tag that the call's If-Match header asks for, as
// it stands in the resource's etag field, or "" where the call asks for none:
// no header, or "*", which any existing resource meets. Handlers of updates
// pass it on, and the domain answers ETAG_MISMATCH. The tag may come with or
// without its quotes. A weak tag or a list is ErrInvalid: a guard that is not
// understood must not be ignored (RFC 9110 §13.1.1).
func IfMatch(ctx context.Context) (string, error) {
	info, ok := connect.CallInfoForServerContext(ctx)
	if !ok {
		return "", nil
	}
	tag := strings.TrimSpace(strings.Join(info.RequestHeader().Values("If-Match"), ","))
	if tag == "" || tag == "*" {
		return "", nil
	}
	if len(tag) >= 2 && tag[0] == '"' && tag[len(tag)-1] == '"' {
		tag = tag[1 : len(tag)-1]
	}
	if tag == "" || strings.ContainsAny(tag, "\", \t") || strings.HasPrefix(tag, "W/") {
		return "", ErrInvalid.With("If-Match", `must be one strong entity tag, such as "3f2a"`)
	}
	return tag, nil
}
