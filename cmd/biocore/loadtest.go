package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/biocore-id/biocore/cmd/biocore/load"
)

// platformKeyVariable holds the platform key for `biocore loadtest` of a server that is
// not `biocore dev`: a secret has no place among arguments, which every process sees.
const platformKeyVariable = "BIOCORE_PLATFORM_KEY"

func runLoadtest(ctx context.Context, env *environment, args []string) error {
	const command = "loadtest"
	var asJSON bool
	fset := flags(env, command, &asJSON)
	o := load.Options{Progress: func(s string) { fmt.Fprintln(env.err, s) }}
	workers := fset.String("workers", "1,16,64", "how many sign in at once: one measurement for each of these `numbers`")
	pids := fset.String("pids", "", "`PIDs` whose CPU time is counted too, with their children's: a Postgres that the server did not start")
	fset.DurationVar(&o.Duration, "duration", 10*time.Second, "how long each measurement takes")
	fset.DurationVar(&o.Warmup, "warmup", 2*time.Second, "how long each number of workers signs in before it is measured")
	fset.IntVar(&o.Users, "users", 1000, "`number` of users to enroll")
	fset.IntVar(&o.Tenants, "tenants", 20, "`number` of tenants to make")
	fset.IntVar(&o.Noise, "noise", 0, "measure each again while so many `workers` of one further tenant sign in as fast as they can: what others notice of it")
	fset.StringVar(&o.URL, "url", "", "`URL` of the API; the one of biocore dev if not given, else the platform key is read from "+platformKeyVariable)
	fset.BoolVar(&o.Remote, "remote", false, "allow a server that is not on this machine; ask its owner first")
	if err := parse(fset, args, 0); err != nil {
		return err
	}
	var err error
	if o.Workers, err = numbers(*workers); err != nil {
		return misuse(env, command, "--workers takes numbers such as 1,16,64")
	}
	if o.PIDs, err = numbers(*pids); err != nil {
		return misuse(env, command, "--pids takes numbers such as 4711,4712")
	}
	if err := aim(&o, env); err != nil {
		return err
	}
	if pid, ok := listener(o.URL); ok {
		o.PIDs = append(o.PIDs, pid)
	}
	if err := o.Check(); err != nil {
		return misuse(env, command, "%v", err)
	}
	report, err := load.Run(ctx, o)
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(env.out, report)
	} else {
		err = printReport(env.out, report)
	}
	return errors.Join(err, failures(report))
}

// aim points the test at the server that is named, or at the one of `biocore dev`.
func aim(o *load.Options, env *environment) error {
	if o.URL != "" {
		o.PlatformKey = os.Getenv(platformKeyVariable)
		return nil
	}
	path := filepath.Join(env.dir, ".biocore", "dev.json")
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("biocore dev is not running here: start it with --no-limits, or name a server with --url")
	} else if err != nil {
		return err
	}
	var state devState
	if err := json.Unmarshal(raw, &state); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	o.URL, o.PlatformKey = state.APIURL, state.PlatformKey
	return nil
}

// listener returns the process that listens where the API is, if it is on this machine.
// Biocore dev's Postgres and Redis are its children.
func listener(apiURL string) (int, bool) {
	u, err := url.Parse(apiURL)
	if err != nil {
		return 0, false
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return 0, false
	}
	return load.Listener(port)
}

func numbers(list string) ([]int, error) {
	var out []int
	for field := range strings.SplitSeq(list, ",") {
		if field == "" {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no number", field)
		}
		out = append(out, n)
	}
	return out, nil
}

// failures is the error of a run in which sign-ins failed.
func failures(report load.Report) error {
	failed, of, reasons := 0, 0, map[string]int{}
	for _, m := range report.Measurements {
		failed, of = failed+m.Errors, of+m.Errors+m.SignIns
		for reason, n := range m.Reasons {
			reasons[reason] += n
		}
	}
	if failed == 0 {
		return nil
	}
	why := ""
	for reason, n := range reasons {
		if n == slices.Max(values(reasons)) {
			why = reason
		}
	}
	if why == "RATE_LIMITED" {
		why += " (biocore dev --no-limits turns rate limits off)"
	}
	return fmt.Errorf("%d of %d sign-ins failed, most by %s", failed, of, why)
}

func values(m map[string]int) (out []int) {
	for _, n := range m {
		out = append(out, n)
	}
	return out
}

// printReport writes the table that README.md shows.
func printReport(w io.Writer, report load.Report) error {
	fmt.Fprintf(w, "%d users of %d tenants on %s\n\n", report.Users, report.Tenants, report.URL)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	noise := slices.ContainsFunc(report.Measurements, func(m load.Measurement) bool { return m.Noise > 0 })
	fmt.Fprint(table, "workers\t")
	if noise {
		fmt.Fprint(table, "beside\tits sign-ins/s\trefused/s\t")
	}
	fmt.Fprintln(table, "sign-ins/s\tp50 ms\tp95 ms\tp99 ms\terrors\tCPU ms each\tserver\tpostgres\tredis\t")
	for _, m := range report.Measurements {
		fmt.Fprintf(table, "%d\t", m.Workers)
		switch {
		case m.Noise > 0:
			fmt.Fprintf(table, "%d noisy\t%.0f\t%.0f\t", m.Noise, m.NoiseAnswered, m.NoiseRefused)
		case noise:
			fmt.Fprint(table, "nobody\t-\t-\t")
		}
		fmt.Fprintf(table, "%.0f\t%.2f\t%.2f\t%.2f\t%d\t", m.PerSecond, m.Total.P50, m.Total.P95, m.Total.P99, m.Errors)
		if m.CPU == nil {
			fmt.Fprintln(table, "-\t-\t-\t-\t")
			continue
		}
		fmt.Fprintf(table, "%.2f\t%.2f\t%.2f\t%.2f\t\n", m.CPUTotal(), m.CPU["server"], m.CPU["postgres"], m.CPU["redis"])
	}
	return table.Flush()
}
