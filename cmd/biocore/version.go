package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the release build: -X main.version=v1.2.3.
var version string

// build is what `biocore version` tells about the binary.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source, where the build recorded it
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func buildInfo() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	if b.Version == "" {
		b.Version = "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	return b
}

func runVersion(_ context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "version", &asJSON)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	b := buildInfo()
	if asJSON {
		return printJSON(env.out, b)
	}
	_, err := fmt.Fprintf(env.out, "biocore %s (%s, %s)\n", b.Version, b.Go, b.Platform)
	return err
}
