package console

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const limitsPath = "/limits"

// limitsRoutes are the rate limits of a tenant, and what they refused.
func (c *Console) limitsRoutes(mux *router) {
	mux.HandleFunc("GET "+Path+"/t/{slug}"+limitsPath, c.inTenant(apikey.ScopeUsageRead, c.showLimits))
}

type limitsView struct {
	ui.Page

	Limits   []limitView
	Refused  []refusedView
	Rest     int    // rows that are not shown
	Untold   bool   // nobody can tell what was refused
	Off      bool   // the server has no limits
	Says     string // how they hold
	Overload string
}

type limitView struct {
	Label, Name, Calls, By, Held, Refused string
	Instead                               string // of which calls, which other tenants have; empty: it has none of its own
}

// refusedView is who was refused within an hour.
type refusedView struct {
	Hour              ui.Moment
	Limit, Who, Calls string
	Mono              bool
	Href              string // of the key
}

// limitWords are limits as people say them, and what they count.
var limitWords = map[string][2]string{
	ratelimit.PerTenant.Name:           {"Tenant", "all keys of the tenant together"},
	ratelimit.PerKey.Name:              {"Server key", "one key, all methods together"},
	ratelimit.PerPublishableKey.Name:   {"Publishable key", "one key, all visitors together"},
	ratelimit.PerVisitor.Name:          {"Visitor", "one address, or a /64 of IPv6, with a publishable key"},
	ratelimit.PerUser.Name:             {"Sign-ins begun for a name", "one name, whether anybody has it or not"},
	ratelimit.PerCredential.Name:       {"Sign-ins of a credential", "one credential, good signatures alone"},
	ratelimit.PerEndpoint.Name:         {"Costly methods", "one method, by what a call of it costs"},
	ratelimit.PerSigningKeyChange.Name: {"Signing key changes", "the tenant"},
	ratelimit.PerRecovery.Name:         {"Recovery codes tried", "the tenant, all names together"},
	ratelimit.PerDomainLook.Name:       {"Looks at the domain", "the tenant"},
	ratelimit.Shed:                     {"The server was full", ""},
}

const limitsHold = "As many at once, and then evenly. Over it a call answers 429 with Retry-After"

// maxRefused bounds the table: a day of 200 rows an hour is no table.
const maxRefused = 100

func (c *Console) showLimits(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	view := limitsView{Off: c.limits.Off(), Says: limitsHold}
	var recent []ratelimit.Refusals
	if c.limits != nil {
		var err error
		if recent, err = c.limits.Recent(r.Context(), p.sc); err != nil {
			if f, ok := fault.As(err); !ok || f.Kind != fault.Unavailable {
				c.fail(w, r, v, err)
				return
			}
			view.Untold = true
		}
	}
	sums := map[string]int64{}
	for _, one := range recent {
		sums[one.Limit] += one.Calls
	}
	for _, l := range ratelimit.All() {
		words := limitWords[l.Name]
		row := limitView{Label: words[0], Name: l.Name, By: words[1], Calls: callsIn(p.tenant.Limits.Of(l)), Held: "Nearly, over all servers", Refused: ui.Thousands(int(sums[l.Name]))}
		if l.Exact {
			row.Held = "Exactly, over all servers"
		}
		if p.tenant.Limits.Of(l) != l {
			view.Says, row.Instead = limitsHold+". What is other than for other tenants was settled by the staff of this installation", "instead of "+callsIn(l)
		}
		if view.Untold {
			row.Refused = "–"
		}
		view.Limits = append(view.Limits, row)
	}
	if n := sums[ratelimit.Shed]; n > 0 {
		view.Overload = ui.Count(int(n), "call") + " found no room: the server answered 503. This is no limit of yours."
	}
	view.Rest = max(len(recent)-maxRefused, 0)
	var err error
	if view.Refused, err = c.refusedRows(r.Context(), p, recent[:len(recent)-view.Rest]); err != nil {
		c.fail(w, r, v, err)
		return
	}
	view.Page = c.frame(w, r, v, p, "Limits", p.base+limitsPath)
	c.render(w, r, http.StatusOK, c.limitsPage(view))
}

// callsIn is a limit in words: 400 a second.
func callsIn(l *ratelimit.Limit) string {
	span := map[time.Duration]string{time.Second: "a second", time.Minute: "a minute", time.Hour: "an hour"}[l.Window]
	return ui.Thousands(int(l.Max)) + " " + span
}

