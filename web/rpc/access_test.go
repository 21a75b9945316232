package rpc

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	_ "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1" // registers the contract of the admin plane
	"github.com/biocore-id/biocore/tenancy/apikey"
)

// contract returns every method of both planes by its procedure.
func contract(t *testing.T) map[string]protoreflect.MethodDescriptor {
	t.Helper()
	out := map[string]protoreflect.MethodDescriptor{}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "biocore.") {
			return true
		}
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				out["/"+string(service.FullName())+"/"+string(m.Name())] = m
			}
		}
		return true
	})
	if len(out) < 30 {
		t.Fatalf("the contract has %d methods", len(out))
	}
	return out
}

func TestEveryMethodHasItsRow(t *testing.T) {
	all := contract(t)
	for procedure := range all {
		if _, ok := methods[procedure]; !ok {
			t.Errorf("%s has no row: nobody can call it", procedure)
		}
	}
	for procedure, row := range methods {
		m, ok := all[procedure]
		if !ok {
			t.Errorf("%s is not in the contract", procedure)
			continue
		}
		if row.kinds == 0 || row.scope == "" {
			t.Errorf("%s can be called by nobody, or without a scope: %+v", procedure, row)
		}
		// Each plane has its own keys and its own scopes.
		admin := strings.HasPrefix(procedure, "/biocore.admin.")
		if admin != strings.HasPrefix(row.scope, "admin:") || !admin && row.kinds&platformKey != 0 {
			t.Errorf("%s belongs to one plane, its row to the other: %+v", procedure, row)
		}
		// A method that changes nothing needs no idempotency key; one that does needs an
		// answer to its repeat.
		options, _ := m.Options().(*descriptorpb.MethodOptions)
		reading := options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
		// A token does not belong in a URL, which is where a GET would put it; a begin
		// answers another challenge each time, and has no effect to repeat. A download only
		// leaves an entry in the log, and each one is to.
		asks := m.Name() == "VerifySession" || m.Name() == "DownloadEvidence" || strings.HasPrefix(string(m.Name()), "Begin")
		if reading != (row.repeat == reads) && !asks {
			t.Errorf("%s: NO_SIDE_EFFECTS is %t, its row says %d", procedure, reading, row.repeat)
		}
	}
}

// What a page may do, which is what everybody may do who has looked at a page. It
// grows by a decision, and by this list.
func TestWhatBrowsersMayCall(t *testing.T) {
	may := map[string]bool{
		"/biocore.auth.v1.RegistrationService/BeginRegistration":      true,
		"/biocore.auth.v1.RegistrationService/FinishRegistration":     true,
		"/biocore.auth.v1.AuthenticationService/BeginAuthentication":  true,
		"/biocore.auth.v1.AuthenticationService/FinishAuthentication": true,
	}
	for procedure, row := range methods {
		if got := row.kinds&publishableKey != 0; got != may[procedure] {
			t.Errorf("%s by a publishable key: %t, want %t", procedure, got, may[procedure])
		}
	}
}

// An answer that can hold a secret is never kept for a repeat. A member counts as
// secret by its name; these are in kept answers nevertheless.
func TestSecretAnswersAreNotKept(t *testing.T) {
	absent := map[protoreflect.FullName]string{
		"biocore.auth.v1.Session.access_token":  "only in answers that issue a session",
		"biocore.auth.v1.Session.refresh_token": "only in answers that issue a session",
		"biocore.admin.v1.ApiKey.key":           "only in the answer that makes the key",

		"biocore.admin.v1.DomainProof.challenge": "what the tenant is to publish for everybody",

		"google.protobuf.Struct.FieldsEntry.key":  "the name of a member",
		"biocore.admin.v1.Flag.key":               "what programs call a flag",
		"biocore.auth.v1.RiskReason.code":         "which signal it is",
		"biocore.admin.v1.Segment.key":            "what rules call a segment",
		"biocore.admin.v1.Flag.VariantsEntry.key": "the name of a variant",
	}
	secret := map[protoreflect.Name]bool{
		"key": true, "code": true, "token": true, "secret": true, "access_token": true, "refresh_token": true,
		"secret_key": true, "publishable_key": true, "challenge": true,
	}
	for procedure, m := range contract(t) {
		if methods[procedure].repeat != replays {
			continue
		}
		seen := map[protoreflect.FullName]bool{}
		var walk func(md protoreflect.MessageDescriptor)
		walk = func(md protoreflect.MessageDescriptor) {
			if seen[md.FullName()] {
				return
			}
			seen[md.FullName()] = true
			for i := range md.Fields().Len() {
				f := md.Fields().Get(i)
				if secret[f.Name()] && absent[f.FullName()] == "" {
					t.Errorf("%s is replayed, and its answer may hold %s", procedure, f.FullName())
				}
				if f.Message() != nil {
					walk(f.Message())
				}
			}
		}
		walk(m.Output())
	}
}

// A scope that covers a plane covers all of it, and nothing of the other.
func TestScopesCoverTheirPlane(t *testing.T) {
	auth, admin := apikey.Caller{Scopes: []string{apikey.ScopeAuthPlane}}, apikey.Caller{Scopes: []string{apikey.ScopeAdminPlane}}
	for procedure, row := range methods {
		onAdmin := strings.HasPrefix(procedure, "/biocore.admin.")
		if auth.Allows(row.scope) == onAdmin || admin.Allows(row.scope) != onAdmin {
			t.Errorf("%s (%s): %q allows it %t, %q %t", procedure, row.scope, apikey.ScopeAuthPlane, auth.Allows(row.scope), apikey.ScopeAdminPlane, admin.Allows(row.scope))
		}
	}
}
