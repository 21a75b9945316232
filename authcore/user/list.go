package user

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// The orders of List.
const (
	ByCreation = "createdAt" // the default, the newest first
	BySignIn   = "lastSignInAt"
)

// List returns one page of the tenant's users, each with its Passkeys. Orders: createdAt and
// lastSignInAt, both ways; who never signed in counts as before everybody.
//
// Filters: externalId (=), externalIdPrefix (=), name (=), search (=), email (=), phone (=),
// state (=, !=), hasPasskey (=), createdAt and lastSignInAt (= < <= > >=).
//
// Names are stored sealed: name finds users of whose name or display name each word asked
// for begins a word; one of fewer than three letters is found whole. externalIdPrefix takes
// four characters or more, or a whole id. search is either of the two. All of them, and
// addresses, are compared without regard to case, and read by creation, the newest first. A
// search that has looked at 20,000 users who may be meant ends its page there, with fewer
// users or none, and NextToken goes on.
//
// Filters and orders by the last sign-in go by the session that it opened; the answers' times
// are the credentials'. listing.ErrFilter, listing.ErrOrderBy, listing.ErrPageToken; a
// *DamagedError when a contact on the page does not open, since a page that leaves it out
// would be believed.
func (s *Service) List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[User], error) {
	var page listing.Page[User]
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	q, err := parseQuestion(ring, req)
	if err != nil {
		return page, err
	}
	query := listing.Query{List: "users", Filter: req.Filter, Order: req.OrderBy}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	if q.after, err = parseCursor(cursor); err != nil {
		return page, err
	}
	if q.none {
		return page, nil
	}
	if q.bySignIn() && sc.Actor().Kind != scope.ActorSupport { // who may only look goes by what is there
		if err := s.takeSignIns(ctx, sc); err != nil {
			return page, err
		}
	}
	q.limit = req.Limit()
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		page = listing.Page[User]{}
		found, end, err := q.find(ctx, tx, ring)
		if err != nil {
			return err
		}
		if end != nil {
			page.NextToken = listing.Seal(ring, query, end.bytes())
		}
		if page.Items, err = rowsOf(ctx, tx, ring, found); err != nil {
			return err
		}
		damaged, err := openContacts(ctx, tx, ring, page.Items)
		if err == nil && len(damaged) > 0 {
			err = damaged[0]
		}
		return err
	})
	if err != nil {
		return listing.Page[User]{}, s.alarm(ctx, sc, err)
	}
	return page, nil
}

// mark is where a page ends: the last of it.
type mark struct {
	at time.Time // the last sign-in, of a list by it
	id uuid.UUID
}

func (m *mark) bytes() []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(m.at.UnixMicro())), m.id[:]...)
}

func parseCursor(cursor []byte) (*mark, error) {
	if cursor == nil {
		return nil, nil //nolint:nilnil // the first page
	}
	if len(cursor) != 8+16 {
		return nil, listing.ErrPageToken
	}
	at := time.UnixMicro(int64(binary.BigEndian.Uint64(cursor))).UTC() //nolint:gosec // the same 64 bits, whatever their sign
	return &mark{at: at, id: uuid.UUID(cursor[8:])}, nil
}

// question is what a list is asked, parsed.
type question struct {
	none   bool // nothing can match
	wanted wanted
	by     search
	order  listing.Order

	external        []byte // the blind index of an external id; nil for any
	state           *string
	bare            *bool
	created, signed listing.Span

	after *mark
	limit int
}

// bySignIn reports whether the answer depends on who signed in when.
func (q *question) bySignIn() bool {
	return q.order.Field == BySignIn || q.signed.From != nil || q.signed.Before != nil
}

// find returns the users of a page, and where it ends if there may be more.
func (q *question) find(ctx context.Context, tx *db.TenantTx, ring *keys.Ring) ([]uuid.UUID, *mark, error) {
	switch {
	case q.external != nil:
		found, err := q.findExact(ctx, tx, ring)
		return found, nil, err
	case q.by != search{}:
		return q.findByContact(ctx, tx, ring)
	}
	if err := tx.PlanByValue(ctx); err != nil {
		return nil, nil, fmt.Errorf("plan by value: %w", err)
	}
	if q.wanted.some() {
		return q.findByTerms(ctx, tx, ring)
	}
	return q.walk(ctx, tx)
}

