// Package audit keeps the record of who did what, why, to which targets and
// with what result: one JSON object a line, only ever appended, rotated, and
// kept for at least half a year.
package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gopkg.in/natefinch/lumberjack.v2"
)

// Kind is what an entry tells.
type Kind string

// The kinds of entries.
const (
	Decision  Kind = "decision"      // what the engine made of an alert or a request
	Started   Kind = "run_started"   //
	Acting    Kind = "action_begins" // written before the call: without this line nothing is touched
	Acted     Kind = "action_ended"  //
	Undone    Kind = "action_undone" //
	Cancel    Kind = "cancel"        // a person asked a run to stop
	Concluded Kind = "run_concluded" //
	Denied    Kind = "denied"        // somebody asked for what their role does not allow
	Answered  Kind = "answered"      // a person approved or denied
	Switched  Kind = "switched"      // the kill switch or the storm breaker, by a person
)

// Entry is one line.
type Entry struct {
	Time     time.Time       `json:"time"`
	Kind     Kind            `json:"kind"`
	Actor    string          `json:"actor,omitempty"`  // who
	Reason   string          `json:"reason,omitempty"` // why
	Run      string          `json:"run,omitempty"`
	Runbook  string          `json:"runbook,omitempty"`
	Digest   string          `json:"digest,omitempty"`
	Alert    string          `json:"alert,omitempty"`
	Episode  string          `json:"episode,omitempty"`
	Step     string          `json:"step,omitempty"`
	Action   string          `json:"action,omitempty"`
	Target   string          `json:"target,omitempty"`
	Params   json.RawMessage `json:"params,omitempty"`
	Attempt  int             `json:"attempt,omitempty"`
	Decision string          `json:"decision,omitempty"`
	Outcome  string          `json:"outcome,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// Log is an audit file. It is safe for concurrent use; a nil Log keeps nothing.
type Log struct {
	mu  sync.Mutex
	out io.WriteCloser
}

const (
	fileMegabytes = 50
	keepDays      = 180
)

// Open appends to a file, which is made with its folder when it is not there.
func Open(path string) (*Log, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open audit file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open audit file: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open audit file: %w", err)
	}
	return &Log{out: &lumberjack.Logger{Filename: path, MaxSize: fileMegabytes, MaxAge: keepDays, Compress: true}}, nil
}

// Write appends an entry. An error means that the record can not be kept, and
// that nothing which needs one may be done.
func (l *Log) Write(e Entry) error {
	if l == nil {
		return nil
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC()
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write audit entry: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.out.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write audit entry: %w", err)
	}
	return nil
}

// Close closes the file.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	return l.out.Close()
}
