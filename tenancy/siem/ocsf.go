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

// OCSFVersion is the release of the Open Cybersecurity Schema Framework that events are of.
const OCSFVersion = "1.8.0"

// The classes that entries become, and their categories.
const (
	ocsfIAM         = 3
	ocsfApplication = 6

	ocsfAccountChange    = 3001
	ocsfAuthentication   = 3002
	ocsfEntityManagement = 3004
	ocsfAPIActivity      = 6003

	ocsfOther = 99 // an activity that the class has no number for: activity_name tells
)

// ocsfEvent is an event of one of these classes. What is required of each stands in docs/siem.md.
type ocsfEvent struct {
	ActivityID   int           `json:"activity_id"`
	ActivityName string        `json:"activity_name"`
	CategoryUID  int           `json:"category_uid"`
	CategoryName string        `json:"category_name"`
	ClassUID     int           `json:"class_uid"`
	ClassName    string        `json:"class_name"`
	TypeUID      int           `json:"type_uid"`
	TypeName     string        `json:"type_name"`
	Time         int64         `json:"time"` // milliseconds
	SeverityID   int           `json:"severity_id"`
	Severity     string        `json:"severity"`
	StatusID     int           `json:"status_id"`
	Status       string        `json:"status"`
	StatusCode   string        `json:"status_code,omitempty"` // the reason of a refusal
	Message      string        `json:"message"`
	Metadata     ocsfMetadata  `json:"metadata"`
	Actor        ocsfActor     `json:"actor"`
	SrcEndpoint  *ocsfEndpoint `json:"src_endpoint,omitempty"`
	HTTPRequest  *ocsfRequest  `json:"http_request,omitempty"`
	User         *ocsfUser     `json:"user,omitempty"`      // 3001, 3002
	Service      *ocsfNamed    `json:"service,omitempty"`   // 3002
	Entity       *ocsfEntity   `json:"entity,omitempty"`    // 3004
	Comment      string        `json:"comment,omitempty"`   // 3004
	API          *ocsfAPI      `json:"api,omitempty"`       // 6003
	Resources    []ocsfEntity  `json:"resources,omitempty"` // 6003
	Unmapped     *ocsfUnmapped `json:"unmapped,omitempty"`
}

type ocsfMetadata struct {
	Version          string    `json:"version"`
	Product          ocsfNamed `json:"product"`
	UID              string    `json:"uid"`
	OriginalEventUID string    `json:"original_event_uid"`
	EventCode        string    `json:"event_code"`
	LogName          string    `json:"log_name"`
	TenantUID        string    `json:"tenant_uid"`
	Sequence         *int64    `json:"sequence,omitempty"`
	OriginalTime     string    `json:"original_time"`
	CorrelationUID   string    `json:"correlation_uid,omitempty"` // of the request
}

type ocsfNamed struct {
	Name       string `json:"name"`
	VendorName string `json:"vendor_name,omitempty"`
}

type ocsfUser struct {
	UID    string `json:"uid,omitempty"`
	Name   string `json:"name,omitempty"`
	TypeID int    `json:"type_id"`
	Type   string `json:"type"`
}

type ocsfActor struct {
	User    *ocsfUser `json:"user,omitempty"`
	AppUID  string    `json:"app_uid,omitempty"` // an API key, or this installation
	AppName string    `json:"app_name,omitempty"`
}

type ocsfEndpoint struct {
	IP      string `json:"ip,omitempty"`
	SvcName string `json:"svc_name,omitempty"`
}

