// Package valves is the example of docs/adding-a-fault.md: the valves of a
// pipeline, kept as a folder with one file for each. A valve whose file says who
// has closed it, and until when, lets nothing pass until then.
package valves

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
)

// Injector is the connection to the valves and the faults on them.
func Injector(conns *actions.Connections) chaos.Injector {
	i := injector{conns}
	return chaos.Injector{
		Name:       "valves",
		Connection: pipeline.Erase(),
		Faults: []chaos.Fault{
			closeValve(i),
		},
		Active: i.active,
		Heal: func(ctx context.Context, found chaos.Injection) error {
			name, valve, _ := strings.Cut(found.Place, "/")
			if err := i.open(ctx, name, valve, found.ID); err != nil {
				return err
			}
			return i.healed(ctx, name, valve, found.ID)
		},
	}
}

type config struct {
	Dir string `json:"dir" doc:"The folder of the valves." example:"/srv/pipeline/valves"`
}

var pipeline = actions.Connection[config, *os.Root]{
	Kind: "valves",
	Doc:  "The valves of a pipeline.",
	Open: func(_ context.Context, _ string, c config) (*os.Root, error) { return os.OpenRoot(c.Dir) },
	Close: func(root *os.Root) {
		_ = root.Close() // nothing was written through it that is not on disk
	},
}

type injector struct{ conns *actions.Connections }

// active reads every valve of every pipeline. It needs no memory.
func (i injector) active(ctx context.Context) (all []chaos.Injection, err error) {
	for _, name := range i.conns.Names(pipeline.Kind) {
		found, failed := i.closed(ctx, name)
		all, err = append(all, found...), errors.Join(err, failed)
	}
	return all, err
}

func (i injector) closed(ctx context.Context, name string) (found []chaos.Injection, err error) {
	root, err := pipeline.Get(ctx, i.conns, name)
	if err != nil {
		return nil, err
	}
	dir, err := root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("list the valves of %s: %w", name, err)
	}
	defer dir.Close()
	valves, err := dir.Readdirnames(-1)
	for _, valve := range valves {
		s, failed := read(root, valve)
		err = errors.Join(err, failed)
		if s.id != "" {
			found = append(found, chaos.Injection{
				ID: s.id, Fault: "valves.close", Owner: s.id.Owner(), Place: name + "/" + valve,
				Targets: []string{"valve/" + name + "/" + valve}, Deadline: s.until,
			})
		}
	}
	return found, err
}

// state of a valve. An open one has no id.
type state struct {
	id    chaos.ID
	until time.Time
}

const isOpen = "open"

func (s state) String() string { return string(s.id) + " " + s.until.UTC().Format(time.RFC3339Nano) }

func read(root *os.Root, valve string) (s state, err error) {
	text, err := root.ReadFile(valve)
	if err != nil {
		return s, fmt.Errorf("read valve %s: %w", valve, err)
	}
	id, until, closed := strings.Cut(string(text), " ")
	if !closed {
		return s, nil
	}
	s.id = chaos.ID(id)
	s.until, err = time.Parse(time.RFC3339Nano, until)
	if err != nil {
		return s, fmt.Errorf("read valve %s: %w", valve, err)
	}
	return s, nil
}
