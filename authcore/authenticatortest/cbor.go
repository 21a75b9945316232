package authenticatortest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/binary"
	"math"
)

// Major types of CBOR (RFC 8949 §3.1).
const (
	cborUint  = 0
	cborNint  = 1
	cborBytes = 2
	cborText  = 3
	cborArray = 4
	cborMap   = 5
)

// appendHead appends the head of a data item in its shortest form, as the CTAP2
// canonical encoding wants it.
func appendHead(out []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(out, major|byte(n))
	case n <= math.MaxUint8:
		return append(out, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(out, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(out, major|26), uint32(n))
	default:
		return binary.BigEndian.AppendUint64(append(out, major|27), n)
	}
}

func appendInt(out []byte, n int) []byte {
	if n < 0 {
		return appendHead(out, cborNint, uint64(-1-n))
	}
	return appendHead(out, cborUint, uint64(n))
}

func appendText(out []byte, s string) []byte {
	return append(appendHead(out, cborText, uint64(len(s))), s...)
}

func appendBytes(out, b []byte) []byte {
	return append(appendHead(out, cborBytes, uint64(len(b))), b...)
}

// Labels and values of COSE keys (RFC 9052 §7, RFC 9053 §7).
const (
	labelKty, labelAlg       = 1, 3
	labelCrv, labelX, labelY = -1, -2, -3
	labelN, labelE           = -1, -2
	ktyOKP, ktyEC2, ktyRSA   = 1, 2, 3
	crvP256, crvEd25519      = 1, 6
	coordinate               = 32
)

func coseES256(key *ecdsa.PublicKey) ([]byte, error) {
	point, err := key.Bytes() // 4, x, y
	if err != nil {
		return nil, err
	}
	out := appendHead(make([]byte, 0, 80), cborMap, 5)
	out = appendInt(appendInt(out, labelKty), ktyEC2)
	out = appendInt(appendInt(out, labelAlg), ES256)
	out = appendInt(appendInt(out, labelCrv), crvP256)
	out = appendBytes(appendInt(out, labelX), point[1:1+coordinate])
	return appendBytes(appendInt(out, labelY), point[1+coordinate:]), nil
}

func coseEdDSA(key ed25519.PublicKey) []byte {
	out := appendHead(make([]byte, 0, 48), cborMap, 4)
	out = appendInt(appendInt(out, labelKty), ktyOKP)
	out = appendInt(appendInt(out, labelAlg), EdDSA)
	out = appendInt(appendInt(out, labelCrv), crvEd25519)
	return appendBytes(appendInt(out, labelX), key)
}

func coseRS256(key *rsa.PublicKey) []byte {
	out := appendHead(make([]byte, 0, 288), cborMap, 4)
	out = appendInt(appendInt(out, labelKty), ktyRSA)
	out = appendInt(appendInt(out, labelAlg), RS256)
	out = appendBytes(appendInt(out, labelN), key.N.Bytes())
	return appendBytes(appendInt(out, labelE), []byte{1, 0, 1}) // 65537, which rsa.GenerateKey always uses
}
