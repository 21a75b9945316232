package keys

// JOSE writes an ECDSA signature as r ‖ s of 32 bytes each, crypto/ecdsa as a DER
// SEQUENCE of two INTEGERs. All lengths here are below 128, so each is one byte.

const (
	derSequence = 0x30
	derInteger  = 0x02
	derMax      = 2 + 2*(2+1+32)
)

// toDER appends the DER form of raw (64 bytes) to dst.
func toDER(dst, raw []byte) []byte {
	dst = append(dst, derSequence, 0)
	start := len(dst)
	for _, half := range [][]byte{raw[:32], raw[32:]} {
		for len(half) > 1 && half[0] == 0 {
			half = half[1:]
		}
		if half[0] >= 0x80 { // INTEGERs are signed
			dst = append(dst, derInteger, byte(len(half)+1), 0) //nolint:gosec // at most 33
		} else {
			dst = append(dst, derInteger, byte(len(half))) //nolint:gosec // at most 32
		}
		dst = append(dst, half...)
	}
	dst[start-1] = byte(len(dst) - start) //nolint:gosec // at most derMax
	return dst
}

// fromDER fills raw from a signature that crypto/ecdsa made, and reports whether it
// had the expected form.
func fromDER(raw *[signatureBytes]byte, der []byte) bool {
	if len(der) < 2 || der[0] != derSequence || int(der[1]) != len(der)-2 {
		return false
	}
	der = der[2:]
	for i := range 2 {
		if len(der) < 2 || der[0] != derInteger || len(der) < 2+int(der[1]) {
			return false
		}
		n := der[2 : 2+int(der[1])]
		der = der[2+len(n):]
		for len(n) > 0 && n[0] == 0 {
			n = n[1:]
		}
		if len(n) > 32 {
			return false
		}
		half := raw[i*32 : (i+1)*32]
		clear(half)
		copy(half[32-len(n):], n)
	}
	return len(der) == 0
}
