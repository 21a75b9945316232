package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/authcore/risk/netlist"
	"github.com/biocore-id/biocore/authcore/risk/place"
)

// riskLists are those of RiskNetworkLists.
func (c *Config) riskLists() ([]netlist.List, error) {
	var lists []netlist.List
	for text := range strings.SplitSeq(c.RiskNetworkLists, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		label, file, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("BIOCORE_RISK_NETWORK_LISTS: list %d is label=/a/file", len(lists)+1)
		}
		lists = append(lists, netlist.List{Label: strings.TrimSpace(label), File: strings.TrimSpace(file)})
	}
	if err := netlist.Check(lists); err != nil {
		return nil, fmt.Errorf("BIOCORE_RISK_NETWORK_LISTS: %w", err)
	}
	return lists, nil
}

// openPlaces reads the files of countries and networks.
func (c *Config) openPlaces(ctx context.Context, tel *telemetry, now func() time.Time) *place.Service {
	return place.New(ctx, place.Options{CountryFile: c.RiskCountryFile, ASNFile: c.RiskASNFile, Now: now, Log: tel.Log})
}

// openLists reads the lists of networks.
func (c *Config) openLists(ctx context.Context, tel *telemetry, now func() time.Time) (*netlist.Service, error) {
	lists, err := c.riskLists()
	if err != nil {
		return nil, err
	}
	return netlist.New(ctx, netlist.Options{Lists: lists, Now: now, Log: tel.Log})
}

// riskFile is how one file of risk data is, under --json and in doctor.
type riskFile struct {
	Name     string     `json:"name"` // country, asn, or list and its label
	Path     string     `json:"path"`
	DataFrom *time.Time `json:"dataFrom,omitempty"` // when it was built, as it says; otherwise when it was written
	Bytes    int64      `json:"bytes"`
	Holds    string     `json:"holds"`
	Problem  string     `json:"problem,omitempty"` // why the file as it is now is not in use
}

// riskFiles are all of them.
func riskFiles(places *place.Service, lists *netlist.Service) []riskFile {
	all := []riskFile{}
	for _, s := range places.Sources() {
		from := s.BuiltAt
		if from.IsZero() {
			from = s.ModifiedAt
		}
		all = append(all, newRiskFile(s.Name, s.Path, from, s.Bytes, strconv.Itoa(s.Networks)+" nodes", s.Err))
	}
	for _, s := range lists.Sources() {
		all = append(all, newRiskFile("list "+s.Label, s.Path, s.ModifiedAt, s.Bytes, fmt.Sprintf("%d networks, %d autonomous systems", s.Networks, s.Systems), s.Err))
	}
	return all
}

func newRiskFile(name, path string, from time.Time, size int64, holds string, problem error) riskFile {
	f := riskFile{Name: name, Path: path, Bytes: size}
	if !from.IsZero() {
		f.DataFrom, f.Holds = &from, holds
	}
	if problem != nil {
		f.Problem = problem.Error()
	}
	return f
}

// riskData says how the files of risk data are.
func (d *checkup) riskData(ctx context.Context) finding {
	places := d.cfg.openPlaces(ctx, d.tel, time.Now)
	lists, err := d.cfg.openLists(ctx, d.tel, time.Now)
	if err != nil {
		return skip("configuration")
	}
	return judgeRiskData(riskFiles(places, lists), d.cfg.RiskDataDays, time.Now())
}

func judgeRiskData(files []riskFile, days int, now time.Time) finding {
	const fix = "replace the file, at once and not in place: docs/risk-data.md"
	var broken, old, said []string
	for _, f := range files {
		if f.Problem != "" {
			broken = append(broken, f.Name+": "+f.Problem)
			continue
		}
		age := int(now.Sub(*f.DataFrom).Hours() / 24)
		text := fmt.Sprintf("%s of %s, %s", f.Name, f.DataFrom.Format(time.DateOnly), f.Holds)
		said = append(said, text)
		if age > days {
			old = append(old, fmt.Sprintf("%s of %s is %d days old", f.Name, f.DataFrom.Format(time.DateOnly), age))
		}
	}
	switch {
	case len(files) == 0:
		return ok("none is configured: addresses have no country and no network")
	case len(broken) > 0:
		return fail(fix+". Servers go on with what they have read, and those that start know nothing of it", "%s", strings.Join(broken, "\n"))
	case len(old) > 0:
		return warn(fix+", or raise BIOCORE_RISK_DATA_DAYS", "%s", strings.Join(old, "\n"))
	}
	return ok("%s", strings.Join(said, "\n"))
}

