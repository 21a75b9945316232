package embedded

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What lies in a data folder. As root the folder is ours and only the cluster
// and the socket belong to the account, so that it can neither read the
// password nor plant a link where we write.
const (
	clusterDir   = "cluster"            // Postgres's own data directory
	newSuffix    = ".new"               // a cluster in the making, dropped if it was interrupted
	passwordFile = "superuser.password" // 0600
	pwInputFile  = ".initdb.password"   // the same for initdb, for as long as it runs
	configFile   = "postgresql.conf"    // written at each start
	hbaFile      = "pg_hba.conf"        // written at each start
	logFile      = "postgres.log"       // of this start; the one before has the suffix .1
	socketDir    = "socket"             // a folder, or a link to one with a shorter path
	superuser    = "postgres"
)

// leftoverWait is how long a Postgres that outlived its parent may take to
// finish: it writes its buffers out first.
const leftoverWait = 20 * time.Second

// clusterVersion returns the major version that made the cluster in the data
// folder dir, or 0 if there is none yet.
func clusterVersion(dir string) (int, error) {
	path := filepath.Join(dir, clusterDir)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	text, err := os.ReadFile(filepath.Join(path, "PG_VERSION"))
	if err != nil {
		return 0, fmt.Errorf("%s is no Postgres data folder: %w", path, err)
	}
	version, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s is no Postgres data folder: %w", path, err)
	}
	return version, nil
}

// clusterMaker makes a cluster where there is none.
type clusterMaker struct {
	dir      string // the data folder
	binDir   string
	version  int
	template string // "" for none, else the folder of PostgresOptions.Template
	durable  bool
	acct     account
	log      *slog.Logger
}

// make makes the cluster beside its final place and then renames it: one that
// is there is whole, and its password is there before it.
func (m *clusterMaker) make(ctx context.Context) error {
	path := filepath.Join(m.dir, clusterDir)
	staging := path + newSuffix
	if err := os.RemoveAll(staging); err != nil { // an interrupted start left it
		return err
	}
	if err := os.Mkdir(staging, 0o700); err != nil {
		return err
	}
	password, err := m.fromTemplate(staging)
	if errors.Is(err, fs.ErrNotExist) {
		password, err = m.initdb(ctx, staging)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(staging))
	}
	if err := writeFile(filepath.Join(m.dir, passwordFile), password+"\n", 0o600); err != nil {
		return err
	}
	return os.Rename(staging, path)
}

// initdb makes a cluster in the empty folder staging and returns the password
// of its superuser.
//
// The locale is C: it sorts by bytes, the same on every machine and after every
// upgrade of the C library or of ICU, where another order would silently break
// the indexes of an existing folder. People's names are sorted in Go.
func (m *clusterMaker) initdb(ctx context.Context, staging string) (string, error) {
	m.log.InfoContext(ctx, "creating the database cluster", "version", m.version, "path", m.dir)
	password := randomPassword()
	input := filepath.Join(m.dir, pwInputFile)
	if err := writeFile(input, password+"\n", 0o600); err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(input) }()
	if err := errors.Join(m.acct.own(input), m.acct.own(staging)); err != nil {
		return "", err
	}
	args := []string{
		"--pgdata=" + staging, "--username=" + superuser, "--pwfile=" + input, "--auth=scram-sha-256",
		"--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions",
	}
	if !m.durable {
		args = append(args, "--wal-segsize=1") // MiB; 15 MiB fewer to make and to copy
	}
	//nolint:gosec // G204: the folder of the programs is the operator's word or a usual place.
	cmd := exec.CommandContext(ctx, filepath.Join(m.binDir, "initdb"), args...)
	cmd.Dir = staging
	if out, err := runChild(cmd, m.acct); err != nil {
		return "", fmt.Errorf("create the database cluster in %s: %w: %s", m.dir, err, out)
	}
	return password, m.keepTemplate(staging, password)
}

// fromTemplate copies the template into staging and returns its password, or
// fs.ErrNotExist.
func (m *clusterMaker) fromTemplate(staging string) (string, error) {
	if m.template == "" {
		return "", fs.ErrNotExist
	}
	template := filepath.Join(m.template, strconv.Itoa(m.version))
	password, err := readPassword(template)
	if err != nil {
		return "", err
	}
	return password, copyTree(filepath.Join(template, clusterDir), staging, m.acct)
}

// keepTemplate keeps a copy of the new cluster. Of two processes that do so at
// once, the second finds the name taken and leaves it at that.
func (m *clusterMaker) keepTemplate(staging, password string) error {
	if m.template == "" {
		return nil
	}
	if err := makePrivate(m.template); err != nil {
		return err
	}
	mine, err := os.MkdirTemp(m.template, strconv.Itoa(m.version)+newSuffix+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(mine) }() // renamed away if all went well
	if err := os.Mkdir(filepath.Join(mine, clusterDir), 0o700); err != nil {
		return err
	}
	if err := copyTree(staging, filepath.Join(mine, clusterDir), account{}); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(mine, passwordFile), password+"\n", 0o600); err != nil {
		return err
	}
	err = os.Rename(mine, filepath.Join(m.template, strconv.Itoa(m.version)))
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) {
		return nil
	}
	return err
}

// copyTree copies what lies in the folder from into the folder to, which
// exists, and gives all of it to acct.
func copyTree(from, to string, acct account) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case rel == ".":
		case entry.IsDir():
			err = os.Mkdir(target, 0o700)
		case entry.Type().IsRegular():
			err = copyFile(path, target)
		default:
			err = fmt.Errorf("copy %s: neither file nor folder", path)
		}
		if err != nil {
			return err
		}
		return acct.own(target)
	})
}

func copyFile(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }() // read only: nothing to lose
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// stopLeftover ends the Postgres that works on cluster, if any. We hold the
// folder's lock, so nobody uses it: its parent was killed a moment ago, or the
// system had no death signal to send. For any other process that now has the
// number in postmaster.pid, the file is made to name us: Postgres knows that its
// parent is no other Postgres. Deleting it would be shorter, but its other lines
// guard the cluster against backends that still run.
func stopLeftover(ctx context.Context, cluster string, log *slog.Logger) error {
	root, err := os.OpenRoot(cluster) // the account writes here; follow none of its links
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	text, err := root.ReadFile("postmaster.pid")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	first, rest, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil || pid <= 1 || !alive(pid) {
		return nil // stale in a way that Postgres sees by itself
	}
	if !isPostmaster(pid, cluster) {
		return root.WriteFile("postmaster.pid", []byte(strconv.Itoa(os.Getpid())+"\n"+rest), 0o600)
	}
	log.WarnContext(ctx, "stopping a Postgres that an earlier run left behind", "pid", pid)
	ctx, cancel := context.WithTimeout(ctx, leftoverWait)
	defer cancel()
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop the Postgres left behind, process %d: %w", pid, err)
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for alive(pid) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the Postgres left behind, process %d, to end: %w", pid, ctx.Err())
		}
	}
	return nil
}

// randomPassword has 256 bits and no character that a URL or a configuration
// file would quote.
func randomPassword() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

// readPassword returns the superuser's password kept in dir.
func readPassword(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, passwordFile))
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}
