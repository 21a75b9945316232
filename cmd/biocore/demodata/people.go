package demodata

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
)

// given and family make names of people who live where the bank has customers.
var (
	given = strings.Fields("Ingrid Mateus Priya Daniel Sofie Tomás Amelia Henrik Leila Jonas Elena Ruth Kaito Aoife Wanjiru Oskar " +
		"Petra Leif Nadia Marco Freya Yusuf Chloé Anton Mei Rafael Signe Omar Klara Dmitri Noor Lucas Hanna Idris Maja Pavel Zoë Erik Farah Nils")
	family = strings.Fields("Halvorsen Oliveira Raman Okafor Lund Ferreira Chen Bakke Nouri Keller Vasquez Adeyemi Tanaka Brennan Mwangi Pettersen " +
		"Novak Aune Haddad Rossi Lindqvist Demir Moreau Berg Wang Costa Holm Farouk Svensson Ivanov Rahman Silva Nyström Diallo Jensen Horák Visser Dahl Aziz Solheim")
)

// model is an authenticator that people have.
type model struct {
	aaguid   uuid.UUID
	share    int // of a hundred
	options  authenticatortest.Options
	agents   []string
	nickname string
}

// models are what customers of a bank hold in 2026, about.
var models = []model{
	{uuid.MustParse("fbfc3007-154e-4ecc-8c0b-6e020557d7bd"), 41, authenticatortest.Options{BackedUp: true, NoCounter: true}, []string{
		"Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15",
	}, "iPhone"},
	{uuid.MustParse("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"), 31, authenticatortest.Options{BackedUp: true, NoCounter: true}, []string{
		"Mozilla/5.0 (Linux; Android 16; Pixel 10) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/152.0.0.0 Mobile Safari/537.36",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/152.0.0.0 Safari/537.36",
	}, "Pixel"},
	{uuid.MustParse("08987058-cadc-4b81-b6e1-30de50dcbe96"), 15, authenticatortest.Options{}, []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/152.0.0.0 Safari/537.36 Edg/152.0.0.0",
	}, "Work laptop"},
	{uuid.MustParse("bada5566-a7aa-401f-bd96-45619a55120d"), 6, authenticatortest.Options{BackedUp: true, NoCounter: true}, []string{
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/152.0.0.0 Safari/537.36",
	}, "1Password"},
	{uuid.MustParse("2fc0579f-8113-47ea-b116-bb5a8db9202a"), 5, authenticatortest.Options{CrossPlatform: true}, []string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:150.0) Gecko/20100101 Firefox/150.0",
	}, "Blue YubiKey"},
	{uuid.MustParse("53414d53-554e-4700-0000-000000000000"), 2, authenticatortest.Options{BackedUp: true, NoCounter: true}, []string{
		"Mozilla/5.0 (Linux; Android 16; SM-S942B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/30.0 Chrome/148.0.0.0 Mobile Safari/537.36",
	}, "Galaxy"},
}

// person is a customer, and what they sign in with.
type person struct {
	external, name, display string
	address                 netip.Addr
	weight                  float64 // how often they sign in, beside the others
	devices                 []*device
}

// device is an authenticator with the passkeys of one person.
type device struct {
	*authenticatortest.Authenticator

	model      *model
	agent      string
	credential string      // base64url, once there is one
	dead       atomic.Bool // revoked or suspended: it is seldom tried again
}

// someone is the nth customer.
func someone(rng *rand.Rand, n int) *person {
	first, last := given[(n*7+n/len(given))%len(given)], family[(n*11+n/3)%len(family)]
	name := fmt.Sprintf("%s.%s%d@example.com", plain(first), plain(last), n%10)
	return &person{
		external: fmt.Sprintf("cust_%07d", 31_000+n*137), name: name, display: first + " " + last,
		address: address(rng), weight: 0.15 + rng.ExpFloat64(),
	}
}

// plain is a name in the letters of an e-mail address.
func plain(name string) string {
	return strings.NewReplacer("á", "a", "é", "e", "ë", "e", "ö", "o").Replace(strings.ToLower(name))
}

// address is one of the ranges that are kept for documentation (RFC 5737, RFC 3849): no
// demo points at anybody.
func address(rng *rand.Rand) netip.Addr {
	last := byte(1 + rng.IntN(254)) //nolint:gosec // under 255
	switch rng.IntN(4) {
	case 0:
		return netip.AddrFrom4([4]byte{192, 0, 2, last})
	case 1:
		return netip.AddrFrom4([4]byte{198, 51, 100, last})
	case 2:
		return netip.AddrFrom4([4]byte{203, 0, 113, last})
	}
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, last, 15: last})
}

// pick is a model by its share.
func pick(rng *rand.Rand) *model {
	at := rng.IntN(100)
	for i := range models {
		if at -= models[i].share; at < 0 {
			return &models[i]
		}
	}
	return &models[0]
}
