package redis_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	driver "github.com/redis/go-redis/v9"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/redis"
	"github.com/runbook-engine/runbook/internal/lab/child"
	"github.com/runbook-engine/runbook/internal/lab/programs"
)

const (
	password     = "canary-engine-4711"
	rootPassword = "canary-root-0815"
)

// engineRights are all that the engine's user needs. docs/systems.md has them.
const engineRights = "~runbook:proof:* +ping +hello +info +set +get +del +client|setname +client|list +client|kill"

// instance is a real server, or a Sentinel.
type instance struct {
	*child.Server
	address string
}

func (i *instance) port() string { _, port, _ := net.SplitHostPort(i.address); return port }

// run starts redis-server with the lines of a config.
func run(t testing.TB, mode string, lines ...string) *instance {
	t.Helper()
	program, err := programs.Redis.Find()
	if err != nil {
		t.Fatal(err)
	}
	dir, found := t.TempDir(), &instance{}
	found.Server, err = child.RunOnFreePorts(t.Context(), 1, func(ports []int) child.Program {
		found.address = child.Address(ports[0])
		file := filepath.Join(dir, "redis.conf")
		all := append([]string{fmt.Sprint("port ", ports[0]), "bind 127.0.0.1", "dir " + dir}, lines...)
		if err := os.WriteFile(file, []byte(strings.Join(all, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return child.Program{
			Name: "redis-server", Path: program, Args: append([]string{file}, strings.Fields(mode)...), Dir: dir, Log: filepath.Join(dir, "log"),
			Stop: syscall.SIGTERM, Orphan: syscall.SIGKILL,
			Ready: func(ctx context.Context) error { return answers(ctx, found.address) },
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		found.send(t, syscall.SIGCONT)
		if err := found.Kill(); err != nil {
			t.Error(err)
		}
	})
	return found
}

func answers(ctx context.Context, address string) error {
	c := driver.NewClient(&driver.Options{Addr: address, MaxRetries: -1})
	defer c.Close()
	if err := c.Ping(ctx).Err(); err != nil && !strings.HasPrefix(err.Error(), "NOAUTH") {
		return err
	}
	return nil
}

func (i *instance) send(t testing.TB, signal syscall.Signal) {
	if err := syscall.Kill(i.PID(), signal); err != nil && err != syscall.ESRCH {
		t.Error(err)
	}
}

// start runs a server with a user for the engine that may do what the actions
// need, and no more.
func start(t testing.TB, lines ...string) *instance {
	t.Helper()
	return run(t, "", append(lines, `save ""`, "repl-diskless-sync-delay 0", "requirepass "+rootPassword, "masterauth "+rootPassword,
		"user engine on >"+password+" resetkeys resetchannels -@all "+engineRights)...)
}

// group is a master with replicas that Sentinels watch over. They wait a minute
// before they act by themselves.
type group struct {
	servers   []*instance // the first begins as the master
	sentinels []*instance
}

func startGroup(t testing.TB, lines ...string) *group {
	t.Helper()
	g := &group{servers: []*instance{start(t, lines...)}}
	for range 2 {
		g.servers = append(g.servers, start(t, append(lines, "replicaof 127.0.0.1 "+g.servers[0].port())...))
	}
	master := root(t, g.servers[0].address, "")
	eventually(t, "both replicas have all data", func() bool {
		text, err := master.Info(t.Context(), "replication").Result()
		return err == nil && strings.Count(text, "state=online") == 2
	})
	for range 3 {
		g.sentinels = append(g.sentinels, run(t, "--sentinel",
			"sentinel monitor shop 127.0.0.1 "+g.servers[0].port()+" 2",
			"sentinel auth-pass shop "+rootPassword,
			"sentinel down-after-milliseconds shop 60000",
			"sentinel failover-timeout shop 20000"))
	}
	eventually(t, "all Sentinels know both replicas and each other", func() bool {
		for _, s := range g.sentinels {
			seen, err := sentinelClient(t, s).Master(t.Context(), "shop").Result()
			if err != nil || seen["num-slaves"] != "2" || seen["num-other-sentinels"] != "2" || !bothFresh(t, s) {
				return false
			}
		}
		return true
	})
	return g
}

// bothFresh: a Sentinel promotes only replicas that it has heard of lately and
// that have their master.
func bothFresh(t testing.TB, s *instance) bool {
	replicas, err := sentinelClient(t, s).Replicas(t.Context(), "shop").Result()
	fresh := 0
	for _, r := range replicas {
		if r["flags"] == "slave" && r["master-link-status"] == "ok" {
			fresh++
		}
	}
	return err == nil && fresh == 2
}

func sentinelClient(t testing.TB, s *instance) *driver.SentinelClient {
	c := driver.NewSentinelClient(&driver.Options{Addr: s.address})
	t.Cleanup(func() { c.Close() })
	return c
}

func (g *group) connection(t testing.TB, sentinels ...string) string {
	if len(sentinels) == 0 {
		for _, s := range g.sentinels {
			sentinels = append(sentinels, s.address)
		}
	}
	return fmt.Sprintf("cache: {redis: {sentinels: ['%s'], master: shop, username: engine, password_file: %s}}",
		strings.Join(sentinels, "', '"), secretFile(t, password))
}

func connection(t testing.TB) func(address string) string {
	file := secretFile(t, password)
	return func(address string) string {
		return fmt.Sprintf("cache: {redis: {address: '%s', username: engine, password_file: %s}}", address, file)
	}
}

func secretFile(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// root is a client that shares no settings with ours.
func root(t testing.TB, address, name string) *driver.Client {
	t.Helper()
	c := driver.NewClient(&driver.Options{Addr: address, Password: rootPassword, ClientName: name, PoolSize: 1, MaxRetries: -1})
	t.Cleanup(func() { c.Close() })
	return c
}

func open(t testing.TB, connections string) *actions.Catalog {
	t.Helper()
	return conformance.Open(t, redis.System, connections)
}

func bind(t testing.TB, catalog *actions.Catalog, action, params string) actions.Bound {
	t.Helper()
	return conformance.Bind(t, catalog, action, params)
}

func eventually(t testing.TB, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !check(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so within a minute: %s", what)
		}
	}
}

func fails(t testing.TB, err error, class actions.Class, says string) {
	t.Helper()
	if err == nil || actions.ClassOf(err) != class || !strings.Contains(err.Error(), says) {
		t.Errorf("the error is %v (%s), want …%s… (%s)", err, actions.ClassOf(err), says, class)
	}
	if err != nil && strings.Contains(err.Error(), "canary") {
		t.Errorf("a secret shows: %v", err)
	}
}
