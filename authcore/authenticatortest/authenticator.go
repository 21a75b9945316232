// Package authenticatortest is a client and an authenticator in software, for
// everybody's tests, the load test and the demo data. It answers the options
// that a relying party's server hands out with what a browser would post back.
//
// It shares no code with the verifier, so that a misunderstanding is not made
// twice. It is honest by default; a Deviation says in which way one answer is
// not. What it leaves out is the client's own refusals: it signs for any RP ID
// on any origin, because the server has to refuse what does not fit.
//
// Private keys lie in memory and nothing protects them.
package authenticatortest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"
)

// The COSE algorithms that credentials can have.
const (
	ES256 = -7
	EdDSA = -8
	RS256 = -257
)

// The flags of authenticator data, for Deviation.
const (
	UP byte = 1 << 0 // user present
	UV byte = 1 << 2 // user verified
	BE byte = 1 << 3 // backup eligible
	BS byte = 1 << 4 // backed up

	flagAttested   byte = 1 << 6
	flagExtensions byte = 1 << 7
)

// Errors that a client rejects the promise with; each names its DOMException.
var (
	ErrExcluded     = errors.New("authenticatortest: InvalidStateError: a credential of this user is already here")
	ErrNoCredential = errors.New("authenticatortest: NotAllowedError: no such credential")
	ErrNoAlgorithm  = errors.New("authenticatortest: NotSupportedError: none of the algorithms is supported")
)

// Options configure an Authenticator. The zero value is a platform
// authenticator that makes device-bound ES256 credentials without attestation.
type Options struct {
	// Algorithms the authenticator supports; the relying party's order decides.
	// Empty: ES256. RSA keys take a tenth of a second to make.
	Algorithms []int

	// Attestation is what Create answers when options ask for direct,
	// indirect or enterprise attestation. As a client does, it answers "none"
	// otherwise, unless it is self attestation.
	Attestation Attestation

	// AAGUID is the model. Zero for fido-u2f, whatever is set here.
	AAGUID [16]byte

	// Nameless leaves the model out of the attestation certificate.
	Nameless bool

	// BackupEligible makes credentials that may be synced (BE), BackedUp ones
	// that are (BE and BS).
	BackupEligible, BackedUp bool

	// NoCounter answers 0 as the signature count, as synced credentials do.
	NoCounter bool

	// CrossPlatform makes it a roaming authenticator on USB.
	CrossPlatform bool

	// Now dates the attestation certificates. nil: time.Now.
	Now func() time.Time
}

// Authenticator holds credentials and uses them. It is safe for concurrent use.
type Authenticator struct {
	opts   Options
	issuer *issuer // nil without certificates

	mu          sync.Mutex
	credentials []*credential            // the newest last
	byID        map[string][]*credential // a load test has thousands
}

// credential is a public key credential source. All but signCount is constant.
type credential struct {
	id         []byte
	rpID       string
	userHandle []byte
	algorithm  int
	key        crypto.Signer
	cose       []byte

	signCount uint32 // guarded by Authenticator.mu
}

