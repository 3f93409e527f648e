package http_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	httpaction "github.com/runbook-engine/runbook/actions/http"
	"github.com/runbook-engine/runbook/internal/artefact"
	"github.com/runbook-engine/runbook/internal/document"
)

// flag is a service with one setting, which has a version as ETag.
type flag struct {
	*httptest.Server
	sync.Mutex
	value   string
	version int
	before  func() // each PUT
	ignores bool   // what is put
}

func newFlag(t *testing.T) *flag {
	t.Helper()
	f := &flag{value: `{"enabled": true, "note": 1}`}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *flag) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut && f.before != nil {
		f.before()
	}
	f.Lock()
	defer f.Unlock()
	tag := fmt.Sprintf(`"v%d"`, f.version)
	switch {
	case r.Header.Get("Authorization") != "Bearer "+token:
		http.Error(w, "who are you?", http.StatusForbidden)
	case r.Method == http.MethodGet:
		w.Header().Set("ETag", tag)
		fmt.Fprint(w, f.value)
	case r.Header.Get("If-Match") != tag:
		http.Error(w, "it has changed", http.StatusPreconditionFailed)
	default:
		body, _ := io.ReadAll(r.Body)
		f.version++
		if !f.ignores {
			f.value = string(body)
		}
	}
}

func (f *flag) set(value string) {
	f.Lock()
	defer f.Unlock()
	f.value, f.version = value, f.version+1
}

func (f *flag) read() string {
	f.Lock()
	defer f.Unlock()
	return f.value
}

func keeping(t *testing.T) func(*actions.Connections) actions.System {
	t.Helper()
	store, err := artefact.OpenDirectory(t.TempDir(), artefact.Limits{MaxSize: 1 << 20, MaxTotal: 1 << 20, MaxAge: time.Hour}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return func(conns *actions.Connections) actions.System {
		if conns != nil {
			conns.KeepArtefacts(store)
		}
		return httpaction.System(conns)
	}
}

const turnOff = `{url: /flags/coupons, connection: shop, from: {note: 1, enabled: true}, to: {enabled: false}}`

func TestSettingConforms(t *testing.T) {
	f := newFlag(t)
	conformance.Run(t, conformance.Case{
		System: keeping(t), Action: "http.setting", Params: turnOff,
		Connections: withToken(secretFile(t, token)), Address: f.Listener.Addr().String(), Secrets: []string{token},
		Arrange: func(*testing.T) { f.set(`{"enabled":true,"note":1}`) },
		State:   func(*testing.T) string { return f.read() },
	})
}

func bindSetting(t *testing.T, f *flag, params string) actions.Bound {
	t.Helper()
	nodes, problems := document.Parse("connections.yaml", []byte(withToken(secretFile(t, token))(f.Listener.Addr().String())))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	conns, problems := actions.NewConnections([]*actions.ConnectionKind{httpaction.System(nil).Connection}, nodes[0])
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	for _, a := range keeping(t)(conns).Actions {
		if a.Name == "http.setting" {
			b, problems := a.Bind([]byte(params))
			if err := problems.Err(); err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	t.Fatal("there is no http.setting")
	return actions.Bound{}
}

func TestSettingPutsTheOldValueBackWhileItIsOurs(t *testing.T) {
	f := newFlag(t)
	b := bindSetting(t, f, turnOff)
	target := *b.OnlyTarget()
	if got, err := b.Run(t.Context(), "key", target); err != nil || string(got) != `{"changed":true}` || f.read() != `{"enabled":false}` {
		t.Fatalf("it gives %s, %v, and the value is %s", got, err, f.read())
	}
	f.set(`{"enabled":false,"note":"a person was here"}`)
	if err := b.Undo(t.Context(), "key", target); err != nil || !strings.Contains(f.read(), "a person") {
		t.Errorf("what somebody else has set: %v, and the value is %s", err, f.read())
	}
	f.set(`{ "enabled" : false }`)
	if err := b.Undo(t.Context(), "key", target); err != nil || f.read() != `{"enabled": true, "note": 1}` {
		t.Errorf("undo gives %v, and the value is %s", err, f.read())
	}
}

func TestSettingThatWasSetBeforeIsNotOurs(t *testing.T) {
	f := newFlag(t)
	f.set(`{"enabled":false}`)
	b := bindSetting(t, f, turnOff)
	if got, err := b.Run(t.Context(), "key", *b.OnlyTarget()); err != nil || string(got) != `{"changed":false}` {
		t.Fatalf("it gives %s, %v", got, err)
	}
	if err := b.Undo(t.Context(), "key", *b.OnlyTarget()); err != nil || f.read() != `{"enabled":false}` {
		t.Errorf("undo gives %v, and the value is %s", err, f.read())
	}
}

func TestSettingRefuses(t *testing.T) {
	for what, test := range map[string]struct {
		arrange func(*flag)
		class   actions.Class
		says    string
	}{
		"another value":        {func(f *flag) { f.set(`{"enabled":"half"}`) }, actions.ClassPermanent, "another value than from says"},
		"no JSON":              {func(f *flag) { f.set(`<html>`) }, actions.ClassPermanent, "no JSON"},
		"changed meanwhile":    {func(f *flag) { f.before = func() { f.set(`{"enabled":"else"}`) } }, actions.ClassPermanent, "412"},
		"taken and not stored": {func(f *flag) { f.ignores = true }, actions.ClassTransient, "reads otherwise"},
	} {
		f := newFlag(t)
		test.arrange(f)
		b := bindSetting(t, f, turnOff)
		_, err := b.Run(t.Context(), "key", *b.OnlyTarget())
		fails(t, err, test.class, test.says)
		if f.read() == `{"enabled":false}` {
			t.Errorf("%s: it was set", what)
		}
	}
}
