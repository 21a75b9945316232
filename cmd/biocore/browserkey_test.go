package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
)

// signInForCode signs in with the publishable key, which is answered a code.
func (w *world) signInForCode(t testing.TB, c *customer) answer {
	t.Helper()
	return w.must(t, "POST", "/v1/authentications:finish", c.publishable, w.assert(t, c, c.publishable, map[string]any{}, authenticatortest.Deviation{}))
}

// exchanges is a case in which something happens between a code and its exchange.
func exchanges(happens func(t *testing.T, w *world, c *customer, code string)) func(*testing.T, *world, *customer) func() answer {
	return func(t *testing.T, w *world, c *customer) func() answer {
		code := w.signInForCode(t, c).text("code")
		happens(t, w, c, code)
		return func() answer {
			return w.call(t, "POST", "/v1/authentications:exchange", c.secret, map[string]any{"code": code})
		}
	}
}

// A browser gets no tokens but a code, which its server trades once, within a minute.
func TestBadCode(t *testing.T) {
	w := newWorld(t)
	afterwards := w.later(t, 61*time.Second)
	globex := w.tenant(t, "globex")
	w.enroll(t, globex, "bob")
	w.refuse(t, nil, []bad{
		{"made up", sends("POST", "/v1/authentications:exchange", map[string]any{"code": "AAAA"}), 400, "CODE_INVALID", nil},
		{"a registration token", func(t *testing.T, w *world, c *customer) func() answer {
			token := w.must(t, "POST", "/v1/registrationTokens", c.secret, map[string]any{"userId": c.user}).text("token")
			return func() answer {
				return w.call(t, "POST", "/v1/authentications:exchange", c.secret, map[string]any{"code": token})
			}
		}, 400, "CODE_INVALID", nil},
		{"another tenant's", func(t *testing.T, w *world, c *customer) func() answer {
			code := w.signInForCode(t, globex).text("code")
			return func() answer {
				return w.call(t, "POST", "/v1/authentications:exchange", c.secret, map[string]any{"code": code})
			}
		}, 400, "CODE_INVALID", nil},
		{"too late", func(t *testing.T, w *world, c *customer) func() answer {
			code := w.signInForCode(t, c).text("code")
			return func() answer {
				return afterwards.call(t, "POST", "/v1/authentications:exchange", c.secret, map[string]any{"code": code})
			}
		}, 400, "CODE_EXPIRED", nil},
		{"twice", exchanges(func(t *testing.T, w *world, c *customer, code string) {
			w.must(t, "POST", "/v1/authentications:exchange", c.secret, map[string]any{"code": code})
		}), 400, "CODE_ALREADY_USED", nil},
		{"by the browser itself", func(t *testing.T, w *world, c *customer) func() answer {
			code := w.signInForCode(t, c).text("code")
			return func() answer {
				return w.call(t, "POST", "/v1/authentications:exchange", c.publishable, map[string]any{"code": code})
			}
		}, 403, "API_KEY_KIND_NOT_ALLOWED", nil},
		{"the sessions were revoked", exchanges(func(t *testing.T, w *world, c *customer, _ string) {
			w.must(t, "POST", "/v1/users/"+c.user+"/sessions:revoke", c.secret, map[string]any{})
		}), 400, "SESSION_REVOKED", nil},
		{"the user was blocked", exchanges(func(t *testing.T, w *world, c *customer, _ string) {
			w.must(t, "POST", "/v1/users/"+c.user+":block", c.secret, map[string]any{})
		}), 400, "SESSION_REVOKED", nil},
		{"the credential was revoked", exchanges(func(t *testing.T, w *world, c *customer, _ string) {
			w.must(t, "POST", "/v1/credentials/"+c.credential+":revoke", c.secret, map[string]any{"allowLast": true})
		}), 400, "SESSION_REVOKED", nil},
		{"the user was erased", exchanges(func(t *testing.T, w *world, c *customer, _ string) {
			w.must(t, "DELETE", "/v1/users/"+c.user, c.secret, nil)
		}), 400, "SESSION_REVOKED", nil},
		{"the tenant was suspended", exchanges(func(t *testing.T, w *world, c *customer, _ string) {
			w.must(t, "POST", "/admin/v1/tenants/"+c.id+":suspend", w.platformKey, map[string]any{})
		}), 403, "TENANT_SUSPENDED", nil},
		{"a cut code", func(t *testing.T, w *world, c *customer) func() answer {
			code := w.signInForCode(t, c).text("code")
			return func() answer {
				return w.call(t, "POST", "/v1/authentications:exchange", c.secret, map[string]any{"code": code[:len(code)-2]})
			}
		}, 400, "CODE_INVALID", nil},
	})
}

