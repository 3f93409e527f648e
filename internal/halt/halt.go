// Package halt is the kill switch. It is in two places: a file in the data
// directory, which works when nothing else does and survives everything that
// happens to the engine, and the ledger, which reaches the other engines. Both
// are kept alike in the background; the newest word counts. What can not be read
// counts as a halt.
package halt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runbook-engine/runbook/internal/ledger"
)

// Shared is the ledger's side of the switch.
type Shared struct {
	// Read is what the ledger has. It is called four times a second.
	Read func(context.Context) (Record, error)
	// Apply tells the ledger.
	Apply func(context.Context, ledger.Op) error
}

const (
	lookEvery  = 250 * time.Millisecond
	lookWithin = time.Second
	tellAgain  = 5 * time.Second // pause before the ledger is told the same once more
)

// Switch is the kill switch of one engine. It is safe for concurrent use.
type Switch struct {
	log  *slog.Logger
	view atomic.Pointer[view]

	mu     sync.Mutex // of all below, and of changes of view
	file   *file
	shared *Shared
	known  Record // the newest of what the file and the ledger have said
	told   ledger.Op
	toldAt time.Time
	silent error // why the ledger has not agreed
}

// view is what State reads.
type view struct {
	record Record
	broken *ledger.Halt // the file can not be read
}

// Open reads the switch of a data directory. It always gives one: a file that
// can not be read is a halt.
func Open(dir string, log *slog.Logger) *Switch {
	s := &Switch{log: log, file: newFile(dir)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file.changed()
	s.reread()
	return s
}

// Join connects the switch with the ledger.
func (s *Switch) Join(shared Shared) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shared, s.silent = &shared, errors.New("the ledger was not asked yet")
}

// State is the halt that holds now; nil when the engine may act. It takes no
// lock and does not allocate.
func (s *Switch) State() *ledger.Halt {
	v := s.view.Load()
	if v.broken != nil {
		return v.broken
	}
	if v.record.Halt == nil {
		return nil
	}
	return v.record.At(time.Now())
}

// Halt stops this engine, and the others as soon as they hear of it: see Share.
// It holds in this process also when an error says that it could not be written
// down. A halt that lasts longer already is not shortened.
func (s *Switch) Halt(by, reason string, until time.Time) (*ledger.Halt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &ledger.Halt{By: by, Reason: reason, At: s.known.next(time.Now()).UTC(), Until: until.UTC()}
	if until.IsZero() {
		h.Until = time.Time{}
	}
	// It holds before it is written down: a disk may take its time.
	s.known = s.known.merge(Record{Halt: h})
	s.show()
	err := s.say(false, func(was Record) Record { return was })
	s.show()
	return s.known.Halt, err
}

// Resume lets the engines go on. When it can not be written down nothing goes
// on. It also ends a halt that holds because the file could not be read.
func (s *Switch) Resume(by, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.say(true, func(was Record) Record {
		return was.merge(Record{Resumed: &ledger.Resume{By: by, Reason: reason, At: was.next(time.Now()).UTC()}})
	})
}

// say writes a new word into the file. What was in it counts too, unless it can
// not be read and the word is to replace it.
func (s *Switch) say(replaces bool, word func(was Record) Record) error {
	record, err := s.file.update(func(was Record, err error) (Record, error) {
		if err != nil && !replaces {
			return was, err
		}
		return word(was.merge(s.known)), nil
	})
	if err != nil {
		return err
	}
	s.file.changed()
	s.known = record
	s.show()
	return nil
}

// reread takes over what is in the file.
func (s *Switch) reread() {
	record, err := s.file.read()
	if err != nil {
		s.broken(err)
		return
	}
	s.known = s.known.merge(record)
	s.show()
}

func (s *Switch) broken(err error) {
	if v := s.view.Load(); v != nil && v.broken != nil {
		return
	}
	s.log.Error("the engine is halted: its kill switch can not be read", "error", err)
	s.view.Store(&view{record: s.known, broken: &ledger.Halt{
		By: "engine", At: time.Now().UTC(), Reason: err.Error() + "; mend it, or write it anew with runbook resume",
	}})
}

func (s *Switch) show() { s.view.Store(&view{record: s.known}) }

// Run keeps both places alike until ctx ends.
func (s *Switch) Run(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			// Share keeps the reason and logs a new one.
			_ = s.Share(ctx)
		}
	}
}

// Share looks at both places and tells each what it does not know. An error says
// why the other engines may not have heard.
func (s *Switch) Share(ctx context.Context) error {
	s.look()
	s.mu.Lock()
	shared, was := s.shared, s.silent
	s.mu.Unlock()
	if shared == nil {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, lookWithin)
	defer stop()
	err := s.exchange(ctx, shared)
	if err != nil {
		err = fmt.Errorf("the other engines may not have heard: %w", err)
	}
	s.mu.Lock()
	s.silent = err
	s.mu.Unlock()
	if err != nil && was == nil {
		s.log.Warn("the kill switch is not shared now", "error", err)
	}
	if err == nil && was != nil {
		s.log.Info("the kill switch is shared")
	}
	return err
}

// look reads the file again when it has changed, or is not to be read.
func (s *Switch) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file.changed() || s.view.Load().broken != nil {
		s.reread()
	}
}

func (s *Switch) exchange(ctx context.Context, shared *Shared) error {
	theirs, err := shared.Read(ctx)
	if err != nil {
		return err
	}
	op, err := s.hear(theirs)
	if err != nil || op == nil {
		return err
	}
	if err := shared.Apply(ctx, *op); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told, s.toldAt = *op, time.Now()
	return nil
}

// hear takes over what the ledger has said, and gives what to tell it.
func (s *Switch) hear(theirs Record) (*ledger.Op, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if merged := s.known.merge(theirs); !merged.same(s.known) {
		s.known = merged
		if s.view.Load().broken == nil {
			s.show()
			if err := s.say(false, func(was Record) Record { return was }); err != nil {
				return nil, err
			}
		}
	}
	op := s.known.news(theirs, time.Now())
	if op == nil || (*op == s.told && time.Since(s.toldAt) < tellAgain) {
		return nil, nil
	}
	return op, nil
}
