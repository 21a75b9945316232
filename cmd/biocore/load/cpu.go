package load

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ticksPerSecond is what /proc counts CPU time in: USER_HZ, which Linux has fixed at
// 100 on every architecture that Go supports but one (alpha).
const ticksPerSecond = 100

// process is one line of /proc/PID/stat.
type process struct {
	parent  int
	program string
	ticks   float64 // its own, and those of children that it has waited for
	rssMiB  float64
}

// usage is what process trees use between start and stop.
type usage struct {
	roots         []int
	before, after map[string]float64 // ticks
	rss           map[string]float64 // the most that was seen
}

func (u *usage) start(roots []int) {
	if u.roots = roots; len(roots) == 0 {
		return
	}
	u.rss = map[string]float64{}
	u.before = u.look()
}

func (u *usage) stop() { u.after = u.look() }

// look reads the trees as they are now, and returns their ticks by group.
func (u *usage) look() map[string]float64 {
	if len(u.roots) == 0 {
		return nil
	}
	ticks, rss := map[string]float64{}, map[string]float64{}
	all := processes()
	for pid := range all {
		if group, ok := groupOf(all, pid, u.roots); ok {
			ticks[group] += all[pid].ticks
			rss[group] += all[pid].rssMiB
		}
	}
	for group, mib := range rss {
		u.rss[group] = max(u.rss[group], mib)
	}
	return ticks
}

// perSignIn returns CPU-milliseconds and the highest resident size by group; nil
// when nothing could be read.
func (u *usage) perSignIn(signIns int) (cpu, rss map[string]float64) {
	if signIns == 0 || len(u.after) == 0 {
		return nil, nil
	}
	cpu = map[string]float64{}
	for group, ticks := range u.after {
		cpu[group] = (ticks - u.before[group]) / ticksPerSecond * 1000 / float64(signIns)
	}
	return cpu, u.rss
}

// groupOf names the group that a process counts in, when it is in one of the trees:
// that of the first Postgres or Redis on the way up, else the server's.
func groupOf(all map[int]process, pid int, roots []int) (string, bool) {
	group := "server"
	for range 64 { // deeper than any tree of processes; a cycle would be a torn read
		p, ok := all[pid]
		if !ok {
			return "", false
		}
		switch {
		case strings.HasPrefix(p.program, "postgres"):
			group = "postgres"
		case strings.HasPrefix(p.program, "redis"):
			group = "redis"
		}
		if slices.Contains(roots, pid) {
			return group, true
		}
		pid = p.parent
	}
	return "", false
}

// processes reads all of /proc; it is empty where there is none.
func processes() map[int]process {
	all := map[int]process{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // its only error is a bad pattern
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		if pid, p, ok := parseStat(line); ok {
			all[pid] = p
		}
	}
	return all
}

// parseStat reads a line of /proc/PID/stat (proc(5)). The program's name is in
// parentheses, and may have some of its own.
func parseStat(line []byte) (pid int, p process, ok bool) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return 0, process{}, false
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(line[:open])))
	fields := strings.Fields(string(line[end+1:])) // from field 3, the state, on
	if err != nil || len(fields) < 22 {
		return 0, process{}, false
	}
	p.program = string(line[open+1 : end])
	if p.parent, err = strconv.Atoi(fields[1]); err != nil {
		return 0, process{}, false
	}
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		ticks, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, process{}, false
		}
		p.ticks += ticks
	}
	pages, err := strconv.ParseFloat(fields[21], 64)
	p.rssMiB = pages * float64(os.Getpagesize()) / (1 << 20)
	return pid, p, err == nil
}
