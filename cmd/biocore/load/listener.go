package load

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Listener returns the process that listens on a TCP port of this machine, and false
// when it cannot be told: there is no /proc, or the process is another user's.
func Listener(port int) (pid int, ok bool) {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if inode, ok := listening(line, port); ok {
				sockets["socket:["+inode+"]"] = true
			}
		}
	}
	if len(sockets) == 0 {
		return 0, false
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*") // its only error is a bad pattern
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && sockets[target] {
			pid, err := strconv.Atoi(strings.Split(file, "/")[2])
			return pid, err == nil
		}
	}
	return 0, false
}

// listening reads a line of /proc/net/tcp (proc(5)): the socket's inode, if it is in
// state LISTEN on the port.
func listening(line string, port int) (inode string, ok bool) {
	fields := strings.Fields(line)
	const listen = "0A"
	if len(fields) < 10 || fields[3] != listen || !strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
		return "", false
	}
	return fields[9], true
}
