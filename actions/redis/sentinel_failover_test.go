package redis_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/redis"
)

const failover = "redis.sentinel_failover"

// roles says who is the master, as the servers themselves see it.
func (g *group) roles(t *testing.T) string {
	t.Helper()
	var masters []string
	for _, s := range g.servers {
		text, err := root(t, s.address, "asks").Info(t.Context(), "replication").Result()
		if err == nil && strings.Contains(text, "role:master") {
			masters = append(masters, s.address)
		}
	}
	return strings.Join(masters, " ")
}

func TestSentinelFailoverConforms(t *testing.T) {
	t.Parallel()
	g := startGroup(t)
	others := []string{g.sentinels[1].address, g.sentinels[2].address}
	conformance.Run(t, conformance.Case{
		System: redis.System, Action: "redis.sentinel_failover", Params: "{redis: cache}",
		Nothing: "{redis: cache, master: '127.0.0.1:1'}",
		// At another address none of them is.
		Connections: func(address string) string {
			if address == g.sentinels[0].address {
				return g.connection(t, append(others, address)...)
			}
			return g.connection(t, address)
		},
		Address: g.sentinels[0].address, Secrets: []string{password, rootPassword},
		State: func(t *testing.T) string { return g.roles(t) },
	})
}

func (g *group) target(t *testing.T, b actions.Bound) actions.Target {
	t.Helper()
	s, err := b.Targets(t.Context())
	if err != nil || len(s.Targets) != 1 {
		t.Fatalf("it selects %v, %v", s.Targets, err)
	}
	return s.Targets[0]
}

func TestADeadMasterIsReplacedOnce(t *testing.T) {
	t.Parallel()
	g := startGroup(t)
	b := bind(t, open(t, g.connection(t)), failover, "{redis: cache}")
	target := g.target(t, b)
	if target.ID != "master/cache/"+g.servers[0].address {
		t.Errorf("the target is %+v", target)
	}
	if err := g.servers[0].Kill(); err != nil {
		t.Fatal(err)
	}
	first, err := b.Run(t.Context(), "key", target)
	if err != nil || !strings.Contains(string(first), `"old_demoted":false`) {
		t.Fatalf("it gives %s, %v", first, err)
	}
	again, err := b.Run(t.Context(), "key", target)
	if err != nil || string(again) != string(first) {
		t.Errorf("again it gives %s, %v, and first %s", again, err, first)
	}
	// The old master comes back as a replica: never are two taken for the master.
	if err := g.servers[0].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is one master", func() bool { return len(strings.Fields(g.roles(t))) == 1 })
	got, err := b.Run(t.Context(), "key", target)
	if err != nil || !strings.Contains(string(got), `"old_demoted":true`) {
		t.Errorf("then it gives %s, %v", got, err)
	}
}

// While the old master lives, the step ends only when it takes no more writes.
func TestAMasterThatLivesIsDemoted(t *testing.T) {
	t.Parallel()
	g := startGroup(t)
	b := bind(t, open(t, g.connection(t)), failover, "{redis: cache}")
	target := g.target(t, b)
	got, err := b.Run(t.Context(), "key", target)
	if err != nil || len(strings.Fields(g.roles(t))) != 1 || g.roles(t) == g.servers[0].address {
		t.Errorf("it gives %s, %v, and masters are %s", got, err, g.roles(t))
	}
	// A busy machine may have kept the old one from answering.
	eventually(t, "the old master is seen to refuse writes", func() bool {
		got, err := b.Run(t.Context(), "key", target)
		return err == nil && strings.Contains(string(got), `"old_demoted":true`)
	})
}

// What a minority of the Sentinels says may be long past.
func TestAMinorityOfSentinelsIsNotBelieved(t *testing.T) {
	t.Parallel()
	g := startGroup(t)
	b := bind(t, open(t, g.connection(t)), failover, "{redis: cache}")
	target := g.target(t, b)
	for _, s := range g.sentinels[:2] {
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	before := g.roles(t)
	_, err := b.Run(t.Context(), "key", target)
	fails(t, err, actions.ClassTransient, "no more than half of 3 agree")
	_, err = b.Targets(t.Context())
	fails(t, err, actions.ClassTransient, "no more than half of 3 agree")
	if after := g.roles(t); after != before {
		t.Errorf("the master was %s, and is %s", before, after)
	}
}

func TestAFailoverThatWouldLoseWritesIsRefused(t *testing.T) {
	t.Parallel()
	g := startGroup(t)
	for _, s := range g.servers[1:] {
		s.send(t, syscall.SIGSTOP)
	}
	master := root(t, g.servers[0].address, "writes")
	if err := master.Set(t.Context(), "big", strings.Repeat("x", 2000), 0).Err(); err != nil {
		t.Fatal(err)
	}
	b := bind(t, open(t, g.connection(t)), failover, "{redis: cache, max_lag: 1000}")
	_, err := b.Run(t.Context(), "key", g.target(t, b))
	fails(t, err, actions.ClassPermanent, "would lose writes")
	if got := g.roles(t); got != g.servers[0].address {
		t.Errorf("the master is %s", got)
	}
}

func TestAFailoverThatCanNotEndSaysSo(t *testing.T) {
	t.Parallel()
	g := startGroup(t)
	b := bind(t, open(t, g.connection(t)), failover, "{redis: cache, max_lag: 1000000000, within: 2s}")
	target := g.target(t, b)
	for _, s := range g.servers[1:] {
		s.send(t, syscall.SIGSTOP)
	}
	_, err := b.Run(t.Context(), "key", target)
	fails(t, err, actions.ClassTransient, "no new master within 2s")

	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(200*time.Millisecond, cancel).Stop()
	if _, err := b.Run(ctx, "key", target); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled, it gives %v", err)
	}
}

func TestWithoutAReplicaThereIsNoFailover(t *testing.T) {
	t.Parallel()
	g := startGroup(t)
	b := bind(t, open(t, g.connection(t)), failover, "{redis: cache}")
	target := g.target(t, b)
	for _, s := range g.servers {
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the Sentinels have lost the replicas", func() bool {
		_, err := b.Run(t.Context(), "key", target)
		return err != nil && strings.Contains(err.Error(), "NOGOODSLAVE") && strings.Contains(err.Error(), "SENTINEL REPLICAS shop")
	})
}

func TestFailoverNeedsSentinels(t *testing.T) {
	t.Parallel()
	server := start(t)
	b := bind(t, open(t, connection(t)(server.address)), failover, "{redis: cache}")
	_, err := b.Targets(t.Context())
	fails(t, err, actions.ClassPermanent, "one by sentinels")
	g := startGroup(t)
	unknown := strings.Replace(g.connection(t), "master: shop", "master: other", 1)
	_, err = bind(t, open(t, unknown), failover, "{redis: cache}").Targets(t.Context())
	fails(t, err, actions.ClassPermanent, `knows no master "other"`)
}
