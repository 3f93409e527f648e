package alertmanager

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/lab"
)

// losing forwards to the real server and loses the answers to the first write.
func losing(t *testing.T, server *lab.Alertmanager, answer http.HandlerFunc) string {
	t.Helper()
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	lost := false
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || lost {
			forward.ServeHTTP(w, r)
			return
		}
		lost = true
		forward.ServeHTTP(httptest.NewRecorder(), r)
		answer(w, r)
	}))
	t.Cleanup(front.Close)
	return front.URL
}

func TestALostAnswerIsAmbiguousAndTheRetryFindsTheEffect(t *testing.T) {
	lossy := map[string]http.HandlerFunc{
		"dropped": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"gateway": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusGatewayTimeout) },
	}
	for how, answer := range lossy {
		onEach(t, func(t *testing.T, server *lab.Alertmanager) {
			name := unique("Lost")
			for action, params := range map[string]string{
				"alertmanager.raise":   `{alertname: ` + name + `, for: 5m}`,
				"alertmanager.silence": `{matchers: ['alertname="` + name + `"'], duration: 5m, comment: c}`,
			} {
				b := bind(t, opened(t, losing(t, server, answer), time.Now)[action], params)
				if _, err := b.Run(t.Context(), "run/1", actions.Target{}); actions.ClassOf(err) != actions.ClassAmbiguous {
					t.Errorf("%s with the answer %s gives %v (%s)", action, how, err, actions.ClassOf(err))
				}
				if _, err := b.Run(t.Context(), "run/1", actions.Target{}); err != nil {
					t.Errorf("the retry of %s gives %v", action, err)
				}
			}
			if a, s := firingNow(t, server.URL, name), silencesOn(t, server.URL, name)["active"]; len(a) != 1 || len(s) != 1 {
				t.Errorf("there are %d alerts and %d silences", len(a), len(s))
			}
		})
	}
}

func TestAWriteThatWasNeverSentIsTransient(t *testing.T) {
	for action, params := range map[string]string{
		"alertmanager.raise":   `{alertname: A}`,
		"alertmanager.silence": `{matchers: ['a="b"'], duration: 5m, comment: c}`,
	} {
		var server *httptest.Server
		server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			server.Listener.Close()
			w.Header().Set("Connection", "close")
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(`[]`))
		}))
		t.Cleanup(server.Close)
		_, err := bind(t, opened(t, server.URL, time.Now)[action], params).Run(t.Context(), "run/1", actions.Target{})
		if !errors.Is(err, syscall.ECONNREFUSED) || actions.ClassOf(err) != actions.ClassTransient {
			t.Errorf("%s gives %v (%s)", action, err, actions.ClassOf(err))
		}
	}
}

func TestClassOfEachAnswer(t *testing.T) {
	for status, want := range map[int]struct{ read, write actions.Class }{
		302: {actions.ClassPermanent, actions.ClassPermanent},
		400: {actions.ClassPermanent, actions.ClassPermanent},
		401: {actions.ClassPermanent, actions.ClassPermanent},
		403: {actions.ClassPermanent, actions.ClassPermanent},
		404: {actions.ClassPermanent, actions.ClassPermanent},
		408: {actions.ClassTransient, actions.ClassTransient},
		429: {actions.ClassTransient, actions.ClassTransient},
		500: {actions.ClassTransient, actions.ClassAmbiguous},
		502: {actions.ClassTransient, actions.ClassAmbiguous},
		503: {actions.ClassTransient, actions.ClassAmbiguous},
	} {
		failing := func(method string) string {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if r.Method == method {
					w.Header().Set("Location", "/login")
					w.WriteHeader(status)
				}
				w.Write([]byte(`[]`))
			}))
			t.Cleanup(server.Close)
			return server.URL
		}
		for _, c := range []struct {
			method, action, params string
			want                   actions.Class
		}{
			{"GET", "alertmanager.alerts", `{}`, want.read},
			{"GET", "alertmanager.raise", `{alertname: A}`, want.read},
			{"POST", "alertmanager.raise", `{alertname: A}`, want.write},
			{"POST", "alertmanager.silence", `{matchers: ['a="b"'], duration: 5m, comment: c}`, want.write},
		} {
			_, err := bind(t, opened(t, failing(c.method), time.Now)[c.action], c.params).Run(t.Context(), "run/1", actions.Target{})
			if err == nil || actions.ClassOf(err) != c.want {
				t.Errorf("%d to %s of %s: %v (%s), want %s", status, c.method, c.action, err, actions.ClassOf(err), c.want)
			}
		}
	}
}

func TestAServerWeDoNotTrustIsPermanent(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	_, err := bind(t, opened(t, server.URL, time.Now)["alertmanager.alerts"], "{}").Run(t.Context(), "", actions.Target{})
	if actions.ClassOf(err) != actions.ClassPermanent {
		t.Errorf("gives %v (%s)", err, actions.ClassOf(err))
	}
}
