package inside

import (
	"context"
	"io"

	"github.com/runbook-engine/runbook/actions"
)

// pour hands on what a session gives to who reads the other end. When nobody
// reads any more, it takes the rest, so that the session can be ended in order.
type pour struct{ *io.PipeWriter }

// Write takes all of p, and never fails.
func (w pour) Write(p []byte) (int, error) {
	_, _ = w.PipeWriter.Write(p) // only fails when nobody reads
	return len(p), nil
}

// plain takes what a command prints as it is.
func plain(printed io.Reader) io.Reader { return printed }

// kept streams what a run prints into the store, in the form that content gives
// it. A run that fails leaves nothing there; a store that takes no more ends the
// run.
func kept(ctx context.Context, store actions.Artefacts, name string, content func(io.Reader) io.Reader, run func(ctx context.Context, stdout *pour) error) (actions.Artefact, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	printed, stdout := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stdout.CloseWithError(run(ctx, &pour{stdout})) // nil is the end of what was printed
	}()
	artefact, err := store.Put(ctx, name, content(printed))
	printed.Close()
	cancel()
	<-ended
	return artefact, err
}
