package api_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/runs"
)

func TestRunIsStartedByItsCallerAndRecorded(t *testing.T) {
	b := newBench(t)
	var started api.Started
	answer := b.send(http.MethodPost, "/runs", api.Start{Runbook: "turn-up", Mode: "live", Reason: "it is dark", Params: map[string]any{"by": "3"}}, &started)
	if answer.StatusCode != http.StatusCreated || !started.Created {
		t.Errorf("answer: %s %+v", answer.Status, started)
	}
	if got, want := answer.Header.Get("Location"), api.Prefix+"/runs/"+started.ID; got != want {
		t.Errorf("location %q, want %q", got, want)
	}
	r := b.await(started.ID, ended)
	if r.Outcome != run.Fixed || r.Actor != actor || r.Reason != "it is dark" || b.meter.value.Load() != 3 {
		t.Errorf("meter %d, run %+v", b.meter.value.Load(), r)
	}
	decided := b.lines(audit.Decision)
	if len(decided) != 1 || decided[0].Actor != actor || decided[0].Reason != "it is dark" ||
		decided[0].Run != started.ID || string(decided[0].Params) != `{"by":3,"room":"hall"}` {
		t.Errorf("audit: %+v", decided)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	b := newBench(t)
	r := b.await(b.start(api.Start{Runbook: "turn-up", Mode: "dry_run"}).ID, ended)
	if b.meter.value.Load() != 0 || r.Outcome != run.Skipped || !r.Steps[1].WouldRun {
		t.Errorf("meter %d, run %+v", b.meter.value.Load(), r)
	}
}

func TestRepeatedRequestFindsItsRun(t *testing.T) {
	b := newBench(t)
	ask := api.Start{Runbook: "turn-up", Mode: "live", RequestID: b.fresh("repeat"), Params: map[string]any{"by": 3}}
	first := b.start(ask)
	b.await(first.ID, ended)
	var second api.Started
	answer := b.send(http.MethodPost, "/runs", ask, &second)
	if answer.StatusCode != http.StatusOK || second.Created || second.ID != first.ID || !first.Created {
		t.Errorf("first %+v, second %s %+v", first, answer.Status, second)
	}
	if got := b.meter.value.Load(); got != 3 {
		t.Errorf("the meter was turned to %d", got)
	}
	ask.Params["by"] = 4
	b.refused(http.MethodPost, "/runs", ask, http.StatusConflict, api.CodeRequestReused)

	ask.Mode = "dry_run"
	if dry := b.start(ask); dry.ID == first.ID {
		t.Error("a dry run took the place of a live one")
	}
}

func TestRefusals(t *testing.T) {
	b := newBench(t)
	p := b.refused(http.MethodPost, "/runs", api.Start{Runbook: "turn-upp", Mode: "live"}, http.StatusNotFound, api.CodeNoSuchRunbook)
	if !strings.Contains(p.Detail, `did you mean "turn-up"?`) {
		t.Errorf("detail: %s", p.Detail)
	}
	b.refused(http.MethodPost, "/runs", api.Start{Runbook: "turn-up", Mode: "live", Digest: "0123"}, http.StatusConflict, api.CodeChanged)
	b.refused(http.MethodPost, "/runs", api.Start{Runbook: "turn-up"}, http.StatusUnprocessableEntity, api.CodeInvalid)
	b.refused(http.MethodPost, "/runs", map[string]any{"runbook": "turn-up", "mode": "live", "dryrun": true}, http.StatusUnprocessableEntity, api.CodeInvalid)
	b.refused(http.MethodPost, "/runs", api.Start{Runbook: "turn-up", Mode: "live", RequestID: "a/b"}, http.StatusUnprocessableEntity, api.CodeInvalid)
	b.refused(http.MethodGet, "/runs?limit=0", nil, http.StatusUnprocessableEntity, api.CodeInvalid)
	b.refused(http.MethodGet, "/runs?outcom=fixed", nil, http.StatusUnprocessableEntity, api.CodeInvalid)
	b.refused(http.MethodGet, "/runs/turn-up.exec-none", nil, http.StatusNotFound, api.CodeNoSuchRun)
	b.refused(http.MethodPost, "/runs/turn-up.exec-none/cancel", api.Cancel{}, http.StatusNotFound, api.CodeNoSuchRun)
	b.refused(http.MethodGet, "/nothing", nil, http.StatusNotFound, api.CodeNoSuchPath)

	if got := b.meter.value.Load(); got != 0 {
		t.Errorf("a refused run turned the meter to %d", got)
	}
	var rows []runs.Row
	b.send(http.MethodGet, "/runs?runbook=picky", nil, &rows)
	if len(rows) != 0 {
		t.Errorf("a refused run is in the history: %+v", rows)
	}
	if got := b.lines(audit.Decision); len(got) != 1 || got[0].Decision != "refused live" || got[0].Error == "" {
		t.Errorf("audit: %+v", got)
	}
}

func TestAllParametersThatDoNotResolveAreReported(t *testing.T) {
	b := newBench(t)
	ask := api.Start{Runbook: "picky", Mode: "live", Params: map[string]any{"size": "large", "sise": 1}}
	p := b.refused(http.MethodPost, "/runs", ask, http.StatusUnprocessableEntity, api.CodeParams)
	if len(p.Errors) != 3 {
		t.Fatalf("problems: %d, want 3: %+v", len(p.Errors), p)
	}
	for i, want := range []string{`no parameter "sise"`, "parameter pause has no value", "parameter size"} {
		if !strings.Contains(p.Errors[i].Message, want) {
			t.Errorf("problem %d is %q, want %q", i, p.Errors[i].Message, want)
		}
	}
}

func TestLargeBodyIsRefused(t *testing.T) {
	b := newBench(t)
	var p api.Problem
	answer := b.sendRaw(http.MethodPost, "/runs", []byte(`{"runbook":"`+strings.Repeat("a", 2<<20)+`"}`), &p)
	if answer.StatusCode != http.StatusRequestEntityTooLarge || api.CodeOf(&p) != api.CodeTooLarge {
		t.Errorf("answer: %s %+v", answer.Status, p)
	}
}

func TestNothingIsStartedThatCanNotBeRecorded(t *testing.T) {
	b := newBench(t)
	id := b.fresh("unrecorded")
	b.breakAudit()
	b.refused(http.MethodPost, "/runs", api.Start{Runbook: "turn-up", Mode: "live", RequestID: id}, http.StatusServiceUnavailable, api.CodeAudit)
	b.refused(http.MethodGet, "/runs/turn-up.exec-"+id, nil, http.StatusNotFound, api.CodeNoSuchRun)
}

func TestListFilters(t *testing.T) {
	b := newBench(t)
	listed := b.fresh("listed")
	live := b.await(b.start(api.Start{Runbook: "turn-up", Mode: "live", RequestID: listed}).ID, ended)
	dry := b.await(b.start(api.Start{Runbook: "turn-up", Mode: "dry_run", RequestID: listed}).ID, ended)
	for query, want := range map[string]map[string]bool{
		"":                   {live.ID: true, dry.ID: false},
		"&dry_runs=true":     {live.ID: true, dry.ID: true},
		"&outcome=fixed":     {live.ID: true, dry.ID: false},
		"&outcome=not_fixed": {live.ID: false, dry.ID: false},
		"&running=true":      {live.ID: false, dry.ID: false},
	} {
		b.awaitList("/runs?runbook=turn-up&limit=1000"+query, want)
	}
	b.awaitList("/runs?runbook=slow", map[string]bool{live.ID: false})
}

func TestTheRunThatBeganLastIsFirst(t *testing.T) {
	b := newBench(t)
	first := b.await(b.start(api.Start{Runbook: "turn-up", Mode: "live"}).ID, ended).ID
	long := b.start(api.Start{Runbook: "slow", Mode: "live"}).ID
	last := b.await(b.start(api.Start{Runbook: "turn-up", Mode: "live"}).ID, ended).ID
	b.awaitList("/runs?outcome=fixed&limit=1000", map[string]bool{first: true, last: true})
	var rows []runs.Row
	b.send(http.MethodGet, "/runs?limit=1000", nil, &rows)
	var order []string
	for _, row := range rows {
		if slices.Contains([]string{first, long, last}, row.ID) {
			order = append(order, row.ID)
		}
	}
	if want := []string{last, long, first}; !slices.Equal(order, want) {
		t.Errorf("order: %q, want %q", order, want)
	}
}

func TestRunbooksAndActions(t *testing.T) {
	b := newBench(t)
	var list []api.Runbook
	b.send(http.MethodGet, "/runbooks", nil, &list)
	if len(list) != 4 || list[0].Name != "guarded" || list[3].Risk != actions.Disruptive {
		t.Errorf("runbooks: %+v", list)
	}
	var slow api.RunbookDetail
	b.send(http.MethodGet, "/runbooks/slow", nil, &slow)
	if len(slow.Warnings) != 1 || slow.Steps[0].Risk != actions.ReadOnly || slow.Steps[1].Do != "meter.add" {
		t.Errorf("slow: %+v", slow)
	}
	b.refused(http.MethodGet, "/runbooks/none", nil, http.StatusNotFound, api.CodeNoSuchRunbook)
	var all []api.Action
	b.send(http.MethodGet, "/actions", nil, &all)
	if len(all) != 3 || all[0].Name != "meter.add" || *all[0].Params[0].Default != "1" || *all[0].Params[0].Max != 100 {
		t.Errorf("actions: %+v", all)
	}
}

func TestOpenAPIDescribesTheInterface(t *testing.T) {
	b := newBench(t)
	var raw map[string]any
	b.send(http.MethodGet, "/openapi.json", nil, &raw)
	doc, err := openapi3.NewLoader().LoadFromURI(mustURL(t, b.url+"/openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Info.Version != "1.2.3" {
		t.Errorf("openapi %s of version %s", doc.OpenAPI, doc.Info.Version)
	}
	for _, path := range []string{"/runbooks", "/runbooks/{name}", "/runs", "/runs/{id}", "/runs/{id}/events", "/runs/{id}/cancel", "/actions"} {
		if doc.Paths.Find(api.Prefix+path) == nil {
			t.Errorf("%s is not described", path)
		}
	}
	if runs := doc.Paths.Find(api.Prefix + "/runs"); runs.Get.Responses.Value("401") == nil || doc.Components.SecuritySchemes["bearer"] == nil {
		t.Error("it does not say what credentials are asked for")
	}
}
