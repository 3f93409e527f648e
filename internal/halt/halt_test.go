package halt_test

import (
	"bufio"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/halt"
	"github.com/runbook-engine/runbook/internal/ledger"
)

func open(t *testing.T, dir string) *halt.Switch {
	t.Helper()
	return halt.Open(dir, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

func halted(t *testing.T, s *halt.Switch, by string) *ledger.Halt {
	t.Helper()
	h := s.State()
	switch {
	case by == "" && h != nil:
		t.Fatalf("halted by %s: %s", h.By, h.Reason)
	case by != "" && (h == nil || h.By != by):
		t.Fatalf("the halt is %+v, want one by %s", h, by)
	}
	return h
}

func mustHalt(t *testing.T, s *halt.Switch, by string, until time.Time) *ledger.Halt {
	t.Helper()
	h, err := s.Halt(by, "because", until)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func mustResume(t *testing.T, s *halt.Switch) {
	t.Helper()
	if err := s.Resume("bob", "mended"); err != nil {
		t.Fatal(err)
	}
}

// With no ledger at all: as when Temporal is down.
func TestAHaltHoldsUntilItIsResumed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := open(t, dir)
	halted(t, s, "")
	mustHalt(t, s, "ada", time.Time{})
	if h := halted(t, s, "ada"); h.Reason != "because" || h.At.IsZero() {
		t.Errorf("the halt is %+v", h)
	}
	if err := s.Share(t.Context()); err != nil {
		t.Error(err)
	}
	halted(t, open(t, dir), "ada")
	mustResume(t, s)
	halted(t, s, "")
	halted(t, open(t, dir), "")
}

func TestAHaltSurvivesKill9(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "halted <nil>\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := child.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Error("the process was not killed")
	}
	halted(t, open(t, dir), "ada")
}

func TestAHaltWithAnEndEndsByItself(t *testing.T) {
	s := open(t, t.TempDir())
	mustHalt(t, s, "ada", time.Now().Add(2*time.Second))
	halted(t, s, "ada")
	within(t, "the halt to end", func() bool { return s.State() == nil })
}

// A halt may be made by those who may not resume: it must not end another.
func TestAHaltIsNotShortenedByAnother(t *testing.T) {
	s := open(t, t.TempDir())
	mustHalt(t, s, "ada", time.Time{})
	if h := mustHalt(t, s, "eve", time.Now().Add(time.Millisecond)); !h.Until.IsZero() {
		t.Errorf("it ends at %s", h.Until)
	}
	time.Sleep(2 * time.Millisecond)
	halted(t, s, "eve")
	mustResume(t, s)
	mustHalt(t, s, "ada", time.Now().Add(time.Hour))
	end := time.Now().Add(2 * time.Hour).UTC()
	if h := mustHalt(t, s, "eve", end); !h.Until.Equal(end) {
		t.Errorf("it ends at %s, not later", h.Until)
	}
}

// What can not be read may be a halt.
func TestAFileThatCanNotBeReadIsAHalt(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"cut short": func(path string) error { return os.WriteFile(path, []byte(`{"halt":`), 0o600) },
		"empty":     func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"foreign":   func(path string) error { return os.WriteFile(path, []byte(`{"halted": true}`), 0o600) },
		"a folder":  func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			running := open(t, dir)
			halted(t, running, "")
			if err := spoil(filepath.Join(dir, halt.FileName)); err != nil {
				t.Fatal(err)
			}
			running.Share(t.Context())
			for _, s := range []*halt.Switch{running, open(t, dir)} {
				if h := halted(t, s, "engine"); !strings.Contains(h.Reason, halt.FileName) || !strings.Contains(h.Reason, "runbook resume") {
					t.Errorf("the reason does not say what to do: %s", h.Reason)
				}
			}
			if _, err := running.Halt("ada", "x", time.Time{}); err == nil {
				t.Error("a halt went into a file that can not be read, and nobody was told")
			}
			if name == "a folder" {
				return // a resume can not be written
			}
			mustResume(t, running)
			halted(t, running, "")
			halted(t, open(t, dir), "")
		})
	}
}

// When a halt can not be written down it holds all the same; a resume does not.
func TestADiskThatRefuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := open(t, dir)
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // where the folder should be
		t.Fatal(err)
	}
	if _, err := s.Halt("ada", "x", time.Time{}); err == nil {
		t.Error("written into a file that can not be there")
	}
	if s.State() == nil {
		t.Error("the halt does not hold")
	}
	if err := s.Resume("bob", "x"); err == nil || s.State() == nil {
		t.Errorf("resumed without writing it down: %v", err)
	}
}

// Another process on the same directory, such as the command line, is heard.
func TestTheFileIsFollowed(t *testing.T) {
	dir := t.TempDir()
	engine, cli := open(t, dir), open(t, dir)
	follow(t, engine)
	mustHalt(t, cli, "ada", time.Time{})
	within(t, "the engine to hear of the file", func() bool { return engine.State() != nil })
	mustResume(t, cli)
	within(t, "the engine to hear of the file", func() bool { return engine.State() == nil })
}

func follow(t *testing.T, s *halt.Switch) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	t.Cleanup(func() { stop(); <-done })
}

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func BenchmarkState(b *testing.B) {
	s := halt.Open(b.TempDir(), slog.New(slog.DiscardHandler))
	if _, err := s.Halt("ada", "x", time.Now().Add(time.Hour)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if s.State() == nil {
			b.Fatal("not halted")
		}
	}
}
