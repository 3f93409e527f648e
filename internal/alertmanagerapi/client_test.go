package alertmanagerapi

import (
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/internal/secret"
)

func file(t *testing.T, content string) secret.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return secret.File(path)
}

// front is a server that wants a prefix and a login before it answers like an
// Alertmanager without alerts.
func front(t *testing.T, authorization *string) *httptest.Server {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/am/one/api/v2/alerts":
			http.NotFound(w, r)
		case r.Header.Get("Authorization") != *authorization:
			http.Error(w, "who are you?", http.StatusUnauthorized)
		default:
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, "[]")
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func caOf(t *testing.T, server *httptest.Server) secret.File {
	return file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
}

func list(t *testing.T, config Config) error {
	t.Helper()
	client, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = client.Alerts(t.Context(), Filter{Active: true})
	return err
}

func TestLoginsPrefixAndAuthorities(t *testing.T) {
	wanted := ""
	server := front(t, &wanted)
	ca := caOf(t, server)
	for _, prefix := range []string{"/am/one", "/am/one/"} {
		wanted = "Bearer token-1"
		token := file(t, "token-1\n")
		if err := list(t, Config{URL: server.URL + prefix, CAFile: ca, BearerTokenFile: token}); err != nil {
			t.Error(err)
		}
		wanted = "Basic YWRtaW46cHctMQ==" // admin:pw-1
		if err := list(t, Config{URL: server.URL + prefix, CAFile: ca, Username: "admin", PasswordFile: file(t, "pw-1")}); err != nil {
			t.Error(err)
		}
	}
}

func TestATokenIsReadForEachRequest(t *testing.T) {
	wanted := "Bearer old"
	server := front(t, &wanted)
	token := file(t, "old")
	client, err := Open(Config{URL: server.URL + "/am/one", CAFile: caOf(t, server), BearerTokenFile: token})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, next := range []string{"new", ""} {
		if _, err := client.Alerts(t.Context(), Filter{}); err != nil {
			t.Error(err)
		}
		wanted = "Bearer " + next
		if err := os.WriteFile(string(token), []byte(next), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Alerts(t.Context(), Filter{}); err == nil || !strings.Contains(err.Error(), string(token)+" is empty") {
		t.Errorf("an empty token gives %v", err)
	}
}

func TestFailuresSayWhatToDoAndNoSecret(t *testing.T) {
	wanted := "Bearer right"
	server := front(t, &wanted)
	for want, config := range map[string]Config{
		"check bearer_token_file": {URL: server.URL + "/am/one", CAFile: caOf(t, server), BearerTokenFile: file(t, "canary-77")},
		"check the path prefix":   {URL: server.URL, CAFile: caOf(t, server), BearerTokenFile: file(t, "canary-77")},
		"unknown authority":       {URL: server.URL, BearerTokenFile: file(t, "canary-77")},
	} {
		err := list(t, config)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), server.URL) {
			t.Errorf("got %v, want …%s…", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "canary-77") {
			t.Errorf("the secret shows in %v", err)
		}
	}
}

// The generated client dumps requests, with their headers, where the variable
// DEBUG is set.
func TestDebuggingPrintsNoSecret(t *testing.T) {
	t.Setenv("DEBUG", "1")
	t.Setenv("SWAGGER_DEBUG", "1")
	wanted := "Bearer canary-78"
	server := front(t, &wanted)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = write
	err = list(t, Config{URL: server.URL + "/am/one", CAFile: caOf(t, server), BearerTokenFile: file(t, "canary-78")})
	os.Stderr = stderr
	write.Close()
	if err != nil {
		t.Error(err)
	}
	printed, err := io.ReadAll(read)
	if err != nil || strings.Contains(string(printed), "canary-78") {
		t.Errorf("printed %q (%v)", printed, err)
	}
}

func TestOpenRefusesAConfigThatCanNotWork(t *testing.T) {
	for want, config := range map[string]Config{
		"must be like http://127.0.0.1:9093/prefix": {URL: "127.0.0.1:9093"},
		"not \"ftp://h\"":                  {URL: "ftp://h"},
		"goes on":                          {URL: "http://h/am?x=1"},
		"must not hold a password":         {URL: "http://admin:canary-79@h"},
		"go together":                      {URL: "http://h", Username: "u"},
		"either bearer_token_file":         {URL: "http://h", Username: "u", PasswordFile: "p", BearerTokenFile: "t"},
		"no such file":                     {URL: "https://h", CAFile: "/nonexistent/ca.pem"},
		"holds no certificate in PEM form": {URL: "https://h", CAFile: file(t, "canary-79")},
	} {
		_, err := Open(config)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary-79") {
			t.Errorf("%s: got %v", want, err)
		}
	}
	if _, err := Open(Config{URL: "http://admin:canary-79@h:port"}); err == nil || strings.Contains(err.Error(), "canary-79") {
		t.Errorf("got %v", err)
	}
}

func TestAnswersOfSomethingElseAreErrors(t *testing.T) {
	for _, body := range []string{
		`[{}]`, `[null]`, `[{"fingerprint": "f", "status": {}}]`, `{}`, `"x"`, `[[]]`, `<html>`, `null`, ``,
		`[{"alerts": [null], "receiver": {"name": "r"}}]`, `[{"alerts": []}]`, `[{"id": "x"}]`,
	} {
		for _, contentType := range []string{"application/json", "text/html", "", "nonsense"} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", contentType)
				io.WriteString(w, body)
			}))
			client, err := Open(Config{URL: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			_, alerts := client.Alerts(t.Context(), Filter{})
			_, groups := client.Firing(t.Context(), "", nil)
			_, silences := client.Silences(t.Context(), nil)
			for what, err := range map[string]error{"alerts": alerts, "groups": groups, "silences": silences} {
				var failed *Error
				if !errors.As(err, &failed) || failed.Status != 0 || !failed.Sent {
					t.Errorf("%s as %q for %s gives %v", body, contentType, what, err)
				}
			}
			client.Close()
			server.Close()
		}
	}
}