type ocsfRequest struct {
	UID       string `json:"uid,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
}

type ocsfEntity struct {
	UID    string `json:"uid"`
	Type   string `json:"type"`
	TypeID *int   `json:"type_id,omitempty"` // of managed entities alone
}

type ocsfAPI struct {
	Operation string     `json:"operation"`
	Service   ocsfNamed  `json:"service"`
	Request   *ocsfAsked `json:"request,omitempty"`
}

type ocsfAsked struct {
	UID string `json:"uid"`
}

type ocsfUnmapped struct {
	OnBehalfOf *jsonActor      `json:"onBehalfOf,omitempty"`
	Target     *jsonTarget     `json:"target,omitempty"`
	TraceID    string          `json:"traceId,omitempty"`
	Before     json.RawMessage `json:"before,omitempty"`
	After      json.RawMessage `json:"after,omitempty"`
	Detail     json.RawMessage `json:"detail,omitempty"`
	Redacted   []string        `json:"redacted,omitempty"`
}

// activity is what a class calls a verb.
type activity struct {
	id   int
	name string
}

// Activities by the ends of our actions. What is not in a table is Other, with our own word.
var (
	ocsfAccount = map[string]activity{
		"user.create": {1, "Create"}, "user.unblock": {2, "Enable"}, "user.block": {5, "Disable"}, "user.delete": {6, "Delete"},
		"registration.finish": {10, "MFA Factor Enable"}, "credential.resume": {10, "MFA Factor Enable"}, "recovery.codes_create": {10, "MFA Factor Enable"},
		"credential.revoke": {11, "MFA Factor Disable"}, "credential.suspend": {11, "MFA Factor Disable"}, "recovery.codes_delete": {11, "MFA Factor Disable"},
	}
	ocsfAuth = map[string]activity{
		"authentication.finish": {1, "Logon"}, "authentication.exchange": {1, "Logon"},
		"session.revoke": {2, "Logoff"}, "session.revoke_all": {2, "Logoff"},
	}
	ocsfManage = map[string]activity{
		"create": {1, "Create"}, "invite": {1, "Create"}, "found": {1, "Create"}, "update": {3, "Update"}, "set": {3, "Update"}, "rotate": {3, "Update"}, "rename": {5, "Move"},
		"delete": {4, "Delete"}, "destroy": {4, "Delete"}, "remove": {4, "Delete"}, "revoke": {4, "Delete"}, "shred": {4, "Delete"}, "uninvite": {4, "Delete"},
		"join": {6, "Enroll"}, "activate": {10, "Activate"}, "retire": {11, "Deactivate"}, "lock": {9, "Disable"}, "unlock": {8, "Enable"},
		"suspend": {12, "Suspend"}, "pause": {12, "Suspend"}, "resume": {13, "Resume"}, "restore": {13, "Resume"},
	}
	ocsfReads = []string{"download", "export", "measure", "open", "summarize", "view"}
)

var ocsfClassNames = map[int]string{
	ocsfAccountChange: "Account Change", ocsfAuthentication: "Authentication", ocsfEntityManagement: "Entity Management", ocsfAPIActivity: "API Activity",
}

// ocsfOf is an entry as an OCSF event. Sign-ins and sessions are Authentication, what happens to a user's
// account and passkeys Account Change, what is done to other things Entity Management; what is read, and what
// is about nothing, API Activity.
func ocsfOf(tenant uuid.UUID, seq int64, r *trail.Record, redacted []string) *ocsfEvent {
	class, act := ocsfClass(r)
	e := &ocsfEvent{
		ClassUID: class, ClassName: ocsfClassNames[class], ActivityID: act.id, ActivityName: act.name, CategoryUID: ocsfIAM, CategoryName: "Identity & Access Management",
		TypeUID: class*100 + act.id, Time: r.At.UnixMilli(), Message: ocsfMessage(r), Actor: ocsfActorOf(r.Actor),
		Metadata: ocsfMetadata{
			Version: OCSFVersion, Product: ocsfNamed{Name: "Biocore", VendorName: "Biocore"}, UID: r.ID.String(), OriginalEventUID: r.ID.String(), EventCode: r.Action,
			LogName: "audit", TenantUID: tenant.String(), Sequence: numbered(seq), OriginalTime: stamp(r.At), CorrelationUID: r.RequestID,
		},
		SrcEndpoint: ocsfSource(r), Unmapped: ocsfUnmappedOf(r, redacted),
	}
	e.TypeName = e.ClassName + ": " + act.name
	e.SeverityID, e.Severity, e.StatusID, e.Status = 1, "Informational", 1, "Success"
	if r.Outcome != audit.Success {
		e.SeverityID, e.Severity, e.StatusID, e.Status, e.StatusCode = 2, "Low", 2, "Failure", r.Reason
	}
	if r.RequestID != "" || r.UserAgent != "" {
		e.HTTPRequest = &ocsfRequest{UID: r.RequestID, UserAgent: r.UserAgent}
	}
	switch class {
	case ocsfAccountChange, ocsfAuthentication:
		e.User = &ocsfUser{UID: userOf(r), TypeID: 1, Type: "User"}
		if e.User.UID == "" { // a sign-in that was refused before anybody was known
			e.User = &ocsfUser{Name: "unknown", Type: "Unknown"}
		}
		if class == ocsfAuthentication {
			e.Service = &ocsfNamed{Name: "Biocore"}
		}
	case ocsfEntityManagement:
		other := ocsfOther
		e.Entity = &ocsfEntity{UID: r.Target.ID, Type: r.Target.Kind, TypeID: &other}
		if r.Outcome == audit.Success {
			e.Comment = r.Reason
		}
	default:
		e.CategoryUID, e.CategoryName = ocsfApplication, "Application Activity"
		e.API = &ocsfAPI{Operation: r.Action, Service: ocsfNamed{Name: "Biocore"}}
		if r.RequestID != "" {
			e.API.Request = &ocsfAsked{UID: r.RequestID}
		}
		if r.Target.Kind != "" {
			e.Resources = []ocsfEntity{{UID: r.Target.ID, Type: r.Target.Kind}}
		}
	}
	return e
}

func ocsfClass(r *trail.Record) (int, activity) {
	noun, verb, _ := strings.Cut(r.Action, ".")
	other := activity{ocsfOther, verb}
	user := userOf(r) != ""
	switch {
	case slices.Contains(ocsfReads, verb):
		return ocsfAPIActivity, activity{2, "Read"}
	case noun == "authentication" || user && noun == "session":
		return ocsfAuthentication, known(ocsfAuth, r.Action, other)
	case user && (noun == "user" || noun == "credential" || noun == "registration" || noun == "recovery"):
		return ocsfAccountChange, known(ocsfAccount, r.Action, other)
	case r.Target.ID != "":
		return ocsfEntityManagement, known(ocsfManage, verb, other)
	}
	return ocsfAPIActivity, other
}

func known(table map[string]activity, key string, other activity) activity {
	if a, ok := table[key]; ok {
		return a
	}
	return other
}

// userOf is the id of the user that an entry is about: its target, what its detail names, or who acted on
// their own; empty for none.
func userOf(r *trail.Record) string {
	if r.Target.Kind == "user" {
		return r.Target.ID
	}
	var named struct {
		UserID string `json:"userId"`
	}
	if json.Unmarshal(r.Detail, &named) == nil && named.UserID != "" {
		return named.UserID
	}
	if r.Actor.Kind == scope.ActorUser {
		return r.Actor.ID
	}
	return ""
}

func ocsfActorOf(a scope.Actor) ocsfActor {
	switch a.Kind {
	case scope.ActorUser:
		return ocsfActor{User: &ocsfUser{UID: a.ID, Name: a.Name, TypeID: 1, Type: "User"}}
	case scope.ActorOperator, scope.ActorSupport:
		return ocsfActor{User: &ocsfUser{UID: a.ID, Name: a.Name, TypeID: 2, Type: "Admin"}}
	case scope.ActorAPIKey, scope.ActorPlatform, scope.ActorSystem:
	}
	return ocsfActor{AppUID: string(a.Kind) + ":" + a.ID, AppName: a.Name}
}

// ocsfSource is from where the actor came; this installation where nothing else is known.
func ocsfSource(r *trail.Record) *ocsfEndpoint {
	if address := addressOf(r); address != "" {
		return &ocsfEndpoint{IP: address}
	}
	return &ocsfEndpoint{SvcName: "biocore"}
}

func ocsfMessage(r *trail.Record) string {
	text := r.Action + " by " + string(r.Actor.Kind)
	if r.Target.Kind != "" {
		text += " on " + r.Target.Kind
	}
	return text + ": " + string(r.Outcome)
}

func ocsfUnmappedOf(r *trail.Record, redacted []string) *ocsfUnmapped {
	u := &ocsfUnmapped{TraceID: r.TraceID, Before: r.Before, After: r.After, Detail: r.Detail, Redacted: redacted}
	if r.OnBehalfOf.Kind != "" {
		u.OnBehalfOf = jsonActorOf(r.OnBehalfOf)
	}
	if r.Target.Kind != "" {
		u.Target = &jsonTarget{r.Target.Kind, r.Target.ID}
	}
	return u
}
