package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// The oldest versions that the migrations and scripts run on.
const (
	minPostgres = 15
	minRedis    = 7
)

// FindPostgres returns the folder that holds the programs `postgres` and
// `initdb`, and their major version, at least 15. An empty binDir searches the
// places where Debian, Red Hat, Alpine, Homebrew, MacPorts and Postgres.app put
// them, and PATH. The error is a *NotFoundError, or that of ctx.
func FindPostgres(ctx context.Context, binDir string) (dir string, version int, err error) {
	return findPostgres(ctx, binDir, 0, account{})
}

// findPostgres prefers the version want, for a data folder can be read by the
// version that made it only. It returns another one if want is 0 or missing:
// of several the oldest, since that is the one Biocore is operated on.
func findPostgres(ctx context.Context, binDir string, want int, acct account) (string, int, error) {
	notFound := &NotFoundError{
		Program: fmt.Sprintf("PostgreSQL %d or newer", minPostgres),
		Apt:     "apt-get install --yes postgresql",
		Brew:    "brew install postgresql@15",
	}
	if binDir != "" {
		version, err := postgresVersion(ctx, binDir, acct)
		if ctx.Err() != nil {
			return "", 0, ctx.Err()
		} else if err != nil {
			notFound.Looked, notFound.Why = []string{binDir}, err.Error()
			return "", 0, notFound
		}
		return binDir, version, nil
	}
	var (
		first        string
		firstVersion int
		why          error
	)
	for _, dir := range postgresDirs() {
		version, err := postgresVersion(ctx, dir, acct)
		if err != nil {
			why = err
			continue
		}
		if version == want {
			return dir, version, nil
		}
		if first == "" {
			first, firstVersion = dir, version
		}
	}
	if first != "" {
		return first, firstVersion, nil
	}
	if ctx.Err() != nil {
		return "", 0, ctx.Err() // we were hurried, not disappointed
	}
	notFound.Looked = append(postgresPlaces(), "PATH")
	if why != nil {
		notFound.Why = why.Error()
	}
	return "", 0, notFound
}

// postgresPlaces are the patterns of the usual places, tried in this order.
func postgresPlaces() []string {
	return []string{
		"/usr/lib/postgresql/*/bin",                               // Debian, Ubuntu
		"/usr/pgsql-*/bin",                                        // Red Hat, from postgresql.org
		"/usr/libexec/postgresql*",                                // Alpine
		"/opt/homebrew/opt/postgresql@*/bin",                      // Homebrew on Apple silicon
		"/usr/local/opt/postgresql@*/bin",                         // Homebrew on Intel
		"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",         // Homebrew on Linux
		"/Applications/Postgres.app/Contents/Versions/[0-9]*/bin", // Postgres.app
		"/opt/local/lib/postgresql*/bin",                          // MacPorts
	}
}

// postgresDirs lists the folders that exist, those of one place by version.
func postgresDirs() []string {
	var dirs []string
	for _, pattern := range postgresPlaces() {
		found, err := filepath.Glob(pattern)
		if err != nil {
			continue // only a bad pattern errs, and ours are constants
		}
		slices.SortFunc(found, func(a, b string) int { return lastNumber(a) - lastNumber(b) })
		dirs = append(dirs, found...)
	}
	if program, err := exec.LookPath("postgres"); err == nil {
		// Debian's administrators link the programs into /usr/local/bin; initdb
		// then lies beside the target, not beside the link.
		if target, err := filepath.EvalSymlinks(program); err == nil {
			dirs = append(dirs, filepath.Dir(target))
		}
	}
	return dirs
}

// lastNumber is the last run of digits in path: the version in a folder's name.
func lastNumber(path string) int {
	numbers := regexp.MustCompile(`[0-9]+`).FindAllString(path, -1)
	if len(numbers) == 0 {
		return 0
	}
	n, err := strconv.Atoi(numbers[len(numbers)-1])
	if err != nil {
		return 0
	}
	return n
}

// postgresVersion asks the programs in dir, as the account that will run them:
// a folder that only root may enter is of no use to it.
func postgresVersion(ctx context.Context, dir string, acct account) (int, error) {
	for _, program := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(filepath.Join(dir, program)); errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("no program %s in %s", program, dir)
		}
	}
	version, err := programVersion(ctx, filepath.Join(dir, "postgres"), `\(PostgreSQL\) ([0-9]+)`, acct)
	if err != nil {
		return 0, err
	}
	if version < minPostgres {
		return 0, fmt.Errorf("%s has version %d, and %d is the oldest that works", dir, version, minPostgres)
	}
	return version, nil
}

// FindRedis returns the path of redis-server, or of valkey-server, which is the
// same to us, at least version 7. An empty bin searches PATH and the usual
// places. The error is a *NotFoundError, or that of ctx.
func FindRedis(ctx context.Context, bin string) (path string, err error) {
	return findRedis(ctx, bin, account{})
}

func findRedis(ctx context.Context, bin string, acct account) (string, error) {
	candidates := []string{bin}
	if bin == "" {
		candidates = []string{
			"redis-server", "valkey-server",
			"/usr/bin/redis-server", "/usr/local/bin/redis-server", "/opt/homebrew/bin/redis-server",
		}
	}
	notFound := &NotFoundError{
		Program: fmt.Sprintf("Redis %d or newer", minRedis),
		Looked:  candidates,
		Apt:     "apt-get install --yes redis-server",
		Brew:    "brew install redis",
	}
	for _, candidate := range candidates {
		path, err := exec.LookPath(candidate)
		if err != nil {
			continue
		}
		version, err := programVersion(ctx, path, `v=([0-9]+)`, acct)
		if err == nil && version >= minRedis {
			return path, nil
		}
		if err == nil {
			err = fmt.Errorf("%s has version %d, and %d is the oldest that works", path, version, minRedis)
		}
		notFound.Why = err.Error()
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return "", notFound
}

// programVersion runs `program --version` as acct and returns what the group in
// pattern matches.
func programVersion(ctx context.Context, program, pattern string, acct account) (int, error) {
	cmd := exec.CommandContext(ctx, program, "--version")
	cmd.Dir = "/" // ours may be closed to acct
	out, err := runChild(cmd, acct)
	if errors.Is(err, fs.ErrPermission) {
		return 0, fmt.Errorf("%s cannot be run by user %s", program, acct)
	}
	if err != nil {
		return 0, fmt.Errorf("run %s --version: %w", program, err)
	}
	match := regexp.MustCompile(pattern).FindStringSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("%s --version answers %.40q, which names no version", program, out)
	}
	return strconv.Atoi(match[1])
}
