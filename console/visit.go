package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/support"
)

// visit is one request of somebody who is signed in.
type visit struct {
	session     member.Session
	person      user.User
	memberships []member.Membership
	staff       *member.Member   // nil for people who are not of the staff
	support     []support.Placed // where one of the staff has been let in, now
	origin      scope.Origin
	fresh       bool // a passkey was used recently enough for a sensitive act
}

// in is a tenant, as the person acts in it.
func (v *visit) in(tenant uuid.UUID) scope.Scope {
	return scope.New(tenant, operator(v.person.ID.UUID(), v.person.Name)).WithOrigin(v.origin)
}

func operator(person uuid.UUID, name string) scope.Actor {
	return scope.Actor{Kind: scope.ActorOperator, ID: person.String(), Name: name}
}

// worksIn reports whether the person is a member of a tenant.
func (v *visit) worksIn(tenant uuid.UUID) bool {
	return slices.ContainsFunc(v.memberships, func(m member.Membership) bool { return m.TenantID == tenant })
}

// platform is the reserved tenant, as the person acts in it.
func (v *visit) platform() scope.Scope { return v.in(scope.PlatformTenant) }

// signedIn wraps what takes somebody who is signed in.
func (c *Console) signedIn(next func(http.ResponseWriter, *http.Request, *visit)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := c.visit(r)
		switch {
		case err == nil:
			next(w, r, v)
		case isJSON(r):
			c.refuse(w, r, err)
		default:
			c.fail(w, r, nil, err)
		}
	}
}

// visit finds out who a request's cookie stands for: member.ErrSignedOut for nobody.
func (c *Console) visit(r *http.Request) (*visit, error) {
	cookie, err := r.Cookie(c.sessionCookieName())
	if err != nil {
		return nil, member.ErrSignedOut
	}
	ctx := r.Context()
	found, err := c.members.Find(ctx, cookie.Value)
	if err != nil {
		return nil, err
	}
	v := &visit{session: found, origin: c.origin(ctx), fresh: found.Fresh(c.now())}
	reads, ctx := errgroup.WithContext(ctx)
	reads.Go(func() (err error) {
		v.person, err = c.users.Get(ctx, c.platformScope(ctx), user.ID(found.PersonID))
		if errors.Is(err, user.ErrNotFound) {
			return member.ErrSignedOut
		}
		return err
	})
	reads.Go(func() (err error) {
		v.memberships, err = c.members.Memberships(ctx, found.PersonID)
		return err
	})
	reads.Go(func() error {
		staff, err := c.members.Of(ctx, scope.New(scope.PlatformTenant, operator(found.PersonID, "")), found.PersonID)
		if errors.Is(err, member.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		v.staff = &staff
		v.support, err = c.support.Running(ctx, found.PersonID)
		return err
	})
	if err := reads.Wait(); err != nil {
		return nil, err
	}
	return v, nil
}

// toSignIn sends somebody to the sign-in, and back afterwards.
func (c *Console) toSignIn(w http.ResponseWriter, r *http.Request) {
	c.clearSession(w)
	query := url.Values{}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		if next := local(r.URL.RequestURI()); next != Path {
			query.Set("next", next)
		}
	} else {
		query.Set("after", "end")
	}
	to := Path + "/signin"
	if len(query) > 0 {
		to += "?" + query.Encode()
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// removedPerson is what somebody is called who is a user no more.
const removedPerson = "Removed person"

// names returns what people are called. Whoever is gone is a removed person.
func (c *Console) names(ctx context.Context, people []uuid.UUID) (map[uuid.UUID]string, error) {
	names := map[uuid.UUID]string{}
	var asked []user.ID
	for _, id := range people {
		if _, twice := names[id]; !twice && id != uuid.Nil {
			names[id] = removedPerson
			asked = append(asked, user.ID(id))
		}
	}
	for some := range slices.Chunk(asked, user.MaxProfiles) {
		found, err := c.users.Profiles(ctx, c.platformScope(ctx), some)
		if err != nil {
			return nil, err
		}
		for id, p := range found {
			if p.Name != "" {
				names[id.UUID()] = p.Name
			}
		}
	}
	return names, nil
}
