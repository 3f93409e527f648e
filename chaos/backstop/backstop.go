// Package backstop runs our own binary again, as a child that ends a fault when
// the engine can not: at the deadline, or when the engine has died.
//
// The child is told what to do on its standard input, which stays open as long
// as the engine lives: its end is the sign of the engine's death, whatever the
// engine died of. Nothing of an engine that is gone is left but what its
// children put in order.
package backstop

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// argument is the first one of a child's command line; the mode comes next.
const argument = "fault-backstop"

// Mode is one thing that children do: they are named by it on their command
// line. Run ends when the child's work is done. Last bounds how long that may take
// once nobody is there any more, a minute unless set: then the process ends,
// whatever it does.
type Mode struct {
	Name string
	Run  func(Life) error
	Last time.Duration
}

// Life is what a child knows.
type Life struct {
	Spec json.RawMessage
	// Orphaned is closed when the engine has died or let go of the child, and
	// when the system asks the child to end.
	Orphaned <-chan struct{}

	out io.Writer
}

const ready = "ready"

// again holds the spec of a child that replaced itself: it was read already.
const again = "RUNBOOK_BACKSTOP_SPEC"

// Ready tells the engine that the child watches from now on.
func (l Life) Ready() error {
	_, err := fmt.Fprintln(l.out, ready)
	return err
}

// Main is called first in main, and by tests that start children. It reports
// whether this process is a child, and then the exit code once it has ended.
func Main(args []string, modes ...Mode) (code int, ours bool) {
	if len(args) < 2 || args[0] != argument {
		return 0, false
	}
	for _, m := range modes {
		if m.Name == args[1] {
			return run(m, os.Stdin, os.Stdout), true
		}
	}
	fmt.Fprintf(os.Stdout, "there is no backstop %q\n", args[1])
	return 2, true
}

func run(m Mode, in io.Reader, out io.Writer) int {
	life, err := begin(in, out)
	if err == nil {
		go outlive(life.Orphaned, cmp.Or(m.Last, time.Minute))
		err = m.Run(life)
	}
	if err != nil {
		fmt.Fprintln(out, oneLine(err))
		return 1
	}
	return 0
}

func begin(in io.Reader, out io.Writer) (Life, error) {
	// A child whose engine is gone writes to nobody; that must not kill it.
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)
	parent := os.Getppid()
	told := bufio.NewReader(in)
	spec, err := readSpec(told)
	if err != nil {
		return Life{}, err
	}
	orphaned := make(chan struct{})
	end := sync.OnceFunc(func() { close(orphaned) })
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	go func() { <-asked; end() }()
	go func() { loseParent(parent); end() }()
	go func() { _, _ = io.Copy(io.Discard, told); end() }()
	return Life{spec, orphaned, out}, nil
}

// outlive ends a process that has not put things in order in time: nobody is left
// who would end it.
func outlive(orphaned <-chan struct{}, last time.Duration) {
	<-orphaned
	time.Sleep(last)
	os.Exit(exitLate)
}

const (
	exitLate    = 3
	parentEvery = time.Second
)

// loseParent returns when the engine has died. Its end of our standard input may
// be open still, in a process that it had started.
func loseParent(parent int) {
	for os.Getppid() == parent {
		time.Sleep(parentEvery)
	}
}

func readSpec(told *bufio.Reader) (json.RawMessage, error) {
	if kept, replaced := os.LookupEnv(again); replaced {
		return json.RawMessage(kept), os.Unsetenv(again)
	}
	spec, err := told.ReadBytes('\n')
	if err != nil {
		return nil, errors.New("nobody said what to do")
	}
	return spec, nil
}