// New returns an authenticator without credentials.
func New(opts Options) (*Authenticator, error) {
	if len(opts.Algorithms) == 0 {
		opts.Algorithms = []int{ES256}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.BackedUp {
		opts.BackupEligible = true
	}
	a := &Authenticator{opts: opts, byID: map[string][]*credential{}}
	if opts.Attestation == FIDOU2F {
		a.opts.AAGUID = [16]byte{}
	}
	if opts.Attestation == PackedX5C || opts.Attestation == FIDOU2F {
		named := a.opts.AAGUID
		if opts.Nameless {
			named = [16]byte{}
		}
		var err error
		if a.issuer, err = newIssuer(named, opts.Now()); err != nil {
			return nil, fmt.Errorf("authenticatortest: %w", err)
		}
	}
	return a, nil
}

// Root returns the self-signed root that attestation certificates chain to, in
// DER; nil if the authenticator has none.
func (a *Authenticator) Root() []byte {
	if a.issuer == nil {
		return nil
	}
	return bytes.Clone(a.issuer.root)
}

// Create does navigator.credentials.create() on a page of the origin.
// optionsJSON is a PublicKeyCredentialCreationOptionsJSON.
func (a *Authenticator) Create(optionsJSON []byte, origin string) (RegistrationResponse, error) {
	return a.CreateWith(optionsJSON, origin, Deviation{})
}

// CreateWith is Create with a deviation from what is honest.
func (a *Authenticator) CreateWith(optionsJSON []byte, origin string, dev Deviation) (RegistrationResponse, error) {
	var o creationOptions
	if err := json.Unmarshal(optionsJSON, &o); err != nil {
		return RegistrationResponse{}, fmt.Errorf("authenticatortest: creation options: %w", err)
	}
	if o.RP.ID == "" {
		o.RP.ID = host(origin)
	}
	for _, excluded := range o.ExcludeCredentials {
		if a.find(o.RP.ID, excluded.ID) != nil {
			return RegistrationResponse{}, ErrExcluded
		}
	}
	algorithm, ok := a.algorithm(o)
	if !ok {
		return RegistrationResponse{}, ErrNoAlgorithm
	}
	c, err := newCredential(algorithm, o.RP.ID, o.User.ID)
	if err != nil {
		return RegistrationResponse{}, fmt.Errorf("authenticatortest: %w", err)
	}
	if dev.CredentialID != nil {
		c.id = dev.CredentialID
	}
	clientData := dev.clientData("webauthn.create", o.Challenge, origin)
	authData := dev.authData(c.rpID, a.flags(dev)|flagAttested, a.count(c, dev)) // nobody else has c yet
	authData = append(authData, a.opts.AAGUID[:]...)
	authData = binary.BigEndian.AppendUint16(authData, uint16(len(c.id))) //nolint:gosec // no test makes an ID of 64 KiB
	authData = append(authData, c.id...)
	authData = append(authData, c.cose...)
	authData = append(authData, dev.Extensions...)

	attestation, err := a.attestationObject(o.Attestation, c, authData, clientData, dev)
	if err != nil {
		return RegistrationResponse{}, fmt.Errorf("authenticatortest: %w", err)
	}
	spki, err := x509.MarshalPKIXPublicKey(c.key.Public())
	if err != nil {
		return RegistrationResponse{}, fmt.Errorf("authenticatortest: %w", err)
	}
	a.mu.Lock()
	a.credentials = append(a.credentials, c)
	a.byID[string(c.id)] = append(a.byID[string(c.id)], c)
	a.mu.Unlock()

	answer := RegistrationResponse{
		CredentialID: c.id, ClientDataJSON: clientData, AttestationObject: attestation, AuthenticatorData: authData,
		PublicKey: spki, PublicKeyAlgorithm: algorithm, Transports: []string{"internal"}, Attachment: "platform",
		ClientExtensionResults: []byte("{}"),
	}
	if a.opts.CrossPlatform {
		answer.Transports, answer.Attachment = []string{"usb"}, "cross-platform"
	}
	if o.Extensions.CredProps {
		answer.ClientExtensionResults = []byte(`{"credProps":{"rk":true}}`)
	}
	return answer, nil
}

// Get does navigator.credentials.get() on a page of the origin, with the first
// of the allowed credentials that is here, or with the newest one for the RP ID
// if none is listed. optionsJSON is a PublicKeyCredentialRequestOptionsJSON.
func (a *Authenticator) Get(optionsJSON []byte, origin string) (AuthenticationResponse, error) {
	return a.GetWith(optionsJSON, origin, Deviation{})
}

// GetWith is Get with a deviation from what is honest.
func (a *Authenticator) GetWith(optionsJSON []byte, origin string, dev Deviation) (AuthenticationResponse, error) {
	var o requestOptions
	if err := json.Unmarshal(optionsJSON, &o); err != nil {
		return AuthenticationResponse{}, fmt.Errorf("authenticatortest: request options: %w", err)
	}
	if o.RPID == "" {
		o.RPID = host(origin)
	}
	c := a.choose(o)
	if c == nil {
		return AuthenticationResponse{}, ErrNoCredential
	}
	clientData := dev.clientData("webauthn.get", o.Challenge, origin)
	a.mu.Lock()
	flags, count := a.flags(dev), a.count(c, dev)
	a.mu.Unlock()
	authData := append(dev.authData(c.rpID, flags, count), dev.Extensions...)

	signature, err := c.sign(authData, clientData, dev)
	if err != nil {
		return AuthenticationResponse{}, fmt.Errorf("authenticatortest: %w", err)
	}
	answer := AuthenticationResponse{
		CredentialID: c.id, ClientDataJSON: clientData, AuthenticatorData: authData, Signature: signature,
		UserHandle: c.userHandle, Attachment: "platform", ClientExtensionResults: []byte("{}"),
	}
	if a.opts.CrossPlatform {
		answer.Attachment = "cross-platform"
	}
	if dev.CredentialID != nil {
		answer.CredentialID = dev.CredentialID
	}
	switch {
	case dev.NoUserHandle:
		answer.UserHandle = nil
	case dev.UserHandle != nil:
		answer.UserHandle = dev.UserHandle
	}
	return answer, nil
}

// Forget removes a credential, as its owner does in the system's settings.
func (a *Authenticator) Forget(credentialID []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.credentials = slices.DeleteFunc(a.credentials, func(c *credential) bool { return bytes.Equal(c.id, credentialID) })
	delete(a.byID, string(credentialID))
}

// find returns the credential with this ID, nil if it is not here.
func (a *Authenticator) find(rpID string, id []byte) *credential {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range slices.Backward(a.byID[string(id)]) {
		if c.rpID == rpID {
			return c
		}
	}
	return nil
}

func (a *Authenticator) choose(o requestOptions) *credential {
	for _, allowed := range o.AllowCredentials {
		if c := a.find(o.RPID, allowed.ID); c != nil {
			return c
		}
	}
	if len(o.AllowCredentials) > 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range slices.Backward(a.credentials) {
		if c.rpID == o.RPID {
			return c
		}
	}
	return nil
}

func (a *Authenticator) algorithm(o creationOptions) (int, bool) {
	for _, p := range o.PubKeyCredParams {
		if slices.Contains(a.opts.Algorithms, p.Alg) && p.Type == "public-key" {
			return p.Alg, true
		}
	}
	return 0, false
}

func (a *Authenticator) flags(dev Deviation) byte {
	flags := UP | UV
	if a.opts.Attestation == FIDOU2F {
		flags = UP // U2F knows no user verification
	}
	if a.opts.BackupEligible {
		flags |= BE
	}
	if a.opts.BackedUp {
		flags |= BS
	}
	if len(dev.Extensions) > 0 {
		flags |= flagExtensions
	}
	return flags&^dev.ClearFlags | dev.SetFlags
}

// count returns the signature count of the next answer. a.mu is held, unless
// the credential is new.
func (a *Authenticator) count(c *credential, dev Deviation) uint32 {
	switch {
	case dev.SignCount != nil:
		c.signCount = dev.SignCount(c.signCount)
	case !a.opts.NoCounter:
		c.signCount++
	}
	return c.signCount
}

// host returns the domain of an origin, which is the RP ID of options without one.
func host(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func newCredential(algorithm int, rpID string, userHandle []byte) (*credential, error) {
	c := &credential{id: make([]byte, 32), rpID: rpID, userHandle: userHandle, algorithm: algorithm}
	if _, err := rand.Read(c.id); err != nil {
		return nil, err
	}
	var err error
	switch algorithm {
	case ES256:
		var key *ecdsa.PrivateKey
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
		c.key = key
		c.cose, err = coseES256(&key.PublicKey)
	case EdDSA:
		var public ed25519.PublicKey
		if public, c.key, err = generateEd25519(); err == nil {
			c.cose = coseEdDSA(public)
		}
	case RS256:
		var key *rsa.PrivateKey
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return nil, err
		}
		c.key, c.cose = key, coseRS256(&key.PublicKey)
	default:
		err = fmt.Errorf("algorithm %d", algorithm)
	}
	return c, err
}

func generateEd25519() (ed25519.PublicKey, crypto.Signer, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	return public, private, err
}

// sign makes the assertion signature, and that of self attestation: over the
// authenticator data and the hash of the client data.
func (c *credential) sign(authData, clientData []byte, dev Deviation) ([]byte, error) {
	signer := c
	if dev.WrongKey {
		var err error
		if signer, err = newCredential(c.algorithm, "", nil); err != nil {
			return nil, err
		}
	}
	hash := sha256.Sum256(clientData)
	var buf [256]byte
	return sign(signer.key, append(append(buf[:0], authData...), hash[:]...))
}

// sign makes the signature that the key's algorithm defines, over the message.
func sign(key crypto.Signer, message []byte) ([]byte, error) {
	if _, ok := key.(ed25519.PrivateKey); ok {
		return key.Sign(rand.Reader, message, crypto.Hash(0))
	}
	digest := sha256.Sum256(message)
	return key.Sign(rand.Reader, digest[:], crypto.SHA256)
}
