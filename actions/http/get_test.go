package http_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	httpaction "github.com/runbook-engine/runbook/actions/http"
)

func TestGetConforms(t *testing.T) {
	s := newShop(t)
	conformance.Run(t, conformance.Case{
		System:      httpaction.System,
		Action:      "http.get",
		Connections: withToken(secretFile(t, token)),
		Address:     s.address(),
		Secrets:     []string{token},
		Params:      "{url: /health, connection: shop}",
		Slow:        "{url: /slow, connection: shop, timeout: 5m}",
		State:       s.state,
		Measured:    []string{"duration", "headers"},
	})
}

func TestGetGivesTheAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    []string
	}{
		"json": {
			respond(200, "application/json", `{"ok": true, "id": 12345678901234567890}`),
			[]string{`"status":200`, `"content-type":"application/json"`, `"json":{"ok":true,"id":12345678901234567890}`, `"truncated":false`},
		},
		"text":           {respond(200, "text/plain", "fine"), []string{`"body":"fine"`, `"json":null`}},
		"a wrong status": {respond(503, "text/plain", "down"), []string{`"status":503`, `"body":"down"`}},
		"no body":        {respond(204, "", ""), []string{`"status":204`, `"body":""`, `"json":null`}},
		"a long body": {
			respond(200, "", `"`+strings.Repeat("x", 70000)+`"`),
			[]string{`"body":"\"` + strings.Repeat("x", 65535) + `"`, `"truncated":true`, `"json":null`},
		},
		"no text": {respond(200, "", "a\xffb"), []string{`"body":"a` + "\uFFFD" + `b"`}},
	} {
		server := httptest.NewServer(test.handler)
		t.Cleanup(server.Close)
		got, err := run(t, "http.get", "", "{url: '"+server.URL+"/x'}")
		for _, want := range test.want {
			if err != nil || !strings.Contains(got, want) {
				t.Errorf("%s: gives %.300s, %v, want …%.100s…", name, got, err, want)
			}
		}
	}
}

func TestGetMeasuresTheWholeAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	_, err := run(t, "http.get", "", "{url: '"+server.URL+"', timeout: 50ms}")
	fails(t, err, actions.ClassTransient, "no answer within 50ms")
}

func TestGetReadsNoMoreThanItGives(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write(make([]byte, 1000))
		}
	}))
	t.Cleanup(server.Close)
	got, err := run(t, "http.get", "", "{url: '"+server.URL+"', timeout: 10s}")
	if err != nil || !strings.Contains(got, `"truncated":true`) {
		t.Errorf("gives %.100s, %v", got, err)
	}
}

func TestAFailureDoesNotShowTheQuery(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	_, err := run(t, "http.get", "", "{url: '"+server.URL+"/health?token="+token+"'}")
	fails(t, err, actions.ClassTransient, "GET "+server.URL+"/health: dial tcp")
	if strings.Contains(err.Error(), token) {
		t.Errorf("the error shows the query: %v", err)
	}
}

func TestGetKeepsCookiesOutOfTheResult(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "session="+token)
		w.Header().Set("X-Cache", "hit")
	}))
	t.Cleanup(server.Close)
	got, err := run(t, "http.get", "", "{url: '"+server.URL+"', method: HEAD}")
	if err != nil || !strings.Contains(got, `"x-cache":"hit"`) || strings.Contains(got, token) {
		t.Errorf("gives %s, %v", got, err)
	}
}

func TestExpectedStatus(t *testing.T) {
	for params, class := range map[string]actions.Class{
		"/200 expect_status: [204]":      actions.ClassPermanent,
		"/404 expect_status: [200]":      actions.ClassPermanent,
		"/501 expect_status: [200]":      actions.ClassPermanent,
		"/429 expect_status: [200]":      actions.ClassTransient,
		"/503 expect_status: [200, 204]": actions.ClassTransient,
		"/404 expect_status: [404]":      "",
	} {
		server := httptest.NewServer(statusFromPath)
		t.Cleanup(server.Close)
		path, expect, _ := strings.Cut(params, " ")
		got, err := run(t, "http.get", "", "{url: '"+server.URL+path+"?token="+token+"', "+expect+"}")
		if class == "" {
			if err != nil {
				t.Errorf("%s gives %s, %v", params, got, err)
			}
			continue
		}
		fails(t, err, class, "answered "+path[1:])
		fails(t, err, class, "it is so")
		if strings.Contains(err.Error(), token) {
			t.Errorf("the error shows the query: %v", err)
		}
	}
}

func respond(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

var statusFromPath = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	var status int
	for _, digit := range r.URL.Path[1:] {
		status = 10*status + int(digit-'0')
	}
	respond(status, "text/plain", "it\n is \x1b so")(w, r)
})
