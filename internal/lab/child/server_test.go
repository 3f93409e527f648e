package child

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell is a program that runs a script; it is ready when it has made the
// file "ready".
func shell(dir, script string) Program {
	return Program{
		Name: "script", Path: "/bin/sh", Args: []string{"-c", script}, Dir: dir, Log: filepath.Join(dir, "script.log"),
		Stop: syscall.SIGTERM, Orphan: syscall.SIGKILL,
		Ready: func(context.Context) error {
			_, err := os.Stat(filepath.Join(dir, "ready"))
			return err
		},
	}
}

func start(t *testing.T, script string) (*Server, string, error) {
	t.Helper()
	dir := t.TempDir()
	server, err := RunOnFreePorts(t.Context(), 1, func([]int) Program { return shell(dir, script) })
	if err == nil {
		t.Cleanup(func() {
			if err := server.Kill(); err != nil {
				t.Error(err)
			}
		})
	}
	return server, dir, err
}

func TestTakenPortIsTriedAgain(t *testing.T) {
	_, _, err := start(t, `[ -e second ] || { touch second; echo "bind: Address already in use"; exit 1; }; touch ready; exec sleep 60`)
	if err != nil {
		t.Fatal(err)
	}
}

func TestOtherFailuresAreNotTriedAgain(t *testing.T) {
	_, dir, err := start(t, `echo try >>tries; echo "bad flag"; exit 2`)
	if err == nil {
		t.Fatal("started")
	}
	if tries, _ := os.ReadFile(filepath.Join(dir, "tries")); string(tries) != "try\n" {
		t.Errorf("tried %q", tries)
	}
	for _, want := range []string{"start script", "exit status 2", "bad flag", filepath.Join(dir, "script.log")} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q: %v", want, err)
		}
	}
}

func TestLogOfAFailureBeginsWithItsOwnStart(t *testing.T) {
	_, dir, err := start(t, `[ -e second ] || { touch second; echo "address already in use"; exit 1; }; echo "new reason"; exit 1`)
	if err == nil || !strings.Contains(err.Error(), "new reason") || strings.Contains(err.Error(), "address already in use") {
		t.Errorf("error is %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "second")); err != nil {
		t.Error(err)
	}
}

func TestChildGetsNothingOfOurEnvironment(t *testing.T) {
	t.Setenv("PGPASSWORD", "hunter2")
	_, dir, err := start(t, `env; touch ready; exec sleep 60`)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "script.log"))
	if err != nil || strings.Contains(string(log), "hunter2") || !strings.Contains(string(log), "LC_ALL=C") {
		t.Errorf("environment is %s, %v", log, err)
	}
}

func TestStopAndKillOfAnEndedServerAreNoErrors(t *testing.T) {
	server, _, err := start(t, `touch ready; exec sleep 60`)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(server.Stop(), server.Stop(), server.Kill()); err != nil {
		t.Error(err)
	}
}

func TestServerStartsAgain(t *testing.T) {
	server, _, err := start(t, `touch ready; exec sleep 60`)
	if err != nil {
		t.Fatal(err)
	}
	before := server.PID()
	if err := errors.Join(server.Stop(), server.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	if server.PID() == before {
		t.Error("it is the same process")
	}
}

func TestFreePortsDiffer(t *testing.T) {
	ports, err := freePorts(50)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range ports {
		seen[port] = true
	}
	if len(seen) != 50 {
		t.Errorf("%d different ports of 50", len(seen))
	}
}

func TestPollTellsWhatItSawLast(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := Poll(ctx, time.Millisecond, func(context.Context) error { return errors.New("still cold") })
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "still cold") {
		t.Errorf("error is %v", err)
	}
}

func TestPrivateDirLeavesADirectoryThatOthersCannotPass(t *testing.T) {
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	for account, want := range map[*Account]string{nil: closed, {os.Getuid(), os.Getgid()}: filepath.Clean(os.TempDir())} {
		dir, err := account.PrivateDir(closed, "private-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		if filepath.Dir(dir) != want {
			t.Errorf("as %v made %s, want it in %s", account, dir, want)
		}
	}
}
