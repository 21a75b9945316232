package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/biocore-id/biocore/tenancy/secret"
)

const hunter = "hunter2-in-every-form"

// marked hides itself; within holds a secret where fmt calls no methods.
type marked struct {
	secret.Hidden

	Password string
}

type within struct{ text secret.Text }

// Every way of printing is tried on every way of holding a secret.
func TestNothingPrints(t *testing.T) {
	text, mark := secret.New(hunter), marked{Password: hunter}
	for name, v := range map[string]any{
		"a text": text, "its address": &text, "a mark": mark, "a mark's address": &mark,
		"exported":   struct{ T secret.Text }{text},
		"unexported": within{text}, "unexported's address": &within{text}, "two deep": struct{ w *within }{&within{text}},
		"a list": []secret.Text{text}, "a map": map[string]secret.Text{"a": text}, "a key of a map": map[secret.Text]int{text: 1},
		"an interface": []any{text, mark},
	} {
		t.Run(name, func(t *testing.T) {
			for verb := range strings.FieldsSeq("%v %+v %#v %s %q %x %X %d %t %c %U %b %o %e %10.3s %T %y") {
				if got := fmt.Sprintf(verb, v); strings.Contains(got, hunter) || strings.Contains(got, fmt.Sprintf("%x", hunter)) {
					t.Errorf("%s prints %s", verb, got)
				}
			}
			var log bytes.Buffer
			for _, l := range []*slog.Logger{slog.New(slog.NewJSONHandler(&log, nil)), slog.New(slog.NewTextHandler(&log, nil))} {
				l.Info("m", "v", v, slog.Group("g", "v", v))
			}
			inJSON, _ := json.Marshal(v) // a key of a map has no JSON
			inYAML, _ := yaml.Marshal(v)
			err := fmt.Errorf("wrapped: %w, %v", errors.New(fmt.Sprint(v)), v)
			for form, got := range map[string]string{"slog": log.String(), "JSON": string(inJSON), "YAML": string(inYAML), "an error": err.Error()} {
				if strings.Contains(got, hunter) {
					t.Errorf("%s shows %s", form, got)
				}
			}
		})
	}
}

func TestText(t *testing.T) {
	if got := secret.New(hunter).Reveal(); got != hunter {
		t.Errorf("Reveal = %q", got)
	}
	if secret.New(hunter) != secret.New("hunter2"+"-in-every-form") || secret.New(hunter) == secret.New("x") {
		t.Error("texts are not equal by what they hide")
	}
	var none secret.Text
	if none != secret.New("") || none.Reveal() != "" || fmt.Sprint(none) != "" {
		t.Errorf("the zero text is %q", none.Reveal())
	}
	var c struct{ A secret.Text }
	if err := yaml.Unmarshal([]byte("a: "+hunter+"\n"), &c); err != nil || c.A.Reveal() != hunter {
		t.Errorf("from YAML: %q, %v", c.A.Reveal(), err)
	}
	err := yaml.Unmarshal([]byte("a: ["+hunter+"]\n"), &c)
	if err == nil || strings.Contains(yaml.FormatError(err, false, false), hunter) {
		t.Errorf("a list for a text: %v", err)
	}
}

// What nobody recovers from is printed by the runtime, without fmt.
func TestACrashPrintsNothing(t *testing.T) {
	values := map[string]any{
		"text": secret.New(hunter), "mark": marked{Password: hunter}, "within": within{secret.New(hunter)},
		"error": fmt.Errorf("open %v: %w", secret.New(hunter), os.ErrNotExist),
	}
	if v, ok := values[os.Getenv("BIOCORE_TEST_PANIC")]; ok {
		panic(v)
	}
	for name := range values {
		cmd := exec.CommandContext(t.Context(), os.Args[0], //nolint:gosec // G702: this test itself
			"-test.run=^TestACrashPrintsNothing$")
		cmd.Env = append(os.Environ(), "BIOCORE_TEST_PANIC="+name, "GOTRACEBACK=all")
		out, err := cmd.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("panic")) {
			t.Errorf("%s: no crash: %v\n%s", name, err, out)
		}
		if bytes.Contains(out, []byte(hunter)) {
			t.Errorf("%s: the crash shows it:\n%s", name, out)
		}
	}
}
