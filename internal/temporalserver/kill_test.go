//go:build !noembedded

package temporalserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// The test binary plays these parts in a process of its own, which is then killed.
const (
	childEnv    = "TEMPORALSERVER_TEST_CHILD"
	childDirEnv = "TEMPORALSERVER_TEST_DIR"
	playJourney = "journey"
	playBurst   = "burst"
	acknowledge = "acknowledged "
)

func child(play, dir string) int {
	if err := perform(play, dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func perform(play, dir string) error {
	s, err := Start(context.Background(), Options{Dir: filepath.Join(dir, "data")})
	if err != nil {
		return err
	}
	c, err := connect(s)
	if err != nil {
		return err
	}
	w := worker.New(c, queue, worker.Options{})
	register(w)
	if err := w.Start(); err != nil {
		return err
	}
	if play == playBurst {
		burst(c)
	}
	return journey(c, dir)
}

func begin(c client.Client, id string, wf any, args ...any) error {
	options := client.StartWorkflowOptions{ID: id, TaskQueue: queue, EnableEagerStart: true}
	_, err := c.ExecuteWorkflow(context.Background(), options, wf, args...)
	return err
}

func journey(c client.Client, dir string) error {
	for id, wf := range journeys {
		if err := begin(c, id, wf, dir); err != nil {
			return err
		}
	}
	select {}
}

// burst starts runs until the process is killed, and says for each that it was acknowledged.
func burst(c client.Client) {
	var next atomic.Int64
	for range 16 {
		go func() {
			for {
				id := fmt.Sprint("burst/", next.Add(1))
				if err := begin(c, id, oneShortActivity); err == nil {
					fmt.Println(acknowledge + id)
				}
			}
		}()
	}
	select {}
}

// journeys are runs that the kill finds in different places.
var journeys = map[string]any{"sleeps": sleeps, "holdsActivity": holdsActivity, "holdsLocalActivity": holdsLocalActivity}

func local(ctx workflow.Context) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: time.Minute})
}

// sleeps has a step behind it when it says that it sleeps: a timer in between makes the server acknowledge it.
func sleeps(ctx workflow.Context, dir string) error {
	for _, name := range []string{"step", "sleeps"} {
		if err := workflow.ExecuteLocalActivity(local(ctx), note, dir, name).Get(ctx, nil); err != nil {
			return err
		}
		if err := workflow.Sleep(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return workflow.Sleep(ctx, 3*time.Second)
}

func holdsActivity(ctx workflow.Context, dir string) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
		HeartbeatTimeout:    time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 10 * time.Millisecond},
	})
	return workflow.ExecuteActivity(ctx, hold, dir, "holdsActivity").Get(ctx, nil)
}

// oneShortActivity does not wait long for an activity whose worker is dead.
func oneShortActivity(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 2 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 10 * time.Millisecond},
	})
	return workflow.ExecuteActivity(ctx, noop).Get(ctx, nil)
}

func holdsLocalActivity(ctx workflow.Context, dir string) error {
	return workflow.ExecuteLocalActivity(local(ctx), hold, dir, "holdsLocalActivity").Get(ctx, nil)
}

// note leaves a line for each time it ran.
func note(_ context.Context, dir, name string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString("ran\n")
	return errors.Join(err, f.Close())
}

// hold is under way until there is a file called release.
func hold(ctx context.Context, dir, name string) error {
	if err := note(ctx, dir, name); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "release")); err == nil {
			return nil
		}
		if !activity.GetInfo(ctx).IsLocalActivity {
			activity.RecordHeartbeat(ctx)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func spawn(t *testing.T, play, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+play, childDirEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(cmd) })
	return cmd, bufio.NewScanner(out)
}

func kill(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	}
}

func runs(t *testing.T, dir, name string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

func TestKilledInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	cmd, _ := spawn(t, playJourney, dir)
	eventually(t, time.Minute, "all runs are under way", func() error {
		for id := range journeys {
			if runs(t, dir, id) == 0 {
				return fmt.Errorf("%s is not", id)
			}
		}
		return nil
	})
	second, err := Start(t.Context(), Options{Dir: filepath.Join(dir, "data")})
	if err == nil {
		second.Stop()
	}
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), strconv.Itoa(cmd.Process.Pid)) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("while process %d serves %s: %v", cmd.Process.Pid, dir, err)
	}
	kill(cmd)
	before := map[string]int{"step": runs(t, dir, "step")}
	for id := range journeys {
		before[id] = runs(t, dir, id)
	}
	if err := os.WriteFile(filepath.Join(dir, "release"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	began := time.Now()
	logged := &records{}
	c := dial(t, start(t, Options{Dir: filepath.Join(dir, "data"), Log: logged.logger()}))
	t.Logf("started again after %s", time.Since(began))
	work(t, c)
	var wg sync.WaitGroup
	for id := range journeys {
		wg.Go(func() {
			finished(t, c, id)
			t.Logf("%s finished %s after the kill", id, time.Since(began))
		})
	}
	wg.Wait()
	if got := runs(t, dir, "step"); got != before["step"] {
		t.Errorf("a finished step ran again, %d times instead of %d", got, before["step"])
	}
	for _, id := range []string{"holdsActivity", "holdsLocalActivity"} {
		if runs(t, dir, id) == before[id] {
			t.Errorf("%s was taken as finished although the kill interrupted it", id)
		}
	}
	for _, line := range logged.all() {
		t.Error(line)
	}
}

func TestKilledDuringABurst(t *testing.T) {
	dir := t.TempDir()
	cmd, lines := spawn(t, playBurst, dir)
	var acknowledged []string
	for len(acknowledged) < 200 && lines.Scan() {
		if id, ok := strings.CutPrefix(lines.Text(), acknowledge); ok {
			acknowledged = append(acknowledged, id)
		}
	}
	kill(cmd)
	if len(acknowledged) < 200 {
		t.Fatalf("only %d runs were acknowledged", len(acknowledged))
	}

	c := dial(t, start(t, Options{Dir: filepath.Join(dir, "data")}))
	work(t, c)
	for _, id := range acknowledged {
		_, err := c.DescribeWorkflowExecution(t.Context(), id, "")
		var lost *serviceerror.NotFound
		if errors.As(err, &lost) {
			t.Fatalf("run %s was acknowledged and is lost", id)
		}
		finished(t, c, id)
	}
	listed(t, c, "ExecutionStatus = 'Running'", 0)
}
