package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// session is one client, as CLIENT LIST tells of it.
type session struct {
	id      string // given once in the life of a server
	address string
	name    string
	user    string
	command string
	idle    time.Duration
	age     time.Duration
}

// sessions are the clients that may be ended: those of applications. Replicas,
// masters, monitors and our own are never among them.
func sessions(ctx context.Context, reached *redis.Client, kind string) ([]session, error) {
	text, err := reached.Do(ctx, "CLIENT", "LIST", "TYPE", kind).Text()
	if err != nil {
		return nil, err
	}
	var all []session
	for line := range strings.Lines(text) {
		s, spare, err := parseSession(strings.TrimSpace(line))
		if err != nil {
			return nil, err
		}
		if !spare {
			all = append(all, s)
		}
	}
	return all, nil
}

// spared are the flags of a session that is never ended: S a replica, M the
// master, O a monitor, A one that is to be closed already.
const spared = "SMOA"

func parseSession(line string) (s session, spare bool, err error) {
	f := map[string]string{}
	for part := range strings.FieldsSeq(line) {
		name, value, _ := strings.Cut(part, "=")
		f[name] = value
	}
	idle, idleErr := strconv.Atoi(f["idle"])
	age, ageErr := strconv.Atoi(f["age"])
	if idleErr != nil || ageErr != nil || f["id"] == "" || f["addr"] == "" {
		return s, false, fmt.Errorf("CLIENT LIST gives a line without id, addr, idle or age: %q", line)
	}
	s = session{
		id: f["id"], address: f["addr"], name: f["name"], user: f["user"], command: f["cmd"],
		idle: time.Duration(idle) * time.Second, age: time.Duration(age) * time.Second,
	}
	return s, s.name == ourName || strings.ContainsAny(f["flags"], spared), nil
}
