package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/biocore-id/biocore"

// room is a folder of packages with one law. A package belongs to the room with
// the longest path above it.
type room struct {
	path string
	// may lists every room of ours that this one imports, with the reason. What is
	// not listed is forbidden; every room may import itself.
	may map[string]string
	// outside closes the list of modules from elsewhere; nil leaves it open.
	outside []string
	// later rooms belong to a coming release and may be absent.
	later bool
}

// softwareAuthenticator is the one helper of tests that a command needs, too.
const softwareAuthenticator = "authcore/authenticatortest"

// helpsTests tells a package of helpers for tests: dbtest, browsertest.
func helpsTests(pkg string) bool { return strings.HasSuffix(pkg, "test") }

// Why leaves may be imported from everywhere.
const leaf = "a leaf: it knows nothing, so nothing can turn back through it"

// law is who may import whom. A new edge is a question of design first: see
// docs/architecture.md, and write down what the answer was.
var law = []room{
	{path: "tenancy/fault", outside: []string{}},
	{path: "tenancy/scope", outside: []string{"github.com/google/uuid"}, may: map[string]string{
		"tenancy/fault": "a missing scope is itself a refusal",
	}},
	{path: "tenancy/idempotency", outside: []string{}, may: map[string]string{
		"tenancy/fault": "a reused key is a refusal",
		"tenancy/scope": "keys are kept by tenant and actor",
	}},
	{path: "tenancy/secret", outside: []string{}},
	{path: "db", may: map[string]string{
		"tenancy/fault":       leaf,
		"tenancy/scope":       "no row is reached without one",
		"tenancy/idempotency": "the key is claimed in the transaction of the call's result",
		"tenancy/secret":      leaf,
	}},
	{path: "tenancy", may: map[string]string{
		"db":                  "services own their transactions",
		"tenancy/fault":       leaf,
		"tenancy/scope":       leaf,
		"tenancy/idempotency": leaf,
		"tenancy/secret":      leaf,
	}},
	{path: softwareAuthenticator, may: map[string]string{}},
	{path: "authcore", may: map[string]string{
		"db":                  "services own their transactions",
		"tenancy":             "end users stand on what their tenant has decided",
		"tenancy/fault":       leaf,
		"tenancy/scope":       leaf,
		"tenancy/idempotency": leaf,
		"tenancy/secret":      leaf,
	}},
	{path: "proto", outside: []string{"buf.build/gen/go", "connectrpc.com/connect/v2", "google.golang.org/genproto", "google.golang.org/protobuf"}},
	{path: "proto/openapi/finish", may: map[string]string{
		"proto": "a tool of make generate: it reads the generated descriptions",
	}},
	{path: "sdk/js", outside: []string{}},
	{path: "sdk/go", outside: []string{"connectrpc.com/connect/v2", "github.com/go-jose/go-jose/v4"}, may: map[string]string{
		"proto": "it is a thin skin over the generated client. Nothing else of ours: who imports it is a customer",
	}},
	{path: "web", may: map[string]string{
		"proto":               "handlers translate between the contract and the domain",
		"tenancy":             "handlers call its services",
		"authcore":            "handlers call its services",
		"web/static":          "the API reference is a page, too",
		"web/sse":             "live events of the API",
		"web/sendfile":        "archives",
		"tenancy/fault":       leaf,
		"tenancy/scope":       leaf,
		"tenancy/idempotency": leaf,
		"tenancy/secret":      leaf,
	}},
	{path: "web/sendfile", outside: []string{}, may: map[string]string{}},
	{path: "web/sse", outside: []string{}, may: map[string]string{
		"tenancy/fault": leaf,
	}},
	{path: "web/static", outside: []string{}, may: map[string]string{
		"sdk/js": "the browser SDK is served to demos and customers",
	}},
	{path: "web/demo", outside: []string{"github.com/a-h/templ"}, may: map[string]string{
		"web/static": "the demo's pages need style sheets and the SDK. Nothing else of ours: the demo is a customer",
	}},
	{path: "console", outside: []string{"github.com/a-h/templ", "github.com/google/uuid", "golang.org/x/sync/errgroup"}, may: map[string]string{
		"tenancy":       "pages call the same services as handlers",
		"authcore":      "pages call the same services as handlers",
		"tenancy/fault": leaf,
		"tenancy/scope": leaf,
		"web/static":    "one place for style sheets and scripts",
		"web/sse":       "one place that keeps a stream open, and says why it ends",
		"web/sendfile":  "one place that sends large files to slow readers",
	}},
	{path: "cmd", may: map[string]string{
		"db": wires, "tenancy": wires, "authcore": wires, "web": wires, "console": wires, "proto": wires, "sdk/js": wires,
		"tenancy/fault": wires, "tenancy/scope": wires, "tenancy/idempotency": wires, "tenancy/secret": wires, "web/static": wires, "web/sendfile": wires, "web/sse": wires, "web/demo": wires,
		softwareAuthenticator: "biocore loadtest signs in by software",
	}},
}