// What a publishable key is answered holds nothing that a page must not have, also
// where the tenant gives it access tokens.
func TestBrowsersGetNoRefreshToken(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	a := w.signInForCode(t, c)
	if a.text("decision") != "ALLOW" || a.text("code") == "" || a.at("session") != nil || strings.Contains(a.raw, "Token") {
		t.Errorf("a browser is answered %s, want a code alone", a)
	}
	traded := w.must(t, "POST", "/v1/authentications:exchange", c.secret, map[string]any{"code": a.text("code")})
	if traded.text("session", "accessToken") == "" || traded.text("session", "refreshToken") == "" || traded.text("user", "id") != c.user {
		t.Errorf("the server is answered %s", traded)
	}

	if _, err := w.store.Superuser(t).Exec(t.Context(), "UPDATE tenants SET direct_tokens = true WHERE id = $1", c.id); err != nil {
		t.Fatal(err)
	}
	w.must(t, "PATCH", "/admin/v1/tenants/"+c.id, w.platformKey, map[string]any{"name": "Direct"})
	a = w.signInForCode(t, c)
	if a.text("session", "accessToken") == "" || a.text("session", "refreshToken") != "" || a.at("code") != nil {
		t.Errorf("a browser of a tenant with direct tokens is answered %s", a)
	}
}

