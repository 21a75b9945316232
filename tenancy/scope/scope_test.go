package scope_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/scope"
)

func TestZeroScopes(t *testing.T) {
	key := scope.Actor{Kind: scope.ActorAPIKey, ID: "k"}
	for name, sc := range map[string]scope.Scope{
		"the zero value":             {},
		"no tenant":                  scope.New(uuid.Nil, key),
		"no actor":                   scope.New(uuid.New(), scope.Actor{}),
		"another actor for the zero": scope.Scope{}.WithActor(key),
		"an actor without a kind":    scope.New(uuid.New(), key).WithActor(scope.Actor{ID: "x"}),
		"an origin for the zero":     scope.Scope{}.WithOrigin(scope.Origin{RequestID: "r"}),
		"support without a grant":    scope.New(uuid.New(), scope.Actor{Kind: scope.ActorSupport, ID: uuid.NewString()}),
		"support of a nil grant":     scope.ForSupport(uuid.New(), uuid.New(), "Sam", scope.Support{By: key}),
		"support by nobody's word":   scope.ForSupport(uuid.New(), uuid.New(), "Sam", scope.Support{GrantID: uuid.New()}),
		"support of nobody":          scope.ForSupport(uuid.New(), uuid.Nil, "Sam", scope.Support{GrantID: uuid.New(), By: key}),
		"somebody become support":    scope.New(uuid.New(), key).WithActor(scope.Actor{Kind: scope.ActorSupport, ID: "x"}),
		"support become a key":       support().WithActor(key),
		"support's actor anew":       scope.New(uuid.New(), support().Actor()),
	} {
		if !sc.IsZero() {
			t.Errorf("%s: not zero: %+v", name, sc)
		}
		if _, err := scope.FromContext(scope.NewContext(t.Context(), sc)); !errors.Is(err, scope.ErrMissing) {
			t.Errorf("%s: FromContext error = %v, want %v", name, err, scope.ErrMissing)
		}
	}
	if _, err := scope.FromContext(context.Background()); !errors.Is(err, scope.ErrMissing) {
		t.Errorf("empty context: %v", err)
	}
}

func support() scope.Scope {
	return scope.ForSupport(uuid.New(), uuid.New(), "Sam", scope.Support{GrantID: uuid.New(), By: scope.Actor{Kind: scope.ActorOperator, ID: "o"}})
}

func TestScopeTravels(t *testing.T) {
	tenant := uuid.New()
	want := scope.New(tenant, scope.Actor{Kind: scope.ActorAPIKey, ID: "k"}).WithOrigin(scope.Origin{RequestID: "r1"})
	got, err := scope.FromContext(scope.NewContext(t.Context(), want))
	if err != nil || got != want {
		t.Fatalf("FromContext = %+v, %v, want %+v", got, err, want)
	}
	if u := got.WithActor(scope.Actor{Kind: scope.ActorUser, ID: "u"}); u.Tenant() != tenant || u.Actor().ID != "u" || u.Origin().RequestID != "r1" {
		t.Errorf("WithActor = %+v", u)
	}
}
