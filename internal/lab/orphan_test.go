package lab_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runbook-engine/runbook/internal/lab"
)

// labIn makes the test binary start a lab in that directory, print its process
// ids, one a line, and a line "ready", and wait to be killed.
const labIn = "LAB_TEST_START_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(labIn); dir != "" {
		if err := beKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func beKilled(dir string) error {
	env, err := lab.Start(context.Background(), lab.Options{Dir: dir})
	if err != nil {
		return err
	}
	pids, err := processes(env)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		fmt.Println(pid)
	}
	fmt.Println("ready")
	select {}
}

// processes are all of a lab, those that PostgreSQL started included.
func processes(env *lab.Lab) ([]int, error) {
	pids := []int{env.Postgres.PID(), env.Orders.PID(), env.Prometheus.PID(), env.Alertmanagers[0].PID()}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, env.Postgres.DSN())
	if err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, "SELECT pid FROM pg_stat_activity")
	if err != nil {
		return nil, err
	}
	children, err := pgx.CollectRows(rows, pgx.RowTo[int])
	return append(pids, children...), err
}

func TestKilledStarterLeavesNoProcess(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "runbook-lab-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	// The user postgres has to pass, or its data would be elsewhere and stay.
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	starter, pids := startStarter(t, dir)
	if len(pids) < 8 {
		t.Fatalf("only %d processes", len(pids))
	}
	for _, pid := range pids {
		if !alive(pid) {
			t.Errorf("process %d ended by itself", pid)
		}
	}
	if err := starter.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		for began := time.Now(); alive(pid); time.Sleep(10 * time.Millisecond) {
			if time.Since(began) > 10*time.Second {
				t.Fatalf("process %d is still there", pid)
			}
		}
	}
}

func startStarter(t *testing.T, dir string) (*exec.Cmd, []int) {
	t.Helper()
	starter := exec.Command(os.Args[0])
	starter.Env = append(os.Environ(), labIn+"="+dir)
	starter.Stderr = os.Stderr
	out, err := starter.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := starter.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = starter.Process.Kill(); _ = starter.Wait() })
	var pids []int
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "ready"; {
		pid, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return starter, pids
}

// TestServersOutliveTheThreadThatStartedThem guards against the trap of the
// parent death signal: it comes when a thread ends, not only when we do. The
// main thread never ends, so that it takes two to be sure of one.
func TestServersOutliveTheThreadThatStartedThem(t *testing.T) {
	var locked, done sync.WaitGroup
	locked.Add(2)
	servers := make([]*lab.Alertmanager, 2)
	for i := range servers {
		dir := t.TempDir()
		done.Go(func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with us
			locked.Done()
			locked.Wait()
			var err error
			if servers[i], err = lab.StartAlertmanager(t.Context(), dir, lab.AlertmanagerOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	for _, server := range servers {
		if server == nil {
			continue
		}
		t.Cleanup(func() {
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
		})
		for range 30 {
			if !alive(server.PID()) {
				t.Fatal("a server ended with the thread that started it")
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// alive is false for a process that has ended and only waits to be reaped.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return runtime.GOOS != "linux" && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return !strings.HasPrefix(string(state), "Z")
}
