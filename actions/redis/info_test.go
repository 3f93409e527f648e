package redis_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/redis"
)

func TestInfoConforms(t *testing.T) {
	server := start(t)
	conformance.Run(t, conformance.Case{
		System: redis.System, Action: "redis.info", Params: "{redis: cache}",
		Connections: connection(t), Address: server.address, Secrets: []string{password, rootPassword},
		Measured: []string{"memory_used", "clients"},
	})
}

func look(t *testing.T, connections string) (found map[string]any) {
	t.Helper()
	text, err := bind(t, open(t, connections), "redis.info", "{redis: cache}").Run(t.Context(), "key", actions.Target{})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestInfoTellsOfBothSides(t *testing.T) {
	master := start(t, "maxmemory 100mb", "maxclients 77")
	if got := look(t, connection(t)(master.address)); got["lag"] != nil || len(got["replicas"].([]any)) != 0 || got["link_up"] != nil {
		t.Errorf("without replicas it has a lag, or a link: %v", got)
	}
	second := start(t, "replicaof 127.0.0.1 "+master.port())
	eventually(t, "the replica is online", func() bool { return look(t, connection(t)(master.address))["lag"] == 0.0 })
	got := look(t, connection(t)(master.address))
	if got["role"] != "master" || got["max_clients"] != 77.0 || got["memory_max"] != 100.0*(1<<20) || got["memory_ratio"] == nil || got["address"] != master.address {
		t.Errorf("of the master it tells %v", got)
	}
	if one := got["replicas"].([]any)[0].(map[string]any); one["address"] != second.address || one["state"] != "online" {
		t.Errorf("of the replica the master tells %v", one)
	}
	got = look(t, connection(t)(second.address))
	if got["role"] != "slave" || got["link_up"] != true || got["memory_ratio"] != nil {
		t.Errorf("of the replica it tells %v", got)
	}
	if err := master.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica misses its master", func() bool { return look(t, connection(t)(second.address))["link_up"] == false })
}

func TestConnectionRefusesAMistakeWithoutShowingIt(t *testing.T) {
	wrong := secretFile(t, "canary-wrong")
	server := start(t)
	for config, says := range map[string]string{
		"master: shop":                  "either address or sentinels",
		"address: a, sentinels: [b]":    "either address or sentinels",
		"sentinels: ['127.0.0.1:1']":    "need master",
		"address: a, ca_file: " + wrong: "needs tls",
		"address: a, tls: true, ca_file: " + wrong + ", password_file: /nowhere/pw":    "/nowhere/pw",
		"address: '" + server.address + "', username: engine, password_file: " + wrong: "WRONGPASS",
	} {
		_, err := bind(t, open(t, "cache: {redis: {"+config+"}}"), "redis.info", "{}").Run(t.Context(), "key", actions.Target{})
		fails(t, err, actions.ClassPermanent, says)
		fails(t, err, actions.ClassPermanent, `"cache"`)
	}
}

func TestAMissingRightIsNamed(t *testing.T) {
	server := start(t)
	if err := root(t, server.address, "").Do(context.Background(), "ACL", "SETUSER", "engine", "-info").Err(); err != nil {
		t.Fatal(err)
	}
	_, err := bind(t, open(t, connection(t)(server.address)), "redis.info", "{}").Run(t.Context(), "key", actions.Target{})
	fails(t, err, actions.ClassPermanent, "ACL SETUSER")
	if err != nil && !strings.Contains(err.Error(), "info") {
		t.Errorf("it does not say which right: %v", err)
	}
}
