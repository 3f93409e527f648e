//go:build unix

package exec_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
)

// TestCancellationEndsTheWholeGroup holds on to a pipe that the grandchildren of
// the command write to: it ends when the last of them has.
func TestCancellationEndsTheWholeGroup(t *testing.T) {
	for name, trap := range map[string]string{"obedient": "", "stubborn": "trap '' TERM;"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			pipe := filepath.Join(dir, "pipe")
			if err := syscall.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			program := script(t, dir, "prog", trap+` (sleep 600 & sleep 600) > `+pipe+` & wait`)
			b := bind(t, "{allow: [{argv: ["+program+"]}]}", "{argv: ["+program+"], timeout: 10m}")
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				_, err := b.Run(ctx, "key", actions.Target{})
				ended <- err
			}()
			held, err := os.Open(pipe) // waits until somebody writes
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
			cancel()
			if err := within(t, ended); !errors.Is(err, context.Canceled) || actions.ClassOf(err) != actions.ClassAmbiguous {
				t.Errorf("ended as %s with %v", actions.ClassOf(err), err)
			}
			released := make(chan error, 1)
			go func() {
				_, err := io.ReadAll(held)
				released <- err
			}()
			if err := within(t, released); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestACancelledCommandMayTidyUp(t *testing.T) {
	dir := t.TempDir()
	pipe, tidied := filepath.Join(dir, "pipe"), filepath.Join(dir, "tidied")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	program := script(t, dir, "prog", `trap 'touch `+tidied+`; exit 1' TERM; sleep 600 > `+pipe+` & wait`)
	b := bind(t, "{allow: [{argv: ["+program+"]}]}", "{argv: ["+program+"]}")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := b.Run(ctx, "key", actions.Target{})
		ended <- err
	}()
	held, err := os.Open(pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	cancel()
	if err := within(t, ended); actions.ClassOf(err) != actions.ClassAmbiguous {
		t.Errorf("ended with %v", err)
	}
	if _, err := os.Stat(tidied); err != nil {
		t.Error(err)
	}
}

func within(t *testing.T, done chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("still running after 20s")
		return nil
	}
}

func TestTimeout(t *testing.T) {
	b := bind(t, "{allow: [{argv: [/bin/sleep, '600']}]}", "{argv: [/bin/sleep, '600'], timeout: 50ms}")
	_, err := b.Run(t.Context(), "key", actions.Target{})
	fails(t, err, actions.ClassAmbiguous, "took longer than 50ms")
	if b.Limit() <= 50*time.Millisecond || !b.Once() {
		t.Errorf("limit %s, once %v", b.Limit(), b.Once())
	}
}

func TestACommandMayLeaveSomethingRunning(t *testing.T) {
	program := script(t, t.TempDir(), "prog", `sleep 3 & echo done`)
	got, err := run(t, program, "", "")
	if err != nil {
		t.Errorf("gives %s, %v", got, err)
	}
}
