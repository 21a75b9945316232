// Command isolation writes the isolation report of a release: what the tests that attack the wall between tenants
// found on this source, as JSON, and a signature over it. A running installation tells of itself by
// `biocore doctor --isolation-report`, which takes this one in.
//
//	go run ./.ci/isolation -out DIR [-key KEY.pem] [-release TAG]
//	go run ./.ci/isolation -again REPORT.json
//
// The second is for whoever doubts a report: it runs the same attacks on the source that is there, writes nothing, and says in
// which cases it found something else.
//
// KEY.pem is an Ed25519 key (`openssl genpkey -algorithm ed25519`). Beside isolation.json there are then
// isolation.json.jws, a detached JWS over it, and isolation.jwks.json, the key set that it is verified by.
package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// attack is a test that attacks the wall, with what it shows. Each of its subtests is a case.
type attack struct{ pkg, test, shows string }

var attacks = []attack{
	{"./db", "TestWallHasNoHoles", "The catalog of a database that this release has migrated has no hole: every table, policy, key, reference, partition, view, function, sequence and role was judged."},
	{"./db", "TestWallFindsEachHole", "Mutations: each is a mistake that a migration could make, made on purpose, and the catalog walk named it."},
	{"./db", "TestAnotherTenantsRows", "A query without any WHERE, by the role that serves tenants, neither reads, locks, changes nor refers to another tenant's rows."},
	{"./cmd/biocore", "TestEveryMethodWithAnotherTenantsIDs", "Every method of both planes, called with another tenant's ids, tokens and codes, answers as if they had never existed, tells nothing of them, and leaves every row of that tenant as it was."},
	{"./cmd/biocore", "TestPlatformPlaneIsClosed", "No key of a tenant's calls the platform's own plane."},
	{"./cmd/biocore", "TestExportOfAnotherTenant", "Nobody reaches the archive of another tenant."},
	{"./console", "TestLogStreamsAreWalled", "The console's pages of another tenant's log streams are nowhere."},
}

// format is the first member of the report.
const format = "biocore-isolation-release-v1"

// signatureType is the typ of the signature's header: that of the reports of an installation.
const signatureType = "biocore-report+jws"

type releaseReport struct {
	Format  string  `json:"format"`
	Version string  `json:"version"`
	Commit  string  `json:"commit"`
	Clean   bool    `json:"clean"` // the source was the commit's, with nothing changed
	Holds   bool    `json:"holds"` // every case of every check
	Checks  []check `json:"checks"`
}

type check struct {
	Name  string     `json:"name"`
	Shows string     `json:"shows"`
	Holds bool       `json:"holds"`
	Cases []caseDone `json:"cases"`
}

type caseDone struct {
	Name  string `json:"name"`
	Holds bool   `json:"holds"`
}

