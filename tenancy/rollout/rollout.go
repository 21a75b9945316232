// Package rollout has what of Biocore itself is rolled out by degrees, or can be turned off without a restart: the
// switches, and the one way in which Biocore's own code asks for them, an OpenFeature client
// (https://openfeature.dev/specification/sections/flag-evaluation). Who answers is configured: Biocore's own flags of the
// reserved tenant, which the staff change in the console, or a provider from elsewhere (see package provider).
//
// A switch is asked for a tenant, never for a person: the evaluation context has the tenant's id and nothing else. It is
// asked where a job begins or a stream opens, and never in the course of a registration or sign-in, since a provider from
// elsewhere may take half a second to say nothing.
package rollout

import (
	"slices"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/biocore-id/biocore/tenancy/scope"
)

// Switch is a boolean flag of Biocore's own.
type Switch struct {
	Key     string // as providers have it
	Name    string // for people
	Does    string // what is no more where it is off
	Owner   string // whom to ask
	Default bool   // what holds while nobody says anything
}

// The switches. Each is asked for by the package that it is about: a test looks for that.
var (
	LiveStreams = Switch{
		Key: "biocore.live-streams", Name: "Live streams of ceremonies", Owner: "authcore/tail", Default: true,
		Does: "Off: live streams of the tenant's ceremonies, in the console and by the API, end within seconds and are refused. The lists go on. For when Postgres or Redis is short of breath: each stream asks Postgres once a second.",
	}
	AuditArchiving = Switch{
		Key: "biocore.audit-archiving", Name: "Archiving of audit logs", Owner: "tenancy/audit/cold", Default: true,
		Does: "Off: nothing of the tenant's audit log is moved to object storage or removed from the database, from the next piece on. It waits, and goes on from where it was. For when object storage is not to be trusted.",
	}
	TextScans = Switch{
		Key: "biocore.text-scans", Name: "Scans for personal data and secrets", Owner: "tenancy/governance/dlp", Default: true,
		Does: "Off: no scan of the tenant's texts begins or goes on, and none is asked for by schedule; one under way stops after its page. They wait. For when scans load the database.",
	}
)

// All returns every switch, by key.
func All() []Switch {
	all := []Switch{LiveStreams, AuditArchiving, TextScans}
	slices.SortFunc(all, func(a, b Switch) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return all
}

// Attributes of the evaluation context, beside the targeting key, which is the tenant's id.
const (
	// AttributeTenant is the tenant's id again: who somebody is stands in no condition of Biocore's own flags, and a switch
	// is to be turned off for one tenant alone.
	AttributeTenant = "tenant"
	// AttributeKind is what the targeting key names, as LaunchDarkly has it.
	AttributeKind = "kind"
)

// about is the evaluation context of a tenant.
func about(sc scope.Scope) openfeature.EvaluationContext {
	return openfeature.NewEvaluationContext(sc.Tenant().String(), attributes(sc))
}

func attributes(sc scope.Scope) map[string]any {
	return map[string]any{AttributeTenant: sc.Tenant().String(), AttributeKind: "tenant"}
}
