package report

// Legible is legible, for tests.
func Legible(text string) string { return legible(text) }

// HexOf is hexOf, for tests.
func HexOf(body []byte) string { return hexOf(body) }

// Precedes is Period.precedes, for tests.
func Precedes(p, next Period) bool { return p.precedes(next) }
