package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// steps call a service before and after a read that takes its time. Once that
// read has come, what was done before it is durable, and a test can strike.
const steps = `
runbook: steps
summary: Call a service, look, call it again.
params: {item: {type: string, default: a}}
steps:
  - {id: lead, do: wait, with: {duration: 1s}}
  - {id: before, do: http.request, with: {url: '/before/${params.item}'}}
  - {id: look, do: http.get, with: {url: /slow}}
  - {id: after, do: http.request, with: {url: '/after/${params.item}'}}
verify: {do: http.get, with: {url: /health}, until: status == 200, every: 1s, within: 5s}
---
runbook: hour
summary: Wait for an hour.
steps: [{id: pause, do: wait, with: {duration: 1h}}, {id: call, do: http.request, with: {url: /hour}}]
`

// place is a folder with runbooks and a config, in which runbook is started as
// an engineer does.
type place struct {
	t     *testing.T
	dir   string
	calls *counter
}

func newPlace(t *testing.T, books string) *place {
	p := &place{t: t, dir: t.TempDir(), calls: newCounter(t)}
	p.write("books.yaml", books)
	p.write("config.yaml", fmt.Sprintf("runbooks: [books.yaml]\ndata_dir: data\nconnections: {calls: {http: {url: %q}}}\n", p.calls.URL))
	return p
}

func (p *place) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) command(args ...string) (*exec.Cmd, *bytes.Buffer) {
	var out bytes.Buffer
	cmd := exec.Command("runbook", append(args, "--config", "config.yaml")...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, &out, &out
	cmd.Env = append(os.Environ(), "SUDO_USER=ada", "RUNBOOK_SERVER=")
	return cmd, &out
}

// must runs a command that ends with a code, and gives what it printed.
func (p *place) must(code int, args ...string) string {
	p.t.Helper()
	cmd, out := p.command(args...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		p.t.Fatalf("runbook %s ended with %d, not %d:\n%s", strings.Join(args, " "), got, code, out)
	}
	return out.String()
}

// kill starts a command and kills it with -9 as soon as something is so.
func (p *place) kill(when func() bool, args ...string) {
	p.t.Helper()
	cmd, out := p.command(args...)
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait()
	}()
	p.t.Cleanup(func() { cmd.Process.Kill() })
	eventually(p.t, "the moment to strike", func() bool {
		select {
		case <-ended:
			p.t.Fatalf("the program ended by itself:\n%s", out)
		default:
		}
		return when()
	})
	if err := cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	<-ended
}

// half: the live run has come to its read. A dry run reads too, and what takes
// longer than a first look is asked twice.
func (p *place) half() bool { return p.calls.count("/before/a") > 0 && p.calls.count("/slow") > 2 }

func (p *place) counts(want map[string]int) {
	p.t.Helper()
	for path, n := range want {
		if got := p.calls.count(path); got != n {
			p.t.Errorf("%s was called %d times, not %d", path, got, n)
		}
	}
}

func (p *place) liveRuns() []string {
	p.t.Helper()
	var rows []struct{ ID string }
	if err := json.Unmarshal([]byte(p.must(0, "runs", "-o", "json")), &rows); err != nil {
		p.t.Fatal(err)
	}
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	return ids
}

func TestKilledExecGoesOnAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t, steps)
	p.kill(p.half, "exec", "steps", "--yes")

	out := p.must(0, "exec", "steps", "--yes")
	if !strings.Contains(out, "going on with run steps.exec-") || !strings.Contains(out, "started by ada") {
		t.Errorf("the second exec does not say that it goes on:\n%s", out)
	}
	if strings.Contains(out, "plan of") {
		t.Errorf("the second exec made a plan of its own:\n%s", out)
	}
	p.counts(map[string]int{"/before/a": 1, "/after/a": 1})
	if ids := p.liveRuns(); len(ids) != 1 {
		t.Errorf("runs: %v, want one", ids)
	}

	// What has ended is not gone on with: the next exec is a new run.
	p.must(0, "exec", "steps", "--yes")
	p.counts(map[string]int{"/before/a": 2, "/after/a": 2})
}

// Killed as early as can be seen from outside: the run is durable, and nothing
// has listed it yet.
func TestExecKilledAtItsStartGoesOn(t *testing.T) {
	t.Parallel()
	p := newPlace(t, steps)
	noted := func() bool {
		text, err := os.ReadFile(filepath.Join(p.dir, "data", "audit.jsonl"))
		return err == nil && strings.Contains(string(text), `"kind":"run_started"`) && strings.Contains(string(text), `"decision":"live"`)
	}
	p.kill(noted, "exec", "steps", "--yes")
	out := p.must(0, "exec", "steps", "--yes")
	if !strings.Contains(out, "going on with run steps.exec-") {
		t.Errorf("the second exec does not go on:\n%s", out)
	}
	p.counts(map[string]int{"/before/a": 1, "/after/a": 1})
}

func TestAnotherRunUnderWayIsNotCarriedOnUnasked(t *testing.T) {
	t.Parallel()
	p := newPlace(t, steps)
	p.kill(p.half, "exec", "steps", "--yes")

	for _, args := range [][]string{
		{"exec", "hour", "--yes"},                     // another runbook
		{"exec", "steps", "--yes", "--set", "item=b"}, // other parameters
		{"exec", "steps", "--dry-run"},                // which must change nothing
	} {
		out := p.must(4, args...)
		if !strings.Contains(out, "runbook runs watch steps.exec-") || !strings.Contains(out, "runbook runs cancel steps.exec-") {
			t.Errorf("%v does not say how to go on:\n%s", args, out)
		}
	}
	if out := p.must(0, "runs", "show", "last"); !strings.Contains(out, "nobody works on it now") {
		t.Errorf("the run is shown as:\n%s", out)
	}
	p.counts(map[string]int{"/after/a": 0, "/before/b": 0})

	out := p.must(0, "runs", "cancel", "steps", "--reason", "not today")
	if !strings.Contains(out, "cancelled: ada asked to stop: not today") {
		t.Errorf("cancel printed:\n%s", out)
	}
	p.counts(map[string]int{"/before/a": 1, "/after/a": 0})
	p.must(0, "exec", "steps", "--yes", "--set", "item=b")
}

func TestWatchTakesAKilledRunToItsEnd(t *testing.T) {
	t.Parallel()
	p := newPlace(t, steps)
	p.kill(p.half, "exec", "steps", "--yes")
	if out := p.must(0, "runs", "watch", "last"); !strings.Contains(out, "fixed: status == 200 holds") {
		t.Errorf("watch printed:\n%s", out)
	}
	p.counts(map[string]int{"/before/a": 1, "/after/a": 1})
}