func main() {
	out := flag.String("out", "bin", "write into this `folder`")
	key := flag.String("key", "", "sign with the key in this `file`; empty: the report is not signed")
	release := flag.String("release", "", "the report is of this `tag`: it is signed, and refused of any other source")
	again := flag.String("again", "", "run the attacks anew, and compare with the report in this `file`")
	flag.Parse()
	var err error
	if *again != "" {
		err = runAgain(context.Background(), *again)
	} else {
		err = run(context.Background(), *out, *key, *release)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "isolation: "+err.Error())
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(ctx context.Context, out, keyFile, release string) error {
	r, err := source(ctx)
	if err != nil {
		return err
	}
	if release != "" {
		if err := r.isOf(release, keyFile); err != nil {
			return err
		}
	}
	if err := r.attack(ctx); err != nil {
		return err
	}
	if err := write(out, r, keyFile); err != nil {
		return err
	}
	r.say(os.Stdout)
	return r.verdict()
}

// source begins the report of the source that is there.
func source(ctx context.Context) (*releaseReport, error) {
	r := &releaseReport{Format: format}
	var err error
	if r.Version, err = says(ctx, "git", "describe", "--tags", "--always", "--dirty"); err != nil {
		return nil, err
	}
	if r.Commit, err = says(ctx, "git", "rev-parse", "HEAD"); err != nil {
		return nil, err
	}
	r.Clean = !strings.HasSuffix(r.Version, "-dirty")
	return r, nil
}

// isOf refuses to make the report of a release of another source than the release's, or without a signature.
func (r *releaseReport) isOf(release, keyFile string) error {
	switch {
	case r.Version != release:
		return fmt.Errorf("this source is %s, and not %s", r.Version, release)
	case keyFile == "":
		return errors.New("the report of a release is signed: -key")
	}
	return nil
}

// attack runs all attacks.
func (r *releaseReport) attack(ctx context.Context) (err error) {
	found := outcomes{}
	for _, pkg := range packages() {
		if err := found.test(ctx, pkg); err != nil {
			return err
		}
	}
	if r.Checks, err = found.checks(); err != nil {
		return err
	}
	r.Holds = !slices.ContainsFunc(r.Checks, func(c check) bool { return !c.Holds })
	return nil
}

// say tells how many cases of each check hold, and which do not.
func (r *releaseReport) say(out io.Writer) {
	for _, c := range r.Checks {
		held := 0
		for _, one := range c.Cases {
			if one.Holds {
				held++
			} else {
				_, _ = fmt.Fprintf(out, "FAIL  %s: %s\n", c.Name, one.Name)
			}
		}
		_, _ = fmt.Fprintf(out, "%4d of %4d hold  %s\n", held, len(c.Cases), c.Name)
	}
}

func (r *releaseReport) verdict() error {
	if !r.Holds {
		return errors.New("the wall does not hold: see the report")
	}
	return nil
}

// runAgain makes a report anew and compares it with one that somebody else has made.
func runAgain(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var theirs releaseReport
	if err := json.Unmarshal(text, &theirs); err != nil || theirs.Format != format {
		return fmt.Errorf("%s is no report of a release: %w", file, errors.Join(err, errors.New("format "+theirs.Format)))
	}
	ours, err := source(ctx)
	if err != nil {
		return err
	}
	if err := ours.attack(ctx); err != nil {
		return err
	}
	ours.say(os.Stdout)
	if differences := ours.differ(&theirs); len(differences) > 0 {
		return errors.New("it is not what was found here:\n  " + strings.Join(differences, "\n  "))
	}
	fmt.Println("the same was found here, case by case") //nolint:forbidigo // this is main
	return ours.verdict()
}

// differ names what two reports do not have in common.
func (r *releaseReport) differ(other *releaseReport) (out []string) {
	if r.Commit != other.Commit || !r.Clean || !other.Clean {
		out = append(out, fmt.Sprintf("the source: %s (%s) here, %s (%s) there", r.Commit, r.Version, other.Commit, other.Version))
	}
	cases := func(r *releaseReport) map[string]bool {
		all := map[string]bool{}
		for _, c := range r.Checks {
			for _, one := range c.Cases {
				all[c.Name+": "+one.Name] = one.Holds
			}
		}
		return all
	}
	here, there := cases(r), cases(other)
	for _, name := range slices.Sorted(maps.Keys(here)) {
		if holds, is := there[name]; !is {
			out = append(out, name+": it is not in the report")
		} else if holds != here[name] {
			out = append(out, fmt.Sprintf("%s: it holds: %t here, %t there", name, here[name], holds))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if _, is := here[name]; !is {
			out = append(out, name+": there is no such case here")
		}
	}
	return out
}

func says(ctx context.Context, name string, args ...string) (string, error) {
	text, err := exec.CommandContext(ctx, name, args...).Output() //nolint:gosec // of this program's own words
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return strings.TrimSpace(string(text)), nil
}

func packages() (list []string) {
	for _, a := range attacks {
		if !slices.Contains(list, a.pkg) {
			list = append(list, a.pkg)
		}
	}
	return list
}

// outcomes are what became of tests, by their full names: pass, fail, skip.
type outcomes map[string]string

// test runs the attacks of one package.
func (o outcomes) test(ctx context.Context, pkg string) error {
	var names []string
	for _, a := range attacks {
		if a.pkg == pkg {
			names = append(names, a.test)
		}
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-json", "-count=1", "-timeout", "25m", "-run", "^("+strings.Join(names, "|")+")$", pkg) //nolint:gosec // as above
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	read := o.read(events)
	// A test that fails makes go test fail: the outcomes say which, and what did not run is missed there.
	if err := cmd.Wait(); err != nil {
		fmt.Fprintln(os.Stderr, "isolation: "+pkg+": "+err.Error())
	}
	return read
}

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action string `json:"Action"`
	Test   string `json:"Test"`
}

// read takes the outcomes from `go test -json`.
func (o outcomes) read(events io.Reader) error {
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Test == "" {
			continue
		}
		switch e.Action {
		case "pass", "fail", "skip":
			o[e.Test] = e.Action
		}
	}
	return lines.Err()
}

// checks are the attacks with their cases in the order of their names. A test that did not run, or was skipped, is an
// error and no report: it would say nothing.
func (o outcomes) checks() ([]check, error) {
	var out []check
	for _, a := range attacks {
		c := check{Name: a.test, Shows: a.shows, Holds: o[a.test] == "pass"}
		for name, outcome := range o {
			if name != a.test && !strings.HasPrefix(name, a.test+"/") {
				continue
			}
			if outcome == "skip" {
				return nil, fmt.Errorf("%s was skipped", name)
			}
			if rest, sub := strings.CutPrefix(name, a.test+"/"); sub {
				c.Cases = append(c.Cases, caseDone{strings.ReplaceAll(rest, "_", " "), outcome == "pass"})
			}
		}
		if o[a.test] == "" {
			return nil, fmt.Errorf("%s did not run", a.test)
		}
		if len(c.Cases) == 0 {
			c.Cases = []caseDone{{"all of it", c.Holds}}
		}
		slices.SortFunc(c.Cases, func(a, b caseDone) int { return strings.Compare(a.Name, b.Name) })
		out = append(out, c)
	}
	return out, nil
}

func write(folder string, r *releaseReport, keyFile string) error {
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	body = append(body, '\n')
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // anybody may read it
		return err
	}
	files := map[string][]byte{"isolation.json": body}
	if keyFile != "" {
		if files["isolation.json.jws"], files["isolation.jwks.json"], err = sign(keyFile, body); err != nil {
			return err
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil { //nolint:gosec // as above
			return err
		}
	}
	return nil
}

// sign returns a detached JWS over body (RFC 7515, appendix F) and the key set that verifies it.
func sign(keyFile string, body []byte) (jws, jwks []byte, err error) {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, nil, errors.New("the key is not in PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, is := parsed.(ed25519.PrivateKey)
	if !is {
		return nil, nil, errors.New("the key is not an Ed25519 key")
	}
	public, is := key.Public().(ed25519.PublicKey)
	if !is {
		return nil, nil, errors.New("the key has no public half")
	}
	b64 := base64.RawURLEncoding
	x := b64.EncodeToString(public)
	thumbprint := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`)) // RFC 7638
	kid := b64.EncodeToString(thumbprint[:])
	protected := b64.EncodeToString([]byte(`{"alg":"EdDSA","kid":"` + kid + `","typ":"` + signatureType + `"}`))
	signature := ed25519.Sign(key, []byte(protected+"."+b64.EncodeToString(body)))
	jwks = []byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"` + x + `","kid":"` + kid + `","alg":"EdDSA","use":"sig"}]}` + "\n")
	return []byte(protected + ".." + b64.EncodeToString(signature) + "\n"), jwks, nil
}
