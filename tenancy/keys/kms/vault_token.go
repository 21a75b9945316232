package kms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// vaultToken is a token of Vault's, kept alive: it is renewed when two thirds of its
// time are over, and where it came by a login, replaced when it cannot be renewed.
type vaultToken struct {
	vault *vault
	now   func() time.Time

	file  string // holds the token, and is read again each time; "" for none
	login func(ctx context.Context) (path string, body map[string]string, err error)

	lock chan struct{} // holds one element while somebody is at what follows

	value     string
	renewable bool
	renewAt   time.Time // zero: it never expires
	expires   time.Time
	lease     time.Duration // as it was when the token was new; 0: not looked up yet
	loggedIn  time.Time     // when a login gave it; zero: none did
}

// forever is the lease of a token that never expires.
const forever = time.Duration(-1)

// loginPause is the least time between two logins because a token was refused. Vault
// says the same of a token that was revoked and of a policy that lacks a path, and there
// a login for each request would fill Vault with leases and help nobody.
const loginPause = 30 * time.Second

var vaultAuthOptions = []string{"token-file", "auth", "mount", "role", "jwt-file", "role-id", "secret-id-file"}

// serviceAccountToken is where Kubernetes puts a pod's own, and writes it anew.
const serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

func newVaultToken(v *vault, given map[string]string, now func() time.Time) (*vaultToken, error) {
	t := &vaultToken{vault: v, now: now, lock: make(chan struct{}, 1)}
	switch given["auth"] {
	case "":
		if given["mount"]+given["role"]+given["jwt-file"]+given["role-id"]+given["secret-id-file"] != "" {
			return nil, errors.New("the Vault KMS URL has options of a login, but no auth=kubernetes or auth=approle")
		}
		t.file = cmp.Or(given["token-file"], os.Getenv("VAULT_TOKEN_FILE"))
		if t.value = os.Getenv("VAULT_TOKEN"); t.file == "" && t.value == "" {
			return nil, errors.New("no Vault token: set VAULT_TOKEN or VAULT_TOKEN_FILE, or name a login (auth=kubernetes, auth=approle)")
		}
		if t.file != "" {
			t.value = ""
		}
	case "kubernetes":
		if given["role"] == "" {
			return nil, errors.New("auth=kubernetes needs role")
		}
		path := cmp.Or(given["mount"], "kubernetes")
		t.login = func(context.Context) (string, map[string]string, error) {
			// Kubernetes makes this file readable by the whole pod, which is its user.
			jwt, err := os.ReadFile(cmp.Or(given["jwt-file"], serviceAccountToken))
			if err != nil {
				return "", nil, fmt.Errorf("read service account token: %w", err)
			}
			return path, map[string]string{"role": given["role"], "jwt": string(jwt)}, nil
		}
	case "approle":
		if given["role-id"] == "" || given["secret-id-file"] == "" {
			return nil, errors.New("auth=approle needs role-id and secret-id-file")
		}
		path := cmp.Or(given["mount"], "approle")
		t.login = func(context.Context) (string, map[string]string, error) {
			secret, err := secretFile(given["secret-id-file"])
			if err != nil {
				return "", nil, fmt.Errorf("read secret id: %w", err)
			}
			return path, map[string]string{"role_id": given["role-id"], "secret_id": secret}, nil
		}
	default:
		return nil, errors.New("auth is kubernetes or approle")
	}
	return t, nil
}

// get returns a token that is good as far as is known here.
func (t *vaultToken) get(ctx context.Context) (string, error) {
	select {
	case t.lock <- struct{}{}:
		defer func() { <-t.lock }()
	case <-ctx.Done():
		return "", noAnswer(ctx, ctx.Err())
	}
	if err := t.obtain(ctx); err != nil {
		return "", err
	}
	if t.renewAt.IsZero() || t.now().Before(t.renewAt) {
		return t.value, nil
	}
	err := t.renew(ctx)
	if err != nil && t.now().Before(t.expires) {
		err = nil // it is good for a while yet; the next call tries again
	}
	return t.value, err
}

