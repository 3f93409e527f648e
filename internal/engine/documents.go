package engine

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/fsnotify/fsnotify"

	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/metrics"
	"github.com/runbook-engine/runbook/runbooks"
)

// documents is the set of runbooks in use. It is replaced as a whole, and only
// by one of which every document is valid.
type documents struct {
	paths   []string
	options runbooks.Options
	faults  *chaos.Catalog
	// admit finds what this engine must not serve.
	admit   func(*runbooks.Set) diag.List
	metrics *metrics.Metrics
	log     *slog.Logger
	watcher *fsnotify.Watcher // nil where files can not be watched

	loading sync.Mutex
	last    sources // what was read last, also where it was not taken
	loaded  atomic.Pointer[library]
}

// sources are the files as they were read, or why they were not.
type sources struct {
	files diag.Sources
	err   error
}

func (s sources) same(o sources) bool {
	return fmt.Sprint(s.err) == fmt.Sprint(o.err) && maps.EqualFunc(s.files, o.files, bytes.Equal)
}

// library is what was loaded together.
type library struct {
	runbooks *runbooks.Set
	gamedays *gameday.Set
}

// Set is the runbooks in use now.
func (d *documents) Set() *runbooks.Set { return d.loaded.Load().runbooks }

// Gamedays are the game days in use now.
func (d *documents) Gamedays() *gameday.Set { return d.loaded.Load().gamedays }

// gamedayOptions are what game days are checked against.
func (d *documents) gamedayOptions(set *runbooks.Set) gameday.Options {
	return gameday.Options{
		Actions: d.options.Catalog, Faults: d.faults, Runbooks: set, Connections: d.options.Connections, Windows: d.options.Windows,
	}
}

func (d *documents) sources() (s sources) {
	var files []string
	if files, s.err = runbooks.Files(d.paths); s.err == nil {
		s.files, s.err = runbooks.ReadFiles(files)
	}
	return s
}

// unchanged reports that the documents are what was read last: something else in
// their folders has changed, such as a log.
func (d *documents) unchanged() bool {
	d.loading.Lock()
	defer d.loading.Unlock()
	return d.sources().same(d.last)
}

// check makes a library of what was read.
func (d *documents) check(s sources) (*library, error) {
	if s.err != nil {
		return nil, s.err
	}
	set, problems := runbooks.Load(s.files, d.options)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	days, problems := gameday.Load(s.files, d.gamedayOptions(set))
	problems = append(problems, d.admit(set)...)
	return &library{set, days}, problems.Err()
}

// load reads the documents. When anything is wrong those in use stay.
func (d *documents) load() error {
	d.loading.Lock()
	defer d.loading.Unlock()
	d.last = d.sources()
	all, err := d.check(d.last)
	if err != nil {
		d.metrics.Reloaded(false, 0)
		return fmt.Errorf("load the runbooks: %w", err)
	}
	d.metrics.Reloaded(true, len(all.runbooks.Names()))
	d.loaded.Store(all)
	return nil
}

// reload is load for an engine that runs: it says in the log how it went.
func (d *documents) reload(why string) error {
	if err := d.load(); err != nil {
		d.log.Error("the runbooks were not reloaded; those in use stay", "why", why, "error", err)
		return err
	}
	d.log.Info("runbooks reloaded", "why", why, "runbooks", len(d.Set().Names()))
	return nil
}

// admitted finds the documents that `serve` refuses.
func admitted(escalates bool) func(*runbooks.Set) diag.List {
	return func(set *runbooks.Set) (problems diag.List) {
		for _, rb := range set.All() {
			if needs := needsAlertmanager(rb); needs != "" && !escalates {
				problems.Add(rb.At, "no-alertmanager", fmt.Sprintf("runbook %s uses %s, and no Alertmanager can be asked", rb.Runbook, needs),
					"configure a connection of kind alertmanager")
			}
			if rb.Autonomy.Level == runbooks.Auto && rb.Has("escalate") && !escalates {
				problems.Add(rb.At, "no-escalation",
					fmt.Sprintf("runbook %s acts by itself and escalates when that does not help, and nobody would hear it", rb.Runbook),
					"configure a connection of kind alertmanager")
			}
		}
		problems.Sort()
		return problems
	}
}

// needsAlertmanager is what of a document can not be kept without one.
func needsAlertmanager(rb *runbooks.Runbook) string {
	switch {
	case rb.For != 0:
		return "for"
	case rb.HoldPage != 0:
		return "hold_page"
	}
	return ""
}

// everything is the admission of a standalone engine: it runs what one person
// asks for, and that person is there.
func everything(*runbooks.Set) diag.List { return nil }
