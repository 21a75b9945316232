package siem

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ECSVersion is the release of the Elastic Common Schema that events are of.
const ECSVersion = "9.4.0"

// ecsEvent is an entry in fields of ECS. What ECS has no field for stands under biocore: before, after and
// detail as JSON in text, because their members differ from action to action, and an index that maps each of them
// would refuse the first that is a number here and a text there.
type ecsEvent struct {
	Timestamp    string     `json:"@timestamp"`
	Message      string     `json:"message"`
	ECS          ecsVersion `json:"ecs"`
	Event        ecsFields  `json:"event"`
	User         *ecsUser   `json:"user,omitempty"`
	Source       *ecsSource `json:"source,omitempty"`
	UserAgent    *ecsAgent  `json:"user_agent,omitempty"`
	HTTP         *ecsHTTP   `json:"http,omitempty"`
	Trace        *ecsID     `json:"trace,omitempty"`
	Organization ecsID      `json:"organization"`
	Service      ecsService `json:"service"`
	Related      ecsRelated `json:"related"`
	Biocore      ecsOurs    `json:"biocore"`
}

type ecsVersion struct {
	Version string `json:"version"`
}

type ecsFields struct {
	Kind     string   `json:"kind"`
	Category []string `json:"category"`
	Type     []string `json:"type"`
	Action   string   `json:"action"`
	Outcome  string   `json:"outcome"`
	Reason   string   `json:"reason,omitempty"`
	ID       string   `json:"id"`
	Sequence *int64   `json:"sequence,omitempty"`
	Module   string   `json:"module"`
	Dataset  string   `json:"dataset"`
	Provider string   `json:"provider"`
}

type ecsUser struct {
	ID     string `json:"id,omitempty"`
	Name   string `json:"name,omitempty"`
	Target *ecsID `json:"target,omitempty"`
}

type ecsID struct {
	ID string `json:"id"`
}

type ecsSource struct {
	IP      string `json:"ip"`
	Address string `json:"address"`
}

type ecsAgent struct {
	Original string `json:"original"`
}

type ecsHTTP struct {
	Request ecsID `json:"request"`
}

type ecsService struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type ecsRelated struct {
	IP   []string `json:"ip,omitempty"`
	User []string `json:"user,omitempty"`
}

type ecsOurs struct {
	Actor      *jsonActor  `json:"actor"`
	OnBehalfOf *jsonActor  `json:"on_behalf_of,omitempty"`
	Target     *jsonTarget `json:"target,omitempty"`
	Before     string      `json:"before,omitempty"`
	After      string      `json:"after,omitempty"`
	Detail     string      `json:"detail,omitempty"`
	Redacted   []string    `json:"redacted,omitempty"`
}

func ecsOf(tenant uuid.UUID, seq int64, r *trail.Record, redacted []string) *ecsEvent {
	e := &ecsEvent{
		Timestamp: stamp(r.At), Message: ocsfMessage(r), ECS: ecsVersion{ECSVersion}, Organization: ecsID{tenant.String()}, Service: ecsService{"biocore", "biocore"},
		Event: ecsFields{
			Kind: "event", Action: r.Action, Outcome: "success", Reason: r.Reason, ID: r.ID.String(), Sequence: numbered(seq),
			Module: "biocore", Dataset: "biocore.audit", Provider: "biocore",
		},
		Biocore: ecsOurs{Actor: jsonActorOf(r.Actor), Before: text(r.Before), After: text(r.After), Detail: text(r.Detail), Redacted: redacted},
	}
	if r.Outcome != audit.Success {
		e.Event.Outcome = "failure"
	}
	e.Event.Category, e.Event.Type = ecsCategory(r)
	if r.Actor.Kind == scope.ActorUser || r.Actor.Kind == scope.ActorOperator || r.Actor.Kind == scope.ActorSupport {
		e.User = &ecsUser{ID: r.Actor.ID, Name: r.Actor.Name}
		e.Related.User = append(e.Related.User, r.Actor.ID)
	}
	if user := userOf(r); user != "" && (e.User == nil || user != e.User.ID) {
		if e.User == nil {
			e.User = &ecsUser{}
		}
		e.User.Target = &ecsID{user}
		e.Related.User = append(e.Related.User, user)
	}
	if address := addressOf(r); address != "" {
		e.Source, e.Related.IP = &ecsSource{address, address}, []string{address}
	}
	if r.UserAgent != "" {
		e.UserAgent = &ecsAgent{r.UserAgent}
	}
	if r.RequestID != "" {
		e.HTTP = &ecsHTTP{ecsID{r.RequestID}}
	}
	if r.TraceID != "" {
		e.Trace = &ecsID{r.TraceID}
	}
	if r.OnBehalfOf.Kind != "" {
		e.Biocore.OnBehalfOf = jsonActorOf(r.OnBehalfOf)
	}
	if r.Target.Kind != "" {
		e.Biocore.Target = &jsonTarget{r.Target.Kind, r.Target.ID}
	}
	return e
}

func text(raw json.RawMessage) string { return string(raw) }

// ecsCategory is what ECS calls an action. The types are those that it expects in the category.
func ecsCategory(r *trail.Record) (category, typ []string) {
	noun, verb, _ := strings.Cut(r.Action, ".")
	kind := "change"
	switch {
	case slices.Contains([]string{"create", "found", "invite", "finish"}, verb):
		kind = "creation"
	case slices.Contains([]string{"delete", "destroy", "remove", "revoke", "shred", "uninvite"}, verb):
		kind = "deletion"
	case slices.Contains(ocsfReads, verb):
		kind = "info"
	}
	switch noun {
	case "authentication":
		return []string{"authentication"}, []string{"start"}
	case "session":
		if verb == "revoke" || verb == "revoke_all" {
			return []string{"session"}, []string{"end"}
		}
		return []string{"session"}, []string{"info"}
	case "user", "credential", "registration", "recovery", "contact":
		return []string{"iam"}, []string{"user", kind}
	case "member", "apikey", "support", "ownerrecovery":
		return []string{"iam"}, []string{"admin", kind}
	}
	return []string{"configuration"}, []string{kind}
}