// findExact looks one external id up, and then whether all else holds.
func (q *question) findExact(ctx context.Context, tx *db.TenantTx, ring *keys.Ring) ([]uuid.UUID, error) {
	row, err := tx.GetUserByExternalIndex(ctx, q.external)
	if db.IsNoRows(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("get user by external id: %w", err)
	}
	if q.by != (search{}) {
		same := *q
		same.external, same.limit = nil, listing.MaxPageSize
		for {
			found, end, err := same.findByContact(ctx, tx, ring)
			if err != nil {
				return nil, err
			}
			for _, id := range found {
				if id == row.ID {
					return []uuid.UUID{id}, nil
				}
			}
			if end == nil {
				return nil, nil
			}
			same.after = end
		}
	}
	fact, err := tx.GetUserFact(ctx, row.ID)
	if err != nil {
		return nil, fmt.Errorf("get user's facts: %w", err)
	}
	if !q.holds(fact.State, fact.Bare, fact.CreatedAt, fact.LastSignInAt) {
		return nil, nil
	}
	if q.wanted.some() {
		p, err := OpenProfile(ring, ID(row.ID), row.ProfileSealed)
		if err != nil {
			return nil, err
		}
		if !q.wanted.matches(p) {
			return nil, nil
		}
	}
	return []uuid.UUID{row.ID}, nil
}

// holds reports whether facts are as the filter asks.
func (q *question) holds(state string, bare bool, created, signed time.Time) bool {
	return (q.state == nil || state == *q.state) && (q.bare == nil || bare == *q.bare) && q.created.Holds(created) && q.signed.Holds(signed)
}

// searchBatch and searchBudget bound the users who are opened for a page: 2 ms and 0.1 s.
const (
	searchBatch  = 500
	searchBudget = 20_000
)

// findByTerms opens who may be meant, and keeps who is.
func (q *question) findByTerms(ctx context.Context, tx *db.TenantTx, ring *keys.Ring) (found []uuid.UUID, end *mark, err error) {
	p := tenantq.SearchUserTermsParams{MaxRows: searchBatch}
	p.First, p.Others, p.Alternative = q.wanted.terms(ring)
	if q.after != nil {
		p.AfterID = &q.after.id
	}
	for looked := 0; ; {
		rows, err := tx.SearchUserTerms(ctx, p)
		if err != nil {
			return nil, nil, fmt.Errorf("search users: %w", err)
		}
		for _, row := range rows {
			if !q.holds(row.State, row.Bare, row.CreatedAt, row.LastSignInAt) {
				continue
			}
			// A profile that does not open has nothing to be found by.
			if profile, err := OpenProfile(ring, ID(row.ID), row.ProfileSealed); err != nil || !q.wanted.matches(profile) {
				continue
			}
			if len(found) == q.limit { // there is another one
				return found, &mark{id: found[len(found)-1]}, nil
			}
			found = append(found, row.ID)
		}
		if len(rows) < searchBatch {
			return found, nil, nil
		}
		last := rows[len(rows)-1].ID
		p.AfterID = &last
		if looked += len(rows); looked >= searchBudget {
			return found, &mark{id: last}, nil
		}
	}
}

