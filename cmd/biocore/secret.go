package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/tenancy/secret"
)

func runSecretSeal(ctx context.Context, env *environment, args []string) error {
	const command = "secret seal"
	var asJSON bool
	fset := flags(env, command, &asJSON)
	config := configFlag(fset)
	if err := parse(fset, args, 1); err != nil {
		return err
	}
	variable := fset.Arg(0)
	var none Config
	fields := none.secrets()
	if _, ok := fields[variable]; !ok {
		return misuse(env, command, "%s holds no secret; these do: %s", variable, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
	}
	value, err := readSecret(env.in)
	if err != nil {
		return err
	}
	// Only BIOCORE_KMS_URL is needed: other references may not even open yet.
	s, err := readSettings(*config, env.dir)
	if err != nil {
		return err
	}
	k, err := openKMS(ctx, s.KMSURL, nil)
	if err != nil {
		return fmt.Errorf("KMS: %w", err)
	}
	reference, err := sealReference(ctx, k, variable, value)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(env.out, map[string]string{"variable": variable, "kmsKey": k.KeyName(), "reference": reference})
	}
	_, err = fmt.Fprintln(env.out, reference)
	return err
}

// readSecret reads a secret from a file or a pipe, without the line's end. A terminal
// would show what is typed, and keep it for whoever scrolls back.
func readSecret(in io.Reader) (secret.Text, error) {
	if f, ok := in.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&fs.ModeCharDevice != 0 {
			return secret.Text{}, errors.New("the secret is read from a file or a pipe, not from a terminal, which shows it: biocore secret seal NAME <FILE")
		}
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxSealed+3)) // and the line's end
	if err != nil {
		return secret.Text{}, fmt.Errorf("read the secret: %w", err)
	}
	text := strings.TrimRight(string(raw), "\r\n")
	switch {
	case text == "":
		return secret.Text{}, errors.New("the secret is empty")
	case isReference(text):
		return secret.Text{}, errors.New("this is a reference already")
	}
	return secret.New(text), nil
}

// secretFinding is one line of `secret check`.
type secretFinding struct {
	Variable string `json:"variable"`
	From     string `json:"from"`              // "the environment", a file's path; empty: it is not given
	Sealed   bool   `json:"sealed"`            // the KMS opens it
	Problem  string `json:"problem,omitempty"` // why serve refuses it
}

func runSecretCheck(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fset := flags(env, "secret check", &asJSON)
	config := configFlag(fset)
	if err := parse(fset, args, 0); err != nil {
		return err
	}
	s, err := readSettings(*config, env.dir)
	if err != nil {
		return err
	}
	found := s.checkSecrets(ctx)
	problems := 0
	for _, f := range found {
		if f.Problem != "" {
			problems++
		}
	}
	if asJSON {
		err = printJSON(env.out, map[string]any{"secrets": found})
	} else {
		err = printSecrets(env.out, found)
	}
	if err == nil && problems > 0 {
		err = fmt.Errorf("%d of %d secrets cannot be used", problems, len(found))
	}
	return err
}

// checkSecrets says of every secret where it comes from, and what is wrong with it.
func (s *settings) checkSecrets(ctx context.Context) []secretFinding {
	sealed := map[string]bool{}
	for name, text := range s.secrets() {
		sealed[name] = isReference(text.Reveal())
	}
	s.openReferences(ctx)
	var found []secretFinding
	for name, text := range s.secrets() {
		f := secretFinding{Variable: name, From: s.origins[name], Sealed: sealed[name]}
		err := s.failed[name]
		if err == nil {
			schemes := postgresSchemes
			if name == "BIOCORE_REDIS_URL" {
				schemes = redisSchemes
			}
			err = validStoreURL(name, *text, schemes)
		}
		if err != nil {
			f.Problem = explain(err)
		}
		found = append(found, f)
	}
	// What leads to secrets that are no texts.
	key, kms := secretFinding{Variable: "BIOCORE_TLS_KEY_FILE", From: s.TLSKeyFile}, secretFinding{Variable: "BIOCORE_KMS_URL", From: s.origins["BIOCORE_KMS_URL"]}
	if s.TLSKeyFile != "" {
		if _, err := secret.ReadFile(s.TLSKeyFile); err != nil {
			key.Problem = explain(err)
		}
	}
	if s.KMSURL != "" {
		if _, err := openKMS(ctx, s.KMSURL, s.previousKMS()); err != nil {
			kms.Problem = explain(err)
		}
	}
	found = append(found, key, kms)
	slices.SortFunc(found, func(a, b secretFinding) int { return strings.Compare(a.Variable, b.Variable) })
	return found
}

func printSecrets(w io.Writer, found []secretFinding) error {
	rows := [][]string{{"SECRET", "FROM", "SEALED", "STATE"}}
	for _, f := range found {
		row := []string{f.Variable, f.From, "no", "ok"}
		if f.Sealed {
			row[2] = "by the KMS"
		}
		switch {
		case f.Problem != "":
			row[3] = f.Problem
		case f.From == "":
			row[1], row[2], row[3] = "-", "-", "not given"
		}
		rows = append(rows, row)
	}
	return table(w, rows)
}

// urlArgument is the URL that a flag was given: as it is, or as file:PATH of a file that
// holds it. A URL with a password is refused as it is, since every process of the
// machine sees the arguments of every other.
func urlArgument(flagName, given string) (string, error) {
	if path, ok := strings.CutPrefix(given, "file:"); ok {
		content, err := secret.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("%s: %w", flagName, err)
		}
		return strings.TrimRight(string(content), "\r\n"), nil
	}
	u, err := url.Parse(given)
	if err != nil {
		return "", fmt.Errorf("%s is no URL", flagName) // err would show the password
	}
	if _, has := passwordOf(u); has {
		return "", fmt.Errorf("%s carries a password, and every process of this machine sees it: put the URL in a file, and give file:PATH", flagName)
	}
	return given, nil
}
