package terminal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrNoAnswer is returned when the input ends before there is an answer.
var ErrNoAnswer = errors.New("no answer: the input has ended")

// Input is what a person types, line by line. One reader serves all questions,
// so that a question that was given up does not eat the next one's answer.
type Input struct {
	lines chan string
	from  io.Reader
}

// NewInput reads from a terminal once something is asked.
func NewInput(from io.Reader) *Input { return &Input{from: from} }

func (in *Input) start() {
	if in.lines != nil {
		return
	}
	in.lines = make(chan string)
	go func() {
		defer close(in.lines)
		scanner := bufio.NewScanner(in.from)
		for scanner.Scan() {
			in.lines <- scanner.Text()
		}
	}()
}

// Ask prints a question and waits for a line.
func (t *Terminal) Ask(ctx context.Context, in *Input, question string) (string, error) {
	in.start()
	if _, err := fmt.Fprint(t.out, question+" "); err != nil {
		return "", err
	}
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case line, open := <-in.lines:
		if !open {
			return "", ErrNoAnswer
		}
		return strings.ToLower(strings.TrimSpace(line)), nil
	}
}
