package actions

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
)

// Connection declares how one kind of system is reached: C is its part of the
// engine's config, T the client that its actions use.
type Connection[C, T any] struct {
	Kind  string // the key in the config: connections: {NAME: {KIND: {...}}}
	Doc   string
	Open  func(ctx context.Context, name string, config C) (T, error)
	Close func(T)
}

// ConnectionKind is a Connection with its types erased.
type ConnectionKind struct {
	Kind   string
	Doc    string
	Config *shape.Type
	decode func(n *document.Node) (any, diag.List)
	open   func(ctx context.Context, name string, config any) (any, error)
	close  func(client any)
}

// Erase gives the declaration as catalogues hold it.
func (c Connection[C, T]) Erase() *ConnectionKind {
	return &ConnectionKind{
		Kind: c.Kind, Doc: c.Doc, Config: shape.For[C](),
		decode: document.DecodeAs[C],
		open: func(ctx context.Context, name string, config any) (any, error) {
			return c.Open(ctx, name, config.(C))
		},
		close: func(client any) {
			if c.Close != nil {
				c.Close(client.(T))
			}
		},
	}
}

// Get is the client of a named connection, opened at its first use and kept. An
// empty name means the only connection of this kind.
func (c Connection[C, T]) Get(ctx context.Context, all *Connections, name string) (T, error) {
	var zero T
	e, err := all.find(c.Kind, name)
	if err != nil {
		return zero, Permanent(err)
	}
	client, err := e.client(ctx)
	if err != nil {
		return zero, fmt.Errorf("open connection %q (%s): %w", e.name, c.Kind, err)
	}
	return client.(T), nil
}

// Connections are the named connections of an engine. A nil one has none, which
// is enough to list, lint and document actions.
type Connections struct {
	entries   map[string]*entry
	artefacts Artefacts
}

type entry struct {
	name   string
	kind   *ConnectionKind
	config any

	mu     sync.Mutex
	opened any
}

// NewConnections reads the `connections` part of a config.
func NewConnections(kinds []*ConnectionKind, n *document.Node) (*Connections, diag.List) {
	c := &Connections{entries: map[string]*entry{}}
	var problems diag.List
	if n == nil || n.Kind == document.Null {
		return c, nil
	}
	if n.Kind != document.Map {
		problems.Add(n.At, "wrong-type", "connections must be a mapping", "connections: {NAME: {KIND: {…}}}")
		return c, problems
	}
	for _, e := range n.Entries {
		problems = append(problems, c.add(kinds, e)...)
	}
	return c, problems
}

func (c *Connections) add(kinds []*ConnectionKind, e document.Entry) (problems diag.List) {
	if e.Value.Kind != document.Map || len(e.Value.Entries) != 1 {
		problems.Add(e.At, "wrong-type", fmt.Sprintf("connection %q must have exactly one kind", e.Key), hintKinds(kinds))
		return problems
	}
	one := e.Value.Entries[0]
	i := slices.IndexFunc(kinds, func(k *ConnectionKind) bool { return k.Kind == one.Key })
	if i < 0 {
		problems.Add(one.At, "unknown-key", fmt.Sprintf("unknown kind of connection %q", one.Key), hintKinds(kinds))
		return problems
	}
	body := one.Value
	if body.Kind == document.Null {
		body = &document.Node{Kind: document.Map, At: one.At}
	}
	config, problems := kinds[i].decode(body)
	c.entries[e.Key] = &entry{name: e.Key, kind: kinds[i], config: config}
	return problems
}

func hintKinds(kinds []*ConnectionKind) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Kind
	}
	return "kinds: " + strings.Join(names, ", ")
}

// Names are the connections of a kind, sorted.
func (c *Connections) Names(kind string) []string {
	var names []string
	if c == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(c.entries)) {
		if c.entries[name].kind.Kind == kind {
			names = append(names, name)
		}
	}
	return names
}

// Check reports why a document that names this connection can not work, or nil.
// An empty name means the only connection of the kind.
func (c *Connections) Check(kind, name string) error {
	_, err := c.find(kind, name)
	return err
}

func (c *Connections) find(kind, name string) (*entry, error) {
	known := c.Names(kind)
	if name == "" {
		switch len(known) {
		case 0:
			return nil, fmt.Errorf("no %s connection is configured; add one under connections in the engine's config", kind)
		case 1:
			return c.entries[known[0]], nil
		default:
			return nil, fmt.Errorf("several %s connections are configured (%s); say which", kind, strings.Join(known, ", "))
		}
	}
	if !slices.Contains(known, name) {
		return nil, fmt.Errorf("no %s connection %q is configured (configured: %s)", kind, name, orNone(known))
	}
	return c.entries[name], nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (e *entry) client(ctx context.Context) (any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.opened != nil {
		return e.opened, nil
	}
	client, err := e.kind.open(ctx, e.name, e.config)
	if err != nil {
		return nil, err
	}
	if client == nil {
		return nil, errors.New("the connection gave no client")
	}
	e.opened = client
	return client, nil
}

// Open opens all connections, so that they are there when a system is too busy
// to let anybody in. What can not be opened now is tried again at its first use.
func (c *Connections) Open(ctx context.Context) error {
	if c == nil {
		return nil
	}
	var failed []error
	for _, name := range slices.Sorted(maps.Keys(c.entries)) {
		if _, err := c.entries[name].client(ctx); err != nil {
			failed = append(failed, fmt.Errorf("open connection %q (%s): %w", name, c.entries[name].kind.Kind, err))
		}
	}
	return errors.Join(failed...)
}

// Close closes what was opened.
func (c *Connections) Close() {
	if c == nil {
		return
	}
	for _, e := range c.entries {
		e.mu.Lock()
		if e.opened != nil {
			e.kind.close(e.opened)
			e.opened = nil
		}
		e.mu.Unlock()
	}
}
