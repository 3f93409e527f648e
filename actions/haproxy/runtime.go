package haproxy

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/actions"
)

const (
	answerWithin = 5 * time.Second
	maxAnswer    = 16 << 20
)

type client struct {
	name    string // of the connection
	address string
}

// ask gives one command to the runtime API, which answers and hangs up.
func (c *client) ask(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	network := "tcp"
	if strings.HasPrefix(c.address, "/") {
		network = "unix"
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, c.address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	if err != nil {
		return "", err
	}
	return refusal(strings.TrimSpace(string(answer)))
}

// refusals are answers that another try does not change.
var refusals = []string{"No such", "Permission denied", "Unknown command", "Can't find", "Require"}

func refusal(answer string) (string, error) {
	for _, r := range refusals {
		if strings.HasPrefix(answer, r) {
			line, _, _ := strings.Cut(answer, "\n")
			return "", actions.Permanent(fmt.Errorf("it says %q%s", line, advice[r]))
		}
	}
	return answer, nil
}

var advice = map[string]string{"Permission denied": "; its stats socket needs level admin"}

// failure says what was being done to what.
func (c *client) failure(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	wrapped := fmt.Errorf("%s haproxy %q: %w", what, c.name, err)
	if actions.ClassOf(err) == actions.ClassPermanent {
		return actions.Permanent(wrapped)
	}
	return wrapped
}

// server is one server of a backend as HAProxy sees it now.
type server struct {
	Name     string `json:"name" doc:"Its name in the configuration."`
	Address  string `json:"address" doc:"Where it is, host:port."`
	State    string `json:"state" doc:"ready: it gets clients while it is up; drain: no new ones; maint: none."`
	Up       bool   `json:"up" doc:"True when it is ready and its health check, if there is one, succeeds."`
	Sessions int    `json:"sessions" doc:"Connections to it. Some may have been given up by their clients, and wait for the server to close them."`
}

// list gives the servers of a backend.
func (c *client) list(ctx context.Context, backend string) ([]server, error) {
	answer, err := c.ask(ctx, "show stat")
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(answer, "# "))).ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, fmt.Errorf("read its statistics: %w", err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, name := range []string{"pxname", "svname", "status", "scur", "addr", "type"} {
		if _, there := column[name]; !there {
			return nil, actions.Permanent(fmt.Errorf("its statistics have no column %q", name))
		}
	}
	all, known := []server{}, false
	for _, row := range rows[1:] {
		if row[column["pxname"]] != backend {
			continue
		}
		known = true
		if row[column["type"]] == typeServer {
			all = append(all, serverOf(row[column["svname"]], row[column["addr"]], row[column["status"]], row[column["scur"]]))
		}
	}
	if !known {
		return nil, actions.Permanent(fmt.Errorf("it has no backend %q", backend))
	}
	return all, nil
}

// typeServer marks the rows of servers, among those of frontends and backends.
const typeServer = "2"

func serverOf(name, address, status, sessions string) server {
	s := server{Name: name, Address: address, State: ready}
	s.Sessions, _ = strconv.Atoi(sessions) // empty when there never was one
	switch word, _, _ := strings.Cut(status, " "); word {
	case "MAINT":
		s.State = maint
	case "DRAIN":
		s.State = drain
	case "UP", "no", "NOLB": // "no check"
		s.Up = true
	}
	return s
}

// one is a server of a backend.
func (c *client) one(ctx context.Context, backend, name string) (server, error) {
	all, err := c.list(ctx, backend)
	if err != nil {
		return server{}, err
	}
	for _, s := range all {
		if s.Name == name {
			return s, nil
		}
	}
	return server{}, actions.Permanent(fmt.Errorf("backend %q has no server %q", backend, name))
}

// isCutOff: a connection sees the end of the time a little before its context.
func isCutOff(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// await waits until a server is as wanted. A look that the end of the time cuts
// off has seen nothing.
func (c *client) await(ctx context.Context, backend, name string, wanted func(server) bool) (last server, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for {
		s, err := c.one(ctx, backend, name)
		switch {
		case err != nil && !isCutOff(ctx, err), err == nil && wanted(s):
			return s, err
		case err == nil:
			last = s
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return last, fmt.Errorf("it was told to, and after %s server %s is still %s with %d sessions: %w", answerWithin, name, cmp.Or(last.State, "unknown"), last.Sessions, ctx.Err())
		}
	}
}
