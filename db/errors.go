package db

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// Errors that the store itself returns.
var (
	// ErrScope is a programming error: a call below the handler without a scope.
	ErrScope = errors.New("no tenant: the zero scope reaches no rows")

	// ErrUnavailable says that Postgres cannot be reached or is shutting down.
	// Nothing was acknowledged; a lost commit may or may not have happened.
	ErrUnavailable = fault.New(fault.Unavailable, "STORE_UNAVAILABLE", "the database cannot be reached").WithRetryAfter(2 * time.Second)
)

// classify turns what says "Postgres is not there" into ErrUnavailable and
// scrubs constraint violations, whose texts quote values of rows.
func classify(err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrSupportMayNot) {
		return err
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case strings.HasPrefix(pe.Code, "08"), // connection exceptions
			strings.HasPrefix(pe.Code, "57P"),                          // admin or crash shutdown, cannot connect now
			pe.Code == "25006",                                         // read only: the primary has become a standby
			pe.Code == "53300", pe.Code == "55P03", pe.Code == "57014": // too many connections; lock or statement timeout
			return ErrUnavailable.WithCause(err)
		case strings.HasPrefix(pe.Code, "23"):
			return &constraintError{code: pe.Code, table: pe.TableName, constraint: pe.ConstraintName}
		}
		return err
	}
	if _, ok := fault.As(err); ok {
		return err
	}
	var ce *pgconn.ConnectError
	var ne net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &ce), errors.As(err, &ne), pgconn.Timeout(err), errors.Is(err, net.ErrClosed),
		strings.Contains(err.Error(), "conn closed"), strings.Contains(err.Error(), "unexpected EOF"):
		return ErrUnavailable.WithCause(err)
	}
	return err
}

// isGone reports that a connection had ended before it was used: Postgres was restarted, or somebody ended it. Whether Postgres is there
// now is not known.
func isGone(err error) bool {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.Code == "57P01" || pe.Code == "57P02" // ended by an administrator, or by a crash
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok || err == nil {
		return false
	}
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		strings.Contains(err.Error(), "conn closed")
}

// constraintError is a 23xxx without its detail: "Key (tenant_id, …)=(…) exists"
// must not even reach a log.
type constraintError struct{ code, table, constraint string }

func (e *constraintError) Error() string {
	return "constraint " + e.constraint + " of " + e.table + " (" + e.code + ")"
}

// IsConstraint reports whether err is a violation of the named constraint.
func IsConstraint(err error, name string) bool {
	if ce, ok := errors.AsType[*constraintError](err); ok {
		return ce.constraint == name
	}
	var pe *pgconn.PgError
	return errors.As(err, &pe) && strings.HasPrefix(pe.Code, "23") && pe.ConstraintName == name
}

// lostRace reports a serialization failure or a deadlock: rolled back for sure.
func lostRace(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && (pe.Code == "40001" || pe.Code == "40P01")
}
