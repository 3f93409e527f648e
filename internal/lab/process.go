package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// program describes a child process.
type program struct {
	name string // as messages call it
	path string
	args []string
	env  []string // on top of the clean environment that each child gets
	dir  string   // working directory
	log  string   // file that its output is appended to
	// user to run as; nil is our own.
	user *account
	// stop asks for an orderly end; orphan is what it gets when we die.
	stop, orphan syscall.Signal
	// ready reports nil once the program can be used.
	ready func(context.Context) error
}

// process is a running child. It dies with us, even when we are killed.
type process struct {
	program
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

// run starts the program and waits until it is ready. A program that is not
// is ended, and the error has the last lines of its log.
func run(ctx context.Context, p program) (*process, error) {
	started, err := launch(p)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	if err := started.awaitReady(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w; its log %s ends:\n%s", p.name, err, p.log, tail(p.log, started.from)), started.kill())
	}
	return started, nil
}

func launch(p program) (*process, error) {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(p.path, p.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "TMPDIR=" + os.TempDir(), "LC_ALL=C", "TZ=UTC"}, p.env...)
	unwatch, err := startChild(cmd, p.user, p.orphan)
	if err != nil {
		return nil, err
	}
	started := &process{program: p, cmd: cmd, from: from, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		unwatch()
		close(started.done)
	}()
	return started, nil
}

func (p *process) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
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
	return poll(ctx, readyEvery, p.ready)
}

// poll repeats check until it reports nil or the context ends; then its error
// names the reason and what the last check found.
func poll(ctx context.Context, every time.Duration, check func(context.Context) error) error {
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
	if err := p.signal(p.stop); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(stopWithin):
		return errors.Join(fmt.Errorf("stop %s: still running %s after %s; killed", p.name, stopWithin, p.stop), p.kill())
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
		return fmt.Errorf("send %s to %s: %w", signal, p.name, err)
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
