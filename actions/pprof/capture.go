package pprof

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/google/pprof/profile"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type captureParams struct {
	Service string         `json:"service" connection:"pprof" doc:"Connection to the service."`
	Profile string         `json:"profile" enum:"goroutine|heap|allocs|cpu|mutex|block" doc:"What to capture."`
	For     model.Duration `json:"for" default:"10s" min:"1s" max:"2m" doc:"How long to watch the CPU, in whole seconds; the other profiles are of now."`
}

type captureResult struct {
	Artefact   actions.Artefact `json:"artefact" doc:"Where the profile is; go tool pprof reads it."`
	Goroutines *int             `json:"goroutines,omitempty" optional:"true" doc:"How many goroutines there are; of a goroutine profile only."`
	Total      int              `json:"total" doc:"Sum of all samples, in unit."`
	Unit       string           `json:"unit" doc:"What is counted: count, bytes or nanoseconds."`
	Top        []function       `json:"top" doc:"The functions of the program with most, by the first frame that is not of the Go runtime; 10 at most."`
}

type function struct {
	Name  string  `json:"name" doc:"Name of the function."`
	Value int     `json:"value" doc:"Its part, in unit."`
	Share float64 `json:"share" doc:"Its part of the total, 0 to 1."`
}

func capture(conns *actions.Connections) actions.Action {
	c := capturer{conns}
	return actions.Define(actions.Def[captureParams, captureResult]{
		Name: "pprof.capture",
		Doc: "Capture a profile of a Go service, so that the cause is known after a restart. It is kept among the artefacts, once it is " +
			"known to be whole.",
		Risk:    actions.ReadOnly,
		Example: "{service: orders, profile: goroutine}",
		Target:  func(p captureParams) string { return "service/" + p.Service },
		Limit:   func(p captureParams) time.Duration { return time.Duration(p.For) + time.Minute },
		Run:     c.run,
	})
}

type capturer struct{ conns *actions.Connections }

// run captures once: a retry tells of what an earlier attempt has kept.
func (c capturer) run(ctx context.Context, key actions.Key, _ actions.Target, p captureParams) (captureResult, error) {
	s, err := service.Get(ctx, c.conns, p.Service)
	if err != nil {
		return captureResult{}, err
	}
	store, err := c.conns.Artefacts()
	if err != nil {
		return captureResult{}, err
	}
	name := key.ArtefactName(p.Profile + ".pb.gz")
	kept, there, err := store.Find(ctx, name)
	if err != nil {
		return captureResult{}, err
	}
	if there {
		return earlier(ctx, store, name, kept, p)
	}
	content, parsed, err := s.capture(ctx, p)
	if err != nil {
		return captureResult{}, s.failure(ctx, p, err)
	}
	if kept, err = store.Put(ctx, name, bytes.NewReader(content)); err != nil {
		return captureResult{}, err
	}
	return summary(kept, parsed, p), nil
}

func earlier(ctx context.Context, store actions.Artefacts, name string, kept actions.Artefact, p captureParams) (r captureResult, err error) {
	content, err := store.Open(ctx, name)
	if err != nil {
		return r, err
	}
	defer content.Close()
	text, err := io.ReadAll(content)
	if err != nil {
		return r, fmt.Errorf("read the artefact %s: %w", name, err)
	}
	parsed, err := profile.ParseData(text)
	if err != nil {
		return r, actions.Permanent(fmt.Errorf("read the artefact %s: %w", name, err))
	}
	return summary(kept, parsed, p), nil
}

func (s *client) capture(ctx context.Context, p captureParams) ([]byte, *profile.Profile, error) {
	path, query := p.Profile, url.Values{}
	if path == "cpu" {
		path = "profile"
		query.Set("seconds", strconv.Itoa(int(time.Duration(p.For).Seconds())))
	}
	content, err := s.get(ctx, path, query)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := profile.ParseData(content)
	if err == nil {
		err = parsed.CheckValid()
	}
	if err != nil {
		return nil, nil, actions.Permanent(fmt.Errorf("what it gives is no profile (%w); is url where the service has net/http/pprof?", err))
	}
	return content, parsed, nil
}

func (s *client) failure(ctx context.Context, p captureParams, err error) error {
	if ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	return fmt.Errorf("capture the %s profile of pprof %q: %w", p.Profile, s.name, err)
}
