package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// maxAnswerBytes bounds an answer of the API: a page of 200 credentials is a
// tenth of it.
const maxAnswerBytes = 1 << 20

// client calls the API with the secret key, and remembers what it did. It
// serves one request of a browser and is not safe for concurrent use.
type client struct {
	url   string
	key   string
	http  *http.Client
	now   func() time.Time
	calls []call
}

// Format keeps the key out of whatever prints.
func (*client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[API client]") }

// apiError is an answer of the API that is no success.
type apiError struct {
	Status  int
	Code    string // class of the failure, such as "not_found"
	Reason  string // stable, such as "LAST_CREDENTIAL"; empty if it wasn't the API that answered
	Message string
}

func (e *apiError) Error() string {
	return fmt.Sprintf("biocore answered %d %s: %s", e.Status, e.Reason, e.Message)
}

// The parts of the API's resources that the bank reads.
type (
	user struct {
		ID          string `json:"id"`
		ExternalID  string `json:"externalId"`
		Name        string `json:"name"`
		DisplayName string `json:"displayName"`
	}
	credential struct {
		ID                string     `json:"id"`
		UserID            string     `json:"userId"`
		Nickname          string     `json:"nickname"`
		AuthenticatorName string     `json:"authenticatorName"`
		AuthenticatorIcon string     `json:"authenticatorIconUrl"` // empty for none
		Transports        []string   `json:"transports"`
		BackupEligible    bool       `json:"backupEligible"`
		BackedUp          bool       `json:"backedUp"`
		State             string     `json:"state"`
		CreatedAt         time.Time  `json:"createdAt"`
		LastUsedAt        *time.Time `json:"lastUsedAt"`
	}
	grant struct {
		ID                   string    `json:"id"`
		CredentialID         string    `json:"credentialId"`
		AAL                  string    `json:"aal"`
		ExpiresAt            time.Time `json:"expiresAt"`
		AccessToken          string    `json:"accessToken"`
		AccessTokenExpiresAt time.Time `json:"accessTokenExpiresAt"`
		RefreshToken         string    `json:"refreshToken"`
	}
	registrationToken struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expiresAt"`
	}
)

// createRegistrationToken lets the browser enroll a passkey for one user.
// subject is {"user": …} or {"userId": …}.
func (c *client) createRegistrationToken(ctx context.Context, subject map[string]any, lifetime time.Duration) (registrationToken, error) {
	subject["expiresInSeconds"] = int(lifetime.Seconds())
	var out registrationToken
	err := c.do(ctx, http.MethodPost, "/v1/registrationTokens", subject, &out)
	return out, err
}

// exchangeCode turns what the browser got from its sign-in into a session.
func (c *client) exchangeCode(ctx context.Context, code string) (user, grant, error) {
	var out struct {
		User    user  `json:"user"`
		Session grant `json:"session"`
	}
	err := c.do(ctx, http.MethodPost, "/v1/authentications:exchange", map[string]any{"code": code}, &out)
	return out.User, out.Session, err
}

// verifySession asks whether an access token still stands. A revoked session
// shows here at once, where a check of the signature alone would miss it.
func (c *client) verifySession(ctx context.Context, accessToken string) (active bool, err error) {
	var out struct {
		Active bool `json:"active"`
	}
	err = c.do(ctx, http.MethodPost, "/v1/sessions:verify", map[string]any{"accessToken": accessToken}, &out)
	return out.Active, err
}

// refreshSession trades the refresh token, which is dead afterwards.
func (c *client) refreshSession(ctx context.Context, refreshToken string) (grant, error) {
	var out struct {
		Session grant `json:"session"`
	}
	err := c.do(ctx, http.MethodPost, "/v1/sessions:refresh", map[string]any{"refreshToken": refreshToken}, &out)
	return out.Session, err
}

func (c *client) revokeSession(ctx context.Context, id, reason string) error {
	return c.do(ctx, http.MethodPost, "/v1/sessions/"+url.PathEscape(id)+":revoke", map[string]any{"reason": reason}, nil)
}

