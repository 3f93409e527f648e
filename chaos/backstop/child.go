package backstop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Child is a child of the engine.
type Child struct {
	cmd   *exec.Cmd
	alive io.WriteCloser // the end of it tells the child that we are gone
	done  chan struct{}
	err   error // how it ended, once done is closed
}

const startsWithin = 15 * time.Second

// Start runs a child in a mode, and returns once it is ready. The label stands
// on its command line, for people who look at processes.
func Start(ctx context.Context, mode, label string, spec any) (*Child, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("start the backstop %s: %w", mode, err)
	}
	c, out, err := launch(mode, label)
	if err != nil {
		return nil, fmt.Errorf("start the backstop %s: %w", mode, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startsWithin)
	defer cancel()
	if err := c.greet(ctx, append(text, '\n'), out); err != nil {
		c.Kill()
		return nil, fmt.Errorf("start the backstop %s: %w", mode, err)
	}
	return c, nil
}

func launch(mode, label string) (*Child, *bufio.Reader, error) {
	self, err := itself()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(self, argument, mode, label)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}
	apart(cmd)
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, errors.Join(err, alive.Close())
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	return &Child{cmd: cmd, alive: alive, done: make(chan struct{})}, bufio.NewReader(out), nil
}

// greet says what to do, waits for the answer, and follows the child to its end.
func (c *Child) greet(ctx context.Context, spec []byte, out *bufio.Reader) error {
	answered := make(chan error, 1)
	go func() {
		answered <- c.talk(spec, out)
		last, _ := io.ReadAll(out)
		c.err = c.cmd.Wait()
		if said := strings.TrimSpace(string(last)); c.err != nil && said != "" {
			c.err = errors.New(said)
		}
		close(c.done)
	}()
	select {
	case err := <-answered:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Child) talk(spec []byte, out *bufio.Reader) error {
	if _, err := c.alive.Write(spec); err != nil {
		return err
	}
	answer, err := out.ReadString('\n')
	switch answer = strings.TrimSpace(answer); {
	case answer == ready:
		return nil
	case answer != "":
		return errors.New(answer)
	default:
		return fmt.Errorf("it ended before it was ready: %w", err)
	}
}

// PID is its process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Done is closed when the child has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Release tells the child that it is not needed any more, and waits for it to
// leave everything in order. Its error says what it could not.
func (c *Child) Release(ctx context.Context) error {
	_ = c.alive.Close() // it may have ended, and closed its side, already
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return fmt.Errorf("wait for the backstop to end: %w", ctx.Err())
	}
}

// Kill ends the child at once and leaves everything as it is.
func (c *Child) Kill() {
	_ = c.cmd.Process.Kill() // it may have ended already
	_ = c.alive.Close()
	<-c.done
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
