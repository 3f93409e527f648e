package http_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	httpaction "github.com/runbook-engine/runbook/actions/http"
)

func TestRequestConforms(t *testing.T) {
	s := newShop(t)
	for method, slow := range map[string]string{
		"PUT":  "{url: /slow, connection: shop, method: PUT, timeout: 5m}",
		"POST": "{url: /slow, connection: shop, timeout: 5m}",
	} {
		t.Run(method, func(t *testing.T) {
			conformance.Run(t, conformance.Case{
				System:      httpaction.System,
				Action:      "http.request",
				Connections: withToken(secretFile(t, token)),
				Address:     s.address(),
				Secrets:     []string{token},
				Params:      "{url: /items/4, connection: shop, json: {stock: 3}, method: " + method + "}",
				Slow:        slow,
				Arrange:     s.empty,
				State:       s.state,
				Measured:    []string{"duration", "headers"},
			})
		})
	}
}

func TestRequestSendsWhatItIsTold(t *testing.T) {
	s := newShop(t)
	connections := withToken(secretFile(t, token))(s.address())
	for _, params := range []string{
		`{url: "/a?x=1", json: {n: [1, "two"]}}`,
		`{url: /b, method: PATCH, body: "plain", headers: {content-type: text/plain, X-Trace: "7", host: other.example}}`,
		`{url: /c, method: DELETE, headers: {idempotency-key: mine}}`,
	} {
		if _, err := run(t, "http.request", connections, params); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []map[string]string{
		{"Content-Type": "application/json", "Idempotency-Key": "run/1/step", "User-Agent": "runbook", "Authorization": "Bearer " + token},
		{"Content-Type": "text/plain", "X-Trace": "7"},
		{"Idempotency-Key": "mine", "Content-Type": ""},
	} {
		for name, value := range want {
			if got := s.seen[i].Header.Get(name); got != value {
				t.Errorf("request %d: %s is %q, want %q", i, name, got, value)
			}
		}
	}
	if got := s.seen[0].URL.String(); got != "/api/a?x=1" {
		t.Errorf("asked for %s", got)
	}
	if got := s.seen[1].Host; got != "other.example" {
		t.Errorf("the host is %s", got)
	}
	if got := strings.Join(s.events, " "); got != `{"n":[1,"two"]} plain` {
		t.Errorf("sent %s", got)
	}
}

func TestRequestRefusesWhatCanNotBe(t *testing.T) {
	for params, says := range map[string]string{
		`{url: "http://h", body: x, json: {}}`:         "exclude each other",
		`{url: "http://h", headers: {"a b": c}}`:       "header",
		`{url: "http://h", headers: {a: "c\nSet: d"}}`: "header",
		`{url: "http://me:` + token + `@h/"}`:          "must not hold a user",
		`{url: "http://me:` + token + `%zz@h/"}`:       "no http or https URL",
		`{url: "http://:80/"}`:                         "no http or https URL",
		`{url: "ftp://h/"}`:                            "no http connection is configured",
		`{url: "/path"}`:                               "no http connection is configured",
		`{url: "http://h/", connection: elsewhere}`:    `no http connection "elsewhere"`,
	} {
		_, err := run(t, "http.request", "", params)
		fails(t, err, actions.ClassPermanent, says)
		if err != nil && strings.Contains(err.Error(), token) {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}

func TestRequestWantsSuccess(t *testing.T) {
	for params, class := range map[string]actions.Class{
		"/400 method: POST":  actions.ClassPermanent,
		"/304 method: POST":  actions.ClassPermanent,
		"/429 method: POST":  actions.ClassTransient,
		"/500 method: POST":  actions.ClassAmbiguous,
		"/503 method: PATCH": actions.ClassAmbiguous,
		"/503 method: PUT":   actions.ClassTransient,
	} {
		server := httptest.NewServer(statusFromPath)
		t.Cleanup(server.Close)
		path, method, _ := strings.Cut(params, " ")
		_, err := run(t, "http.request", "", "{url: '"+server.URL+path+"', "+method+"}")
		fails(t, err, class, "not 200 to 299")
	}
}

// A request is sent as often as we say and not once more, although Go's own
// client repeats one with an Idempotency-Key on a connection that it kept.
func TestLostAnswers(t *testing.T) {
	for method, class := range map[string]actions.Class{"POST": actions.ClassAmbiguous, "PUT": actions.ClassTransient} {
		var calls atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1); r.URL.Path == "/lose" {
				panic(http.ErrAbortHandler)
			}
		}))
		t.Cleanup(server.Close)
		catalog := open(t, "s: {http: {url: '"+server.URL+"'}}")
		kept := bind(t, catalog, "http.request", "{url: /ok, connection: s, method: "+method+"}")
		if _, err := kept.Run(t.Context(), "key", actions.Target{}); err != nil {
			t.Fatal(err)
		}
		calls.Store(0)
		lost := bind(t, catalog, "http.request", "{url: /lose, connection: s, method: "+method+"}")
		_, err := lost.Run(t.Context(), "key", actions.Target{})
		fails(t, err, class, "EOF")
		if got := calls.Load(); got != 1 {
			t.Errorf("%s was sent %d times", method, got)
		}
	}
}

func TestOnceSaysWhatMustNotBeRepeated(t *testing.T) {
	for method, want := range map[string]bool{"POST": true, "PATCH": true, "PUT": false, "DELETE": false, "GET": false} {
		b := bind(t, open(t, ""), "http.request", "{url: /, method: "+method+"}")
		if b.Once() != want {
			t.Errorf("%s: once is %v", method, b.Once())
		}
	}
}

func TestLongKeysAreShortened(t *testing.T) {
	s := newShop(t)
	b := bind(t, open(t, withToken(secretFile(t, token))(s.address())), "http.request", "{url: /, connection: shop}")
	for _, key := range []string{strings.Repeat("k", 255), strings.Repeat("k", 256), strings.Repeat("k", 257)} {
		if _, err := b.Run(context.Background(), actions.Key(key), actions.Target{}); err != nil {
			t.Fatal(err)
		}
	}
	var lengths [3]int
	for i, r := range s.seen {
		lengths[i] = len(r.Header.Get("Idempotency-Key"))
	}
	if lengths != [3]int{255, 64, 64} {
		t.Errorf("keys have lengths %v", lengths)
	}
	if s.seen[1].Header.Get("Idempotency-Key") == s.seen[2].Header.Get("Idempotency-Key") {
		t.Error("two keys became one")
	}
}
