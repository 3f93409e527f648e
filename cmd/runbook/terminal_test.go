package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
)

// seat is a person before a terminal in which runbook runs.
type seat struct {
	t      *testing.T
	keys   *os.File
	cmd    *exec.Cmd
	screen vt10x.Terminal
	done   chan struct{}

	mu  sync.Mutex
	raw bytes.Buffer
}

const (
	seatWidth  = 100
	seatHeight = 40
)

func (p *place) sit(env []string, args ...string) *seat {
	p.t.Helper()
	cmd, _ := p.command(args...)
	cmd.Stdout, cmd.Stderr = nil, nil
	cmd.Env = append(cmd.Env, append([]string{"TERM=xterm-256color", "LC_ALL=C.UTF-8", "NO_COLOR="}, env...)...)
	keys, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: seatHeight, Cols: seatWidth})
	if err != nil {
		p.t.Fatal(err)
	}
	s := &seat{t: p.t, keys: keys, cmd: cmd, screen: vt10x.New(vt10x.WithSize(seatWidth, seatHeight)), done: make(chan struct{})}
	go s.read()
	p.t.Cleanup(func() {
		cmd.Process.Kill()
		keys.Close()
	})
	return s
}

func (s *seat) read() {
	defer close(s.done)
	buf := make([]byte, 4096)
	for {
		n, err := s.keys.Read(buf)
		s.mu.Lock()
		s.raw.Write(buf[:n])
		s.screen.Write(buf[:n])
		s.mu.Unlock()
		if errors.Is(err, syscall.EIO) || errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			s.t.Error(err)
			return
		}
	}
}

// look is what stands on the screen now.
func (s *seat) look() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.screen.String()
}

func (s *seat) sent() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw.String()
}

func (s *seat) sees(text string) {
	s.t.Helper()
	defer func() {
		if s.t.Failed() {
			s.t.Logf("the screen:\n%s", s.look())
		}
	}()
	eventually(s.t, "seeing "+text, func() bool { return strings.Contains(s.look(), text) })
}

func (s *seat) types(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.keys, text); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits for the end of the program.
func (s *seat) ends(code int) {
	s.t.Helper()
	<-s.done
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.t.Fatalf("ended with %d, not %d:\n%s", got, code, s.look())
	}
}

const ctrlC = "\x03"

func TestTerminalAsksAndShowsATree(t *testing.T) {
	t.Parallel()
	p := newPlace(t, steps)
	s := p.sit(nil, "exec", "steps")
	s.sees("plan of steps")
	s.sees("Run it? It is disruptive. [y/N]")
	s.types("\r")
	s.sees("nothing was started")
	s.ends(1)
	p.counts(map[string]int{"/before/a": 0, "/after/a": 0})

	s = p.sit(nil, "exec", "steps")
	s.sees("[y/N]")
	s.types("y\r")
	s.sees("steps  acting")
	s.sees("├─ ✓ before  http.request")
	s.sees("look  http.get")
	s.sees("└─ ○ after  http.request")
	s.sees("✓ fixed: status == 200 holds")
	s.ends(0)
	if got := strings.Count(s.look(), "before  http.request"); got != 2 { // the plan, and one tree
		t.Errorf("the tree was not redrawn in place:\n%s", s.look())
	}
	if !strings.Contains(s.sent(), "\x1b[32m✓") {
		t.Error("what is good is not green")
	}
	p.counts(map[string]int{"/before/a": 1, "/after/a": 1})
}

func TestCtrlCAsksWhatItShallMean(t *testing.T) {
	t.Parallel()
	p := newPlace(t, steps)
	s := p.sit(nil, "exec", "steps", "--yes")
	s.sees("✓ before")
	s.types(ctrlC)
	s.sees("The run is still under way.")
	s.types("w\r")
	s.sees("✓ fixed")
	s.ends(0)

	s = p.sit(nil, "exec", "hour", "--yes")
	s.sees("hour  acting")
	s.types(ctrlC)
	s.sees("[l/c/u/w]")
	s.types("c\r")
	s.sees("cancelled: ada asked to stop: Ctrl-C at the terminal")
	s.ends(1)
	p.counts(map[string]int{"/hour": 0})
}

func TestSecondCtrlCLeavesAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t, steps)
	s := p.sit(nil, "exec", "steps", "--yes")
	s.sees("✓ before")
	s.types(ctrlC)
	s.sees("[l/c/u/w]")
	s.types(ctrlC)
	s.sees("go on: runbook runs watch steps.exec-")
	s.ends(1)
	if out := p.must(0, "exec", "steps", "--yes"); !strings.Contains(out, "going on with run") {
		t.Errorf("exec printed:\n%s", out)
	}
	p.counts(map[string]int{"/before/a": 1, "/after/a": 1})
}

func TestCtrlCAtTheQuestionStartsNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t, steps)
	s := p.sit(nil, "exec", "steps")
	s.sees("[y/N]")
	s.types(ctrlC)
	s.sees("nothing was started")
	s.ends(1)
	p.counts(map[string]int{"/before/a": 0})
}

func TestTerminalCanBeSimple(t *testing.T) {
	t.Parallel()
	p := newPlace(t, steps)
	s := p.sit([]string{"NO_COLOR=1"}, "exec", "steps", "--yes")
	s.ends(0)
	if sent := s.sent(); strings.Contains(sent, "\x1b[3") || !strings.Contains(sent, "\x1b[J") {
		t.Errorf("with NO_COLOR: %q", sent)
	}
	s = p.sit([]string{"TERM=dumb", "LC_ALL=C"}, "exec", "steps", "--yes")
	s.ends(0)
	if sent := s.sent(); strings.Contains(sent, "\x1b") || !strings.Contains(sent, "+ fixed: ") || !strings.Contains(sent, "before: done") {
		t.Errorf("with TERM=dumb: %q", sent)
	}
}

// A label may hold what drives a terminal; on the way to one it is made
// harmless.
func TestHostileTextDoesNotDriveTheTerminal(t *testing.T) {
	t.Parallel()
	p := newPlace(t, `
runbook: hostile
summary: "Set \e]0;owned\a the title \u202Eback."
params: {text: {type: string, default: "\e[2Jgone\rover"}}
steps: [{id: a, doc: "\e[31mred", do: wait, with: {duration: 0s}}]
`)
	s := p.sit(nil, "exec", "hostile")
	s.ends(1) // nothing verifies it
	for _, bad := range []string{"\x1b]0", "\x1b[2J", "\x1b[31mred", "\u202e"} {
		if strings.Contains(s.sent(), bad) {
			t.Errorf("%q reached the terminal", bad)
		}
	}
	if !strings.Contains(s.sent(), "[2Jgone") {
		t.Errorf("the text is not shown at all: %q", s.sent())
	}
}
