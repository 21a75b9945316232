package db

import (
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// signInEncoder turns a tenant's rows into the parameters of the sign-in
// statement: one array a column, in Postgres's binary form, all in one buffer that
// is used again. By hand, because pgx finds out each value's type by reflection,
// and twenty columns of each sign-in pass through here.
type signInEncoder struct {
	buf  []byte
	ends [signInColumns]int
	args [signInColumns][]byte
}

const signInColumns = 26

// encode returns the arrays in the order of signInGiven's parameters, or, for one
// row, its values. They are valid until the next call.
func (e *signInEncoder) encode(rows []*signInRow) [][]byte {
	e.buf = e.buf[:0]
	lone := len(rows) == 1
	n := 0
	column := func(oid uint32, value func(b []byte, r *signInRow) []byte) {
		b := binary.BigEndian.AppendUint32(e.buf, 1) // dimensions
		b = binary.BigEndian.AppendUint32(b, 1)      // may hold nulls: only a hint
		b = binary.BigEndian.AppendUint32(b, oid)
		b = binary.BigEndian.AppendUint32(b, uint32(len(rows))) //nolint:gosec // at most maxRowsPerTenant
		b = binary.BigEndian.AppendUint32(b, 1)                 // lower bound
		for _, r := range rows {
			b = value(b, r)
		}
		e.buf, e.ends[n] = b, len(b)
		n++
	}
	column(pgtype.UUIDOID, func(b []byte, r *signInRow) []byte { return appendBytes(b, r.ID[:]) })
	column(pgtype.ByteaOID, func(b []byte, r *signInRow) []byte { return appendBytes(b, r.ChallengeHash[:]) })
	column(pgtype.Int4OID, func(b []byte, r *signInRow) []byte { return appendInt4(b, r.slot) })
	column(pgtype.ByteaOID, func(b []byte, r *signInRow) []byte { return appendBytes(b, r.CredentialID) })
	column(pgtype.UUIDOID, func(b []byte, r *signInRow) []byte { return appendBytes(b, r.UserID[:]) })
	column(pgtype.Int8OID, func(b []byte, r *signInRow) []byte { return appendInt8(b, int64(r.SignCount)) })
	column(pgtype.BoolOID, func(b []byte, r *signInRow) []byte { return appendBool(b, r.AnySignCount) })
	column(pgtype.BoolOID, func(b []byte, r *signInRow) []byte { return appendBool(b, r.BackupEligible) })
	column(pgtype.BoolOID, func(b []byte, r *signInRow) []byte { return appendBool(b, r.BackedUp) })
	column(pgtype.Int2OID, func(b []byte, r *signInRow) []byte { return appendInt2(b, r.AAL) })
	column(pgtype.BoolOID, func(b []byte, r *signInRow) []byte { return appendBool(b, r.UserVerified) })
	column(pgtype.InetOID, appendInet)
	column(pgtype.TextOID, func(b []byte, r *signInRow) []byte { return appendBytes(b, r.userAgent) })
	column(pgtype.Int4OID, func(b []byte, r *signInRow) []byte { return appendInt4(b, int32(r.Lifetime/time.Second)) }) //nolint:gosec // bounded by policy
	column(pgtype.TimestamptzOID, func(b []byte, r *signInRow) []byte { return appendInt8(b, r.At.UnixMicro()-postgresEpoch) })
	column(pgtype.Int4OID, func(b []byte, r *signInRow) []byte { return appendInt4(b, r.PolicyVersion) })
	column(pgtype.TextOID, func(b []byte, r *signInRow) []byte { return appendBytes(b, r.Facts) })
	column(pgtype.TextOID, func(b []byte, r *signInRow) []byte { return appendBytes(b, r.AuditEntry) })
	column(pgtype.TextOID, func(b []byte, r *signInRow) []byte { return appendBytes(b, r.Event) })
	column(pgtype.Int4OID, appendLatency)
	column(pgtype.TextOID, func(b []byte, r *signInRow) []byte { return appendString(b, r.traceID) })
	column(pgtype.TextOID, func(b []byte, r *signInRow) []byte { return appendString(b, r.requestID) })
	column(pgtype.TextOID, func(b []byte, r *signInRow) []byte { return appendString(b, r.Browser) })
	column(pgtype.UUIDOID, appendKey)
	column(pgtype.TextOID, func(b []byte, r *signInRow) []byte { return appendString(b, r.AuditTarget) })
	column(pgtype.ByteaOID, func(b []byte, r *signInRow) []byte { return appendBytes(b, r.AuditPrivate) })
	start := 0
	for i, end := range e.ends {
		e.args[i] = e.buf[start:end]
		if lone {
			e.args[i] = element(e.args[i])
		}
		start = end
	}
	return e.args[:]
}

// arrayHeader is what precedes the elements of a binary array, in bytes.
const arrayHeader = 20

// element returns the only element of an array; nil for NULL.
func element(array []byte) []byte {
	if binary.BigEndian.Uint32(array[arrayHeader:]) == null {
		return nil
	}
	return array[arrayHeader+4:]
}

// null is the length of an element that is NULL.
const null = 1<<32 - 1

// The elements of a binary array: a length and the value in network byte order.

func appendBytes(b, v []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...) //nolint:gosec // bounded by the request's size
}

func appendString(b []byte, v string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...) //nolint:gosec // bounded by the request's size
}

// appendLatency is the time until now, when the batch leaves: waiting for one's turn is
// part of it, and the commit, which nobody knows yet, is not.
func appendLatency(b []byte, r *signInRow) []byte {
	if r.Began.IsZero() {
		return binary.BigEndian.AppendUint32(b, null)
	}
	return appendInt4(b, Micros(time.Since(r.Began)))
}

func appendKey(b []byte, r *signInRow) []byte {
	if r.APIKeyID == uuid.Nil {
		return binary.BigEndian.AppendUint32(b, null)
	}
	return appendBytes(b, r.APIKeyID[:])
}

func appendInt2(b []byte, v int16) []byte {
	return binary.BigEndian.AppendUint16(append(b, 0, 0, 0, 2), uint16(v)) //nolint:gosec // two's complement
}

func appendInt4(b []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(append(b, 0, 0, 0, 4), uint32(v)) //nolint:gosec // two's complement
}

func appendInt8(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 8), uint64(v)) //nolint:gosec // two's complement
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 0, 0, 0, 1, 1)
	}
	return append(b, 0, 0, 0, 1, 0)
}

// appendInet is network_send of Postgres: family, bits, is_cidr, length, address.
func appendInet(b []byte, r *signInRow) []byte {
	switch a := r.address; {
	case !a.IsValid():
		return binary.BigEndian.AppendUint32(b, null)
	case a.Is4():
		v := a.As4()
		return append(append(b, 0, 0, 0, 8, 2, 32, 0, 4), v[:]...)
	default:
		v := a.As16()
		return append(append(b, 0, 0, 0, 20, 3, 128, 0, 16), v[:]...)
	}
}

func encodeUUID(dst *[36]byte, u uuid.UUID) {
	hex.Encode(dst[0:8], u[0:4])
	hex.Encode(dst[9:13], u[4:6])
	hex.Encode(dst[14:18], u[6:8])
	hex.Encode(dst[19:23], u[8:10])
	hex.Encode(dst[24:], u[10:])
	dst[8], dst[13], dst[18], dst[23] = '-', '-', '-', '-'
}
