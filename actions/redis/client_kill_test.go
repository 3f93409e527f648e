package redis_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	driver "github.com/redis/go-redis/v9"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/redis"
)

const kill = "redis.client_kill"

// work is one session under a name.
func work(t testing.TB, server *instance, name string) *driver.Conn {
	t.Helper()
	conn := root(t, server.address, name).Conn()
	if err := conn.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// names are those of all sessions on a server, but for the one that asks.
func names(t *testing.T, server *instance) string {
	t.Helper()
	text, err := root(t, server.address, "asks").ClientList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for part := range strings.FieldsSeq(text) {
		if name, ok := strings.CutPrefix(part, "name="); ok && name != "" && name != "asks" && name != "runbook" {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestClientKillConforms(t *testing.T) {
	server := start(t)
	var held []*driver.Conn
	conformance.Run(t, conformance.Case{
		System: redis.System, Action: "redis.client_kill",
		Params: `{redis: cache, idle: 0s, name: "app-*"}`, Nothing: `{redis: cache, idle: 0s, name: "other-*"}`,
		Connections: connection(t), Address: server.address, Secrets: []string{password, rootPassword},
		Arrange: func(t *testing.T) {
			for _, conn := range held {
				conn.Close()
			}
			held = []*driver.Conn{work(t, server, "app-1"), work(t, server, "app-2"), work(t, server, "else")}
			eventually(t, "only the new ones are there", func() bool { return names(t, server) == "app-1 app-2 else" })
		},
		State: func(t *testing.T) string { return names(t, server) },
	})
}

func chosen(t *testing.T, catalog *actions.Catalog, params string) (found string, population int) {
	t.Helper()
	s, err := bind(t, catalog, kill, "{redis: cache, idle: 0s, "+params+"}").Targets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, target := range s.Targets {
		_, name, _ := strings.Cut(target.Doc, ": ")
		name, _, _ = strings.Cut(name, " as ")
		all = append(all, name)
	}
	slices.Sort(all)
	return strings.Join(all, " "), s.Population
}

// crowd has sessions of all kinds: also a replica and a monitor, which are never
// chosen.
func crowd(t *testing.T) *instance {
	t.Helper()
	server := start(t)
	start(t, "replicaof 127.0.0.1 "+server.port())
	for _, name := range []string{"app-1", "app-2", "report"} {
		work(t, server, name)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	subscriber := root(t, server.address, "listens").Subscribe(ctx, "news")
	t.Cleanup(func() { subscriber.Close() })
	if _, err := subscriber.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	monitor, err := net.Dial("tcp", server.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { monitor.Close() })
	if _, err := fmt.Fprintf(monitor, "AUTH default %s\r\nCLIENT SETNAME monitors\r\nMONITOR\r\n", rootPassword); err != nil {
		t.Fatal(err)
	}
	asks := root(t, server.address, "asks")
	defer asks.Close()
	eventually(t, "the replica and the monitor are there", func() bool {
		text, err := asks.ClientList(t.Context()).Result()
		return err == nil && strings.Contains(text, "flags=S") && strings.Contains(text, "flags=O")
	})
	return server
}

func TestClientKillSelects(t *testing.T) {
	server := crowd(t)
	catalog := open(t, connection(t)(server.address))
	for params, want := range map[string]string{
		"name: '*', limit: 100":          "app-1 app-2 report",
		"name: 'app-*', limit: 100":      "app-1 app-2",
		"name: 'report*', limit: 1":      "report",
		"name: 'app-*', host: 'app-*'":   "",
		"name: '*', host: '127.0.0.1:*'": "app-1 app-2 report",
		"name: '*', host: '10.*'":        "",
		"name: '*', user: engine":        "",
		"name: '*', user: default":       "app-1 app-2 report",
		"kind: pubsub":                   "listens",
		"name: runbook":                  "",
		"name: monitors":                 "",
	} {
		got, population := chosen(t, catalog, params)
		if got != want {
			t.Errorf("%s selects %q, want %q", params, got, want)
		}
		if kind := strings.Contains(params, "pubsub"); kind && population != 1 || !kind && population < 3 {
			t.Errorf("%s: the population is %d", params, population)
		}
	}
	if s, err := bind(t, catalog, kill, "{idle: 0s, name: '*', limit: 2}").Targets(t.Context()); err != nil || len(s.Targets) != 2 {
		t.Errorf("of three, two are wanted, and %d are selected, %v", len(s.Targets), err)
	}
	_, err := bind(t, catalog, kill, "{idle: 0s, name: '['}").Targets(t.Context())
	fails(t, err, actions.ClassPermanent, "pattern")
}

func TestClientKillWaitsUntilAClientIsIdleLongEnough(t *testing.T) {
	server := start(t)
	work(t, server, "app")
	b := bind(t, open(t, connection(t)(server.address)), kill, "{idle: 1h, name: app}")
	if s, err := b.Targets(t.Context()); err != nil || len(s.Targets) != 0 {
		t.Errorf("it selects %v, %v", s.Targets, err)
	}
}

func TestClientKillSparesWhoWorksAgain(t *testing.T) {
	server := start(t)
	conn := work(t, server, "app")
	b := bind(t, open(t, connection(t)(server.address)), kill, "{idle: 2s, name: app}")
	var s actions.Selection
	eventually(t, "it is idle for two seconds", func() bool {
		var err error
		if s, err = b.Targets(t.Context()); err != nil {
			t.Fatal(err)
		}
		return len(s.Targets) == 1
	})
	if err := conn.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	got, err := b.Run(t.Context(), "key", s.Targets[0])
	if err != nil || string(got) != `{"outcome":"spared"}` {
		t.Errorf("it gives %s, %v", got, err)
	}
	if err := conn.Ping(t.Context()).Err(); err != nil {
		t.Errorf("it was ended: %v", err)
	}
}

// An id means one client on one server only: after a restart or a failover it is
// another's.
func TestClientKillKnowsAClientFromAnotherWithItsId(t *testing.T) {
	server := start(t)
	conn := work(t, server, "app")
	b := bind(t, open(t, connection(t)(server.address)), kill, "{idle: 0s, name: app}")
	s, err := b.Targets(t.Context())
	if err != nil || len(s.Targets) != 1 {
		t.Fatal(s, err)
	}
	target := s.Targets[0]
	target.ID = target.ID[:strings.LastIndex(target.ID, ":")] + ":1"
	if got, err := b.Run(t.Context(), "key", target); err != nil || string(got) != `{"outcome":"ended"}` {
		t.Errorf("it gives %s, %v", got, err)
	}
	if err := conn.Ping(t.Context()).Err(); err != nil {
		t.Errorf("the other was ended: %v", err)
	}
}

func TestAFullServerIsRelieved(t *testing.T) {
	server := start(t, "maxclients 20")
	catalog := open(t, connection(t)(server.address))
	b := bind(t, catalog, kill, "{idle: 0s, name: 'leak-*', limit: 1000}")
	if _, err := b.Targets(t.Context()); err != nil { // now our session is there
		t.Fatal(err)
	}
	for i := range 100 {
		c := root(t, server.address, fmt.Sprint("leak-", i)).Conn()
		t.Cleanup(func() { c.Close() })
		if err := c.Ping(t.Context()).Err(); err != nil {
			break
		}
	}
	s, err := b.Targets(t.Context())
	if err != nil || len(s.Targets) < 15 {
		t.Fatalf("on the full server it selects %d, %v", len(s.Targets), err)
	}
	for _, target := range s.Targets {
		if _, err := b.Run(t.Context(), "key", target); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, server); got != "" {
		t.Errorf("there are still %s", got)
	}
}
