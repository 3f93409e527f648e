package inside

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/argv"
	"github.com/runbook-engine/runbook/internal/document"
)

// tool runs a program of the image that only reads; it must succeed.
func (in container) tool(ctx context.Context, stdout io.Writer, command ...string) error {
	var stderr argv.Output
	r := in.request()
	r.Reads = true
	exit, err := in.run(ctx, r, command, stdout, &stderr)
	switch {
	case err != nil:
		return err
	case exit != 0:
		return refusal(command[0], exit, strings.TrimSpace(stderr.Text()))
	}
	return nil
}

func refusal(program string, exit int, says string) error {
	err := fmt.Errorf("%s in the container ended with exit code %d: %s", program, exit, document.Shorten(says, 300))
	for _, lasting := range []string{"No such file", "Permission denied", "Is a directory"} {
		if strings.Contains(says, lasting) {
			return actions.Permanent(err)
		}
	}
	return err
}

// copyWithoutTar asks for the length first: the end of what cat prints looks like
// the end of a connection.
func (in container) copyWithoutTar(ctx context.Context, store actions.Artefacts, name, file string) (actions.Artefact, error) {
	var told argv.Output
	if err := in.tool(ctx, &told, "wc", "-c", file); err != nil {
		return actions.Artefact{}, withoutTools(err)
	}
	length, _, _ := strings.Cut(strings.TrimSpace(told.Text()), " ")
	size, err := strconv.ParseInt(length, 10, 64)
	if err != nil {
		return actions.Artefact{}, actions.Permanent(fmt.Errorf("wc does not tell the length of the file: %w", err))
	}
	counted := func(printed io.Reader) io.Reader { return &exactly{printed, size} }
	return kept(ctx, store, name, counted, func(ctx context.Context, stdout *pour) error {
		return withoutTools(in.tool(ctx, stdout, "cat", file))
	})
}

func withoutTools(err error) error {
	var missing notFound
	if errors.As(err, &missing) {
		return actions.Permanent(fmt.Errorf("the image has neither tar nor cat and wc; mount the folder in another container of the pod that has them, and name it: %w", missing))
	}
	return err
}

// exactly is what has this length; anything else is an error.
type exactly struct {
	from io.Reader
	left int64
}

// Read implements io.Reader.
func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.from.Read(p)
	e.left -= int64(n)
	switch {
	case e.left < 0:
		return n, errors.New("the file got longer while it was copied")
	case errors.Is(err, io.EOF) && e.left > 0:
		return n, fmt.Errorf("%d bytes of the file are missing: %w", e.left, io.ErrUnexpectedEOF)
	}
	return n, err
}
