package restapi_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/restapi"
	"github.com/runbook-engine/runbook/internal/secret"
)

const password = "canary-4be180"

func file(t *testing.T, text string) secret.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return secret.File(name)
}

func open(t *testing.T, l restapi.Login, nodes ...string) *restapi.API {
	t.Helper()
	a, err := restapi.Open(`orders of "main"`, nodes, l)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func get(t *testing.T, a *restapi.API, node string) (string, error) {
	t.Helper()
	text, err := a.Send(t.Context(), restapi.AnswerWithin, http.MethodGet, node, "/path", nil)
	return string(text), err
}

func serve(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.URL
}

func TestWhatCanNotBeRightIsRefused(t *testing.T) {
	for _, c := range []struct {
		node  string
		login restapi.Login
		says  string
	}{
		{"10.0.0.11:8008", restapi.Login{}, "each of urls must be an address"},
		{"ftp://10.0.0.11", restapi.Login{}, "each of urls must be an address"},
		{"http:///api", restapi.Login{}, "each of urls must be an address"},
		{"http://engine:" + password + "@10.0.0.11", restapi.Login{}, "without a user"},
		{"http://10.0.0.11", restapi.Login{Username: "engine"}, "belong together"},
		{"http://10.0.0.11", restapi.Login{PasswordFile: file(t, password)}, "belong together"},
		{"http://10.0.0.11", restapi.Login{CAFile: file(t, "no certificate")}, "CA"},
	} {
		_, err := restapi.Open("orders", []string{"http://10.0.0.10:8008", c.node}, c.login)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", c.node, err)
		}
	}
}

func TestARequestIsWhatItWasAskedToBe(t *testing.T) {
	node := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, pass, _ := r.BasicAuth()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.Method != http.MethodPost || r.URL.Path != "/prefix/path" || user != "engine" || pass != password || string(body) != `{"to":"b"}` {
			t.Errorf("%s %s by %s with %s", r.Method, r.URL, user, body)
		}
		_, _ = w.Write([]byte("whole"))
	})
	a := open(t, restapi.Login{Username: "engine", PasswordFile: file(t, password)}, node)
	text, err := a.Send(t.Context(), restapi.AnswerWithin, http.MethodPost, node+"/prefix/", "/path", map[string]string{"to": "b"})
	if err != nil || string(text) != "whole" {
		t.Errorf("gives %s, %v", text, err)
	}
}

func TestAServerIsTrustedByItsCertificate(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if _, err := get(t, open(t, restapi.Login{CAFile: file(t, string(ca))}, s.URL), s.URL); err != nil {
		t.Error(err)
	}
	if _, err := get(t, open(t, restapi.Login{}, s.URL), s.URL); err == nil {
		t.Error("a server that nobody vouches for is trusted")
	}
}

// A redirect would take the password along.
func TestARedirectIsNotFollowed(t *testing.T) {
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was followed") })
	node := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, http.StatusFound) })
	var no restapi.Refused
	if _, err := get(t, open(t, restapi.Login{}, node), node); !errors.As(err, &no) || no.Status != http.StatusFound {
		t.Errorf("gives %v", err)
	}
}

// Go's client would send the second GET again by itself, if its connection had been
// used for the first.
func TestARequestWhoseAnswerIsLostIsNotSentAgain(t *testing.T) {
	var asked atomic.Int32
	node := serve(t, func(http.ResponseWriter, *http.Request) {
		if asked.Add(1) > 1 {
			panic(http.ErrAbortHandler)
		}
	})
	a := open(t, restapi.Login{}, node)
	if _, err := get(t, a, node); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, a, node); err == nil || asked.Load() != 2 {
		t.Errorf("after %d requests: %v", asked.Load(), err)
	}
}

func TestTheFirstThatAnswersIsAsked(t *testing.T) {
	gone := "http://127.0.0.1:1"
	well := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("well")) })
	no := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "not now", http.StatusServiceUnavailable) })
	for _, c := range []struct {
		nodes []string
		node  string
		says  string
	}{
		{[]string{well, no}, well, "<nil>"},
		{[]string{gone, well, no}, well, "<nil>"},
		{[]string{gone, no, well}, no, "503 Service Unavailable: not now"},
		{[]string{gone, gone}, "", "connection refused"},
	} {
		a := open(t, restapi.Login{}, c.nodes...)
		node, err := a.First(t.Context(), func(node string) error { _, err := get(t, a, node); return err })
		if node != c.node || !strings.Contains(errorText(err), c.says) {
			t.Errorf("%s answers with %v", node, err)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return "<nil>"
	}
	return err.Error()
}

func TestNobodyElseIsAskedWhenItIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	a, asked := open(t, restapi.Login{}, "http://10.0.0.11", "http://10.0.0.12"), 0
	_, err := a.First(ctx, func(string) error { asked++; cancel(); return ctx.Err() })
	if !errors.Is(err, context.Canceled) || asked != 1 {
		t.Errorf("after %d: %v", asked, err)
	}
	if err := a.Failure(ctx, "look at", errors.New("connection refused")); !errors.Is(err, context.Canceled) {
		t.Errorf("it is told as %v", err)
	}
}

func TestAFailureSaysWhatToDoAndWhetherToTryAgain(t *testing.T) {
	a := open(t, restapi.Login{}, "http://10.0.0.11")
	for _, c := range []struct {
		err   error
		class actions.Class
		says  string
	}{
		{restapi.Refused{Status: 404, Text: "no such member"}, actions.ClassPermanent, `look at orders of "main": it answers 404 Not Found: no such member`},
		{restapi.Refused{Status: 503, Text: "not now"}, actions.ClassTransient, "503"},
		{restapi.Refused{Status: 500, Text: "not you", Denied: true, Hint: ", and more"}, actions.ClassPermanent, "username and password_file of the connection must be those of its config, and more"},
		{errors.Join(errors.New("one"), errors.New("two")), actions.ClassTransient, "one; two"},
		{actions.Ambiguous(errors.New("EOF")), actions.ClassAmbiguous, "EOF"},
		{actions.Permanent(errors.New("never")), actions.ClassPermanent, "never"},
	} {
		err := a.Failure(t.Context(), "look at", c.err)
		if actions.ClassOf(err) != c.class || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", actions.ClassOf(err), err)
		}
	}
	denied := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "who?", http.StatusUnauthorized) })
	if _, err := get(t, a, denied); err == nil || !strings.Contains(err.Error(), "username and password_file") {
		t.Errorf("it is told as %v", err)
	}
}
