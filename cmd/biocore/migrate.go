package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/biocore-id/biocore/db"
)

// migration is one row of `migrate status`, and of what `migrate up` applied.
type migration struct {
	Version   int64      `json:"version"`
	Name      string     `json:"name"`
	AppliedAt *time.Time `json:"appliedAt,omitempty"` // absent: pending
}

func runMigrateUp(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "migrate up", &asJSON)
	config := configFlag(fs)
	bootstrap := fs.String("bootstrap", "", "first make the roles, logged in by this administrator's database `URL`, or by that in file:PATH; sets the roles' passwords to those of the configuration")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	cfg, err := loadConfig(ctx, *config, env.dir)
	if err != nil {
		return err
	}
	if cfg.DatabaseMigratorURL.Reveal() == "" {
		return errors.New("BIOCORE_DATABASE_MIGRATOR_URL is required")
	}
	if *bootstrap != "" {
		admin, err := urlArgument("--bootstrap", *bootstrap)
		if err != nil {
			return err
		}
		passwords, err := cfg.rolePasswords()
		if err != nil {
			return err
		}
		if err := db.Bootstrap(ctx, admin, passwords); err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
	}
	applied, err := db.Migrate(ctx, cfg.DatabaseMigratorURL.Reveal(), slog.New(slog.NewTextHandler(env.err, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	return printMigrations(env.out, applied, asJSON, "the schema is up to date\n")
}

func runMigrateStatus(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "migrate status", &asJSON)
	config := configFlag(fs)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	cfg, err := loadConfig(ctx, *config, env.dir)
	if err != nil {
		return err
	}
	if cfg.DatabaseMigratorURL.Reveal() == "" {
		return errors.New("BIOCORE_DATABASE_MIGRATOR_URL is required")
	}
	status, err := db.MigrationStatus(ctx, cfg.DatabaseMigratorURL.Reveal(), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return printMigrations(env.out, status, asJSON, "no migrations\n")
}

func printMigrations(w io.Writer, status []db.Status, asJSON bool, none string) error {
	out := make([]migration, 0, len(status))
	for _, s := range status {
		m := migration{Version: s.Version, Name: s.Name}
		if !s.AppliedAt.IsZero() {
			at := s.AppliedAt.UTC()
			m.AppliedAt = &at
		}
		out = append(out, m)
	}
	if asJSON {
		return printJSON(w, map[string]any{"migrations": out})
	}
	if len(out) == 0 {
		_, err := io.WriteString(w, none)
		return err
	}
	for _, m := range out {
		state := "pending"
		if m.AppliedAt != nil {
			state = m.AppliedAt.Format(time.RFC3339)
		}
		if _, err := fmt.Fprintf(w, "%04d  %-24s %s\n", m.Version, m.Name, state); err != nil {
			return err
		}
	}
	return nil
}