// A registration token enrolls one credential, for one user, of one tenant.
func TestBadRegistrationToken(t *testing.T) {
	w := newWorld(t)
	afterwards := w.later(t, 2*time.Minute)
	globex := w.tenant(t, "globex")
	w.enroll(t, globex, "bob")
	token := func(t *testing.T, c *customer) string {
		t.Helper()
		return w.must(t, "POST", "/v1/registrationTokens", c.secret, map[string]any{"userId": c.user, "expiresInSeconds": 60}).text("token")
	}
	begin := func(t *testing.T, w *world, c *customer, token string) answer {
		t.Helper()
		return w.call(t, "POST", "/v1/registrations:begin", c.publishable, map[string]any{"registrationToken": token})
	}
	// enrolled begins with a token, on a new device.
	enrolled := func(t *testing.T, c *customer, token string) (answer, authenticatortest.RegistrationResponse) {
		t.Helper()
		begun := begin(t, w, c, token)
		made, err := software(t).Create(marshal(t, begun.at("options")), origin)
		if err != nil {
			t.Fatalf("%s: %v", begun, err)
		}
		return begun, made
	}
	w.refuse(t, nil, []bad{
		{"made up", func(t *testing.T, w *world, c *customer) func() answer {
			return func() answer { return begin(t, w, c, "AAAA") }
		}, 400, "REGISTRATION_TOKEN_INVALID", nil},
		{"a code", func(t *testing.T, w *world, c *customer) func() answer {
			code := w.signInForCode(t, c).text("code")
			return func() answer { return begin(t, w, c, code) }
		}, 400, "REGISTRATION_TOKEN_INVALID", nil},
		{"another tenant's", func(t *testing.T, w *world, c *customer) func() answer {
			theirs := token(t, globex)
			return func() answer { return begin(t, w, c, theirs) }
		}, 400, "REGISTRATION_TOKEN_INVALID", nil},
		{"too late to begin", func(t *testing.T, _ *world, c *customer) func() answer {
			tok := token(t, c)
			return func() answer { return begin(t, afterwards, c, tok) }
		}, 400, "REGISTRATION_TOKEN_EXPIRED", nil},
		{"too late to finish", func(t *testing.T, _ *world, c *customer) func() answer {
			begun, made := enrolled(t, c, token(t, c))
			return func() answer { return afterwards.finishRegistration(t, c, c.publishable, begun, made) }
		}, 400, "REGISTRATION_TOKEN_EXPIRED", nil},
		{"begun again after it was used", func(t *testing.T, w *world, c *customer) func() answer {
			tok := token(t, c)
			begun, made := enrolled(t, c, tok)
			if a := w.finishRegistration(t, c, c.publishable, begun, made); a.status != http.StatusOK {
				t.Fatal(a)
			}
			return func() answer { return begin(t, w, c, tok) }
		}, 400, "REGISTRATION_TOKEN_ALREADY_USED", nil},
		{"two registrations of one token", func(t *testing.T, w *world, c *customer) func() answer {
			tok := token(t, c)
			begun, made := enrolled(t, c, tok)
			second, other := enrolled(t, c, tok)
			if a := w.finishRegistration(t, c, c.publishable, begun, made); a.status != http.StatusOK {
				t.Fatal(a)
			}
			return func() answer { return w.finishRegistration(t, c, c.publishable, second, other) }
		}, 400, "REGISTRATION_TOKEN_ALREADY_USED", nil},
		{"the user is blocked meanwhile", func(t *testing.T, w *world, c *customer) func() answer {
			begun, made := enrolled(t, c, token(t, c))
			w.must(t, "POST", "/v1/users/"+c.user+":block", c.secret, map[string]any{})
			return func() answer { return w.finishRegistration(t, c, c.publishable, begun, made) }
		}, 403, "USER_BLOCKED", nil},
		{"the tenant has moved to another RP ID", func(t *testing.T, w *world, c *customer) func() answer {
			tok := w.must(t, "POST", "/v1/registrationTokens", c.secret, map[string]any{"user": newcomer["user"]}).text("token")
			if _, err := w.store.Superuser(t).Exec(t.Context(), "UPDATE tenants SET rp_id = 'login.example.com' WHERE id = $1", c.id); err != nil {
				t.Fatal(err)
			}
			w.must(t, "PATCH", "/admin/v1/tenants/"+c.id, w.platformKey, map[string]any{"name": "Moved"})
			w.must(t, "POST", "/admin/v1/tenants/"+c.id+":vouchDomain", w.platformKey, map[string]any{"reason": "a test's"})
			return func() answer { return begin(t, w, c, tok) }
		}, 400, "REGISTRATION_TOKEN_INVALID", nil},
		{"by a browser", func(t *testing.T, w *world, c *customer) func() answer {
			return func() answer {
				return w.call(t, "POST", "/v1/registrationTokens", c.publishable, map[string]any{"userId": c.user})
			}
		}, 403, "API_KEY_KIND_NOT_ALLOWED", nil},
		{"for nobody", sends("POST", "/v1/registrationTokens", map[string]any{"userId": "0193a7d2-5b1e-7000-8000-000000000000"}), 404, "USER_UNKNOWN", nil},
		{"for another tenant's user", func(t *testing.T, w *world, c *customer) func() answer {
			return func() answer {
				return w.call(t, "POST", "/v1/registrationTokens", c.secret, map[string]any{"userId": globex.user})
			}
		}, 404, "USER_UNKNOWN", nil},
		{"for ever", sends("POST", "/v1/registrationTokens", map[string]any{"user": newcomer["user"], "expiresInSeconds": 86401}), 400, "REQUEST_INVALID", nil},
	})

	t.Run("a cancelled prompt does not burn it", func(t *testing.T) {
		c := w.tenant(t, "cancelled")
		w.enroll(t, c, "alice")
		tok := token(t, c)
		enrolled(t, c, tok) // nothing is finished
		begun, made := enrolled(t, c, tok)
		a := w.finishRegistration(t, c, c.publishable, begun, made)
		if a.status != http.StatusOK || a.text("user", "id") != c.user {
			t.Errorf("after a cancelled prompt: %s", a)
		}
	})
	t.Run("it enrolls its user and nobody else", func(t *testing.T) {
		c := w.tenant(t, "bound")
		w.enroll(t, c, "alice")
		tok := token(t, c)
		both := map[string]any{"registrationToken": tok, "user": newcomer["user"]}
		if a := w.call(t, "POST", "/v1/registrations:begin", c.publishable, both); a.status != http.StatusBadRequest {
			t.Errorf("a token for one, a name of another: %s", a)
		}
	})
}
