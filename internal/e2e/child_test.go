package e2e

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"crypto/ecdsa"
	"crypto/x509"

	"github.com/runbook-engine/runbook/chaos/backstop"
	"github.com/runbook-engine/runbook/chaos/std"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/engine"
	"github.com/runbook-engine/runbook/internal/temporalserver"
)

// The test binary is also the programs under test: what it is to be is in its
// environment.
const (
	beEngine  = "RUNBOOK_E2E_ENGINE"  // the config file of an engine
	beCluster = "RUNBOOK_E2E_CLUSTER" // the folder of a Temporal server
	beStandin = "RUNBOOK_E2E_STANDIN" // the kubeconfig for a stand-in of Chaos Mesh
	beEcho    = "RUNBOOK_E2E_ECHO"    // the folder of a server that sends back what it gets
)

func TestMain(m *testing.M) {
	if code, ours := backstop.Main(os.Args[1:], std.Modes()...); ours {
		os.Exit(code)
	}
	switch {
	case os.Getenv(beEngine) != "":
		os.Exit(exit(runEngine(os.Getenv(beEngine))))
	case os.Getenv(beCluster) != "":
		os.Exit(exit(runCluster(os.Getenv(beCluster))))
	case os.Getenv(beStandin) != "":
		os.Exit(exit(runStandin(os.Getenv(beStandin))))
	case os.Getenv(beEcho) != "":
		os.Exit(exit(runEcho(os.Getenv(beEcho))))
	}
	code := m.Run()
	shared.stop()
	os.Exit(code)
}

func exit(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// untilAsked ends with a signal to stop. A parent that dies closes our standard
// input, and then the process ends at once.
func untilAsked() context.Context {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	return ctx
}

func runEngine(config string) error {
	ctx := untilAsked()
	c, sources, problems := engine.LoadConfig(config)
	if err := problems.Err(); err != nil {
		_ = diag.WriteText(os.Stderr, problems, sources)
		return err
	}
	engine.TuneMemory()
	e, err := engine.New(ctx, c, engine.Options{Log: c.Logger(os.Stderr)})
	if err != nil {
		return err
	}
	defer e.Close()
	return e.Run(ctx)
}

// runCluster serves Temporal for other processes, with the means to get in
// beside its state.
func runCluster(dir string) error {
	ctx := untilAsked()
	s, err := temporalserver.Start(ctx, temporalserver.Options{Dir: filepath.Join(dir, "state")})
	if err != nil {
		return err
	}
	defer s.Stop()
	pair := s.ClientOptions().ConnectionOptions.TLS.Certificates[0]
	key, err := x509.MarshalECPrivateKey(pair.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		text []byte
	}{
		{"cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})},
		{"key.pem", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key})},
		{"address", []byte(s.Address())}, // the last: it says that all is there
	} {
		if err := replace(filepath.Join(dir, file.name), file.text); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

func replace(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// child is a process of the test binary.
type child struct {
	t   testing.TB
	cmd *exec.Cmd
	log string
	end chan struct{}
}

func spawn(t testing.TB, log, variable, value string) *child {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	c := &child{t: t, cmd: exec.Command(os.Args[0]), log: log, end: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), variable+"="+value)
	c.cmd.Stdout, c.cmd.Stderr = out, out
	if _, err := c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = c.cmd.Wait()
		close(c.end)
	}()
	t.Cleanup(func() { c.kill() })
	return c
}

func (c *child) kill() { c.signal(syscall.SIGKILL) }

// stop asks for an orderly end.
func (c *child) stop() { c.signal(syscall.SIGTERM) }

func (c *child) signal(s syscall.Signal) {
	_ = c.cmd.Process.Signal(s) // it may have ended
	<-c.end
}
