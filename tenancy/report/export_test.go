package report

// Legible is legible, for tests.
func Legible(text string) string { return legible(text) }
