package debugger_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/debugger"
)

// neverOfAFinish are reasons that only begins and other calls have.
var neverOfAFinish = []string{
	"CODE_ALREADY_USED", "CODE_EXPIRED", "CODE_INVALID", "EXTENSION_INVALID", "LIFETIME_INVALID", "POLICY_LOOSENED", "PURPOSE_INVALID",
	"SERVER_KEY_REQUIRED", "STEP_UP_TOKEN_INVALID", "SUBJECT_INVALID",
}

// reasonsOf are the string literals in UPPER_SNAKE that name reasons in a package's
// declarations: the second argument of fault.New, and constants called Reason….
func reasonsOf(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", dir, err)
	}
	var found []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "New" && len(n.Args) == 3 {
					if l, ok := n.Args[1].(*ast.BasicLit); ok {
						reason, _ := strconv.Unquote(l.Value)
						found = append(found, reason)
					}
				}
			case *ast.ValueSpec:
				if strings.HasPrefix(n.Names[0].Name, "Reason") && len(n.Values) == 1 {
					if l, ok := n.Values[0].(*ast.BasicLit); ok {
						reason, _ := strconv.Unquote(l.Value)
						found = append(found, reason)
					}
				}
			}
			return true
		})
	}
	return found
}

// Each reason that a finish can have is of a step of its own, and has a guide. A reason
// that is added to webauthn, ceremony or policy and not here turns this red.
func TestEveryReasonHasAStepAndAGuide(t *testing.T) {
	reasons := slices.Concat(
		reasonsOf(t, "../webauthn"), reasonsOf(t, "../ceremony"), reasonsOf(t, "../../tenancy/policy"),
		[]string{"CREDENTIAL_UNKNOWN", "CREDENTIAL_REVOKED", "NICKNAME_INVALID", "USER_BLOCKED", "USER_UNKNOWN", "USER_EXISTS", "TENANT_SUSPENDED", "TENANT_DELETING", "TENANT_UNKNOWN"},
	)
	if len(reasons) < 60 {
		t.Fatalf("only %d reasons were found", len(reasons))
	}
	unknown := debugger.GuideFor(debugger.Authentication, "OF_ANOTHER_RELEASE")
	for _, reason := range reasons {
		if slices.Contains(neverOfAFinish, reason) || strings.HasPrefix(reason, "POLICY_") {
			continue
		}
		g := debugger.GuideFor(debugger.Authentication, reason)
		if g.Why == unknown.Why || g.Title == "" || len(g.Fix) == 0 {
			t.Errorf("%s has no guide", reason)
		}
		known := 0
		for _, kind := range []debugger.Kind{debugger.Registration, debugger.Authentication} {
			steps := debugger.Steps(&debugger.Ceremony{Kind: kind, Outcome: debugger.Failed, Reason: reason})
			i := slices.IndexFunc(steps, func(s debugger.Step) bool { return s.State == debugger.Broken })
			if i < 0 {
				t.Fatalf("%s of a %s fails no step", reason, kind)
			}
			if i < len(steps)-1 || reason == "CREDENTIAL_EXISTS" || strings.HasPrefix(reason, "ASSURANCE_") {
				known++
			}
		}
		if known == 0 {
			t.Errorf("%s is of no step", reason)
		}
	}
}

func TestSteps(t *testing.T) {
	uvMissing := uint8(1)
	for _, tt := range []struct {
		name     string
		ceremony debugger.Ceremony
		failed   string // number of the step; empty for Biocore's own
		step     string
	}{
		{"let in", debugger.Ceremony{Kind: debugger.Authentication, Outcome: debugger.Allow}, "", ""},
		{"let in, registration", debugger.Ceremony{Kind: debugger.Registration, Outcome: debugger.Allow}, "", ""},
		{"by the step that verification named", debugger.Ceremony{Kind: debugger.Authentication, Outcome: debugger.Failed, Reason: "USER_VERIFICATION_REQUIRED",
			Facts: debugger.Facts{Step: 17, Flags: &uvMissing}}, "17", "The user was verified (UV), where it is required"},
		{"the same reason by the policy alone", debugger.Ceremony{Kind: debugger.Registration, Outcome: debugger.Failed, Reason: "USER_VERIFICATION_REQUIRED"}, "16", "The user was verified (UV), where it is required"},
		{"one reason, another step", debugger.Ceremony{Kind: debugger.Authentication, Outcome: debugger.Failed, Reason: "ORIGIN_NOT_ALLOWED", Facts: debugger.Facts{Step: 14}}, "13–14", "It is not embedded where it may not be"},
		{"malformed client data", debugger.Ceremony{Kind: debugger.Authentication, Outcome: debugger.Failed, Reason: "CREDENTIAL_MALFORMED", Facts: debugger.Facts{Step: 9}}, "7–9", "Client data and authenticator data can be read"},
		{"no user handle", debugger.Ceremony{Kind: debugger.Authentication, Outcome: debugger.Failed, Reason: "USER_HANDLE_MISMATCH", Facts: debugger.Facts{Step: 6}}, "6", "Somebody is named"},
		{"another's user handle", debugger.Ceremony{Kind: debugger.Authentication, Outcome: debugger.Failed, Reason: "USER_HANDLE_MISMATCH", Facts: debugger.Facts{Step: 6, UserHandle: true}}, "6", "The user handle is the owner’s"},
		{"expired", debugger.Ceremony{Kind: debugger.Authentication, Outcome: debugger.Failed, Reason: "CHALLENGE_EXPIRED"}, "", "The challenge is ours, and has not expired"},
		{"stepped up", debugger.Ceremony{Kind: debugger.Authentication, Outcome: debugger.StepUp, Reason: "ASSURANCE_INSUFFICIENT"}, "", "The policy lets it in"},
		{"of another release", debugger.Ceremony{Kind: debugger.Registration, Outcome: debugger.Failed, Reason: "NEW"}, "26–27", "The credential is new, and is stored"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen := false
			for _, s := range debugger.Steps(&tt.ceremony) {
				switch {
				case tt.step == "" && s.State != debugger.Passed:
					t.Errorf("%+v of a ceremony that was let in", s)
				case s.State == debugger.Broken:
					if s.Name != tt.step || s.Number != tt.failed || s.Guide == nil || seen {
						t.Errorf("failed %+v, want %s %q", s, tt.failed, tt.step)
					}
					seen = true
				case tt.step != "" && (s.State == debugger.NotReached) != seen:
					t.Errorf("%+v although the failure is passed: %v", s, seen)
				}
				if tt.name == "by the step that verification named" && s.State == debugger.Broken && s.Detail != "UV = 0" {
					t.Errorf("detail = %q", s.Detail)
				}
			}
			if tt.step != "" && !seen {
				t.Error("no step failed")
			}
		})
	}
}