// limitInputs are the fields of a form that settles a tenant's own limits, with those that it has.
func limitInputs(own *ratelimit.Own) []ui.Input {
	inputs := make([]ui.Input, 0, len(ratelimit.All()))
	for _, l := range ratelimit.All() {
		least, most := l.Bounds()
		input := ui.Input{
			Name: l.Name, Label: limitWords[l.Name][0], Max: 12, Optional: true,
			Hint: ui.Upper(limitWords[l.Name][1]) + ". Empty: " + callsIn(l) + ". Takes " + ui.Thousands(int(least)) + " to " + ui.Thousands(int(most)) + ".",
		}
		if mine := own.Of(l); mine != l {
			input.Value = strconv.FormatInt(mine.Max, 10)
		}
		inputs = append(inputs, input)
	}
	return inputs
}

// limitsOf reads what limitInputs asks for: what is set, and what is left to be as all tenants have
// it. What is no number is settled as -1, which no limit takes.
func limitsOf(values map[string]string) (set []ratelimit.Calls, remove []string) {
	for _, l := range ratelimit.All() {
		text := values[l.Name]
		if text == "" {
			remove = append(remove, l.Name)
			continue
		}
		calls, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			calls = -1
		}
		set = append(set, ratelimit.Calls{Name: l.Name, Calls: calls})
	}
	return set, remove
}

// ownLimits are a tenant's own limits in words.
func ownLimits(own *ratelimit.Own) []string {
	var all []string
	for _, l := range ratelimit.All() {
		if mine := own.Of(l); mine != l {
			all = append(all, limitWords[l.Name][0]+": "+callsIn(mine))
		}
	}
	return all
}

// refusedRows names keys and addresses for those who may know them: keys by their names for who
// reads API keys, addresses for who reads the audit log, where they stand as well.
func (c *Console) refusedRows(ctx context.Context, p *place, recent []ratelimit.Refusals) ([]refusedView, error) {
	keys := map[uuid.UUID]string{}
	rows := make([]refusedView, len(recent))
	for i, one := range recent {
		row := refusedView{Hour: hourOf(one.Hour), Limit: one.Limit, Calls: ui.Thousands(int(one.Calls)), Who: "Not told apart"}
		if words, ok := limitWords[one.Limit]; ok {
			row.Limit = words[0]
		}
		switch id, err := uuid.Parse(one.Who); {
		case err == nil && !p.may(apikey.ScopeAPIKeysRead):
			row.Who = "An API key"
		case err == nil:
			name, err := c.keyName(ctx, p.sc, keys, id)
			if err != nil {
				return nil, err
			}
			if row.Who = "A key that is gone"; name != "" {
				row.Who, row.Href = name, p.base+keysPath+"/"+id.String()
			}
		case one.Who != "" && !p.may(apikey.ScopeAuditRead):
			row.Who = "An address"
		case one.Who != "":
			row.Who, row.Mono = network(one.Who), true
		}
		rows[i] = row
	}
	return rows, nil
}

// keyName is a key's name and what may be shown of it, read once; "": there is none.
func (c *Console) keyName(ctx context.Context, sc scope.Scope, known map[uuid.UUID]string, id uuid.UUID) (string, error) {
	if name, ok := known[id]; ok {
		return name, nil
	}
	k, err := c.apiKeys.Get(ctx, sc, id)
	if f, ok := fault.As(err); ok && f.Kind == fault.NotFound {
		known[id] = ""
		return "", nil
	} else if err != nil {
		return "", err
	}
	known[id] = k.Name + ", " + k.Prefix
	return known[id], nil
}

// network is an address as it was counted: IPv6 by its /64.
func network(address string) string {
	if a, err := netip.ParseAddr(address); err == nil && a.Is6() {
		return address + "/64"
	}
	return address
}

// hourOf is the hour that begins at t, in UTC until the script has put it into the reader's own.
func hourOf(t time.Time) ui.Moment {
	m := ui.At(t)
	m.Text, m.Clock = t.UTC().Format("2 Jan 15:04"), false
	return m
}

// refusedCard is what an overview tells of limits: nil where it may not, or cannot, or there is
// nothing to tell.
func (c *Console) refusedCard(ctx context.Context, p *place) *refusedCardView {
	if c.limits == nil || !p.may(apikey.ScopeUsageRead) {
		return nil
	}
	recent, err := c.limits.Recent(ctx, p.sc)
	if err != nil || len(recent) == 0 {
		return nil
	}
	var sum int64
	by := map[string]int64{}
	top := ""
	for _, one := range recent {
		sum += one.Calls
		if by[one.Limit] += one.Calls; top == "" || by[one.Limit] > by[top] {
			top = one.Limit
		}
	}
	return &refusedCardView{
		Says: ui.Count(int(sum), "call") + " refused by limits in the last 24 hours", Most: "Most by: " + limitWords[top][0], Href: p.base + limitsPath,
	}
}

type refusedCardView struct{ Says, Most, Href string }
