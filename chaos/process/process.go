// Package process stops, pauses and kills processes of the machine that the
// engine runs on: those that its config names, and no others. It needs Linux.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/backstop"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

// Injector is the connection to a process and the faults on it.
func Injector(conns *actions.Connections) chaos.Injector {
	i := &injector{conns: conns, watched: map[chaos.ID]*backstop.Child{}}
	return chaos.Injector{
		Name:       "process",
		Connection: connection.Erase(),
		Faults: []chaos.Fault{
			kill(i),
			pause(i),
			stop(i),
		},
		Active: i.active,
		Heal:   i.healFound,
	}
}

// Modes are what the engine's own binary does as a child of this injector.
func Modes() []backstop.Mode {
	return []backstop.Mode{{Name: holdMode, Run: hold}}
}

type config struct {
	PIDFile  string `json:"pid_file,omitempty" optional:"true" doc:"File with the process id, read anew each time." example:"/run/postgresql/16-main.pid"`
	Command  words  `json:"command,omitempty" optional:"true" doc:"The first words of the process's command line, exactly; of several such processes the one that started the others." example:"[/usr/bin/orders-api, --port=8080]"`
	Unit     string `json:"unit,omitempty" optional:"true" pattern:"^[A-Za-z0-9@._:-]+$" doc:"Systemd unit whose main process is meant." example:"orders-api.service"`
	StateDir string `json:"state_dir,omitempty" optional:"true" doc:"Folder that holds a note of each process that is stopped, so that any engine of this user finds it. Without it, one in the system's temporary folder."`
}

// words is a list that is never empty when it is there.
type words []string

// UnmarshalDocument reads a list of strings.
func (w *words) UnmarshalDocument(n *document.Node) diag.List {
	var list []string
	var problems diag.List
	if n.Kind != document.List || len(n.Items) == 0 {
		problems.Add(n.At, "wrong-type", "command must be a list of words", "")
		return problems
	}
	for _, item := range n.Items {
		text, ok := item.Scalar.(string)
		if !ok {
			problems.Add(item.At, "wrong-type", "each word of command must be a string", "put it in quotes")
		}
		list = append(list, text)
	}
	*w = list
	return problems
}

// client is one process as the config names it.
type client struct {
	name  string // of the connection
	find  finder
	notes notes
}

var connection = actions.Connection[config, *client]{
	Kind: "process",
	Doc:  "A process of the machine that the engine runs on.",
	Open: func(_ context.Context, name string, c config) (*client, error) {
		find, err := c.finder()
		if err != nil {
			return nil, actions.Permanent(err)
		}
		dir, err := c.stateDir()
		if err != nil {
			return nil, actions.Permanent(err)
		}
		return &client{name, find, notes{dir}}, nil
	},
}

func (c config) finder() (finder, error) {
	given := 0
	var find finder
	if c.PIDFile != "" {
		given, find = given+1, func(context.Context) (int, error) { return byPIDFile(c.PIDFile) }
	}
	if len(c.Command) > 0 {
		given, find = given+1, func(context.Context) (int, error) { return byCommand(c.Command) }
	}
	if c.Unit != "" {
		given, find = given+1, func(ctx context.Context) (int, error) { return byUnit(ctx, c.Unit) }
	}
	if given != 1 {
		return nil, errors.New("exactly one of pid_file, command and unit says which process is meant")
	}
	return find, nil
}

// stateDir is a folder that nobody else can write to: what stands in it is
// signalled.
func (c config) stateDir() (string, error) {
	dir := c.StateDir
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "runbook-faults-"+strconv.Itoa(os.Getuid()))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the folder for notes: %w", err)
	}
	return dir, private(dir)
}

func (c *client) failure(what string, err error) error {
	err = fmt.Errorf("%s process %q: %w", what, c.name, err)
	if errors.Is(err, os.ErrPermission) {
		return actions.Permanent(fmt.Errorf("%w; the engine must run as the same user, or with CAP_KILL", err))
	}
	return err
}
