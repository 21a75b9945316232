//go:build !linux

package main

// sealMemory keeps what is in this process's memory from being written to a disk by a
// crash.
func sealMemory() error { return noCore() }
