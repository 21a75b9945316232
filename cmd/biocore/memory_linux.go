package main

import (
	"errors"
	"syscall"
)

// prSetDumpable is PR_SET_DUMPABLE of prctl(2), which package syscall does not name.
const prSetDumpable = 4

// sealMemory keeps what is in this process's memory, keys and passwords among it, from
// being written to a disk by a crash, and from other processes of the same user: they
// may neither trace it nor read its /proc entries (environ, mem). Root still may.
// A limit alone would not do: the kernel ignores it where core dumps go to a program,
// as they do under systemd.
func sealMemory() error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetDumpable, 0, 0)
	var err error
	if errno != 0 {
		err = errno
	}
	return errors.Join(err, noCore())
}
