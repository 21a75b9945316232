package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/biocore-id/biocore/web/rpc"
)

// objective is SLOObjective as a share.
func (c *Config) objective() float64 { return math.Round(c.SLOObjective*1e6) / 1e8 } // 99.9 / 100 would be more than .999

// validObjective refuses what leaves nothing to fail, or what nobody would promise.
func (c *Config) validObjective() error {
	if c.SLOObjective >= 90 && c.SLOObjective <= 99.999 {
		return nil
	}
	return errors.New("BIOCORE_SLO_OBJECTIVE is 90 to 99.999") // NaN is not, either
}

func runSLO(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "slo", &asJSON)
	config := configFlag(fs)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	level, err := c.stats.ServiceLevel(ctx, c.objective)
	if err != nil {
		return err
	}
	if asJSON {
		return printMessage(env, rpc.ToServiceLevel(&level))
	}
	rows := [][]string{{"WINDOW", "ANSWERED", "FAULTS", "AVAILABILITY", "BURN RATE", "THRESHOLD", "STATE"}}
	for _, w := range level.Windows {
		rows = append(rows, []string{
			w.Name, strconv.FormatInt(w.Answered, 10), strconv.FormatInt(w.Faults, 10), percent(w.Level),
			strconv.FormatFloat(w.Burn, 'f', 2, 64), strconv.FormatFloat(w.Threshold, 'g', -1, 64),
			strings.ToLower(strings.ReplaceAll(string(w.Mark), "_", " ")),
		})
	}
	if err := table(env.out, rows); err != nil {
		return err
	}
	left := "no sign-ins"
	if share, known := level.Budget(); known {
		left = strconv.FormatFloat(100*share, 'f', 1, 64) + " %"
	}
	_, err = fmt.Fprintf(env.out, "\nobjective   %s %% within 30 days\nbudget left %s\n", strconv.FormatFloat(100*level.Objective, 'g', 7, 64), left)
	return err
}
