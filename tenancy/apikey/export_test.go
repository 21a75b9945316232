package apikey

import "github.com/google/uuid"

// WithChecksum completes a key whose parts a test has put together.
func WithChecksum(body string) string { return string(appendCRC([]byte(body))) }

// NewPlain is a well-formed key of a tenant that nobody has made.
func NewPlain(tenant uuid.UUID) string {
	plain, _ := newPlain(Secret, "test", tenant)
	return plain.Reveal()
}
