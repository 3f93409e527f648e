package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/runbook-engine/runbook/internal/lab/child"
	"github.com/runbook-engine/runbook/internal/lab/programs"
)

// HAProxyServer is one server of a backend.
type HAProxyServer struct {
	Name, Address string
	// Out leaves it out until it is asked for: maintenance, as HAProxy calls it.
	Out bool
}

// HAProxy is an HAProxy before PostgreSQL servers, with one backend.
type HAProxy struct {
	*child.Server
	// Address is what clients connect to, Admin its runtime API, and Health a URL
	// that answers 200 while a server of the backend is up and 503 otherwise. Its
	// path metrics has those for Prometheus.
	Address, Admin, Health string
}

const haproxyConfig = `
global
  stats socket ipv4@%[2]s level admin
defaults
  timeout connect 1s
  timeout client 1h
  timeout server 1h
  timeout check 500ms
frontend health
  mode http
  bind %[3]s
  monitor-uri /
  monitor fail if { nbsrv(%[4]s) lt 1 }
  http-request use-service prometheus-exporter if { path /metrics }
listen %[4]s
  mode tcp
  bind %[1]s
  option pgsql-check user haproxy
  default-server check inter 250ms fall 2 rise 1
`

// StartHAProxy starts an HAProxy with its files in dir, and waits until it
// serves.
func StartHAProxy(ctx context.Context, dir, backend string, servers []HAProxyServer) (*HAProxy, error) {
	path, err := programs.HAProxy.Find()
	if err != nil {
		return nil, err
	}
	p, config := &HAProxy{}, filepath.Join(dir, "haproxy.cfg")
	var unwritten error
	p.Server, err = child.RunOnFreePorts(ctx, 3, func(ports []int) child.Program {
		p.Address, p.Admin = child.Address(ports[0]), child.Address(ports[1])
		p.Health = "http://" + child.Address(ports[2]) + "/"
		unwritten = p.write(config, child.Address(ports[2]), backend, servers)
		return child.Program{
			Name: "HAProxy", Path: path, Dir: dir, Log: filepath.Join(dir, "haproxy.log"),
			Args: []string{"-db", "-f", config},
			Stop: syscall.SIGTERM, Orphan: syscall.SIGKILL,
			Ready: p.up,
		}
	})
	if err = errors.Join(unwritten, err); err != nil {
		return nil, err
	}
	return p, nil
}

// Tell gives commands to the runtime API, which answers nothing where it obeys.
func (p *HAProxy) Tell(ctx context.Context, commands ...string) error {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", p.Admin)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, strings.Join(commands, "; ")); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if text := strings.TrimSpace(string(answer)); err == nil && text != "" {
		err = errors.New(text)
	}
	return err
}

func (p *HAProxy) write(config, health, backend string, servers []HAProxyServer) error {
	text := fmt.Sprintf(haproxyConfig, p.Address, p.Admin, health, backend)
	for _, s := range servers {
		text += fmt.Sprintf("  server %s %s", s.Name, s.Address)
		if s.Out {
			text += " disabled"
		}
		text += "\n"
	}
	return os.WriteFile(config, []byte(text), 0o600)
}

// Through is a connection URL to the server at an address, led through the
// proxy.
func (p *HAProxy) Through(dsn, address string) string {
	return strings.Replace(dsn, address, p.Address, 1)
}

func (p *HAProxy) up(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Health, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}
