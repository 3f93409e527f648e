package halt_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/halt"
	"github.com/runbook-engine/runbook/internal/ledger"
)

const childDir = "RUNBOOK_HALT_TEST_DIR"

// The test program is also the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		s := halt.Open(dir, slog.New(slog.DiscardHandler))
		_, err := s.Halt("ada", "before the kill", time.Time{})
		fmt.Println("halted", err)
		select {}
	}
	os.Exit(m.Run())
}

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
	mustHalt(t, s, "ada", time.Now().Add(300*time.Millisecond))
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

// memory is a ledger's side that is only in memory and can go away: what the
// switch needs is two functions.
type memory struct {
	mu     sync.Mutex
	record halt.Record
	gone   bool
	told   int
}

func (m *memory) side() halt.Shared {
	return halt.Shared{
		Read: func(context.Context) (halt.Record, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.gone {
				return halt.Record{}, errors.New("gone")
			}
			return m.record, nil
		},
		Apply: func(_ context.Context, op ledger.Op) error {
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.gone {
				return errors.New("gone")
			}
			m.told++
			if op.Halt != nil {
				m.record.Halt = op.Halt
			} else {
				m.record.Resumed = op.Resume
			}
			return nil
		},
	}
}

func (m *memory) away(gone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone = gone
}

func follow(t *testing.T, s *halt.Switch) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	t.Cleanup(func() { stop(); <-done })
}

// pair is two engines with a ledger between them.
func pair(t *testing.T) (a, b *halt.Switch, between *memory) {
	a, b, between = open(t, t.TempDir()), open(t, t.TempDir()), &memory{}
	for _, s := range []*halt.Switch{a, b} {
		s.Join(between.side())
		follow(t, s)
	}
	return a, b, between
}

func TestTheOtherEngineHears(t *testing.T) {
	a, b, between := pair(t)
	mustHalt(t, a, "ada", time.Time{})
	since := time.Now()
	within(t, "the other engine to halt", func() bool { return b.State() != nil })
	if took := time.Since(since); took > 2*time.Second {
		t.Errorf("the other engine heard after %s", took)
	}
	if h := halted(t, b, "ada"); !h.At.Equal(a.State().At) {
		t.Errorf("it heard of another halt: %+v", h)
	}
	mustResume(t, b)
	within(t, "the first engine to go on", func() bool { return a.State() == nil })
	if between.told != 2 {
		t.Errorf("the ledger was told %d times, want 2", between.told)
	}
}

// A resume that is older than a halt never ends it, whichever arrives first, and
// two sides that were apart come to the same.
func TestTheNewestWordCountsAfterAPartition(t *testing.T) {
	a, b, between := pair(t)
	mustHalt(t, a, "ada", time.Time{})
	within(t, "both to halt", func() bool { return b.State() != nil })
	between.away(true)
	if err := a.Share(t.Context()); err == nil || !strings.Contains(err.Error(), "may not have heard") {
		t.Errorf("nobody is told that the others do not hear: %v", err)
	}
	mustResume(t, a)
	halted(t, a, "")
	mustHalt(t, b, "eve", time.Time{}) // newer than the resume of a
	between.away(false)
	within(t, "the newer halt to reach the first engine", func() bool { h := a.State(); return h != nil && h.By == "eve" })
	halted(t, b, "eve")

	between.away(true)
	mustHalt(t, a, "ada", time.Time{})
	mustResume(t, b)
	halted(t, a, "ada")
	halted(t, b, "")
	between.away(false)
	within(t, "both to agree", func() bool { return (a.State() == nil) == (b.State() == nil) })
	halted(t, a, "")
}

// The clock of the engine that halted is an hour ahead.
func TestAResumeIsNewerThanTheHaltThatItEnds(t *testing.T) {
	_, b, between := pair(t)
	between.mu.Lock()
	between.record.Halt = &ledger.Halt{By: "ada", At: time.Now().Add(time.Hour)}
	between.mu.Unlock()
	within(t, "the halt to be heard", func() bool { return b.State() != nil })
	mustResume(t, b)
	halted(t, b, "")
	if err := b.Share(t.Context()); err != nil {
		t.Fatal(err)
	}
	halted(t, b, "")
	mustHalt(t, b, "eve", time.Time{})
	halted(t, b, "eve")
}

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
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
