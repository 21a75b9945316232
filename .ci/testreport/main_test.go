package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const head = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: said\n"}
`
	for _, tt := range []struct {
		name, events, want, wantErr string
	}{
		{
			name: "a passing package is one line",
			events: head + `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}`,
			want: "ok  \tp\t0.1s\n",
		},
		{
			name: "a slow test is named, what is in it is not",
			events: `{"Action":"pass","Package":"p","Test":"TestA/one","Elapsed":31}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":32.04}
{"Action":"pass","Package":"p","Test":"TestB","Elapsed":29}
{"Action":"output","Package":"p","Output":"ok  \tp\t61s\n"}
{"Action":"pass","Package":"p","Elapsed":61}`,
			want: "      32.0 s TestA\nok  \tp\t61s\n",
		},
		{
			name: "a failing test is heard, then go test's line",
			events: head + `{"Action":"output","Package":"p","Test":"TestA","Output":"--- FAIL: TestA (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}`,
			want:    "    a_test.go:1: said\n--- FAIL: TestA (0.00s)\nFAIL\tp\t0.1s\n",
			wantErr: "1 packages",
		},
		{
			name: "a crash shows what unfinished tests said",
			events: head + `{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}`,
			want:    "    a_test.go:1: said\nFAIL\tp\t0.1s\n",
			wantErr: "1 packages",
		},
		{
			name: "a skip fails the run",
			events: head + `{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}`,
			want:    "ok  \tp\t0.1s\n--- SKIP: p.TestA\n",
			wantErr: "1 tests were skipped",
		},
		{
			name:    "a broken build is shown",
			events:  `{"Action":"build-output","ImportPath":"p","Output":"p.go:1: no\n"}` + "\n" + `{"Action":"build-fail","ImportPath":"p"}`,
			want:    "p.go:1: no\n",
			wantErr: "1 packages",
		},
		{
			name:   "the go command's complaint passes through",
			events: "go: updates to go.mod needed\n",
			want:   "go: updates to go.mod needed\n",
		},
		{
			name:   "a package without tests is no skip",
			events: `{"Action":"output","Package":"p","Output":"?   \tp\t[no test files]\n"}` + "\n" + `{"Action":"skip","Package":"p"}`,
			want:   "?   \tp\t[no test files]\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			err := report(strings.NewReader(tt.events), &out)
			if out.String() != tt.want {
				t.Errorf("output = %q, want %q", out.String(), tt.want)
			}
			if (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("error = %v, want %q", err, tt.wantErr)
			}
		})
	}
}
