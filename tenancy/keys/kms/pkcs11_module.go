//go:build pkcs11 && cgo

package kms

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/miekg/pkcs11"
)

// module is a PKCS#11 library, loaded and initialised. Its state is the process's and
// not a caller's: all who use a library share one module.
type module struct {
	path string

	// calls is held for reading by every call into the library, and for writing while it
	// is initialised anew, which ends every session.
	calls      sync.RWMutex
	ctx        *pkcs11.Ctx
	generation int // how often it was initialised; 0: it is not
}

// modules are the libraries of this process, by path.
var modules = struct {
	sync.Mutex
	loaded map[string]*module
}{loaded: map[string]*module{}}

// loadModule returns the module at path.
func loadModule(path string) (*module, error) {
	modules.Lock()
	defer modules.Unlock()
	if m := modules.loaded[path]; m != nil {
		return m, nil
	}
	ctx := pkcs11.New(path)
	if ctx == nil {
		return nil, fmt.Errorf("%s is no PKCS#11 library, or cannot be loaded", path)
	}
	m := &module{path: path, ctx: ctx}
	if err := m.initialize(); err != nil {
		return nil, err
	}
	modules.loaded[path] = m
	return m, nil
}

// initialize is called with calls held for writing, or before anybody has m.
func (m *module) initialize() error {
	err := m.ctx.Initialize()
	if err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
		return unavailable(fmt.Errorf("initialise %s: %w", m.path, err))
	}
	m.generation++
	return nil
}

// again initialises the library anew, unless somebody has done so since generation: a
// library may hold a token that went away for lost until then (SoftHSM does). A call
// that hangs in the library keeps it from happening; the others go on without.
func (m *module) again(generation int) {
	const patience = 500 * time.Millisecond // a call's second attempt still has time after it
	for deadline := time.Now().Add(patience); !m.calls.TryLock(); {
		if time.Now().After(deadline) {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	defer m.calls.Unlock()
	if m.generation != generation {
		return
	}
	_ = m.ctx.Finalize()                           // whatever it says: what counts is the next line
	_ = m.initialize()                             // the next call finds out
	m.generation = max(m.generation, generation+1) // no session of before is good, whatever happened
}

// slot finds the slot with the token, which must be the only one of its name.
func (m *module) slot(u pkcs11URI) (uint, error) {
	slots, err := m.ctx.GetSlotList(true)
	if err != nil {
		return 0, fmt.Errorf("list slots: %w", err)
	}
	var found []uint
	for _, slot := range slots {
		info, err := m.ctx.GetTokenInfo(slot)
		if err == nil && info.Label == u.token && (u.serial == "" || info.SerialNumber == u.serial) {
			found = append(found, slot)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return 0, errNoToken
	}
	return 0, refusal("%d tokens are called %q: name one by its serial", len(found), u.token)
}

var errNoToken = errors.New("no such token is present")

// refused is an answer of the token, or about it, that asking again will not change.
type refused struct{ error }

func refusal(format string, args ...any) error { return refused{fmt.Errorf(format, args...)} }
