//go:build !noembedded

package temporalserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

const stateListen = 0x0a

// listeners are the addresses this process listens on.
func listeners(t *testing.T) map[string]net.IP {
	t.Helper()
	fs, err := procfs.NewFS("/proc")
	if err != nil {
		t.Fatal(err)
	}
	ours := sockets(t)
	found := map[string]net.IP{}
	//lint:ignore SA1019 the sockets of one process on loopback are few; netlink would not tell more
	for _, read := range []func() (procfs.NetTCP, error){fs.NetTCP, fs.NetTCP6} {
		lines, err := read()
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, line := range lines {
			if line.St == stateListen && ours[fmt.Sprintf("socket:[%d]", line.Inode)] {
				found[net.JoinHostPort(line.LocalAddr.String(), fmt.Sprint(line.LocalPort))] = line.LocalAddr
			}
		}
	}
	return found
}

func sockets(t *testing.T) map[string]bool {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, link := range links {
		// The descriptor of the listing itself is gone by now.
		if target, err := os.Readlink(link); err == nil {
			found[target] = true
		}
	}
	return found
}

func TestListensOnLoopbackOnly(t *testing.T) {
	before := listeners(t)
	s := start(t, Options{})
	after := listeners(t)
	for address, ip := range after {
		if !ip.IsLoopback() {
			t.Errorf("listens on %s", address)
		}
	}
	if got := len(after) - len(before); got != 4 {
		t.Errorf("listens on %d ports, want the 4 services: %v", got, slices.Collect(maps.Keys(after)))
	}
	if after[s.Address()] == nil {
		t.Errorf("does not listen on its address %s", s.Address())
	}
	s.Stop()
	if left := listeners(t); len(left) != len(before) {
		t.Errorf("after stop it still listens: %v", slices.Collect(maps.Keys(left)))
	}
}

func health(t *testing.T, address string, creds credentials.TransportCredentials) error {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	// The services answer to other names than the empty one.
	if status.Code(err) == codes.NotFound {
		return nil
	}
	return err
}

func TestStrangersAreRefusedOnEveryPort(t *testing.T) {
	others := listeners(t)
	s := start(t, Options{})
	ours := listeners(t)
	maps.DeleteFunc(ours, func(address string, _ net.IP) bool { return others[address] != nil })
	stranger, err := newIdentity()
	if err != nil {
		t.Fatal(err)
	}
	forged := stranger.client()
	forged.InsecureSkipVerify = true
	anonymous := &tls.Config{InsecureSkipVerify: true}
	for address := range ours {
		if err := health(t, address, credentials.NewTLS(s.ClientOptions().ConnectionOptions.TLS)); err != nil {
			t.Errorf("%s refuses us: %v", address, err)
		}
		for who, creds := range map[string]credentials.TransportCredentials{
			"plain text":             insecure.NewCredentials(),
			"no certificate":         credentials.NewTLS(anonymous),
			"a stranger certificate": credentials.NewTLS(forged),
		} {
			if err := health(t, address, creds); status.Code(err) != codes.Unavailable {
				t.Errorf("%s lets in %s: %v", address, who, err)
			}
		}
	}
}

// The libraries below leave a few descriptors of each stopped server open; it must not become more.
func TestTwentyServersOneAfterTheOther(t *testing.T) {
	const servers, each = 20, 8
	before := len(sockets(t))
	ports := len(listeners(t))
	for range servers {
		s := start(t, Options{})
		s.Stop()
	}
	eventually(t, 30*time.Second, "the descriptors are closed", func() error {
		if left := len(sockets(t)) - before; left > servers*each {
			return fmt.Errorf("%d descriptors more than before", left)
		}
		return nil
	})
	if left := len(listeners(t)); left != ports {
		t.Errorf("%d ports are open, %d were before", left, ports)
	}
}

func TestAPortTakenInBetweenIsReplaced(t *testing.T) {
	files, err := openStore(t.Context(), Options{Dir: t.TempDir()}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	var chosen []layout
	choose := func() layout {
		chosen = append(chosen, newLayout())
		if len(chosen) == 1 {
			taken, err := net.Listen("tcp", chosen[0].frontend())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { taken.Close() })
		}
		return chosen[len(chosen)-1]
	}
	s, err := serveRetrying(files, Options{}.withDefaults(), choose)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.halt(); err != nil {
		t.Error(err)
	}
	if len(chosen) != 2 {
		t.Errorf("ports were chosen %d times, want 2", len(chosen))
	}
}
