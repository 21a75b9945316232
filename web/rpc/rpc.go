// Package rpc is where Connect, gRPC and REST calls meet the domain.
//
// A handler translates and nothing more: the scope from the context, ids from
// strings, one call, one answer. What every call needs is in interceptors, which
// run before the request is even decoded. errors.go is the only place where a
// domain error becomes a wire error, validate.go the only one where the rules
// written in the .proto files are applied.
package rpc
