package http

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type settingParams struct {
	URL        string          `json:"url" min:"1" doc:"What is read with GET and written with PUT: a whole URL, or a path below the connection's." example:"/flags/checkout-coupons"`
	Connection string          `json:"connection" connection:"http" default:"" doc:"Connection that says where and as whom; for a whole URL none, for a path the only one when absent."`
	To         json.RawMessage `json:"to" doc:"The value to set, as JSON."`
	From       json.RawMessage `json:"from,omitempty" optional:"true" doc:"The value that it must have before, as JSON; with any other the step fails. Without it, whatever it has."`
	Timeout    model.Duration  `json:"timeout" default:"10s" min:"10ms" max:"10m" doc:"How long to wait for each answer."`
}

type settingResult struct {
	Changed bool `json:"changed" doc:"True when this step set the value; false when it was set before."`
}

func setting(conns *actions.Connections) actions.Action {
	s := setter{conns}
	return actions.Define(actions.Def[settingParams, settingResult]{
		Name: "http.setting",
		Doc: "Change a setting that a service has under a URL: a feature flag, a weight, a record. It is read, written, and read again. " +
			"Undo puts the old value back, which is kept among the artefacts, and only while the setting has the value of this step. " +
			"The service's ETag, where it has one, keeps two that change it at the same time apart.",
		Risk:    actions.Reversible,
		Example: "{connection: flags, url: /flags/checkout-coupons, from: {enabled: true}, to: {enabled: false}}",
		Target:  func(p settingParams) string { return "setting/" + place(p.Connection, p.URL) },
		Limit:   func(p settingParams) time.Duration { return 3 * limit(p.Timeout) },
		Run:     s.run,
		Undo:    s.undo,
	})
}

type setter struct{ conns *actions.Connections }

// before is where the value before the change is kept: what there is to undo.
func before(key actions.Key) string { return key.ArtefactName("before.json") }

func (s setter) run(ctx context.Context, key actions.Key, _ actions.Target, p settingParams) (settingResult, error) {
	c, store, err := s.open(ctx, p)
	if err != nil {
		return settingResult{}, err
	}
	now, err := c.do(ctx, p.exchange(http.MethodGet, nil, nil))
	if err != nil {
		return settingResult{}, err
	}
	_, ours, err := store.Find(ctx, before(key))
	switch {
	case err != nil:
		return settingResult{}, err
	case same(now.JSON, p.To):
		return settingResult{Changed: ours}, nil
	case now.JSON == nil:
		return settingResult{}, actions.Permanent(fmt.Errorf("set %s: what it has is no JSON, or too long: %s", place(p.Connection, p.URL), excerpt(now.Body)))
	case len(p.From) > 0 && !same(now.JSON, p.From):
		return settingResult{}, actions.Permanent(fmt.Errorf("set %s: it has another value than from says: %s", place(p.Connection, p.URL), excerpt(now.Body)))
	}
	if _, err := store.Put(ctx, before(key), bytes.NewReader(now.JSON)); err != nil {
		return settingResult{}, err
	}
	return settingResult{Changed: true}, c.change(ctx, p, now, p.To)
}

func (s setter) open(ctx context.Context, p settingParams) (*client, actions.Artefacts, error) {
	c, err := pick(ctx, s.conns, p.Connection, p.URL)
	if err != nil {
		return nil, nil, err
	}
	store, err := s.conns.Artefacts()
	return c, store, err
}

// undo leaves alone what is not ours: a step that never happened, or a value that
// somebody set after it.
func (s setter) undo(ctx context.Context, key actions.Key, _ actions.Target, p settingParams) error {
	c, store, err := s.open(ctx, p)
	if err != nil {
		return err
	}
	now, err := c.do(ctx, p.exchange(http.MethodGet, nil, nil))
	if err != nil {
		return err
	}
	_, ours, err := store.Find(ctx, before(key))
	if err != nil || !ours || !same(now.JSON, p.To) {
		return err
	}
	kept, err := store.Open(ctx, before(key))
	if err != nil {
		return err
	}
	defer kept.Close()
	old, err := io.ReadAll(kept)
	if err != nil {
		return fmt.Errorf("read the value before: %w", err)
	}
	return c.change(ctx, p, now, old)
}

// change makes one value out of the one that was read.
func (c *client) change(ctx context.Context, p settingParams, now result, to json.RawMessage) error {
	headers := map[string]string{"Content-Type": "application/json"}
	if tag := now.Headers["etag"]; tag != "" {
		headers["If-Match"] = tag
	}
	if _, err := c.do(ctx, p.exchange(http.MethodPut, to, headers)); err != nil {
		return err
	}
	return c.confirm(ctx, p, to)
}

func (c *client) confirm(ctx context.Context, p settingParams, want json.RawMessage) error {
	now, err := c.do(ctx, p.exchange(http.MethodGet, nil, nil))
	if err != nil {
		return err
	}
	if !same(now.JSON, want) {
		return fmt.Errorf("set %s: it was taken, and reads otherwise: %s", place(p.Connection, p.URL), excerpt(now.Body))
	}
	return nil
}

func (p settingParams) exchange(method string, body json.RawMessage, headers map[string]string) exchange {
	return exchange{
		method: method, url: p.URL, body: string(body), headers: headers,
		expect: successful, wants: wanted(nil), timeout: time.Duration(p.Timeout), repeatable: true,
	}
}

// same compares values, whatever the order of keys and the white space.
func same(a, b json.RawMessage) bool {
	x, errX := value(a)
	y, errY := value(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

func value(text json.RawMessage) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}