// Why cmd imports everything, and nobody imports cmd.
const wires = "wire.go joins all rooms"

// owner gives an import from elsewhere to the packages that may use it. A path
// ends where a path element does: "db" covers db/jobs.
type owner struct {
	imports string
	owners  []string
	why     string
}

var owners = []owner{
	{"github.com/jackc/pgx/v5/pgxpool", []string{"db"}, "a pool in other hands is a way around InTenant"},
	{"github.com/jackc/pgx/v5", []string{"db", "cmd/biocore"}, "rows stop at the store; cmd hands it a tracer"},
	{"github.com/pressly/goose/v3", []string{"db"}, "the schema belongs to the store"},
	{"github.com/riverqueue/river", []string{"db"}, "jobs are rows"},
	{"github.com/redis/go-redis/v9", []string{"db/ephemeral"}, "keys are built from a scope there, never from a string"},
	{"github.com/alicebob/miniredis/v2", []string{"db/embedded"}, "it is for development, and has no place near a server"},
	{"github.com/go-webauthn", []string{"authcore/webauthn"}, "its session data and types change between releases"},
	{"github.com/go-jose/go-jose/v4", []string{"tenancy/jwe", "tenancy/keys", "sdk/go"}, "it reads many forms of tokens; access tokens have one, which authcore/token compares"},
	{"connectrpc.com/connect/v2", []string{"web", "proto", "cmd/biocore", "sdk/go"}, "the domain stays free of the wire"},
	{"connectrpc.com/otelconnect", []string{"cmd/biocore"}, "telemetry is wired, not sprinkled"},
	{"google.golang.org/protobuf", []string{"web", "proto", "cmd/biocore"}, "the domain stays free of the wire"},
	{"go.opentelemetry.io/otel/sdk", []string{"cmd/biocore"}, "who records takes a provider; who exports is decided once"},
	{"go.opentelemetry.io/otel/exporters", []string{"cmd/biocore"}, "as the SDK"},
	{"github.com/prometheus/client_golang", []string{"cmd/biocore"}, "instruments are OpenTelemetry's; Prometheus is one exporter"},
	{"github.com/aws", []string{"tenancy/keys/kms", "db/blob"}, "a service's types stop at the package that speaks to it"},
	{"cloud.google.com/go", []string{"tenancy/keys/kms", "db/blob"}, "as AWS's: credentials alone"},
	{"github.com/tink-crypto", []string{"tenancy/keys/kms"}, "it wraps by AWS KMS; sealing is XAES (ADR 0011)"},
	{"github.com/open-feature/go-sdk", []string{"tenancy/flag", "tenancy/rollout"}, "Biocore asks for its own switches in one way (ADR 65), and answers as a provider in another"},
	{"github.com/open-feature/go-sdk-contrib", []string{"tenancy/rollout/provider"}, "a provider's types stop at the package that opens it"},
	{"github.com/launchdarkly", []string{"tenancy/rollout/provider"}, "as above"},
	{"github.com/Unleash", []string{"tenancy/rollout/provider"}, "as above"},
	{"github.com/miekg/pkcs11", []string{"tenancy/keys/kms"}, "as AWS's: C, and in binaries of the tag pkcs11 alone"},
	{"net/smtp", []string{"tenancy/mail"}, "mail leaves by one door"},
	{"os/exec", []string{"db/embedded"}, "a server starts no programs; the development database is one"},
	{"net/http", []string{"web", "console", "cmd", "proto/gen", "db/embedded", "db/blob", "tenancy/keys/kms", "tenancy/fetch", "tenancy/siem", "tenancy/scoring", "tenancy/rollout/provider", "sdk/go"}, "the domain decides; only the edge speaks HTTP, and clients to it; a KMS, object storage, tenants' own domains, their SIEMs, their risk scoring services and a provider of flags are asked by it"},
	{"github.com/oschwald/maxminddb-golang", []string{"authcore/risk/place"}, "its files are found broken there, before anything is looked up in them"},
}

