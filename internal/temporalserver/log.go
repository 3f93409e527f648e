//go:build !noembedded

package temporalserver

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// phase is what the server is doing, which decides what a log line of it means.
type phase int32

const (
	// building lasts while the server is put together, in the goroutine of Start.
	building phase = iota
	// starting is done by the server in goroutines of its own.
	starting
	running
	// stopping lasts for ever: goroutines that the server leaves behind complain about ports that are gone.
	stopping
)

// expected are the messages that describe the server we want.
var expected = []string{
	"HTTP API port has not been set",
}

// serverLog passes the server's warnings and errors on to slog.
type serverLog struct {
	out   *slog.Logger
	tags  []tag.Tag
	state *logState
}

type logState struct {
	phase atomic.Int32
	fatal atomic.Pointer[fatal]
}

var (
	_ log.Logger     = (*serverLog)(nil)
	_ log.WithLogger = (*serverLog)(nil)
)

func newServerLog(out *slog.Logger) *serverLog {
	return &serverLog{out: out.With("component", "temporal"), state: &logState{}}
}

func (l *serverLog) enter(p phase) { l.state.phase.Store(int32(p)) }

func (l *serverLog) With(tags ...tag.Tag) log.Logger {
	all := make([]tag.Tag, 0, len(l.tags)+len(tags))
	return &serverLog{out: l.out, tags: append(append(all, l.tags...), tags...), state: l.state}
}

func (l *serverLog) Debug(string, ...tag.Tag) {}
func (l *serverLog) Info(string, ...tag.Tag)  {}

func (l *serverLog) Warn(msg string, tags ...tag.Tag)  { l.write(slog.LevelWarn, msg, tags) }
func (l *serverLog) Error(msg string, tags ...tag.Tag) { l.write(slog.LevelError, msg, tags) }

func (l *serverLog) DPanic(msg string, tags ...tag.Tag) { l.write(slog.LevelError, msg, tags) }

func (l *serverLog) Panic(msg string, tags ...tag.Tag) {
	l.write(slog.LevelError, msg, tags)
	panic("temporal server: " + msg)
}

// Fatal must not return. Start reports what was fatal before the server ran: guard recovers from the panic, and the
// server's own goroutines only end. Later it ends the process: a server that lost one of its services must not look
// alive.
func (l *serverLog) Fatal(msg string, tags ...tag.Tag) {
	switch phase(l.state.phase.Load()) {
	case running:
		l.Panic(msg, tags...)
	case building:
		panic(newFatal(msg, tags))
	}
	cause := newFatal(msg, tags)
	l.state.fatal.CompareAndSwap(nil, &cause)
	runtime.Goexit()
}

// fatal is what the server gave up for.
type fatal string

func newFatal(msg string, tags []tag.Tag) fatal {
	for _, t := range tags {
		msg += fmt.Sprintf(", %s: %v", t.Key(), t.Value())
	}
	return fatal(msg)
}

func (f fatal) Error() string { return string(f) }

func (l *serverLog) expects(msg string) bool {
	return phase(l.state.phase.Load()) == stopping ||
		slices.ContainsFunc(expected, func(start string) bool { return strings.HasPrefix(msg, start) })
}

func (l *serverLog) write(level slog.Level, msg string, tags []tag.Tag) {
	ctx := context.Background()
	if !l.out.Enabled(ctx, level) || l.expects(msg) {
		return
	}
	attrs := make([]slog.Attr, 0, len(l.tags)+len(tags))
	for _, t := range append(l.tags[:len(l.tags):len(l.tags)], tags...) {
		attrs = append(attrs, slog.Any(t.Key(), t.Value()))
	}
	l.out.LogAttrs(ctx, level, msg, attrs...)
}