// obtain makes sure that there is a token, and that its time is known.
func (t *vaultToken) obtain(ctx context.Context) error {
	value := t.value
	if t.file != "" {
		var err error
		if value, err = secretFile(t.file); err != nil {
			return fmt.Errorf("read Vault token: %w", err)
		}
	}
	switch {
	case value == "":
		return t.logIn(ctx)
	case value == t.value && t.lease != 0:
		return nil
	}
	var self struct {
		Data struct {
			TTL       int64 `json:"ttl"` // seconds; 0 for a token that never expires
			Renewable bool
		}
	}
	if err := t.vault.send(ctx, http.MethodGet, "auth/token/lookup-self", value, nil, &self); err != nil {
		return fmt.Errorf("look up Vault token: %w", err)
	}
	t.adopt(value, self.Data.TTL, self.Data.Renewable)
	return nil
}

func (t *vaultToken) adopt(value string, seconds int64, renewable bool) {
	t.value, t.renewable = value, renewable
	t.lease, t.renewAt, t.expires = forever, time.Time{}, time.Time{}
	if seconds > 0 {
		t.setLease(time.Duration(seconds) * time.Second)
		t.lease = t.expires.Sub(t.now())
	}
}

func (t *vaultToken) setLease(d time.Duration) {
	now := t.now()
	t.expires, t.renewAt = now.Add(d), now.Add(d*2/3)
}

// auth is Vault's answer to a login and to a renewal.
type vaultAuth struct {
	Auth struct {
		ClientToken   string `json:"client_token"`
		LeaseDuration int64  `json:"lease_duration"` // seconds
		Renewable     bool
	}
}

func (t *vaultToken) logIn(ctx context.Context) error {
	if t.login == nil {
		return errors.New("the Vault token was refused, and there is no other")
	}
	path, body, err := t.login(ctx)
	if err != nil {
		return err
	}
	var got vaultAuth
	if err := t.vault.send(ctx, http.MethodPost, "auth/"+path+"/login", "", body, &got); err != nil {
		return fmt.Errorf("log in to Vault by %s: %w", path, err)
	}
	if got.Auth.ClientToken == "" {
		return errors.New("the login to Vault gave no token")
	}
	t.adopt(got.Auth.ClientToken, got.Auth.LeaseDuration, got.Auth.Renewable)
	t.loggedIn = t.now()
	return nil
}

// renew prolongs the token. Vault shortens what it grants towards the end of a
// token's longest life, so less than half of the first lease asks for a new login.
func (t *vaultToken) renew(ctx context.Context) error {
	var got vaultAuth
	err := errors.New("the Vault token expires and cannot be renewed")
	if t.renewable {
		if err = t.vault.send(ctx, http.MethodPost, "auth/token/renew-self", t.value, map[string]any{}, &got); err == nil {
			granted := time.Duration(got.Auth.LeaseDuration) * time.Second
			t.setLease(granted)
			if t.login == nil || granted >= t.lease/2 {
				return nil
			}
		}
	}
	if t.login != nil {
		return t.logIn(ctx)
	}
	return fmt.Errorf("renew Vault token: %w", err)
}

// forget gives up a token that Vault refused, and reports whether there may be
// another: by a login, or because the file says something else by now. A token from a
// login of a moment ago is kept: the refusal is about what was asked.
func (t *vaultToken) forget(refused string) bool {
	t.lock <- struct{}{}
	defer func() { <-t.lock }()
	if t.value != refused {
		return true // somebody else was first
	}
	if t.login != nil {
		if t.now().Sub(t.loggedIn) < loginPause {
			return false
		}
		t.value = ""
		return true
	}
	if t.file == "" {
		return false
	}
	value, err := secretFile(t.file)
	return err == nil && value != refused
}

// run renews the token while nobody asks for it, until ctx ends.
func (t *vaultToken) run(ctx context.Context) {
	const soonest, latest = time.Second, time.Minute // the file may hold another token by then
	for {
		t.lock <- struct{}{}
		wait := latest
		if !t.renewAt.IsZero() {
			if wait = t.renewAt.Sub(t.now()); wait <= 0 { // the last try failed
				wait = t.lease / 10
			}
			wait = min(max(wait, soonest), latest)
		}
		<-t.lock
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		// What fails here is tried again soon, and reported by whoever needs the token.
		_, _ = call(ctx, t.get)
	}
}