func TestImportLaw(t *testing.T) {
	root := top(t)
	imports, err := productImports(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, violation := range judge(law, owners, imports) {
		t.Error(violation)
	}
	for _, r := range law {
		if _, err := os.Stat(filepath.Join(root, r.path)); err != nil && !r.later {
			t.Errorf("the law speaks of a room that has gone: %s", r.path)
		}
	}
	for _, o := range owners {
		used := false
		for pkg, list := range imports {
			used = used || within(pkg, o.owners...) && slices.ContainsFunc(list, func(i string) bool { return within(i, o.imports) })
		}
		if !used {
			t.Errorf("the law gives %s to %v, and none of them imports it", o.imports, o.owners)
		}
	}
}

// The law itself must bite: each case is an import that somebody will be tempted by.
func TestImportLawBites(t *testing.T) {
	for _, tt := range []struct{ pkg, imports, want string }{
		{"web/rpc", module + "/db", "web may not import db"},
		{"web/rpc", module + "/db/tenantq", "web may not import db"},
		{"web/rpc", module + "/console", "web may not import console"},
		{"web/demo", module + "/authcore/user", "web/demo may not import authcore"},
		{"tenancy/webhook", module + "/authcore/user", "tenancy may not import authcore"},
		{"authcore/session", module + "/proto/gen/biocore/auth/v1", "authcore may not import proto"},
		{"db", module + "/tenancy/tenant", "db may not import tenancy"},
		{"db", module + "/cmd/biocore", "db may not import cmd"},
		{"sdk/go", module + "/authcore/token", "sdk/go may not import authcore"},
		{"sdk/go", "github.com/google/uuid", "closed"},
		{"web/edge", module + "/sdk/go", "web may not import sdk/go"},
		{"utils", "strings", "belongs to no room"},
		{"authcore/session", "github.com/jackc/pgx/v5/pgxpool", "a pool in other hands"},
		{"tenancy/ratelimit", "github.com/redis/go-redis/v9", "never from a string"},
		{"authcore/ceremony", "github.com/go-webauthn/webauthn/protocol", "change between releases"},
		{"authcore/token", "github.com/go-jose/go-jose/v4/jwt", "which authcore/token compares"},
		{"authcore/credential", "net/http", "only the edge speaks HTTP"},
		{"tenancy/fault", "github.com/google/uuid", "closed"},
		{"tenancy/secret", module + "/tenancy/keys", "tenancy/secret may not import tenancy"},
		{"cmd/biocore", module + "/db/dbtest", "no part of a binary"},
		{"authcore/ceremony", module + "/" + softwareAuthenticator, "authcore may not import " + softwareAuthenticator},
	} {
		t.Run(tt.pkg+" imports "+path.Base(tt.imports), func(t *testing.T) {
			got := judge(law, owners, map[string][]string{tt.pkg: {tt.imports}})
			if len(got) == 0 || !strings.Contains(strings.Join(got, "\n"), tt.want) {
				t.Errorf("violations = %q, want %q among them", got, tt.want)
			}
		})
	}
}

// judge returns what in imports, by package path below the module, is against
// the law, each with the reason.
func judge(law []room, owners []owner, imports map[string][]string) []string {
	var violations []string
	for pkg, list := range imports {
		from, ok := roomOf(law, pkg)
		if helpsTests(pkg) && pkg != softwareAuthenticator {
			continue // it is never part of a binary: judgeOurs sees to that
		}
		if !ok {
			violations = append(violations, pkg+" belongs to no room: the top level is fixed, see docs/architecture.md")
			continue
		}
		for _, imported := range list {
			if ours, isOurs := strings.CutPrefix(imported, module+"/"); isOurs {
				violations = append(violations, from.judgeOurs(law, pkg, ours)...)
				continue
			}
			if from.outside != nil && strings.Contains(strings.Split(imported, "/")[0], ".") && !within(imported, from.outside...) {
				violations = append(violations, fmt.Sprintf("%s imports %s: what %s may use from elsewhere is closed to %v", pkg, imported, from.path, from.outside))
			}
			for _, o := range owners {
				if within(imported, o.imports) && !within(pkg, o.owners...) {
					violations = append(violations, fmt.Sprintf("%s imports %s, which belongs to %v: %s", pkg, imported, o.owners, o.why))
				}
			}
		}
	}
	slices.Sort(violations)
	return violations
}

func (r room) judgeOurs(law []room, pkg, imported string) []string {
	to, ok := roomOf(law, imported)
	if !ok {
		return []string{pkg + " imports " + imported + ", which belongs to no room"}
	}
	if helpsTests(imported) && imported != softwareAuthenticator {
		return []string{pkg + " imports " + imported + ": helpers of tests are no part of a binary"}
	}
	if to.path == r.path || r.may[to.path] != "" {
		return nil
	}
	lines := []string{fmt.Sprintf("%s imports %s: %s may not import %s. It may import:", pkg, imported, r.path, to.path)}
	for _, allowed := range slices.Sorted(maps.Keys(r.may)) {
		lines = append(lines, fmt.Sprintf("\t%-20s %s", allowed, r.may[allowed]))
	}
	return []string{strings.Join(lines, "\n")}
}

func roomOf(law []room, pkg string) (room, bool) {
	var best room
	for _, r := range law {
		if within(pkg, r.path) && len(r.path) > len(best.path) {
			best = r
		}
	}
	return best, best.path != ""
}

// within tells whether p is one of the paths or below one.
func within(p string, paths ...string) bool {
	return slices.ContainsFunc(paths, func(at string) bool { return p == at || strings.HasPrefix(p, at+"/") })
}

// productImports returns the imports of every package below root by its path
// there, tests left out and files for all systems counted.
func productImports(root string) (map[string][]string, error) {
	imports := map[string][]string{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if file != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(rel)
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if !slices.Contains(imports[pkg], imported) {
				imports[pkg] = append(imports[pkg], imported)
			}
		}
		if imports[pkg] == nil {
			imports[pkg] = []string{}
		}
		return nil
	})
	return imports, err
}
