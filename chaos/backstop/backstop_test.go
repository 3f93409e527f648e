package backstop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/chaos/backstop"
)

// note is a child that writes what happened to it into a file.
type note struct {
	File  string
	Fail  bool // instead of getting ready
	Stuck bool // fails to put things in order
}

func (n note) write(text string) error {
	f, err := os.OpenFile(n.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, text)
	return errors.Join(err, f.Close())
}

func keepNote(life backstop.Life) error {
	var n note
	if err := json.Unmarshal(life.Spec, &n); err != nil {
		return err
	}
	if n.Fail {
		return errors.New("the port is taken")
	}
	if err := errors.Join(n.write(fmt.Sprint("began ", os.Getpid())), life.Ready()); err != nil {
		return err
	}
	<-life.Orphaned
	if n.Stuck {
		return errors.New("it does not budge")
	}
	return n.write("ended")
}

// renew is a child that replaces itself once.
func renew(life backstop.Life) error {
	var n note
	if err := json.Unmarshal(life.Spec, &n); err != nil {
		return err
	}
	if _, err := os.Stat(n.File); err == nil {
		return keepNote(life)
	}
	return errors.Join(n.write(fmt.Sprint("first ", os.Getpid())), life.Ready(), life.Anew())
}

// engine is a process that starts a child, and waits to be killed.
func engine(life backstop.Life) error {
	_, err := backstop.Start(context.Background(), "note", "test", json.RawMessage(life.Spec))
	if err != nil {
		return err
	}
	if err := life.Ready(); err != nil {
		return err
	}
	select {}
}

// clumsy is an engine that has started another process, which holds the child's
// standard input open as well.
func clumsy(life backstop.Life) error {
	in, alive, err := os.Pipe()
	if err != nil {
		return err
	}
	child := exec.Command(os.Args[0], "fault-backstop", "note", "test")
	child.Stdin = in
	holder := exec.Command("sleep", "300")
	holder.ExtraFiles = []*os.File{alive}
	if err := errors.Join(child.Start(), holder.Start()); err != nil {
		return err
	}
	var n note
	if err := json.Unmarshal(life.Spec, &n); err != nil {
		return err
	}
	if err := (note{File: n.File + ".holder"}).write(fmt.Sprint(holder.Process.Pid)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(alive, string(life.Spec)); err != nil {
		return err
	}
	if err := life.Ready(); err != nil {
		return err
	}
	select {}
}

// stuck never puts things in order.
func stuck(life backstop.Life) error {
	if err := errors.Join(keepNote(life), life.Ready()); err != nil {
		return err
	}
	select {}
}

func TestMain(m *testing.M) {
	code, ours := backstop.Main(os.Args[1:], backstop.Mode{Name: "note", Run: keepNote},
		backstop.Mode{Name: "renew", Run: renew}, backstop.Mode{Name: "engine", Run: engine},
		backstop.Mode{Name: "clumsy", Run: clumsy}, backstop.Mode{Name: "stuck", Run: stuck, Last: 100 * time.Millisecond})
	if !ours {
		code = m.Run()
	}
	os.Exit(code)
}

func start(t *testing.T, mode string, n note) *backstop.Child {
	t.Helper()
	c, err := backstop.Start(t.Context(), mode, "test", n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Kill)
	return c
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after 20s: %s", what)
		}
	}
}

func TestAReleasedChildLeavesEverythingInOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "note")
	c := start(t, "note", note{File: file})
	if got := read(t, file); got != fmt.Sprintf("began %d\n", c.PID()) {
		t.Errorf("ready with %q", got)
	}
	if err := c.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if got := read(t, file); !strings.HasSuffix(got, "\nended\n") {
		t.Errorf("released with %q", got)
	}
}

func TestAChildSaysWhyItFailed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "note")
	if _, err := backstop.Start(t.Context(), "note", "test", note{File: file, Fail: true}); err == nil || !strings.Contains(err.Error(), "the port is taken") {
		t.Errorf("started: %v", err)
	}
	if _, err := backstop.Start(t.Context(), "nothing", "test", note{}); err == nil || !strings.Contains(err.Error(), `no backstop "nothing"`) {
		t.Errorf("started: %v", err)
	}
	if err := start(t, "note", note{File: file, Stuck: true}).Release(t.Context()); err == nil || err.Error() != "it does not budge" {
		t.Errorf("released: %v", err)
	}
}

func TestAChildThatIsAskedToEndLeavesEverythingInOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "note")
	c := start(t, "note", note{File: file})
	if err := syscall.Kill(c.PID(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	if got := read(t, file); !strings.HasSuffix(got, "\nended\n") {
		t.Errorf("ended with %q", got)
	}
}

func TestAChildThatReplacesItselfIsTheSameChild(t *testing.T) {
	file := filepath.Join(t.TempDir(), "note")
	c := start(t, "renew", note{File: file})
	want := fmt.Sprintf("first %d\nbegan %d\n", c.PID(), c.PID())
	eventually(t, want, func() bool { return read(t, file) == want })
	if err := c.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if got := read(t, file); got != want+"ended\n" {
		t.Errorf("ended with %q", got)
	}
}

func TestAChildOutlivesItsEngineByItsLastActOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "note")
	c := start(t, "engine", note{File: file})
	var pid int
	if _, err := fmt.Sscanf(read(t, file), "began %d", &pid); err != nil {
		t.Fatal(err)
	}
	c.Kill()
	eventually(t, "the child has put things in order", func() bool { return strings.HasSuffix(read(t, file), "\nended\n") })
	eventually(t, "the child is gone", func() bool { return exec.Command("kill", "-0", fmt.Sprint(pid)).Run() != nil })
}

// The end of the standard input is one sign of the engine's death; that it is no
// more the parent is another.
func TestAChildSeesItsEnginesDeathAlsoBehindAnOpenInput(t *testing.T) {
	file := filepath.Join(t.TempDir(), "note")
	c := start(t, "clumsy", note{File: file})
	t.Cleanup(func() {
		if holder, err := strconv.Atoi(strings.TrimSpace(read(t, file+".holder"))); err == nil {
			_ = syscall.Kill(holder, syscall.SIGKILL)
		}
	})
	eventually(t, "the child has begun", func() bool { return strings.HasPrefix(read(t, file), "began ") })
	c.Kill()
	eventually(t, "the child has put things in order", func() bool { return strings.HasSuffix(read(t, file), "\nended\n") })
}

func TestAChildThatIsStuckEndsAllTheSame(t *testing.T) {
	c := start(t, "stuck", note{File: filepath.Join(t.TempDir(), "note")})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := c.Release(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("released: %v", err)
	}
}
