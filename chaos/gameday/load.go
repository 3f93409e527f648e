package gameday

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks"
)

// Options say what documents are checked against.
type Options struct {
	Actions *actions.Catalog
	Faults  *chaos.Catalog
	// Runbooks that there are; nil when they are not known, and then what a game
	// day says of the runbook that it proves is not checked.
	Runbooks *runbooks.Set
	// Connections of the engine; nil when they are not known.
	Connections *actions.Connections
	// Windows are the names of maintenance windows; nil when not known.
	Windows []string
}

// Gameday is a document that was checked.
type Gameday struct {
	Document
	At     diag.Place // of its first line
	nameAt diag.Place
	plan   Plan
}

// Set is the game days that an engine works with. It does not change.
type Set struct{ byName map[string]*Gameday }

// Get finds a game day by name.
func (s *Set) Get(name string) (*Gameday, bool) {
	g, ok := s.byName[name]
	return g, ok
}

// Names are all names, sorted.
func (s *Set) Names() []string { return slices.Sorted(maps.Keys(s.byName)) }

// All is every game day, sorted by name.
func (s *Set) All() []*Gameday {
	all := make([]*Gameday, 0, len(s.byName))
	for _, name := range s.Names() {
		all = append(all, s.byName[name])
	}
	return all
}

// Load checks documents. With any problem the set is nil: a set is loaded as a
// whole and only if all of it is valid. Runbooks in the same files are left out.
func Load(sources diag.Sources, o Options) (*Set, diag.List) {
	var problems diag.List
	set := &Set{byName: map[string]*Gameday{}}
	for _, file := range slices.Sorted(maps.Keys(sources)) {
		days, found := checkFile(file, sources[file], o)
		problems = append(problems, found...)
		for _, g := range days {
			if first, twice := set.byName[g.Gameday]; twice && g.Gameday != "" {
				problems.Add(g.nameAt, "duplicate-name", fmt.Sprintf("game day %q is here twice", g.Gameday), "it is at "+first.At.String()+" already")
				continue
			}
			set.byName[g.Gameday] = g
		}
	}
	problems.Sort()
	if len(problems) > 0 {
		return nil, problems
	}
	return set, nil
}

func checkFile(file string, src []byte, o Options) (days []*Gameday, problems diag.List) {
	if !bytes.Contains(src, []byte("gameday")) {
		return nil, nil // it is not worth the parsing
	}
	nodes, problems := document.Parse(file, src)
	for _, n := range nodes {
		if n.Kind != document.Map || n.Get("gameday") == nil || n.Get("runbook") != nil {
			continue
		}
		g, found := check(n, o)
		days = append(days, g)
		problems = append(problems, found...)
	}
	return days, problems
}

// Plan is what a drill is given: of the game day itself, or of a control run.
func (g *Gameday) Plan(control ControlRun) Plan {
	p := g.plan
	p.Control = control
	if control == "" {
		p.Controls = g.controls()
	}
	if control == NoFault {
		p.Faults = nil // what is not in the plan can not be injected by mistake
	}
	return p
}

// controls are the control runs that the document asks for.
func (g *Gameday) controls() (all []ControlRun) {
	if g.Control.NoFault {
		all = append(all, NoFault)
	}
	if g.Control.NoRemedy {
		all = append(all, NoRemedy)
	}
	return all
}
