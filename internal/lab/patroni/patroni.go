// Package patroni runs PostgreSQL servers that Patroni looks after, with an etcd.
package patroni

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/runbook-engine/runbook/internal/lab/child"
	"github.com/runbook-engine/runbook/internal/lab/programs"
)

// Cluster is a PostgreSQL of several servers.
type Cluster struct {
	// Members are the addresses of Patroni's REST API, of the members m0, m1 and
	// so on. m0 is the first leader.
	Members []string

	servers []*child.Server
	dirs    []string
}

const config = `scope: orders
name: %[1]s
restapi: {listen: '%[2]s', connect_address: '%[2]s', authentication: {username: engine, password: '%[5]s'}}
etcd3: {hosts: '%[4]s'}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 1
    retry_timeout: 3
    postgresql: {parameters: {fsync: 'off', full_page_writes: 'off', max_connections: 30}}
  initdb: [{encoding: UTF8}, {locale: C}, no-sync]
  pg_hba: ['host all all 127.0.0.1/32 scram-sha-256', 'host replication all 127.0.0.1/32 scram-sha-256']
postgresql:
  listen: '%[3]s'
  connect_address: '%[3]s'
  data_dir: '%[6]s/data'
  bin_dir: '%[7]s'
  pgpass: '%[6]s/pgpass'
  parameters: {unix_socket_directories: '%[6]s', password_encryption: scram-sha-256}
  authentication: {superuser: {username: postgres, password: lab}, replication: {username: replicator, password: lab}}
`

// Start starts n members, with the password of the user engine for their REST API,
// and waits until one leads and the others stream from it.
func Start(ctx context.Context, dir string, n int, password string) (*Cluster, error) {
	c := &Cluster{}
	if err := c.start(ctx, dir, n, password); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, dir string, n int, password string) error {
	etcd, err := c.etcd(ctx, dir)
	if err != nil {
		return err
	}
	for i := range n {
		if err := c.member(ctx, dir, fmt.Sprintf("m%d", i), etcd, password); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) etcd(ctx context.Context, dir string) (address string, err error) {
	path, err := programs.Etcd.Find()
	if err != nil {
		return "", err
	}
	server, err := child.RunOnFreePorts(ctx, 2, func(ports []int) child.Program {
		address = child.Address(ports[0])
		clients, peers := "http://"+address, "http://"+child.Address(ports[1])
		return child.Program{
			Name: "etcd", Path: path, Dir: dir, Log: filepath.Join(dir, "etcd.log"),
			Args: []string{"--data-dir=etcd", "--unsafe-no-fsync", "--listen-client-urls=" + clients, "--advertise-client-urls=" + clients,
				"--listen-peer-urls=" + peers, "--initial-advertise-peer-urls=" + peers, "--initial-cluster=default=" + peers},
			Stop: syscall.SIGTERM, Orphan: syscall.SIGKILL,
			Ready: answers(clients + "/health"),
		}
	})
	if err == nil {
		c.servers = append(c.servers, server)
	}
	return address, err
}

// member starts one and waits until its server takes part.
func (c *Cluster) member(ctx context.Context, dir, name, etcd, password string) error {
	path, pathErr := programs.Patroni.Find()
	bin, binErr := programs.PostgreSQL.Find()
	as, asErr := child.Unprivileged("postgres")
	if err := errors.Join(pathErr, binErr, asErr); err != nil {
		return err
	}
	home, err := as.PrivateDir(dir, "runbook-lab-patroni-")
	if err != nil {
		return err
	}
	c.dirs = append(c.dirs, home)
	var api string
	var unwritten error
	server, err := child.RunOnFreePorts(ctx, 2, func(ports []int) child.Program {
		api = child.Address(ports[0])
		file := filepath.Join(home, "patroni.yml")
		text := fmt.Sprintf(config, name, api, child.Address(ports[1]), etcd, password, home, bin)
		unwritten = errors.Join(os.WriteFile(file, []byte(text), 0o600), as.Own(home))
		return child.Program{
			Name: "Patroni", Path: path, User: as, Args: []string{file}, Dir: home, Log: filepath.Join(dir, name+".log"),
			Stop: syscall.SIGTERM, Orphan: syscall.SIGTERM, // it stops its server
			Ready: answers("http://" + api + "/health"), Within: time.Minute,
		}
	})
	if err = errors.Join(unwritten, err); err != nil {
		return err
	}
	c.servers, c.Members = append(c.servers, server), append(c.Members, api)
	return nil
}

// Close stops all members and removes their data.
func (c *Cluster) Close() error {
	var failed []error
	for i := len(c.servers) - 1; i >= 0; i-- {
		failed = append(failed, c.servers[i].Stop())
	}
	for _, dir := range c.dirs {
		failed = append(failed, os.RemoveAll(dir))
	}
	return errors.Join(failed...)
}

// answers wants a 200.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return errors.New(answer.Status)
		}
		return nil
	}
}
