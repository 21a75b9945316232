package scope_test

import (
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/scope"
)

func TestBrowser(t *testing.T) {
	for _, tt := range []struct{ userAgent, want string }{
		{"", ""},
		{"curl/8.5.0", ""},
		{"Go-http-client/2.0", ""},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36", "Chrome 141 on Windows"},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0", "Edge 141 on Windows"},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15", "Safari 26 on macOS"},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1", "Safari 26 on iPhone"},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/141.0.7390.41 Mobile/15E148 Safari/604.1", "Chrome 141 on iPhone"},
		{"Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0", "Firefox 144 on Linux"},
		{"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36", "Samsung Internet 28 on Android"},
		{"Mozilla/5.0 (Linux; Android 15) BankApp/7", "Android"},
		{"Firefox/", "Firefox"},
		{"Chrome/99999999999<script>", "Chrome 9999"},
	} {
		if got := (scope.Origin{UserAgent: tt.userAgent}).Browser(); got != tt.want {
			t.Errorf("Browser of %q = %q, want %q", tt.userAgent, got, tt.want)
		}
	}
	longest := scope.Origin{UserAgent: "SamsungBrowser/99999 ChromeOS CrOS " + strings.Repeat("x", 400)}
	if got := longest.Browser(); len(got) > 40 {
		t.Errorf("Browser = %q, %d bytes", got, len(got))
	}
}
