package rest

import "sync"

// maxPooledBytes bounds what a pooled buffer may keep: beyond the largest body
// and a large page of a list, memory goes back.
const maxPooledBytes = 128 << 10

// buffer is a byte slice that is used again.
type buffer struct{ bytes []byte }

var buffers = sync.Pool{New: func() any { return &buffer{bytes: make([]byte, 0, 4<<10)} }}

// getBuffer returns an empty buffer. Nothing may keep its bytes after putBuffer.
func getBuffer() *buffer {
	b, _ := buffers.Get().(*buffer)
	b.bytes = b.bytes[:0]
	return b
}

func putBuffer(b *buffer) {
	if cap(b.bytes) <= maxPooledBytes {
		buffers.Put(b)
	}
}
