package demo

import (
	"encoding/json"
	"errors"
	"net/http"
)

// answer is what the server part tells a page's script.
type answer struct {
	// Calls are what this request made of the API, for the panel.
	Calls []call `json:"calls"`
	// Next is where to go now, or empty to stay.
	Next string `json:"next,omitempty"`
	// Problem is why it was refused; nil on success.
	Problem *problem `json:"problem,omitempty"`

	// RegistrationToken lets the page enroll a passkey, once.
	RegistrationToken string `json:"registrationToken,omitempty"`
	// Signals is for the browser's Signal API, as Biocore gave it.
	Signals json.RawMessage `json:"signals,omitempty"`
}

// problem is a refusal in words for the person. Reason is Biocore's, or one of
// the bank's own.
type problem struct {
	Reason  string `json:"reason"`
	Title   string `json:"title"`
	Message string `json:"message"`
	// Field is the id of the input that is wrong; empty if it is none.
	Field string `json:"field,omitempty"`

	status int
}

// problems are the bank's own refusals and those of the API that a person at
// this bank can do something about.
var problems = map[string]problem{
	"SIGNED_OUT": {
		status: http.StatusUnauthorized, Title: "You are signed out",
		Message: "Your session ended. Sign in again to go on.",
	},
	"ACCOUNT_EXISTS": {
		status: http.StatusConflict, Title: "This email has an account", Field: "email",
		Message: "Sign in with its passkey. You can add another one under Security.",
	},
	"EMAIL_NEEDED": {
		status: http.StatusUnprocessableEntity, Title: "An email is needed", Field: "email",
		Message: "It looks like name@example.com.",
	},
	"NAME_NEEDED": {
		status: http.StatusUnprocessableEntity, Title: "Your name is needed", Field: "name",
		Message: "Up to 64 characters.",
	},
	"NICKNAME_NEEDED": {
		status: http.StatusUnprocessableEntity, Title: "A name is needed", Field: "nickname",
		Message: "Up to 64 characters, such as Work laptop.",
	},
	"CREDENTIAL_UNKNOWN": {
		status: http.StatusNotFound, Title: "This passkey is gone",
		Message: "It was removed in the meantime. Reload to see what is left.",
	},
	"LAST_CREDENTIAL": {
		status: http.StatusConflict, Title: "This is your only passkey",
		Message: "Without it you could not sign in again. Add another one first, then remove this one.",
	},
	"TOO_MANY_CREDENTIALS": {
		status: http.StatusConflict, Title: "You have as many passkeys as the bank allows",
		Message: "Remove one that you no longer use, then add this one.",
	},
	"USER_BLOCKED": {
		status: http.StatusForbidden, Title: "This account is blocked",
		Message: "Nothing can be changed in it for now.",
	},
	"CODE_INVALID": {
		status: http.StatusBadRequest, Title: "The bank could not pick up your sign-in",
		Message: "Sign in again.",
	},
	"CODE_EXPIRED": {
		status: http.StatusBadRequest, Title: "The sign-in took too long",
		Message: "The bank has a minute to pick it up. Sign in again.",
	},
	"CODE_ALREADY_USED": {
		status: http.StatusConflict, Title: "That sign-in was used already",
		Message: "Each one works once. Sign in again.",
	},
	"RATE_LIMITED": {
		status: http.StatusTooManyRequests, Title: "Too many tries",
		Message: "Wait a moment, then go on.",
	},
}

// unreachable is said when Biocore gave no answer that the bank understands.
var unreachable = problem{
	status: http.StatusBadGateway, Reason: "BANK_CANNOT_REACH_BIOCORE", Title: "We cannot check sign-ins right now",
	Message: "Our sign-in service did not answer. Nothing was changed. Try again in a moment.",
}

// because returns the bank's own problem of that name.
func because(reason string) *problem {
	p := problems[reason]
	p.Reason = reason
	return &p
}

// problemOf puts an error in words. What is no refusal of the API, or one that
// is the bank's own fault, is not explained to the person.
func problemOf(err error) *problem {
	if errors.Is(err, errSignedOut) {
		return because("SIGNED_OUT")
	}
	var refused *apiError
	if errors.As(err, &refused) && refused.Status < http.StatusInternalServerError {
		if _, known := problems[refused.Reason]; known {
			return because(refused.Reason)
		}
		return &problem{
			status: http.StatusBadGateway, Reason: refused.Reason, Title: "Biocore refused this",
			Message: refused.Message,
		}
	}
	p := unreachable
	return &p
}

// reply answers a page's script.
func (b *Bank) reply(w http.ResponseWriter, r *http.Request, api *client, a answer) {
	a.Calls = api.calls
	if a.Calls == nil {
		a.Calls = []call{}
	}
	status := http.StatusOK
	if a.Problem != nil {
		status = a.Problem.status
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(a); err != nil {
		b.options.Log.WarnContext(r.Context(), "answer was not written", "err", err)
	}
}

// refuse answers a page's script that something didn't work, and logs it if it
// is the bank's fault or Biocore's.
func (b *Bank) refuse(w http.ResponseWriter, r *http.Request, api *client, err error) {
	p := problemOf(err)
	b.logFailure(r, p, err)
	b.reply(w, r, api, answer{Problem: p})
}

// showFailure answers with a page that something didn't work.
func (b *Bank) showFailure(w http.ResponseWriter, r *http.Request, api *client, err error) {
	p := problemOf(err)
	b.logFailure(r, p, err)
	b.render(w, r, p.status, b.failurePage(*p, api.calls))
}

// logFailure tells the operator of what a person couldn't help, unless that
// person went away meanwhile.
func (b *Bank) logFailure(r *http.Request, p *problem, err error) {
	if p.status >= http.StatusInternalServerError && r.Context().Err() == nil {
		b.options.Log.WarnContext(r.Context(), "biocore call failed", "err", err)
	}
}

// read decodes what a page's script posted.
func read[T any](r *http.Request) (T, error) {
	var v T
	err := json.NewDecoder(r.Body).Decode(&v)
	return v, err
}