// walk reads the facts in the order asked for.
func (q *question) walk(ctx context.Context, tx *db.TenantTx) ([]uuid.UUID, *mark, error) {
	p := tenantq.ListUserFactsNewestParams{
		State: q.state, Bare: q.bare, CreatedFrom: q.created.From, CreatedBefore: q.created.Before,
		SignInFrom: q.signed.From, SignInBefore: q.signed.Before, MaxRows: int32(q.limit) + 1, //nolint:gosec // at most listing.MaxPageSize; one more tells whether there is a next page
	}
	var at *time.Time
	if q.after != nil {
		p.AfterID, at = &q.after.id, &q.after.at
	}
	var rows []tenantq.ListUserFactsNewestRow
	var err error
	switch {
	case q.order.Field == ByCreation && q.order.Down:
		rows, err = tx.ListUserFactsNewest(ctx, p)
	case q.order.Field == ByCreation:
		rows, err = converted(tx.ListUserFactsOldest(ctx, tenantq.ListUserFactsOldestParams(p)))
	default:
		s := tenantq.ListUserFactsLastSeenParams{
			AfterID: p.AfterID, AfterAt: at, State: p.State, Bare: p.Bare, CreatedFrom: p.CreatedFrom, CreatedBefore: p.CreatedBefore,
			SignInFrom: p.SignInFrom, SignInBefore: p.SignInBefore, MaxRows: p.MaxRows,
		}
		if q.order.Down {
			rows, err = converted(tx.ListUserFactsLastSeen(ctx, s))
		} else {
			rows, err = converted(tx.ListUserFactsLongestAway(ctx, tenantq.ListUserFactsLongestAwayParams(s)))
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list users: %w", err)
	}
	return q.cut(rows)
}

// converted makes rows of one type of those of the queries that are alike.
func converted[R ~struct {
	UserID       uuid.UUID
	LastSignInAt time.Time
}](list []R, err error) ([]tenantq.ListUserFactsNewestRow, error) {
	rows := make([]tenantq.ListUserFactsNewestRow, len(list))
	for i, row := range list {
		rows[i] = tenantq.ListUserFactsNewestRow(row)
	}
	return rows, err
}

// cut takes a page of rows, which are one more if there is a next page.
func (q *question) cut(rows []tenantq.ListUserFactsNewestRow) (found []uuid.UUID, end *mark, err error) {
	if len(rows) > q.limit {
		rows = rows[:q.limit]
		last := rows[q.limit-1]
		end = &mark{at: last.LastSignInAt, id: last.UserID}
	}
	for _, row := range rows {
		found = append(found, row.UserID)
	}
	return found, end, nil
}

// rowsOf reads users, in the order of ids.
func rowsOf(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, ids []uuid.UUID) ([]User, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := tx.GetUserRows(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("get users: %w", err)
	}
	byID := make(map[uuid.UUID]*tenantq.GetUserRowsRow, len(rows))
	for i := range rows {
		byID[rows[i].ID] = &rows[i]
	}
	users := make([]User, 0, len(ids))
	for _, id := range ids {
		row := byID[id]
		if row == nil {
			continue // erased between the two statements
		}
		p, err := OpenProfile(ring, ID(row.ID), row.ProfileSealed)
		if err != nil {
			return nil, err
		}
		u := newUser(tenantq.GetUserRow{
			ID: row.ID, Handle: row.Handle, ExternalIndex: row.ExternalIndex, ProfileSealed: row.ProfileSealed, State: row.State,
			CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, Version: row.Version, LastSignInAt: row.LastSignInAt,
		}, p)
		if len(row.Kinds) > 0 {
			u.Passkeys = make([]PasskeyKind, len(row.Kinds))
		}
		for i, kind := range row.Kinds {
			u.Passkeys[i] = PasskeyKind(kind)
		}
		users = append(users, u)
	}
	return users, nil
}

// search is what a filter says of contacts: values as they are compared, empty for any.
type search Contact

// findByContact reads a page through the index of contacts.
func (q *question) findByContact(ctx context.Context, tx *db.TenantTx, ring *keys.Ring) ([]uuid.UUID, *mark, error) {
	if _, err := admitKeys(ctx, tx); err != nil {
		return nil, nil, err
	}
	p := tenantq.ListUsersOfContactParams{
		Kind: string(Email), Compared: q.by.Email, IndexKey: ring.SQLIndexKey(contactField).Reveal(),
		State: q.state, Bare: q.bare, CreatedFrom: q.created.From, CreatedBefore: q.created.Before,
		SignInFrom: q.signed.From, SignInBefore: q.signed.Before, MaxRows: int32(q.limit) + 1, //nolint:gosec // as in walk
	}
	if q.after != nil {
		p.AfterID = &q.after.id
	}
	switch phone := string(Phone); {
	case q.by.Email == "":
		p.Kind, p.Compared = phone, q.by.Phone
	case q.by.Phone != "":
		p.OtherKind, p.OtherCompared = &phone, &q.by.Phone
	}
	rows, err := converted(tx.ListUsersOfContact(ctx, p))
	if err != nil {
		return nil, nil, fmt.Errorf("list users of a contact: %w", err)
	}
	return q.cut(rows)
}

// parseQuestion reads a request's filter and order.
func parseQuestion(ring *keys.Ring, req listing.Request) (q question, err error) {
	terms, err := listing.Parse(req.Filter)
	if err != nil {
		return q, err
	}
	if q.order, err = listing.ParseOrder(req.OrderBy, ByCreation, BySignIn); err != nil {
		return q, err
	}
	var external, email, phone, prefix, name, anyOf listing.Exact
	states := listing.NewChoice(string(Active), string(Blocked))
	enrolled := listing.NewChoice("true", "false")
	for _, t := range terms {
		switch t.Field {
		case "externalId":
			err = external.Narrow(t)
		case "externalIdPrefix":
			err = prefix.Narrow(t)
		case "name":
			err = name.Narrow(t)
		case "search":
			err = anyOf.Narrow(t)
		case "email":
			err = narrowContact(&email, Email, t)
		case "phone":
			err = narrowContact(&phone, Phone, t)
		case "state":
			err = states.Narrow(t)
		case "hasPasskey":
			err = enrolled.Narrow(t)
		case "createdAt":
			err = q.created.Narrow(t)
		case "lastSignInAt":
			err = q.signed.Narrow(t)
		default:
			err = t.Refuse("expected one of search, name, externalId, externalIdPrefix, email, phone, state, hasPasskey, createdAt, lastSignInAt")
		}
		if err == nil && (t.Field == "name" || t.Field == "search") && strings.TrimSpace(t.Literal) == "" {
			err = t.Refuse("expected what to search for")
		}
		if err != nil {
			return q, err
		}
	}
	q.by = search{Email: email.Value, Phone: phone.Value}
	if q.wanted, err = newWanted(name, prefix, anyOf); err != nil {
		return q, err
	}
	if (q.by != search{}) && q.wanted.some() {
		return q, listing.ErrFilter.WithMessage("filter: a search by name or prefix is not combined with an address")
	}
	if external.Set {
		q.external = ring.Index(externalID, external.Value)
	}
	searching := q.wanted.some() || q.by != search{}
	if searching && (q.order.Field != ByCreation || !q.order.Down) {
		return q, listing.ErrOrderBy.WithMessage("orderBy: what a search finds is read by createdAt desc")
	}
	if left := states.Left(); len(left) == 1 {
		q.state = &left[0]
	} else if len(left) == 0 {
		q.none = true
	}
	if left := enrolled.Left(); len(left) == 1 {
		bare := left[0] == "false"
		q.bare = &bare
	} else if len(left) == 0 {
		q.none = true
	}
	// A name without a word in it is nobody's.
	q.none = q.none || external.Conflict || email.Conflict || phone.Conflict || prefix.Conflict || name.Conflict || anyOf.Conflict ||
		(name.Set || anyOf.Set || prefix.Set) && !q.wanted.some()
	return q, nil
}

// newWanted joins what is said of names and the beginning of external ids. A search by
// either is not combined with one of them.
func newWanted(name, prefix, anyOf listing.Exact) (w wanted, err error) {
	if anyOf.Set && (name.Set || prefix.Set) {
		return w, listing.ErrFilter.WithMessage("filter: search is either, name or externalIdPrefix: it is not combined with them")
	}
	if anyOf.Set {
		return wanted{name: words(anyOf.Value), prefix: fold(strings.TrimSpace(anyOf.Value)), either: true}, nil
	}
	return wanted{name: words(name.Value), prefix: fold(prefix.Value)}, nil
}

// narrowContact applies one comparison with an address, in the form that is compared:
// two spellings of one address are no conflict. What is no address is refused, rather
// than found with nobody.
func narrowContact(e *listing.Exact, kind ContactKind, t listing.Term) error {
	clean, err := cleanContact(kind, t.Literal)
	if err == nil {
		t.Literal, err = compared(kind, clean)
	}
	if err != nil {
		return t.Refuse("expected an e-mail address, or a phone number of the form +4915112345678")
	}
	return e.Narrow(t)
}