func (c *client) lookupUser(ctx context.Context, externalID string) (user, error) {
	var out user
	err := c.do(ctx, http.MethodGet, "/v1/users:lookup?externalId="+url.QueryEscape(externalID), nil, &out)
	return out, err
}

// passkeys lists the credentials of a user that are not revoked. The policy
// caps credentials a user far below one page.
func (c *client) passkeys(ctx context.Context, userID string) ([]credential, error) {
	var out struct {
		Credentials []credential `json:"credentials"`
	}
	err := c.do(ctx, http.MethodGet, "/v1/users/"+url.PathEscape(userID)+"/credentials?pageSize=200", nil, &out)
	live := out.Credentials[:0]
	for _, one := range out.Credentials {
		if one.State != "REVOKED" {
			live = append(live, one)
		}
	}
	return live, err
}

func (c *client) credential(ctx context.Context, id string) (credential, error) {
	var out credential
	err := c.do(ctx, http.MethodGet, "/v1/credentials/"+url.PathEscape(id), nil, &out)
	return out, err
}

func (c *client) renameCredential(ctx context.Context, id, nickname string) error {
	return c.do(ctx, http.MethodPatch, "/v1/credentials/"+url.PathEscape(id), map[string]any{"nickname": nickname}, nil)
}

func (c *client) revokeCredential(ctx context.Context, id, reason string) error {
	return c.do(ctx, http.MethodPost, "/v1/credentials/"+url.PathEscape(id)+":revoke", map[string]any{"reason": reason}, nil)
}

// signals is what the browser tells the person's password manager afterwards.
// The bank passes it on unread.
func (c *client) signals(ctx context.Context, userID string) (json.RawMessage, error) {
	var out json.RawMessage
	err := c.do(ctx, http.MethodGet, "/v1/users/"+url.PathEscape(userID)+"/signals", nil, &out)
	return out, err
}

// do makes one call, records it, and decodes a success into out. A refusal of
// the API is an *apiError; anything else means it could not be reached.
func (c *client) do(ctx context.Context, method, path string, body map[string]any, out any) error {
	var sent []byte
	var reader io.Reader
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return fmt.Errorf("encode %s: %w", path, err)
		}
		reader = bytes.NewReader(sent)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, reader) //nolint:gosec // G704: the host is configured, ids in the path are escaped
	if err != nil {
		return fmt.Errorf("call %s: %w", path, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Accept", "application/json")
	if sent != nil {
		req.Header.Set("Content-Type", "application/json")
	}

	started := c.now()
	one := call{Origin: "server", Method: method, Path: path, Request: visible(sent), At: started.UTC()}
	answer, status, requestID, err := c.roundTrip(req)
	one.Status, one.RequestID, one.Response = status, requestID, visible(answer)
	one.Millis = millis(c.now().Sub(started))
	c.calls = append(c.calls, one)
	if err != nil {
		return fmt.Errorf("call %s: %w", path, err)
	}
	if status != http.StatusOK {
		return refusal(status, answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("decode %s: %w", path, err)
	}
	return nil
}

func (c *client) roundTrip(req *http.Request) (answer []byte, status int, requestID string, err error) {
	res, err := c.http.Do(req) //nolint:gosec // G704: as in do
	if err != nil {
		return nil, 0, "", err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, maxAnswerBytes))
	return answer, res.StatusCode, res.Header.Get("X-Request-ID"), err
}

// refusal reads the API's error form; what is not in that form keeps its status.
func refusal(status int, answer []byte) error {
	var body struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Details []struct {
			Reason string `json:"reason"`
		} `json:"details"`
	}
	e := &apiError{Status: status}
	if json.Unmarshal(answer, &body) == nil {
		e.Code, e.Message = body.Code, body.Message
		for _, d := range body.Details {
			if d.Reason != "" {
				e.Reason = d.Reason
				break
			}
		}
	}
	return e
}

// hasCode says whether err is the API's refusal of that class.
func hasCode(err error, code string) bool {
	var refused *apiError
	return errors.As(err, &refused) && refused.Code == code
}
