package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/runbook-engine/runbook/internal/client"
	"github.com/runbook-engine/runbook/internal/run"
)

// engine is `runbook serve` as a child process.
type engine struct {
	url    string
	token  string
	config string
	log    string
	cmd    *exec.Cmd
	exited chan error
}

func newEngine(program, dir, address string) *engine {
	e := &engine{
		url: "http://" + address, token: rand.Text(), config: filepath.Join(dir, "runbook.yaml"),
		log: filepath.Join(dir, "serve.log"), exited: make(chan error, 1),
	}
	e.cmd = exec.Command(program, "serve", "--config", e.config)
	return e
}

func (e *engine) start(ctx context.Context) error {
	out, err := os.Create(e.log)
	if err != nil {
		return fmt.Errorf("start the engine: %w", err)
	}
	defer out.Close()
	e.cmd.Stdout, e.cmd.Stderr = out, out
	if err := e.cmd.Start(); err != nil {
		return fmt.Errorf("start the engine: %w", err)
	}
	go func() { e.exited <- e.cmd.Wait() }()
	return e.ready(ctx)
}

const lookEvery = 20 * time.Millisecond

func (e *engine) ready(ctx context.Context) error {
	for {
		answer, err := http.Get(e.url + "/-/ready")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the engine: %w; its log is %s", ctx.Err(), e.log)
		case err := <-e.exited:
			text, _ := os.ReadFile(e.log)
			return fmt.Errorf("the engine ended at once (%w):\n%s", err, text)
		case <-time.After(lookEvery):
		}
	}
}

func (e *engine) stop() error {
	if e.cmd.Process == nil {
		return nil
	}
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return nil // it has ended already
	}
	select {
	case err := <-e.exited:
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return fmt.Errorf("the engine did not end in order: %w", err)
		}
		return err
	case <-time.After(15 * time.Second):
		return errors.Join(errors.New("the engine did not end within 15 s"), e.cmd.Process.Kill())
	}
}

// follow waits for the run that begins after a moment, and shows it until it
// ends.
func (e *engine) follow(ctx context.Context, after time.Time, show func(run.Run)) (last run.Run, err error) {
	c, err := client.New(e.url, client.Options{Token: e.token})
	if err != nil {
		return last, err
	}
	id, err := e.await(ctx, c, after)
	if err != nil {
		return last, err
	}
	err = c.Watch(ctx, id, func(r run.Run) error {
		last = r
		show(r)
		return nil
	})
	return last, err
}

func (e *engine) await(ctx context.Context, c *client.Client, after time.Time) (string, error) {
	for {
		rows, err := c.Runs(ctx, client.Filter{Limit: 1})
		if err != nil {
			return "", err
		}
		if len(rows) > 0 && rows[0].StartedAt.After(after) {
			return rows[0].ID, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("wait for a run: %w", ctx.Err())
		case <-time.After(lookEvery):
		}
	}
}
