package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/embedded"
)

// A database of one's own may be away when Ctrl-C comes, and is not waited for.
func TestDevEndsWithoutItsDatabase(t *testing.T) {
	t.Parallel()
	_, postgres := dbtest.OwnPostgres(t)
	url := emptyDatabase(t, postgres)
	p, _ := startDev(t, launch{args: []string{"--pg-url", inFile(t, url), "--redis-url", inFile(t, dbtest.Redis(t))}})
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	// Jobs that cannot start end the server, so all of them must have: the second queue's row is the last that
	// starting them asks of the database.
	eventually(t, "the last part of it has begun to work", func() (works bool) {
		if err := conn.QueryRow(t.Context(), "SELECT count(*) = 2 FROM "+db.JobSchema+".river_queue").Scan(&works); err != nil {
			t.Fatal(err)
		}
		return works
	})
	postgres.Crash(t)
	if took := p.interrupt(t, syscall.SIGINT); took > stopLimit {
		t.Errorf("Ctrl-C without Postgres took %s", took)
	}
}

// database is an empty database on a server of its own, whose roles somebody else has
// made already.
func database(t testing.TB) (adminURL string) {
	t.Helper()
	_, server := dbtest.OwnPostgres(t)
	return emptyDatabase(t, server)
}

// inFile is a URL as a flag takes it when it holds a password.
func inFile(t testing.TB, url string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(path, []byte(url+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file:" + path
}

func emptyDatabase(t testing.TB, server *dbtest.PostgresServer) (adminURL string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.SuperuserURL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "CREATE DATABASE dev"); err != nil {
		t.Fatal(err)
	}
	return server.SuperuserURL("dev")
}

// With servers of one's own: their roles may be there already, and made by another
// folder. Redis in this process does whatever ceremonies ask of it.
func TestDevWithOwnStores(t *testing.T) {
	t.Parallel()
	redis, err := embedded.StartRedis(t.Context(), embedded.RedisOptions{InProcess: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Stop(t.Context()) })
	dir, url := folder(t), database(t)
	stores := []string{"--pg-url", inFile(t, url), "--redis-url", inFile(t, redis.URL())}
	p, state := startDev(t, launch{dir: dir, args: stores})
	enrollAt(t, state)
	if children := offspring(t, p.Process.Pid); len(children) > 0 {
		t.Errorf("it has started %v beside the stores it was given", children)
	}
	p.interrupt(t, syscall.SIGINT)

	p, again := startDev(t, launch{dir: dir, args: stores})
	if again.PlatformKey != state.PlatformKey || !hasUser(t, again, "alice") {
		t.Error("a restart on a given database has lost what was there")
	}
	p.interrupt(t, syscall.SIGINT)

	// The key file stays behind with the folder, and that database opens with no other.
	elsewhere := folder(t)
	code, _, errs := runToEnd(t, launch{dir: elsewhere, args: append([]string{"dev"}, stores...)})
	if code != 1 || !strings.Contains(errs, "kms.key is missing") || strings.Contains(errs, "--reset") || exists(filepath.Join(elsewhere, ".biocore", "kms.key")) {
		t.Errorf("in another folder: exit %d, %s", code, errs)
	}
}

// enrollAt enrolls alice at acme and signs her in.
func enrollAt(t testing.TB, state devState) {
	t.Helper()
	api, key := client(state), state.Tenants[0].SecretKey
	authenticator, err := authenticatortest.New(authenticatortest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	begun := api.must(t, "POST", "/v1/registrations:begin", key, map[string]any{"user": map[string]any{"externalId": "alice", "name": "alice", "displayName": "Alice"}})
	made, err := authenticator.Create(marshal(t, begun.at("options")), state.APIURL)
	if err != nil {
		t.Fatal(err)
	}
	api.must(t, "POST", "/v1/registrations:finish", key, map[string]any{"registrationId": begun.text("registrationId"), "credential": json.RawMessage(marshal(t, made))})
	begun = api.must(t, "POST", "/v1/authentications:begin", key, map[string]any{})
	proof, err := authenticator.GetWith(marshal(t, begun.at("options")), state.APIURL, authenticatortest.Deviation{})
	if err != nil {
		t.Fatal(err)
	}
	done := api.must(t, "POST", "/v1/authentications:finish", key, map[string]any{"authenticationId": begun.text("authenticationId"), "credential": json.RawMessage(marshal(t, proof))})
	if done.text("decision") != "ALLOW" {
		t.Errorf("sign-in: %s", done)
	}
}
