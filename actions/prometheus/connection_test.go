package prometheus_test

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions"
)

func TestConnectionRefusesAMistakeWithoutShowingIt(t *testing.T) {
	file := secretFile(t, token)
	empty := secretFile(t, "")
	for config, says := range map[string]string{
		"url: 'http://user:" + token + "@h:9090'": "must not hold a user or a password",
		"url: 'http://user:" + token + "%zz@h'":   "no URL of a server",
		"url: 'http:///metrics'":                  "no URL of a server",
		"url: 'http://h', username: me":           "belong together",
		"url: 'http://h', password_file: " + file: "belong together",
		"url: 'http://h', username: me, password_file: " + file + ", bearer_token_file: " + file: "exclude each other",
		"url: 'http://h', bearer_token_file: /nowhere/token":                                     "/nowhere/token",
		"url: 'http://h', bearer_token_file: " + empty:                                           "is empty",
		"url: 'http://h', ca_file: " + file:                                                      "CA",
	} {
		_, err := run(t, "main: {prometheus: {"+config+"}}", "{query: up}")
		fails(t, err, actions.ClassPermanent, says)
		if err != nil && strings.Contains(err.Error(), token) {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}

func TestConnectionUsesBasicAuthOverTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer(`{"status":"success","data":{"resultType":"scalar","result":[0,"7"]}}`)(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it reports the client that does not trust it
	t.Cleanup(server.Close)
	ca := secretFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	with := "url: '" + server.URL + "', username: me, password_file: " + secretFile(t, token)

	got, err := run(t, "main: {prometheus: {"+with+", ca_file: "+ca+"}}", "{query: up}")
	if err != nil || !strings.Contains(got, `"value":7`) {
		t.Errorf("gives %s, %v", got, err)
	}
	_, err = run(t, "main: {prometheus: {"+with+"}}", "{query: up}")
	fails(t, err, actions.ClassPermanent, "certificate")
}

func TestTokenIsReadAnewForEachQuery(t *testing.T) {
	var got []string
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		answer(`{"status":"success","data":{"resultType":"scalar","result":[0,"7"]}}`)(w, r)
	})
	file := secretFile(t, "first")
	b := bind(t, withToken(file)(address), "{query: up}")
	for _, text := range []string{"first", "second"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Run(t.Context(), "key", actions.Target{}); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(got, ", ") != "Bearer first, Bearer second" {
		t.Errorf("sent %q", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	_, err := b.Run(t.Context(), "key", actions.Target{})
	fails(t, err, actions.ClassPermanent, "unable to read")
}
