package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/tenancy/governance/detect"
)

// errDetected says that a file holds what it should not.
var errDetected = errors.New("there is something that should not be there")

// maxDetectLine bounds a line of a file; a longer one is looked at in pieces.
const maxDetectLine = 1 << 20

// maxDetected bounds what is listed of a file; the rest is counted.
const maxDetected = 1000

// kindWords are the kinds as people type them.
const kindWords = "email, iban, card, national_id, token, private_key, biocore_key"

type detectedJSON struct {
	Line   int         `json:"line"`
	Column int         `json:"column"`
	Kind   detect.Kind `json:"kind"`
	Shape  string      `json:"shape"`
}

// runDLPFile looks for personal data and secrets in one file, asking nobody.
func runDLPFile(_ context.Context, env *environment, args []string) error {
	const command = "dlp file"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	only := fs.String("kinds", "", "only these `kinds`, joined by commas: "+kindWords)
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	kinds, err := detectKinds(*only)
	if err != nil {
		return misuse(env, command, "--kinds: %s", err)
	}
	in := env.in
	if path := fs.Arg(0); path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	found, count, err := detectLines(in, kinds)
	if err != nil {
		return fmt.Errorf("read %s: %w", fs.Arg(0), err)
	}
	if asJSON {
		err = printJSON(env.out, map[string]any{"findings": append([]detectedJSON{}, found...), "count": count})
	} else {
		for _, d := range found {
			fmt.Fprintf(env.out, "%s:%d:%d: %s %s\n", fs.Arg(0), d.Line, d.Column, d.Kind, d.Shape)
		}
		if more := count - len(found); more > 0 {
			fmt.Fprintf(env.out, "and %d more\n", more)
		}
	}
	if err == nil && count > 0 {
		err = errDetected
	}
	return err
}

// detectKinds reads kinds as people type them; none for "".
func detectKinds(text string) ([]detect.Kind, error) {
	var kinds []detect.Kind
	for _, word := range list(text) {
		k := detect.Kind(strings.ToUpper(strings.ReplaceAll(word, "-", "_")))
		if !slices.Contains(detect.Kinds(), k) {
			return nil, fmt.Errorf("there is no %s", word)
		}
		kinds = append(kinds, k)
	}
	return kinds, nil
}

// detectLines looks through text line by line, in bounded memory, and returns the first findings and how many there are.
func detectLines(in io.Reader, kinds []detect.Kind) (found []detectedJSON, count int, err error) {
	r := bufio.NewReaderSize(in, maxDetectLine)
	for line, column := 1, 1; ; {
		piece, err := r.ReadSlice('\n')
		text := string(piece)
		for _, f := range detect.Find(text) {
			if len(kinds) > 0 && !slices.Contains(kinds, f.Kind) {
				continue
			}
			if count++; len(found) < maxDetected {
				found = append(found, detectedJSON{line, column + f.Start, f.Kind, detect.Shape(strings.TrimRight(text[f.Start:f.End], "\r\n"))})
			}
		}
		switch {
		case err == nil:
			line, column = line+1, 1
		case errors.Is(err, bufio.ErrBufferFull):
			column += len(piece)
		case errors.Is(err, io.EOF):
			return found, count, nil
		default:
			return nil, 0, err
		}
	}
}
