package apikey

// WithChecksum completes a key whose parts a test has put together.
func WithChecksum(body string) string { return string(appendCRC([]byte(body))) }
