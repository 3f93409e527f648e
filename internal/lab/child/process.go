// Package child runs other programs as processes that die with ours, even when
// it is killed, and that tell why they did not start.
package child

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Program describes a child process.
type Program struct {
	Name string // as messages call it
	Path string
	Args []string
	// Dir is the working directory and the home. Of our environment a child
	// gets the PATH only.
	Dir string
	// Log is the file that its output is appended to.
	Log string
	// User to run as.
	User *Account
	// Stop asks for an orderly end; Orphan is what it gets when we die.
	Stop, Orphan syscall.Signal
	// Ready reports nil once the program can be used.
	Ready func(context.Context) error
	// Within is how long that may take: half a minute unless set.
	Within time.Duration
}

// process is a running child. It dies with us, even when we are killed.
type process struct {
	Program
	cmd  *exec.Cmd
	from int64         // where its part of the log begins
	done chan struct{} // closed when it has ended
}

const (
	readyWithin = 30 * time.Second
	readyEvery  = 10 * time.Millisecond
	stopWithin  = 10 * time.Second
	tailBytes   = 2000
)

// run starts a program and waits until it is ready. A program that is not
// is ended, and the error has the last lines of its log.
func run(ctx context.Context, p Program) (*process, error) {
	started, err := launch(p)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	if err := started.awaitReady(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w; its log %s ends:\n%s", p.Name, err, p.Log, tail(p.Log, started.from)), started.kill())
	}
	return started, nil
}

// RunToEnd runs a program that ends by itself, and wants it to succeed.
func RunToEnd(ctx context.Context, p Program) error {
	started, err := launch(p)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	select {
	case <-started.done:
	case <-ctx.Done():
		return errors.Join(ctx.Err(), started.kill())
	}
	if !started.cmd.ProcessState.Success() {
		return fmt.Errorf("run %s: %s; it said:\n%s", p.Name, started.cmd.ProcessState, tail(p.Log, started.from))
	}
	return nil
}

func launch(p Program) (*process, error) {
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.Dir, log, log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.Dir, "TMPDIR=" + os.TempDir(), "LC_ALL=C", "TZ=UTC"}
	unwatch, err := startChild(cmd, p.User, p.Orphan)
	if err != nil {
		return nil, err
	}
	started := &process{Program: p, cmd: cmd, from: from, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		unwatch()
		close(started.done)
	}()
	return started, nil
}

func (p *process) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.Within, readyWithin))
	defer cancel()
	ctx, ended := context.WithCancelCause(ctx)
	defer ended(nil)
	go func() {
		select {
		case <-p.done:
			ended(fmt.Errorf("it ended before it was ready (%s)", p.cmd.ProcessState))
		case <-ctx.Done():
		}
	}()
	return Poll(ctx, readyEvery, p.Ready)
}

// Poll repeats check until it reports nil or the context ends; then its error
// names the reason and what the last check found.
func Poll(ctx context.Context, every time.Duration, check func(context.Context) error) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last check: %w)", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

// end stops the process in order, and kills it when it does not obey.
func (p *process) end() error {
	if err := p.signal(p.Stop); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(stopWithin):
		return errors.Join(fmt.Errorf("stop %s: still running %s after %s; killed", p.Name, stopWithin, p.Stop), p.kill())
	}
}

// kill ends the process at once, as kill -9 does.
func (p *process) kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

func (p *process) signal(signal syscall.Signal) error {
	err := p.cmd.Process.Signal(signal)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to %s: %w", signal, p.Name, err)
	}
	return nil
}

// tail returns the last lines of a log from an offset on.
func tail(path string, from int64) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	text = text[min(int(from), len(text)):]
	if len(text) > tailBytes {
		_, text, _ = bytes.Cut(text[len(text)-tailBytes:], []byte("\n"))
	}
	return string(bytes.TrimSpace(text))
}