// runRiskLookup tells what is known of an address, by the files of the configuration.
func runRiskLookup(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "risk lookup", &asJSON)
	config := configFlag(fs)
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	address, err := netip.ParseAddr(fs.Arg(0))
	if err != nil {
		return misuse(env, "risk lookup", "an address, such as 81.2.69.142")
	}
	cfg, err := loadConfig(ctx, *config, env.dir)
	if err != nil {
		return err
	}
	tel := quietTelemetry(env)
	places := cfg.openPlaces(ctx, tel, time.Now)
	lists, err := cfg.openLists(ctx, tel, time.Now)
	if err != nil {
		return err
	}
	public, isPublic := place.Public(address)
	at := places.Of(address)
	out := struct {
		Address string     `json:"address"`
		Public  string     `json:"public,omitempty"` // what networks know it by; empty: none does
		Country string     `json:"country,omitempty"`
		Name    string     `json:"countryName,omitempty"`
		ASN     uint32     `json:"asn,omitempty"`
		Network string     `json:"network,omitempty"`
		Lists   []string   `json:"lists"`
		Files   []riskFile `json:"files"`
	}{Address: address.String(), Country: at.Country, Name: place.CountryName(at.Country), ASN: at.ASN, Network: at.Network, Lists: []string{}, Files: riskFiles(places, lists)}
	if isPublic {
		out.Public = public.String()
		out.Lists = append(out.Lists, lists.Labels(public, at.ASN)...)
	}
	if asJSON {
		return printJSON(env.out, out)
	}
	rows := [][]string{{"address", out.Address}}
	if !isPublic {
		rows = append(rows, []string{"", "no address of a public network"})
	} else if out.Public != out.Address {
		rows = append(rows, []string{"stands for", out.Public})
	}
	country, network := "not known", "not known"
	if at.Country != "" {
		country = at.Country + ", " + out.Name
	}
	if at.ASN != 0 {
		network = strings.TrimSpace(fmt.Sprintf("AS%d %s", at.ASN, at.Network))
	}
	rows = append(rows, []string{"country", country}, []string{"network", network}, []string{"lists", joined(out.Lists)})
	for _, f := range out.Files {
		text := f.Problem
		if text == "" {
			text = f.DataFrom.Format(time.DateOnly) + ", " + f.Holds
		}
		rows = append(rows, []string{f.Name, text})
	}
	return table(env.out, rows)
}

// riskFetchTimeout is what a download may take.
const riskFetchTimeout = 10 * time.Minute

// runRiskFetch downloads a file, looks whether it can be used, and puts it in the place of the one before at once: servers
// never see half of it. It asks only the address that it is given.
func runRiskFetch(ctx context.Context, env *environment, args []string) error {
	const command = "risk fetch"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	from := fs.String("url", "", "`URL` to fetch from: https://host/path")
	kind := fs.String("kind", "", "what the file is: country, asn or list")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	path := fs.Arg(0)
	if !filepath.IsAbs(path) {
		path = filepath.Join(env.dir, path)
	}
	if *from == "" {
		return misuse(env, command, "--url is required")
	}
	u, err := url.Parse(*from)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !onThisMachine(u.Hostname())) {
		return misuse(env, command, "--url is https://host/path")
	}
	most := int64(place.MaxBytes)
	switch *kind {
	case "country", "asn":
	case "list":
		most = netlist.MaxBytes
	default:
		return misuse(env, command, "--kind is country, asn or list")
	}
	ctx, cancel := context.WithTimeout(ctx, riskFetchTimeout)
	defer cancel()
	next, err := downloadBeside(ctx, *from, path, most)
	if err != nil {
		return err
	}
	defer os.Remove(next)
	f, err := tryRiskFile(ctx, env, *kind, next)
	if err != nil {
		return err
	}
	if f.Problem != "" {
		return fmt.Errorf("what was fetched cannot be used, and %s stays as it was: %s", path, f.Problem)
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	f.Path = path
	if asJSON {
		return printJSON(env.out, f)
	}
	_, err = fmt.Fprintf(env.out, "%s: %s, %d bytes, of %s\n", f.Path, f.Holds, f.Bytes, f.DataFrom.Format(time.DateOnly))
	return err
}

// tryRiskFile reads a file as a server would.
func tryRiskFile(ctx context.Context, env *environment, kind, path string) (riskFile, error) {
	tel := quietTelemetry(env)
	o := place.Options{Log: tel.Log}
	var lists *netlist.Service
	switch kind {
	case "country":
		o.CountryFile = path
	case "asn":
		o.ASNFile = path
	default:
		var err error
		if lists, err = netlist.New(ctx, netlist.Options{Lists: []netlist.List{{Label: "list", File: path}}, Log: tel.Log}); err != nil {
			return riskFile{}, err
		}
	}
	f := riskFiles(place.New(ctx, o), lists)[0]
	f.Name = kind
	return f, nil
}

// downloadBeside fetches into a file of its own beside path, on the same disk, and returns its name. It is readable by all, as
// what is public is.
func downloadBeside(ctx context.Context, source, path string, most int64) (_ string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, source, http.NoBody)
	if err != nil {
		return "", err
	}
	client := &http.Client{CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) > 5 || req.URL.Scheme != via[0].URL.Scheme { // files of releases lie with hosts of their own
			return errors.New("it redirects to what is no https, or too often")
		}
		return nil
	}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("it answers with status %d", resp.StatusCode)
	}
	out, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			_ = os.Remove(out.Name())
		}
	}()
	switch n, err := io.Copy(out, io.LimitReader(resp.Body, most+1)); {
	case err != nil:
		return "", err
	case n > most:
		return "", fmt.Errorf("it has more than %d MiB", most>>20)
	case resp.ContentLength >= 0 && n != resp.ContentLength:
		return "", errors.New("it ends too soon")
	}
	return out.Name(), errors.Join(out.Chmod(0o644), out.Sync())
}

// locate says where an address is, by the files that the operator mounted. One of a private network is nowhere.
func (p *platform) locate(a netip.Addr) risk.Place {
	at := p.places.Of(a)
	found := risk.Place{Country: at.Country, ASN: at.ASN}
	if public, ok := place.Public(a); ok {
		found.Networks = p.lists.Labels(public, at.ASN)
	}
	return found
}

// kilometres is the least distance of two countries; 0 where it is not known.
func kilometres(from, to string) int {
	km, known := place.MinDistance(from, to)
	if !known {
		return 0
	}
	return int(km)
}
